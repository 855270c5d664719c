//! What is kept for later, and when it is tried again. Pure: the table is `site`'s.
//!
//! A webhook is stored before it is worked on, one row per person: what comes for the same person meanwhile joins the
//! row. Whoever works on a row holds a [`Lease`] on it, and only the holder may end it. What must be sent once a user has
//! been committed is an [`Errand`], a row of its own written in the user's transaction.

use crate::bento::WelcomeEvent;
use crate::mail::Message;
use crate::outcome::{Fault, Trouble};
use crate::text::hex;
use crate::webhook::{Person, Webhook};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Seconds to wait after each failed attempt, give or take a tenth; after the last one the row is buried.
pub const SCHEDULE: [u64; 11] = [
    30,
    2 * 60,
    10 * 60,
    30 * 60,
    3600,
    2 * 3600,
    4 * 3600,
    8 * 3600,
    12 * 3600,
    24 * 3600,
    24 * 3600,
];

/// Milliseconds of the first of these waits.
pub const FIRST_WAIT: Millis = SCHEDULE[0] * 1000;

/// Seconds to leave Bento alone after a 429 that does not say how long, and the longest that it may ask for.
const PAUSE: u32 = 60;
const LONGEST_PAUSE: u32 = 3600;

/// Longest wait that is granted before the next attempt, in seconds: longer than this no row of the schedule waits.
const LONGEST_WAIT: u32 = 24 * 3600;

/// A moment on the database's clock, in milliseconds since 1970: the one clock that all web servers of a site share.
pub type Millis = u64;

/// What comes after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt, not before this moment.
    At(Millis),
    /// The same attempt, not before this moment: nothing has been tried.
    Uncounted(Millis),
    /// No more: the row is buried.
    Never,
}

/// What comes after an attempt that has failed; `spread` from -100 to 100 moves the wait by as many thousandths, so that
/// rows that failed together do not come back together.
pub fn after(lease: &Lease, trouble: &Trouble, spread: i64) -> Next {
    let asked = match trouble {
        Trouble::Bento { wait, .. } => *wait,
        _ => None,
    };
    match trouble.fault() {
        Fault::Limited | Fault::Spent => {
            let pause = pause(trouble).unwrap_or_default();
            Next::Uncounted(lease.since + u64::from(pause) * 1000)
        }
        Fault::Lasting => Next::Never,
        Fault::Passing => next(lease.since, lease.attempt, asked, spread),
    }
}

/// For how many seconds everybody leaves Bento alone after this failure.
pub fn pause(trouble: &Trouble) -> Option<u32> {
    match trouble {
        Trouble::Bento {
            wait,
            fault: Fault::Limited,
            ..
        } => Some(wait.unwrap_or(PAUSE).clamp(1, LONGEST_PAUSE)),
        _ => None,
    }
}

/// When to try again after attempt number `attempt` (from 1) has failed at `now`. `asked` is how many seconds the other
/// side wants to be left alone.
fn next(now: Millis, attempt: u32, asked: Option<u32>, spread: i64) -> Next {
    let at = usize::try_from(attempt.max(1) - 1).unwrap_or(usize::MAX);
    let Some(seconds) = SCHEDULE.get(at) else {
        return Next::Never;
    };
    let wait =
        seconds.saturating_mul(u64::try_from(1000 + spread.clamp(-100, 100)).unwrap_or(1000));
    let asked = u64::from(asked.unwrap_or_default().min(LONGEST_WAIT)) * 1000;
    Next::At(now + wait.max(asked))
}

/// Whether attempt number `attempt` is one too many: every one before ended without a word, as when the program is killed.
pub fn is_too_many(attempt: u32) -> bool {
    next(0, attempt.saturating_sub(1), None, 0) == Next::Never
}

/// Proves that a row is held: random, made anew for each claim.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; 16]);

