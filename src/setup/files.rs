//! Files and folders: written whole or not at all, with the mode and owner that they shall have.

use super::journal::{Owner, Was};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

/// Behind the name of a file that is not yet in its place. `.ht…` stays `.ht…`, which no Apache hands out.
const NEW: &str = ".bento-webhooks-new";

/// How a replacement ended.
pub(super) enum Swapped {
    Yes,
    OwnerCannotBeKept,
}

pub(super) fn make_folder(path: &Path, mode: u32, owner: Option<Owner>) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    // Whatever the umask says: suEXEC refuses what a group may write.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    give(path, owner)
}

pub(super) fn give(path: &Path, owner: Option<Owner>) -> io::Result<()> {
    match owner {
        Some(owner) => chown(path, Some(owner.uid), Some(owner.gid)),
        None => Ok(()),
    }
}

/// The file that becomes `path`.
pub(super) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}{NEW}"))
}

/// Writes a new file in one step.
pub(super) fn put(path: &Path, content: &[u8], mode: u32, owner: Option<Owner>) -> io::Result<()> {
    let new = beside(path);
    write_whole(&new, content, mode)?;
    give(&new, owner)?;
    fs::rename(&new, path)
}

/// Replaces a file in one step, with this mode and owner; where those cannot be kept, does nothing and says so.
pub(super) fn swap(path: &Path, content: &[u8], was: Was) -> io::Result<Swapped> {
    let new = beside(path);
    write_whole(&new, content, was.mode)?;
    let data = fs::metadata(&new)?;
    let is_owned = (data.uid(), data.gid()) == (was.uid, was.gid);
    if is_owned || chown(&new, Some(was.uid), Some(was.gid)).is_ok() {
        // chown takes special bits away.
        fs::set_permissions(&new, Permissions::from_mode(was.mode))?;
        fs::rename(&new, path)?;
        return Ok(Swapped::Yes);
    }
    fs::remove_file(&new)?;
    Ok(Swapped::OwnerCannotBeKept)
}

/// Replaces the content of somebody else's file, which keeps its owner so.
pub(super) fn write_in_place(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn write_whole(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    gone(fs::remove_file(path))?;
    let mut options = OpenOptions::new();
    // Nobody else may read it before its own mode says so.
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// A file that is not there is as good as removed.
pub(super) fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
