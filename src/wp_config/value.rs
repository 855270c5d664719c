//! Values while wp-config.php is read: PHP's, and one for what could not be understood.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::php::{self, Key};

/// Longer strings are not followed, in bytes; settings are short.
const MAX_TEXT: usize = 256 * 1024;

/// Arrays with more values in them, or deeper ones, are not followed.
const MAX_VALUES: usize = 5_000;
const MAX_DEPTH: usize = 16;

/// A line of a file; the file is named relative to the WordPress folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Rc<str>,
    pub(super) line: u32,
}

/// What could not be understood, and where; never holds text that could be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    pub(super) place: Place,
    pub(super) what: String,
}

#[derive(Debug, Clone)]
pub(super) enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<[u8]>),
    Array(Rc<Vec<(Key, Val)>>),
    Unknown(Rc<Unknown>),
}

impl Val {
    pub(super) fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// Makes an array; of entries with one key the later wins and the earlier keeps its place.
    pub(super) fn array(entries: Vec<(Key, Val)>) -> Self {
        Self::Array(Rc::new(entries))
    }

    pub(super) fn list(values: impl IntoIterator<Item = Val>) -> Self {
        Self::array((0..).map(Key::Int).zip(values).collect())
    }

    /// The first value inside that is not understood.
    pub(super) fn unknown(&self) -> Option<&Rc<Unknown>> {
        match self {
            Self::Unknown(unknown) => Some(unknown),
            Self::Array(entries) => entries.iter().find_map(|(_, value)| value.unknown()),
            _ => None,
        }
    }

    /// How many values this is in total, or none when it is too large to be followed.
    pub(super) fn weight(&self) -> Option<usize> {
        self.weight_below(MAX_DEPTH)
    }

    fn weight_below(&self, depth: usize) -> Option<usize> {
        match self {
            Self::Text(text) => (text.len() <= MAX_TEXT).then_some(1 + text.len() / 256),
            Self::Array(entries) => {
                let depth = depth.checked_sub(1)?;
                let mut sum = 1;
                for (_, value) in entries.iter() {
                    sum += value.weight_below(depth)?;
                    if sum > MAX_VALUES {
                        return None;
                    }
                }
                Some(sum)
            }
            _ => Some(1),
        }
    }

    /// PHP's string cast; none for arrays and for what is not understood.
    pub(super) fn to_text(&self) -> Option<Rc<[u8]>> {
        Some(match self {
            Self::Text(text) => text.clone(),
            Self::Null | Self::Bool(false) => Rc::default(),
            Self::Bool(true) => b"1".as_slice().into(),
            Self::Int(number) => number.to_string().as_bytes().into(),
            Self::Float(number) => php::Value::float(*number).as_text()?.as_ref().into(),
            Self::Array(_) | Self::Unknown(_) => return None,
        })
    }

    /// PHP's truth; none for what is not understood.
    pub(super) fn truthy(&self) -> Option<bool> {
        Some(match self {
            Self::Null => false,
            Self::Bool(flag) => *flag,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !matches!(text.as_ref(), b"" | b"0"),
            Self::Array(entries) => !entries.is_empty(),
            Self::Unknown(_) => return None,
        })
    }

    pub(super) fn to_float(&self) -> Option<f64> {
        Some(match self {
            Self::Float(number) => *number,
            Self::Text(text) => leading_number(text).0,
            other => other.to_int()? as f64,
        })
    }

    /// PHP's integer cast: the number a string starts with, or 0.
    pub(super) fn to_int(&self) -> Option<i64> {
        Some(match self {
            Self::Null => 0,
            Self::Bool(flag) => i64::from(*flag),
            Self::Int(number) => *number,
            Self::Float(number) => *number as i64,
            Self::Text(text) => match parse::<i64>(text.trim_ascii_start(), digits_of_int(text)) {
                Some(number) => number,
                None => leading_number(text).0 as i64,
            },
            Self::Array(entries) => i64::from(!entries.is_empty()),
            Self::Unknown(_) => return None,
        })
    }

