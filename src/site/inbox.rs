//! The inbox: our own tables, what is stored, what is claimed, how it ends.
//!
//! All times are milliseconds since 1970 on the database's clock, which all web servers share. Taking work and calling
//! Bento go through `door.rs`, one at a time.

use super::door::keyed;
use super::{
    Forgive, Found, OwnTables, Reply, Site, Statement, column, number_column, text_column, users,
};
use crate::echo::KeyPlace;
use crate::inbox::{Claim, Errand, FIRST_WAIT, Fate, Lease, Mark, Millis, Task};
use crate::outcome::Trouble;
use crate::text::hex;
use crate::webhook::{Action, Email, Person, Webhook};
use mysql::Row;

/// The moment on the database's clock, whatever the session's time zone.
pub(super) const NOW: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000";
/// How long a row is held: longer than the watchdog lets a request live.
pub(super) const LEASE: Millis = 40_000;
/// How long a buried row is kept.
const BURIED: Millis = 30 * 24 * 3_600_000;
/// The version of our tables that this program knows.
const VERSION: u64 = 1;
/// Column `kind`: a webhook.
const WEBHOOK: u8 = 0;
/// Column `kind`: an errand that needs no call to Bento.
pub(super) const FREE: u8 = 1;
/// Column `kind`: an errand that is a call to Bento.
const CALL: u8 = 2;

/// What is known before a webhook is stored.
pub struct Look {
    /// The user.
    pub found: Option<Found>,
    /// The mark of a row that waits for the same person.
    pub waiting: Option<Mark>,
    /// Whether the search for the user came to its end; where it did not, somebody who was not found may be there.
    pub complete: bool,
}

