//! What of an installation is no longer as setup wrote it, and putting that back, for doctor. Reads only, until asked.

use super::htaccess::{self, State};
use super::journal::{Installed, Journal, Owner, Routing};
use super::place::Place;
use super::plan::{Plan, Runner, program_in};
use super::recipe;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What is wrong with a file or folder of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not there, or cannot be read.
    Missing,
    /// Its content is another.
    Changed,
    /// The same lines, but they end as on Windows.
    LineEnds,
    /// It belongs to somebody else than WordPress's files: holds both user ids, its own first.
    Owner(u32, u32),
    /// Its mode is not the one that setup gave it: holds both, its own first.
    Mode(u32, u32),
}

/// An installation, compared with what setup would write.
pub struct Repair {
    prefix: PathBuf,
    owner: Owner,
    plan: Plan,
    runner: Runner,
}

impl Repair {
    /// The installation under this folder; none where the routing is not in a `.htaccess`.
    pub fn of(prefix: &Path, installed: &Installed) -> Option<Repair> {
        let Routing::Htaccess {
            rung,
            file,
            block,
            stub,
        } = &installed.route
        else {
            return None;
        };
        let target = recipe::target(block)?;
        let place = Place {
            rung: *rung,
            folder: stub
                .parent()
                .filter(|_| rung.is_own_folder())
                .map(Path::to_owned),
            folder_path: target.rsplit_once('/')?.0.to_owned(),
            stub: stub.clone(),
            target: target.to_owned(),
        };
        let closed = fs::metadata(prefix.join("bin")).is_ok_and(|data| data.mode() & 0o077 == 0);
        let runner = if closed { Runner::Owner } else { Runner::Other };
        let data = fs::metadata(&installed.wordpress).ok()?;
        Some(Repair {
            runner,
            prefix: prefix.to_owned(),
            owner: Owner {
                uid: data.uid(),
                gid: data.gid(),
            },
            plan: Plan::with_block(
                &installed.wordpress,
                file,
                block.clone(),
                &place,
                prefix,
                runner,
            ),
        })
    }

    /// How our lines in WordPress's `.htaccess` are, and where that is.
    pub fn block(&self) -> Option<(&Path, State)> {
        let Routing::Htaccess { file, block, .. } = &self.plan.route else {
            return None;
        };
        let text = fs::read(file).unwrap_or_default();
        Some((file, htaccess::state(&text, block)))
    }

    /// What is wrong with the files and folders in the web root.
    pub fn in_web_root(&self) -> Vec<(PathBuf, Fault)> {
        self.faults(|path| !path.starts_with(&self.prefix))
    }

    /// What is wrong with those outside of it.
    pub fn outside(&self) -> Vec<(PathBuf, Fault)> {
        self.faults(|path| path.starts_with(&self.prefix))
    }

    fn faults(&self, is_asked: impl Fn(&Path) -> bool) -> Vec<(PathBuf, Fault)> {
        let folders = self.plan.folders();
        let folders = folders
            .filter_map(|(path, mode)| Some((path.to_owned(), self.fault(path, None, mode)?)));
        let files = self.plan.files();
        let files = files.filter_map(|(path, content, mode)| {
            Some((path.to_owned(), self.fault(path, Some(content), mode)?))
        });
        let program = program_in(&self.prefix);
        let fault = self.fault(&program, None, self.runner.modes().1);
        folders
            .chain(fault.map(|fault| (program, fault)))
            .chain(files)
            .filter(|(path, _)| is_asked(path))
            .collect()
    }

    fn fault(&self, path: &Path, content: Option<&[u8]>, mode: u32) -> Option<Fault> {
        let Ok(data) = fs::metadata(path) else {
            return Some(Fault::Missing);
        };
        let now = match content {
            Some(_) => fs::read(path).ok(),
            None => None,
        };
        if let (Some(content), Some(now)) = (content, now)
            && now != content
        {
            let bare: Vec<u8> = now.iter().copied().filter(|byte| *byte != b'\r').collect();
            return Some(if bare == content {
                Fault::LineEnds
            } else {
                Fault::Changed
            });
        }
        let own = data.mode() & 0o7777;
        match (data.uid() == self.owner.uid, own == mode) {
            (false, _) => Some(Fault::Owner(data.uid(), self.owner.uid)),
            (true, false) => Some(Fault::Mode(own, mode)),
            (true, true) => None,
        }
    }

    /// What [`Repair::apply`] would change: a path and the lines that go and come, or the mode.
    pub fn changes(&self) -> Vec<(PathBuf, Vec<String>)> {
        let mut changes = self.plan.differences();
        for (path, fault) in self.faults(|_| true) {
            if let Fault::Mode(own, mode) = fault {
                changes.push((path, vec![format!("mode {own:o} -> {mode:o}")]));
            }
        }
        changes
    }

    /// Puts all of it back, under the journal, so that it can be undone.
    pub fn apply(&self, installed: &Installed) -> io::Result<()> {
        let is_root = super::look::own_uid() == Some(0);
        let mut journal = Journal::open(&self.prefix, is_root.then_some(self.owner))?;
        if let Err(error) = self.write(&mut journal) {
            journal.roll_back();
            return Err(error);
        }
        journal.done(installed.clone())
    }

    fn write(&self, journal: &mut Journal) -> io::Result<()> {
        self.plan.write_own(journal)?;
        self.plan.write_shared(journal)?;
        for (path, fault) in self.faults(|_| true) {
            if let Fault::Mode(_, mode) = fault {
                fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            }
        }
        Ok(())
    }
}
