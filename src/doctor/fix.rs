//! `--fix`: puts our own lines, files and modes back, and nothing else. Shows what will change, and asks.

use super::files;
use super::locate::Located;
use crate::command::say;
use crate::text::one_line;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};

/// Whether the owner has agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// Ask at the terminal.
    Ask,
    /// `--yes`.
    Given,
}

/// Repairs what can be; errs with one sentence.
pub(super) fn run(located: &Located, consent: Consent) -> Result<(), String> {
    let installation = located
        .installation()
        .ok_or("there is no journal of an installation here: run  sh install.sh")?;
    let repair = files::repair(installation).ok_or(
        "the routing is in nginx's own files: as root, run  sh install.sh --owner --recipe nginx",
    )?;
    let changes = repair.changes();
    if changes.is_empty() {
        say("Nothing of ours to put back.\n\n");
        return Ok(());
    }
    say("Will change\n");
    for (path, lines) in &changes {
        say(&format!(
            "  ~  {}\n",
            super::short(&one_line(&path.display().to_string()))
        ));
        for line in lines {
            say(&format!("       {}\n", one_line(line)));
        }
    }
    if consent == Consent::Ask && !agreed()? {
        return Err("nothing was changed".to_owned());
    }
    repair
        .apply(&installation.installed)
        .map_err(|error| format!("not everything could be put back: {error}"))?;
    say("Put back. What doctor sees now:\n\n");
    Ok(())
}

/// Asks at the terminal itself.
fn agreed() -> Result<bool, String> {
    let nobody = |_| "there is no terminal to ask at; add --yes".to_owned();
    let mut options = OpenOptions::new();
    let mut terminal = options
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(nobody)?;
    write!(terminal, "Go ahead? [Y/n] ").map_err(nobody)?;
    let mut answer = String::new();
    BufReader::new(terminal)
        .read_line(&mut answer)
        .map_err(nobody)?;
    Ok(["", "y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
