//! The installations that this program can know of. Reads only.

use super::journal::{Installed, installed};
use std::env;
use std::path::{Path, PathBuf};

/// The folder of the program in the owner's home.
const OWN_FOLDER: &str = ".bento-webhooks";

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
