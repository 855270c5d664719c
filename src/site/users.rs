//! Users: find them, read their rows, write what the plan says, and the log beside it.

use super::inbox::claim;
use super::options::Counted;
use super::{Forgive, Reply, Site, Statement, number_column, text_column, trouble};
use crate::inbox::{Claim, Errand, Fate, Lease, Millis};
use crate::log::{Entry, Level, Who};
use crate::outcome::Trouble;
use crate::password;
use crate::php;
use crate::plan::{CONTACT_ID, Changes, Directory, Link, Meta, User};
use crate::release::Release;
use crate::secret::Secret;
use crate::settings::Logging;
use mysql::Row;

/// The slot that everybody takes who makes a user or changes a name that must be unique.
pub const NAMES_SLOT: u32 = 0;
/// The slot for WP Fusion's options.
pub(super) const OPTIONS_SLOT: u32 = 1;
/// Slots for single users follow.
const FIRST_USER_SLOT: u32 = 2;
/// Number of slots for single users.
const USER_SLOTS: u64 = 256;
/// Rows that WP Fusion keeps in its log, and how many it removes when there are more.
const LOG_LIMIT: u64 = 10_000;
const LOG_REMOVED: u64 = 100;

/// The slot to lock while this user's rows are changed.
pub fn user_slot(id: u64) -> u32 {
    FIRST_USER_SLOT + u32::try_from(id % USER_SLOTS).unwrap_or_default()
}

/// Milliseconds that a search for a contact id may take while a sender waits.
const SEARCH_TIME: u32 = 1000;

/// How long a contact id is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// No longer than [`SEARCH_TIME`]: then the server ends it, and nobody knows.
    Soon,
    /// As long as the server takes.
    ToTheEnd,
}

impl Search {
    /// How the statement begins. MariaDB and MySQL are told of a limit in different ways, each of which is a comment to the
    /// other.
    fn select(self) -> String {
        let seconds = f64::from(SEARCH_TIME) / 1000.0;
        match self {
            Search::Soon => format!(
                "/*M!100100 SET STATEMENT max_statement_time = {seconds} FOR */ SELECT /*+ MAX_EXECUTION_TIME({SEARCH_TIME}) */"
            ),
            Search::ToTheEnd => "SELECT".to_owned(),
        }
    }

    fn forgives(self) -> Forgive {
        match self {
            Search::Soon => Forgive::Endless,
            Search::ToTheEnd => Forgive::Incomparable,
        }
    }
}

/// A user who was found, before anything is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `ID`.
    pub id: u64,
    /// `user_email`.
    pub email: String,
    /// By what.
    pub link: Link,
}

