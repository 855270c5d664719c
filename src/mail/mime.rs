//! A message as bytes: head and body in the order and encoding that WordPress's mailer gives them.
//!
//! The mail library checks the addresses and encodes the body; every header line is written here in full, because its
//! form was recorded. The same message always gives the same bytes, so that a second try is the same mail.

use super::{Failure, Message, header};
use lettre::address::{Address, Envelope};
use lettre::message::Body;
use lettre::message::header::{ContentTransferEncoding, Date, HeaderName, HeaderValue};
use std::time::{Duration, UNIX_EPOCH};

/// Longest line of a body that travels as it is, in bytes.
const LONGEST_LINE: usize = 998;

/// What may travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// Bytes beyond ASCII too.
    EightBit,
    /// Only ASCII.
    SevenBit,
}

/// Sender and recipient: one each, whatever the texts hold.
pub(super) fn envelope(message: &Message) -> Result<Envelope, Failure> {
    let (from, to) = addresses(message)?;
    Envelope::new(Some(from), vec![to]).map_err(|_| Failure::permanent("the mail has no recipient"))
}

fn addresses(message: &Message) -> Result<(Address, Address), Failure> {
    let parse = |text: &str| text.parse::<Address>().ok();
    let from = parse(&format!("wordpress@{}", message.host))
        .ok_or_else(|| Failure::permanent("the site's host is none that mail can come from"))?;
    // What WordPress takes for an address is plain text without blanks, quotes and commas. The library would take more, as
    // quoted addresses, and less: it counts letters, where WordPress leaves that to the mail server.
    let to = Some(message.to.as_str())
        .filter(|to| crate::clean::is_email(to) && !to.contains(char::is_control))
        .and_then(|to| to.split_once('@'))
        .map(|(user, domain)| Address::new_dangerous(user, domain))
        .ok_or_else(|| Failure::permanent("the address is none that mail can be sent to"))?;
    Ok((from, to))
}

/// The message in full, lines ended by CRLF.
pub(super) fn bytes(message: &Message, channel: Channel) -> Result<Vec<u8>, Failure> {
    let (from, to) = addresses(message)?;
    let since = Duration::from_secs(u64::try_from(message.date).unwrap_or_default());
    let subject = header::subject(&message.subject, &message.charset);
    let body = body(&message.body, channel);
    let encoding = body.encoding();
    let mail = lettre::Message::builder()
        .envelope(envelope(message)?)
        .raw_header(line(HeaderName::new_from_ascii_str("To"), to.to_string()))
        .raw_header(line(HeaderName::new_from_ascii_str("Subject"), subject))
        .header(Date::new(UNIX_EPOCH + since))
        .raw_header(line(
            HeaderName::new_from_ascii_str("From"),
            format!("WordPress <{from}>"),
        ))
        .raw_header(line(
            HeaderName::new_from_ascii_str("Message-ID"),
            format!("<{}@{}>", message.nonce, message.host),
        ))
        .raw_header(line(
            HeaderName::new_from_ascii_str("X-Mailer"),
            format!("bento-webhooks/{}", env!("CARGO_PKG_VERSION")),
        ))
        .raw_header(line(
            HeaderName::new_from_ascii_str("MIME-Version"),
            "1.0".to_owned(),
        ))
        .raw_header(line(
            HeaderName::new_from_ascii_str("Content-Type"),
            format!("text/plain; charset={}", message.charset),
        ))
        .body(body);
    let mut mail = mail.map_err(|_| Failure::permanent("the mail cannot be written"))?;
    if encoding == ContentTransferEncoding::SevenBit {
        // Goes without saying.
        mail.headers_mut().remove_raw("Content-Transfer-Encoding");
    }
    Ok(mail.formatted())
}

/// A header line that is complete as it is.
fn line(name: HeaderName, value: String) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value)
}

