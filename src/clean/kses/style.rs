//! Inline styles: rule by rule, only known properties with harmless values stay.
//!
//! Never parses CSS: a semicolon ends a rule wherever it stands.

use super::drop_controls;
use super::protocol::{drop_zeros, without_bad_protocol};
use crate::clean::scan::trim;
use crate::clean::tables::has;
use crate::clean::tables::styles::{
    FUNCTIONS, PROPERTIES, PROPERTIES_7_1, PROPERTIES_LATER, WITH_ADDRESS,
};
use crate::release::Release;

/// Addresses or gradients in one rule; a rule with more is dropped.
const MOST_PARTS: usize = 64;

/// The rules of a style that are allowed (`safecss_filter_attr`).
pub(super) fn cleaned(style: &str, release: Release) -> String {
    let mut style = drop_zeros(&drop_controls(style));
    style.retain(|c| !matches!(c, '\n' | '\r' | '\t'));
    let mut kept = String::new();
    for rule in trim(&style).split(';').filter(|rule| !rule.is_empty()) {
        let rule = trim(rule);
        if is_allowed(rule, release) {
            if !kept.is_empty() {
                kept.push(';');
            }
            kept.push_str(rule);
        }
    }
    kept
}

/// Whether the property may be set in this release.
pub(super) fn is_property(name: &str, release: Release) -> bool {
    PROPERTIES.binary_search(&name).is_ok()
        || has(PROPERTIES_LATER, name, release)
        || release.at_least(7, 1) && PROPERTIES_7_1.binary_search(&name).is_ok()
}

fn is_allowed(rule: &str, release: Release) -> bool {
    let Some((name, value)) = rule.split_once(':') else {
        return is_harmless(rule, release);
    };
    let name = trim(name);
    let custom = is_custom(name);
    if !custom && !is_property(name, release) {
        return false;
    }
    let bare = trim(value);
    let (addresses, gradients) = match custom {
        true => (bare.starts_with("url("), bare.contains("-gradient(")),
        false => (
            has(WITH_ADDRESS, name, release),
            matches!(name, "background" | "background-image"),
        ),
    };
    let mut suspect = rule.to_owned();
    if addresses {
        let Some(without) = without_addresses(&suspect, value, release) else {
            return false;
        };
        suspect = without;
    }
    if gradients {
        let Some(without) = without_gradients(&suspect, bare, release) else {
            return false;
        };
        suspect = without;
    }
    is_harmless(&suspect, release)
}

fn is_custom(name: &str) -> bool {
    name.strip_prefix("--").is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// The rule without its addresses, provided all of them are good.
fn without_addresses(rule: &str, value: &str, release: Release) -> Option<String> {
    let mut left = rule.to_owned();
    let mut rest = value;
    for _ in 0..MOST_PARTS {
        let Some((whole, inside, after)) = next_address(rest) else {
            return Some(left);
        };
        let address = trim(inside);
        if matches!(inside, "" | "0")
            || matches!(address, "" | "0")
            || without_bad_protocol(address, release) != address
        {
            return None;
        }
        left = left.replace(whole, "");
        rest = after;
    }
    None
}

/// The next `url(…)` that is not empty, what it holds without its quotation marks, and what follows.
fn next_address(text: &str) -> Option<(&str, &str, &str)> {
    let mut rest = text;
    loop {
        let start = rest.get(rest.find("url(")?..)?;
        let inside = start.strip_prefix("url(")?;
        let Some(inside) = inside.strip_prefix(')') else {
            let (inside, after) = inside.split_once(')')?;
            let whole = start.get(..start.len() - after.len())?;
            return Some((whole, unquoted(inside), after));
        };
        rest = inside;
    }
}

fn unquoted(inside: &str) -> &str {
    let inside = inside.trim_start_matches(' ');
    let ends = |quote| {
        inside
            .strip_prefix(quote)?
            .trim_end_matches(' ')
            .strip_suffix(quote)
    };
    ends('"').or_else(|| ends('\'')).unwrap_or(inside)
}

fn without_gradients(rule: &str, value: &str, release: Release) -> Option<String> {
    if !release.at_least(7, 1) {
        let alone = gradient(value, Nested::Colours).is_some_and(str::is_empty);
        return Some(if alone {
            rule.replace(value, "")
        } else {
            rule.to_owned()
        });
    }
    let mut left = rule.to_owned();
    let mut rest = rule;
    let mut found = 0;
    while let Some(at) = rest.find(['r', 'l', 'c']) {
        let start = rest.get(at..)?;
        let Some(after) = gradient(start, Nested::Any) else {
            rest = start.get(1..)?;
            continue;
        };
        found += 1;
        if found > MOST_PARTS {
            return None;
        }
        left = left.replace(start.get(..start.len() - after.len())?, "");
        rest = after;
    }
    Some(left)
}

/// What may stand in parentheses inside a gradient.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nested {
    Colours,
    Any,
}