impl Site<'_> {
    /// The user with this contact id, else the one with this e-mail address, spaces around it aside.
    pub fn user_by(
        &mut self,
        id: Option<&str>,
        email: Option<&str>,
    ) -> Result<Option<Found>, Trouble> {
        let replies = self.send(&self.finding(id, email, Search::ToTheEnd))?;
        Ok(found(&replies, id, email))
    }

    /// The two statements that look for a user, for one packet.
    ///
    /// WordPress has an index on addresses but none on contact ids: looking for an id reads a row of every linked user. So
    /// the server is told to spare itself that when the user with the address has the id.
    pub(super) fn finding(
        &self,
        id: Option<&str>,
        email: Option<&str>,
        search: Search,
    ) -> Vec<Statement> {
        let (id, email) = (id.unwrap_or_default(), email.unwrap_or_default().trim());
        let contact = self.finding_contact(id, email, search);
        vec![contact, self.finding_email(email)]
    }

    /// Users with this contact id in usermeta; none when the user with the address is one of them.
    fn finding_contact(&self, id: &str, email: &str, search: Search) -> Statement {
        let (usermeta, users) = (&self.tables.usermeta, &self.tables.users);
        let mut statement = format!(
            "{} m.user_id, m.meta_value, u.user_email FROM `{usermeta}` m JOIN `{users}` u ON u.ID = m.user_id \
             WHERE m.meta_key = '{CONTACT_ID}' AND m.meta_value = {} AND m.user_id < 100000000",
            search.select(),
            self.text(id)
        );
        // What a column cannot hold must not keep the server from looking for the id.
        if !email.is_empty() && email.is_ascii() && id.is_ascii() {
            statement += &format!(
                " AND NOT EXISTS (SELECT 1 FROM `{users}` o JOIN `{usermeta}` l ON l.user_id = o.ID \
                 WHERE o.user_email IN ({}) AND l.meta_key = '{CONTACT_ID}' AND l.user_id < 100000000 \
                 AND BINARY LOWER(TRIM(l.meta_value)) = BINARY LOWER({}))",
                self.addresses(email),
                self.text(id)
            );
        }
        unless_empty(id, statement + " ORDER BY m.user_id", search.forgives())
    }

    /// Users with this e-mail address, with their contact ids.
    fn finding_email(&self, email: &str) -> Statement {
        let statement = format!(
            "SELECT u.ID, u.user_email, l.meta_value FROM `{}` u LEFT JOIN `{}` l \
             ON l.user_id = u.ID AND l.meta_key = '{CONTACT_ID}' AND l.user_id < 100000000 \
             WHERE u.user_email IN ({}) ORDER BY u.ID",
            self.tables.users,
            self.tables.usermeta,
            self.addresses(email)
        );
        unless_empty(email, statement, Forgive::Incomparable)
    }

    /// The forms in which WordPress may have stored an address: `a&b@x.yz` becomes `a&amp;b@x.yz`.
    fn addresses(&self, email: &str) -> String {
        format!("{}, {}", self.text(email), self.text(&stored_email(email)))
    }

    /// The statement that reads the user's rows.
    fn reading_user(&self, id: u64) -> Statement {
        format!(
            "SELECT u.user_login, u.user_pass, u.user_nicename, u.user_email, u.user_url, u.user_registered, \
             u.user_activation_key, u.display_name, m.umeta_id, m.meta_key, m.meta_value \
             FROM `{}` u LEFT JOIN `{}` m ON m.user_id = u.ID WHERE u.ID = {id} ORDER BY m.umeta_id",
            self.tables.users, self.tables.usermeta
        )
        .into()
    }

    /// Opens the transaction about a user: takes the locks, confirms that the claim still is ours, and reads the user's
    /// rows as they are now. One round trip.
    ///
    /// Tables without transactions show a user before the rows in usermeta are written. Whoever makes users holds the lock on
    /// names meanwhile, so that a user without such rows is read again behind it.
    pub fn open_user(
        &mut self,
        id: u64,
        locks: &[u32],
        lease: Option<&Lease>,
    ) -> Result<Opened<Option<User>>, Trouble> {
        let opened = self.read_user(id, locks, lease)?;
        let is_bare = opened.rows.as_ref().is_some_and(User::is_bare);
        if !is_bare || locks.contains(&NAMES_SLOT) {
            return Ok(opened);
        }
        self.roll_back();
        self.read_user(id, &[&[NAMES_SLOT], locks].concat(), lease)
    }

    fn read_user(
        &mut self,
        id: u64,
        locks: &[u32],
        lease: Option<&Lease>,
    ) -> Result<Opened<Option<User>>, Trouble> {
        let statements = vec![
            self.reading_last_write(id),
            self.reading_claim(lease),
            self.reading_user(id),
        ];
        let replies = self.begin(locks, statements)?;
        Ok(Opened {
            written: replies.first().map_or(0, |reply| reply.number("earlier")),
            claim: claim(lease, replies.get(1)),
            rows: replies.get(2).and_then(|reply| user(id, &reply.rows)),
        })
    }

    /// Opens the transaction that makes a user: takes the lock on names, confirms the claim, and looks whether somebody has
    /// the id or the address by now. One round trip.
    pub fn open_new(
        &mut self,
        id: &str,
        email: Option<&str>,
        lease: Option<&Lease>,
    ) -> Result<Opened<Option<Found>>, Trouble> {
        let mut statements = vec![self.reading_claim(lease)];
        statements.extend(self.finding(Some(id), email, Search::ToTheEnd));
        let replies = self.begin(&[NAMES_SLOT], statements)?;
        Ok(Opened {
            written: 0,
            claim: claim(lease, replies.first()),
            rows: found(replies.get(1..).unwrap_or_default(), Some(id), email),
        })
    }

    /// When the user's rows were written before: whoever writes them takes the lock. 0 where our tables are missing.
    fn reading_last_write(&self, user: u64) -> Statement {
        if !self.has_inbox() {
            return "DO 0".into();
        }
        let (lock, slot) = (&self.tables.lock, user_slot(user));
        format!("SELECT earlier FROM `{lock}` WHERE slot = {slot}").into()
    }

    /// The bcrypt cost of the newest hash in WordPress's own form; only asked when a hash is to be made.
    pub fn bcrypt_cost(&mut self) -> Result<Option<u32>, Trouble> {
        let statement = format!(
            "SELECT user_pass FROM `{}` ORDER BY ID DESC LIMIT 20",
            self.tables.users
        );
        let rows = self.rows(&statement).map_err(trouble)?;
        Ok(rows
            .iter()
            .find_map(|row| password::cost_of(&text_column(row, "user_pass"))))
    }

    /// Writes the row of a new user and returns its number. Call it in a transaction.
    pub fn insert_user(&mut self, changes: &Changes) -> Result<u64, Trouble> {
        let names: Vec<&str> = changes.columns.iter().map(|(name, _)| *name).collect();
        let values: Vec<String> = changes
            .columns
            .iter()
            .map(|(_, value)| self.text(value))
            .collect();
        let statement = format!(
            "INSERT INTO `{}` ({}) VALUES ({})",
            self.tables.users,
            names.join(", "),
            values.join(", ")
        );
        let replies = self.send(&[statement.into()])?;
        Ok(replies.first().map_or(0, |reply| reply.last_id))
    }

    /// Takes over the row of a user whose making was cut short, in place of a new one.
    pub fn remake_user(&mut self, id: u64, changes: &Changes) -> Result<u64, Trouble> {
        let statement = self.changing_user(id, changes);
        self.send(&statement.into_iter().collect::<Vec<_>>())?;
        Ok(id)
    }

    /// Names that this user has are free from now on.
    pub fn except(&mut self, id: u64) {
        self.except = id;
    }

    /// The statements that change the row of user `id`.
    fn changing_user(&self, id: u64, changes: &Changes) -> Option<Statement> {
        if changes.columns.is_empty() {
            return None;
        }
        let pairs: Vec<String> = changes
            .columns
            .iter()
            .map(|(name, value)| format!("{name} = {}", self.text(value)))
            .collect();
        let statement = format!(
            "UPDATE `{}` SET {} WHERE ID = {id}",
            self.tables.users,
            pairs.join(", ")
        );
        Some(statement.into())
    }

    /// The statements that change the usermeta rows of user `id`.
    fn changing_metas(&self, id: u64, changes: &Changes) -> Vec<Statement> {
        let usermeta = &self.tables.usermeta;
        let mut statements = Vec::new();
        if !changes.deleted.is_empty() {
            let ids = numbers(changes.deleted.iter());
            statements.push(format!("DELETE FROM `{usermeta}` WHERE umeta_id IN ({ids})").into());
        }
        if !changes.updated.is_empty() {
            let ids = numbers(changes.updated.iter().map(|(id, _)| id));
            let mut cases = String::new();
            for (id, value) in &changes.updated {
                cases.push_str(&format!(
                    " WHEN {id} THEN {}",
                    self.nullable(value.as_deref())
                ));
            }
            let statement = format!(
                "UPDATE `{usermeta}` SET meta_value = CASE umeta_id{cases} END WHERE umeta_id IN ({ids})"
            );
            statements.push(statement.into());
        }
        if !changes.inserted.is_empty() {
            let row = |(key, value): &(String, Option<Vec<u8>>)| {
                format!(
                    "({id}, {}, {})",
                    self.text(key),
                    self.nullable(value.as_deref())
                )
            };
            let rows: Vec<String> = changes.inserted.iter().map(row).collect();
            let statement = format!(
                "INSERT INTO `{usermeta}` (user_id, meta_key, meta_value) VALUES {}",
                rows.join(", ")
            );
            statements.push(statement.into());
        }
        statements
    }

    /// Writes everything that belongs together, ends or releases the claim, commits, and trims the log: one round trip.
    /// The leases are those on the errands, in their order; none where webhooks are not kept.
    pub fn close(&mut self, closing: &Closing<'_>) -> Result<Vec<Lease>, Trouble> {
        let Closing {
            user, changes, log, ..
        } = *closing;
        let mut last = Vec::new();
        if let Some(fate) = &closing.fate {
            let errands = closing.errands.iter().enumerate();
            last.extend(errands.map(|(number, errand)| self.keeping(errand, number, fate.lease())));
            last.push(self.ending(fate));
        }
        if !self.silent {
            last.extend(self.logging(closing.rows, log));
        }
        // What shows that a user is finished comes last: tables without transactions keep what was written before a failure.
        match closing.counted {
            None => last.extend(self.changing_user(user, changes)),
            Some(counted) => last.extend(self.counting_users(counted, log.release)),
        }
        last.extend(self.changing_metas(user, changes));
        let kept = last.len();
        let around = closing.fate.map(|_| self.looking_around());
        let after = around.into_iter().chain(self.measuring_log(log.logging));
        let replies = self.commit(last, after.collect())?;
        self.trim_log(log.logging, replies.last());
        let Some(fate) = &closing.fate else {
            return Ok(Vec::new());
        };
        self.looked_around(replies.get(kept));
        let errands = replies.iter().take(closing.errands.len());
        Ok(errands
            .map(|reply| Site::kept(reply.last_id, fate.lease()))
            .collect())
    }

    /// The statements that write rows into WP Fusion's log, if it is on, and count errors for the badge. The log is a
    /// courtesy: what fails there, such as a missing table, has no effect on the work it speaks of.
    fn logging(&self, entries: &[LogRow<'_>], log: Log<'_>) -> Vec<Statement> {
        let logging = log.logging;
        let entries: Vec<&LogRow<'_>> = entries
            .iter()
            .filter(|row| !logging.errors_only || row.entry.level == Level::Error)
            .collect();
        if !logging.enabled || entries.is_empty() {
            return Vec::new();
        }
        let errors = entries
            .iter()
            .filter(|row| row.entry.level == Level::Error)
            .count();
        let rows: Vec<String> = entries
            .iter()
            .map(|row| self.log_values(row, log.time))
            .collect();
        let statement = format!(
            "INSERT INTO `{}` (timestamp, level, user, source, message, context) VALUES {}",
            self.tables.log,
            rows.join(", ")
        );
        let mut statements = vec![Statement::forgiving(statement, Forgive::Courtesy)];
        if errors > 0 && logging.badge {
            statements.push(self.counting_errors(errors, log.release));
        }
        statements
    }

    /// Writes rows into the log outside of any transaction: one round trip.
    pub fn log_now(&mut self, entries: &[LogRow<'_>], log: Log<'_>) {
        let mut statements = self.logging(entries, log);
        statements.extend(self.measuring_log(log.logging));
        // The log is a courtesy: what fails here has no effect on the webhook.
        if let Ok(replies) = self.send(&statements) {
            self.trim_log(log.logging, replies.last());
        }
    }

    fn log_values(&self, row: &LogRow<'_>, time: &str) -> String {
        let user = if row.entry.who == Who::User {
            row.user
        } else {
            0
        };
        let source = php::maybe_serialize(&row.source).unwrap_or_default();
        let context = row.entry.context.as_ref().map(php::Value::serialize);
        format!(
            "({}, {}, {user}, {}, {}, {})",
            self.text(time),
            row.entry.level.number(),
            self.bytes(&source),
            self.text(&row.entry.message),
            self.nullable(context.as_deref())
        )
    }

    /// The statement that tells how long the log may be.
    fn measuring_log(&self, logging: Logging) -> Option<Statement> {
        let statement = format!(
            "SELECT MAX(log_id) - MIN(log_id) + 1 AS span FROM `{}`",
            self.tables.log
        );
        logging
            .enabled
            .then(|| Statement::forgiving(statement, Forgive::Afterwards))
    }

    /// Removes the oldest rows of the log when it is on and holds more than 10,000, as WP Fusion does. Outside of any
    /// transaction.
    fn trim_log(&mut self, logging: Logging, measured: Option<&Reply>) {
        let span = measured.map_or(0, |reply| reply.number("span"));
        if !logging.enabled || span <= LOG_LIMIT {
            return;
        }
        let log = self.tables.log.clone();
        let counted = self.rows(&format!("SELECT COUNT(*) AS number FROM `{log}`"));
        let number = counted
            .ok()
            .and_then(|rows| rows.first().map(|row| number_column(row, "number")));
        if number.is_some_and(|number| number > LOG_LIMIT) {
            // The log is a courtesy: what fails here has no effect on the webhook.
            let _ = self.run(&format!(
                "DELETE FROM `{log}` ORDER BY log_id LIMIT {LOG_REMOVED}"
            ));
        }
    }
}

/// What a transaction about a user starts from.
pub struct Opened<T> {
    /// When the user's rows may have been written last; 0 for never.
    pub written: Millis,
    /// Whether the work still is ours.
    pub claim: Claim,
    /// The rows.
    pub rows: T,
}

/// Everything that is written with a user's rows.
pub struct Closing<'a> {
    /// The user.
    pub user: u64,
    /// The rows that change; those of `wp_users` only for a user who was there before.
    pub changes: &'a Changes,
    /// For a new user: what the count of users depends on.
    pub counted: Option<Counted<'a>>,
    /// Rows for the log.
    pub rows: &'a [LogRow<'a>],
    /// How the log is written.
    pub log: Log<'a>,
    /// What is to be sent after the commit.
    pub errands: &'a [Errand],
    /// What becomes of the webhook in the inbox.
    pub fate: Option<Fate<'a>>,
}

