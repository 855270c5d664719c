//! A private MariaDB in a temporary folder, one for each test process, and a fresh database for each scenario.
//!
//! The server is guarded by a shell that waits for the end of its standard input. However the test process ends
//! (success, panic, kill), the pipe closes, and the shell stops the server and removes the folder. Data are not
//! meant to survive anything, so every flush is switched off.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable as _;
use mysql::{Conn, OptsBuilder};

/// Stops the server when nobody holds the other end of standard input any more.
const GUARD: &str = r#"
trap '' INT TERM HUP
folder=$1; shift
"$@" & server=$!
cat >/dev/null
kill -9 "$server"; wait "$server" 2>/dev/null
rm -rf "$folder"
"#;
/// A slow machine needs some seconds; a broken one gets its error log shown.
const START_TIME: Duration = Duration::from_secs(60);
/// The password of every database user made here; it must never show up in any output.
pub const PASSWORD: &str = "db-s3cret-pa55word";

/// How the server can be reached besides its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Only the socket.
    None,
    /// A loopback port without encryption.
    Tcp,
    /// A loopback port, plain or with TLS under a certificate of its own authority.
    Tls,
}

/// Where a new server has its system tables from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    Own,
    /// From another node of its cluster.
    Foreign,
}

/// A running MariaDB; it stops and its folder goes when dropped.
pub struct Server {
    folder: PathBuf,
    port: Option<u16>,
    guard: Child,
}

impl Server {
    /// The server that all tests of this process share.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Server::start(Network::None))
    }

    /// Starts a server of its own and waits until it answers.
    pub fn start(network: Network) -> Server {
        Server::start_with(network, Data::Own, &[])
    }

    /// The same with more settings.
    pub fn start_with(network: Network, data: Data, settings: &[String]) -> Server {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "bento-webhooks-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::SeqCst)
        );
        let folder = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        match data {
            Data::Own => install(&folder),
            Data::Foreign => leave_to_others(&folder),
        }
        let port = (network != Network::None).then(free_port);
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD, "guard"])
            .arg(&folder)
            .args(server_command(&folder, data));
        match port {
            Some(port) => command.args([
                format!("--port={port}"),
                "--bind-address=127.0.0.1".to_string(),
            ]),
            None => command.arg("--skip-networking"),
        };
        if network == Network::Tls {
            command.args(certificate(&folder));
        }
        command.args(settings);
        let guard = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server {
            folder,
            port,
            guard,
        };
        server.wait_until_up();
        server
    }

    /// A new folder that goes with the server, however that ends.
    pub fn new_folder(&self) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let folder = self
            .folder
            .join(format!("site-{}", COUNT.fetch_add(1, Ordering::SeqCst)));
        fs::create_dir(&folder).unwrap();
        folder
    }

    /// The Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("sock")
    }

    /// The loopback port, if the server has one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The authority that signed the server's certificate, with [`Network::Tls`].
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A connection that may do everything and is not seen by [`Database::statements`].
    pub fn root(&self) -> Conn {
        let mut conn = self.try_root().unwrap();
        conn.query_drop("SET SESSION sql_log_off=1, sql_mode=''")
            .unwrap();
        conn
    }

    /// A new, empty database with a user of the same name who owns it.
    pub fn database(&self) -> Database<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("bw_{}", COUNT.fetch_add(1, Ordering::SeqCst));
        let mut root = self.root();
        root.query_drop(format!(
            "CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci"
        ))
        .unwrap();
        for host in ["localhost", "127.0.0.1"] {
            root.query_drop(format!(
                "CREATE USER '{name}'@'{host}' IDENTIFIED BY '{PASSWORD}'"
            ))
            .unwrap();
            root.query_drop(format!("GRANT ALL ON {name}.* TO '{name}'@'{host}'"))
                .unwrap();
        }
        Database { server: self, name }
    }

    /// Ends the server as a crash would.
    pub fn kill(&self) {
        let id = fs::read_to_string(self.folder.join("pid")).unwrap();
        let killed = Command::new("kill").args(["-9", id.trim()]).status();
        assert!(killed.unwrap().success());
    }

    fn try_root(&self) -> Result<Conn, mysql::Error> {
        let options = OptsBuilder::new()
            .socket(Some(self.socket().to_string_lossy()))
            .user(Some("root"))
            .max_allowed_packet(Some(64 << 20))
            .prefer_socket(false);
        Conn::new(options)
    }

    fn wait_until_up(&self) {
        let begun = Instant::now();
        while let Err(error) = self.try_root() {
            if begun.elapsed() > START_TIME {
                let log = fs::read_to_string(self.folder.join("error.log")).unwrap_or_default();
                panic!("MariaDB does not start: {error}\n{log}");
            }
            // The socket appears when the server listens; there is nothing else to wait on.
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
    }
}

