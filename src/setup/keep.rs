//! Keeping our lines first in `.htaccess`, without anybody asking: done by `work` out of cron, never for a webhook.
//!
//! Other plugins put their lines above ours when their settings are saved, and a rule of theirs may then redirect or refuse
//! webhooks. So ours go to the top again, once for each such text: who puts the same above ours again insists on it. Lines
//! that are gone stay gone, because deleting them is how an owner switches the program off; doctor says so.

use super::files::{Swapped, put, swap};
use super::htaccess::{self, State};
use super::journal::{Installed, Journal, Routing, Was, installed};
use super::undo::home_page;
use crate::echo::digest;
use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The folder of the program in the owner's home.
const OWN_FOLDER: &str = ".bento-webhooks";
/// Holds the digest of the text that was changed last.
const MARK: &str = "kept-first";

/// The installations that are known here, each with its folder: that of this very program, and the one in the owner's home.
pub fn installations() -> Vec<(PathBuf, Installed)> {
    let program = env::current_exe().ok();
    let own = program.and_then(|program| Some(program.parent()?.parent()?.to_owned()));
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(OWN_FOLDER));
    let mut prefixes: Vec<PathBuf> = own.into_iter().chain(home).collect();
    prefixes.dedup();
    let installation = |prefix: PathBuf| {
        let installed = installed(&prefix)?;
        Some((prefix, installed))
    };
    prefixes.into_iter().filter_map(installation).collect()
}

/// Puts our lines first again, in the `.htaccess` files of all installations known here, where others stand above them.
/// Nothing of it is worth stopping for: what cannot be done is left for doctor to tell.
pub fn keep_first() {
    for (prefix, installed) in installations() {
        let _ = keep(&prefix, &installed);
    }
}

fn keep(prefix: &Path, installed: &Installed) -> io::Result<()> {
    let Routing::Htaccess { file, block, .. } = &installed.route else {
        return Ok(());
    };
    let is_below = |text: &[u8]| htaccess::state(text, block) == State::Below;
    if !is_below(&fs::read(file)?) {
        return Ok(());
    }
    // Setup and doctor hold the journal while they are at work.
    let journal = Journal::open(prefix, None)?;
    let mark = prefix.join(MARK);
    // A link stays a link; and the lock is the one that WordPress takes.
    let file = fs::canonicalize(file)?;
    let locked = File::open(&file)?;
    locked.lock()?;
    let old = fs::read(&file)?;
    let sum = digest(&old);
    let insists = fs::read_to_string(&mark).is_ok_and(|last| last == sum);
    if journal.is_open() || insists || !is_below(&old) {
        return Ok(());
    }
    put(&mark, sum.as_bytes(), 0o600, None)?;
    let data = fs::metadata(&file)?;
    let was = Was {
        mode: data.mode() & 0o7777,
        uid: data.uid(),
        gid: data.gid(),
    };
    let before = home_page(installed);
    let swapped = swap(&file, &htaccess::with_block(&old, block), was)?;
    if let (Swapped::Yes, Some((web, front))) = (swapped, before)
        && front.check(&web).is_err()
    {
        swap(&file, &old, was)?;
    }
    Ok(())
}
