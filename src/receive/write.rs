//! The part of the story that writes: lock, plan, apply, commit, and what goes back to Bento.

use super::credentials::Credentials;
use super::messages::{Desk, Outgoing, ResetKey};
use super::notes::{received, row};
use super::{Job, is_meant};
use crate::bento::{Bento, Subscriber};
use crate::clean::Cleaner;
use crate::clock::Clock;
use crate::log::{Entry, Level, Source, Who};
use crate::outcome::{Applied, Ending, Outcome, Trouble};
use crate::password::Form;
use crate::plan::{self, Fresh, Order, Plan, Repertoire, Return, Rules};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::site::{Found, LogRow, NAMES_SLOT, Site, user_slot};
use crate::translations::{AMERICAN, Key, Languages};
use crate::webhook::Action;
use crate::wp_config::Config;

/// How often we start over when a user appears or vanishes between looking and locking.
const TRIES: usize = 3;

/// How one look under the lock ended.
enum Step {
    Done {
        user: u64,
        plan: Box<Plan>,
        outgoing: Vec<Outgoing>,
    },
    /// Somebody else made or removed the user: look again.
    Again,
    Refused(String),
}

impl Job<'_> {
    /// Plans and writes, then sends back what belongs to Bento.
    pub(super) fn write(
        &mut self,
        mut found: Option<Found>,
        person: &Fetched,
        bento: &Bento<'_>,
    ) -> Result<Outcome, Trouble> {
        if goes_beyond_latin(person) {
            self.repertoire = self.site.repertoire()?;
        }
        let cost = if self.needs_hash(found.as_ref()) {
            self.site.bcrypt_cost()?
        } else {
            None
        };
        let fresh = Credentials::new(Form::for_release(self.config.release(), cost));
        for _ in 0..TRIES {
            if found.is_none() {
                found = find_by_bento(&mut self.site, &person.subscriber)?;
            }
            match self.attempt(found.as_ref(), person, &fresh)? {
                Step::Done {
                    user,
                    plan,
                    outgoing,
                } => {
                    return self.finish(user, *plan, &outgoing, person, &fresh, bento);
                }
                Step::Refused(reason) => return Ok(self.refuse_add(reason)),
                Step::Again => {
                    found = self
                        .find()?
                        .filter(|found| is_meant(found, &person.subscriber));
                }
            }
            if found.is_none() && self.webhook.action != Action::Add {
                return Ok(self.ignore_unknown_user());
            }
        }
        Err(Trouble::database(
            "the user appeared or vanished again and again",
        ))
    }

    fn needs_hash(&self, found: Option<&Found>) -> bool {
        let may_change = self.settings.crm_field("user_pass").is_some()
            && self.webhook.action != Action::UpdateTags;
        found.is_none() || may_change
    }

    /// One transaction: rows as they are, plan, changes, log.
    fn attempt(
        &mut self,
        found: Option<&Found>,
        person: &Fetched,
        fresh: &Credentials,
    ) -> Result<Step, Trouble> {
        let locks = self.locks(found, &person.subscriber);
        let cleaner = Cleaner::new(self.config.release(), &self.settings.locale);
        let now = Clock::now();
        let (utc, local) = (now.utc(), now.local(&self.settings.zone));
        let Job {
            site,
            settings,
            place,
            webhook,
            config,
            secure,
            repertoire,
        } = self;
        let welcome = found.is_none() && (webhook.welcome || settings.send_welcome_email);
        let desk = Desk {
            config,
            settings,
            secure: *secure,
            now,
            reset_key: welcome.then(|| ResetKey::new(fresh.form(), now)),
        };
        let no_key = Secret::new(String::new());
        let activation_key = desk.reset_key.as_ref().map_or(&no_key, |key| &key.column);
        let hash = |password: &str| fresh.hash(password);
        let name_order = || name_order(config, settings);
        let rules = Rules {
            settings,
            release: config.release(),
            cleaner: &cleaner,
            prefix: &place.prefix,
            network: place.network.as_ref(),
            allowed_roles: config.own().allow_roles(),
            repertoire: *repertoire,
            hash: &hash,
            name_order: &name_order,
        };
        let order = Order {
            action: webhook.action,
            role: webhook.role.as_deref(),
            subscriber: &person.subscriber,
            tags: &person.tags,
            tags_complete: person.complete,
        };
        if found.is_none() {
            // A hash takes longer than everything else; it is made before anybody has to wait for the lock.
            fresh.hash(
                &plan::mapped_password(&order, &rules)
                    .unwrap_or_else(|| fresh.password.expose_str().to_owned()),
            );
        }
        site.transaction(&locks, &mut |site| {
            let mut old_email = None;
            let mut plan = match found {
                Some(found) => {
                    let Some(user) = site.user(found.id)? else {
                        return Ok(Step::Again);
                    };
                    let plan = plan::existing(&user, found.link, &order, &rules, site)?;
                    old_email = Some(user.email);
                    plan
                }
                None => {
                    // Somebody else may have made the user before the lock was held.
                    if find_by_bento(site, &person.subscriber)?.is_some() {
                        return Ok(Step::Again);
                    }
                    let mut random = |below: u32| fresh.random(below);
                    let mut start = Fresh {
                        password: &fresh.password,
                        activation_key,
                        now: &utc,
                        random: &mut random,
                    };
                    match plan::new_user(&order, &rules, &mut start, site)? {
                        Ok(plan) => plan,
                        Err(reason) => return Ok(Step::Refused(reason)),
                    }
                }
            };
            let outgoing = desk.compose(old_email.as_deref(), &mut plan, site)?;
            let user = site.apply(found.map(|found| found.id), &plan.changes)?;
            if found.is_none() {
                site.count_users(place, settings, config.release())?;
            }
            let received = received(webhook);
            let rows: Vec<LogRow<'_>> = [&received]
                .into_iter()
                .chain(&plan.log)
                .map(|entry| row(entry, user, webhook))
                .collect();
            site.log(&rows, settings.logging, &local, config.release())?;
            Ok(Step::Done {
                user,
                plan: Box::new(plan),
                outgoing,
            })
        })
    }

    /// What to lock: the user; and the names of all users when one is made or a unique name may change.
    fn locks(&self, found: Option<&Found>, subscriber: &Subscriber) -> Vec<u32> {
        let Some(found) = found else {
            return vec![NAMES_SLOT];
        };
        let new_email = subscriber
            .email
            .as_deref()
            .is_some_and(|email| !email.eq_ignore_ascii_case(&found.email));
        let new_name = new_email || self.settings.crm_field("user_nicename").is_some();
        let mut locks = vec![user_slot(found.id)];
        if new_name && self.webhook.action != Action::UpdateTags {
            locks.insert(0, NAMES_SLOT);
        }
        locks
    }

    /// After the commit: fields back to Bento, messages out, the log trimmed, the outcome told.
    fn finish(
        &mut self,
        user: u64,
        plan: Plan,
        outgoing: &[Outgoing],
        person: &Fetched,
        fresh: &Credentials,
        bento: &Bento<'_>,
    ) -> Result<Outcome, Trouble> {
        let mut remarks = Vec::new();
        remarks.extend(self.send_back(user, &plan.returns, &person.subscriber.uuid, fresh, bento));
        remarks.extend(self.send(user, outgoing, bento));
        self.site.trim_log(self.settings.logging);
        if !person.complete {
            return Err(Trouble::Tag);
        }
        let nothing_new = plan.changes.is_empty();
        let applied = Applied {
            tags: plan.tags,
            fields: plan.fields,
            remark: (!remarks.is_empty()).then(|| remarks.join("; ")),
        };
        let ending = if nothing_new {
            Ending::Unchanged
        } else {
            Ending::Applied(applied)
        };
        let mut outcome = self.outcome(Some(user), ending);
        let uuid = &person.subscriber.uuid;
        outcome.contact_id.get_or_insert_with(|| uuid.clone());
        Ok(outcome)
    }

    /// One call that carries everything that goes back after an add. Errs never: the user exists.
    fn send_back(
        &mut self,
        user: u64,
        returns: &[(String, Return)],
        uuid: &str,
        fresh: &Credentials,
        bento: &Bento<'_>,
    ) -> Option<&'static str> {
        if returns.is_empty() {
            return None;
        }
        let value = |value: &Return| match value {
            Return::Password => fresh.password.expose_str().to_owned(),
            Return::Text(text) => text.clone(),
            Return::UserId => user.to_string(),
        };
        let fields: Vec<(String, String)> = returns
            .iter()
            .map(|(field, back)| (field.clone(), value(back)))
            .collect();
        let sent = bento.store_fields(uuid, &fields);
        let names: Vec<String> = returns.iter().map(|(field, _)| field.clone()).collect();
        let entry = match &sent {
            Ok(()) => {
                let message = format!("Sent back to Bento: {}.", Entry::quote(&names.join(", ")));
                Entry::new(Level::Info, Who::User, Source::Trace, message)
            }
            Err(trouble) => {
                let message = format!(
                    "Could not be sent back to Bento: {}. {}",
                    Entry::quote(&names.join(", ")),
                    Entry::quote(&trouble.to_string())
                );
                Entry::new(Level::Error, Who::User, Source::Bento, message)
            }
        };
        self.note(user, &[entry]);
        sent.err().map(|_| "the user was created, but the password could not be sent back to Bento; use \"Lost your password?\"")
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

/// On add: the user who has the id that Bento gives, or the address that Bento has.
fn find_by_bento(site: &mut Site<'_>, subscriber: &Subscriber) -> Result<Option<Found>, Trouble> {
    site.user_by(Some(&subscriber.uuid), subscriber.email.as_deref())
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