/// How WP Fusion's log is written.
#[derive(Clone, Copy)]
pub struct Log<'a> {
    /// The owner's settings of it.
    pub logging: Logging,
    /// The site's local time.
    pub time: &'a str,
    /// WordPress's release, on which new options depend.
    pub release: Release,
}

/// `a&b@x.yz` as WordPress stores it.
fn stored_email(email: &str) -> String {
    email.replace('&', "&amp;")
}

/// The statement; an empty text is nobody's and costs no search.
fn unless_empty(text: &str, statement: String, forgive: Forgive) -> Statement {
    let statement = if text.is_empty() {
        "DO 0".to_owned()
    } else {
        statement
    };
    Statement::forgiving(statement, forgive)
}

/// The user among what [`Site::finding`] brought: the lowest number first, by id before by address. Both compare exactly
/// but for ASCII case, where a collation would be more generous.
pub(super) fn found(replies: &[Reply], id: Option<&str>, email: Option<&str>) -> Option<Found> {
    let rows = |at: usize| replies.get(at).map_or(&[][..], |reply| &reply.rows);
    let id = id.unwrap_or_default();
    let is_linked = |row: &&Row| {
        let own = text_column(row, "meta_value");
        !id.is_empty() && own.trim().eq_ignore_ascii_case(id)
    };
    let linked = |row: &Row, number: &str| Found {
        id: number_column(row, number),
        email: text_column(row, "user_email"),
        link: Link::ContactId,
    };
    let by_id = rows(0).iter().find(is_linked);
    if let Some(row) = by_id {
        return Some(linked(row, "user_id"));
    }
    if let Some(row) = rows(1).iter().find(is_linked) {
        return Some(linked(row, "ID"));
    }
    let email = email.unwrap_or_default().trim();
    let stored = stored_email(email);
    let is = |own: String| own.eq_ignore_ascii_case(email) || own.eq_ignore_ascii_case(&stored);
    let row = rows(1)
        .iter()
        .find(|row| is(text_column(row, "user_email")))?;
    Some(Found {
        id: number_column(row, "ID"),
        email: email.to_owned(),
        link: Link::Email,
    })
}

