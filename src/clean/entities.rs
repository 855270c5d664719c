//! Character references: which stay, what is written as one, what is read back.
//!
//! Never reads a reference without its semicolon.

use std::borrow::Cow;

use super::scan::{rewrite, span};
use super::tables::{entities::NAMED, find};
use crate::release::Release;

/// Writes each `&` as `&amp;` unless it begins a reference that WordPress knows (`wp_kses_normalize_entities`).
pub(super) fn normalize(text: &str, release: Release) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let text = text.replace('&', "&amp;");
    if release.at_least(6, 9) {
        return named(&hexadecimal(&decimal(&text, release), release));
    }
    // Up to 6.8 names come first, so that `&amp;#39;` turns into `&#039;`.
    hexadecimal(&decimal(&named(&text), release), release)
}

fn named(text: &str) -> String {
    rewrite(text, "&amp;", |after| {
        let (name, rest) = span(after, |c| c.is_ascii_alphanumeric());
        find(NAMED, name)?;
        let rest = rest.strip_prefix(';')?;
        Some((Cow::Owned(format!("&{name};")), rest))
    })
}

fn decimal(text: &str, release: Release) -> String {
    rewrite(text, "&amp;#", |after| {
        let (digits, rest) = span(after, |c| c.is_ascii_digit());
        let rest = rest.strip_prefix(';')?;
        if digits == "0" && zero_vanishes(release) {
            return Some((Cow::Borrowed(""), rest));
        }
        let significant = digits.trim_start_matches('0');
        if significant.len() > 7 || !is_text(significant.parse().ok()?) {
            return None;
        }
        Some((Cow::Owned(format!("&#{significant:0>3};")), rest))
    })
}

fn hexadecimal(text: &str, release: Release) -> String {
    rewrite(text, "&amp;#", |after| {
        let (digits, rest) = span(after.strip_prefix(['x', 'X'])?, |c| c.is_ascii_hexdigit());
        let rest = rest.strip_prefix(';')?;
        if digits == "0" && zero_vanishes(release) {
            return Some((Cow::Borrowed(""), rest));
        }
        let significant = digits.trim_start_matches('0');
        if significant.len() > 6 || !is_text(u32::from_str_radix(significant, 16).ok()?) {
            return None;
        }
        Some((Cow::Owned(format!("&#x{significant};")), rest))
    })
}

/// 6.1 lost `&#0;`; its last security releases show it as text like every later branch.
fn zero_vanishes(release: Release) -> bool {
    !release.at_least(6, 2) && release.patch < 12
}

/// The characters of XML text.
fn is_text(code: u32) -> bool {
    matches!(code, 0x9 | 0xA | 0xD | 0x20..=0xD7FF | 0xE000..=0xFFFD | 0x1_0000..=0x10_FFFF)
}

/// `esc_html`: `& < > " '` written as references, without encoding references twice.
pub(super) fn escape(text: &str, release: Release) -> String {
    escape_angles(text, release)
        .replace('"', "&quot;")
        .replace('\'', "&#039;")
}

/// `_wp_specialchars` as it stands: `& < >` only, without encoding references twice.
pub(super) fn escape_angles(text: &str, release: Release) -> String {
    // PHP does not know `&apos;` in HTML 4 and encodes it.
    normalize(text, release)
        .replace("&apos;", "&amp;apos;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// `htmlspecialchars_decode` of PHP 8.1 and later: `& < > " '`, by name (but for `'`) or number, once.
pub(crate) fn decode_special(text: &str) -> String {
    rewrite(text, "&", |after| {
        let (name, rest) = reference(after)?;
        let c = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            _ => numbered(name).filter(|c| matches!(c, '&' | '<' | '>' | '"' | '\''))?,
        };
        Some((Cow::Owned(c.to_string()), rest))
    })
}

/// Reads all references of an attribute value, as HTML 5 does.
pub(super) fn decode(text: &str) -> String {
    rewrite(text, "&", |after| {
        let (name, rest) = reference(after)?;
        let c = find(NAMED, name).or_else(|| numbered(name).map(unmistaken))?;
        Some((Cow::Owned(c.to_string()), rest))
    })
}

/// What stands between `&` and `;`, and what follows.
fn reference(after: &str) -> Option<(&str, &str)> {
    let (name, rest) = span(after, |c| c.is_ascii_alphanumeric() || c == '#');
    Some((name, rest.strip_prefix(';')?))
}

fn numbered(name: &str) -> Option<char> {
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u32::from_str_radix(digits, 16)
        }
        Some(_) => return None,
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}

/// Numbers 128 to 159 mean the characters of Windows-1252.
fn unmistaken(c: char) -> char {
    const WINDOWS: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž',
        '\u{8F}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}',
        'ž', 'Ÿ',
    ];
    let at = u32::from(c).wrapping_sub(0x80);
    usize::try_from(at)
        .ok()
        .and_then(|at| WINDOWS.get(at))
        .copied()
        .unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::tests::{V6_1_9, V6_8_12, V7_1_4};

    #[test]
    fn references_are_normalized_in_the_order_of_the_release() {
        for (text, old, new) in [
            ("&amp;#39;", "&#039;", "&amp;#39;"),
            (
                "&#39;&#x0041;&#00;",
                "&#039;&#x41;&amp;#00;",
                "&#039;&#x41;&amp;#00;",
            ),
            (
                "&nbsp;&Nbsp;&",
                "&nbsp;&amp;Nbsp;&amp;",
                "&nbsp;&amp;Nbsp;&amp;",
            ),
            (
                "&#xFFFE;&#12345678;",
                "&amp;#xFFFE;&amp;#12345678;",
                "&amp;#xFFFE;&amp;#12345678;",
            ),
        ] {
            assert_eq!(normalize(text, V6_8_12), old, "{text}");
            assert_eq!(normalize(text, V7_1_4), new, "{text}");
        }
        assert_eq!(normalize("a&#0;b&#x0;c", V6_1_9), "abc");
    }

    #[test]
    fn decoding_happens_once() {
        assert_eq!(
            decode_special("&amp;lt;&#60;&#x3E;&apos;&#0039;&nbsp;&#65;"),
            "&lt;<>&apos;'&nbsp;&#65;"
        );
        assert_eq!(decode("&rang;&#x80;&amp;lt;&apos;"), "\u{27e9}€&lt;'");
    }
}
