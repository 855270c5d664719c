//! One attempt to write a user: locks, rows as they are, plan, changes, log and inbox, in one transaction.
//!
//! Everything that takes time is made before anybody has to wait for the lock. When the server undoes the transaction,
//! [`Attempt::run`] runs again from its first line, so it changes nothing but rows.

use super::credentials::Credentials;
use super::errands::{self, Parcel};
use super::job::spread;
use super::messages::Desk;
use super::notes::{received, row};
use super::write::Fetched;
use crate::clock::Clock;
use crate::inbox::{self, Claim, Errand, Fate, Lease, Millis, Next};
use crate::outcome::Trouble;
use crate::plan::{self, Fresh, Order, Plan, Rules, User};
use crate::secret::Secret;
use crate::site::{Closing, Counted, Found, Log, LogRow, Place, Site};
use crate::webhook::{Action, Webhook};

/// How long a user without rows in usermeta is believed to be in the making, in milliseconds: longer than the first attempts
/// to finish one are apart.
const MAKING: Millis = 3_600_000;

/// One attempt.
pub(super) struct Attempt<'a> {
    pub(super) webhook: &'a Webhook,
    /// The row in the inbox; none where webhooks are not kept.
    pub(super) lease: Option<&'a Lease>,
    /// When Bento was asked; 0 where nobody keeps time.
    pub(super) asked: Millis,
    pub(super) found: Option<&'a Found>,
    pub(super) person: &'a Fetched,
    pub(super) place: &'a Place,
    pub(super) locks: Vec<u32>,
    pub(super) order: Order<'a>,
    pub(super) rules: Rules<'a>,
    pub(super) fresh: &'a Credentials,
    pub(super) desk: Desk<'a>,
}

/// What the transaction has left behind.
pub(super) struct Changed {
    pub(super) user: u64,
    pub(super) plan: Plan,
    pub(super) parcels: Vec<Parcel>,
    /// Whether the webhook is ended; if not, it runs again.
    pub(super) ended: bool,
}

/// Why nothing was changed.
pub(super) enum Stop {
    /// The user appeared, vanished or was written by somebody else since Bento was asked.
    Again,
    /// A rule says no; the sentence says which.
    Refused(String),
    /// The lease has run out, and somebody else works on the row.
    Lost,
    /// Something failed.
    Trouble(Trouble),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Stop {
        Stop::Trouble(trouble)
    }
}

/// What is to be written, and upon what.
struct Draft {
    plan: Plan,
    row: UserRow,
    claim: Claim,
    /// The address that an existing user has had.
    old_email: Option<String>,
}

/// The row in `wp_users` before we write.
enum UserRow {
    /// Somebody's.
    Finished(u64),
    /// Ours, from an attempt that was cut short where the tables know no transactions.
    Unfinished(u64),
    /// There is none.
    Missing,
}

