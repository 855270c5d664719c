//! The rows of one user, a draft of them, and the difference between two states.

use super::Plan;
use crate::clean::Cleaner;
use crate::log::{Entry, Level, Source, Who};
use crate::php::{self, Key, Value};
use crate::release::Release;
use crate::secret::Secret;
use std::collections::HashSet;

/// One row of `usermeta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// `umeta_id`; `None` for a row that is not written yet.
    pub id: Option<u64>,
    /// `meta_key`.
    pub key: String,
    /// `meta_value`; `None` for SQL's NULL.
    pub value: Option<Vec<u8>>,
}

impl Meta {
    /// The value as PHP has it after `maybe_unserialize()`.
    pub(super) fn decoded(&self) -> Value {
        self.value
            .as_deref()
            .map_or(Value::Null, php::maybe_unserialize)
    }

    pub(super) fn is_truthy(&self) -> bool {
        self.decoded().truthy()
    }
}

/// A user: the row of `users` and the rows of `usermeta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `ID`; 0 for a user who is not written yet.
    pub id: u64,
    /// `user_login`.
    pub login: String,
    /// `user_pass`: the hash.
    pub pass: Secret,
    /// `user_nicename`.
    pub nicename: String,
    /// `user_email`.
    pub email: String,
    /// `user_url`.
    pub url: String,
    /// `user_registered`, UTC.
    pub registered: String,
    /// `user_activation_key`.
    pub activation_key: Secret,
    /// `display_name`.
    pub display_name: String,
    /// The rows of `usermeta`, in the order of their ids.
    pub metas: Vec<Meta>,
}

impl User {
    /// The rows with exactly this key, which is how PHP finds them.
    pub(super) fn metas_of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Meta> {
        self.metas.iter().filter(move |meta| meta.key == key)
    }

    /// Whether there is no row in usermeta, as while the user is being made.
    pub fn is_bare(&self) -> bool {
        self.metas.is_empty()
    }

    /// `locale`: the language the user has chosen; empty for the site's.
    pub fn locale(&self) -> String {
        let value = self.metas_of("locale").next().map(Meta::decoded);
        value.and_then(|value| value.to_text()).unwrap_or_default()
    }

    /// The array in the capabilities row `key`; empty when there is none.
    pub(super) fn capabilities(&self, key: &str) -> Vec<(Key, Value)> {
        match self.metas_of(key).next().map(Meta::decoded) {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        }
    }