impl Site<'_> {
    /// Looks for the user and for a row that waits for the person, and sees to our tables: one round trip, but for the
    /// first time on a site. Where the tables cannot be made, webhooks are not kept.
    pub fn look(&mut self, person: &Person) -> Result<Look, Trouble> {
        let (id, email) = (
            person.id.as_deref(),
            person.email.as_ref().map(|email| email.as_str()),
        );
        // The row before the user: when a row is gone, the user it was about can be seen.
        let mut statements = vec![self.reading_version(), self.finding_row(person)];
        statements.extend(self.finding(id, email, users::Search::Soon));
        let replies = match self.send(&statements) {
            // Who has no right to a table is not told that it is missing.
            Err(failure)
                if failure.at < 2 && (failure.is_missing_table() || failure.is_denied()) =>
            {
                let users = statements.split_off(2);
                let mut replies = vec![Reply::default(), Reply::default()];
                replies.extend(self.send(&users)?);
                replies
            }
            result => result?,
        };
        match replies.first() {
            Some(version) if !version.rows.is_empty() => check_version(version)?,
            // Whoever made the table was killed before its row was written.
            _ => drop(self.prepare()?),
        }
        let waiting = replies.get(1).and_then(|reply| reply.rows.first());
        let users = replies.get(2..).unwrap_or_default();
        Ok(Look {
            found: users::found(users, id, email),
            waiting: waiting.and_then(|row| column(row, "person").try_into().ok().map(Mark::new)),
            complete: !users.iter().any(|reply| reply.endless),
        })
    }

    /// On a cluster, waits until this node has heard of everything that the others have committed, so that another look can
    /// show more. False on a server that stands alone.
    pub fn catch_up(&mut self) -> Result<bool, Trouble> {
        if !self.cluster {
            return Ok(false);
        }
        // Clusters that are not Galera's do not know the variable; a node that leaves its cluster cannot catch up.
        let statements = [
            "SET SESSION wsrep_sync_wait = 1",
            "SELECT 1",
            "SET SESSION wsrep_sync_wait = DEFAULT",
        ];
        let forgiving = |sql: &str| Statement::forgiving(sql.to_owned(), Forgive::Afterwards);
        self.send(&statements.map(forgiving))?;
        Ok(true)
    }

    /// Whether webhooks can be kept on this site.
    pub fn has_inbox(&self) -> bool {
        self.own == OwnTables::Usable
    }

    fn finding_row(&self, person: &Person) -> Statement {
        let inbox = &self.tables.inbox;
        let marks = [
            person.email.as_ref().map(|email| email.as_str()),
            person.id.as_deref(),
        ];
        let marks: Vec<String> = marks
            .iter()
            .flatten()
            .map(|text| format!("X'{}'", Mark::of(text).hex()))
            .collect();
        let marks = marks.join(", ");
        format!(
            "SELECT person FROM `{inbox}` WHERE kind = {WEBHOOK} AND (person IN ({marks}) OR contact_mark IN ({marks})) ORDER BY id LIMIT 1"
        )
        .into()
    }

    /// Sees to our tables; false when the database user may not make them. Who comes while others make them waits for them,
    /// and may wait in vain the first time.
    pub fn prepare(&mut self) -> Result<bool, Trouble> {
        self.transaction(&mut |site| site.make_tables())?;
        Ok(self.has_inbox())
    }

    /// Errs when our tables are those of a newer program.
    pub fn check_inbox(&mut self) -> Result<(), Trouble> {
        let replies = self.send(&[self.reading_version()])?;
        replies.first().map_or(Ok(()), check_version)
    }

    fn reading_version(&self) -> Statement {
        format!("SELECT version FROM `{}` WHERE id = 1", self.tables.state).into()
    }

    /// Makes our tables where they are missing; remembers when the database user may not.
    pub(super) fn make_tables(&mut self) -> Result<(), Trouble> {
        let super::Tables {
            lock, inbox, state, ..
        } = &self.tables;
        let statements = [
            format!(
                "CREATE TABLE IF NOT EXISTS `{lock}` (slot SMALLINT UNSIGNED NOT NULL PRIMARY KEY, taken BIGINT UNSIGNED NOT NULL, earlier BIGINT UNSIGNED NOT NULL DEFAULT 0) ENGINE=InnoDB"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS `{inbox}` (\
                 id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, \
                 kind TINYINT UNSIGNED NOT NULL, \
                 person BINARY(32) NOT NULL, \
                 contact_mark BINARY(32) NULL, \
                 action TINYINT UNSIGNED NOT NULL DEFAULT 0, \
                 contact BLOB NULL, \
                 email BLOB NULL, \
                 role BLOB NULL, \
                 notify TINYINT UNSIGNED NOT NULL DEFAULT 0, \
                 background TINYINT UNSIGNED NOT NULL DEFAULT 0, \
                 secure TINYINT UNSIGNED NOT NULL DEFAULT 0, \
                 body MEDIUMBLOB NULL, \
                 version BIGINT UNSIGNED NOT NULL DEFAULT 1, \
                 attempts INT UNSIGNED NOT NULL DEFAULT 0, \
                 came BIGINT UNSIGNED NOT NULL, \
                 due BIGINT UNSIGNED NOT NULL, \
                 token BINARY(16) NULL, \
                 lease BIGINT UNSIGNED NOT NULL DEFAULT 0, \
                 live TINYINT UNSIGNED NOT NULL DEFAULT 0, \
                 buried BIGINT UNSIGNED NOT NULL DEFAULT 0, \
                 reason VARBINARY(255) NOT NULL DEFAULT '', \
                 UNIQUE KEY person (kind, person), KEY contact_mark (contact_mark), KEY due (buried, due), KEY live (live, lease)\
                 ) ENGINE=InnoDB"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS `{state}` (\
                 id TINYINT UNSIGNED NOT NULL PRIMARY KEY, \
                 version SMALLINT UNSIGNED NOT NULL, \
                 calls MEDIUMBLOB NOT NULL, \
                 paused BIGINT UNSIGNED NOT NULL DEFAULT 0, \
                 tags BIGINT UNSIGNED NOT NULL DEFAULT 0, \
                 tag_names MEDIUMBLOB NULL, \
                 heard BIGINT UNSIGNED NOT NULL DEFAULT 0, \
                 keyed TINYINT UNSIGNED NOT NULL DEFAULT 0, \
                 worker BIGINT UNSIGNED NOT NULL DEFAULT 0, \
                 hired BINARY(16) NULL, \
                 worked BIGINT UNSIGNED NOT NULL DEFAULT 0\
                 ) ENGINE=InnoDB"
            ),
        ];
        // A row that is there is not touched: it would have to be waited for.
        let filling = [
            format!("SELECT COUNT(*) INTO @filled FROM `{state}` WHERE id = 1"),
            format!(
                "INSERT IGNORE INTO `{state}` (id, version, calls) SELECT 1, {VERSION}, '' FROM DUAL WHERE NOT @filled"
            ),
        ];
        // One by one: a statement that makes a table commits by itself.
        let mut packets: Vec<Vec<Statement>> = statements.map(|made| vec![made.into()]).into();
        let filled = filling.map(Statement::from).into_iter();
        packets.push(filled.chain([self.reading_version()]).collect());
        for packet in packets {
            match self.send(&packet) {
                Err(failure) if failure.is_denied() => {
                    self.own = OwnTables::Refused;
                    return Ok(());
                }
                replies => replies?.get(2).map_or(Ok(()), check_version)?,
            };
        }
        Ok(())
    }

    /// The statement that stores a webhook: a new row, or one more that joins the person's row.
    pub(super) fn storing(&self, mark: &Mark, webhook: &Webhook) -> Statement {
        let blob = |text: Option<&str>| text.map_or_else(|| "NULL".to_owned(), blob);
        let person = webhook.person.as_ref();
        let id = person.and_then(|person| person.id.as_deref());
        let email = person.and_then(|person| person.email.as_ref());
        let contact_mark = id.map_or_else(
            || "NULL".to_owned(),
            |id| format!("X'{}'", Mark::of(id).hex()),
        );
        format!(
            "INSERT INTO `{}` (kind, person, contact_mark, action, contact, email, role, notify, background, secure, came, due) \
             VALUES ({WEBHOOK}, X'{}', {contact_mark}, {}, {}, {}, {}, {}, {}, {}, {NOW}, {NOW}) \
             ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), version = version + 1, \
             action = GREATEST(action, VALUES(action)), \
             contact_mark = COALESCE(VALUES(contact_mark), contact_mark), \
             contact = COALESCE(VALUES(contact), contact), \
             email = COALESCE(VALUES(email), email), \
             role = COALESCE(VALUES(role), role), \
             notify = GREATEST(notify, VALUES(notify)), \
             background = VALUES(background), secure = VALUES(secure), \
             attempts = IF(lease > 0, attempts, 0), due = {NOW}, buried = 0",
            self.tables.inbox,
            mark.hex(),
            rank(webhook.action),
            blob(id),
            blob(email.map(Email::as_str)),
            blob(webhook.role.as_deref()),
            u8::from(webhook.welcome),
            u8::from(webhook.background),
            u8::from(webhook.secure),
        )
        .into()
    }

    /// The statement that stores an errand, the `number`th of a webhook, as a row that is held by who holds the webhook.
    pub(super) fn keeping(&self, errand: &Errand, number: usize, lease: &Lease) -> Statement {
        let kind = if errand.calls_bento() { CALL } else { FREE };
        let body = serde_json::to_vec(errand).unwrap_or_default();
        let token = lease.token.hex();
        format!(
            "INSERT INTO `{}` (kind, person, body, came, due, attempts, token, lease) \
             VALUES ({kind}, X'{}', X'{}', {NOW}, {NOW}, 1, X'{token}', {NOW} + {LEASE})",
            self.tables.inbox,
            Mark::of(&format!("{token} {number}")).hex(),
            hex(&body),
        )
        .into()
    }

    /// The lease on an errand that has been stored under this number.
    pub(super) fn kept(id: u64, lease: &Lease) -> Lease {
        Lease {
            id,
            version: 1,
            attempt: 1,
            stored: lease.since,
            told: false,
            ..*lease
        }
    }

    /// Notes that an errand leaves by itself from now on, so that nobody sends it again. When that cannot be noted, it may be
    /// sent twice, which is better than not at all.
    pub fn hand_over(&mut self, lease: &mut Lease) {
        let version = lease.version + 1;
        let noted = self.changed(format!(
            "UPDATE `{}` SET version = {version} WHERE {}",
            self.tables.inbox,
            held(lease)
        ));
        if matches!(noted, Ok(1)) {
            lease.version = version;
        }
    }

    /// The statement that confirms a claim and holds it to the end of the transaction.
    pub(super) fn reading_claim(&self, lease: Option<&Lease>) -> Statement {
        let Some(lease) = lease else {
            return "DO 0".into();
        };
        format!(
            "SELECT version FROM `{}` WHERE {} FOR UPDATE",
            self.tables.inbox,
            held(lease)
        )
        .into()
    }

    /// The statement that ends or releases a row, if it still is ours.
    pub(super) fn ending(&self, fate: &Fate<'_>) -> Statement {
        let inbox = &self.tables.inbox;
        let released = "token = NULL, lease = 0, live = 0";
        let reason = |reason: &str| {
            let short: String = reason.chars().take(60).collect();
            format!("reason = {}", blob(&short))
        };
        let lease = fate.lease();
        let held = held(lease);
        let version = lease.version;
        // What has joined the row meanwhile starts anew: it has not failed yet, but may not hurry either.
        let unless_joined = |column: &str, failed: &str, joined: &str| {
            format!("{column} = IF(version = {version}, {failed}, {joined})")
        };
        let attempts = unless_joined("attempts", "attempts", "LEAST(attempts, 1)");
        let soon = format!("{NOW} + {FIRST_WAIT}");
        let change = match fate {
            Fate::Done(_) => {
                return format!("DELETE FROM `{inbox}` WHERE {held} AND version = {version}")
                    .into();
            }
            Fate::Again(_) => format!("attempts = 0, due = {NOW}"),
            Fate::Later(_, at, why) => {
                let due = unless_joined("due", &at.to_string(), &format!("LEAST({at}, {soon})"));
                format!("{attempts}, {due}, {}", reason(why))
            }
            Fate::Uncounted(_, at, why) => {
                let attempts = "GREATEST(attempts, 1) - 1";
                format!("attempts = {attempts}, due = {at}, {}", reason(why))
            }
            Fate::Buried(_, why) => {
                let buried = unless_joined("buried", NOW, "0");
                let due = unless_joined("due", "due", &soon);
                format!("{buried}, {attempts}, {due}, {}", reason(why))
            }
        };
        // Assignments are made from left to right: what was to leave has not.
        format!("UPDATE `{inbox}` SET {released}, {change}, version = IF(kind = {WEBHOOK}, version, 1) WHERE {held}").into()
    }

    /// Keeps the whole list of tags, as Bento has it, for those who may not ask for it again within a minute.
    pub fn keep_tags(&mut self, tags: &[(u64, String)]) -> Result<(), Trouble> {
        let names = serde_json::to_vec(tags).unwrap_or_default();
        let statement = format!(
            "UPDATE `{}` SET tag_names = X'{}' WHERE id = 1",
            self.tables.state,
            hex(&names)
        );
        self.send(&[statement.into()])?;
        Ok(())
    }

    /// The list of tags that was kept last.
    pub fn kept_tags(&mut self) -> Result<Vec<(u64, String)>, Trouble> {
        let statement = format!("SELECT tag_names FROM `{}` WHERE id = 1", self.tables.state);
        let replies = self.send(&[statement.into()])?;
        let row = replies.first().and_then(|reply| reply.rows.first());
        let names = row.map(|row| column(row, "tag_names")).unwrap_or_default();
        Ok(serde_json::from_slice(&names).unwrap_or_default())
    }

    /// Ends or releases a row outside of any transaction. Done means: unless something has joined it, then it runs again.
    pub fn end(&mut self, fate: &Fate<'_>) -> Result<(), Trouble> {
        let mut statements = vec![self.ending(fate)];
        if let Fate::Done(lease) = fate {
            statements.push(self.ending(&Fate::Again(lease)));
        }
        statements.push(self.looking_around());
        self.deserted = true;
        let replies = self.send(&statements)?;
        self.looked_around(replies.last());
        Ok(())
    }

    /// What is in the inbox; `calls` is how many are allowed in a minute. Two round trips.
    pub fn overview(&mut self, calls: u32) -> Result<Overview, Trouble> {
        let (inbox, state) = (&self.tables.inbox, &self.tables.state);
        let mut statements = vec![format!("SET @now = {NOW}").into()];
        statements.extend([
            Statement::from(format!(
                "SELECT COUNT(*) AS number, SUM(buried > 0) AS buried, SUM(buried = 0 AND lease > @now) AS running, \
                 MIN(IF(buried = 0, came, NULL)) AS oldest, @now AS moment FROM `{inbox}`"
            )),
            format!("SELECT calls, paused, heard, keyed, worker, worked FROM `{state}` WHERE id = 1").into(),
            format!(
                "SELECT id, kind, action, contact, attempts, came, due, buried, lease, reason FROM `{inbox}` ORDER BY buried > 0, due, id LIMIT {SHOWN}"
            )
            .into(),
        ]);
        let replies = self.send(&statements)?;
        let counts = replies.get(1);
        let number = |name: &str| counts.map_or(0, |reply| reply.number(name));
        let now = number("moment");
        let state = replies.get(2);
        let moment = |name: &str| state.map_or(0, |reply| reply.number(name));
        let list = state.and_then(|reply| reply.rows.first());
        let list = list.map(|row| column(row, "calls")).unwrap_or_default();
        let rows = replies.get(3).map_or(&[][..], |reply| &reply.rows);
        Ok(Overview {
            waiting: number("number").saturating_sub(number("buried") + number("running")),
            running: number("running"),
            buried: number("buried"),
            oldest: (number("oldest") > 0).then(|| now.saturating_sub(number("oldest"))),
            calls_left: match moment("paused") > now {
                true => 0,
                false => calls.saturating_sub(super::door::recent(&list, calls, now)),
            },
            worker: moment("worker") > now,
            last_worked: (moment("worked") > 0).then(|| now.saturating_sub(moment("worked"))),
            last_heard: (moment("heard") > 0).then(|| now.saturating_sub(moment("heard"))),
            last_key: [KeyPlace::Address, KeyPlace::Header]
                .into_iter()
                .find(|place| u64::from(keyed(*place)) == moment("keyed")),
            rows: rows.iter().map(|row| shown(row, now)).collect(),
        })
    }

    /// Lets one row, or every one, be tried now; how many.
    pub fn retry(&mut self, id: Option<u64>) -> Result<u64, Trouble> {
        let which = id.map_or_else(|| "1 = 1".to_owned(), |id| format!("id = {id}"));
        self.changed(format!(
            "UPDATE `{}` SET due = {NOW}, buried = 0, attempts = 0 WHERE lease <= {NOW} AND {which}",
            self.tables.inbox
        ))
    }

    /// Removes a row that nobody works on; how many.
    pub fn discard(&mut self, id: u64) -> Result<u64, Trouble> {
        self.changed(format!(
            "DELETE FROM `{}` WHERE id = {id} AND lease <= {NOW}",
            self.tables.inbox
        ))
    }

    fn changed(&mut self, statement: String) -> Result<u64, Trouble> {
        let replies = self.send(&[statement.into()])?;
        Ok(replies.first().map_or(0, |reply| reply.affected))
    }

    /// Removes what has been buried for 30 days.
    pub fn clear_graves(&mut self) -> Result<(), Trouble> {
        let statement = format!(
            "DELETE FROM `{}` WHERE {}",
            self.tables.inbox,
            forgotten(NOW)
        );
        self.send(&[statement.into()])?;
        Ok(())
    }
}

