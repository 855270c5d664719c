//! PHP's `serialize()` format, as WordPress keeps it in options and user meta.
//!
//! Scalars and arrays are understood. Objects and references are carried along as the bytes they
//! were read from: they are never interpreted, and nothing but the reader can make one, so no text
//! from outside can turn into an object. String lengths count bytes, so text need not be UTF-8.

mod float;
mod reader;
mod splice;
mod stored;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

pub use float::Float;
pub use reader::{unserialize, unserialize_some};
pub use splice::splice;
pub use stored::{is_serialized, maybe_serialize, maybe_unserialize, trim};

/// A key of a PHP array: integer-like text is always an integer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// An integer key.
    Int(i64),
    /// Any other key; make it with [`Key::from_bytes`], which keeps `5` and `"5"` one key.
    Str(Vec<u8>),
}

impl Key {
    /// Makes the key PHP makes of this text: `5` and `-5` are integers, `05`, `-0` and `1e3` are not.
    pub fn from_bytes(text: &[u8]) -> Self {
        let may_count = matches!(text.first(), Some(b'-' | b'0'..=b'9'));
        let digits = may_count.then(|| std::str::from_utf8(text).ok()).flatten();
        let number = digits
            .and_then(|text| text.parse::<i64>().ok())
            .filter(|number| number.to_string().as_bytes() == text);
        match number {
            Some(number) => Self::Int(number),
            None => Self::Str(text.to_vec()),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(number) => out.extend(format!("i:{number};").bytes()),
            Self::Str(text) => write_string(text, out),
        }
    }
}

/// An object or a reference, kept as the bytes it was read from; only the reader makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    bytes: Vec<u8>,
    references: bool,
}

/// A PHP value as far as this program needs to tell values apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A floating-point number in PHP's own notation.
    Float(Float),
    /// A byte string, not necessarily UTF-8.
    Str(Vec<u8>),
    /// An ordered array; of two entries with one key the later counts.
    Array(Vec<(Key, Value)>),
    /// An object or a reference.
    Opaque(Opaque),
}

/// The bytes are not a serialized value; holds the offset where reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(usize);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a serialized PHP value from byte {} on", self.0)
    }
}

impl std::error::Error for Malformed {}

impl Value {
    /// Makes a number as PHP's `serialize` writes it, in the shortest form that reads back the same.
    pub fn float(number: f64) -> Self {
        Self::Float(Float::shortest(number))
    }

    /// Makes an array with the keys 0, 1, 2 ….
    pub fn list(values: Vec<Value>) -> Self {
        Self::Array((0..).map(Key::Int).zip(values).collect())
    }

    /// The value under this key, if this is an array that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Self::Array(entries) = self else {
            return None;
        };
        let key = Key::from_bytes(key.as_bytes());
        entries
            .iter()
            .rev()
            .find(|(other, _)| *other == key)
            .map(|(_, value)| value)
    }

    /// PHP's string cast of a scalar; none for arrays and objects.
    pub fn as_text(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Null | Self::Bool(false) => Some(Cow::Borrowed(b"")),
            Self::Bool(true) => Some(Cow::Borrowed(b"1")),
            Self::Int(number) => Some(Cow::Owned(number.to_string().into_bytes())),
            Self::Float(number) => Some(Cow::Owned(number.cast().into_bytes())),
            Self::Str(text) => Some(Cow::Borrowed(text)),
            Self::Array(_) | Self::Opaque(_) => None,
        }
    }

    /// The same as text; bytes that are no UTF-8 become U+FFFD.
    pub fn to_text(&self) -> Option<String> {
        let bytes = self.as_text()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether PHP takes the value for true: `0`, `"0"`, `""`, null and the empty array are false.
    pub fn truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(flag) => *flag,
            Self::Int(number) => *number != 0,
            Self::Float(number) => number.number() != 0.0,
            Self::Str(text) => !matches!(text.as_slice(), b"" | b"0"),
            Self::Array(entries) => !entries.is_empty(),
            Self::Opaque(_) => true,
        }
    }

    /// The value in PHP's `serialize` format.
    pub fn serialize(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend(b"N;"),
            Self::Bool(flag) => out.extend(format!("b:{};", u8::from(*flag)).bytes()),
            Self::Int(number) => out.extend(format!("i:{number};").bytes()),
            Self::Float(number) => out.extend(format!("d:{};", number.as_str()).bytes()),
            Self::Str(text) => write_string(text, out),
            Self::Array(entries) => {
                out.extend(format!("a:{}:{{", entries.len()).bytes());
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
                out.push(b'}');
            }
            Self::Opaque(opaque) => out.extend(&opaque.bytes),
        }
    }

    fn is_scalar(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Opaque(_))
    }

    fn has_references(&self) -> bool {
        match self {
            Self::Array(entries) => entries.iter().any(|(_, value)| value.has_references()),
            Self::Opaque(opaque) => opaque.references,
            _ => false,
        }
    }
}

fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.extend(format!("s:{}:\"", text.len()).bytes());
    out.extend(text);
    out.extend(b"\";");
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into_bytes())
    }
}

impl From<Vec<u8>> for Value {
    fn from(text: Vec<u8>) -> Self {
        Self::Str(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}
