//! One connection to the site's database: statements, transactions with deadlock retry, the lock.
//!
//! Values never enter a statement as text: they are sent as hexadecimal literals with their charset named, which no
//! charset and no sql_mode can turn into SQL. Names of tables are checked when the settings are read.
//!
//! **The lock.** WordPress has no unique index on login, e-mail, nicename or (user_id, meta_key), so writers must
//! exclude each other. They do so by writing the time into a row of our own InnoDB table
//! `{prefix}bento_webhooks_lock` as the first statement of the transaction. A second writer waits for the row until the first one has committed; in a
//! Galera cluster, where another node does not wait, it fails to certify at COMMIT (error 1213) and does everything again.
//! So the lock holds over several web servers and nodes, and whatever engine WordPress's own tables use.
//!
//! **Packets.** Statements travel together, so that a whole transaction costs one or two round trips; on a cluster one by
//! one ([`Site::together`] says why).

mod contact_index;
mod door;
mod health;
mod inbox;
mod options;
mod trouble;
mod users;

pub use contact_index::{ContactIds, Way};
pub use door::{Call, Limits, SOON, Share, Stored, Turn, Why};
pub use health::{SharedAddress, Table};
pub use inbox::{Look, Overview, Shown};
pub use options::{Counted, Place, Whereabouts};
pub use users::{Closing, Found, Log, LogRow, NAMES_SLOT, Opened, user_slot};

use crate::outcome::Trouble;
use crate::plan::Repertoire;
use crate::text::hex;
use crate::wp_config::{Config, DbHost, TablePrefix};
use mysql::prelude::Queryable;
use mysql::{Conn, Error, OptsBuilder, Row, SslOpts};
use rand::RngExt as _;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};
use trouble::{is_denied, is_endless, is_incomparable, is_missing_table, is_transient, trouble};

/// How often a transaction is tried when it meets a deadlock or a lock wait, and after which time no more.
const TRIES: u32 = 5;
const TRYING_TIME: Duration = Duration::from_secs(3);
/// Bytes of statements that travel in one packet, unless a single one is longer: servers may take no more than 1 MiB.
const PACKET: usize = 512 << 10;
/// Time to wait for a connection where the server has none left.
const QUEUEING_TIME: Duration = Duration::from_millis(2500);
/// Time to connect, and to wait for one answer.
const CONNECT_TIME: Duration = Duration::from_secs(2);
const ANSWER_TIME: Duration = Duration::from_secs(4);
/// The same for the worker, for whom nobody waits.
const WORK_TIME: Duration = Duration::from_secs(15);
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
    /// Ours: what is kept for later.
    inbox: String,
    /// Ours: the one row that everybody who takes work or calls Bento locks.
    state: String,
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
            inbox: format!("{prefix}bento_webhooks_inbox"),
            state: format!("{prefix}bento_webhooks_state"),
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
    /// Whether the session has been set up.
    ready: bool,
    /// Whether the server is a node of a Galera cluster; known when the session has been set up.
    cluster: bool,
    /// Whether a transaction is open.
    open: bool,
    /// When nothing is tried again any more, because somebody waits for an answer.
    hurry: Option<Instant>,
    own: OwnTables,
    /// Whether rows of the inbox may be without anybody to work on them.
    deserted: bool,
    /// Whether the log could not be written in a transaction: it goes without.
    silent: bool,
    /// The user who does not count when names must be unique; 0 for nobody.
    except: u64,
}

/// Our own tables, as far as this connection knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnTables {
    /// They are there, or not yet asked for.
    Usable,
    /// They are missing and cannot be made: the database user has no right to.
    Refused,
}

/// One statement, and which of its failures do not matter.
struct Statement {
    sql: String,
    forgive: Forgive,
}

/// Failures of a statement that leave it without effect and everything else as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgive {
    /// None.
    Nothing,
    /// A column cannot hold the text that is looked for: then nobody has it.
    Incomparable,
    /// The same; or the server has ended a search that takes too long: then nobody knows.
    Endless,
    /// All of the server's: the statement is a courtesy. Inside a transaction it is left out the next time instead, because
    /// no number tells for certain whether its failure has undone the transaction: a cluster has its own.
    Courtesy,
    /// All of the server's, wherever the statement stands: it comes after COMMIT.
    Afterwards,
}

impl Forgive {
    fn covers(self, error: &Error) -> bool {
        match (self, error) {
            (Forgive::Incomparable, error) => is_incomparable(error),
            (Forgive::Endless, error) => is_incomparable(error) || is_endless(error),
            (Forgive::Courtesy | Forgive::Afterwards, Error::MySqlError(_)) => true,
            _ => false,
        }
    }
}

