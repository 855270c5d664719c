//! The rows of a site at one moment, and how two such moments differ.
//!
//! Row numbers carry no meaning, so meta rows are kept in their order per user.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mysql::prelude::Queryable as _;
use mysql::{Conn, Row, Value as Sql};

use super::database::Database;
use super::site::USER_COLUMNS;

/// A row of wp_users: column and value.
pub type User = BTreeMap<String, String>;

/// A row of wp_usermeta: key, and value or SQL NULL.
pub type MetaRow = (String, Option<String>);

/// One log row: level, user id, source as stored, message and context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    pub timestamp: String,
    pub level: u32,
    pub user: u64,
    pub source: String,
    pub message: String,
    pub context: String,
}

/// The rows that a webhook may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By ID.
    pub users: BTreeMap<u64, User>,
    /// Key and value by user, in the order of the rows; SQL NULL is `None`.
    pub meta: BTreeMap<u64, Vec<MetaRow>>,
    /// Value and autoload by name.
    pub options: BTreeMap<String, (String, String)>,
}

impl State {
    /// Reads the present rows.
    pub fn read(database: &Database<'_>) -> State {
        State::read_by(&mut database.root())
    }

    /// The same through a connection that has chosen the database.
    pub fn read_by(conn: &mut Conn) -> State {
        let mut state = State::default();
        for row in rows(
            conn,
            &format!(
                "SELECT {} FROM wp_users ORDER BY ID",
                USER_COLUMNS.join(",")
            ),
        ) {
            let values = USER_COLUMNS
                .iter()
                .map(|column| (*column).to_string())
                .zip(row.into_iter().flatten());
            let user: User = values.collect();
            state.users.insert(user["ID"].parse().unwrap(), user);
        }
        for row in rows(
            conn,
            "SELECT user_id, meta_key, meta_value FROM wp_usermeta ORDER BY umeta_id",
        ) {
            let user = row[0].as_deref().unwrap().parse().unwrap();
            let entry = (row[1].clone().unwrap_or_default(), row[2].clone());
            state.meta.entry(user).or_default().push(entry);
        }
        for row in rows(
            conn,
            "SELECT option_name, option_value, autoload FROM wp_options ORDER BY option_name",
        ) {
            let [name, value, autoload] = <[Option<String>; 3]>::try_from(row).unwrap();
            state
                .options
                .insert(name.unwrap(), (value.unwrap(), autoload.unwrap()));
        }
        state
    }

    /// Every difference, one per line; nothing when the states are equal.
    pub fn difference(&self, actual: &State) -> String {
        let mut text = String::new();
        for id in union(&self.users, &actual.users) {
            let empty = User::new();
            let (wanted, found) = (
                self.users.get(&id).unwrap_or(&empty),
                actual.users.get(&id).unwrap_or(&empty),
            );
            for column in union(wanted, found) {
                line(
                    &mut text,
                    &format!("user {id} {column}"),
                    wanted.get(&column),
                    found.get(&column),
                );
            }
        }
        for id in union(&self.meta, &actual.meta) {
            let (wanted, found) = (self.meta.get(&id), actual.meta.get(&id));
            if wanted != found {
                meta_difference(
                    &mut text,
                    id,
                    wanted.map_or(&[], Vec::as_slice),
                    found.map_or(&[], Vec::as_slice),
                );
            }
        }
        for name in union(&self.options, &actual.options) {
            line(
                &mut text,
                &format!("option {name}"),
                self.options.get(&name),
                actual.options.get(&name),
            );
        }
        text
    }
}

/// The rows of the log table, oldest first; nothing when the table is missing.
pub fn log(database: &Database<'_>) -> Vec<LogRow> {
    let mut conn = database.root();
    let exists = !rows(&mut conn, "SHOW TABLES LIKE 'wp_wpf_logging'").is_empty();
    if !exists {
        return Vec::new();
    }
    let sql = "SELECT timestamp, level, user, source, message, context FROM wp_wpf_logging ORDER BY log_id";
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    rows(&mut conn, sql)
        .iter()
        .map(|row| LogRow {
            timestamp: text(&row[0]),
            level: text(&row[1]).parse().unwrap(),
            user: text(&row[2]).parse().unwrap(),
            source: text(&row[3]),
            message: text(&row[4]),
            context: text(&row[5]),
        })
        .collect()
}

/// All rows of a query as text, in the text protocol.
pub fn rows(conn: &mut Conn, sql: &str) -> Vec<Vec<Option<String>>> {
    let rows: Vec<Row> = conn.query(sql).unwrap();
    rows.into_iter()
        .map(|row| row.unwrap().into_iter().map(text).collect())
        .collect()
}

fn text(value: Sql) -> Option<String> {
    match value {
        Sql::NULL => None,
        Sql::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

fn union<K: Clone + Ord, V>(one: &BTreeMap<K, V>, other: &BTreeMap<K, V>) -> Vec<K> {
    let mut keys: Vec<K> = one.keys().chain(other.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    keys
}

fn line<T: std::fmt::Debug + PartialEq>(
    text: &mut String,
    what: &str,
    wanted: Option<&T>,
    found: Option<&T>,
) {
    if wanted != found {
        let show = |value: Option<&T>| {
            value.map_or("nothing".to_string(), |value| {
                shorten(&format!("{value:?}"))
            })
        };
        writeln!(
            text,
            "    {what}\n      wanted {}\n      found  {}",
            show(wanted),
            show(found)
        )
        .unwrap();
    }
}

fn meta_difference(text: &mut String, id: u64, wanted: &[MetaRow], found: &[MetaRow]) {
    let same = |(wanted, found): &(&MetaRow, &MetaRow)| wanted == found;
    let before = wanted.iter().zip(found).take_while(same).count();
    let (wanted, found) = (&wanted[before..], &found[before..]);
    let after = wanted
        .iter()
        .rev()
        .zip(found.iter().rev())
        .take_while(same)
        .count();
    writeln!(
        text,
        "    usermeta of user {id}, after {before} equal rows and before {after}"
    )
    .unwrap();
    for (sign, rows) in [("wanted", wanted), ("found ", found)] {
        for (key, value) in &rows[..rows.len() - after] {
            writeln!(
                text,
                "      {sign} {key} = {}",
                shorten(&format!("{value:?}"))
            )
            .unwrap();
        }
    }
}

/// Long values would hide the difference.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 300 {
        return text.to_string();
    }
    let tail: Vec<char> = text.chars().rev().take(120).collect();
    let head: String = text.chars().take(160).collect();
    format!("{head} … {}", tail.into_iter().rev().collect::<String>())
}
