//! A subject as WordPress's mailer writes it into a header: bare where that is safe and short, else in encoded words
//! (RFC 2047), quoted-printable or base64, folded.
//!
//! A mail library has its own taste here; what WordPress sends was recorded, and people's filters know it. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest line that PHP's `mail()` is given, and longest encoded word in base64.
const LINE: usize = 63;
const WORD: usize = 75;

/// The value of a `Subject` header: one line, or several folded by CRLF and a blank. No byte of the text can end it:
/// line breaks go away, and tabs turn into blanks, as in WordPress and in PHP's `mail()`.
pub(super) fn subject(text: &str, charset: &str) -> String {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let text = text.trim_matches([' ', '\t', '\0', '\x0b']);
    let label = if text.is_ascii() { "us-ascii" } else { charset };
    let room = LINE.saturating_sub(8 + label.len());
    let odd = text.bytes().filter(|byte| must_be_encoded(*byte)).count();
    if odd == 0 && text.len() <= room {
        return text.replace('\t', " ");
    }
    // Other charsets are only a label: their sites, too, hand UTF-8 to the mailer, which then cuts anywhere.
    let units: Vec<&[u8]> = match charset.eq_ignore_ascii_case("utf-8") {
        true => text
            .char_indices()
            .map(|(at, c)| bytes(text, at, c.len_utf8()))
            .collect(),
        false => text.as_bytes().chunks(1).collect(),
    };
    let (kind, words) = match odd > text.len() / 3 {
        true => ('B', base64_words(&units, charset, room)),
        false => ('Q', quoted_words(&units, room)),
    };
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("=?{label}?{kind}?{word}?="))
        .collect();
    words.join("\r\n ")
}

fn bytes(text: &str, at: usize, length: usize) -> &[u8] {
    text.as_bytes().get(at..at + length).unwrap_or_default()
}

/// What makes a subject be encoded: control characters but tab, and everything beyond ASCII.
fn must_be_encoded(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte >= 0x7f
}

/// Quoted-printable pieces of at most `room` characters. A character of several bytes that would end a piece which is
/// not the only one goes into the next: so WordPress's mailer does it.
fn quoted_words(units: &[&[u8]], room: usize) -> Vec<String> {
    let quoted: Vec<String> = units.iter().map(|unit| quote(unit)).collect();
    if quoted.iter().map(String::len).sum::<usize>() <= room {
        return vec![quoted.concat()];
    }
    let mut words = vec![String::new()];
    for (unit, quoted) in units.iter().zip(quoted) {
        let most = if unit.len() > 1 { room - 1 } else { room };
        match words.last_mut() {
            Some(word) if word.len() + quoted.len() <= most => word.push_str(&quoted),
            _ => words.push(quoted),
        }
    }
    words
}

fn quote(unit: &[u8]) -> String {
    let quote = |byte: &u8| match byte {
        b' ' => "_".to_owned(),
        b'=' | b'?' | b'_' => format!("={byte:02X}"),
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => format!("={byte:02X}"),
    };
    unit.iter().map(quote).collect()
}

/// Base64 pieces: as many whole characters in each as fit on average, fewer where they are long.
fn base64_words(units: &[&[u8]], charset: &str, room: usize) -> Vec<String> {
    let length: usize = units.iter().map(|unit| unit.len()).sum();
    if length == units.len() {
        let whole = STANDARD.encode(units.concat());
        let pieces = whole.as_bytes().chunks(room - room % 4);
        return pieces
            .map(|piece| String::from_utf8_lossy(piece).into_owned())
            .collect();
    }
    let longest = WORD - 7 - charset.len();
    let average = (longest * units.len() * 3 / (length * 4)).max(1);
    let mut words = Vec::new();
    let mut rest = units;
    while !rest.is_empty() {
        let mut count = average.min(rest.len());
        let word = loop {
            let (piece, _) = rest.split_at(count);
            let word = STANDARD.encode(piece.concat());
            if word.len() <= longest || count == 1 {
                break word;
            }
            count -= 1;
        };
        words.push(word);
        rest = rest.get(count..).unwrap_or_default();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    #[test]
    fn the_recorded_subjects_are_written_as_recorded() {
        assert_eq!(
            subject("[Bob's Shop & Co] Login Details", "UTF-8"),
            "[Bob's Shop & Co] Login Details"
        );
        assert_eq!(
            subject(
                "[Zoë's Café 🎉 & a rather long name that makes the subject line wrap somewhere] Login Details",
                "UTF-8"
            ),
            "=?UTF-8?Q?[Zo=C3=AB's_Caf=C3=A9_=F0=9F=8E=89_&_a_rather_long?=\r\n \
             =?UTF-8?Q?_name_that_makes_the_subject_line_wrap_somewhere]_?=\r\n \
             =?UTF-8?Q?Login_Details?="
        );
    }

    #[test]
    fn no_text_can_end_the_header() {
        assert_eq!(subject(" a\r\nBcc: b\rc\n", "UTF-8"), "aBcc: bc");
        let mut dice = Dice(5);
        let letters = [
            '\r', '\n', ' ', ':', 'é', '🎉', '=', '?', 'a', '\0', '\u{85}', '\u{2028}',
        ];
        for _ in 0..2000 {
            let length = dice.below(120);
            let text: String = (0..length)
                .map(|_| letters[dice.below(letters.len())])
                .collect();
            for charset in ["UTF-8", "ISO-8859-1"] {
                let value = subject(&text, charset);
                assert!(value.is_ascii(), "{text:?}");
                for line in value.split("\r\n ") {
                    assert!(!line.contains(['\r', '\n']), "{text:?}: {value:?}");
                    assert!(line.len() <= 75, "{text:?}: {value:?}");
                }
            }
        }
    }
}