    /// The number a wholly numeric value is.
    pub(super) fn numeric(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(text) => {
                let (number, rest) = leading_number(text);
                (!text.is_empty() && rest.trim_ascii().is_empty()).then_some(number)
            }
            _ => None,
        }
    }

    /// The array key this value gives.
    pub(super) fn to_key(&self) -> Option<Key> {
        Some(match self {
            Self::Text(text) => Key::from_bytes(text),
            Self::Null => Key::Str(Vec::new()),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) => Key::Int(self.to_int()?),
            Self::Array(_) | Self::Unknown(_) => return None,
        })
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Val> {
        match self {
            Self::Array(entries) => entries
                .iter()
                .find(|(other, _)| other == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// PHP's `===`; none when something inside is not understood.
    pub(super) fn identical(&self, other: &Val) -> Option<bool> {
        Some(match (self, other) {
            (Self::Unknown(_), _) | (_, Self::Unknown(_)) => return None,
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Int(one), Self::Int(two)) => one == two,
            (Self::Float(one), Self::Float(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::Array(one), Self::Array(two)) => {
                if one.len() != two.len() {
                    return Some(false);
                }
                for ((key, value), (other_key, other)) in one.iter().zip(two.iter()) {
                    if key != other_key || !value.identical(other)? {
                        return Some(false);
                    }
                }
                true
            }
            _ => false,
        })
    }

    /// Whether two ways through a file lead to the same value; two unknown ones are not the same.
    pub(super) fn agrees(&self, other: &Val) -> bool {
        match (self, other) {
            (Self::Unknown(one), Self::Unknown(two)) => one == two,
            _ => self.identical(other) == Some(true),
        }
    }

    /// PHP 8's `<=>`, of which `==` is one case; none for what is not understood or has no order.
    pub(super) fn compare(&self, other: &Val) -> Option<Ordering> {
        match (self, other) {
            (Self::Unknown(_), _) | (_, Self::Unknown(_)) => None,
            (Self::Null, Self::Text(text)) => Some(b"".as_slice().cmp(text)),
            (Self::Text(text), Self::Null) => Some(text.as_ref().cmp(b"")),
            (Self::Bool(_) | Self::Null, _) | (_, Self::Bool(_) | Self::Null) => {
                Some(self.truthy()?.cmp(&other.truthy()?))
            }
            (Self::Array(_), Self::Array(_)) => self.identical(other)?.then_some(Ordering::Equal),
            (Self::Array(_), _) => Some(Ordering::Greater),
            (_, Self::Array(_)) => Some(Ordering::Less),
            (Self::Int(one), Self::Int(two)) => Some(one.cmp(two)),
            _ => match (self.numeric(), other.numeric()) {
                (Some(one), Some(two)) => one.partial_cmp(&two),
                _ => Some(self.to_text()?.cmp(&other.to_text()?)),
            },
        }
    }
}

fn digits_of_int(text: &[u8]) -> usize {
    let text = text.trim_ascii_start();
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let digits = text
        .iter()
        .skip(sign)
        .take_while(|byte| byte.is_ascii_digit());
    let length = sign + digits.count();
    match text.get(length) {
        Some(b'.' | b'e' | b'E') => 0,
        _ => length,
    }
}

/// The number some text starts with, 0 without one, and what follows it.
fn leading_number(text: &[u8]) -> (f64, &[u8]) {
    let text = text.trim_ascii_start();
    let part =
        |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    let longest = text.iter().take(64).take_while(part).count();
    let number = (1..=longest)
        .rev()
        .find_map(|length| Some((parse::<f64>(text, length)?, text.get(length..)?)));
    number.unwrap_or((0.0, text))
}

fn parse<T: std::str::FromStr>(text: &[u8], length: usize) -> Option<T> {
    std::str::from_utf8(text.get(..length)?).ok()?.parse().ok()
}
