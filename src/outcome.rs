//! What became of a request, and the one table that turns it into an answer. Pure.
//!
//! A [`Refusal`] means that the request or a rule says no: it is never worth another try. A [`Trouble`] means that the
//! world failed: the sender shall come back. No text of a server and no detail of a failure reaches the caller; those go
//! to the web server's error log.

use crate::cgi::Answer;
use crate::echo::Echo;
use crate::page;
use serde_json::{Value, json};
use std::fmt;

/// Seconds after which a sender shall try again, when nobody said otherwise.
pub const RETRY_AFTER: u32 = 60;

/// Why a request is turned down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Neither GET, POST nor HEAD.
    Method,
    /// The access key is missing or wrong, or the site has none.
    Key,
    /// The body is longer than `cgi::BODY_LIMIT`.
    TooLarge,
    /// `wpf_action` is missing or none of ours; holds what was sent.
    Action(String),
    /// Nobody is named in a usable way; the sentence names what to put into Bento.
    Person(&'static str),
}

impl Refusal {
    /// One sentence for the caller.
    fn reason(&self) -> String {
        match self {
            Refusal::Method => "use POST, or GET to try it in a browser".to_owned(),
            Refusal::Key => "the access key is missing or wrong".to_owned(),
            Refusal::TooLarge => {
                "the body is longer than 1 MiB; send only {\"id\":\"{{visitor.uuid}}\"}".to_owned()
            }
            Refusal::Action(_) => {
                "set wpf_action in the URL to add, update, update_tags or test".to_owned()
            }
            Refusal::Person(fix) => (*fix).to_owned(),
        }
    }
}

/// What kind of failure of Bento it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It may go away: try again by the schedule.
    Passing,
    /// Too many calls in Bento's eyes: leave it alone for a while. No attempt was made.
    Limited,
    /// The calls that we allow ourselves in a minute, or the time of a request, are used up. No attempt was made.
    Spent,
    /// The request itself is wrong: the same one will never do.
    Lasting,
}

/// Why a request could not be finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// WordPress or its settings cannot be found or understood.
    Setup(String),
    /// The database cannot be reached, or refuses.
    Database {
        /// For the log: what happened, without addresses and secrets.
        detail: String,
        /// Undone by others, as by a deadlock or a lock wait: the same transaction may work at once.
        transient: bool,
    },
    /// Bento failed, or what it said is doubtful.
    Bento {
        /// For the log.
        detail: String,
        /// Seconds Bento asked to wait.
        wait: Option<u32>,
        /// Whether another try can help.
        fault: Fault,
    },
    /// A mail could not be handed over.
    Mail {
        /// For the log.
        detail: String,
        /// Whether another try can help.
        fault: Fault,
    },
    /// Bento named a tag that its own list does not know; what is known was applied.
    Tag,
    /// A bug: nothing is known about how far the work went.
    Bug,
}

impl Trouble {
    /// A failure of the database that another try at once will not mend.
    pub fn database(detail: impl Into<String>) -> Trouble {
        Trouble::Database {
            detail: detail.into(),
            transient: false,
        }
    }

    /// A failure of Bento without a wish how long to wait.
    pub fn bento(detail: impl Into<String>) -> Trouble {
        Trouble::Bento {
            detail: detail.into(),
            wait: None,
            fault: Fault::Passing,
        }
    }

    /// The calls of this minute are used up.
    pub fn spent() -> Trouble {
        Trouble::not_asked("the calls of this minute are used up")
    }

    /// The sender has waited for so long that there is no time left to ask Bento.
    pub fn late() -> Trouble {
        Trouble::not_asked("no time left to ask")
    }

    fn not_asked(detail: &str) -> Trouble {
        Trouble::Bento {
            detail: detail.to_owned(),
            wait: None,
            fault: Fault::Spent,
        }
    }

    /// What kind of failure it was.
    pub fn fault(&self) -> Fault {
        match self {
            Trouble::Bento { fault, .. } | Trouble::Mail { fault, .. } => *fault,
            _ => Fault::Passing,
        }
    }

