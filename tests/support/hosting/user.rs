//! Whose files are whose. As root, the site belongs to `nobody` and the web server is `www-data`, as on a host; without
//! root everything belongs to the one user there is.

use std::fs;
use std::os::unix::fs::lchown;
use std::path::Path;
use std::process::Command;

/// An account of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub group: String,
    pub uid: u32,
    pub gid: u32,
}

impl User {
    /// The owner of the site.
    pub fn owner() -> User {
        User::of(is_root().then_some("nobody"))
    }

    /// The web server's own user: another one than the owner only where tests run as root.
    pub fn server() -> User {
        User::of(is_root().then_some("www-data"))
    }

    fn of(name: Option<&str>) -> User {
        let id = |what: &str| {
            let output = Command::new("id").arg(what).args(name).output().unwrap();
            assert!(output.status.success(), "no user {name:?} here");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        User {
            name: id("-un"),
            group: id("-gn"),
            uid: id("-u").parse().unwrap(),
            gid: id("-g").parse().unwrap(),
        }
    }

    /// Gives the user a file, or a folder with all that is in it; links are not followed.
    pub fn own(&self, path: &Path) {
        if !is_root() {
            return;
        }
        lchown(path, Some(self.uid), Some(self.gid)).unwrap();
        if path.is_dir() && !path.is_symlink() {
            for entry in fs::read_dir(path).unwrap() {
                self.own(&entry.unwrap().path());
            }
        }
    }

    /// A command that runs as this user, with nothing in its environment but the path.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args([
                format!("--reuid={}", self.uid),
                format!("--regid={}", self.gid),
                "--clear-groups".to_owned(),
                "--".to_owned(),
            ]);
            command.arg(program.as_ref());
            command
        } else {
            Command::new(program.as_ref())
        };
        command.env_clear().env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command
    }
}

/// Whether the tests run as root: only then can a server change its user.
pub fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.starts_with(b"0\n")
}