/// The body, ended by a line break: as it is where that can travel, else quoted-printable.
fn body(text: &str, channel: Channel) -> Body {
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let wanted = if text.split('\n').any(|line| line.len() > LONGEST_LINE) {
        ContentTransferEncoding::QuotedPrintable
    } else if text.is_ascii() {
        ContentTransferEncoding::SevenBit
    } else if channel == Channel::EightBit {
        ContentTransferEncoding::EightBit
    } else {
        ContentTransferEncoding::QuotedPrintable
    };
    let text = text.replace('\n', "\r\n");
    match wanted {
        // Nothing to encode; the library would quote every line over 76 bytes.
        ContentTransferEncoding::SevenBit | ContentTransferEncoding::EightBit => {
            Body::dangerous_pre_encoded(text.into_bytes(), wanted)
        }
        _ => Body::new_with_encoding(text, wanted)
            .unwrap_or_else(|text| Body::dangerous_pre_encoded(text, wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> Message {
        Message {
            to: "jane@example.org".to_owned(),
            subject: "[Zoë] Login Details".to_owned(),
            host: "example.org".to_owned(),
            charset: "UTF-8".to_owned(),
            body: body.to_owned(),
            date: 1_795_456_204,
            nonce: "N0nce".to_owned(),
        }
    }

    fn text(message: &Message, channel: Channel) -> String {
        String::from_utf8(bytes(message, channel).unwrap()).unwrap()
    }

    #[test]
    fn the_head_stands_as_recorded() {
        let mailer = concat!("X-Mailer: bento-webhooks/", env!("CARGO_PKG_VERSION"));
        let head = [
            "To: jane@example.org",
            "Subject: =?UTF-8?Q?[Zo=C3=AB]_Login_Details?=",
            "Date: Mon, 23 Nov 2026 17:50:04 +0000",
            "From: WordPress <wordpress@example.org>",
            "Message-ID: <N0nce@example.org>",
            mailer,
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=UTF-8",
        ]
        .join("\r\n");
        for (body, encoding, sent) in [
            ("a\nb", "", "a\r\nb\r\n"),
            ("a\r\nb\r\n", "", "a\r\nb\r\n"),
            ("ä\rb", "\r\nContent-Transfer-Encoding: 8bit", "ä\r\nb\r\n"),
        ] {
            assert_eq!(
                text(&message(body), Channel::EightBit),
                format!("{head}{encoding}\r\n\r\n{sent}")
            );
        }
    }

    #[test]
    fn what_cannot_travel_as_it_is_is_quoted() {
        let quoted = "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
        let long = text(&message(&"x".repeat(999)), Channel::EightBit);
        assert!(
            long.contains(quoted) && long.lines().all(|line| line.len() <= 76),
            "{long}"
        );
        assert!(!text(&message(&"x".repeat(998)), Channel::EightBit).contains(quoted));
        let plain = text(&message("ä=b"), Channel::SevenBit);
        assert!(
            plain.ends_with(&format!("{quoted}=C3=A4=3Db\r\n")),
            "{plain}"
        );
        let odd = text(&message("a\0b"), Channel::EightBit);
        assert!(odd.contains("a") && !odd.contains("base64"), "{odd}");
    }

    #[test]
    fn whom_wordpress_writes_to_is_written_to() {
        let long = format!("{}@example.org", "j".repeat(80));
        for to in [
            "o'neill+x@example.org",
            "j..doe.@example.org",
            "{eve}=?`~#$*|/!%&@example.org",
            "jane@xn--a.example.org",
            long.as_str(),
        ] {
            let message = Message {
                to: to.to_owned(),
                ..message("x")
            };
            let text = text(&message, Channel::EightBit);
            assert!(
                text.starts_with(&format!("To: {to}\r\nSubject: ")),
                "{text}"
            );
        }
    }

    #[test]
    fn only_one_plain_address_is_written_to() {
        for to in [
            "",
            "jane",
            "jane@example.org, eve@example.org",
            "jane@example.org\nBcc: eve@example.org",
            "jane@example.org\r\n",
            "jane@example.org\n",
            "jane\n@example.org",
            "\"jane, eve\"@example.org",
            "Jane <jane@example.org>",
            "jane@exämple.org",
            "jane@example.org eve@example.org",
            "(x)jane@example.org",
            "-f@example.org>",
        ] {
            let message = Message {
                to: to.to_owned(),
                ..message("x")
            };
            let failure = bytes(&message, Channel::EightBit).unwrap_err();
            assert!(failure.is_permanent(), "{to}");
        }
    }
}