impl Token {
    /// From random bytes.
    pub fn new(bytes: [u8; 16]) -> Token {
        Token(bytes)
    }

    /// As hexadecimal digits, for a statement or for the worker's environment.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Reads what [`Token::hex`] wrote.
    pub fn parse(text: &str) -> Option<Token> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok()?;
        is_hex.then(|| Token(number.to_be_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// What rows about the same person have in common: a digest, so that no address stands in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark([u8; 32]);

impl Mark {
    /// Of a text; ASCII case does not matter.
    pub fn of(text: &str) -> Mark {
        Mark(Sha256::digest(text.trim().to_ascii_lowercase().as_bytes()).into())
    }

    /// Of bytes as they are.
    pub fn new(bytes: [u8; 32]) -> Mark {
        Mark(bytes)
    }

    /// Of the person a webhook names: the e-mail address, else that of the user who has the id, else the id.
    pub fn of_person(person: &Person, user_email: Option<&str>) -> Mark {
        let own = person.email.as_ref().map(|email| email.as_str());
        Mark::of(
            own.or(user_email)
                .or(person.id.as_deref())
                .unwrap_or_default(),
        )
    }

    /// As hexadecimal digits.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// A row that is being worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its number.
    pub id: u64,
    /// What proves that we hold it.
    pub token: Token,
    /// How many webhooks have joined it; of an errand, 1 until it leaves by itself.
    pub version: u64,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it was taken.
    pub since: Millis,
    /// When it was written first.
    pub stored: Millis,
    /// Whether it was put off before, so that the log knows why.
    pub told: bool,
}

impl Lease {
    /// Of an errand: whether it has left, though nobody has noted how that ended.
    pub fn is_handed_over(&self) -> bool {
        self.version > 1
    }
}

/// Whether a row still is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Yes, and nothing has joined it.
    Held,
    /// Yes, but another webhook has joined it meanwhile: it must run again.
    Joined,
    /// No: the lease has run out and somebody else has taken the row.
    Lost,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<'a> {
    /// Everything is done.
    Done(&'a Lease),
    /// It runs again, as if it had just come.
    Again(&'a Lease),
    /// It runs again at a moment; the reason is one sentence without secrets.
    Later(&'a Lease, Millis, &'a str),
    /// It runs again at a moment, and this attempt does not count.
    Uncounted(&'a Lease, Millis, &'a str),
    /// It is not tried any more, but kept for the owner to look at.
    Buried(&'a Lease, &'a str),
}

impl<'a> Fate<'a> {
    /// The row it is about.
    pub fn lease(&self) -> &'a Lease {
        match self {
            Fate::Done(lease)
            | Fate::Again(lease)
            | Fate::Later(lease, ..)
            | Fate::Uncounted(lease, ..)
            | Fate::Buried(lease, _) => lease,
        }
    }
}

/// What is sent after a user has been committed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    /// Fields of a person go back to Bento; one of them may be the generated password.
    Fields {
        /// The user.
        user: u64,
        /// Bento's id of the person.
        uuid: String,
        /// Bento's names of the fields, and their values.
        fields: Vec<(String, String)>,
    },
    /// The welcome mail.
    Welcome {
        /// The user.
        user: u64,
        /// The mail, with a set-password link.
        message: Message,
        /// When the link dies, in seconds since 1970.
        until: i64,
    },
    /// The welcome as an event in Bento.
    WelcomeEvent {
        /// The user.
        user: u64,
        /// The event, with a set-password link.
        event: WelcomeEvent,
        /// When the link dies, in seconds since 1970.
        until: i64,
    },
    /// The notice to the address that a user had before.
    EmailChanged {
        /// The user.
        user: u64,
        /// The mail.
        message: Message,
    },
}

impl Errand {
    /// The user it is about.
    pub fn user(&self) -> u64 {
        match self {
            Errand::Fields { user, .. }
            | Errand::Welcome { user, .. }
            | Errand::WelcomeEvent { user, .. }
            | Errand::EmailChanged { user, .. } => *user,
        }
    }

    /// Whether it costs a call to Bento.
    pub fn calls_bento(&self) -> bool {
        match self {
            Errand::Fields { .. } | Errand::WelcomeEvent { .. } => true,
            Errand::Welcome { .. } | Errand::EmailChanged { .. } => false,
        }
    }
}

/// What a row asks for.
pub enum Task {
    /// A webhook, everything joined.
    Webhook(Webhook),
    /// Something that is to be sent.
    Errand(Errand),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_waits_longer_and_the_last_is_buried() {
        let waits: Vec<Next> = (1..=12)
            .map(|attempt| next(1_000, attempt, None, 0))
            .collect();
        let seconds = [
            30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400,
        ];
        let mut expected: Vec<Next> = seconds.iter().map(|s| Next::At(1_000 + s * 1000)).collect();
        expected.push(Next::Never);
        assert_eq!(waits, expected);
        assert_eq!(next(0, u32::MAX, None, 0), Next::Never);
        assert_eq!(next(0, 0, None, 0), Next::At(30_000));
        assert!(!is_too_many(12) && is_too_many(13));
    }

    #[test]
    fn a_tenth_more_or_less_and_never_before_the_time_that_was_asked_for() {
        assert_eq!(next(0, 1, None, -100), Next::At(27_000));
        assert_eq!(next(0, 1, None, 100), Next::At(33_000));
        assert_eq!(next(0, 1, None, 5_000), Next::At(33_000));
        assert_eq!(next(0, 1, Some(45), 0), Next::At(45_000));
        assert_eq!(next(0, 1, Some(7), 0), Next::At(30_000));
        assert_eq!(next(0, 1, Some(u32::MAX), 0), Next::At(86_400_000));
    }

    #[test]
    fn waiting_is_no_attempt_and_what_lasts_is_not_tried_again() {
        let lease = Lease {
            id: 1,
            token: Token::new([0; 16]),
            version: 1,
            attempt: 3,
            since: 5_000,
            stored: 0,
            told: false,
        };
        let bento = |fault, wait| Trouble::Bento {
            detail: String::new(),
            wait,
            fault,
        };
        let mail = |fault| Trouble::Mail {
            detail: String::new(),
            fault,
        };
        let table = [
            (Trouble::Tag, Next::At(605_000), None),
            (Trouble::database(""), Next::At(605_000), None),
            (mail(Fault::Passing), Next::At(605_000), None),
            (mail(Fault::Lasting), Next::Never, None),
            (bento(Fault::Passing, None), Next::At(605_000), None),
            (bento(Fault::Passing, Some(700)), Next::At(705_000), None),
            (bento(Fault::Lasting, Some(7)), Next::Never, None),
            (bento(Fault::Spent, None), Next::Uncounted(5_000), None),
            (
                bento(Fault::Limited, None),
                Next::Uncounted(65_000),
                Some(60),
            ),
            (
                bento(Fault::Limited, Some(7)),
                Next::Uncounted(12_000),
                Some(7),
            ),
            (
                bento(Fault::Limited, Some(0)),
                Next::Uncounted(6_000),
                Some(1),
            ),
            (
                bento(Fault::Limited, Some(u32::MAX)),
                Next::Uncounted(3_605_000),
                Some(3600),
            ),
        ];
        for (trouble, next, seconds) in table {
            assert_eq!(after(&lease, &trouble, 0), next, "{trouble:?}");
            assert_eq!(pause(&trouble), seconds, "{trouble:?}");
        }
    }

    #[test]
    fn a_token_goes_through_text() {
        let token = Token::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(Token::parse(&token.hex()), Some(token));
        for bad in ["", "0", "+00102030405060708090a0b0c0d0eff", "zz"] {
            assert_eq!(Token::parse(bad), None, "{bad}");
        }
    }
}
