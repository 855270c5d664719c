//! The part of the story that writes: lock, plan, apply, commit, and what goes back to Bento.

use super::credentials::Credentials;
use super::errands;
use super::job::{Job, spread};
use super::messages::{Desk, ResetKey};
use super::notes::{received, row};
use crate::bento::{Bento, Subscriber};
use crate::clean::Cleaner;
use crate::clock::Clock;
use crate::inbox::{self, Claim, Fate, Lease, Next, Parcel};
use crate::outcome::{Applied, Ending, Later, Outcome, Trouble};
use crate::password::Form;
use crate::plan::{self, Fresh, Order, Plan, Repertoire, Rules, User};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::site::{Closing, Counted, Found, Log, LogRow, NAMES_SLOT, Place, user_slot};
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

/// How one look under the lock ended.
enum Step {
    Done(Box<Changed>),
    Again,
    Refused(String),
    /// The lease has run out, and somebody else works on the row.
    Lost,
}

/// The row in `wp_users` before we write.
enum UserRow {
    /// Somebody's.
    Finished(u64),
    /// Ours, from an attempt that was cut short where the table knows no transactions.
    Unfinished(u64),
    /// There is none.
    Missing,
}

/// What the transaction has left behind.
struct Changed {
    user: u64,
    plan: Plan,
    errands: Vec<Parcel>,
    /// Whether the webhook is ended; if not, it runs again.
    ended: bool,
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
        let cost = if self.needs_hash(found.as_ref()) {
            self.site.bcrypt_cost()?
        } else {
            None
        };
        let fresh = Credentials::new(Form::for_release(self.config.release(), cost));
        if found.is_none() {
            found = self.find_by_bento(&person.subscriber)?;
        }
        Ok(match self.attempt(found.as_ref(), person, &fresh)? {
            Step::Done(changed) => Written::Done(self.finish(*changed, person, bento)),
            Step::Refused(reason) => Written::Done(self.refuse_add(reason)),
            Step::Again => Written::Again,
            Step::Lost => {
                self.lease = None;
                Written::Done(self.outcome(None, Ending::Queued(Later::Person)))
            }
        })
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
            repertoire,
            lease,
            asked,
            ..
        } = self;
        let (settings, place): (&Settings, &Place) = (settings, place);
        let welcome =
            webhook.action == Action::Add && (webhook.welcome || settings.send_welcome_email);
        let desk = Desk {
            config,
            settings,
            secure: webhook.secure,
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
        let (lease, asked) = (lease.as_ref(), *asked);
        let log = Log {
            logging: settings.logging,
            time: &local,
            release: config.release(),
        };
        let received = received(webhook);
        site.transaction(&mut |site| {
            let mut random = |below: u32| fresh.random(below);
            let mut start = Fresh {
                password: &fresh.password,
                activation_key,
                now: &utc,
                random: &mut random,
            };
            let mut old_email = None;
            let (planned, claim, row_of) = match found {
                Some(found) => {
                    let opened = site.open_user(found.id, &locks, lease)?;
                    let Some(user) = opened.rows else {
                        return Ok(Step::Again);
                    };
                    // Who has written since has seen what we have not.
                    if asked > 0 && opened.written >= asked {
                        return Ok(Step::Again);
                    }
                    if order.action == Action::Add && is_unfinished(&user, lease) {
                        site.except(user.id);
                        let planned = plan::new_user(&order, &rules, &mut start, site)?;
                        (planned, opened.claim, UserRow::Unfinished(user.id))
                    } else {
                        let plan = plan::existing(&user, found.link, &order, &rules, site)?;
                        old_email = Some(user.email);
                        (Ok(plan), opened.claim, UserRow::Finished(user.id))
                    }
                }
                None => {
                    let subscriber = &person.subscriber;
                    let email = subscriber.email.as_deref();
                    let opened = site.open_new(&subscriber.uuid, email, lease)?;
                    // Somebody else may have made the user before the lock was held.
                    if opened.rows.is_some() {
                        return Ok(Step::Again);
                    }
                    let planned = plan::new_user(&order, &rules, &mut start, site)?;
                    (planned, opened.claim, UserRow::Missing)
                }
            };
            if claim == Claim::Lost {
                return Ok(Step::Lost);
            }
            let mut plan = match planned {
                Ok(plan) => plan,
                Err(reason) => return Ok(Step::Refused(reason)),
            };
            let count = Some(Counted { place, settings });
            let (user, counted) = match row_of {
                UserRow::Finished(id) => (id, None),
                UserRow::Unfinished(id) => (site.remake_user(id, &plan.changes)?, count),
                UserRow::Missing => (site.insert_user(&plan.changes)?, count),
            };
            let message = desk.compose(old_email.as_deref(), &mut plan, user, site)?;
            let fields = errands::fields(&plan, user, &person.subscriber.uuid, fresh);
            let errands = fields.into_iter().chain(message);
            let errands: Vec<Parcel> = errands.map(errands::parcel).collect();
            let rows: Vec<LogRow<'_>> = [&received]
                .into_iter()
                .chain(&plan.log)
                .map(|entry| row(entry, user, webhook))
                .collect();
            let second_look = match plan.changes.is_empty() {
                true => config.own().second_look(),
                false => 0,
            };
            let fate = lease.map(|lease| fate(lease, claim, person, second_look));
            site.close(&Closing {
                user,
                changes: &plan.changes,
                counted,
                rows: &rows,
                log,
                errands: &errands,
                fate,
            })?;
            Ok(Step::Done(Box::new(Changed {
                user,
                plan,
                errands,
                ended: matches!(fate, None | Some(Fate::Done(_))),
            })))
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
        let may_make = self.webhook.action == Action::Add && is_again(self.lease.as_ref());
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
            errands,
            ended,
        } = changed;
        let has_inbox = self.lease.take().is_some();
        self.left |= !ended;
        let remark = self.send(user, errands, bento);
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

/// Whether an attempt was made before this one.
fn is_again(lease: Option<&Lease>) -> bool {
    lease.is_some_and(|lease| lease.attempt > 1)
}

/// Whether an earlier attempt was cut short between `wp_users` and `wp_usermeta`, which only tables without transactions let
/// happen: the row is younger than the webhook, and nobody else leaves a user without a single row in usermeta.
fn is_unfinished(user: &User, lease: Option<&Lease>) -> bool {
    let stored = lease.map_or(0, |lease| lease.stored);
    let is_younger = user.registered >= Clock::from_millis(stored).utc();
    is_again(lease) && is_younger && user.metas.is_empty()
}

/// What becomes of the row once the user's rows are written. A tag without a name gets a second chance; so does a person with
/// nothing new, `second_look` seconds later, unless that is 0.
fn fate<'l>(lease: &'l Lease, claim: Claim, person: &Fetched, second_look: u32) -> Fate<'l> {
    if claim == Claim::Joined {
        return Fate::Again(lease);
    }
    if is_again(Some(lease)) {
        return Fate::Done(lease);
    }
    match inbox::next(lease.since, lease.attempt, None, spread()) {
        Next::At(at) if !person.complete => {
            Fate::Later(lease, at, "Bento names a tag that it does not list yet")
        }
        _ if second_look > 0 => {
            let at = lease.since + u64::from(second_look) * 1000;
            Fate::Later(lease, at, "a second look")
        }
        _ => Fate::Done(lease),
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
