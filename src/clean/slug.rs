//! Slugs: what WordPress makes of a title for use in addresses.
//!
//! Never longer than 200 bytes: longer text is cut before the punctuation goes.

use std::borrow::Cow;
use std::fmt::Write;

use super::scan::{drop_references, hex_pair, is_space, rewrite, squeeze};
use super::tables::slug::{BLANKS, DROPPED, HYPHENS, HYPHENS_6_9};
use super::tags;
use crate::release::Release;

const LIMIT: usize = 200;

/// `sanitize_title_with_dashes` in the context of saving.
pub(super) fn with_dashes(title: &str, release: Release) -> String {
    let title = encoded(&lower_case(&kept_octets(&tags::strip(title)))).to_ascii_lowercase();
    let mut title = hyphenated(title, release);
    title = drop_references(&title).replace('.', "-");
    title.retain(|c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '%' | ' ' | '_' | '-')
    });
    squeeze(&squeeze(&title, is_space, '-'), |c| c == '-', '-')
        .trim_matches('-')
        .to_owned()
}

/// Percent codes stay, other percent signs go; `---41---` counts as `%41`, as it does in WordPress.
fn kept_octets(title: &str) -> String {
    let marked = rewrite(title, "%", |after| {
        let (pair, rest) = hex_pair(after)?;
        Some((Cow::Owned(format!("---{pair}---")), rest))
    });
    rewrite(&marked.replace('%', ""), "-", |after| {
        let (pair, rest) = hex_pair(after.strip_prefix("--")?)?;
        Some((Cow::Owned(format!("%{pair}")), rest.strip_prefix("---")?))
    })
}

/// Letter by letter: before 8.3 PHP knows no final sigma.
fn lower_case(title: &str) -> String {
    title.chars().flat_map(char::to_lowercase).collect()
}

/// Percent-encodes what is not ASCII, as far as the whole fits.
fn encoded(title: &str) -> String {
    let mut out = String::new();
    let mut buffer = [0; 4];
    for c in title.chars() {
        let bytes = c.encode_utf8(&mut buffer).as_bytes();
        let size = if c.is_ascii() { 1 } else { bytes.len() * 3 };
        if out.len() + size > LIMIT {
            break;
        }
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        for byte in bytes {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

/// The text is short here, so one pass for each entry is cheap.
fn hyphenated(mut title: String, release: Release) -> String {
    let late = if release.at_least(6, 9) {
        HYPHENS_6_9
    } else {
        &[]
    };
    for mark in HYPHENS.iter().chain(late) {
        title = title.replace(mark, "-");
    }
    title = title.replace('/', "-");
    for mark in DROPPED {
        title = title.replace(mark, "");
    }
    for mark in BLANKS {
        title = title.replace(mark, "-");
    }
    title.replace("%c3%97", "x")
}