    /// The columns that a webhook may change, or that a new user needs.
    fn columns(&self) -> [(&'static str, &str); 7] {
        [
            ("user_pass", self.pass.expose_str()),
            ("user_nicename", &self.nicename),
            ("user_email", &self.email),
            ("user_url", &self.url),
            ("user_registered", &self.registered),
            ("user_activation_key", self.activation_key.expose_str()),
            ("display_name", &self.display_name),
        ]
    }
}

/// A user's rows being changed.
pub(super) struct Draft {
    /// The state so far.
    pub(super) user: User,
    /// Log rows so far.
    pub(super) log: Vec<Entry>,
    fields: Vec<String>,
}

impl Draft {
    pub(super) fn new(user: User) -> Draft {
        Draft {
            user,
            log: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// `update_user_meta()`: all rows of the key get the value, or one is added. The database compares keys without regard
    /// to case, accents and blanks at the end, so such rows count as rows of the key. Says whether anything changed.
    pub(super) fn set_meta(&mut self, key: &str, value: &Value) -> bool {
        let stored = php::maybe_serialize(value);
        let same = fold(key);
        let mut found = false;
        let mut changed = false;
        for meta in self
            .user
            .metas
            .iter_mut()
            .filter(|meta| meta.key == key || fold(&meta.key) == same)
        {
            found = true;
            changed |= meta.value != stored;
            meta.value.clone_from(&stored);
        }
        if !found {
            self.user.metas.push(Meta {
                id: None,
                key: key.to_owned(),
                value: stored,
            });
        }
        changed || !found
    }

    /// `delete_user_meta()`: all rows of the key go.
    pub(super) fn delete_meta(&mut self, key: &str) {
        let same = fold(key);
        self.user.metas.retain(|meta| fold(&meta.key) != same);
    }

    /// Writes a column of `users`, and notes the field when that changes it.
    pub(super) fn set_column(
        &mut self,
        field: &str,
        column: fn(&mut User) -> &mut String,
        value: String,
    ) {
        let column = column(&mut self.user);
        if *column != value {
            *column = value;
            self.note_field(field);
        }
    }

    /// A log row that tells the owner what was done or left out.
    pub(super) fn notice(&mut self, message: String) {
        self.log.push(notice(message));
    }

    /// Notes that a field was written.
    pub(super) fn note_field(&mut self, key: &str) {
        if !self.fields.iter().any(|noted| noted == key) {
            self.fields.push(key.to_owned());
        }
    }

    pub(super) fn into_plan(
        self,
        before: Option<&User>,
        tags: Vec<String>,
        returns: Vec<(String, super::Return)>,
    ) -> Plan {
        Plan {
            changes: Changes::between(before, &self.user),
            after: self.user,
            log: self.log,
            fields: self.fields,
            tags,
            returns,
        }
    }
}

/// A log row about the user that an owner should notice.
pub(super) fn notice(message: String) -> Entry {
    Entry::new(Level::Notice, Who::User, Source::Trace, message)
}

/// `key` reduced to what the collations of WordPress's tables compare: case, accents, blanks at the end and invisible
/// characters do not count.
pub(super) fn fold(key: &str) -> String {
    if key.is_ascii() && !key.bytes().any(|byte| byte.is_ascii_control()) {
        return key.trim_end().to_ascii_lowercase();
    }
    let plain = Cleaner::new(Release::new(7, 0, 0), "")
        .remove_accents(key)
        .to_lowercase();
    plain
        .trim_end()
        .chars()
        .filter(|c| {
            !c.is_control() && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
        })
        .collect()
}

/// The rows to write, in the order in which they are written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Columns of `users` and their new values; for a new user all of them.
    pub columns: Vec<(&'static str, String)>,
    /// Rows of `usermeta` that get a new value, by `umeta_id`.
    pub updated: Vec<(u64, Option<Vec<u8>>)>,
    /// New rows of `usermeta`, in order.
    pub inserted: Vec<(String, Option<Vec<u8>>)>,
    /// `umeta_id`s of rows that go.
    pub deleted: Vec<u64>,
}

impl Changes {
    /// What leads from one state to the other; without `before` the user is new.
    fn between(before: Option<&User>, after: &User) -> Changes {
        let mut changes = Changes::default();
        match before {
            None => {
                changes.columns.extend(
                    after
                        .columns()
                        .map(|(name, value)| (name, value.to_owned())),
                );
                changes.columns.push(("user_login", after.login.clone()));
            }
            Some(before) => {
                let pairs = before.columns().into_iter().zip(after.columns());
                let changed = pairs.filter(|((_, old), (_, new))| old != new);
                changes
                    .columns
                    .extend(changed.map(|(_, (name, value))| (name, value.to_owned())));
            }
        }
        let old = before.map_or(&[][..], |user| &user.metas);
        let kept: HashSet<u64> = after.metas.iter().filter_map(|meta| meta.id).collect();
        changes.deleted = old
            .iter()
            .filter_map(|meta| meta.id)
            .filter(|id| !kept.contains(id))
            .collect();
        for meta in &after.metas {
            match meta.id {
                None => changes
                    .inserted
                    .push((meta.key.clone(), meta.value.clone())),
                Some(id) if !old.contains(meta) => changes.updated.push((id, meta.value.clone())),
                Some(_) => {}
            }
        }
        changes
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }
}
