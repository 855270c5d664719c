//! Rows for WP Fusion's own log, so that an owner finds everything where WP Fusion shows it. Pure.
//!
//! Level, source and user are those that WP Fusion records at the same point; the words are ours. Never a password, never a
//! key: entries are made of names, ids and cleaned field values only.

use crate::php::{Key, Value};
use crate::webhook::Action;

/// Severity, as WP Fusion numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// 500.
    Error,
    /// 300.
    Notice,
    /// 200.
    Info,
}

impl Level {
    /// The number in column `level`.
    pub fn number(self) -> u16 {
        match self {
            Level::Error => 500,
            Level::Notice => 300,
            Level::Info => 200,
        }
    }
}

/// About whom a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// User 0.
    Nobody,
    /// The user whom the webhook is about.
    User,
}

/// Where a row comes from, as WP Fusion names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `api`: the receiver of webhooks itself.
    Api,
    /// The trail of what was running: a list, `api` or the background process.
    Trace,
    /// `bento`: the connection to Bento.
    Bento,
}

impl Source {
    /// The value of column `source` before `maybe_serialize()`.
    pub fn value(self, action: Action, background: bool) -> Value {
        let process = match action {
            _ if !background => None,
            Action::Add => Some("wpf-batch-import-users"),
            Action::Update => Some("wpf-batch-pull-users-meta"),
            Action::UpdateTags | Action::Test => Some("wpf-batch-users-tags-sync"),
        };
        match (self, process) {
            (Source::Api, _) => Value::from("api"),
            (Source::Bento, _) => Value::from("bento"),
            (Source::Trace, None) => Value::list(vec![Value::from("api")]),
            (Source::Trace, Some(process)) => {
                Value::list(vec![Value::from("batch-process"), Value::from(process)])
            }
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Severity.
    pub level: Level,
    /// About whom.
    pub who: Who,
    /// Where it comes from.
    pub source: Source,
    /// The sentence; WP Fusion shows it as HTML.
    pub message: String,
    /// What WP Fusion's log page unfolds below it.
    pub context: Option<Value>,
}

impl Entry {
    /// A row. Rows with a named source carry it in their context too, as WP Fusion's do.
    pub fn new(level: Level, who: Who, source: Source, message: String) -> Entry {
        let name = match source {
            Source::Api => Some("api"),
            Source::Bento => Some("bento"),
            Source::Trace => None,
        };
        let context =
            name.map(|name| Value::Array(vec![(Key::from_bytes(b"source"), Value::from(name))]));
        Entry {
            level,
            who,
            source,
            message,
            context,
        }
    }

    /// The row with another context.
    pub fn with_context(mut self, context: Value) -> Entry {
        self.context = Some(context);
        self
    }

    /// Foreign text inside a message: escaped for HTML, in bold, cut at 200 characters.
    pub fn quote(text: &str) -> String {
        format!(
            "<strong>{}</strong>",
            crate::page::escape(&crate::text::one_line(text))
        )
    }
}