/// What follows the gradient at the start of the text.
fn gradient(text: &str, nested: Nested) -> Option<&str> {
    let text = text.strip_prefix("repeating-").unwrap_or(text);
    let text = ["linear", "radial", "conic"]
        .into_iter()
        .find_map(|kind| text.strip_prefix(kind))?;
    let inside = text.strip_prefix("-gradient(")?;
    let mut rest = inside;
    loop {
        let (before, tail) = rest.split_at(rest.find(['(', ')'])?);
        let Some(within) = tail.strip_prefix('(') else {
            return tail.strip_prefix(')');
        };
        if nested == Nested::Colours && !(before.ends_with("rgb") || before.ends_with("rgba")) {
            return None;
        }
        let (_, tail) = within.split_at(within.find(['(', ')'])?);
        rest = tail.strip_prefix(')')?;
    }
}

/// Whether nothing is left that could do harm once the known functions are taken out.
fn is_harmless(rule: &str, release: Release) -> bool {
    let rule = without_functions(rule, release);
    !rule.contains(['\\', '(', '&', '=', '}']) && !rule.contains("/*")
}

fn without_functions(rule: &str, release: Release) -> String {
    if !rule.contains('(') {
        return rule.to_owned();
    }
    let ends = matching_parentheses(rule);
    let mut out = String::with_capacity(rule.len());
    let mut rest = rule;
    while let Some((before, _)) = rest.split_once('(') {
        let at = rule.len() - rest.len() + before.len();
        let word = function_before(before, release);
        let end = ends
            .binary_search_by_key(&at, |pair| pair.0)
            .ok()
            .and_then(|at| ends.get(at));
        match (word, end) {
            (Some(word), Some((_, end))) => {
                out.push_str(before.strip_suffix(word).unwrap_or(before));
                rest = rule.get(end + 1..).unwrap_or_default();
            }
            _ => {
                out.push_str(before);
                out.push('(');
                rest = rule.get(at + 1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// The known function whose name ends the text and begins a word.
fn function_before(text: &str, release: Release) -> Option<&'static str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let start = text.trim_end_matches(is_word).len();
    let word = text.get(start..)?;
    let (name, (major, minor)) = FUNCTIONS.iter().find(|(name, _)| *name == word)?;
    release.at_least(*major, *minor).then_some(*name)
}

/// Where each balanced parenthesis opens and closes, by opening.
fn matching_parentheses(rule: &str) -> Vec<(usize, usize)> {
    let mut open = Vec::new();
    let mut pairs = Vec::new();
    for (at, c) in rule.char_indices() {
        match c {
            '(' => open.push(at),
            ')' => pairs.extend(open.pop().map(|start| (start, at))),
            _ => {}
        }
    }
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::tests::{V6_1_9, V6_8_12, V7_1_4};

    #[test]
    fn rules_stay_if_they_are_known_and_harmless() {
        for (style, old, middle, new) in [
            (
                "color:red; ;top:1px",
                "color:red;",
                "color:red;;top:1px",
                "color:red;;top:1px",
            ),
            (
                "width:calc(1px + (2px))",
                "width:calc(1px + (2px))",
                "width:calc(1px + (2px))",
                "width:calc(1px + (2px))",
            ),
            ("width:xcalc(1px)", "", "", ""),
            ("width:calc(1px", "", "", ""),
            (
                "grid-template-columns:repeat(2,1fr)",
                "",
                "grid-template-columns:repeat(2,1fr)",
                "grid-template-columns:repeat(2,1fr)",
            ),
            (
                "background:url( 'http://e.x/a.png' ) red",
                "background:url( 'http://e.x/a.png' ) red",
                "background:url( 'http://e.x/a.png' ) red",
                "background:url( 'http://e.x/a.png' ) red",
            ),
            ("background:url(javascript:x)", "", "", ""),
            ("color:url(a)", "", "", ""),
            (
                "background:linear-gradient(rgb(1,2,3),red)",
                "background:linear-gradient(rgb(1,2,3),red)",
                "background:linear-gradient(rgb(1,2,3),red)",
                "background:linear-gradient(rgb(1,2,3),red)",
            ),
            (
                "background:linear-gradient(hsl(1,2,3),red) x",
                "",
                "",
                "background:linear-gradient(hsl(1,2,3),red) x",
            ),
            ("--a-b:1;fill:x\\00", "--a-b:1", "--a-b:1", "--a-b:1;fill:x"),
            ("color:r/**/ed", "", "", ""),
        ] {
            assert_eq!(cleaned(style, V6_1_9), old, "{style}");
            assert_eq!(cleaned(style, V6_8_12), middle, "{style}");
            assert_eq!(cleaned(style, V7_1_4), new, "{style}");
        }
    }
}