    /// Whether no other try can help.
    pub fn is_lasting(&self) -> bool {
        self.fault() == Fault::Lasting
    }

    /// Whether nothing has been tried yet: no call is free, or Bento wants to be left alone.
    pub fn is_waiting(&self) -> bool {
        matches!(self.fault(), Fault::Limited | Fault::Spent)
    }

    /// Seconds the sender shall wait before the next try.
    fn wait(&self) -> u32 {
        match self {
            Trouble::Bento {
                wait: Some(seconds),
                ..
            } => (*seconds).clamp(1, 3600),
            _ => RETRY_AFTER,
        }
    }

    /// One sentence for the caller.
    fn reason(&self) -> &'static str {
        match self {
            Trouble::Setup(_) => {
                "bento-webhooks is not set up; the server's error log says what is missing"
            }
            Trouble::Database { .. } => {
                "the site's database cannot be used right now; send this again"
            }
            Trouble::Bento { .. } => "Bento could not be asked about this person; send this again",
            Trouble::Mail { .. } => "a mail could not be handed over; send this again",
            Trouble::Tag => "Bento names a tag that it does not list yet; send this again",
            Trouble::Bug => "an unexpected error; the server's error log has a line about it",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Setup(detail) => write!(f, "not set up: {detail}"),
            Trouble::Database { detail, .. } => write!(f, "database: {detail}"),
            Trouble::Bento { detail, .. } => write!(f, "Bento: {detail}"),
            Trouble::Mail { detail, .. } => f.write_str(detail),
            Trouble::Tag => f.write_str("Bento: a tag id is not in its list of tags"),
            Trouble::Bug => f.write_str("internal error"),
        }
    }
}

impl std::error::Error for Trouble {}

/// What an applied webhook left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The person's tags now.
    pub tags: Vec<String>,
    /// The WordPress names of the fields that were written; never a value.
    pub fields: Vec<String>,
    /// What the owner should know all the same.
    pub remark: Option<String>,
}

/// Why a stored webhook was not done at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Later {
    /// The person is being worked on right now.
    Person,
    /// As many requests as the site wants are being worked on.
    Crowd,
    /// The calls to Bento in this minute are used up.
    Calls,
    /// The sender wants it so (`async`).
    Asked,
    /// The person cannot be found as soon as the sender wants an answer: the site is large, and has no index on contact ids.
    Search,
    /// Something failed.
    After(Trouble),
}

impl Later {
    /// One sentence for the caller.
    fn reason(&self) -> &'static str {
        match self {
            Later::Person => "this person is being worked on; this webhook follows",
            Later::Crowd => "other webhooks are being worked on; this one follows",
            Later::Calls => "the calls to Bento in this minute are used up; this webhook follows",
            Later::Asked => "this webhook is done in the background",
            Later::Search => {
                "it takes long to find a person on this site; this webhook follows (bento-webhooks index --make helps)"
            }
            Later::After(Trouble::Bento { .. }) => {
                "Bento could not be asked about this person; it will be tried again"
            }
            Later::After(Trouble::Tag) => {
                "Bento names a tag that it does not list yet; it will be tried again"
            }
            Later::After(_) => "this could not be finished now; it will be tried again",
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// `wpf_action=test`; with an echo for a sender who gave a nonce.
    Tested(Option<Echo>),
    /// Rows were written.
    Applied(Applied),
    /// There was nothing to write.
    Unchanged,
    /// It is stored and will be done later.
    Queued(Later),
    /// A rule says no; the sentence says which.
    Ignored(String),
    /// The request is turned down.
    Refused(Refusal),
    /// It could not be finished.
    Failed(Trouble),
}

/// How a request ended, and about whom it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The action asked for, once the key was right.
    pub action: Option<&'static str>,
    /// Bento's id of the person.
    pub contact_id: Option<String>,
    /// The WordPress user.
    pub user_id: Option<u64>,
    /// How it ended.
    pub ending: Ending,
}

impl From<Ending> for Outcome {
    fn from(ending: Ending) -> Outcome {
        Outcome {
            action: None,
            contact_id: None,
            user_id: None,
            ending,
        }
    }
}

