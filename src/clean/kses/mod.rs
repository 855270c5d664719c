//! The markup filter: keeps what the rules of a release allow and shows or drops the rest.
//!
//! Never balances tags and never reads block markers as such: WordPress would also rewrite their JSON.

use std::borrow::Cow;

use super::Cleaner;
use super::entities::{escape, normalize};
use super::scan::{is_space, span};
use crate::release::Release;

mod attributes;
mod parse;
mod protocol;
mod rules;
mod style;

pub(super) use protocol::without_bad_protocol;
pub use rules::Elements;

/// Comments in comments that are looked into; deeper ones are dropped, for each level doubles the work. No text is
/// known to get this far: cleaning leaves no mark inside a comment that could open another.
const DEEPEST: u8 = 4;
/// How often a comment is cleaned until it no longer changes; after that it is dropped.
const MOST_ROUNDS: u8 = 16;

impl Cleaner {
    /// Text with only those elements and attributes that the rules allow (`wp_kses`).
    pub fn kses(&self, text: &str, elements: Elements) -> String {
        Filter {
            cleaner: self,
            elements,
        }
        .clean(text, 0)
    }
}

struct Filter<'a> {
    cleaner: &'a Cleaner,
    elements: Elements,
}

impl Filter<'_> {
    fn release(&self) -> Release {
        self.cleaner.release
    }

    fn clean(&self, text: &str, depth: u8) -> String {
        let text = normalize(&drop_controls(text), self.release());
        let text = plain_comment_ends(&less_than(&text, self.release()));
        let mut out = String::with_capacity(text.len());
        let mut tokens = Tokens::new(&text, self.release());
        while let Some((before, token)) = tokens.next_token() {
            out.push_str(before);
            out.push_str(&self.token(token, depth));
        }
        out.push_str(tokens.rest);
        out
    }

    fn token(&self, token: &str, depth: u8) -> Cow<'static, str> {
        if token == ">" {
            return "&gt;".into();
        }
        let token = token.replace("\\\"", "\"");
        if self.release().at_least(6, 6)
            && let Some((opener, inside)) = bogus_comment(&token)
        {
            let Some(inside) = self.settled(inside.to_owned(), depth) else {
                return "".into();
            };
            return format!("<{opener}{inside}>").into();
        }
        if token.starts_with("<!--") {
            let inside = token.replace("<!--", "").replace("-->", "");
            return self.comment(inside, depth).unwrap_or_default().into();
        }
        self.element(&token).unwrap_or_default().into()
    }

    fn comment(&self, inside: String, depth: u8) -> Option<String> {
        let inside = self.settled(inside, depth)?;
        if inside.is_empty() {
            return None;
        }
        let inside = single_dashes(&inside);
        let inside = inside.strip_suffix('-').unwrap_or(&inside);
        Some(format!("<!--{inside}-->"))
    }

    /// The text of a comment, cleaned until it stays the same.
    fn settled(&self, mut text: String, depth: u8) -> Option<String> {
        if depth >= DEEPEST {
            return None;
        }
        for _ in 0..MOST_ROUNDS {
            let next = self.clean(&text, depth + 1);
            if next == text {
                return Some(next);
            }
            text = next;
        }
        None
    }

    fn element(&self, token: &str) -> Option<String> {
        let inside = token.strip_prefix('<')?;
        let inside = inside.strip_suffix('>').unwrap_or(inside);
        let inside = inside.trim_start_matches(is_space);
        let (slash, inside) = match inside.strip_prefix('/') {
            Some(inside) => (true, inside.trim_start_matches(is_space)),
            None => (false, inside),
        };
        let (name, attributes) = span(inside, |c| c.is_ascii_alphanumeric() || c == '-');
        if name.is_empty() || attributes.contains('>') {
            return None;
        }
        let rules = self.rules(&name.to_ascii_lowercase())?;
        Some(if slash {
            format!("</{name}>")
        } else {
            attributes::cleaned(name, attributes, &rules)
        })
    }
}

