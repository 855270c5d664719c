//! Protocols of addresses: those that are not allowed are cut off, however they are disguised.
//!
//! Never looks behind the protocol.

use std::borrow::Cow;

use super::drop_controls;
use crate::clean::scan::{is_space, rewrite, span, trim};
use crate::clean::tables::elements::PROTOCOLS;
use crate::release::Release;

/// The address without a protocol that is not allowed; nothing if it hides too many (`wp_kses_bad_protocol`).
pub(in crate::clean) fn without_bad_protocol(address: &str, release: Release) -> String {
    let mut address = drop_zeros(&drop_controls(address));
    if release.at_least(6, 4) && (address.starts_with("https://") || address.starts_with("http://"))
    {
        return address;
    }
    for _ in 0..6 {
        let next = once(&address, 1);
        if next == address {
            return address;
        }
        address = next;
    }
    String::new()
}

/// Deletes zeros that follow backslashes, and the backslashes.
pub(super) fn drop_zeros(text: &str) -> String {
    rewrite(text, "\\", |after| {
        let (more, tail) = span(after, |c| c == '\\');
        let (zeros, rest) = span(tail, |c| c == '0');
        if zeros.is_empty() {
            return Some((Cow::Owned(format!("\\{more}")), tail));
        }
        Some((Cow::Borrowed(""), rest))
    })
}

fn once(address: &str, level: u8) -> String {
    let address = closed_colons(address);
    let Some((protocol, rest)) = split_at_colon(&address) else {
        return address;
    };
    if protocol.contains("/?") {
        return address;
    }
    let rest = trim(rest);
    match allowed(protocol) {
        None => rest.to_owned(),
        // feed: may stand before another protocol, twice.
        Some("feed") if level > 2 => String::new(),
        Some("feed") => match once(rest, level + 1) {
            inner if matches!(inner.as_str(), "" | "0") => inner,
            inner => format!("feed:{inner}"),
        },
        Some(known) => format!("{known}:{rest}"),
    }
}

/// Adds the semicolon that a numeric colon lacks.
fn closed_colons(address: &str) -> String {
    rewrite(address, "&#", |after| {
        let (colon, rest) = numeric_colon(after)?;
        let goes_on = |c: char| match colon.starts_with(['x', 'X']) {
            true => c == ';' || c.is_ascii_hexdigit(),
            false => c == ';' || c.is_ascii_digit(),
        };
        (!rest.starts_with(goes_on)).then(|| (Cow::Owned(format!("&#{colon};")), rest))
    })
}

/// 58 or x3a with any number of zeros before, and what follows.
fn numeric_colon(after: &str) -> Option<(&str, &str)> {
    let (prefix, digits, code) = match after.strip_prefix(['x', 'X']) {
        Some(digits) => (1, digits, "3a"),
        None => (0, after, "58"),
    };
    let zeros = span(digits, |c| c == '0').0.len();
    let (start, rest) = after.split_at_checked(prefix + zeros + code.len())?;
    let found = start.get(prefix + zeros..)?;
    found.eq_ignore_ascii_case(code).then_some((start, rest))
}

/// What stands before and after the first colon, plain or as a reference.
fn split_at_colon(address: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    loop {
        let tail = address.get(from..)?;
        let at = from + tail.find([':', '&'])?;
        let (before, tail) = address.split_at(at);
        let rest = tail.strip_prefix(':').or_else(|| {
            let after = tail.strip_prefix('&')?;
            if let Some(number) = after.strip_prefix('#') {
                return numeric_colon(number)?.1.strip_prefix(';');
            }
            let (name, rest) = after.split_at_checked("colon;".len())?;
            name.eq_ignore_ascii_case("colon;").then_some(rest)
        });
        if let Some(rest) = rest {
            return Some((before, rest));
        }
        from = at + 1;
    }
}

/// The allowed protocol that this stands for once references and white space are gone.
fn allowed(protocol: &str) -> Option<&'static str> {
    let mut plain = String::new();
    for byte in decoded(protocol) {
        // A byte outside ASCII cannot be part of a known protocol.
        plain.push(if byte.is_ascii() {
            char::from(byte)
        } else {
            '?'
        });
    }
    plain.retain(|c| !is_space(c));
    let plain = drop_zeros(&drop_controls(&plain)).to_ascii_lowercase();
    PROTOCOLS.iter().find(|known| **known == plain).copied()
}

/// Numeric references as single bytes, decimal ones first.
fn decoded(text: &str) -> Vec<u8> {
    let text = bytes_for_numbers(text.as_bytes(), |after| number(after, 10));
    bytes_for_numbers(&text, |after| match after {
        [b'x' | b'X', digits @ ..] => number(digits, 16),
        _ => None,
    })
}

fn bytes_for_numbers(text: &[u8], read: impl Fn(&[u8]) -> Option<(u8, &[u8])>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = match rest.strip_prefix(b"&#").and_then(&read) {
            Some((byte, beyond)) => {
                out.push(byte);
                beyond
            }
            None => {
                out.push(*first);
                tail
            }
        };
    }
    out
}

/// The lowest byte of a number that ends in a semicolon.
fn number(text: &[u8], base: u8) -> Option<(u8, &[u8])> {
    let mut value = None;
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        if *byte == b';' {
            return value.map(|value| (value, tail));
        }
        let digit = u8::try_from(char::from(*byte).to_digit(base.into())?).ok()?;
        value = Some(value.unwrap_or(0_u8).wrapping_mul(base).wrapping_add(digit));
        rest = tail;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::tests::{V6_1_9, V7_1_4};

    #[test]
    fn disguised_protocols_are_cut_off() {
        for (address, kept) in [
            ("javascript:alert(1)", "alert(1)"),
            ("java\u{1}script&#58;x", "x"),
            ("JaVa&#115;cript&#x3A;x", "x"),
            ("HTTP://e.x", "http://e.x"),
            ("feed:javascript:x", "feed:x"),
            ("feed:feed:feed:x", ""),
            ("a:b:c:d:e:f:g:h:i", ""),
            ("/?x=a:b", "/?x=a:b"),
            ("ma\\0ilto&colon;a@b.c", "mailto:a@b.c"),
        ] {
            for release in [V6_1_9, V7_1_4] {
                assert_eq!(without_bad_protocol(address, release), kept, "{address}");
            }
        }
    }
}
