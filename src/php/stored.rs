//! The form in which WordPress's `maybe_serialize` puts values into options and user meta.
//!
//! WordPress guesses by looks whether stored text is serialized. A string that merely looks so is
//! therefore serialized once more, which is what keeps foreign text from being read as an array.

use super::{Value, unserialize};

/// Cuts the bytes PHP's `trim` cuts: space, tab, LF, CR, NUL and VT.
pub fn trim(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\0' | 0x0B);
    let start = text.iter().take_while(|byte| blank(byte)).count();
    let rest = text.get(start..).unwrap_or_default();
    let cut = rest.iter().rev().take_while(|byte| blank(byte)).count();
    rest.get(..rest.len() - cut).unwrap_or_default()
}

/// Whether WordPress would serialize this string once more before storing it; what follows a
/// complete value does not matter.
pub fn is_serialized(text: &[u8]) -> bool {
    looks_serialized(trim(text), Tail::Any)
}

/// The stored form of a value; none is SQL's NULL.
pub fn maybe_serialize(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::Str(text) if !is_serialized(text) => Some(text.clone()),
        Value::Str(_) | Value::Array(_) | Value::Opaque(_) => Some(value.serialize()),
        scalar => scalar.as_text().map(std::borrow::Cow::into_owned),
    }
}

/// The value of a stored form; text that looks serialized and is not gives `false`, as in PHP.
pub fn maybe_unserialize(text: &[u8]) -> Value {
    let trimmed = trim(text);
    if looks_serialized(trimmed, Tail::None) {
        unserialize(trimmed).unwrap_or(Value::Bool(false))
    } else {
        Value::Str(text.to_vec())
    }
}

/// What may follow a serialized value.
#[derive(Clone, Copy, PartialEq)]
enum Tail {
    None,
    Any,
}

fn looks_serialized(text: &[u8], tail: Tail) -> bool {
    if text == b"N;" {
        return true;
    }
    let [token, b':', rest @ ..] = text else {
        return false;
    };
    if text.len() < 4 || !ends_well(text, tail) {
        return false;
    }
    match token {
        b's' if tail == Tail::Any => text.contains(&b'"') && starts_with_count(rest),
        b's' => text.ends_with(b"\";") && starts_with_count(rest),
        b'a' | b'O' | b'E' => starts_with_count(rest),
        b'b' | b'i' | b'd' => starts_with_number(rest, tail),
        _ => false,
    }
}

fn ends_well(text: &[u8], tail: Tail) -> bool {
    let end = |byte: &u8| matches!(byte, b';' | b'}');
    match tail {
        Tail::None => text.last().is_some_and(end),
        // WordPress also wants them not too early, which the checks of the start imply.
        Tail::Any => text.iter().any(end),
    }
}

fn starts_with_count(text: &[u8]) -> bool {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && text.get(digits) == Some(&b':')
}

fn starts_with_number(text: &[u8], tail: Tail) -> bool {
    let part = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'E' | b'+' | b'-');
    let length = text.iter().take_while(part).count();
    length > 0 && text.get(length) == Some(&b';') && (tail == Tail::Any || text.len() == length + 1)
}
