//! Where mails end up in tests: a stand-in for sendmail, which is a real program that keeps what it is given, and a real
//! mail server. And the words of WordPress that mails need.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::site::Site;

/// A folder that collects mails.
pub struct Outbox {
    folder: PathBuf,
}

/// One mail as the command was given it.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The arguments of the command.
    pub arguments: String,
    /// Variables of the command's environment.
    pub environment: Vec<String>,
    /// Everything that came through standard input; lines end with LF.
    pub text: String,
}

impl Outbox {
    /// An outbox whose command does this once the mail is kept: `exit 75`, say.
    pub fn then(folder: PathBuf, script: &str) -> Outbox {
        let outbox = Outbox { folder };
        fs::create_dir_all(outbox.folder.join("kept")).unwrap();
        let kept = outbox.folder.join("kept");
        // The name appears when the mail is whole, and says which one it was.
        let script = format!(
            "#!/bin/sh\nset -eu\nmail={folder}/$$\n{{ echo \"$*\"; env; echo; cat; }} >\"$mail\"\n\
             set -- {kept}/*\n[ -e \"$1\" ] || set --\nmv \"$mail\" {kept}/$(printf %06d $#)\n{script}\n",
            folder = outbox.folder.display(),
            kept = kept.display(),
        );
        fs::write(outbox.program(), script).unwrap();
        fs::set_permissions(outbox.program(), fs::Permissions::from_mode(0o755)).unwrap();
        outbox
    }

    /// An outbox whose command takes every mail.
    pub fn new(folder: PathBuf) -> Outbox {
        Outbox::then(folder, "exit 0")
    }

    fn program(&self) -> PathBuf {
        self.folder.join("sendmail")
    }

    /// The command line, with the arguments that WordPress's mail has.
    pub fn command(&self) -> String {
        format!("{} -t -i", self.program().display())
    }

    /// The mails so far, in the order in which they came.
    pub fn mails(&self) -> Vec<Mail> {
        let entries = fs::read_dir(self.folder.join("kept")).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|path| Mail::read(path)).collect()
    }
}

impl Mail {
    fn read(path: &Path) -> Mail {
        let kept = fs::read_to_string(path).unwrap();
        let (arguments, rest) = kept.split_once('\n').unwrap();
        let (environment, text) = rest.split_once("\n\n").unwrap();
        Mail {
            arguments: arguments.to_string(),
            environment: environment.lines().map(str::to_string).collect(),
            // PHP gives its mails other line ends.
            text: text.replace("\r\n", "\n"),
        }
    }

    /// The lines of the head.
    pub fn head(&self) -> Vec<&str> {
        let (head, _) = self.text.split_once("\n\n").unwrap();
        head.split('\n').collect()
    }

    /// The value of a header; folded lines follow.
    pub fn header(&self, name: &str) -> String {
        let head = self.head();
        let start = format!("{name}: ");
        let at = head.iter().position(|line| line.starts_with(&start));
        let at = at.unwrap_or_else(|| panic!("no {name} in {}", self.text));
        let folded = head[at + 1..]
            .iter()
            .take_while(|line| line.starts_with(' '));
        let lines: Vec<&str> = [&head[at][start.len()..]]
            .into_iter()
            .chain(folded.copied())
            .collect();
        lines.join("\n")
    }

    /// The body.
    pub fn body(&self) -> &str {
        self.text.split_once("\n\n").unwrap().1
    }

    /// The line of the body that is a set-password link.
    pub fn link(&self) -> &str {
        let mut lines = self.body().lines();
        lines
            .find(|line| line.contains("action=rp"))
            .unwrap_or_else(|| panic!("no link in {}", self.text))
    }
}

/// Gives a site the files of WordPress in which the words of its mails stand: those of its release, 6.1, 6.8 or 7.1,
/// which tests/run unpacks. `folder` is Cargo's for temporary files of tests: `env!("CARGO_TARGET_TMPDIR")`.
pub fn lend_words(site: &Site<'_>, release: &str, folder: &str) {
    let suite = match release.split('.').take(2).collect::<Vec<_>>()[..] {
        ["6", "1"] => "bookworm",
        ["6", "8"] => "trixie",
        ["7", "1"] => "sid",
        _ => panic!("no suite of Debian has WordPress {release}"),
    };
    // That folder is target/tmp, wherever target is.
    let target = Path::new(folder).parent().unwrap();
    let tree = target
        .join("wordpress")
        .join(suite)
        .join("usr/share/wordpress");
    assert!(
        tree.is_dir(),
        "WordPress {release} is not unpacked: tests/run does it"
    );
    for name in ["pluggable.php", "user.php"] {
        let file = Path::new("wp-includes").join(name);
        symlink(tree.join(&file), site.folder().join(&file)).unwrap();
    }
}

/// A real mail server; it stops when dropped.
pub struct MailServer {
    process: Child,
    output: Option<BufReader<ChildStdout>>,
    pub port: u16,
}

impl MailServer {
    /// Starts `smtpd.py` with these arguments.
    pub fn start(arguments: &[&str]) -> MailServer {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/smtpd.py");
        let mut process = Command::new("/usr/bin/python3")
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It complains about every client that hangs up, which some of the tests are about.
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("python3: {error}: tests/run installs it"));
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim().parse();
        let port =
            port.unwrap_or_else(|_| panic!("smtpd.py did not start: is python3-aiosmtpd there?"));
        MailServer {
            process,
            output: Some(output),
            port,
        }
    }

    /// Stops the server: everything that it was given.
    pub fn finish(mut self) -> Vec<Value> {
        drop(self.process.stdin.take());
        let lines = self.output.take().unwrap().lines();
        lines
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
