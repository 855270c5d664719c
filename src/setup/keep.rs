//! Keeping our lines first in `.htaccess`, without anybody asking: done by `work` out of cron, never for a webhook.
//!
//! Other plugins put their lines above ours when their settings are saved, and a rule of theirs may then redirect or refuse
//! webhooks. So ours go to the top again, once for each such text: who puts the same above ours again insists on it. Lines
//! that are gone stay gone, because deleting them is how an owner switches the program off; doctor says so.

use super::files::{Swapped, put, swap};
use super::htaccess::{self, State};
use super::journal::{Installed, Journal, Routing, Was};
use super::known::installations;
use super::undo::home_page;
use crate::echo::digest;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Holds the digest of the text that was changed last.
const MARK: &str = "kept-first";

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
    let mark = prefix.join(MARK);
    let is_to_change = |text: &[u8]| {
        let insists = fs::read_to_string(&mark).is_ok_and(|last| last == digest(text));
        htaccess::state(text, block) == State::Below && !insists
    };
    if !is_to_change(&fs::read(file)?) {
        return Ok(());
    }
    // Setup and doctor hold the journal while they are at work.
    let journal = Journal::open(prefix, None)?;
    let before = home_page(installed);
    // A link stays a link; and the lock is the one that WordPress takes.
    let file = fs::canonicalize(file)?;
    let locked = File::open(&file)?;
    locked.lock()?;
    let old = fs::read(&file)?;
    if journal.is_open() || !is_to_change(&old) {
        return Ok(());
    }
    put(&mark, digest(&old).as_bytes(), 0o600, None)?;
    let data = fs::metadata(&file)?;
    let was = Was {
        mode: data.mode() & 0o7777,
        uid: data.uid(),
        gid: data.gid(),
    };
    let swapped = swap(&file, &htaccess::with_block(&old, block), was)?;
    if let (Swapped::Yes, Some((web, front))) = (swapped, before)
        && front.check(&web).is_err()
    {
        swap(&file, &old, was)?;
    }
    Ok(())
}