impl From<String> for Statement {
    fn from(sql: String) -> Statement {
        Statement {
            sql,
            forgive: Forgive::Nothing,
        }
    }
}

impl From<&str> for Statement {
    fn from(sql: &str) -> Statement {
        sql.to_owned().into()
    }
}

impl Statement {
    fn forgiving(sql: String, forgive: Forgive) -> Statement {
        Statement { sql, forgive }
    }
}

/// What one statement has brought.
#[derive(Default)]
struct Reply {
    /// Whether the server has ended the search before it knew.
    endless: bool,
    rows: Vec<Row>,
    affected: u64,
    last_id: u64,
}

impl Reply {
    /// A number in the first row; 0 when there is none.
    fn number(&self, name: &str) -> u64 {
        self.rows.first().map_or(0, |row| number_column(row, name))
    }
}

/// Which statement of a packet has failed, and how.
struct Failure {
    at: usize,
    error: Error,
    /// Whether it goes without the statement.
    again: bool,
}

impl Failure {
    /// Whether a table is missing.
    fn is_missing_table(&self) -> bool {
        is_missing_table(&self.error)
    }

    /// Whether the database user lacks a right.
    fn is_denied(&self) -> bool {
        is_denied(&self.error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        match trouble(failure.error) {
            Trouble::Database { detail, transient } => Trouble::Database {
                detail,
                transient: transient || failure.again,
            },
            other => other,
        }
    }
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
        Site::connected(config, Some(ANSWER_TIME))
    }

