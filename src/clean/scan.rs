//! Small scanners shared by the cleaners; each reads its text once.
//!
//! Never uses the white space of Unicode: what PHP calls white space is ASCII.

use std::borrow::Cow;

/// PHP's `\s`.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ')
}

/// PHP's `trim`.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_trimmed)
}

/// PHP's `ltrim`.
pub(super) fn trim_start(text: &str) -> &str {
    text.trim_start_matches(is_trimmed)
}

/// What PHP's `trim` takes away.
pub(super) fn is_trimmed(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\0' | '\x0B')
}

/// The longest start made of such characters, and what follows it.
pub(super) fn span(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// Where an ASCII word begins, in whatever case.
pub(super) fn find_ignore_case(text: &str, word: &str) -> Option<usize> {
    text.as_bytes()
        .windows(word.len())
        .position(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether an ASCII word stands at the start, in whatever case.
pub(super) fn starts_with_ignore_case(text: &str, word: &str) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Offers the text after each `mark` to `replace`, which says what stands for the mark and where to go on.
pub(super) fn rewrite<'a>(
    text: &'a str,
    mark: &str,
    mut replace: impl FnMut(&'a str) -> Option<(Cow<'a, str>, &'a str)>,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        out.push_str(before);
        rest = match replace(after) {
            Some((instead, beyond)) => {
                out.push_str(&instead);
                beyond
            }
            None => {
                out.push_str(mark);
                after
            }
        };
    }
    out.push_str(rest);
    out
}

/// Each run of such characters becomes one `instead`.
pub(super) fn squeeze(text: &str, belongs: impl Fn(char) -> bool, instead: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        let member = belongs(c);
        if !member {
            out.push(c);
        } else if !inside {
            out.push(instead);
        }
        inside = member;
    }
    out
}

/// Two hexadecimal digits at the start, and what follows them.
pub(super) fn hex_pair(text: &str) -> Option<(&str, &str)> {
    let (pair, rest) = text.split_at_checked(2)?;
    pair.bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then_some((pair, rest))
}

/// Deletes every `%hh`, once: what then closes up to a new one stays.
pub(super) fn drop_octets(text: &str) -> String {
    rewrite(text, "%", |after| {
        hex_pair(after).map(|(_, rest)| (Cow::Borrowed(""), rest))
    })
}

/// Deletes `%hh` until none is left.
///
/// Octets cannot overlap, so the order of deletions does not matter and one pass that looks back is enough.
pub(super) fn drop_all_octets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match out.as_bytes() {
            [.., b'%', high] if c.is_ascii_hexdigit() && high.is_ascii_hexdigit() => {
                out.truncate(out.len() - 2);
            }
            _ => out.push(c),
        }
    }
    out
}

/// Deletes everything from an `&` to the next `;` of its line, with at least one character between.
pub(super) fn drop_references(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('&') {
            let mut tail = after.chars();
            tail.next();
            // Without a semicolon ahead no later `&` of the line can match either.
            let Some((_, beyond)) = tail.as_str().split_once(';') else {
                break;
            };
            out.push_str(before);
            rest = beyond;
        }
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_that_close_up_vanish_only_where_asked() {
        assert_eq!(
            drop_all_octets("a%%2020b%4%414c%é1"),
            "ab%44c%é1".replace("%44", "")
        );
        assert_eq!(drop_octets("a%%2020b"), "a%20b");
        assert_eq!(drop_all_octets("100%ab%zz%4"), "100%zz%4");
    }

    #[test]
    fn references_end_at_the_next_semicolon_of_their_line() {
        assert_eq!(
            drop_references("a&amp;b&;c;d& e\n;&\n;f&g"),
            "abd& e\n;&\n;f&g"
        );
    }

    #[test]
    fn words_are_found_in_any_case() {
        assert_eq!(find_ignore_case("ab</ScRiPt", "</script"), Some(2));
        assert_eq!(find_ignore_case("é", "</script"), None);
    }
}