impl Outcome {
    /// The word for `result` in the answer and in the log line.
    pub fn result(&self) -> &'static str {
        match self.ending {
            Ending::Tested(_) => "tested",
            Ending::Applied(_) => "applied",
            Ending::Unchanged => "unchanged",
            Ending::Queued(_) => "queued",
            Ending::Ignored(_) => "ignored",
            Ending::Refused(_) => "refused",
            Ending::Failed(_) => "failed",
        }
    }

    /// Why it ended so, for the caller.
    pub fn reason(&self) -> Option<String> {
        match &self.ending {
            Ending::Tested(_) | Ending::Unchanged => None,
            Ending::Applied(applied) => applied.remark.clone(),
            Ending::Queued(later) => Some(later.reason().to_owned()),
            Ending::Ignored(reason) => Some(reason.clone()),
            Ending::Refused(refusal) => Some(refusal.reason()),
            Ending::Failed(trouble) => Some(trouble.reason().to_owned()),
        }
    }

    /// The HTTP status: the one table of them.
    pub fn status(&self) -> &'static str {
        match &self.ending {
            Ending::Tested(_)
            | Ending::Applied(_)
            | Ending::Unchanged
            | Ending::Queued(_)
            | Ending::Ignored(_) => "200 OK",
            Ending::Refused(Refusal::Method) => "405 Method Not Allowed",
            Ending::Refused(Refusal::Key) => "403 Forbidden",
            Ending::Refused(Refusal::TooLarge) => "413 Content Too Large",
            Ending::Refused(Refusal::Action(_) | Refusal::Person(_)) => "400 Bad Request",
            Ending::Failed(Trouble::Bug) => "500 Internal Server Error",
            Ending::Failed(_) => "503 Service Unavailable",
        }
    }

    /// The answer: JSON, or the same facts as a page for a person at a browser.
    pub fn answer(&self, wants_page: bool) -> Answer {
        let mut headers = Vec::new();
        match &self.ending {
            Ending::Refused(Refusal::Method) => {
                headers.push(("Allow", "GET, HEAD, POST".to_owned()));
            }
            Ending::Failed(trouble) => headers.push(("Retry-After", trouble.wait().to_string())),
            _ => {}
        }
        if wants_page {
            headers.push(("Content-Security-Policy", page::POLICY.to_owned()));
            headers.push(("Referrer-Policy", "no-referrer".to_owned()));
            let body = page::render(self).into_bytes();
            return Answer {
                status: self.status(),
                content_type: "text/html; charset=UTF-8",
                headers,
                body,
            };
        }
        let body = self.json().to_string().into_bytes();
        Answer {
            status: self.status(),
            content_type: "application/json",
            headers,
            body,
        }
    }

    /// The JSON object of the answer.
    fn json(&self) -> Value {
        if let Ending::Tested(echo) = &self.ending {
            return tested(echo.as_ref());
        }
        let mut object = json!({
            "result": self.result(),
            "action": self.action,
            "contact_id": self.contact_id,
            "user_id": self.user_id,
            "reason": self.reason(),
        });
        if let (Ending::Applied(applied), Some(members)) = (&self.ending, object.as_object_mut()) {
            members.insert("tags".to_owned(), json!(applied.tags));
            members.insert("fields".to_owned(), json!(applied.fields));
        }
        object
    }
}

