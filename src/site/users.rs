//! Users: find them, read their rows, write what the plan says, and the log beside it.

use super::{Site, number_column, text_column, trouble};
use crate::log::{Entry, Level, Who};
use crate::outcome::Trouble;
use crate::password;
use crate::php;
use crate::plan::{CONTACT_ID, Changes, Directory, Link, Meta, User};
use crate::release::Release;
use crate::secret::Secret;
use crate::settings::Logging;
use mysql::{Error, Row};

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
    /// The user with this contact id in usermeta: exact but for ASCII case, the lowest number first.
    fn user_by_contact(&mut self, id: &str) -> Result<Option<Found>, Trouble> {
        let statement = format!(
            "SELECT m.user_id, m.meta_value, u.user_email FROM `{}` m JOIN `{}` u ON u.ID = m.user_id \
             WHERE m.meta_key = '{CONTACT_ID}' AND m.meta_value = {} AND m.user_id < 100000000 ORDER BY m.user_id",
            self.tables.usermeta,
            self.tables.users,
            self.text(id)
        );
        let rows = self.rows_like(&statement)?;
        let found = rows
            .iter()
            .find(|row| is_contact(&text_column(row, "meta_value"), id));
        Ok(found.map(|row| Found {
            id: number_column(row, "user_id"),
            email: text_column(row, "user_email"),
            link: Link::ContactId,
        }))
    }

    /// The user with this e-mail address: equal but for ASCII case, the lowest number first. Linked by the contact id when
    /// the user has the one that is given.
    fn user_by_email(&mut self, email: &str, id: Option<&str>) -> Result<Option<Found>, Trouble> {
        // WordPress stores `a&b@x.yz` as `a&amp;b@x.yz`.
        let stored = email.replace('&', "&amp;");
        let statement = format!(
            "SELECT u.ID, u.user_email, m.meta_value FROM `{}` u \
             LEFT JOIN `{}` m ON m.user_id = u.ID AND m.meta_key = '{CONTACT_ID}' \
             WHERE u.user_email IN ({}, {}) ORDER BY u.ID",
            self.tables.users,
            self.tables.usermeta,
            self.text(email),
            self.text(&stored)
        );
        let rows = self.rows_like(&statement)?;
        let is = |own: String| own.eq_ignore_ascii_case(email) || own.eq_ignore_ascii_case(&stored);
        let mut rows = rows.iter().filter(|row| is(text_column(row, "user_email")));
        let is_linked =
            |row: &Row| id.is_some_and(|id| is_contact(&text_column(row, "meta_value"), id));
        let found = |row: &Row, link| Found {
            id: number_column(row, "ID"),
            email: match link {
                Link::ContactId => text_column(row, "user_email"),
                Link::Email => email.to_owned(),
            },
            link,
        };
        let linked = rows.clone().find(|row| is_linked(row));
        Ok(match linked {
            Some(row) => Some(found(row, Link::ContactId)),
            None => rows.next().map(|row| found(row, Link::Email)),
        })
    }

    /// The user with this contact id, else the one with this e-mail address, spaces around it aside.
    ///
    /// WordPress has an index on addresses but none on contact ids: looking for one reads a row of every linked user. So
    /// the address comes first, and is enough when its user has the contact id.
    pub fn user_by(
        &mut self,
        id: Option<&str>,
        email: Option<&str>,
    ) -> Result<Option<Found>, Trouble> {
        let by_email = match email {
            Some(email) => self.user_by_email(email.trim(), id)?,
            None => None,
        };
        match (id, &by_email) {
            (None, _)
            | (
                _,
                Some(Found {
                    link: Link::ContactId,
                    ..
                }),
            ) => Ok(by_email),
            (Some(id), _) => Ok(self.user_by_contact(id)?.or(by_email)),
        }
    }

    /// The user's rows, in one statement; `None` when the user is gone.
    pub fn user(&mut self, id: u64) -> Result<Option<User>, Trouble> {
        let statement = format!(
            "SELECT u.user_login, u.user_pass, u.user_nicename, u.user_email, u.user_url, u.user_registered, \
             u.user_activation_key, u.display_name, m.umeta_id, m.meta_key, m.meta_value \
             FROM `{}` u LEFT JOIN `{}` m ON m.user_id = u.ID WHERE u.ID = {id} ORDER BY m.umeta_id",
            self.tables.users, self.tables.usermeta
        );
        let rows = self.rows(&statement).map_err(trouble)?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let has_meta = |row: &&Row| number_column(row, "umeta_id") != 0;
        let meta = |row: &Row| Meta {
            id: Some(number_column(row, "umeta_id")),
            key: text_column(row, "meta_key"),
            value: row
                .get_opt::<Option<Vec<u8>>, _>("meta_value")
                .and_then(Result::ok)
                .flatten(),
        };
        Ok(Some(User {
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
        }))
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

    /// Writes the changes of user `id`, or a new user, and returns the user's number.
    pub fn apply(&mut self, id: Option<u64>, changes: &Changes) -> Result<u64, Trouble> {
        let id = match id {
            None => self.insert_user(changes)?,
            Some(id) => {
                self.update_user(id, changes)?;
                id
            }
        };
        let usermeta = self.tables.usermeta.clone();
        if !changes.deleted.is_empty() {
            let ids = numbers(changes.deleted.iter());
            self.run(&format!(
                "DELETE FROM `{usermeta}` WHERE umeta_id IN ({ids})"
            ))
            .map_err(trouble)?;
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
            self.run(&statement).map_err(trouble)?;
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
            self.run(&statement).map_err(trouble)?;
        }
        Ok(id)
    }

    fn insert_user(&mut self, changes: &Changes) -> Result<u64, Trouble> {
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
        self.run(&statement).map_err(trouble)?;
        Ok(self.conn.last_insert_id())
    }

    fn update_user(&mut self, id: u64, changes: &Changes) -> Result<(), Trouble> {
        if changes.columns.is_empty() {
            return Ok(());
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
        self.run(&statement).map(|_| ()).map_err(trouble)
    }

    /// Writes rows into WP Fusion's log, if it is on and its table exists, and counts errors for the badge. `time` is the
    /// site's local time. Errs only when it met a deadlock, which has undone the whole transaction; any other failure, such
    /// as a missing table, has no effect on the work it speaks of.
    pub fn log(
        &mut self,
        entries: &[LogRow<'_>],
        logging: Logging,
        time: &str,
        release: Release,
    ) -> Result<(), Trouble> {
        if !logging.enabled {
            return Ok(());
        }
        let entries: Vec<&LogRow<'_>> = entries
            .iter()
            .filter(|row| !logging.errors_only || row.entry.level == Level::Error)
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        let errors = entries
            .iter()
            .filter(|row| row.entry.level == Level::Error)
            .count();
        let rows: Vec<String> = entries
            .iter()
            .map(|row| self.log_values(row, time))
            .collect();
        let statement = format!(
            "INSERT INTO `{}` (timestamp, level, user, source, message, context) VALUES {}",
            self.tables.log,
            rows.join(", ")
        );
        let written = match self.run(&statement) {
            Ok(_) if errors > 0 && logging.badge => self.count_errors(errors, release),
            other => other.map(|_| ()),
        };
        match written.map_err(trouble) {
            Err(
                undone @ Trouble::Database {
                    transient: true, ..
                },
            ) => Err(undone),
            _ => Ok(()),
        }
    }

    /// The same outside of any transaction.
    pub fn log_now(
        &mut self,
        entries: &[LogRow<'_>],
        logging: Logging,
        time: &str,
        release: Release,
    ) {
        if self.autocommit().is_ok() {
            // The log is a courtesy: what fails here has no effect on the webhook.
            let _ = self.log(entries, logging, time, release);
            self.trim_log(logging);
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

    /// Removes the oldest rows of the log when it is on and holds more than 10,000, as WP Fusion does. Outside of any
    /// transaction.
    pub fn trim_log(&mut self, logging: Logging) {
        if logging.enabled {
            // The log is a courtesy: what fails here has no effect on the webhook.
            let _ = self.try_trim_log();
        }
    }

    fn try_trim_log(&mut self) -> Result<(), Error> {
        let log = self.tables.log.clone();
        let rows = self.rows(&format!(
            "SELECT MAX(log_id) - MIN(log_id) + 1 AS span FROM `{log}`"
        ))?;
        let span = rows.first().map_or(0, |row| number_column(row, "span"));
        if span <= LOG_LIMIT || self.autocommit().is_err() {
            return Ok(());
        }
        let rows = self.rows(&format!("SELECT COUNT(*) AS number FROM `{log}`"))?;
        if rows.first().map_or(0, |row| number_column(row, "number")) > LOG_LIMIT {
            self.run(&format!(
                "DELETE FROM `{log}` ORDER BY log_id LIMIT {LOG_REMOVED}"
            ))?;
        }
        Ok(())
    }
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
        Ok(self.user_by_email(email, None)?.map(|found| found.id))
    }

    fn login_taken(&mut self, login: &str) -> Result<bool, Trouble> {
        let statement = format!(
            "SELECT 1 FROM `{}` WHERE user_login = {} LIMIT 1",
            self.tables.users,
            self.text(login)
        );
        Ok(!self.rows_like(&statement)?.is_empty())
    }

    fn nicenames(&mut self, start: &str, login: &str) -> Result<Vec<String>, Trouble> {
        let pattern = start
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_")
            + "%";
        let statement = format!(
            "SELECT user_nicename FROM `{}` WHERE user_nicename LIKE {} AND user_login <> {}",
            self.tables.users,
            self.text(&pattern),
            self.text(login)
        );
        let rows = self.rows_like(&statement)?;
        Ok(rows
            .iter()
            .map(|row| text_column(row, "user_nicename"))
            .collect())
    }
}

/// Whether a stored contact id is this one: exact but for ASCII case and spaces around it.
fn is_contact(stored: &str, id: &str) -> bool {
    stored.trim().eq_ignore_ascii_case(id)
}

fn numbers<'a>(ids: impl Iterator<Item = &'a u64>) -> String {
    ids.map(u64::to_string).collect::<Vec<_>>().join(", ")
}
