//! The line about a request in the web server's error log. Pure.
//!
//! Time, result, action, contact, user, reason and milliseconds; under 1 kB, one line, no key, no password, no e-mail
//! address.

use crate::clock::Clock;
use crate::outcome::{Ending, Later, Outcome};
use crate::text::one_line;
use std::fmt::Write;
use std::time::Duration;

/// The line, without a line break.
pub fn line(outcome: &Outcome, took: Duration) -> String {
    let time = Clock::now().utc().replace(' ', "T");
    let mut line = format!("bento-webhooks: {time}Z {}", outcome.result());
    if let Some(action) = outcome.action {
        let _ = write!(line, " {action}");
    }
    if let Some(contact) = &outcome.contact_id {
        let _ = write!(line, " contact={}", one_line(contact));
    }
    if let Some(user) = outcome.user_id {
        let _ = write!(line, " user={user}");
    }
    let reason = match &outcome.ending {
        Ending::Failed(trouble) | Ending::Queued(Later::After(trouble)) => {
            Some(trouble.to_string())
        }
        _ => outcome.reason(),
    };
    if let Some(reason) = reason {
        let _ = write!(line, " ({})", one_line(&reason));
    }
    let _ = write!(line, " {} ms", took.as_millis());
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Trouble;

    #[test]
    fn the_line_is_one_line_with_the_facts() {
        let outcome = Outcome {
            action: Some("update"),
            contact_id: Some("u-1\r\nforged line".to_owned()),
            user_id: Some(3),
            ending: Ending::Failed(Trouble::bento("status 500")),
        };
        let line = line(&outcome, Duration::from_millis(12));
        let (time, rest) = line.split_at("bento-webhooks: 2026-01-02T03:04:05Z".len());
        assert!(
            time.starts_with("bento-webhooks: 2") && time.ends_with('Z'),
            "{time}"
        );
        assert_eq!(
            rest,
            " failed update contact=u-1\\u{d}\\u{a}forged line user=3 (Bento: status 500) 12 ms"
        );
    }
}
