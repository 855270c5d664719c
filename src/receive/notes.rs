//! The ways in which a webhook ends without a change, and the log rows about them.

use super::Job;
use crate::clock::Clock;
use crate::inbox::Lease;
use crate::log::{Entry, Level, Source, Who};
use crate::outcome::{Ending, Outcome, Refusal, Trouble};
use crate::site::{Found, Log, LogRow};
use crate::webhook::{Action, Webhook};

impl Job<'_, '_> {
    /// Staging mode, or a copy of the site: nothing is asked and nothing written.
    pub(super) fn stay_out(&mut self, found: Option<&Found>) -> Outcome {
        let message =
            "Staging mode is on, or this is a copy of the site: nothing was loaded from Bento."
                .to_owned();
        let entries = [
            received(&self.webhook),
            Entry::new(Level::Notice, Who::Nobody, Source::Bento, message),
        ];
        let user = found.map(|found| found.id);
        self.note(user.unwrap_or(0), &entries);
        let reason =
            "WP Fusion is in staging mode, or this is a copy of the site under another address";
        self.outcome(user, Ending::Ignored(reason.to_owned()))
    }

    pub(super) fn ignore_unknown_user(&mut self) -> Outcome {
        let message = format!(
            "Webhook {} for contact {}: no user of this site has this id or e-mail address.",
            self.webhook.action.name(),
            Entry::quote(&self.contact())
        );
        self.note(
            0,
            &[Entry::new(Level::Notice, Who::Nobody, Source::Api, message)],
        );
        let reason = "no user of this site has this contact id or e-mail address; use wpf_action=add to create users";
        self.outcome(None, Ending::Ignored(reason.to_owned()))
    }

    pub(super) fn ignore_unknown_person(&mut self, found: Option<&Found>) -> Outcome {
        let reason = "Bento does not know this person".to_owned();
        if self.webhook.action == Action::Add {
            return self.refuse_add(reason);
        }
        let message = format!(
            "Contact {}: Bento does not know this person; nothing was changed.",
            Entry::quote(&self.contact())
        );
        let entries = [
            received(&self.webhook),
            Entry::new(Level::Notice, Who::User, Source::Trace, message),
        ];
        let user = found.map(|found| found.id);
        self.note(user.unwrap_or(0), &entries);
        self.outcome(user, Ending::Ignored(reason))
    }

    /// An add that cannot make a user.
    pub(super) fn refuse_add(&mut self, reason: String) -> Outcome {
        let message = format!(
            "Contact {} was not imported: {}.",
            Entry::quote(&self.contact()),
            crate::page::escape(&reason)
        );
        let failure = |source| Entry::new(Level::Error, Who::Nobody, source, message.clone());
        let entries = [
            received(&self.webhook),
            failure(Source::Trace),
            failure(Source::Api),
        ];
        self.note(0, &entries);
        self.outcome(None, Ending::Ignored(reason))
    }

    /// A request with the right key that cannot be used.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Outcome {
        let entry = match &refusal {
            Refusal::Action(asked) if asked.is_empty() => {
                Some((Level::Error, "Webhook without wpf_action.".to_owned()))
            }
            Refusal::Action(asked) => Some((
                Level::Info,
                format!("Webhook with unknown wpf_action {}.", Entry::quote(asked)),
            )),
            Refusal::Person(fix) => Some((
                Level::Error,
                format!(
                    "Webhook without a usable contact: {}.",
                    crate::page::escape(fix)
                ),
            )),
            _ => None,
        };
        if let Some((level, message)) = entry {
            self.note(0, &[Entry::new(level, Who::Nobody, Source::Api, message)]);
        }
        Ending::Refused(refusal).into()
    }

    /// Log rows about Bento failing, in the places where WP Fusion writes them; for the first attempt only, and once when it
    /// has to wait.
    pub(super) fn note_failure(&mut self, found: Option<&Found>, trouble: &Trouble) {
        let is_new = |lease: &Lease| lease.attempt == 1 && !(lease.told && trouble.is_waiting());
        let is_first = self.lease.as_ref().is_none_or(is_new);
        if !matches!(trouble, Trouble::Bento { .. }) || !is_first {
            return;
        }
        let message = |what: &str| {
            format!(
                "{what} of contact {}: {}.",
                Entry::quote(&self.contact()),
                Entry::quote(&trouble.to_string())
            )
        };
        let error = |who, source, what: &str| Entry::new(Level::Error, who, source, message(what));
        let entries = match self.webhook.action {
            Action::Add => {
                let second = if self.webhook.background {
                    Source::Trace
                } else {
                    Source::Api
                };
                vec![
                    received(&self.webhook),
                    error(Who::Nobody, Source::Trace, "Could not load the data"),
                    error(Who::Nobody, second, "Could not import the user"),
                ]
            }
            Action::Update => vec![
                received(&self.webhook),
                error(Who::User, Source::Trace, "Could not load the fields"),
                error(Who::User, Source::Trace, "Could not load the tags"),
            ],
            Action::UpdateTags | Action::Test => {
                vec![
                    received(&self.webhook),
                    error(Who::User, Source::Trace, "Could not load the tags"),
                ]
            }
        };
        self.note(found.map_or(0, |found| found.id), &entries);
    }

    /// Writes log rows outside of any transaction.
    pub(super) fn note(&mut self, user: u64, entries: &[Entry]) {
        let rows: Vec<LogRow<'_>> = entries
            .iter()
            .map(|entry| row(entry, user, &self.webhook))
            .collect();
        let time = Clock::now().local(&self.settings.zone);
        self.site.log_now(&rows, self.log(&time));
    }

    /// How the log is written, at this local time.
    pub(super) fn log<'t>(&self, time: &'t str) -> Log<'t> {
        Log {
            logging: self.settings.logging,
            time,
            release: self.config.release(),
        }
    }

    /// The person as the request named them: id, else the mark of the address.
    pub(super) fn contact(&self) -> String {
        contact(&self.webhook)
    }
}

/// The id in the request, else the mark of the address.
fn contact(webhook: &Webhook) -> String {
    let Some(person) = &webhook.person else {
        return String::new();
    };
    let mark = || {
        person
            .email
            .as_ref()
            .map(|email| format!("email:{}", crate::text::email_mark(email.as_str())))
    };
    person.id.clone().or_else(mark).unwrap_or_default()
}

/// The first log row of every webhook; an `add` starts without a user.
pub(super) fn received(webhook: &Webhook) -> Entry {
    let who = match webhook.action {
        Action::Add => Who::Nobody,
        _ => Who::User,
    };
    let later = if webhook.background { " (async)" } else { "" };
    let message = format!(
        "Webhook <strong>{}</strong>{later} for contact {}.",
        webhook.action.name(),
        Entry::quote(&contact(webhook))
    );
    Entry::new(Level::Info, who, Source::Api, message)
}

pub(super) fn row<'e>(entry: &'e Entry, user: u64, webhook: &Webhook) -> LogRow<'e> {
    LogRow {
        entry,
        user,
        source: entry.source.value(webhook.action, webhook.background),
    }
}
