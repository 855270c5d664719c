//! What is sent once a user has been committed: written into the inbox with the user's rows, sent right after, and left to
//! the worker when that fails.

use super::credentials::Credentials;
use super::job::{Job, spread};
use super::token;
use crate::bento::Bento;
use crate::inbox::{self, Errand, Mark, Next, Parcel};
use crate::log::{Entry, Level, Source, Who};
use crate::outcome::Trouble;
use crate::plan::{Plan, Return};

/// What a plan wants to be sent.
pub(super) fn parcels(plan: &Plan, user: u64, uuid: &str, fresh: &Credentials) -> Vec<Parcel> {
    if plan.returns.is_empty() {
        return Vec::new();
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
    let token = token();
    vec![Parcel {
        mark: Mark::of(&token.hex()),
        token,
        errand: Errand::Fields {
            user,
            uuid: uuid.to_owned(),
            fields,
        },
    }]
}

impl Job<'_, '_> {
    /// Sends what the transaction has written down. Errs never: the user exists. Says what the owner should know.
    pub(super) fn send(
        &mut self,
        user: u64,
        parcels: Vec<Parcel>,
        bento: &Bento<'_>,
    ) -> Option<String> {
        let mut remark = None;
        for parcel in parcels {
            let sent = self.deliver(&parcel.errand, bento);
            self.note(user, &[entry(&parcel.errand, sent.as_ref().err())]);
            let has_inbox = self.site.has_inbox();
            let kept = match &sent {
                _ if !has_inbox => Ok(()),
                Ok(()) => self.site.delivered(&parcel),
                Err(trouble) => {
                    self.left = true;
                    self.site
                        .undelivered(&parcel, first_wait(), &trouble.to_string())
                }
            };
            // What cannot be ended now is found by the worker when the lease has run out.
            self.left |= kept.is_err();
            if sent.is_err() {
                remark = Some(missed(&parcel.errand, has_inbox));
            }
        }
        remark
    }

    /// Sends one errand.
    fn deliver(&mut self, errand: &Errand, bento: &Bento<'_>) -> Result<(), Trouble> {
        if errand.calls_bento() {
            self.may_call()?;
        }
        deliver(errand, bento)
    }
}

/// Sends one errand whose call has been granted.
pub(super) fn deliver(errand: &Errand, bento: &Bento<'_>) -> Result<(), Trouble> {
    match errand {
        Errand::Fields { uuid, fields, .. } => bento.store_fields(uuid, fields),
    }
}

/// The log row about an errand: names, never values.
pub(super) fn entry(errand: &Errand, trouble: Option<&Trouble>) -> Entry {
    let Errand::Fields { fields, .. } = errand;
    let names: Vec<&str> = fields.iter().map(|(field, _)| field.as_str()).collect();
    let names = Entry::quote(&names.join(", "));
    match trouble {
        None => {
            let message = format!("Sent back to Bento: {names}.");
            Entry::new(Level::Info, Who::User, Source::Trace, message)
        }
        Some(trouble) => {
            let message = format!(
                "Could not be sent back to Bento: {names}. {}",
                Entry::quote(&trouble.to_string())
            );
            Entry::new(Level::Error, Who::User, Source::Bento, message)
        }
    }
}

/// What the owner should know when an errand was not sent at once.
fn missed(errand: &Errand, has_inbox: bool) -> String {
    let Errand::Fields { .. } = errand;
    if has_inbox {
        "the user was created; the password could not be sent back to Bento yet, it will be tried again".to_owned()
    } else {
        "the user was created, but the password could not be sent back to Bento; use \"Lost your password?\"".to_owned()
    }
}

/// Milliseconds to the second attempt.
fn first_wait() -> u64 {
    match inbox::next(0, 1, None, spread()) {
        Next::At(wait) => wait,
        Next::Never => 0,
    }
}
