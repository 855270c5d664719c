//! WordPress releases, as `$wp_version` in `wp-includes/version.php` names them.
//!
//! The option `db_version` is no substitute: it stands still across releases that behave differently.

use std::fmt;

/// A release such as 6.8.12; what follows the numbers (`-RC1`, `-alpha-12345`) is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// The 6 of 6.8.12.
    pub major: u16,
    /// The 8 of 6.8.12.
    pub minor: u16,
    /// The 12 of 6.8.12.
    pub patch: u16,
}

impl Release {
    /// Makes a release from its three numbers.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Reads `6.8`, `6.8.12` or `7.1-beta2-60000`; none when it does not start with two numbers.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |byte: char| byte.is_ascii_digit() || byte == '.';
        let end = text.find(|byte| !digits(byte)).unwrap_or(text.len());
        let (numbers, rest) = text.split_at(end);
        if !(rest.is_empty() || rest.starts_with('-')) {
            return None;
        }
        let mut numbers = numbers.split('.').map(str::parse);
        let major = numbers.next()?.ok()?;
        let minor = numbers.next()?.ok()?;
        let patch = numbers.next().unwrap_or(Ok(0)).ok()?;
        numbers
            .next()
            .is_none()
            .then(|| Self::new(major, minor, patch))
    }

    /// Whether this is release `major.minor` or a later one.
    pub fn at_least(self, major: u16, minor: u16) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

impl fmt::Display for Release {
    /// Writes as WordPress does: `6.8` without a patch number of 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.patch {
            0 => Ok(()),
            patch => write!(f, ".{patch}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_wordpress_are_read() {
        for (text, expected) in [
            ("6.8.12", Some((6, 8, 12))),
            ("6.8", Some((6, 8, 0))),
            ("7.1-beta2-60000", Some((7, 1, 0))),
            ("6.8.1-RC1", Some((6, 8, 1))),
            ("6", None),
            ("6.", None),
            (".6.8", None),
            ("6.8x", None),
            ("6.8.1.2", None),
            ("6.70000", None),
            ("", None),
        ] {
            let expected = expected.map(|(major, minor, patch)| Release::new(major, minor, patch));
            assert_eq!(Release::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn order_is_by_number_and_not_by_text() {
        let release = |text| Release::parse(text).unwrap();
        assert!(release("6.10") > release("6.9.1"));
        assert!(release("6.8").at_least(6, 8));
        assert!(release("7.0").at_least(6, 8));
        assert!(!release("6.7.7").at_least(6, 8));
        assert_eq!(release("6.8.0-RC2").to_string(), "6.8");
        assert_eq!(release("6.1.12").to_string(), "6.1.12");
    }
}
