//! The part of the story that writes: what an attempt needs, the attempt, and what is sent and told after it.

use super::attempt::{Attempt, Changed, Stop, is_again};
use super::credentials::Credentials;
use super::job::Job;
use super::messages::Desk;
use crate::bento::{Bento, Subscriber};
use crate::clean::Cleaner;
use crate::outcome::{Applied, Ending, Later, Outcome, Trouble};
use crate::password::Form;
use crate::plan::{Order, Repertoire, Rules};
use crate::settings::Settings;
use crate::site::{Found, NAMES_SLOT, user_slot};
use crate::translations::{AMERICAN, Key, Languages};
use crate::webhook::{Action, Email};
use crate::wp_config::Config;

/// How the writing ended.
pub(super) enum Written {
    /// The webhook is done.
    Done(Outcome),
    /// The user appeared, vanished or was written by somebody else since Bento was asked: ask again.
    Again,
}

impl Job<'_, '_> {
    /// Plans and writes, then sends what belongs to Bento.
    pub(super) fn write(
        &mut self,
        mut found: Option<Found>,
        person: &Fetched,
        bento: &Bento<'_>,
    ) -> Result<Written, Trouble> {
        if goes_beyond_latin(person) {
            self.repertoire = self.site.repertoire()?;
        }
        let fresh = match self.fresh.take() {
            Some(fresh) => fresh,
            None => self.credentials(found.as_ref())?,
        };
        if found.is_none() {
            found = self.find_by_bento(&person.subscriber)?;
        }
        let outcome = match self.attempt(found.as_ref(), person, &fresh) {
            Ok(changed) => self.finish(changed, person, bento),
            Err(Stop::Refused(reason)) => self.refuse_add(reason),
            Err(Stop::Lost) => {
                self.lease = None;
                self.outcome(None, Ending::Queued(Later::Person))
            }
            Err(Stop::Again) => {
                self.fresh = Some(fresh).filter(Credentials::are_given);
                return Ok(Written::Again);
            }
            Err(Stop::Trouble(trouble)) => return Err(trouble),
        };
        Ok(Written::Done(outcome))
    }

    /// On add: the user who has the id that Bento gives, or the address that Bento has, unless nobody was found by those
    /// before.
    fn find_by_bento(&mut self, subscriber: &Subscriber) -> Result<Option<Found>, Trouble> {
        let person = self.webhook.person.as_ref();
        let known_id = person.and_then(|person| person.id.as_deref());
        let known_email = person.and_then(|person| person.email.as_ref().map(Email::as_str));
        let is_new = |said: &str, known: Option<&str>| {
            !known.is_some_and(|known| known.eq_ignore_ascii_case(said))
        };
        let id = Some(subscriber.uuid.as_str()).filter(|id| is_new(id, known_id));
        let email = subscriber.email.as_deref();
        let email = email.filter(|email| is_new(email, known_email));
        match (id, email) {
            (None, None) => Ok(None),
            (id, email) => self.site.user_by(id, email),
        }
    }

    fn credentials(&mut self, found: Option<&Found>) -> Result<Credentials, Trouble> {
        let may_change = self.settings.crm_field("user_pass").is_some()
            && self.webhook.action != Action::UpdateTags;
        let cost = match found.is_none() || may_change {
            true => self.site.bcrypt_cost()?,
            false => None,
        };
        let form = Form::for_release(self.config.release(), cost);
        Ok(Credentials::new(form))
    }

