//! What was changed, written down before each change, so that it can be put back to the byte: at once when something is
//! off, at the next start when this one was killed, or later with `--undo`.
//!
//! One JSON object a line, synced before the change it tells of. A last line that was cut short tells of a change that
//! never happened. The journal holds paths, modes and digests; the former content of files is in `backup/`, outside of the
//! web root. Nothing here is secret, but all of it is readable to its owner only.

use super::back::put_back;
use super::files::{Swapped, give, make_folder, put, swap, write_in_place};
use super::place::Rung;
use crate::echo::digest;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// One thing that is about to happen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// A folder is made for trying; it goes with all that is in it.
    Scratch { path: PathBuf },
    /// A folder is made.
    Folder { path: PathBuf },
    /// A file is written.
    File {
        path: PathBuf,
        before: Option<Before>,
        after: String,
    },
    /// A file cannot be swapped in one step and is written in place; it may be cut short.
    InPlace { path: PathBuf, before: Before },
    /// All of the above is in place and proven.
    Done(Box<Installed>),
}

/// A file as it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Before {
    /// Name in `backup/`.
    pub(super) backup: String,
    pub(super) digest: String,
    #[serde(flatten)]
    pub(super) was: Was,
}

/// Mode and owner of a file.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Was {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// When the changes were made that are put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// By a run that ended in the middle.
    LastRun,
    /// By runs that ended well; others may have changed the files since.
    Done,
}

/// What an installation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Version of the program.
    pub version: String,
    /// The folder of WordPress.
    pub wordpress: PathBuf,
    /// The home address.
    pub home: String,
    /// How requests reach the program.
    pub route: Routing,
}

/// How requests reach the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// Our lines in a `.htaccess` lead to a stub.
    Htaccess {
        /// Where the stub is.
        rung: Rung,
        /// The file with our lines.
        file: PathBuf,
        /// Our lines.
        block: String,
        /// The file that the web server starts.
        stub: PathBuf,
    },
    /// nginx's own files.
    Nginx {
        /// The files with our lines, the site's own last.
        files: Vec<PathBuf>,
    },
}

/// Whose all new files are, when root works for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The journal and everything that is done under it.
pub(super) struct Journal {
    folder: PathBuf,
    owner: Option<Owner>,
    entries: Vec<Entry>,
    /// Locked as long as this lives, so that two do not work at once.
    file: File,
}

impl Journal {
    /// Opens the journal in this folder, which is made if it is missing; waits for nobody.
    pub(super) fn open(folder: &Path, owner: Option<Owner>) -> io::Result<Journal> {
        for folder in [folder, &folder.join("backup")] {
            make_folder(folder, 0o700, owner)?;
        }
        let path = folder.join("journal");
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(&path)?;
        give(&path, owner)?;
        if file.try_lock().is_err() {
            return Err(io::Error::other("another setup is at work on this site"));
        }
        let text = fs::read_to_string(&path)?;
        let whole = text
            .rfind('\n')
            .map_or("", |end| text.get(..=end).unwrap_or_default());
        let entries = whole.lines().map(serde_json::from_str::<Entry>);
        let entries = entries
            .collect::<Result<Vec<Entry>, _>>()
            .map_err(|_| io::Error::other(format!("{} cannot be read", path.display())))?;
        file.set_len(whole.len() as u64)?;
        Ok(Journal {
            folder: folder.to_owned(),
            owner,
            entries,
            file,
        })
    }

    /// What is installed according to the journal in this folder.
    pub(super) fn installed(&self) -> Option<&Installed> {
        self.entries.iter().rev().find_map(|entry| match entry {
            Entry::Done(installed) => Some(installed.as_ref()),
            _ => None,
        })
    }

