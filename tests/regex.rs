//! What stands in for the crate `regex` reads what the database client reads with it.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use regex::bytes::Regex;

#[test]
fn versions_and_dates_are_read_as_with_the_crate() {
    let versions: [(&str, &[u8], &[&str]); 5] = [
        (
            r"^(?:5.5.5-)?(\d{1,2})\.(\d{1,2})\.(\d{1,3})-MariaDB",
            b"5.5.5-10.11.19-MariaDB-0+deb12u1",
            &["5.5.5-10.11.19-MariaDB", "10", "11", "19"],
        ),
        (
            r"^(?:5.5.5-)?(\d{1,2})\.(\d{1,2})\.(\d{1,3})-MariaDB",
            b"8.0.36",
            &[],
        ),
        (
            r"^(\d{1,2})\.(\d{1,2})\.(\d{1,3})(.*)",
            b"8.0.36-28.1",
            &["8.0.36-28.1", "8", "0", "36", "-28.1"],
        ),
        (r"^\d{2}:[0-5]\d:[0-5]\d$", b"23:59:07", &["23:59:07"]),
        (r"^\d{2}:[0-5]\d:[0-5]\d$", b"23:59:\xff", &[]),
    ];
    for (pattern, text, groups) in versions {
        let pattern = Regex::new(pattern).unwrap();
        assert_eq!(pattern.is_match(text), !groups.is_empty(), "{pattern:?}");
        let found = pattern.captures(text);
        for (number, group) in groups.iter().enumerate() {
            let found = found.as_ref().unwrap().get(number).unwrap();
            assert_eq!(found.as_bytes(), group.as_bytes(), "{pattern:?}");
        }
    }
    let broken = "(".to_owned();
    assert!(Regex::new(&broken).is_err());
}
