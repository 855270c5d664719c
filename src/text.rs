//! Untrusted text on its way to a log line, a header or a terminal. Pure.
//!
//! Nothing that came from outside reaches one of those without passing here: a line break would forge a log
//! line, an escape sequence would drive the owner's terminal, and a right-to-left mark would show a name that is
//! not there. HTML is escaped in `page.rs`.

use sha2::{Digest, Sha256};

/// Longest piece of foreign text in one log line, in characters.
const LONGEST: usize = 200;

/// `text` as one line of visible characters: control characters, direction marks and zero-width characters become
/// `\u{…}`, and what is longer than 200 characters is cut and marked with `…`.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LONGEST));
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            line.push('…');
            break;
        }
        if hidden(c) {
            line.extend(c.escape_unicode());
        } else {
            line.push(c);
        }
    }
    line
}

/// `text` reduced to what a header value may hold: visible ASCII and single blanks.
pub fn header_value(text: &str) -> String {
    text.chars().filter(|c| (' '..='~').contains(c)).collect()
}

/// Eight hexadecimal characters that stand for an e-mail address in log lines: enough to see that two lines speak of
/// the same person, too few to be turned back. ASCII case does not matter.
pub fn email_mark(email: &str) -> String {
    let mut mark = hex(&Sha256::digest(email.to_ascii_lowercase().as_bytes()));
    mark.truncate(8);
    mark
}

/// `bytes` as hexadecimal digits in lower case, two for each.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text
}

/// Whether `c` would be invisible or would change how its neighbours are shown.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_stays_one_visible_line() {
        let table = [
            ("plain é 🎉", "plain é 🎉"),
            ("a\r\nb", "a\\u{d}\\u{a}b"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("evil\u{202e}txt", "evil\\u{202e}txt"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
        ];
        for (text, line) in table {
            assert_eq!(one_line(text), line);
        }
        assert_eq!(one_line(&"x".repeat(500)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_header_value_holds_no_line_break() {
        assert_eq!(
            header_value("http://a.test\r\nX: y\u{e9}\0"),
            "http://a.testX: y"
        );
    }

    #[test]
    fn an_address_becomes_a_mark_that_ignores_case() {
        assert_eq!(
            email_mark("Sue@Example.test"),
            email_mark("sue@example.TEST")
        );
        assert_ne!(
            email_mark("sue@example.test"),
            email_mark("sun@example.test")
        );
        assert_eq!(email_mark("x").len(), 8);
    }
}
