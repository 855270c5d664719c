//! Data of the cleaners, as constants: nothing is built or parsed at start.
//!
//! What a release added carries the branch it came with, so one table serves all releases.

use crate::release::Release;

pub(super) mod accents;
pub(super) mod elements;
pub(super) mod entities;
pub(super) mod slug;
pub(super) mod styles;

/// The branch an entry came with, major and minor.
pub(super) type Since = (u16, u16);

/// What a sorted table holds for a key.
pub(super) fn find<K: Ord + Copy, V: Copy>(table: &[(K, V)], key: K) -> Option<V> {
    let at = table.binary_search_by_key(&key, |entry| entry.0).ok()?;
    table.get(at).map(|entry| entry.1)
}

/// Whether a table of additions holds a name for this release.
pub(super) fn has(table: &[(&str, Since)], name: &str, release: Release) -> bool {
    table
        .iter()
        .any(|(known, (major, minor))| *known == name && release.at_least(*major, *minor))
}
