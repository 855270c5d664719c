//! Stands in for the crate `regex` where the database client uses it: for numbers in versions and dates.
//!
//! The client compiles two patterns at every connect. With the Unicode classes of `regex` that is two fifths of all
//! instructions of a webhook and a megabyte of memory, for `\d` means some 700 characters there; here it means ten.
#![forbid(unsafe_code)]

/// Patterns for bytes.
pub mod bytes {
    use regex_lite::{Captures as Groups, Match as Group};

    /// A pattern. Bytes that are not UTF-8 never match.
    #[derive(Debug, Clone)]
    pub struct Regex(regex_lite::Regex);

    impl Regex {
        /// Compiles a pattern; errs when it is none.
        pub fn new(pattern: &str) -> Result<Regex, regex_lite::Error> {
            regex_lite::Regex::new(pattern).map(Regex)
        }

        /// Whether the pattern is found.
        pub fn is_match(&self, bytes: &[u8]) -> bool {
            std::str::from_utf8(bytes).is_ok_and(|text| self.0.is_match(text))
        }

        /// The first place where the pattern is found.
        pub fn captures<'b>(&self, bytes: &'b [u8]) -> Option<Captures<'b>> {
            self.0
                .captures(std::str::from_utf8(bytes).ok()?)
                .map(Captures)
        }
    }

    /// The groups of a place where a pattern was found.
    #[derive(Debug)]
    pub struct Captures<'b>(Groups<'b>);

    impl<'b> Captures<'b> {
        /// A group by its number; 0 is the whole.
        pub fn get(&self, number: usize) -> Option<Match<'b>> {
            self.0.get(number).map(Match)
        }
    }

    /// One group.
    #[derive(Debug, Clone, Copy)]
    pub struct Match<'b>(Group<'b>);

    impl<'b> Match<'b> {
        /// What the group has matched.
        pub fn as_bytes(&self) -> &'b [u8] {
            self.0.as_str().as_bytes()
        }
    }
}