fn running_as_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.starts_with(b"0\n")
}

/// The account that the server's package makes.
const SERVICE: &str = "mysql";

/// The server refuses to run as root unless told to.
fn user_option(data: Data) -> Option<String> {
    let user = match data {
        Data::Own => "root",
        Data::Foreign => SERVICE,
    };
    running_as_root().then(|| format!("--user={user}"))
}

/// Daemons are often not on the path of ordinary users.
fn program(name: &str) -> PathBuf {
    let folders = [
        "/usr/sbin",
        "/usr/bin",
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/libexec",
    ];
    let found = folders
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: tests/run installs it"))
}

fn install(folder: &Path) {
    let output = Command::new(program("mariadb-install-db"))
        .args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            // A machine may lack a name for itself.
            "--force",
        ])
        .arg(format!("--datadir={}", folder.join("data").display()))
        .args(user_option(Data::Own))
        // A server that starts removes all temporary tables in this folder, those of others too.
        .env("TMPDIR", folder)
        .output()
        .unwrap();
    if !output.status.success() {
        drop(fs::remove_dir_all(folder));
        let said = [output.stdout, output.stderr].concat();
        panic!("mariadb-install-db: {}", String::from_utf8_lossy(&said));
    }
}

/// What copies the data runs as the server does, and refuses to write as root.
fn leave_to_others(folder: &Path) {
    fs::create_dir(folder.join("data")).unwrap();
    if running_as_root() {
        let owned = Command::new("chown")
            .args(["-R", SERVICE])
            .arg(folder)
            .status();
        assert!(owned.unwrap().success());
    }
}

fn server_command(folder: &Path, data: Data) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut command = vec![
        program("mariadbd").display().to_string(),
        "--no-defaults".to_string(),
    ];
    command.extend(user_option(data));
    command.extend([
        format!("--datadir={}", path("data")),
        format!("--socket={}", path("sock")),
        format!("--pid-file={}", path("pid")),
        format!("--log-error={}", path("error.log")),
        format!("--tmpdir={}", folder.display()),
    ]);
    let settings = [
        "--log-output=TABLE",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
        "--max-allowed-packet=64M",
        "--innodb-buffer-pool-size=32M",
        "--innodb-log-file-size=16M",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-method=nosync",
        "--innodb-doublewrite=0",
        "--performance-schema=0",
        "--aria-pagecache-buffer-size=8M",
        "--key-buffer-size=8M",
    ];
    command.extend(settings.map(str::to_string));
    command
}

pub(super) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Makes an authority and a certificate for the loopback address, and names them to the server.
fn certificate(folder: &Path) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let (authority, authority_key) = (path("ca.pem"), path("ca-key.pem"));
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    openssl(&[
        "-subj",
        "/CN=test authority",
        "-keyout",
        &authority_key,
        "-out",
        &authority,
    ]);
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    let leaf = [
        "-subj",
        "/CN=localhost",
        "-addext",
        names,
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ];
    let signed = [
        "-CA",
        &authority,
        "-CAkey",
        &authority_key,
        "-keyout",
        &key,
        "-out",
        &certificate,
    ];
    openssl(&[leaf.as_slice(), signed.as_slice()].concat());
    vec![
        format!("--ssl-key={key}"),
        format!("--ssl-cert={certificate}"),
    ]
}

