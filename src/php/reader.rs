//! Reads serialized text.
//!
//! Never recurses deeper than [`MAX_DEPTH`] and never allocates by a length that the text merely
//! claims. PHP ignores what follows a complete value, so the reader does too.

use super::{Float, Key, Malformed, Opaque, Value};

/// Deeper nesting is refused; PHP itself stops at 4096, WordPress never comes near either.
const MAX_DEPTH: usize = 256;
/// Entries of an array for which there is room from the start.
const FEW: usize = 8;

/// Reads one value from the start of the text, as PHP's `unserialize` does; objects stay closed.
pub fn unserialize(text: &[u8]) -> Result<Value, Malformed> {
    Reader::new(text).value()
}

/// Reads an array as [`unserialize`] does, but of its entries only those under these keys, each of them text that is no number;
/// over the others it passes without building them.
pub fn unserialize_some(text: &[u8], wanted: &[&str]) -> Result<Value, Malformed> {
    let mut reader = Reader::new(text);
    match text.first() {
        Some(b'a') => reader.some(wanted),
        _ => reader.value(),
    }
}

/// A key of an array as it stands there.
enum Written<'a> {
    Int(i64),
    Str(&'a [u8]),
}

/// A place in serialized text, and whether a reference has been passed on the way.
pub(super) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    pub(super) references: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            references: false,
        }
    }

    /// The offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn value(&mut self) -> Result<Value, Malformed> {
        let start = self.at;
        match self.byte()? {
            b'N' => self.expect(b";").map(|()| Value::Null),
            b'b' => self.bool(),
            b'i' => {
                self.expect(b":")?;
                self.integer().map(Value::Int)
            }
            b'd' => self.float(),
            b's' => {
                let text = self.string()?;
                self.expect(b";")?;
                Ok(Value::Str(text.to_vec()))
            }
            b'a' => self.array(),
            b'O' | b'C' | b'E' | b'r' | b'R' => self.opaque(start),
            _ => Err(Malformed(start)),
        }
    }

    /// Reads `a:N:{` behind the `a` and gives N.
    pub(super) fn array_head(&mut self) -> Result<usize, Malformed> {
        self.expect(b":")?;
        let count = self.count()?;
        self.expect(b":{")?;
        Ok(count)
    }

    pub(super) fn key(&mut self) -> Result<Key, Malformed> {
        Ok(match self.key_as_written()? {
            Written::Int(number) => Key::Int(number),
            Written::Str(text) => Key::from_bytes(text),
        })
    }

    fn key_as_written(&mut self) -> Result<Written<'a>, Malformed> {
        let start = self.at;
        match self.byte()? {
            b'i' => {
                self.expect(b":")?;
                self.integer().map(Written::Int)
            }
            b's' => {
                let text = self.string()?;
                self.expect(b";")?;
                Ok(Written::Str(text))
            }
            _ => Err(Malformed(start)),
        }
    }

    pub(super) fn expect(&mut self, wanted: &[u8]) -> Result<(), Malformed> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(wanted) {
            return Err(Malformed(self.at));
        }
        self.at += wanted.len();
        Ok(())
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = self.text.get(self.at).ok_or(Malformed(self.at))?;
        self.at += 1;
        Ok(*byte)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed(self.at))?;
        let taken = self.text.get(self.at..end).ok_or(Malformed(self.at))?;
        self.at = end;
        Ok(taken)
    }

    fn until(&mut self, end: u8) -> Result<&'a [u8], Malformed> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| *byte == end)
            .ok_or(Malformed(self.at))?;
        let taken = self.take(length)?;
        self.at += 1;
        Ok(taken)
    }

    fn count(&mut self) -> Result<usize, Malformed> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        number(self.text.get(start..self.at)).ok_or(Malformed(start))
    }

    fn integer(&mut self) -> Result<i64, Malformed> {
        let start = self.at;
        number(Some(self.until(b';')?)).ok_or(Malformed(start))
    }

    fn bool(&mut self) -> Result<Value, Malformed> {
        self.expect(b":")?;
        let start = self.at;
        match self.until(b';')? {
            b"0" => Ok(Value::Bool(false)),
            b"1" => Ok(Value::Bool(true)),
            _ => Err(Malformed(start)),
        }
    }

    fn float(&mut self) -> Result<Value, Malformed> {
        self.expect(b":")?;
        let start = self.at;
        let float = Float::from_written(self.until(b';')?);
        float.map(Value::Float).ok_or(Malformed(start))
    }

    /// Reads `:N:"…"` behind its letter, without what ends it.
    fn string(&mut self) -> Result<&'a [u8], Malformed> {
        self.expect(b":")?;
        let length = self.count()?;
        self.expect(b":\"")?;
        let text = self.take(length)?;
        self.expect(b"\"")?;
        Ok(text)
    }

    fn some(&mut self, wanted: &[&str]) -> Result<Value, Malformed> {
        self.expect(b"a")?;
        self.deeper(|reader| {
            let count = reader.array_head()?;
            let mut entries = Vec::with_capacity(wanted.len());
            for _ in 0..count {
                match reader.key_as_written()? {
                    Written::Str(key) if wanted.iter().any(|name| name.as_bytes() == key) => {
                        entries.push((Key::from_bytes(key), reader.value()?));
                    }
                    _ => reader.pass()?,
                }
            }
            reader.expect(b"}")?;
            Ok(Value::Array(entries))
        })
    }

    /// Goes to the end of a value.
    fn pass(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        match self.byte()? {
            b'N' => self.expect(b";"),
            b'b' => self.bool().map(drop),
            b'i' => {
                self.expect(b":")?;
                self.integer().map(drop)
            }
            b'd' => self.float().map(drop),
            b's' => {
                self.string()?;
                self.expect(b";")
            }
            b'a' => self.pass_entries(),
            b'O' => {
                self.string()?;
                self.pass_entries()
            }
            b'C' => {
                self.string()?;
                self.expect(b":")?;
                let length = self.count()?;
                self.expect(b":{")?;
                self.take(length)?;
                // Such a class writes its own text, which may well refer to other values.
                self.references = true;
                self.expect(b"}")
            }
            b'E' => {
                self.string()?;
                self.expect(b";")
            }
            b'r' | b'R' => {
                self.expect(b":")?;
                self.count()?;
                self.references = true;
                self.expect(b";")
            }
            _ => Err(Malformed(start)),
        }
    }

    fn pass_entries(&mut self) -> Result<(), Malformed> {
        self.deeper(|reader| {
            let count = reader.array_head()?;
            for _ in 0..count {
                reader.key_as_written()?;
                reader.pass()?;
            }
            reader.expect(b"}")
        })
    }

    fn array(&mut self) -> Result<Value, Malformed> {
        self.deeper(|reader| {
            let count = reader.array_head()?;
            // Grows with what is really there, not with what the count says, but for the first few.
            let mut entries = Vec::with_capacity(count.min(FEW));
            for _ in 0..count {
                entries.push((reader.key()?, reader.value()?));
            }
            reader.expect(b"}")?;
            Ok(Value::Array(entries))
        })
    }

    /// Finds the end of an object or reference whose letter has just been read.
    fn opaque(&mut self, start: usize) -> Result<Value, Malformed> {
        let references_before = std::mem::take(&mut self.references);
        self.at = start;
        self.pass()?;
        let opaque = Opaque {
            bytes: self.text.get(start..self.at).unwrap_or_default().to_vec(),
            references: self.references,
        };
        self.references |= references_before;
        Ok(Value::Opaque(opaque))
    }

    fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        if self.depth == MAX_DEPTH {
            return Err(Malformed(self.at));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }
}

fn number<T: std::str::FromStr>(digits: Option<&[u8]>) -> Option<T> {
    std::str::from_utf8(digits?).ok()?.parse().ok()
}
