//! PHP source to tokens: all literal forms, comments, heredocs, interpolation.
//!
//! Never fails: what is no PHP becomes a `Bad` token, so that the parser can name its line and go on
//! behind it.

use std::rc::Rc;

/// Interpolation inside interpolation deeper than this is not followed.
const MAX_TEMPLATE_DEPTH: u32 = 8;

/// One token and the line it starts on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// `$name`, without the `$`.
    Variable(Rc<str>),
    /// A keyword, function, constant or class; backslashes inside are kept, a leading one is not.
    Name(Rc<str>),
    Int(i64),
    Float(f64),
    Text(Rc<[u8]>),
    /// A string with variables in it.
    Template(Vec<Piece>),
    /// `(int)` and the like, in lower case.
    Cast(&'static str),
    Op(&'static str),
    /// What could not be read, in words.
    Bad(&'static str),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    Code(Vec<Token>),
}

const CASTS: [&str; 10] = [
    "int", "integer", "string", "bool", "boolean", "float", "double", "array", "object", "binary",
];

/// Longest first, so that the first match is the right one.
const OPERATORS: [&str; 65] = [
    "<<=", ">>=", "**=", "...", "<=>", "===", "!==", "??=", "?->", "=>", "->", "::", "==", "!=",
    "<>", "<=", ">=", "&&", "||", "??", ".=", "+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=", "++",
    "--", "<<", ">>", "**", "+", "-", "*", "/", "%", "=", "<", ">", "!", ".", "(", ")", "[", "]",
    "{", "}", ",", ";", "?", ":", "&", "|", "^", "~", "@", "$", "`", "\\", "#", "\"", "'",
];

/// Tokens of a whole file, which starts outside PHP.
pub(crate) fn file(text: &[u8]) -> Vec<Token> {
    let mut lexer = Lexer::new(text, 1, 0);
    lexer.html();
    lexer.code(Until::EndOfText)
}

/// Tokens of code as `eval` takes it, which starts inside PHP.
pub(super) fn code(text: &[u8], line: u32) -> Vec<Token> {
    Lexer::new(text, line, 0).code(Until::EndOfText)
}

#[derive(Clone, Copy, PartialEq)]
enum Until {
    EndOfText,
    ClosingBrace,
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    depth: u32,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a [u8], line: u32, depth: u32) -> Self {
        Self {
            text,
            at: 0,
            line,
            depth,
            tokens: Vec::new(),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.rest().get(ahead).copied()
    }

    /// Moves on by some bytes, counting lines, and gives them.
    fn take(&mut self, length: usize) -> &'a [u8] {
        let rest = self.rest();
        let taken = rest.get(..length).unwrap_or(rest);
        let lines = taken.iter().filter(|byte| **byte == b'\n').count();
        self.line = self
            .line
            .saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        self.at += taken.len();
        taken
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest().iter().take_while(|byte| keep(**byte)).count();
        self.take(length)
    }

    fn push(&mut self, kind: Kind, line: u32) {
        self.tokens.push(Token { kind, line });
    }

    fn code(mut self, until: Until) -> Vec<Token> {
        self.run(until);
        self.tokens
    }

    /// Reads tokens up to the end of the text, or up to the `}` that closes an interpolation.
    fn run(&mut self, until: Until) {
        let mut braces = 0_u32;
        loop {
            self.blanks_and_comments();
            let line = self.line;
            let Some(byte) = self.peek(0) else { break };
            match byte {
                b'}' if braces == 0 && until == Until::ClosingBrace => {
                    self.take(1);
                    break;
                }
                b'{' => braces += 1,
                b'}' => braces = braces.saturating_sub(1),
                _ => {}
            }
            let kind = self.token(byte);
            self.push(kind, line);
        }
        let line = self.line;
        self.push(Kind::End, line);
    }

    fn blanks_and_comments(&mut self) {
        loop {
            self.take_while(|byte| byte.is_ascii_whitespace() || byte == 0x0B);
            let rest = self.rest();
            if rest.starts_with(b"//") || rest.starts_with(b"#") {
                self.line_comment();
            } else if rest.starts_with(b"/*") {
                let end = find(rest, b"*/").map_or(rest.len(), |end| end + 2);
                self.take(end);
            } else if rest.starts_with(b"?>") {
                let line = self.line;
                self.push(Kind::Op(";"), line);
                self.take(2);
                self.html();
            } else {
                return;
            }
        }
    }

    /// A line comment ends at the end of the line, but also before `?>`.
    fn line_comment(&mut self) {
        let rest = self.rest();
        let line_end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let line = rest.get(..line_end.unwrap_or(rest.len())).unwrap_or(rest);
        let length = find(line, b"?>").unwrap_or(line.len());
        self.take(length);
    }

    /// Skips what stands outside PHP.
    fn html(&mut self) {
        while !self.rest().is_empty() {
            let rest = self.rest();
            let Some(tag) = find(rest, b"<?") else {
                self.take(rest.len());
                return;
            };
            self.take(tag);
            let word = self.rest().get(2..5).unwrap_or_default();
            let blank = self.peek(5).is_none_or(|byte| byte.is_ascii_whitespace());
            if word.eq_ignore_ascii_case(b"php") && blank {
                self.take(5);
                return;
            }
            if self.peek(2) == Some(b'=') {
                let line = self.line;
                self.take(3);
                self.push(Kind::Name("echo".into()), line);
                return;
            }
            self.take(2);
        }
    }

    fn token(&mut self, byte: u8) -> Kind {
        match byte {
            b'$' if self.peek(1).is_some_and(starts_name) => {
                self.take(1);
                Kind::Variable(self.name())
            }
            b'\\' if self.peek(1).is_some_and(starts_name) => {
                self.take(1);
                Kind::Name(self.name())
            }
            b'\'' => self.single_quoted(),
            b'"' => {
                self.take(1);
                self.template(Some(b'"'))
            }
            b'<' if self.rest().starts_with(b"<<<") => self.heredoc(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) => self.number(),
            b'(' => self.cast().unwrap_or_else(|| self.operator()),
            _ if starts_name(byte) => Kind::Name(self.name()),
            _ => self.operator(),
        }
    }

    fn name(&mut self) -> Rc<str> {
        let qualified = |byte| continues_name(byte) || byte == b'\\';
        let in_variable = self.at > 0 && self.text.get(self.at - 1) == Some(&b'$');
        let name = if in_variable {
            self.take_while(continues_name)
        } else {
            self.take_while(qualified)
        };
        String::from_utf8_lossy(name).into()
    }

    fn operator(&mut self) -> Kind {
        let rest = self.rest();
        let is_here = |op: &&&str| {
            let op = op.as_bytes();
            op.first() == rest.first() && rest.starts_with(op)
        };
        let found = OPERATORS.iter().find(is_here);
        self.take(found.map_or(1, |op| op.len()));
        found.map_or(Kind::Bad("a character that is no PHP"), |op| Kind::Op(op))
    }

    fn cast(&mut self) -> Option<Kind> {
        let inside = self.rest().get(1..)?;
        let end = inside.iter().take(20).position(|byte| *byte == b')')?;
        let word = inside.get(..end)?.trim_ascii();
        let cast = CASTS
            .iter()
            .find(|cast| cast.as_bytes().eq_ignore_ascii_case(word))?;
        self.take(end + 2);
        Some(Kind::Cast(cast))
    }

    fn number(&mut self) -> Kind {
        let rest = self.rest();
        let radix = match rest.get(..2).map(<[u8]>::to_ascii_lowercase).as_deref() {
            Some(b"0x") => Some(16),
            Some(b"0b") => Some(2),
            Some(b"0o") => Some(8),
            _ => None,
        };
        if let Some(radix) = radix {
            self.take(2);
            let digits = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            return integer(digits, radix);
        }
        let whole = self.take_while(|byte| byte.is_ascii_digit() || byte == b'_');
        let mut digits = whole.to_vec();
        let mut is_float = false;
        if self.peek(0) == Some(b'.') && self.peek(1) != Some(b'.') {
            is_float = true;
            digits.extend(self.take(1));
            digits.extend(self.take_while(|byte| byte.is_ascii_digit() || byte == b'_'));
        }
        let signed = matches!(self.peek(1), Some(b'+' | b'-'));
        let exponent = self.peek(1 + usize::from(signed));
        if matches!(self.peek(0), Some(b'e' | b'E'))
            && exponent.is_some_and(|byte| byte.is_ascii_digit())
        {
            is_float = true;
            digits.extend(self.take(1 + usize::from(signed)));
            digits.extend(self.take_while(|byte| byte.is_ascii_digit()));
        }
        if !is_float {
            let octal = digits.len() > 1 && digits.starts_with(b"0");
            return integer(&digits, if octal { 8 } else { 10 });
        }
        digits.retain(|byte| *byte != b'_');
        let number = std::str::from_utf8(&digits)
            .ok()
            .and_then(|text| text.parse().ok());
        number.map_or(Kind::Bad("a number"), Kind::Float)
    }

    fn single_quoted(&mut self) -> Kind {
        self.take(1);
        let mut text = Vec::new();
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => return Kind::Bad("a string without an end"),
                (Some(b'\''), _) => {
                    self.take(1);
                    return Kind::Text(text.into());
                }
                (Some(b'\\'), Some(escaped @ (b'\'' | b'\\'))) => {
                    self.take(2);
                    text.push(escaped);
                }
                (Some(b'\\'), _) => text.extend(self.take(1)),
                _ => text.extend(self.take_while(|byte| !matches!(byte, b'\'' | b'\\'))),
            }
        }
    }

    /// Reads a string with escapes and variables up to its quote, or to the end of a heredoc.
    fn template(&mut self, quote: Option<u8>) -> Kind {
        let mut pieces = Vec::new();
        let mut text = Vec::new();
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) if quote.is_some() => return Kind::Bad("a string without an end"),
                (None, _) => break,
                (byte, _) if byte == quote => {
                    self.take(1);
                    break;
                }
                (Some(b'\\'), _) => self.escape(quote, &mut text),
                (Some(b'{'), Some(b'$')) | (Some(b'$'), Some(b'{')) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(Piece::Code(self.braced()));
                }
                (Some(b'$'), Some(byte)) if starts_name(byte) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(Piece::Code(self.simple_variable()));
                }
                _ => text.extend(self.take(1)),
            }
        }
        if pieces.is_empty() {
            return Kind::Text(text.into());
        }
        pieces.push(Piece::Text(text));
        Kind::Template(pieces)
    }

    fn escape(&mut self, quote: Option<u8>, text: &mut Vec<u8>) {
        let simple = match self.peek(1) {
            Some(b'n') => Some(b'\n'),
            Some(b't') => Some(b'\t'),
            Some(b'r') => Some(b'\r'),
            Some(b'v') => Some(0x0B),
            Some(b'e') => Some(0x1B),
            Some(b'f') => Some(0x0C),
            Some(byte @ (b'\\' | b'$')) => Some(byte),
            byte if byte.is_some() && byte == quote => byte,
            _ => None,
        };
        if let Some(byte) = simple {
            self.take(2);
            text.push(byte);
            return;
        }
        self.take(1);
        match self.peek(0) {
            Some(b'0'..=b'7') => {
                let digits = self.digits(3, |byte| matches!(byte, b'0'..=b'7'));
                // As in PHP, what does not fit a byte loses its top bit.
                text.push((number(digits, 8) & 0xFF) as u8);
            }
            Some(b'x') if self.peek(1).is_some_and(|byte| byte.is_ascii_hexdigit()) => {
                self.take(1);
                let digits = self.digits(2, |byte| byte.is_ascii_hexdigit());
                text.push((number(digits, 16) & 0xFF) as u8);
            }
            Some(b'u') if self.peek(1) == Some(b'{') => self.unicode_escape(text),
            _ => text.push(b'\\'),
        }
    }

    fn unicode_escape(&mut self, text: &mut Vec<u8>) {
        let hex = self.rest().get(2..).unwrap_or_default();
        let end = hex.iter().take(9).position(|byte| *byte == b'}');
        let digits = end.and_then(|end| hex.get(..end)).unwrap_or_default();
        let Some(letter) = char::from_u32(number(digits, 16)).filter(|_| !digits.is_empty()) else {
            text.push(b'\\');
            return;
        };
        self.take(digits.len() + 3);
        text.extend(letter.to_string().bytes());
    }

    fn digits(&mut self, most: usize, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let count = self
            .rest()
            .iter()
            .take(most)
            .take_while(|byte| keep(**byte))
            .count();
        self.take(count)
    }

    /// `{$…}` or `${name}` inside a string.
    fn braced(&mut self) -> Vec<Token> {
        let line = self.line;
        let bad = |what| {
            vec![Token {
                kind: Kind::Bad(what),
                line,
            }]
        };
        if self.depth == MAX_TEMPLATE_DEPTH {
            self.at = self.text.len();
            return bad("a deeply nested string");
        }
        let dollar_first = self.peek(0) == Some(b'$');
        self.take(if dollar_first { 2 } else { 1 });
        let mut inner = Lexer::new(self.text, self.line, self.depth + 1);
        inner.at = self.at;
        inner.run(Until::ClosingBrace);
        self.at = inner.at;
        self.line = inner.line;
        if !dollar_first {
            return inner.tokens;
        }
        match inner.tokens.as_slice() {
            [
                Token {
                    kind: Kind::Name(name),
                    line,
                },
                _end,
            ] => vec![Token {
                kind: Kind::Variable(name.clone()),
                line: *line,
            }],
            _ => bad("a variable variable"),
        }
    }

    /// `$name`, `$name[key]` or `$name->key` inside a string.
    fn simple_variable(&mut self) -> Vec<Token> {
        let line = self.line;
        self.take(1);
        let mut kinds = vec![Kind::Variable(self.name())];
        if self.peek(0) == Some(b'[') {
            self.take(1);
            kinds.push(Kind::Op("["));
            kinds.push(self.simple_key());
            kinds.push(Kind::Op("]"));
        } else if self.rest().starts_with(b"->") && self.peek(2).is_some_and(starts_name) {
            self.take(2);
            kinds.push(Kind::Op("->"));
            kinds.push(Kind::Name(self.name()));
        }
        kinds.into_iter().map(|kind| Token { kind, line }).collect()
    }

    fn simple_key(&mut self) -> Kind {
        if self.peek(0) == Some(b'$') {
            self.take(1);
            let name = self.name();
            self.take_while(|byte| byte != b']');
            self.take(1);
            return Kind::Variable(name);
        }
        let key = self.take_while(|byte| !matches!(byte, b']' | b'"' | b'\n'));
        if self.peek(0) != Some(b']') {
            return Kind::Bad("a key inside a string");
        }
        self.take(1);
        Kind::Text(key.into())
    }

    /// `<<<LABEL`, `<<<"LABEL"` and `<<<'LABEL'`; the closing label may be indented.
    fn heredoc(&mut self) -> Kind {
        self.take(3);
        self.take_while(|byte| matches!(byte, b' ' | b'\t'));
        let quote = self.peek(0).filter(|byte| matches!(byte, b'\'' | b'"'));
        self.take(usize::from(quote.is_some()));
        let label = self.take_while(continues_name);
        self.take(usize::from(quote.is_some()));
        self.take_while(|byte| byte == b'\r');
        if label.is_empty() || self.peek(0) != Some(b'\n') {
            return Kind::Bad("a heredoc");
        }
        self.take(1);
        let first_line = self.line;
        let Some((body, indent)) = self.heredoc_body(label) else {
            self.at = self.text.len();
            return Kind::Bad("a heredoc without an end");
        };
        let body = unindent(body, indent);
        if quote == Some(b'\'') {
            return Kind::Text(body.into());
        }
        Lexer::new(&body, first_line, self.depth).template(None)
    }

    /// The lines before the closing label, and how far that is indented.
    fn heredoc_body(&mut self, label: &[u8]) -> Option<(&'a [u8], usize)> {
        let rest = self.rest();
        let mut start = 0;
        loop {
            let line = rest.get(start..)?;
            let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
            let indent = line.iter().take_while(blank).count();
            let after = line.get(indent..)?.strip_prefix(label);
            if after.is_some_and(|after| !after.first().is_some_and(|byte| continues_name(*byte))) {
                let body = rest.get(..start)?;
                let body = body.strip_suffix(b"\n").unwrap_or(body);
                let body = body.strip_suffix(b"\r").unwrap_or(body);
                self.take(start + indent + label.len());
                return Some((body, indent));
            }
            start += line.iter().position(|byte| *byte == b'\n')? + 1;
        }
    }
}

fn unindent(body: &[u8], indent: usize) -> Vec<u8> {
    let lines = body.split(|byte| *byte == b'\n');
    let cut = lines.map(|line| {
        let blanks = line
            .iter()
            .take(indent)
            .take_while(|byte| matches!(byte, b' ' | b'\t'));
        line.get(blanks.count()..).unwrap_or_default()
    });
    cut.collect::<Vec<_>>().join(&b'\n')
}

fn integer(digits: &[u8], radix: u32) -> Kind {
    let digits: String = digits
        .iter()
        .filter(|byte| **byte != b'_')
        .map(|byte| char::from(*byte))
        .collect();
    match i64::from_str_radix(&digits, radix) {
        Ok(number) => Kind::Int(number),
        Err(_) if radix == 10 => digits.parse().map_or(Kind::Bad("a number"), Kind::Float),
        Err(_) => Kind::Bad("a number"),
    }
}

fn number(digits: &[u8], radix: u32) -> u32 {
    let text = std::str::from_utf8(digits).unwrap_or_default();
    u32::from_str_radix(text, radix).unwrap_or(u32::MAX)
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit()
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}
