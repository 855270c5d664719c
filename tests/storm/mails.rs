//! Where the welcomes of a storm end up: a stand-in for sendmail that many may call at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The Message-IDs that each recipient got.
pub(crate) type Delivered = BTreeMap<String, BTreeSet<String>>;

pub(crate) struct Mails {
    folder: PathBuf,
}

impl Mails {
    pub(crate) fn new(site: &Path) -> Mails {
        let folder = site.join("mails");
        fs::create_dir(&folder).unwrap();
        let mails = Mails { folder };
        // A mail counts when it is whole; who is killed over it leaves a file without an end.
        let script = format!(
            "#!/bin/sh\nset -eu\nmail={0}/part.$$.$(date +%N)\ncat >\"$mail\"\necho end >>\"$mail\"\nmv \"$mail\" \"$mail.whole\"\n",
            mails.folder.display()
        );
        fs::write(mails.program(), script).unwrap();
        fs::set_permissions(mails.program(), fs::Permissions::from_mode(0o755)).unwrap();
        mails
    }

    fn program(&self) -> PathBuf {
        self.folder.join("sendmail")
    }

    /// The command line.
    pub(crate) fn command(&self) -> String {
        format!("{} -t -i", self.program().display())
    }

    /// Everything that was handed over, and how many mails that were.
    pub(crate) fn delivered(&self) -> (Delivered, usize) {
        let mut delivered = Delivered::new();
        let mut count = 0;
        for entry in fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|end| end != "whole") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let header = |name: &str| {
                let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
                lines.next().map(str::to_owned)
            };
            // A sender that is killed before it has written anything hands over nothing, as with a real sendmail.
            let (Some(to), Some(id)) = (header("To: "), header("Message-ID: ")) else {
                assert_eq!(text, "end\n", "half a mail");
                continue;
            };
            count += 1;
            delivered.entry(to).or_default().insert(id);
        }
        (delivered, count)
    }
}