fn openssl(arguments: &[&str]) {
    let request = [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
    ];
    let output = Command::new("openssl")
        .args(request)
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "openssl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One database with its own user; both go when dropped.
pub struct Database<'server> {
    server: &'server Server,
    name: String,
}

/// One entry of the server's general log.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The connection.
    pub thread: u64,
    /// `Connect`, `Query`, `Prepare`, `Execute`, `Init DB`, `Close stmt`, `Quit` …
    pub command: String,
    pub text: String,
}

impl Statement {
    /// The single statements of a packet that carries several, without blanks around them.
    pub fn pieces(&self) -> Vec<&str> {
        pieces(&self.text)
    }

    /// Whether any of its statements may change a row or a table.
    pub fn writes(&self) -> bool {
        const READING: [&str; 8] = [
            "SELECT", "SET", "SHOW", "START", "BEGIN", "COMMIT", "ROLLBACK", "USE",
        ];
        let is_sql = matches!(self.command.as_str(), "Query" | "Prepare" | "Execute");
        is_sql
            && self
                .pieces()
                .iter()
                .any(|piece| !READING.iter().any(|verb| starts_with_word(piece, verb)))
    }

    /// The first word in upper case, for SQL.
    pub fn verb(&self) -> String {
        let word = self
            .text
            .trim_start_matches(|letter: char| !letter.is_ascii_alphabetic());
        let end = word
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(word.len());
        word[..end].to_ascii_uppercase()
    }

    /// Whether the caller waited for the server: everything but the farewells.
    pub fn is_round_trip(&self) -> bool {
        !matches!(self.command.as_str(), "Connect" | "Close stmt" | "Quit")
    }
}

/// The single statements of a text that holds several, without blanks around them.
pub fn pieces(text: &str) -> Vec<&str> {
    let (mut quote, mut escaped) = (None, false);
    let at_end = |letter: char| {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if quote == Some(letter) {
            quote = None;
        } else if quote.is_none() && matches!(letter, '\'' | '"' | '`') {
            quote = Some(letter);
        }
        letter == ';' && quote.is_none()
    };
    text.split(at_end)
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
        .collect()
}

/// Whether the text begins with this word, in any case.
fn starts_with_word(text: &str, word: &str) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

impl Database<'_> {
    /// Name of the database and of its user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server it lives on.
    pub fn server(&self) -> &Server {
        self.server
    }

    /// A connection that may do everything, with this database chosen.
    pub fn root(&self) -> Conn {
        let mut root = self.server.root();
        root.query_drop(format!("USE {}", self.name)).unwrap();
        root
    }

    /// Switches the general log on, for all databases of the server.
    pub fn record_statements(&self) {
        self.server
            .root()
            .query_drop("SET GLOBAL general_log=1")
            .unwrap();
    }

    /// Everything that this database's user sent since recording began, in order.
    pub fn statements(&self) -> Vec<Statement> {
        // The log table is a file without index: reading it in its own order is the order of arrival.
        let sql = "SELECT thread_id, command_type, argument FROM mysql.general_log WHERE user_host LIKE ?";
        let user = format!("%[{}] @%", self.name.replace('_', "\\_"));
        let rows: Vec<(u64, String, Vec<u8>)> = self.root().exec(sql, (user,)).unwrap();
        rows.into_iter()
            .map(|(thread, command, text)| {
                let text = String::from_utf8_lossy(&text).into_owned();
                Statement {
                    thread,
                    command,
                    text,
                }
            })
            .collect()
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // The guard removes everything at the end anyway; this only keeps the server small meanwhile.
        if let Ok(mut root) = self.server.try_root() {
            let name = &self.name;
            drop(root.query_drop("SET SESSION sql_log_off=1"));
            drop(root.query_drop(format!("DROP DATABASE {name}")));
            drop(root.query_drop(format!(
                "DROP USER '{name}'@'localhost', '{name}'@'127.0.0.1'"
            )));
        }
    }
}
