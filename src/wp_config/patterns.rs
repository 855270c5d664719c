//! `preg_match` and `preg_replace` with patterns and texts that mean the same to both engines: those of ASCII.

use regex_lite::{Captures, Regex, RegexBuilder};

use super::value::Val;
use crate::php::Key;

/// A compiled pattern may take this much memory, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// Calls `preg_replace`; see [`super::functions::call`].
pub(super) fn call(name: &str, values: &[Val]) -> Option<Option<Val>> {
    match (name, values) {
        ("preg_replace", [pattern, replacement, subject]) => {
            Some(replace(pattern, replacement, subject))
        }
        ("preg_replace", _) => Some(None),
        _ => None,
    }
}

/// `preg_match`: whether it matches, and its groups; none if that cannot be known.
pub(super) fn preg_match(values: &[Val]) -> Option<(bool, Val)> {
    let [pattern, subject] = values.get(..2)? else {
        return None;
    };
    if values.len() > 3 {
        return None;
    }
    let pattern = compile(&pattern.to_text()?)?;
    let subject = subject.to_text()?;
    let Some(found) = pattern.captures(ascii(&subject)?) else {
        return Some((false, Val::array(Vec::new())));
    };
    let last = (0..found.len())
        .rev()
        .find(|index| found.get(*index).is_some())?;
    let mut groups = Vec::new();
    for (index, name) in pattern.capture_names().enumerate().take(last + 1) {
        let text = found.get(index).map_or("", |group| group.as_str());
        if let Some(name) = name {
            groups.push((Key::from_bytes(name.as_bytes()), Val::text(text)));
        }
        groups.push((Key::Int(i64::try_from(index).ok()?), Val::text(text)));
    }
    Some((true, Val::array(groups)))
}

fn replace(pattern: &Val, replacement: &Val, subject: &Val) -> Option<Val> {
    let pattern = compile(&pattern.to_text()?)?;
    let (replacement, subject) = (replacement.to_text()?, subject.to_text()?);
    let (replacement, subject) = (ascii(&replacement)?, ascii(&subject)?);
    let expand = |found: &Captures<'_>| expanded(replacement, found);
    Some(Val::text(pattern.replace_all(subject, expand).as_bytes()))
}

/// The text if it is ASCII: of other texts PHP sees the bytes.
fn ascii(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text)
        .ok()
        .filter(|text| text.is_ascii())
}

/// Fills `$1`, `${1}` and `\1` in.
fn expanded(replacement: &str, found: &Captures<'_>) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    while let Some(first) = rest.chars().next() {
        let group = match rest.as_bytes() {
            [b'$', b'{', digit, b'}', ..] => Some((*digit, 4)),
            [b'$' | b'\\', digit, ..] => Some((*digit, 2)),
            _ => None,
        };
        let after = match group.filter(|(digit, _)| digit.is_ascii_digit()) {
            Some((digit, after)) => {
                let group = found.get(usize::from(digit - b'0'));
                out.push_str(group.map_or("", |group| group.as_str()));
                after
            }
            None => {
                out.push(first);
                1
            }
        };
        rest = rest.get(after..).unwrap_or_default();
    }
    out
}

/// Compiles `/pattern/flags`; none for what this engine does not know, such as look-around.
fn compile(pattern: &[u8]) -> Option<Regex> {
    let pattern = ascii(pattern)?.trim_start();
    let open = pattern.chars().next()?;
    let close = match open {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        '<' => '>',
        other if other.is_ascii_punctuation() && other != '\\' => other,
        _ => return None,
    };
    let end = pattern.rfind(close).filter(|end| *end > 0)?;
    let body = pattern.get(1..end)?;
    let mut builder = RegexBuilder::new(body);
    builder.size_limit(MAX_SIZE);
    for flag in pattern.get(end + 1..)?.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'm' => builder.multi_line(true),
            's' => builder.dot_matches_new_line(true),
            'x' => builder.ignore_whitespace(true),
            'U' => builder.swap_greed(true),
            'u' | 'D' => &mut builder,
            _ => return None,
        };
    }
    builder.build().ok()
}