/// Whether our tables are those of this program.
fn check_version(reply: &Reply) -> Result<(), Trouble> {
    if reply.number("version") > VERSION {
        return Err(Trouble::Setup(
            "the inbox was made by a newer bento-webhooks; put the newest one on every web server"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Whether a row has been buried for so long that it goes; `now` is an expression.
pub(super) fn forgotten(now: &str) -> String {
    format!("buried BETWEEN 1 AND {now} - {BURIED}")
}

/// The row of a lease, as long as it is ours.
fn held(lease: &Lease) -> String {
    format!("id = {} AND token = X'{}'", lease.id, lease.token.hex())
}

/// What [`Site::reading_claim`] brought.
pub(super) fn claim(lease: Option<&Lease>, reply: Option<&Reply>) -> Claim {
    let Some(lease) = lease else {
        return Claim::Held;
    };
    match reply.and_then(|reply| reply.rows.first()) {
        None => Claim::Lost,
        Some(row) if number_column(row, "version") == lease.version => Claim::Held,
        Some(_) => Claim::Joined,
    }
}

/// Text as a binary literal.
fn blob(text: &str) -> String {
    if text.is_empty() {
        return "''".to_owned();
    }
    format!("X'{}'", hex(text.as_bytes()))
}

/// Column `action`: the greater one does what the lesser ones do, and more.
fn rank(action: Action) -> u8 {
    match action {
        Action::Test => 0,
        Action::UpdateTags => 1,
        Action::Update => 2,
        Action::Add => 3,
    }
}

/// Most rows that an overview shows.
const SHOWN: u32 = 50;

/// What is in the inbox. Times are milliseconds before now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Overview {
    /// Rows that wait for their turn.
    pub waiting: u64,
    /// Rows that are being worked on.
    pub running: u64,
    /// Rows that were given up.
    pub buried: u64,
    /// Since when the oldest row that was not given up has been there.
    #[serde(rename = "oldest_ms")]
    pub oldest: Option<Millis>,
    /// Calls to Bento that are left in this minute.
    pub calls_left: u32,
    /// Whether a worker is there.
    pub worker: bool,
    /// When a worker was last seen.
    #[serde(rename = "last_worked_ms")]
    pub last_worked: Option<Millis>,
    /// When a webhook last came.
    #[serde(rename = "last_webhook_ms")]
    pub last_heard: Option<Millis>,
    /// Where that webhook had its access key.
    pub last_key: Option<KeyPlace>,
    /// The first rows: those that come next, then those that were given up.
    pub rows: Vec<Shown>,
}

/// One row of an overview. Nothing that is to be sent is in it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Shown {
    /// What `retry` and `drop` know it by.
    pub id: u64,
    /// What is to be done: an action, or `send`.
    pub what: &'static str,
    /// Bento's id of the person, if one is known.
    pub contact: Option<String>,
    /// How often it was tried.
    pub attempts: u64,
    /// Whether it is `waiting`, `running` or `buried`.
    pub state: &'static str,
    /// How long it still waits at least, in milliseconds.
    #[serde(rename = "due_in_ms")]
    pub due_in: Millis,
    /// Why it was not done yet.
    pub reason: String,
}

fn shown(row: &Row, now: Millis) -> Shown {
    let number = |name: &str| number_column(row, name);
    let contact = text_column(row, "contact");
    let what = match (number("kind"), number("action")) {
        (0, 1) => Action::UpdateTags.name(),
        (0, 2) => Action::Update.name(),
        (0, 3) => Action::Add.name(),
        _ => "send",
    };
    Shown {
        id: number("id"),
        what,
        contact: (!contact.is_empty()).then_some(contact),
        attempts: number("attempts"),
        state: match () {
            () if number("buried") > 0 => "buried",
            () if number("lease") > now => "running",
            () => "waiting",
        },
        due_in: number("due").saturating_sub(now),
        reason: text_column(row, "reason"),
    }
}

/// The columns of a row that [`task`] and [`lease`] read.
pub(super) const COLUMNS: &str = "id, kind, action, contact, email, role, notify, background, secure, body, version, attempts, came, reason";

/// What a row asks for; `None` when it cannot be read.
pub(super) fn task(row: &Row) -> Option<Task> {
    let text = |name: &str| {
        let text = text_column(row, name);
        (!text.is_empty()).then_some(text)
    };
    if number_column(row, "kind") != u64::from(WEBHOOK) {
        let errand: Errand = serde_json::from_slice(&column(row, "body")).ok()?;
        return Some(Task::Errand(errand));
    }
    let all = [Action::UpdateTags, Action::Update, Action::Add];
    let action = all
        .into_iter()
        .find(|action| u64::from(rank(*action)) == number_column(row, "action"))?;
    let email = text("email").and_then(|email| Email::read(&email));
    Some(Task::Webhook(Webhook {
        action,
        person: Some(Person {
            id: text("contact"),
            email,
        }),
        role: text("role"),
        welcome: number_column(row, "notify") != 0,
        background: number_column(row, "background") != 0,
        secure: number_column(row, "secure") != 0,
    }))
}

/// The lease on a row that has just been claimed.
pub(super) fn lease(row: &Row, token: crate::inbox::Token, since: Millis) -> Lease {
    Lease {
        id: number_column(row, "id"),
        token,
        version: number_column(row, "version"),
        attempt: u32::try_from(number_column(row, "attempts")).unwrap_or(u32::MAX),
        since,
        stored: number_column(row, "came"),
        told: !column(row, "reason").is_empty(),
    }
}
