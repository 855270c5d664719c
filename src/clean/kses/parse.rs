//! Attributes as they are written: up to 6.9 by rules of WordPress's own, from 7.0 as browsers read them.
//!
//! Never decides whether an attribute may stay.

use std::collections::BTreeSet;

use super::protocol::without_bad_protocol;
use crate::clean::entities::decode;
use crate::clean::scan::{is_space, span};
use crate::clean::tables::elements::ADDRESSES;
use crate::release::Release;

/// One attribute of an element.
pub(super) struct Attribute {
    pub(super) name: String,
    /// The value as it is checked: as written up to 6.9, with the five special characters encoded from 7.0.
    pub(super) value: String,
    /// The attribute as it is kept.
    pub(super) whole: String,
    pub(super) has_value: bool,
}

/// The attributes of an element, the first of each name.
pub(super) fn attributes(text: &str, release: Release) -> Vec<Attribute> {
    if release.at_least(7, 0) {
        return modern(text, release).unwrap_or_default();
    }
    Legacy::read(text, release)
}

struct Legacy {
    found: Vec<Attribute>,
    names: BTreeSet<String>,
    release: Release,
}

impl Legacy {
    fn read(text: &str, release: Release) -> Vec<Attribute> {
        let mut reader = Self {
            found: Vec::new(),
            names: BTreeSet::new(),
            release,
        };
        let mut rest = text;
        while !rest.is_empty() {
            // What makes no sense is skipped to the next blank outside quotation marks.
            rest = match reader.attribute(rest) {
                Ok(after) => after,
                Err(senseless) => skip(senseless),
            };
        }
        reader.found
    }

    /// Reads one attribute; what follows it, or the place where it stopped to make sense.
    fn attribute<'a>(&mut self, text: &'a str) -> Result<&'a str, &'a str> {
        if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err(text);
        }
        let (name, after) = span(text, |c| c.is_ascii_alphanumeric() || "-_:.".contains(c));
        let tail = after.trim_start_matches(is_space);
        if let Some(value) = tail.strip_prefix('=') {
            let value = value.trim_start_matches(is_space);
            return self.value(name, value);
        }
        if !after.is_empty() && tail.len() == after.len() {
            return Err(after);
        }
        self.add(name, "", '"', false);
        Ok(tail)
    }

    fn value<'a>(&mut self, name: &str, text: &'a str) -> Result<&'a str, &'a str> {
        for quote in ['"', '\''] {
            let Some((value, after)) = text
                .strip_prefix(quote)
                .and_then(|inside| inside.split_once(quote))
            else {
                continue;
            };
            if after.is_empty() || after.starts_with(is_space) {
                self.add(name, value, quote, true);
                return Ok(after.trim_start_matches(is_space));
            }
            if after == "/" || after == "/\n" {
                // WordPress keeps the value and then stumbles over it once more, to the same end.
                self.add(name, value, quote, true);
                return Err(text);
            }
        }
        let (value, after) = span(text, |c| !is_space(c) && c != '"' && c != '\'');
        if value.is_empty() || after.starts_with(['"', '\'']) {
            return Err(text);
        }
        self.add(name, value, '"', true);
        Ok(after.trim_start_matches(is_space))
    }

    fn add(&mut self, name: &str, value: &str, quote: char, has_value: bool) {
        if !self.names.insert(name.to_owned()) {
            return;
        }
        let value = safe(&name.to_ascii_lowercase(), value, self.release);
        let whole = match has_value {
            true => format!("{name}={quote}{value}{quote}"),
            false => name.to_owned(),
        };
        self.found.push(Attribute {
            name: name.to_owned(),
            value,
            whole,
            has_value,
        });
    }
}

/// What follows the next blank outside quotation marks, and the blanks after it.
fn skip(text: &str) -> &str {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if is_space(c) => {
                return text
                    .get(at..)
                    .unwrap_or_default()
                    .trim_start_matches(is_space);
            }
            None => {}
        }
    }
    ""
}

/// The value without a bad protocol where the attribute holds an address.
fn safe(lower_name: &str, value: &str, release: Release) -> String {
    match ADDRESSES.binary_search(&lower_name) {
        Ok(_) => without_bad_protocol(value, release),
        Err(_) => value.to_owned(),
    }
}

/// Nothing where a quotation mark stays open: the element then has no end.
fn modern(text: &str, release: Release) -> Option<Vec<Attribute>> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    let mut rest = text.trim_start_matches(is_gap);
    while let Some(first) = rest.chars().next() {
        // An equals sign in the first place belongs to the name.
        let (_, after_first) = rest.split_at_checked(first.len_utf8())?;
        let (_, after) = span(after_first, |c| !is_blank(c) && !"=/>".contains(c));
        let name = rest.strip_suffix(after)?.to_ascii_lowercase();
        let tail = after.trim_start_matches(is_blank);
        let (value, after) = match tail.strip_prefix('=') {
            Some(value) => modern_value(value.trim_start_matches(is_blank))
                .map(|(value, after)| (Some(value), after))?,
            None => (None, tail),
        };
        if names.insert(name.clone()) {
            found.push(modern_attribute(name, value, release));
        }
        rest = after.trim_start_matches(is_gap);
    }
    Some(found)
}

fn modern_value(text: &str) -> Option<(&str, &str)> {
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote) {
            return inside.split_once(quote);
        }
    }
    Some(span(text, |c| !is_blank(c) && c != '>'))
}

fn modern_attribute(name: String, value: Option<&str>, release: Release) -> Attribute {
    let Some(value) = value else {
        return Attribute {
            whole: name.clone(),
            name,
            value: String::new(),
            has_value: false,
        };
    };
    let value = decode(&value.replace("\r\n", "\n").replace('\r', "\n"));
    let value = encode(&safe(&name, &value, release));
    Attribute {
        whole: format!("{name}=\"{value}\""),
        name,
        value,
        has_value: true,
    }
}

/// The five special characters as references.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
}

/// White space of HTML.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0C' | '\r' | '\n')
}

fn is_gap(c: char) -> bool {
    is_blank(c) || c == '/'
}
