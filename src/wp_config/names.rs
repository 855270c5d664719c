//! Names of tables, made only by checking: they are the one thing that gets into SQL unbound.

use std::fmt;

/// MySQL's limit for the name of a table, in bytes.
const LONGEST: usize = 64;

/// The longest name WordPress or this program puts behind a prefix, in bytes.
const LONGEST_SUFFIX: usize = 24;

/// A table name of `[A-Za-z0-9_$]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName(String);

impl TableName {
    /// Checks a name; none if it could be anything but the plain name of a table.
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        let fits = !name.is_empty() && name.len() <= LONGEST;
        (fits && name.bytes().all(is_plain)).then_some(Self(name))
    }

    /// The name, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands before the names of WordPress's tables, `wp_` by default; `[A-Za-z0-9_$]{0,40}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePrefix(String);

impl TablePrefix {
    /// Checks a prefix; none if it holds other characters or leaves no room for a name.
    pub fn new(prefix: impl Into<String>) -> Option<Self> {
        let prefix = prefix.into();
        let fits = prefix.len() + LONGEST_SUFFIX <= LONGEST;
        (fits && prefix.bytes().all(is_plain)).then_some(Self(prefix))
    }

    /// The name of a table of the network or the single site, such as `users`.
    pub fn table(&self, name: &str) -> Option<TableName> {
        TableName::new(format!("{}{name}", self.0))
    }

    /// The prefix of a site in a network: `wp_2_` for site 2, the base prefix for site 1.
    pub fn for_site(&self, site: u64) -> Option<Self> {
        match site {
            0 | 1 => Some(self.clone()),
            site => Self::new(format!("{}{site}_", self.0)),
        }
    }

    /// The prefix itself, for names of options and meta keys.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_prefixes_are_refused() {
        for prefix in [
            "wp_`; DROP TABLE x; --",
            "wp-",
            "wp_.",
            "wp ",
            "wp_\0",
            "wpé",
            "a\n",
        ] {
            assert_eq!(TablePrefix::new(prefix), None, "{prefix}");
            assert_eq!(TableName::new(format!("{prefix}users")), None, "{prefix}");
        }
        assert_eq!(TablePrefix::new("x".repeat(41)), None);
        assert!(TablePrefix::new("x".repeat(40)).is_some());
    }

    #[test]
    fn tables_are_named_after_site_and_network() {
        let prefix = TablePrefix::new("a$_").unwrap();
        assert_eq!(prefix.table("users").unwrap().as_str(), "a$_users");
        assert_eq!(prefix.for_site(12).unwrap().as_str(), "a$_12_");
        assert_eq!(prefix.for_site(1), Some(prefix.clone()));
        assert_eq!(prefix.table("users`"), None);
        assert_eq!(TableName::new(""), None);
        assert_eq!(TableName::new("x".repeat(65)), None);
        assert!(TablePrefix::new("").unwrap().table("users").is_some());
    }
}
