//! `install.sh` as an owner runs it, out of an unpacked archive, and what is there before and after.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use super::shop::Shop;
use crate::support::database::Server;

/// An unpacked archive: install.sh and the program.
pub fn archive() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let folder = Server::shared().new_folder();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
        fs::copy(script, folder.join("install.sh")).unwrap();
        let program = folder.join("bento-webhooks");
        // The benchmark includes this file and never installs: cargo names the program to tests only.
        let built = option_env!("CARGO_BIN_EXE_bento-webhooks").unwrap_or_default();
        fs::copy(built, &program).unwrap();
        // What it says about itself is of no use here, and many copies of it are made.
        drop(Command::new("strip").arg(&program).status());
        // Whether this machine has one must make no difference.
        fs::create_dir(folder.join("bin")).unwrap();
        fs::write(folder.join("bin/crontab"), "#!/bin/sh\nexit 1\n").unwrap();
        for file in ["install.sh", "bento-webhooks", "bin", "bin/crontab"] {
            fs::set_permissions(folder.join(file), fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    })
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// None when it was killed.
    pub code: Option<i32>,
    pub said: String,
    pub errors: String,
}

impl Ended {
    pub fn of(output: &Output) -> Ended {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            code: output.status.code(),
            said: text(&output.stdout),
            errors: text(&output.stderr),
        }
    }
}

impl Shop {
    /// A command of the owner, with the home folder that they have.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.owner.command(program);
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        command.env("PATH", format!("{}/bin:{path}", archive().display()));
        command.env("HOME", &self.home).current_dir(&self.home);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `install.sh` to its end, without a terminal.
    pub fn install(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command("setsid");
        command
            .args(["sh"])
            .arg(archive().join("install.sh"))
            .args(arguments);
        Ended::of(&command.output().unwrap())
    }

    /// Where the program and its backups are.
    pub fn prefix(&self) -> PathBuf {
        self.home.join(".bento-webhooks")
    }

    /// Everything in the owner's home but what the program keeps for itself.
    pub fn tree(&self) -> Tree {
        let mut tree = Tree(BTreeMap::new());
        tree.add(&self.home, &self.prefix());
        tree
    }
}

/// Files and folders with their modes, owners and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, (u32, u32, u32, Vec<u8>)>);

impl Tree {
    /// Everything in a folder.
    pub fn of(folder: &Path) -> Tree {
        let mut tree = Tree(BTreeMap::new());
        tree.add(folder, Path::new(""));
        tree
    }

    fn add(&mut self, path: &Path, except: &Path) {
        if path == except {
            return;
        }
        let data = fs::symlink_metadata(path).unwrap();
        let content = if data.is_file() {
            fs::read(path).unwrap()
        } else {
            Vec::new()
        };
        let entry = (data.mode(), data.uid(), data.gid(), content);
        self.0.insert(path.to_owned(), entry);
        if data.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                self.add(&entry.unwrap().path(), except);
            }
        }
    }

    /// The paths that differ, for people.
    pub fn difference(&self, other: &Tree) -> Vec<String> {
        let paths = self.0.keys().chain(other.0.keys());
        let mut paths: Vec<String> = paths
            .filter(|path| self.0.get(*path) != other.0.get(*path))
            .map(|path| path.display().to_string())
            .collect();
        paths.dedup();
        paths
    }
}