/// Where the text falls apart into tags, comments and plain text.
struct Tokens<'a> {
    rest: &'a str,
    release: Release,
    /// So long as more than this is left, no comment ends in the present line.
    open_until: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str, release: Release) -> Self {
        Self {
            rest: text,
            release,
            open_until: usize::MAX,
        }
    }

    /// The next `>` or piece of markup, and the text before it.
    fn next_token(&mut self) -> Option<(&'a str, &'a str)> {
        let at = self.rest.find(['<', '>'])?;
        let (before, markup) = self.rest.split_at(at);
        let length = self.length(markup);
        let (token, rest) = markup.split_at_checked(length)?;
        self.rest = rest;
        Some((before, token))
    }

    fn length(&mut self, markup: &str) -> usize {
        if markup.starts_with('>') {
            return 1;
        }
        let comment = markup
            .strip_prefix("<!--")
            .and_then(|inside| self.comment(inside))
            .map(|length| length + 4);
        comment
            .or_else(|| self.closing_comment(markup))
            .or_else(|| markup.find('>').map(|at| at + 1))
            .unwrap_or(markup.len())
    }

    /// A comment ends in its line, or where the text ends (but for one line feed); otherwise it counts as a tag.
    fn comment(&mut self, inside: &str) -> Option<usize> {
        if self.open_until != usize::MAX && inside.len() > self.open_until {
            return None;
        }
        let line = inside.find('\n').unwrap_or(inside.len());
        let (line, after) = inside.split_at(line);
        if let Some(at) = line.find("-->") {
            return Some(at + 3);
        }
        if after.len() <= 1 {
            return Some(line.len());
        }
        self.open_until = after.len();
        None
    }

    /// From 6.6 a closing tag without a name is a comment up to the next `>` but one character.
    fn closing_comment(&self, markup: &str) -> Option<usize> {
        let inside = markup
            .strip_prefix("</")
            .filter(|_| self.release.at_least(6, 6))?;
        let mut after = inside.chars();
        let first = after.next().filter(|c| !c.is_ascii_alphabetic())?;
        Some(2 + first.len_utf8() + after.as_str().find('>')? + 1)
    }
}

/// `</…>` without a name or `<!…>` with one, which browsers read as comments: its second character, and what follows.
fn bogus_comment(token: &str) -> Option<(char, &str)> {
    let inside = token.strip_prefix('<')?.strip_suffix('>')?;
    if let Some(inside) = inside.strip_prefix('/') {
        let mut after = inside.chars();
        let named = after.next()?.is_ascii_alphabetic();
        return (!named && !after.as_str().contains('>')).then_some(('/', inside));
    }
    let inside = inside.strip_prefix('!')?;
    let named = inside.starts_with(|c: char| c.is_ascii_lowercase());
    (named && !inside.contains('>')).then_some(('!', inside))
}

/// Writes a `<` that no `>` answers as text (`wp_pre_kses_less_than`).
pub(super) fn less_than(text: &str, release: Release) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pieces = text.split('<');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        if piece.contains('>') {
            out.push('<');
            out.push_str(piece);
        } else {
            out.push_str("&lt;");
            out.push_str(&escape(piece, release));
        }
    }
    out
}

/// Ends comments with two dashes only.
fn plain_comment_ends(text: &str) -> String {
    if !text.contains("--->") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while let Some((before, inside)) = rest.split_once("<!--") {
            let Some((inside, after)) = inside.split_once("--->") else {
                break;
            };
            out.push_str(before);
            out.push_str("<!--");
            out.push_str(inside.trim_end_matches('-'));
            out.push_str("-->");
            rest = after;
        }
        out.push_str(rest);
    }
    out
}

fn single_dashes(text: &str) -> String {
    super::scan::squeeze(text, |c| c == '-', '-')
}

/// Deletes control characters but for tab and line breaks (`wp_kses_no_null`).
fn drop_controls(text: &str) -> String {
    let mut text = text.to_owned();
    text.retain(|c| !matches!(c, '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F'));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::tests::{V6_8_12, cleaner, for_every_case};

    #[test]
    fn markup_matches_the_vectors() {
        for_every_case(
            "kses",
            &["kses_post", "kses_data"],
            0,
            |c, text, key| match key {
                "kses_post" => c.kses(text, Elements::Post),
                _ => c.kses(text, Elements::Description),
            },
        );
    }

    /// Each round takes one backslash before a quotation mark.
    #[test]
    fn comments_that_do_not_settle_are_dropped() {
        let slashes = |count| format!("a<!--><b title='{}\"'>x-->b", "\\".repeat(count));
        let clean = |count| cleaner(V6_8_12, "").kses(&slashes(count), Elements::Post);
        assert_eq!(clean(3), "a<!--&gt;<b title='\"'>x-->b");
        assert_eq!(clean(100), "ab");
    }
}