    /// Whether the last run ended in the middle.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.entries.last(), None | Some(Entry::Done(_)))
    }

    /// Whether the last run, which ended in the middle, changed something in this folder.
    pub(super) fn touches(&self, folder: &Path) -> bool {
        let open = self.entries.iter().rev();
        let mut open = open.take_while(|entry| !matches!(entry, Entry::Done(_)));
        open.any(|entry| entry.path().starts_with(folder))
    }

    /// Whether nothing is written down.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Makes a folder that [`Journal::forget_scratch`] removes with all that is in it.
    pub(super) fn scratch(&mut self, path: &Path) -> io::Result<()> {
        self.note(Entry::Scratch {
            path: path.to_owned(),
        })?;
        make_folder(path, 0o755, self.owner)
    }

    /// A file to try something with, in a folder that is not ours.
    pub(super) fn scratch_file(&mut self, path: &Path, text: &str, mode: u32) -> io::Result<()> {
        self.note(Entry::Scratch {
            path: path.to_owned(),
        })?;
        self.plain(path, text, mode)
    }

    /// A file in a scratch folder.
    pub(super) fn plain(&self, path: &Path, text: &str, mode: u32) -> io::Result<()> {
        fs::write(path, text)?;
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        give(path, self.owner)
    }

    /// A folder in a scratch folder.
    pub(super) fn plain_folder(&self, path: &Path) -> io::Result<()> {
        make_folder(path, 0o755, self.owner)
    }

    /// Makes a folder of ours, if it is missing, and sets its mode.
    pub(super) fn folder(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        if !path.is_dir() {
            self.note(Entry::Folder {
                path: path.to_owned(),
            })?;
        }
        make_folder(path, mode, self.owner)?;
        fs::set_permissions(path, Permissions::from_mode(mode))
    }

    /// Writes a file of ours whole.
    pub(super) fn file(&mut self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        match fs::read(path) {
            Ok(old) if old == content => fs::set_permissions(path, Permissions::from_mode(mode)),
            Ok(old) => self.replace(path, &old, content, Some(mode)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.note(Entry::File {
                    path: path.to_owned(),
                    before: None,
                    after: digest(content),
                })?;
                put(path, content, mode, self.owner)
            }
            Err(error) => Err(error),
        }
    }

    /// Changes a file that others write too: under the lock that WordPress takes, from its content at this moment.
    pub(super) fn edit(
        &mut self,
        path: &Path,
        change: &dyn Fn(&[u8]) -> Vec<u8>,
    ) -> io::Result<()> {
        // A link stays a link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let locked = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.file(&path, &change(b""), 0o644);
            }
            Err(error) => return Err(error),
        };
        locked.lock()?;
        let old = fs::read(&path)?;
        let new = change(&old);
        if new == old {
            return Ok(());
        }
        self.replace(&path, &old, &new, None)
    }

    /// Ends well: what was noted stays as it is until `--undo`.
    pub(super) fn done(&mut self, installed: Installed) -> io::Result<()> {
        self.note(Entry::Done(Box::new(installed)))
    }

    /// Puts back what the last run left half done. Lists what could not be put back.
    pub(super) fn roll_back(&mut self) -> Vec<String> {
        let from = self
            .entries
            .iter()
            .rposition(|entry| matches!(entry, Entry::Done(_)))
            .map_or(0, |at| at + 1);
        self.put_back_from(from, Since::LastRun)
    }

    /// Puts back everything that is noted. Lists what could not be put back.
    pub(super) fn undo_all(&mut self) -> Vec<String> {
        self.put_back_from(0, Since::Done)
    }

    /// Puts back what the last run that went well has changed. Lists what could not be put back.
    pub(super) fn undo_last(&mut self) -> Vec<String> {
        let ends = self.entries.iter().enumerate();
        let ends = ends.filter(|(_, entry)| matches!(entry, Entry::Done(_)));
        let ends: Vec<usize> = ends.map(|(at, _)| at).collect();
        let from = ends.iter().rev().nth(1).map_or(0, |at| at + 1);
        self.put_back_from(from, Since::Done)
    }

    /// Removes all scratch folders and files.
    pub(super) fn forget_scratch(&mut self) -> io::Result<()> {
        let is_scratch = |entry: &&Entry| matches!(entry, Entry::Scratch { .. });
        for entry in self.entries.iter().filter(is_scratch) {
            put_back(entry, &self.folder, Since::LastRun)?;
        }
        let kept = self.entries.iter().filter(|entry| !is_scratch(entry));
        self.rewrite(kept.cloned().collect())
    }

    fn put_back_from(&mut self, from: usize, since: Since) -> Vec<String> {
        let mut failures = Vec::new();
        let mut stuck = Vec::new();
        for entry in self.entries.get(from..).unwrap_or_default().iter().rev() {
            if let Err(error) = put_back(entry, &self.folder, since) {
                failures.push(format!("{}: {error}", entry.path().display()));
                stuck.insert(0, entry.clone());
            }
        }
        let mut kept = self.entries.get(..from).unwrap_or_default().to_vec();
        kept.extend(stuck);
        if let Err(error) = self.rewrite(kept) {
            failures.push(format!("the journal: {error}"));
        }
        failures
    }

    fn replace(
        &mut self,
        path: &Path,
        old: &[u8],
        new: &[u8],
        mode: Option<u32>,
    ) -> io::Result<()> {
        let data = fs::metadata(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_start_matches('.');
        // A number for each, so that no backup is ever written over.
        let backup = (1..)
            .map(|number| format!("{number:04}-{name}"))
            .find(|name| !self.folder.join("backup").join(name).exists())
            .unwrap_or_default();
        put(
            &self.folder.join("backup").join(&backup),
            old,
            0o600,
            self.owner,
        )?;
        let was = Was {
            mode: data.mode() & 0o7777,
            uid: data.uid(),
            gid: data.gid(),
        };
        let before = Before {
            backup,
            digest: digest(old),
            was,
        };
        self.note(Entry::File {
            path: path.to_owned(),
            before: Some(before.clone()),
            after: digest(new),
        })?;
        let mode = mode.unwrap_or(was.mode);
        match swap(path, new, Was { mode, ..was })? {
            Swapped::Yes => Ok(()),
            Swapped::OwnerCannotBeKept => {
                self.note(Entry::InPlace {
                    path: path.to_owned(),
                    before,
                })?;
                write_in_place(path, new)
            }
        }
    }

    fn note(&mut self, entry: Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.entries.push(entry);
        Ok(())
    }

    /// Replaces the entries. The journal file itself stays, as the lock is on it.
    fn rewrite(&mut self, entries: Vec<Entry>) -> io::Result<()> {
        // Shortening is one step; what stands before an entry that goes is never changed.
        let keeps = |count: usize| -> io::Result<u64> {
            let lines = self.entries.iter().take(count);
            lines
                .map(|entry| Ok(serde_json::to_vec(entry)?.len() as u64 + 1))
                .sum()
        };
        let same = entries.iter().zip(&self.entries);
        let same = same
            .take_while(|(new, old)| serde_json::to_vec(new).ok() == serde_json::to_vec(old).ok())
            .count();
        self.file.set_len(keeps(same)?)?;
        self.entries.truncate(same);
        for entry in entries.into_iter().skip(same) {
            self.note(entry)?;
        }
        self.file.sync_data()
    }
}

impl Entry {
    pub(super) fn path(&self) -> &Path {
        match self {
            Entry::Scratch { path }
            | Entry::Folder { path }
            | Entry::File { path, .. }
            | Entry::InPlace { path, .. } => path,
            Entry::Done(installed) => &installed.wordpress,
        }
    }
}

/// What the journal in this folder says; for those who only look.
fn entries(folder: &Path) -> Vec<Entry> {
    let text = fs::read_to_string(folder.join("journal")).unwrap_or_default();
    let lines = text.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// What is installed, out of the journal in this folder.
pub(super) fn installed(folder: &Path) -> Option<Installed> {
    let entries = entries(folder).into_iter().rev();
    let mut done = entries.filter_map(|entry| match entry {
        Entry::Done(installed) => Some(*installed),
        _ => None,
    });
    done.next()
}

/// Whether the last run in this folder ended in the middle.
pub(super) fn was_interrupted(folder: &Path) -> bool {
    !matches!(entries(folder).last(), None | Some(Entry::Done(_)))
}