/// The user's rows; `None` when the user is gone.
fn user(id: u64, rows: &[Row]) -> Option<User> {
    let first = rows.first()?;
    let has_meta = |row: &&Row| number_column(row, "umeta_id") != 0;
    let meta = |row: &Row| Meta {
        id: Some(number_column(row, "umeta_id")),
        key: text_column(row, "meta_key"),
        value: row
            .get_opt::<Option<Vec<u8>>, _>("meta_value")
            .and_then(Result::ok)
            .flatten(),
    };
    Some(User {
        id,
        login: text_column(first, "user_login"),
        pass: Secret::new(text_column(first, "user_pass")),
        nicename: text_column(first, "user_nicename"),
        email: text_column(first, "user_email"),
        url: text_column(first, "user_url"),
        registered: text_column(first, "user_registered"),
        activation_key: Secret::new(text_column(first, "user_activation_key")),
        display_name: text_column(first, "display_name"),
        metas: rows.iter().filter(has_meta).map(meta).collect(),
    })
}

/// A log row with what the transaction knows of it.
pub struct LogRow<'a> {
    /// The row.
    pub entry: &'a Entry,
    /// The user the webhook is about; 0 when there is none.
    pub user: u64,
    /// Column `source` before `maybe_serialize()`.
    pub source: php::Value,
}

