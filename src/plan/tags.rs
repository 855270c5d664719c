//! Tags, as WP Fusion's `set_tags()` stores them.

use super::draft::Draft;
use super::fields::CANNOT_STORE;
use super::{Order, Rules, TAGS};
use crate::log::{Entry, Level, Source, Who};
use crate::php::{Key, Value};

/// Writes the person's tags and returns those the user has afterwards.
///
/// An empty list deletes the row. When a tag id has no name yet, the known tags are added and none is removed.
pub(super) fn apply(draft: &mut Draft, order: &Order<'_>, rules: &Rules<'_>) -> Vec<String> {
    let old = current(draft);
    let holds = |name: &&String| rules.repertoire.holds(name);
    let (tags, left_out): (Vec<&String>, Vec<&String>) = order.tags.iter().partition(holds);
    for name in left_out {
        // The log's column may not hold those characters either.
        let mut shown = name.clone();
        shown.retain(|c| rules.repertoire.holds(c.encode_utf8(&mut [0; 4])));
        let message = format!(
            "Tag {} was left out: it {CANNOT_STORE}.",
            Entry::quote(shown.trim())
        );
        draft.notice(message);
    }
    let mut new = cleaned(&tags, rules);
    if !order.tags_complete {
        new = merged(&old, &new);
    }
    let names: Vec<String> = new.iter().map(|(_, name)| name.clone()).collect();
    let list = Value::list(
        names
            .iter()
            .map(|name| Value::from(name.as_str()))
            .collect(),
    );
    let message = format!("Loaded {} tag(s) from Bento.", names.len());
    let context = Value::Array(vec![(Key::from_bytes(b"tag_array"), list)]);
    draft
        .log
        .push(Entry::new(Level::Info, Who::User, Source::Trace, message).with_context(context));
    if new.is_empty() {
        draft.delete_meta(TAGS);
    } else if !equal(&old, &new) {
        let entries = new
            .into_iter()
            .map(|(index, name)| (Key::Int(index), Value::from(name.as_str())));
        draft.set_meta(TAGS, &Value::Array(entries.collect()));
    }
    names
}

/// Names with their places in the list. Empty names (`''` and `'0'` in PHP) leave no gap; a name that cleaning empties
/// leaves one.
fn cleaned(names: &[&String], rules: &Rules<'_>) -> Vec<(i64, String)> {
    let present = names
        .iter()
        .filter(|name| !matches!(name.as_str(), "" | "0"));
    let cleaned = (0..).zip(present.map(|name| rules.cleaner.clean_tag(name)));
    cleaned
        .filter(|(_, name)| !matches!(name.as_str(), "" | "0"))
        .collect()
}

/// The old tags with the new ones after them.
fn merged(old: &[(Key, Value)], new: &[(i64, String)]) -> Vec<(i64, String)> {
    let mut names: Vec<String> = old
        .iter()
        .filter_map(|(_, value)| value.to_text())
        .filter(|name| !name.is_empty())
        .collect();
    for (_, name) in new {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    (0..).zip(names).collect()
}

/// The stored tags as PHP's `(array)` cast gives them.
fn current(draft: &Draft) -> Vec<(Key, Value)> {
    match draft.user.metas_of(TAGS).next().map(|meta| meta.decoded()) {
        Some(Value::Array(entries)) => entries,
        Some(Value::Null) | None => Vec::new(),
        Some(scalar) => vec![(Key::Int(0), scalar)],
    }
}

/// PHP's `==` of two arrays: the same keys with loosely equal values, in any order of entries.
fn equal(old: &[(Key, Value)], new: &[(i64, String)]) -> bool {
    let matches = |(index, name): &(i64, String)| {
        let value = old
            .iter()
            .find(|(key, _)| *key == Key::Int(*index))
            .map(|(_, value)| value);
        value
            .and_then(Value::as_text)
            .is_some_and(|text| loosely_equal(&text, name.as_bytes()))
    };
    old.len() == new.len() && new.iter().all(matches)
}

/// PHP's `==` of two strings: numeric ones compare as numbers.
fn loosely_equal(left: &[u8], right: &[u8]) -> bool {
    let number = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes)
            .ok()?
            .trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && text.ends_with(|c: char| c.is_ascii_digit() || c == '.');
        if numeric {
            text.parse::<f64>().ok().filter(|number| number.is_finite())
        } else {
            None
        }
    };
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}
