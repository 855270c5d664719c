//! Messages to users: composed as WordPress would have composed them, kept as plain data, handed over by one of two ways.
//!
//! Composing is pure. A [`Message`] holds everything that its bytes are made of, so it can be stored in the transaction
//! that makes the user and sent later, more than once if need be, as the same mail with the same Message-ID. Nothing
//! here decides whether to send, and nothing here is written to the log.

mod compose;
mod header;
mod links;
mod mime;
mod sendmail;
mod smtp;
mod wording;

pub use compose::{Letterhead, Recipient, address};
pub use links::{Over, Places};
pub use wording::{Whose, Words};

use crate::wp_config::MailWay;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::time::Instant;

/// One mail, before it is bytes. It may hold a set-password link, so it is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    to: String,
    subject: String,
    /// What stands behind the `@` of sender and Message-ID.
    host: String,
    charset: String,
    body: String,
    /// Seconds since 1970.
    date: i64,
    /// What stands before the `@` of the Message-ID.
    nonce: String,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Message(***)")
    }
}

/// A mail that could not be handed over: why, in words without addresses, secrets or what a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    reason: String,
    lasting: Lasting,
}

/// Whether another try can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasting {
    Temporary,
    Permanent,
}

impl Failure {
    /// What another try may mend: no answer, a full disk, a setting that is wrong today.
    fn temporary(reason: impl Into<String>) -> Failure {
        Failure {
            reason: reason.into(),
            lasting: Lasting::Temporary,
        }
    }

    /// What no other try can mend: this address or this mail is refused.
    fn permanent(reason: impl Into<String>) -> Failure {
        Failure {
            reason: reason.into(),
            lasting: Lasting::Permanent,
        }
    }

    /// Whether no other try can help.
    pub fn is_permanent(&self) -> bool {
        self.lasting == Lasting::Permanent
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Failure {}

/// Hands a mail over, and gives up at `deadline`. `roots` is a PEM file of certificates to trust in place of the
/// built-in ones.
///
/// `note` is called when a command has been given the whole mail but its end: from then on the mail leaves even when this
/// process is killed. A mail server has nothing before the end of the mail, so there is no such moment.
pub fn deliver(
    message: &Message,
    way: &MailWay,
    roots: Option<&Path>,
    deadline: Instant,
    note: &mut dyn FnMut(),
) -> Result<(), Failure> {
    match way {
        MailWay::Sendmail(command) => sendmail::deliver(message, command, deadline, note),
        MailWay::Smtp(server) => smtp::deliver(message, server, roots, deadline),
    }
}