    /// Makes everything ready, then opens the transaction.
    fn attempt(
        &mut self,
        found: Option<&Found>,
        person: &Fetched,
        fresh: &Credentials,
    ) -> Result<Changed, Stop> {
        let (config, settings, webhook) = (self.config, self.settings, &self.webhook);
        let cleaner = Cleaner::new(config.release(), &settings.locale);
        let attempt = Attempt {
            webhook,
            lease: self.lease.as_ref(),
            asked: self.asked,
            found,
            person,
            place: self.place,
            locks: self.locks(found, &person.subscriber, fresh),
            order: Order {
                action: webhook.action,
                role: webhook.role.as_deref(),
                subscriber: &person.subscriber,
                tags: &person.tags,
                tags_complete: person.complete,
            },
            rules: Rules {
                settings,
                release: config.release(),
                cleaner: &cleaner,
                prefix: &self.place.prefix,
                network: self.place.network.as_ref(),
                allowed_roles: config.own().allow_roles(),
                repertoire: self.repertoire,
                hash: &|password| fresh.hash(password),
                name_order: &|| name_order(config, settings),
            },
            fresh,
            desk: Desk::new(config, settings, webhook, fresh.form()),
        };
        if found.is_none() {
            attempt.hash_ahead();
        }
        self.site.transaction(&mut |site| match attempt.run(site) {
            Err(Stop::Trouble(trouble)) => Err(trouble),
            ended => Ok(ended),
        })?
    }

    /// What to lock: the user; and the names of all users when one is made or a unique name may change.
    fn locks(
        &self,
        found: Option<&Found>,
        subscriber: &Subscriber,
        fresh: &Credentials,
    ) -> Vec<u32> {
        let Some(found) = found else {
            return vec![NAMES_SLOT];
        };
        let new_email = subscriber
            .email
            .as_deref()
            .is_some_and(|email| !email.eq_ignore_ascii_case(&found.email));
        let new_name = new_email || self.settings.crm_field("user_nicename").is_some();
        let was_begun = is_again(self.lease.as_ref()) || fresh.are_given();
        let may_make = self.webhook.action == Action::Add && was_begun;
        let mut locks = vec![user_slot(found.id)];
        if may_make || new_name && self.webhook.action != Action::UpdateTags {
            locks.insert(0, NAMES_SLOT);
        }
        locks
    }

    /// After the commit: what is to be sent is sent, and the outcome told.
    fn finish(&mut self, changed: Changed, person: &Fetched, bento: &Bento<'_>) -> Outcome {
        let Changed {
            user,
            plan,
            parcels,
            ended,
        } = changed;
        let has_inbox = self.lease.take().is_some();
        let remark = self.send(user, parcels, bento);
        let ending = match person.complete {
            false if !has_inbox => Ending::Failed(Trouble::Tag),
            false if !ended => Ending::Queued(Later::After(Trouble::Tag)),
            _ if plan.changes.is_empty() => Ending::Unchanged,
            _ => Ending::Applied(Applied {
                tags: plan.tags,
                fields: plan.fields,
                remark,
            }),
        };
        let mut outcome = self.outcome(Some(user), ending);
        let uuid = &person.subscriber.uuid;
        outcome.contact_id.get_or_insert_with(|| uuid.clone());
        outcome
    }
}

/// How the site's language orders first and last name; American English has no file to look into.
fn name_order(config: &Config, settings: &Settings) -> Option<String> {
    const NAMES: Key = Key::Text {
        context: "Display name based on first name and last name",
        message: "%1$s %2$s",
    };
    if settings.locale == AMERICAN {
        return None;
    }
    Languages::of(config, &|path| std::fs::read(path).ok())
        .language(&settings.locale)?
        .find(NAMES)
}

/// What Bento said of the person.
pub(super) struct Fetched {
    pub(super) subscriber: Subscriber,
    pub(super) tags: Vec<String>,
    pub(super) complete: bool,
}

/// Whether any text is beyond what every charset holds, so that the columns' charset matters.
fn goes_beyond_latin(person: &Fetched) -> bool {
    let beyond = |text: &str| !Repertoire::Latin.holds(text);
    if person.tags.iter().any(|name| beyond(name)) {
        return true;
    }
    let mut stack: Vec<&serde_json::Value> = person.subscriber.fields.values().collect();
    while let Some(value) = stack.pop() {
        match value {
            serde_json::Value::String(text) if beyond(text) => return true,
            serde_json::Value::Array(items) => stack.extend(items),
            serde_json::Value::Object(members) if members.keys().any(|name| beyond(name)) => {
                return true;
            }
            serde_json::Value::Object(members) => stack.extend(members.values()),
            _ => {}
        }
    }
    false
}
