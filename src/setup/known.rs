//! The installations that this program can know of: one folder for each WordPress. Reads only.

use super::journal::{Installed, installed, was_interrupted};
use std::env;
use std::path::{Path, PathBuf};

/// The folder of the program in the owner's home; that of a second WordPress has a 2 behind it.
const OWN_FOLDER: &str = ".bento-webhooks";
/// So many of them are looked for.
const MOST: u8 = 30;

/// The folders that installations may have in this home.
fn folders(home: &Path) -> impl Iterator<Item = PathBuf> {
    (1..=MOST).map(|number| match number {
        1 => home.join(OWN_FOLDER),
        _ => home.join(format!("{OWN_FOLDER}-{number}")),
    })
}

/// Where the program for this WordPress goes: where it is, else to the first folder that serves no other one.
pub(super) fn place_for(home: &Path, wordpress: &Path) -> PathBuf {
    let is_here = |folder: &PathBuf| wordpress_of(folder).as_deref() == Some(wordpress);
    // Nobody's, or that of a WordPress that is no more.
    let is_free = |folder: &PathBuf| !wordpress_of(folder).is_some_and(|other| other.is_dir());
    let mut half_done = folders(home).filter(|folder| is_free(folder) && was_interrupted(folder));
    folders(home)
        .find(is_here)
        .or_else(|| half_done.next())
        .or_else(|| folders(home).find(is_free))
        .unwrap_or_else(|| home.join(OWN_FOLDER))
}

/// The folders of what is installed for the WordPress at or below `named`, or for any; if one was left in the middle of a
/// run, that.
pub(super) fn places_of(home: &Path, named: Option<&Path>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = folders(home).filter(|folder| is_used(folder)).collect();
    if let Some(named) = named {
        let is_exact = |place: &PathBuf| wordpress_of(place).as_deref() == Some(named);
        if let Some(place) = places.iter().find(|place| is_exact(place)) {
            return vec![place.clone()];
        }
        places.retain(|place| {
            wordpress_of(place).map_or(was_interrupted(place), |other| other.starts_with(named))
        });
    }
    match places.iter().find(|place| was_interrupted(place)) {
        Some(place) => vec![place.clone()],
        None => places,
    }
}

/// The first folder in which nothing is installed.
pub(super) fn unused(home: &Path) -> PathBuf {
    let mut unused = folders(home).filter(|folder| !is_used(folder));
    unused.next().unwrap_or_else(|| home.join(OWN_FOLDER))
}

/// The WordPress that an installation is for.
pub(super) fn wordpress_of(folder: &Path) -> Option<PathBuf> {
    installed(folder).map(|installed| installed.wordpress)
}

fn is_used(folder: &Path) -> bool {
    folder.join("journal").is_file()
}

/// The installations that are known here, each with its folder: that of this very program, and those in the owner's home.
pub fn installations() -> Vec<(PathBuf, Installed)> {
    let program = env::current_exe().ok();
    let own = program.and_then(|program| Some(program.parent()?.parent()?.to_owned()));
    let home = env::var_os("HOME").map(PathBuf::from);
    let others = home.iter().flat_map(|home| folders(home));
    let others = others.filter(|folder| own.as_ref() != Some(folder));
    let prefixes = own.iter().cloned().chain(others);
    prefixes
        .filter_map(|prefix| installed(&prefix).map(|installed| (prefix, installed)))
        .collect()
}