/// The answer to a test: WP Fusion's own, and the echo for those who can check it.
fn tested(echo: Option<&Echo>) -> Value {
    let mut object = json!({ "success": true });
    let echo = echo.and_then(|echo| serde_json::to_value(echo).ok());
    if let (Some(members), Some(Value::Object(echo))) = (object.as_object_mut(), echo) {
        members.insert("result".to_owned(), json!("tested"));
        members.extend(echo);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::KeyPlace;

    fn outcome(ending: Ending) -> Outcome {
        Outcome {
            action: Some("update"),
            contact_id: Some("u-1".to_owned()),
            user_id: Some(3),
            ending,
        }
    }

    fn answer(outcome: &Outcome) -> (String, String) {
        let answer = outcome.answer(false);
        let headers: Vec<String> = answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let head = format!("{} {}", answer.status, headers.join(" "));
        (
            head.trim().to_owned(),
            String::from_utf8(answer.body).unwrap(),
        )
    }

    #[test]
    fn every_ending_has_its_answer() {
        let applied = Applied {
            tags: vec!["VIP".to_owned()],
            fields: vec!["company".to_owned()],
            remark: None,
        };
        let about = r#""action":"update","contact_id":"u-1","user_id":3"#;
        let table = [
            (
                Ending::Tested(None),
                "200 OK",
                r#"{"success":true}"#.to_owned(),
            ),
            (
                Ending::Tested(Some(Echo {
                    program: "bento-webhooks/1.2.3".to_owned(),
                    nonce: "n-1".to_owned(),
                    length: 2,
                    sha256: "ab".to_owned(),
                    key: KeyPlace::Header,
                })),
                "200 OK",
                r#"{"success":true,"result":"tested","program":"bento-webhooks/1.2.3","nonce":"n-1","length":2,"sha256":"ab","key":"header"}"#.to_owned(),
            ),
            (
                Ending::Applied(applied),
                "200 OK",
                format!(
                    r#"{{"result":"applied",{about},"reason":null,"tags":["VIP"],"fields":["company"]}}"#
                ),
            ),
            (
                Ending::Unchanged,
                "200 OK",
                format!(r#"{{"result":"unchanged",{about},"reason":null}}"#),
            ),
            (
                Ending::Ignored("no such user".to_owned()),
                "200 OK",
                format!(r#"{{"result":"ignored",{about},"reason":"no such user"}}"#),
            ),
            (
                Ending::Failed(Trouble::Bento {
                    detail: "secret detail".to_owned(),
                    wait: Some(90),
                    fault: Fault::Passing,
                }),
                "503 Service Unavailable Retry-After: 90",
                format!(
                    r#"{{"result":"failed",{about},"reason":"Bento could not be asked about this person; send this again"}}"#
                ),
            ),
        ];
        for (ending, head, body) in table {
            assert_eq!(answer(&outcome(ending)), (head.to_owned(), body));
        }
    }

    #[test]
    fn refusals_and_troubles_have_their_status() {
        let table = [
            (
                Ending::Refused(Refusal::Method),
                "405 Method Not Allowed Allow: GET, HEAD, POST",
            ),
            (Ending::Refused(Refusal::Key), "403 Forbidden"),
            (Ending::Refused(Refusal::TooLarge), "413 Content Too Large"),
            (
                Ending::Refused(Refusal::Action("x".to_owned())),
                "400 Bad Request",
            ),
            (
                Ending::Refused(Refusal::Person("put it in")),
                "400 Bad Request",
            ),
            (
                Ending::Failed(Trouble::Bug),
                "500 Internal Server Error Retry-After: 60",
            ),
            (
                Ending::Failed(Trouble::Setup("detail".to_owned())),
                "503 Service Unavailable Retry-After: 60",
            ),
            (
                Ending::Failed(Trouble::database("detail")),
                "503 Service Unavailable Retry-After: 60",
            ),
            (
                Ending::Failed(Trouble::Tag),
                "503 Service Unavailable Retry-After: 60",
            ),
            (
                Ending::Failed(Trouble::Bento {
                    detail: String::new(),
                    wait: Some(0),
                    fault: Fault::Limited,
                }),
                "503 Service Unavailable Retry-After: 1",
            ),
        ];
        for (ending, head) in table {
            let (found, body) = answer(&outcome(ending));
            assert_eq!(found, head);
            assert!(!body.contains("detail"), "{body}");
        }
    }

    #[test]
    fn the_refused_key_tells_nothing_but_one_fixed_text() {
        let (_, body) = answer(&Ending::Refused(Refusal::Key).into());
        assert_eq!(
            body,
            r#"{"result":"refused","action":null,"contact_id":null,"user_id":null,"reason":"the access key is missing or wrong"}"#
        );
    }
}
