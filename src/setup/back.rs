//! Putting one change back, whether it happened whole, half or not at all, and whatever others did to the file since.

use super::files::{Swapped, beside, gone, swap, write_in_place};
use super::journal::{Before, Entry, Since, Was};
use super::{htaccess, nginx};
use crate::echo::digest;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Undoes one entry; it may have happened, half or not at all, and others may have changed the file since.
pub(super) fn put_back(entry: &Entry, folder: &Path, since: Since) -> io::Result<()> {
    match entry {
        Entry::Done(_) => Ok(()),
        Entry::Scratch { path } if path.is_dir() => fs::remove_dir_all(path),
        Entry::Scratch { path } => gone(fs::remove_file(path)),
        Entry::Folder { path } => match fs::remove_dir(path) {
            // Somebody else keeps something in it.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            result => gone(result),
        },
        Entry::InPlace { path, before } => {
            let (old, now) = (backup(folder, before)?, fs::read(path)?);
            // Cut short while it was written; or, in a run that nobody saw the end of, whatever it is now.
            let is_cut = old.len() > now.len() && old.starts_with(&now);
            match since == Since::LastRun || is_cut {
                true => write_in_place(path, &old),
                false => Ok(()),
            }
        }
        Entry::File {
            path,
            before,
            after,
        } => {
            gone(fs::remove_file(beside(path)))?;
            let now = match fs::read(path) {
                Ok(now) => Some(now),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            match (before, now) {
                (None, None) => Ok(()),
                (None, Some(now)) => unmake(path, &now, after),
                (Some(before), now) => {
                    let now = now.as_deref().map(digest);
                    if now.as_ref() == Some(&before.digest) {
                        // The content never changed; mode and owner were kept with it.
                        return Ok(());
                    }
                    if now.as_ref() == Some(after) || now.is_none() {
                        return restore(path, &backup(folder, before)?, before.was);
                    }
                    take_lines_away(path)
                }
            }
        }
    }
}

/// Removes a file that was not there before. Others may have written into a `.htaccess` meanwhile: their lines stay.
fn unmake(path: &Path, now: &[u8], after: &str) -> io::Result<()> {
    if digest(now) != after && is_shared(path) {
        return take_lines_away(path);
    }
    gone(fs::remove_file(path))
}

/// A file that others changed after us: only our own lines go.
fn take_lines_away(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    file.lock()?;
    let now = fs::read(path)?;
    let new = match is_shared(path) {
        true => htaccess::without_block(&now),
        false => nginx::without_include(&now),
    };
    if new == now {
        return Ok(());
    }
    let data = fs::metadata(path)?;
    let was = Was {
        mode: data.mode() & 0o7777,
        uid: data.uid(),
        gid: data.gid(),
    };
    restore(path, &new, was)
}

/// The former content of a file.
fn backup(folder: &Path, before: &Before) -> io::Result<Vec<u8>> {
    fs::read(folder.join("backup").join(&before.backup))
}

/// Gives a file this content, mode and owner.
fn restore(path: &Path, content: &[u8], was: Was) -> io::Result<()> {
    match swap(path, content, was)? {
        Swapped::Yes => Ok(()),
        Swapped::OwnerCannotBeKept => write_in_place(path, content),
    }
}

/// Whether others write that file too.
fn is_shared(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == ".htaccess")
}
