//! What is sent once a user has been committed: written into the inbox with the user's rows, sent right after, and left to
//! the worker when that fails.

use super::credentials::Credentials;
use super::job::{Job, conclude};
use crate::bento::Bento;
use crate::clock::Clock;
use crate::inbox::{Errand, Lease};
use crate::log::{Entry, Level, Source, Who};
use crate::mail::{self, Failure};
use crate::outcome::{Fault, Trouble};
use crate::plan::{Plan, Return};
use crate::wp_config::Config;
use std::time::{Duration, Instant};

/// Time that a mail is always given: the user exists by then.
const MAIL_TIME: Duration = Duration::from_millis(500);

/// What a plan wants to be sent back to Bento.
pub(super) fn fields(plan: &Plan, user: u64, uuid: &str, fresh: &Credentials) -> Option<Errand> {
    if plan.returns.is_empty() {
        return None;
    }
    let value = |value: &Return| match value {
        Return::Password => fresh.password.expose_str().to_owned(),
        Return::Text(text) => text.clone(),
        Return::UserId => user.to_string(),
    };
    let fields = plan
        .returns
        .iter()
        .map(|(field, back)| (field.clone(), value(back)))
        .collect();
    Some(Errand::Fields {
        user,
        uuid: uuid.to_owned(),
        fields,
    })
}

/// An errand and the row that keeps it; none where webhooks are not kept.
pub(super) type Parcel = (Errand, Option<Lease>);

/// Errands and the rows that were made for them, if any.
pub(super) fn parcels(errands: Vec<Errand>, leases: Vec<Lease>) -> Vec<Parcel> {
    let mut leases = leases.into_iter();
    let parcel = |errand| (errand, leases.next());
    errands.into_iter().map(parcel).collect()
}

impl Job<'_, '_> {
    /// Sends what the transaction has written down. Errs never: the user exists. Says what the owner should know.
    pub(super) fn send(
        &mut self,
        user: u64,
        parcels: Vec<Parcel>,
        bento: &Bento<'_>,
    ) -> Option<String> {
        let mut remarks = Vec::new();
        for (errand, mut lease) in parcels {
            let sent = self.deliver(&errand, lease.as_mut(), bento);
            let failure = sent.as_ref().err();
            let is_told = lease.is_none() || !failure.is_some_and(Trouble::is_waiting);
            if let Some(entry) = entry(&errand, failure).filter(|_| is_told) {
                self.note(user, &[entry]);
            }
            if let Some(lease) = &lease {
                // What cannot be ended now is found by the worker when the lease has run out.
                let _ = conclude(self.site, lease, failure);
            }
            if let Some(trouble) = failure {
                let again = lease.is_some() && !trouble.is_lasting();
                remarks.push(missed(&errand, again));
            }
        }
        (!remarks.is_empty()).then(|| remarks.join("; "))
    }

    /// Sends one errand.
    fn deliver(
        &mut self,
        errand: &Errand,
        mut lease: Option<&mut Lease>,
        bento: &Bento<'_>,
    ) -> Result<(), Trouble> {
        if errand.calls_bento() {
            self.may_call()?;
        }
        let mail_time = bento.time_left().max(MAIL_TIME);
        let mut note = || {
            if let Some(lease) = &mut lease {
                self.site.hand_over(lease);
            }
        };
        deliver(errand, bento, self.config, mail_time, &mut note)
    }
}

/// Sends one errand whose call has been granted; a mail may take this long, and `note` is called when it leaves by itself.
pub(super) fn deliver(
    errand: &Errand,
    bento: &Bento<'_>,
    config: &Config,
    mail_time: Duration,
    note: &mut dyn FnMut(),
) -> Result<(), Trouble> {
    let mut mail = |message| {
        let own = config.own();
        let deadline = Instant::now() + mail_time;
        mail::deliver(message, own.mail_way(), own.ca_file(), deadline, note).map_err(trouble)
    };
    match errand {
        Errand::Fields { uuid, fields, .. } => bento.store_fields(uuid, fields),
        Errand::Welcome { until, .. } | Errand::WelcomeEvent { until, .. }
            if *until <= Clock::now().unix() =>
        {
            Err(Trouble::Mail {
                detail: "its set-password link is too old by now".to_owned(),
                fault: Fault::Lasting,
            })
        }
        Errand::Welcome { message, .. } | Errand::EmailChanged { message, .. } => mail(message),
        Errand::WelcomeEvent { event, .. } => bento.send_event(event),
    }
}

fn trouble(failure: Failure) -> Trouble {
    Trouble::Mail {
        fault: match failure.is_permanent() {
            true => Fault::Lasting,
            false => Fault::Passing,
        },
        detail: failure.to_string(),
    }
}

/// The log row about a mail that was handed over, but nobody was left to hear what the command said. It is not sent again.
pub(super) fn unheard() -> Entry {
    let message = "A mail was handed to the sendmail command, but this program was ended before the command answered. It is \
                   not sent a second time.";
    Entry::new(Level::Notice, Who::User, Source::Trace, message.to_owned())
}

/// The log row about an errand: names, never values. WordPress has none about a message that was sent.
pub(super) fn entry(errand: &Errand, trouble: Option<&Trouble>) -> Option<Entry> {
    let (what, source) = match errand {
        Errand::Fields { fields, .. } => {
            let names: Vec<&str> = fields.iter().map(|(field, _)| field.as_str()).collect();
            let names = Entry::quote(&names.join(", "));
            if trouble.is_none() {
                let message = format!("Sent back to Bento: {names}.");
                let entry = Entry::new(Level::Info, Who::User, Source::Trace, message);
                return Some(entry);
            }
            (
                format!("Could not be sent back to Bento: {names}."),
                Source::Bento,
            )
        }
        Errand::Welcome { .. } => ("The welcome mail was not sent.".to_owned(), Source::Trace),
        Errand::WelcomeEvent { .. } => {
            ("The welcome event was not sent.".to_owned(), Source::Bento)
        }
        Errand::EmailChanged { .. } => (
            "The notice to the old e-mail address was not sent.".to_owned(),
            Source::Trace,
        ),
    };
    let message = format!("{what} {}", Entry::quote(&trouble?.to_string()));
    Some(Entry::new(Level::Error, Who::User, source, message))
}

/// What the owner should know when an errand was not sent at once.
fn missed(errand: &Errand, again: bool) -> String {
    let what = match errand {
        Errand::Fields { .. } => {
            "the user was created, but the password could not be sent back to Bento"
        }
        Errand::Welcome { .. } => "the welcome mail could not be handed over",
        Errand::WelcomeEvent { .. } => "the welcome event could not be sent to Bento",
        Errand::EmailChanged { .. } => {
            "the old e-mail address could not be told that it was replaced"
        }
    };
    let then = match errand {
        _ if again => "; it will be tried again",
        Errand::EmailChanged { .. } => "",
        _ => "; use \"Lost your password?\"",
    };
    format!("{what}{then}")
}
