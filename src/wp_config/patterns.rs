//! `preg_match` and `preg_replace` with patterns that mean the same to both engines.

use regex::bytes::{Captures, Regex, RegexBuilder};

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
    let Some(found) = pattern.captures(&subject) else {
        return Some((false, Val::array(Vec::new())));
    };
    let last = (0..found.len())
        .rev()
        .find(|index| found.get(*index).is_some())?;
    let mut groups = Vec::new();
    for (index, name) in pattern.capture_names().enumerate().take(last + 1) {
        let text = found.get(index).map_or(&b""[..], |group| group.as_bytes());
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
    let expand = |found: &Captures<'_>| expanded(&replacement, found);
    Some(Val::text(pattern.replace_all(&subject, expand)))
}

/// Fills `$1`, `${1}` and `\1` in.
fn expanded(replacement: &[u8], found: &Captures<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = replacement;
    while let Some((first, tail)) = rest.split_first() {
        let digits = match (first, tail) {
            (b'$', [b'{', digit, b'}', after @ ..]) => Some((digit, after)),
            (b'$' | b'\\', [digit, after @ ..]) => Some((digit, after)),
            _ => None,
        };
        let group = digits.filter(|(digit, _)| digit.is_ascii_digit());
        let Some((digit, after)) = group else {
            out.push(*first);
            rest = tail;
            continue;
        };
        let group = found.get(usize::from(digit - b'0'));
        out.extend(group.map_or(&b""[..], |group| group.as_bytes()));
        rest = after;
    }
    out
}

/// Compiles `/pattern/flags`; none for what this engine does not know, such as look-around.
fn compile(pattern: &[u8]) -> Option<Regex> {
    let pattern = std::str::from_utf8(pattern).ok()?.trim_start();
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
    builder.unicode(false).size_limit(MAX_SIZE);
    for flag in pattern.get(end + 1..)?.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'm' => builder.multi_line(true),
            's' => builder.dot_matches_new_line(true),
            'x' => builder.ignore_whitespace(true),
            'U' => builder.swap_greed(true),
            'u' => builder.unicode(true),
            'D' => &mut builder,
            _ => return None,
        };
    }
    builder.build().ok()
}
