//! One connection to the site's database: statements, transactions with deadlock retry, the lock.
//!
//! Values never enter a statement as text: they are sent as hexadecimal literals with their charset named, which no
//! charset and no sql_mode can turn into SQL. Names of tables are checked when the settings are read.
//!
//! **The lock.** WordPress has no unique index on login, e-mail, nicename or (user_id, meta_key), so writers must
//! exclude each other. They do so by raising a counter in a row of our own InnoDB table `{prefix}bento_webhooks_lock`
//! as the first statement of the transaction. A second writer waits for the row until the first one has committed; in a
//! Galera cluster, where another node does not wait, it fails to certify at COMMIT (error 1213) and does everything again.
//! So the lock holds over several web servers and nodes, and whatever engine WordPress's own tables use.

mod health;
mod options;
mod trouble;
mod users;

pub use health::{Share, Table};
pub use options::Place;
pub use users::{Found, LogRow, NAMES_SLOT, user_slot};

use crate::outcome::Trouble;
use crate::plan::Repertoire;
use crate::text::hex;
use crate::wp_config::{Config, DbHost, TablePrefix};
use mysql::prelude::Queryable;
use mysql::{Conn, Error, OptsBuilder, Row, SslOpts};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};
use trouble::trouble;

/// How often a transaction is tried when it meets a deadlock or a lock wait, and after which time no more.
const TRIES: u32 = 5;
const TRYING_TIME: Duration = Duration::from_secs(3);
/// Two texts whose charsets do not meet, in the words of `=`, `IN` and MySQL 8.
const INCOMPARABLE: [u16; 5] = [1267, 1270, 1271, 3854, 3988];
/// Time to connect, and to wait for one answer.
const CONNECT_TIME: Duration = Duration::from_secs(2);
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Where servers put their socket when `DB_HOST` only says `localhost`.
const SOCKETS: [&str; 6] = [
    "/run/mysqld/mysqld.sock",
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/tmp/mysql.sock",
    "/run/mysql/mysql.sock",
    "/var/mysql/mysql.sock",
];

/// Names of the tables.
pub struct Tables {
    /// `users`, or CUSTOM_USER_TABLE.
    users: String,
    /// `usermeta`, or CUSTOM_USER_META_TABLE.
    usermeta: String,
    /// `options` of the site.
    options: String,
    /// WP Fusion's log.
    log: String,
    /// Ours: the rows that writers lock.
    lock: String,
    /// Prefix of the installation.
    base: String,
}

impl Tables {
    /// The tables as one site of the installation sees them.
    fn new(config: &Config, prefix: &TablePrefix) -> Tables {
        let base = config.tables().prefix().as_str();
        let prefix = prefix.as_str();
        Tables {
            users: config.tables().users().to_string(),
            usermeta: config.tables().usermeta().to_string(),
            options: format!("{prefix}options"),
            log: format!("{prefix}wpf_logging"),
            lock: format!("{base}bento_webhooks_lock"),
            base: base.to_owned(),
        }
    }
}

/// The connection, and where on it the site lives.
pub struct Site<'a> {
    conn: Conn,
    config: &'a Config,
    tables: Tables,
    charset: Charset,
    in_transaction: bool,
}

/// How text travels.
struct Charset {
    /// The connection's charset as WordPress would set it: `utf8mb4` unless DB_CHARSET names another.
    name: String,
    /// DB_COLLATE, or empty.
    collate: String,
}

impl Charset {
    fn new(config: &Config) -> Result<Charset, Trouble> {
        let text = |value: Option<&str>| value.unwrap_or_default().trim().to_ascii_lowercase();
        let (name, collate) = (
            text(config.database().charset()),
            text(config.database().collate()),
        );
        let is_name = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !is_name(&name) || !is_name(&collate) {
            return Err(Trouble::Setup(
                "DB_CHARSET or DB_COLLATE in wp-config.php is no name of a charset".to_owned(),
            ));
        }
        let is_utf8 = ["", "utf8", "utf8mb3", "utf8mb4"].contains(&name.as_str());
        Ok(Charset {
            name: if is_utf8 { "utf8mb4".to_owned() } else { name },
            collate,
        })
    }

    fn is_unicode(&self) -> bool {
        self.name == "utf8mb4"
    }
}

