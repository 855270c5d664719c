//! Taking markup out of text: PHP's `strip_tags`, and WordPress's variant that takes scripts and styles with their content.
//!
//! Never judges names: whatever looks like a tag goes.

use super::scan::{find_ignore_case, starts_with_ignore_case, trim};

/// `wp_strip_all_tags`: script and style elements with content, then all tags, then blanks around.
pub(super) fn strip_all(text: &str) -> String {
    trim(&strip(&drop_scripts(text))).to_owned()
}

fn drop_scripts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // A closing tag that is missing once is missing for every later opening tag too.
    let mut closers = [Some("</script>"), Some("</style>")];
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        rest = match without_element(tag, &mut closers) {
            Some(beyond) => beyond,
            None => {
                out.push('<');
                tag.get(1..).unwrap_or_default()
            }
        };
    }
    out.push_str(rest);
    out
}

/// What follows the script or style element that `text` starts with.
fn without_element<'a>(text: &'a str, closers: &mut [Option<&str>; 2]) -> Option<&'a str> {
    let [script, style] = closers;
    let closer = if starts_with_ignore_case(text, "<script") {
        script
    } else if starts_with_ignore_case(text, "<style") {
        style
    } else {
        return None;
    };
    let word = (*closer)?;
    let Some(found) = text
        .split_once('>')
        .and_then(|(_, content)| content.get(find_ignore_case(content, word)?..))
    else {
        *closer = None;
        return None;
    };
    found.get(word.len()..)
}

/// Where PHP's tag scanner is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    Tag,
    Code,
    Declaration,
    Comment,
}

/// PHP's `strip_tags` without allowed tags; NUL bytes in the text go too.
pub(super) fn strip(text: &str) -> String {
    let mut scanner = Scanner::default();
    let bytes = text.as_bytes();
    for (at, c) in text.char_indices() {
        let (head, tail) = bytes.split_at(at);
        scanner.step(c, head, tail.get(1).copied());
    }
    scanner.out
}

struct Scanner {
    out: String,
    place: Place,
    /// Tags opened inside the tag.
    depth: usize,
    /// The quotation mark that is open inside the tag.
    quote: Option<char>,
    /// Balance of parentheses inside code.
    parentheses: isize,
    /// The last mark of interest inside code.
    last: char,
    /// Inside `<?xml`, where `->` does not close.
    xml: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            out: String::new(),
            place: Place::Text,
            depth: 0,
            quote: None,
            parentheses: 0,
            last: '\0',
            xml: false,
        }
    }
}

impl Scanner {
    fn step(&mut self, c: char, before: &[u8], next: Option<u8>) {
        match self.place {
            Place::Text => self.text(c, next),
            Place::Tag => self.tag(c, before, next),
            Place::Code => self.code(c, before),
            Place::Declaration => self.declaration(c, before),
            Place::Comment => {
                if c == '>' && self.quote.is_none() && before.ends_with(b"--") {
                    self.close();
                }
            }
        }
    }

    fn text(&mut self, c: char, next: Option<u8>) {
        match c {
            '\0' => {}
            '<' if !blank(next) => {
                self.last = '<';
                self.place = Place::Tag;
            }
            '>' if self.depth > 0 => self.depth -= 1,
            _ => self.out.push(c),
        }
    }

    fn tag(&mut self, c: char, before: &[u8], next: Option<u8>) {
        match c {
            '<' if self.quote.is_none() && !blank(next) => self.depth += 1,
            '>' if self.ends_here() => {
                self.last = '>';
                if !(self.xml && before.ends_with(b"-")) {
                    self.close();
                }
            }
            '"' | '\'' => self.toggle(c),
            '!' if before.ends_with(b"<") => {
                self.last = c;
                self.place = Place::Declaration;
            }
            '?' if before.ends_with(b"<") => {
                self.parentheses = 0;
                self.place = Place::Code;
            }
            _ => {}
        }
    }

    fn code(&mut self, c: char, before: &[u8]) {
        match c {
            '(' | ')' if !matches!(self.last, '"' | '\'') => {
                self.last = c;
                self.parentheses += if c == '(' { 1 } else { -1 };
            }
            '>' if self.ends_here()
                && self.parentheses == 0
                && self.last != '"'
                && before.ends_with(b"?") =>
            {
                self.close();
            }
            '"' | '\'' if !before.ends_with(b"\\") => {
                self.last = if self.last == c { '\0' } else { c };
                self.toggle(c);
            }
            'l' | 'L' if before.len() > 4 && ends_with_ignore_case(before, b"<?xm") => {
                self.xml = true;
                self.place = Place::Tag;
            }
            _ => {}
        }
    }

    fn declaration(&mut self, c: char, before: &[u8]) {
        match c {
            '>' if self.ends_here() => self.close(),
            '"' | '\'' if !before.ends_with(b"\\") => self.toggle(c),
            '-' if before.ends_with(b"!-") => self.place = Place::Comment,
            'e' | 'E' if before.len() > 6 && ends_with_ignore_case(before, b"doctyp") => {
                self.place = Place::Tag;
            }
            _ => {}
        }
    }

    /// Whether a `>` ends the construct, and not one nested in it or quoted.
    fn ends_here(&mut self) -> bool {
        if self.depth > 0 {
            self.depth -= 1;
            return false;
        }
        self.quote.is_none()
    }

    fn close(&mut self) {
        self.quote = None;
        self.xml = false;
        self.place = Place::Text;
    }

    fn toggle(&mut self, mark: char) {
        match self.quote {
            None => self.quote = Some(mark),
            Some(open) if open == mark => self.quote = None,
            Some(_) => {}
        }
    }
}

fn blank(next: Option<u8>) -> bool {
    next.is_some_and(|b| matches!(b, b'\t'..=b'\r' | b' '))
}

fn ends_with_ignore_case(before: &[u8], word: &[u8]) -> bool {
    before
        .len()
        .checked_sub(word.len())
        .and_then(|start| before.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(word))
}