impl Attempt<'_> {
    /// Makes the hash that a new user will need: it takes longer than everything else.
    pub(super) fn hash_ahead(&self) {
        let mapped = plan::mapped_password(&self.order, &self.rules);
        let generated = || self.fresh.password.expose_str().to_owned();
        self.fresh.hash(&mapped.unwrap_or_else(generated));
    }

    /// The whole transaction.
    pub(super) fn run(&self, site: &mut Site<'_>) -> Result<Changed, Stop> {
        let Draft {
            mut plan,
            row,
            claim,
            old_email,
        } = match self.found {
            Some(found) => self.open_user(site, found)?,
            None => self.open_new(site)?,
        };
        let is_new = !matches!(row, UserRow::Finished(_));
        let user = match row {
            UserRow::Finished(id) => id,
            UserRow::Unfinished(id) => site.remake_user(id, &plan.changes)?,
            UserRow::Missing => site.insert_user(&plan.changes)?,
        };
        if is_new {
            self.fresh.give(user);
        }
        let message = self
            .desk
            .compose(old_email.as_deref(), &mut plan, user, site)?;
        let fields = errands::fields(&plan, user, &self.person.subscriber.uuid, self.fresh);
        let errands: Vec<Errand> = fields.into_iter().chain(message).collect();
        let counted = is_new.then_some(Counted {
            place: self.place,
            settings: self.desk.settings,
        });
        let fate = self.lease.map(|lease| self.fate(lease, claim, &plan));
        let leases = self.close(site, user, &plan, counted, &errands, fate)?;
        Ok(Changed {
            user,
            plan,
            parcels: errands::parcels(errands, leases),
            ended: matches!(fate, None | Some(Fate::Done(_))),
        })
    }

    /// Takes the locks of a user who is there, and plans.
    fn open_user(&self, site: &mut Site<'_>, found: &Found) -> Result<Draft, Stop> {
        let opened = site.open_user(found.id, &self.locks, self.lease)?;
        let user = opened.rows.ok_or(Stop::Again)?;
        // Who has written since has seen what we have not.
        if self.asked > 0 && opened.written >= self.asked {
            return Err(Stop::Again);
        }
        let claim = held(opened.claim)?;
        if self.order.action == Action::Add && self.is_unfinished(&user) {
            let row = UserRow::Unfinished(user.id);
            let mut draft = self.draft_new(site, row, claim)?;
            let rows = user.metas.iter().filter_map(|meta| meta.id);
            draft.plan.changes.deleted.extend(rows);
            return Ok(draft);
        }
        if self.may_be_in_the_making(&user) {
            return Err(Trouble::database("the user is still being made").into());
        }
        site.except(0);
        let plan = plan::existing(&user, found.link, &self.order, &self.rules, site)?;
        Ok(Draft {
            plan,
            row: UserRow::Finished(user.id),
            claim,
            old_email: Some(user.email),
        })
    }

    /// Whether an earlier attempt was cut short in the middle of a user, which only tables without transactions let happen:
    /// one of this process, whose row has our hash; or one of a process before, whose row is younger than the webhook and
    /// without a single row in usermeta, as nobody else leaves a user.
    fn is_unfinished(&self, user: &User) -> bool {
        let stored = self.lease.map_or(0, |lease| lease.stored);
        let is_younger = user.registered >= Clock::from_millis(stored).utc();
        self.fresh.are_of(user) || is_again(self.lease) && is_younger && user.is_bare()
    }

    /// Whether somebody else may still finish the user, who has no row in usermeta yet. Where webhooks are not kept, nobody
    /// could wait for that.
    fn may_be_in_the_making(&self, user: &User) -> bool {
        let is_new = |lease: &Lease| {
            let since = lease.since.saturating_sub(MAKING);
            user.registered >= Clock::from_millis(since).utc()
        };
        user.is_bare() && self.lease.is_some_and(is_new)
    }

    /// Takes the lock on names, and plans a new user.
    fn open_new(&self, site: &mut Site<'_>) -> Result<Draft, Stop> {
        let subscriber = &self.person.subscriber;
        let email = subscriber.email.as_deref();
        let opened = site.open_new(&subscriber.uuid, email, self.lease)?;
        // Somebody else may have made the user before the lock was held.
        if opened.rows.is_some() {
            return Err(Stop::Again);
        }
        let claim = held(opened.claim)?;
        self.draft_new(site, UserRow::Missing, claim)
    }

    fn draft_new(&self, site: &mut Site<'_>, row: UserRow, claim: Claim) -> Result<Draft, Stop> {
        site.except(match row {
            UserRow::Unfinished(id) => id,
            UserRow::Finished(_) | UserRow::Missing => 0,
        });
        let no_key = Secret::new(String::new());
        let key = self.desk.reset_key.as_ref();
        let mut start = Fresh {
            password: &self.fresh.password,
            activation_key: key.map_or(&no_key, |key| &key.column),
            now: &self.desk.now.utc(),
            random: &mut |most| self.fresh.random(most),
        };
        let planned = plan::new_user(&self.order, &self.rules, &mut start, site)?;
        Ok(Draft {
            plan: planned.map_err(Stop::Refused)?,
            row,
            claim,
            old_email: None,
        })
    }

    /// Writes everything that belongs together.
    fn close(
        &self,
        site: &mut Site<'_>,
        user: u64,
        plan: &Plan,
        counted: Option<Counted<'_>>,
        errands: &[Errand],
        fate: Option<Fate<'_>>,
    ) -> Result<Vec<Lease>, Trouble> {
        let settings = self.desk.settings;
        let received = received(self.webhook);
        let entries = std::iter::once(&received).chain(&plan.log);
        let rows: Vec<LogRow<'_>> = entries
            .map(|entry| row(entry, user, self.webhook))
            .collect();
        site.close(&Closing {
            user,
            changes: &plan.changes,
            counted,
            rows: &rows,
            log: Log {
                logging: settings.logging,
                time: &self.desk.now.local(&settings.zone),
                release: self.rules.release,
            },
            errands,
            fate,
        })
    }

    /// What becomes of the row once the user's rows are written. A tag without a name gets a second chance; so does a person
    /// with nothing new, some seconds later, where the owner wants that.
    fn fate<'l>(&self, lease: &'l Lease, claim: Claim, plan: &Plan) -> Fate<'l> {
        if claim == Claim::Joined {
            return Fate::Again(lease);
        }
        if is_again(Some(lease)) {
            return Fate::Done(lease);
        }
        let seconds = self.desk.config.own().second_look();
        match inbox::after(lease, &Trouble::Tag, spread()) {
            Next::At(at) if !self.person.complete => {
                Fate::Later(lease, at, "Bento names a tag that it does not list yet")
            }
            _ if plan.changes.is_empty() && seconds > 0 => {
                let at = lease.since + u64::from(seconds) * 1000;
                Fate::Later(lease, at, "a second look")
            }
            _ => Fate::Done(lease),
        }
    }
}

/// The claim, if the row still is ours.
fn held(claim: Claim) -> Result<Claim, Stop> {
    match claim {
        Claim::Lost => Err(Stop::Lost),
        claim => Ok(claim),
    }
}

/// Whether an attempt was made before this one.
pub(super) fn is_again(lease: Option<&Lease>) -> bool {
    lease.is_some_and(|lease| lease.attempt > 1)
}
