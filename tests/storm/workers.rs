//! The workers that the program starts by itself: found among all processes by the site they work for, and killed.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the site is named to the program.
const SITE: &str = "BENTO_WEBHOOKS_WORDPRESS=";

pub(crate) struct Workers {
    site: PathBuf,
    killed: Cell<usize>,
}

impl Workers {
    pub(crate) fn of(site: &Path) -> Workers {
        Workers {
            site: site.to_path_buf(),
            killed: Cell::new(0),
        }
    }

    /// How many have been killed.
    pub(crate) fn killed(&self) -> usize {
        self.killed.get()
    }

    /// Kills those of this site that run now.
    pub(crate) fn kill(&self) {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        for process in processes.filter(|process| self.is_ours(&process.path())) {
            let id = process.file_name();
            let killed = Command::new("kill").arg("-9").arg(id).output().unwrap();
            self.killed
                .set(self.killed.get() + usize::from(killed.status.success()));
        }
    }

    fn is_ours(&self, process: &Path) -> bool {
        let read = |file: &str| fs::read(process.join(file)).unwrap_or_default();
        let (arguments, environment) = (read("cmdline"), read("environ"));
        let has = |bytes: &[u8], wanted: &str| {
            bytes
                .split(|byte| *byte == 0)
                .any(|entry| entry == wanted.as_bytes())
        };
        has(&arguments, "--place") && has(&environment, &format!("{SITE}{}", self.site.display()))
    }
}