    /// The same for the worker, who may wait longer for an answer.
    pub fn connect_for_work(config: &'a Config) -> Result<Site<'a>, Trouble> {
        Site::connected(config, Some(WORK_TIME))
    }

    /// The same for work that takes as long as it takes.
    pub fn connect_for_long(config: &'a Config) -> Result<Site<'a>, Trouble> {
        Site::connected(config, None)
    }

    fn connected(config: &'a Config, answer_time: Option<Duration>) -> Result<Site<'a>, Trouble> {
        let charset = Charset::new(config)?;
        let tables = Tables::new(config, config.tables().prefix());
        Ok(Site {
            conn: open(config, answer_time)?,
            config,
            tables,
            charset,
            ready: false,
            cluster: false,
            open: false,
            hurry: None,
            own: OwnTables::Usable,
            deserted: false,
            silent: false,
            except: 0,
        })
    }

    /// The same connection for somebody who waits for an answer: after this moment nothing is tried again.
    pub fn in_a_hurry(mut self, until: Instant) -> Site<'a> {
        self.hurry = Some(until);
        self
    }

    /// Whether there is time to try once more.
    fn has_time(&self) -> bool {
        self.hurry.is_none_or(|until| Instant::now() < until)
    }

    /// Seconds to wait for a lock.
    fn patience(&self) -> u32 {
        if self.hurry.is_some() { 1 } else { 2 }
    }

    /// Runs one statement and returns its rows, each with a name for every column.
    fn rows(&mut self, statement: &str) -> Result<Vec<Row>, Error> {
        self.conn.query(statement)
    }

    /// Runs one statement and returns how many rows it changed.
    fn run(&mut self, statement: &str) -> Result<u64, Error> {
        let result = self.conn.query_iter(statement)?;
        Ok(result.affected_rows())
    }

    /// Sends statements in one packet, so that they cost one round trip, and returns what each has brought. The first
    /// failure that is not forgiven ends it: later statements are not run.
    fn send(&mut self, statements: &[Statement]) -> Result<Vec<Reply>, Failure> {
        let mut replies = Vec::with_capacity(statements.len());
        while let Some(rest) = statements
            .get(replies.len()..)
            .filter(|rest| !rest.is_empty())
        {
            let error = match self.send_some(rest, &mut replies) {
                Ok(()) => continue,
                Err(error) => error,
            };
            let at = replies.len();
            match statements.get(at) {
                Some(statement) if self.open && statement.forgive == Forgive::Courtesy => {
                    self.silent = !is_transient(&error);
                    return Err(Failure {
                        at,
                        error,
                        again: true,
                    });
                }
                // The server has dropped the rest of the packet: it is sent again behind the one that may fail.
                Some(statement) if statement.forgive.covers(&error) => {
                    replies.push(Reply {
                        endless: is_endless(&error),
                        ..Reply::default()
                    });
                }
                _ => {
                    return Err(Failure {
                        at,
                        error,
                        again: false,
                    });
                }
            }
        }
        Ok(replies)
    }

    /// Sends as many statements as may travel together, behind those that set up the session if it is a new one.
    fn send_some(
        &mut self,
        statements: &[Statement],
        replies: &mut Vec<Reply>,
    ) -> Result<(), Error> {
        let set_up = if self.ready {
            Vec::new()
        } else {
            self.session()
        };
        let together = self.together(statements);
        let all = set_up.iter().chain(statements.iter().take(together));
        let packet: Vec<&str> = all.map(|statement| statement.sql.as_str()).collect();
        let mut answers = Vec::with_capacity(packet.len());
        let mut result = self.exchange(&packet.join("; "), &mut answers);
        if result.is_ok() && answers.len() < packet.len() {
            // What was left unsaid may not have been done.
            result = Err(Error::IoError(io::ErrorKind::UnexpectedEof.into()));
        }
        if !self.ready && !answers.is_empty() {
            self.ready = true;
            self.cluster = answers
                .get(1)
                .is_some_and(|reply| reply.number("cluster") == 1);
            if answers.len() == 1 && matches!(result, Err(Error::MySqlError(_))) {
                // A server that does not know the question is no cluster; what stood behind it was not run.
                return Ok(());
            }
        }
        replies.extend(answers.into_iter().skip(set_up.len()));
        result
    }

    /// How many of the statements travel in the next packet.
    ///
    /// On a Galera cluster every one travels alone. When another node undoes a transaction, the server tells so at the end
    /// of a packet only, and runs what is left in it each statement for itself: half a transaction would stay, without an
    /// error. Whether the server is part of a cluster must therefore be known before a transaction begins.
    fn together(&self, statements: &[Statement]) -> usize {
        match (self.ready, self.open) {
            (false, true) => 0,
            (true, _) if self.cluster => 1,
            _ => {
                let mut length = 0;
                let mut fits = |statement: &&Statement| {
                    length += statement.sql.len();
                    length <= PACKET
                };
                statements.iter().take_while(&mut fits).count().max(1)
            }
        }
    }

    /// Sends one packet and takes what each of its statements brings, up to the first failure.
    fn exchange(&mut self, packet: &str, answers: &mut Vec<Reply>) -> Result<(), Error> {
        let mut result = self.conn.query_iter(packet)?;
        while let Some(set) = result.iter() {
            let (affected, last_id) = (set.affected_rows(), set.last_insert_id());
            let rows = set.collect::<Result<Vec<Row>, Error>>()?;
            answers.push(Reply {
                rows,
                affected,
                last_id: last_id.unwrap_or_default(),
                ..Reply::default()
            });
        }
        Ok(())
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

    /// Does `work`, which opens a transaction and commits it; the whole of it again when it meets a deadlock or a lock
    /// wait, at COMMIT too. What it leaves open is rolled back.
    pub fn transaction<T>(
        &mut self,
        work: &mut dyn FnMut(&mut Site<'a>) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let start = Instant::now();
        let mut attempt = 1;
        loop {
            let result = work(self);
            self.roll_back();
            match result {
                Err(Trouble::Database {
                    transient: true, ..
                }) if attempt < TRIES && start.elapsed() < TRYING_TIME && self.has_time() => {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Opens the transaction by taking the locks, and runs more statements behind them: one round trip. What was read
    /// before must not count: the rows would be those from before the lock. A consistent read's snapshot is taken at the
    /// first plain SELECT, which comes after the lock.
    fn begin(&mut self, locks: &[u32], then: Vec<Statement>) -> Result<Vec<Reply>, Trouble> {
        self.open = true;
        let mut statements = vec!["BEGIN".into(), self.taking(locks)];
        let first = statements.len();
        statements.extend(then);
        let mut replies = match self.send(&statements) {
            Err(failure) if failure.at == 1 && failure.is_missing_table() => {
                self.roll_back();
                self.make_tables()?;
                self.open = true;
                if let Some(lock) = statements.get_mut(1) {
                    *lock = self.taking(locks);
                }
                self.send(&statements)
            }
            result => result,
        }
        .map_err(Trouble::from)?;
        let named = replies.get(1).and_then(|reply| reply.rows.first());
        if named.is_some_and(|row| number_column(row, "taken") != 1) {
            return Err(Trouble::Database {
                detail: "deadlock or lock wait".to_owned(),
                transient: true,
            });
        }
        Ok(replies.split_off(first))
    }

    /// The statement that takes the locks. Where our tables cannot be made, one lock by name stands for all rows: it holds
    /// on a single server, not over the nodes of a cluster.
    fn taking(&self, locks: &[u32]) -> Statement {
        if self.own == OwnTables::Refused {
            let (name, patience) = (self.lock_name(), self.patience());
            return format!("SELECT GET_LOCK({name}, {patience}) AS taken").into();
        }
        let now = inbox::NOW;
        let rows: Vec<String> = locks
            .iter()
            .map(|slot| format!("({slot}, {now})"))
            .collect();
        // Assignments are made from left to right.
        format!(
            "INSERT INTO `{}` (slot, taken) VALUES {} ON DUPLICATE KEY UPDATE earlier = taken, taken = VALUES(taken)",
            self.tables.lock,
            rows.join(", ")
        )
        .into()
    }

    /// Names of locks are shared by all databases of a server and have at most 64 characters.
    fn lock_name(&self) -> String {
        let whole = format!("{}.{}", self.config.database().name(), self.tables.lock);
        format!("'{}'", hex(&Sha256::digest(whole.as_bytes())))
    }

    /// Runs the last statements of the transaction, commits, and runs what comes after it: one round trip. The replies are
    /// those of `last`, then those of `after`.
    fn commit(
        &mut self,
        last: Vec<Statement>,
        after: Vec<Statement>,
    ) -> Result<Vec<Reply>, Trouble> {
        let at = last.len();
        let mut statements = last;
        statements.push("COMMIT".into());
        if self.own == OwnTables::Refused {
            statements.push(format!("DO RELEASE_LOCK({})", self.lock_name()).into());
        }
        let skipped = statements.len() - at;
        statements.extend(after);
        let mut replies = self.send(&statements).map_err(Trouble::from)?;
        self.open = false;
        replies.drain(at..at + skipped);
        Ok(replies)
    }

    /// Undoes an open transaction. A connection that is gone has done so already.
    fn roll_back(&mut self) {
        if self.open {
            let _ = self.run("ROLLBACK");
            if self.own == OwnTables::Refused {
                let _ = self.run(&format!("DO RELEASE_LOCK({})", self.lock_name()));
            }
            self.open = false;
        }
    }

    /// The session as WordPress's `wpdb` sets it, with our own waiting time and transactions; and the question whether the
    /// server is a node of a cluster, which MariaDB has a variable for and others only say in words.
    fn session(&self) -> Vec<Statement> {
        // A server can be set up to greet everybody with another charset than the one that was asked for.
        let names = match self.charset.collate.as_str() {
            collate if collate.is_empty() || self.charset.is_unicode() => self.charset.name.clone(),
            collate => format!("{} COLLATE {collate}", self.charset.name),
        };
        let patience = self.patience();
        // The last is for tables that a backup or an ALTER TABLE has locked.
        let names = format!(
            "SET NAMES {names}, sql_mode = '', innodb_lock_wait_timeout = {patience}, lock_wait_timeout = {patience}"
        );
        let cluster = "SELECT @@version_comment LIKE '%wsrep%' OR @@version_comment LIKE '%cluster%' \
                       /*M!100100 OR @@GLOBAL.wsrep_on */ AS cluster";
        vec![names.into(), cluster.into()]
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
fn open(config: &Config, answer_time: Option<Duration>) -> Result<Conn, Trouble> {
    let database = config.database();
    let options = OptsBuilder::new()
        .user(Some(database.user()))
        .pass(Some(database.password().expose_str()))
        .db_name(Some(database.name()))
        .prefer_socket(false)
        .max_allowed_packet(Some(16 << 20))
        .connect_attrs(None::<HashMap<String, String>>)
        .tcp_connect_timeout(Some(CONNECT_TIME))
        .read_timeout(answer_time)
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
    let begun = Instant::now();
    loop {
        let error = match Conn::new(options.clone()) {
            Ok(conn) => return Ok(conn),
            Err(Error::MySqlError(error)) => error,
            Err(error) => return Err(trouble(error)),
        };
        match error.code {
            // Connections come and go within milliseconds when many webhooks come at once.
            1040 | 1203 | 1226 if begun.elapsed() < QUEUEING_TIME => {
                std::thread::sleep(Duration::from_millis(
                    UnwrapErr(SysRng).random_range(20..120),
                ));
            }
            // The client loses a zero at the end of the 32 random bytes that ed25519 and PARSEC sign: each 256th time the
            // right password is denied.
            1045 => return Conn::new(options).map_err(trouble),
            _ => return Err(trouble(Error::MySqlError(error))),
        }
    }
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
