//! What an error of the database means, in our own words: the server's text may name hosts, users and values. Pure.

use crate::outcome::Trouble;
use mysql::{DriverError, Error};
use std::error::Error as _;
use std::io;

/// What undoes a transaction though the next try may go through: a row changed since it was read (MariaDB with
/// innodb_snapshot_isolation), a lock wait, a full table of locks, a deadlock.
const TRANSIENT: [u16; 4] = [1020, 1205, 1206, 1213];

/// A right is missing: on the database, a table, a column, or for an act.
const NO_RIGHT: [u16; 4] = [1044, 1142, 1143, 1227];
/// Two texts whose charsets do not meet, in the words of `=`, `IN` and MySQL 8.
const INCOMPARABLE: [u16; 5] = [1267, 1270, 1271, 3854, 3988];

const NO_TLS: &str = "the TLS connection failed; check BENTO_WEBHOOKS_CA_FILE";

/// Whether the same transaction may go through the next time.
pub(super) fn is_transient(error: &Error) -> bool {
    matches!(error, Error::MySqlError(error) if TRANSIENT.contains(&error.code))
}

/// Whether the database user lacks a right.
pub(super) fn is_denied(error: &Error) -> bool {
    matches!(error, Error::MySqlError(error) if NO_RIGHT.contains(&error.code))
}

/// Whether a table is missing.
pub(super) fn is_missing_table(error: &Error) -> bool {
    matches!(error, Error::MySqlError(error) if error.code == 1146)
}

/// Whether the server has ended a statement that took longer than it was given, in MariaDB's or MySQL's number.
pub(super) fn is_endless(error: &Error) -> bool {
    matches!(error, Error::MySqlError(error) if [1969, 3024].contains(&error.code))
}

/// Whether a column cannot hold the text that it was compared with.
pub(super) fn is_incomparable(error: &Error) -> bool {
    matches!(error, Error::MySqlError(error) if INCOMPARABLE.contains(&error.code))
}

/// The trouble behind an error.
pub(super) fn trouble(error: Error) -> Trouble {
    let detail = match &error {
        Error::MySqlError(error) => server(error.code),
        error => driver(error).to_owned(),
    };
    Trouble::Database {
        transient: is_transient(&error),
        detail,
    }
}

/// What the client's side says.
fn driver(error: &Error) -> &'static str {
    match error {
        Error::IoError(error) => connection(error),
        // The error of the network is inside.
        Error::CodecError(error) => {
            let inner = error.source().and_then(|error| error.downcast_ref());
            inner.map_or("the server's answer cannot be read", connection)
        }
        Error::TlsError(_) => NO_TLS,
        Error::DriverError(DriverError::TlsNotSupported) => {
            "MYSQL_CLIENT_FLAGS asks for TLS, which the server does not offer"
        }
        Error::DriverError(DriverError::CouldNotConnect(_) | DriverError::ConnectTimeout) => {
            "no connection to the server; check DB_HOST in wp-config.php"
        }
        // MySQL 9 answers an unknown user with an old plugin that the client does not know.
        Error::DriverError(_) => {
            "the server refused the connection; check DB_USER and DB_PASSWORD in wp-config.php"
        }
        _ => "the server's answer cannot be read",
    }
}

/// What the server says by its number.
fn server(code: u16) -> String {
    let detail = match code {
        1020 | 1205 | 1206 | 1213 => "deadlock or lock wait",
        1044 | 1045 | 1698 => "access denied; check DB_USER and DB_PASSWORD in wp-config.php",
        1129 | 1130 => "the server does not let this host in",
        1820 | 1862 | 3118 | 4151 => "the user's account is locked or its password has expired",
        1049 => "the database does not exist; check DB_NAME in wp-config.php",
        1115 | 1253 | 1273 => "the server does not know DB_CHARSET or DB_COLLATE in wp-config.php",
        1040 | 1203 | 1226 => "the server has no connection left",
        1146 => "a table is missing; check $table_prefix in wp-config.php",
        1142 | 1143 | 1227 => {
            "a right is missing; the user needs SELECT, INSERT, UPDATE, DELETE and CREATE"
        }
        1114 | 1021 | 3 => "the server's disk or table is full",
        1290 | 1792 | 1836 => "the server is read-only",
        1053 | 1317 | 1927 => "the connection was lost",
        code => return format!("error {code}"),
    };
    detail.to_owned()
}

/// What the network says.
fn connection(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "the server does not answer",
        // The certificate is not accepted.
        io::ErrorKind::InvalidData => NO_TLS,
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            "the file named by BENTO_WEBHOOKS_CA_FILE cannot be read"
        }
        _ => "the connection was lost",
    }
}