impl Directory for Site<'_> {
    fn email_owner(&mut self, email: &str) -> Result<Option<u64>, Trouble> {
        let statement = self.finding_email(email);
        let replies = self.send(&[Statement::from("DO 0"), statement])?;
        let owner = found(&replies, None, Some(email)).map(|found| found.id);
        Ok(owner.filter(|owner| *owner != self.except))
    }

    fn login_taken(&mut self, login: &str) -> Result<bool, Trouble> {
        let statement = format!(
            "SELECT 1 FROM `{}` WHERE user_login = {} AND ID <> {} LIMIT 1",
            self.tables.users,
            self.text(login),
            self.except
        );
        Ok(!self.rows_like(statement)?.is_empty())
    }

    fn nicenames(&mut self, wanted: &[String], login: &str) -> Result<Vec<String>, Trouble> {
        let wanted: Vec<String> = wanted.iter().map(|name| self.text(name)).collect();
        let statement = format!(
            "SELECT user_nicename FROM `{}` WHERE user_nicename IN ({}) AND user_login <> {} AND ID <> {}",
            self.tables.users,
            wanted.join(", "),
            self.text(login),
            self.except
        );
        let rows = self.rows_like(statement)?;
        Ok(rows
            .iter()
            .map(|row| text_column(row, "user_nicename"))
            .collect())
    }
}

impl Site<'_> {
    /// The rows of a search for a text. A column that cannot hold the text makes the server refuse to compare: then there
    /// are none.
    fn rows_like(&mut self, statement: String) -> Result<Vec<Row>, Trouble> {
        let mut replies = self.send(&[Statement::forgiving(statement, Forgive::Incomparable)])?;
        Ok(replies.pop().map(|reply| reply.rows).unwrap_or_default())
    }
}

fn numbers<'a>(ids: impl Iterator<Item = &'a u64>) -> String {
    ids.map(u64::to_string).collect::<Vec<_>>().join(", ")
}
