//! Changes one entry of a serialized array and leaves every other byte as it is.
//!
//! References (`R:`, `r:`) count values from the start, so where there are any, entries are neither
//! added nor changed in size.

use std::ops::Range;

use super::reader::Reader;
use super::{Key, Malformed, Value};

/// Puts the value under the key of a serialized top-level array, at the end if the key is new;
/// fails on anything but an array, and where the change would move what references count.
pub fn splice(text: &[u8], key: &str, new: &Value) -> Result<Vec<u8>, Malformed> {
    let found = find(text, &Key::from_bytes(key.as_bytes()))?;
    let countable = match &found.old {
        Some((_, old)) => old.is_scalar() && new.is_scalar(),
        None => false,
    };
    if new.has_references() || (found.references && !countable) {
        return Err(Malformed(found.close));
    }
    if let Some((old, _)) = found.old {
        return Ok(replace(text, old, &new.serialize()));
    }
    let mut entry = Vec::new();
    Key::from_bytes(key.as_bytes()).write(&mut entry);
    entry.extend(new.serialize());
    let appended = replace(text, found.close..found.close, &entry);
    let count = (found.count + 1).to_string();
    Ok(replace(&appended, found.digits, count.as_bytes()))
}

/// What there is to know before an array is changed; offsets are in bytes.
struct Found {
    count: usize,
    digits: Range<usize>,
    old: Option<(Range<usize>, Value)>,
    close: usize,
    references: bool,
}

fn find(text: &[u8], wanted: &Key) -> Result<Found, Malformed> {
    let mut reader = Reader::new(text);
    reader.expect(b"a")?;
    let count = reader.array_head()?;
    let digits = 2..reader.at() - 2;
    let mut old = None;
    for _ in 0..count {
        let key = reader.key()?;
        let start = reader.at();
        let value = reader.value()?;
        if key == *wanted {
            old = Some((start..reader.at(), value));
        }
    }
    let close = reader.at();
    reader.expect(b"}")?;
    Ok(Found {
        count,
        digits,
        old,
        close,
        references: reader.references,
    })
}

fn replace(text: &[u8], range: Range<usize>, new: &[u8]) -> Vec<u8> {
    let before = text.get(..range.start).unwrap_or_default();
    let after = text.get(range.end..).unwrap_or_default();
    [before, new, after].concat()
}