impl<'a> Site<'a> {
    /// Connects as WordPress would: socket or TCP, TLS when MYSQL_CLIENT_FLAGS asks for it.
    pub fn connect(config: &'a Config) -> Result<Site<'a>, Trouble> {
        let charset = Charset::new(config)?;
        let tables = Tables::new(config, config.tables().prefix());
        Ok(Site {
            conn: open(config)?,
            config,
            tables,
            charset,
            in_transaction: false,
        })
    }

    /// Runs one statement and returns its rows, each with a name for every column.
    fn rows(&mut self, statement: &str) -> Result<Vec<Row>, Error> {
        self.conn.query(statement)
    }

    /// The rows of a search for a text. A column that cannot hold the text makes the server refuse to compare: then there
    /// are none.
    fn rows_like(&mut self, statement: &str) -> Result<Vec<Row>, Trouble> {
        match self.rows(statement) {
            Err(Error::MySqlError(error)) if INCOMPARABLE.contains(&error.code) => Ok(Vec::new()),
            result => result.map_err(trouble),
        }
    }

    /// Runs one statement and returns how many rows it changed.
    fn run(&mut self, statement: &str) -> Result<u64, Error> {
        let result = self.conn.query_iter(statement)?;
        Ok(result.affected_rows())
    }

    /// `text` as a literal in the connection's charset.
    fn text(&self, text: &str) -> String {
        self.bytes(text.as_bytes())
    }

    /// Bytes in the connection's charset as a literal.
    fn bytes(&self, bytes: &[u8]) -> String {
        if bytes.is_empty() {
            return "''".to_owned();
        }
        format!("_{} X'{}'", self.charset.name, hex(bytes))
    }

    /// A column's value or SQL's NULL.
    fn nullable(&self, value: Option<&[u8]>) -> String {
        value.map_or_else(|| "NULL".to_owned(), |bytes| self.bytes(bytes))
    }

    /// Does `work` in a transaction that holds the locks, and commits; the whole of it again when it meets a deadlock or a
    /// lock wait, at COMMIT too.
    pub fn transaction<T>(
        &mut self,
        locks: &[u32],
        work: &mut dyn FnMut(&mut Site<'a>) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let start = Instant::now();
        let mut attempt = 1;
        loop {
            let result = self
                .begin(locks)
                .and_then(|()| work(self))
                .and_then(|done| {
                    self.run("COMMIT").map_err(trouble)?;
                    Ok(done)
                });
            match result {
                Ok(done) => return Ok(done),
                Err(Trouble::Database {
                    transient: true, ..
                }) if attempt < TRIES && start.elapsed() < TRYING_TIME => attempt += 1,
                Err(trouble) => {
                    // A connection that is gone has rolled back already.
                    let _ = self.run("ROLLBACK");
                    return Err(trouble);
                }
            }
        }
    }

    /// Opens the transaction by taking the locks. With autocommit off, the first statement opens one; what was read since
    /// the last one must not: the rows would be those from before the lock.
    fn begin(&mut self, locks: &[u32]) -> Result<(), Trouble> {
        let opening = match self.in_transaction {
            true => "ROLLBACK".to_owned(),
            false => self.session(),
        };
        self.run(&opening).map_err(trouble)?;
        self.in_transaction = true;
        let rows: Vec<String> = locks.iter().map(|slot| format!("({slot}, 1)")).collect();
        let statement = format!(
            "INSERT INTO `{}` (slot, taken) VALUES {} ON DUPLICATE KEY UPDATE taken = taken + 1",
            self.tables.lock,
            rows.join(", ")
        );
        match self.run(&statement) {
            Ok(_) => Ok(()),
            Err(Error::MySqlError(error)) if error.code == 1146 => {
                self.run(&format!(
                    "CREATE TABLE IF NOT EXISTS `{}` (slot SMALLINT UNSIGNED NOT NULL PRIMARY KEY, taken BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB",
                    self.tables.lock
                ))
                .map_err(trouble)?;
                self.run(&statement).map(|_| ()).map_err(trouble)
            }
            Err(error) => Err(trouble(error)),
        }
    }

    /// The session as WordPress's `wpdb` sets it, with our own waiting time and transactions.
    fn session(&self) -> String {
        // A server can be set up to greet everybody with another charset than the one that was asked for.
        let names = match self.charset.collate.as_str() {
            collate if collate.is_empty() || self.charset.is_unicode() => self.charset.name.clone(),
            collate => format!("{} COLLATE {collate}", self.charset.name),
        };
        // The last is for tables that a backup or an ALTER TABLE has locked.
        format!(
            "SET NAMES {names}, autocommit = 0, sql_mode = '', innodb_lock_wait_timeout = 2, lock_wait_timeout = 2"
        )
    }

    /// Ends the transaction mode, so that each following statement stands for itself.
    fn autocommit(&mut self) -> Result<(), Trouble> {
        if self.in_transaction {
            self.run("SET autocommit = 1").map_err(trouble)?;
            self.in_transaction = false;
        }
        Ok(())
    }

    /// What the usermeta table can hold; asked only when a text goes beyond what every charset holds.
    pub fn repertoire(&mut self) -> Result<Repertoire, Trouble> {
        let usermeta = self.tables.usermeta.clone();
        self.repertoire_of(&usermeta, "meta_value")
    }

    /// What a column can hold.
    fn repertoire_of(&mut self, table: &str, name: &str) -> Result<Repertoire, Trouble> {
        if !self.charset.is_unicode() {
            return Ok(Repertoire::Unicode);
        }
        let statement = format!("SHOW FULL COLUMNS FROM `{table}` LIKE '{name}'");
        let rows = self.rows(&statement).map_err(trouble)?;
        let collation = rows.first().map(|row| text_column(row, "Collation"));
        let charset = collation.as_deref().and_then(|name| name.split('_').next());
        Ok(match charset {
            Some("utf8" | "utf8mb3") => Repertoire::Basic,
            Some("latin1" | "ascii") => Repertoire::Latin,
            _ => Repertoire::Unicode,
        })
    }
}

/// Opens the connection.
fn open(config: &Config) -> Result<Conn, Trouble> {
    let database = config.database();
    let options = OptsBuilder::new()
        .user(Some(database.user()))
        .pass(Some(database.password().expose_str()))
        .db_name(Some(database.name()))
        .prefer_socket(false)
        .max_allowed_packet(Some(16 << 20))
        .connect_attrs(None::<HashMap<String, String>>)
        .tcp_connect_timeout(Some(CONNECT_TIME))
        .read_timeout(Some(ANSWER_TIME))
        .write_timeout(Some(ANSWER_TIME))
        .ssl_opts(database.tls().then(|| tls(config)));
    let options = match database.host() {
        DbHost::Socket(path) => options.socket(Some(path.to_string_lossy().into_owned())),
        DbHost::DefaultSocket => match SOCKETS.iter().find(|path| Path::new(path).exists()) {
            Some(path) => options.socket(Some(*path)),
            None => options.ip_or_hostname(Some("127.0.0.1")).tcp_port(3306),
        },
        DbHost::Tcp { host, port } => options.ip_or_hostname(Some(host.clone())).tcp_port(*port),
    };
    match Conn::new(options.clone()) {
        // The client loses a zero at the end of the 32 random bytes that ed25519 and PARSEC sign: each 256th time the
        // right password is denied.
        Err(Error::MySqlError(error)) if error.code == 1045 => Conn::new(options),
        result => result,
    }
    .map_err(trouble)
}

/// TLS as PHP's mysqli does it: the certificate is verified only when a CA file is named.
fn tls(config: &Config) -> SslOpts {
    let options = SslOpts::default();
    match config.own().ca_file() {
        Some(path) if !config.database().tls_without_check() => {
            options.with_root_cert_path(Some(path.to_path_buf()))
        }
        _ => options
            .with_danger_accept_invalid_certs(true)
            .with_danger_skip_domain_validation(true),
    }
}

/// A column as bytes; empty when it is missing or NULL.
fn column(row: &Row, name: &str) -> Vec<u8> {
    row.get_opt::<Option<Vec<u8>>, _>(name)
        .and_then(Result::ok)
        .flatten()
        .unwrap_or_default()
}

/// A column as text.
fn text_column(row: &Row, name: &str) -> String {
    String::from_utf8_lossy(&column(row, name)).into_owned()
}

/// A column as a number.
fn number_column(row: &Row, name: &str) -> u64 {
    text_column(row, name).parse().unwrap_or(0)
}
