//! The release of WordPress a site runs.
//!
//! Never guesses: the caller reads it out of the site's files.

/// A WordPress release, as in 6.8.12.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Release {
    /// The 6 of 6.8.12.
    pub major: u16,
    /// The 8 of 6.8.12.
    pub minor: u16,
    /// The 12 of 6.8.12.
    pub patch: u16,
}

impl Release {
    /// Whether this is the given branch or a later one.
    pub fn at_least(self, major: u16, minor: u16) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}
