//! A real WordPress with a real database: installed by its own code, asked through PHP.
//!
//! The releases come from `target/wordpress`, where tests/run unpacks them. The PHP scripts are in
//! `tests/wordpress/`; nothing of WordPress is replaced but its way to send mail.
#![allow(
    dead_code,
    reason = "each test that includes this file uses another part of it"
)]

use std::fmt::Display;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use mysql::prelude::Queryable as _;
use serde_json::{Value, json};

use crate::support::cgi::Program;
use crate::support::database::{Database, PASSWORD, Server};

/// Login of the user who installs a site; on a network its only super admin.
pub(crate) const ADMIN: &str = "boss";
/// E-mail address of that user.
pub(crate) const ADMIN_EMAIL: &str = "boss@example.test";
/// Password of that user.
pub(crate) const ADMIN_PASSWORD: &str = "b0ss pa55word";
/// Address of every site, or of the main site of a network.
pub(crate) const ADDRESS: &str = "http://shop.example.test";
/// Directory of the second site of a network.
pub(crate) const SECOND: &str = "/second/";

/// A release of WordPress, named by the Debian suite that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// The folder under `target/wordpress`.
    pub(crate) suite: &'static str,
    /// The oldest version that it may hold.
    pub(crate) version: (u32, u32),
}

impl Release {
    /// The unpacked files; `None` where they are missing and this is not CI.
    ///
    /// # Panics
    /// In CI when they are missing, and anywhere when they are of an older version.
    pub(crate) fn tree(self) -> Option<PathBuf> {
        // Cargo's folder for temporary files of tests is target/tmp, wherever target is.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let tree = target
            .join("wordpress")
            .join(self.suite)
            .join("usr/share/wordpress");
        let Ok(version) = fs::read_to_string(tree.join("wp-includes/version.php")) else {
            let (major, minor) = self.version;
            let message = format!(
                "WordPress {major}.{minor} ({}) is not unpacked: tests/run does it",
                self.suite
            );
            assert!(std::env::var_os("CI").is_none(), "{message}");
            eprintln!("not tested: {message}");
            return None;
        };
        let version = version
            .split("$wp_version = '")
            .nth(1)
            .and_then(|rest| rest.split('\'').next())
            .unwrap();
        let mut numbers = version
            .split(['.', '-'])
            .map(|part| part.parse::<u32>().unwrap_or(0));
        let found = (numbers.next().unwrap(), numbers.next().unwrap());
        assert!(
            found >= self.version,
            "{}: {version} is older than {:?}",
            self.suite,
            self.version
        );
        Some(tree)
    }
}

/// One installed site, or a network of two; its database and folder go when dropped.
pub(crate) struct WordPress {
    pub(crate) database: Database<'static>,
    folder: PathBuf,
    constants: Vec<(&'static str, String)>,
}

impl WordPress {
    /// Installs a single site; `None` where the release is missing.
    pub(crate) fn single(release: Release) -> Option<WordPress> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let tree = release.tree()?;
        let name = format!(
            "bento-webhooks-wordpress-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::SeqCst)
        );
        let folder = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(folder.join("wp-content")).unwrap();
        for entry in fs::read_dir(&tree).unwrap() {
            let name = entry.unwrap().file_name();
            if name != "wp-config.php" && name != "wp-content" {
                symlink(tree.join(&name), folder.join(&name)).unwrap();
            }
        }
        let site = WordPress {
            database: Server::shared().database(),
            folder,
            constants: Vec::new(),
        };
        site.write_config();
        let output = site.php(
            "install.php",
            ADDRESS,
            &[ADMIN, ADMIN_EMAIL, ADMIN_PASSWORD],
            "",
        );
        check(&output, "install.php");
        Some(site)
    }

    /// Installs a network with the main site and one in the directory [`SECOND`].
    pub(crate) fn network(release: Release) -> Option<WordPress> {
        let mut site = WordPress::single(release)?;
        let output = site.php("network.php", ADDRESS, &[ADMIN_EMAIL], "");
        check(&output, "network.php");
        for (name, value) in [
            ("MULTISITE", "true"),
            ("SUBDOMAIN_INSTALL", "false"),
            ("DOMAIN_CURRENT_SITE", "'shop.example.test'"),
            ("PATH_CURRENT_SITE", "'/'"),
            ("SITE_ID_CURRENT_SITE", "1"),
            ("BLOG_ID_CURRENT_SITE", "1"),
        ] {
            site.define(name, value);
        }
        assert_eq!(
            site.ask("/", "make_site", json!([SECOND, "Second"])),
            json!(2)
        );
        Some(site)
    }

    /// Defines a constant in `wp-config.php`; `value` is PHP.
    pub(crate) fn define(&mut self, name: &'static str, value: &str) {
        self.constants.push((name, value.to_string()));
        self.write_config();
    }

    /// The program, set up for this site.
    pub(crate) fn program(&self, binary: &str) -> Program {
        Program::new(binary, &self.folder)
    }

    /// The answer to one question of `tests/wordpress/ask.php`, asked at a path of the site.
    pub(crate) fn ask(&self, path: &str, question: &str, arguments: Value) -> Value {
        let mut call = vec![json!(question)];
        call.extend(arguments.as_array().unwrap().iter().cloned());
        let output = self.php(
            "ask.php",
            &format!("{ADDRESS}{path}"),
            &[],
            &json!([call]).to_string(),
        );
        let answers = check(&output, question);
        let mut answers: Vec<Value> = serde_json::from_str(&answers)
            .unwrap_or_else(|error| panic!("{question}: {error}: {answers}"));
        assert_eq!(answers.len(), 1, "{question}");
        answers.remove(0)
    }

    /// The users row with this e-mail address as pairs of column and value, without its number, password and time.
    pub(crate) fn user_row(&self, email: &str) -> Vec<(String, String)> {
        // The text protocol gives every column as text.
        let sql = format!("SELECT * FROM wp_users WHERE user_email = '{email}'");
        let mut rows: Vec<mysql::Row> = self.database.root().query(sql).unwrap();
        assert_eq!(rows.len(), 1, "users with {email}");
        let row = rows.remove(0);
        let names: Vec<String> = row
            .columns_ref()
            .iter()
            .map(|column| column.name_str().into_owned())
            .collect();
        names
            .into_iter()
            .zip(row.unwrap().into_iter().map(mysql::from_value))
            .filter(|(name, _)| !matches!(name.as_str(), "ID" | "user_pass" | "user_registered"))
            .collect()
    }

    /// The usermeta rows of the user with this e-mail address in the order of their numbers.
    pub(crate) fn meta_rows(&self, email: &str) -> Vec<(String, Option<String>)> {
        let sql = "SELECT meta_key, meta_value FROM wp_usermeta JOIN wp_users ON ID = user_id
            WHERE user_email = ? ORDER BY umeta_id";
        self.database.root().exec(sql, (email,)).unwrap()
    }

    /// One value of the users row with this e-mail address.
    pub(crate) fn user_column(&self, email: &str, column: &str) -> String {
        let sql = format!("SELECT CAST({column} AS CHAR) FROM wp_users WHERE user_email = ?");
        self.database
            .root()
            .exec_first(sql, (email,))
            .unwrap()
            .unwrap()
    }

    /// An option as stored, with its autoload.
    pub(crate) fn option_row(&self, table: &str, name: &str) -> Option<(String, String)> {
        let sql = format!("SELECT option_value, autoload FROM {table} WHERE option_name = ?");
        self.database.root().exec_first(sql, (name,)).unwrap()
    }

    /// Runs statements with all rights.
    pub(crate) fn sql(&self, statements: &[&str]) {
        let mut root = self.database.root();
        for statement in statements {
            root.query_drop(statement).unwrap();
        }
    }

    fn write_config(&self) {
        let config = config(&self.constants, &self.database);
        fs::write(self.folder.join("wp-config.php"), config).unwrap();
    }

    /// Stores an option's text as it stands.
    pub(crate) fn set_option(&self, table: &str, name: &str, value: &str) {
        let sql = format!("UPDATE {table} SET option_value = ? WHERE option_name = ?");
        self.database.root().exec_drop(sql, (value, name)).unwrap();
    }

    /// Has WordPress send its own mails for these cases, by this command, and tells what it made of their names
    /// (`tests/wordpress/mail.php`).
    pub(crate) fn send_mails(&self, path: &str, command: &str, cases: &[Value]) -> Value {
        let options = ["-d".to_string(), format!("sendmail_path={command}")];
        let folder = self.folder.display().to_string();
        let address = format!("{ADDRESS}{path}");
        let input = json!(cases).to_string().into_bytes();
        let output = php_with(&options, "mail.php", &[&folder, &address], input);
        serde_json::from_str(&check(&output, "mail.php")).unwrap()
    }

    /// Installs a language with these sentences (`tests/wordpress/language.php`); `kind` is `mo` or `php`.
    pub(crate) fn install_language(&self, locale: &str, kind: &str, sentences: &Value) {
        let output = self.php(
            "language.php",
            ADDRESS,
            &[locale, kind],
            &sentences.to_string(),
        );
        check(&output, "language.php");
    }

    /// Where the site is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn php(&self, script: &str, address: &str, arguments: &[&str], input: &str) -> Output {
        let folder = self.folder.display().to_string();
        let arguments: Vec<&str> = [&[folder.as_str(), address], arguments].concat();
        php(script, &arguments, input.as_bytes().to_vec())
    }
}

impl Drop for WordPress {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// A `wp-config.php` with these constants, whose values are PHP, for a database.
pub(crate) fn config<N: Display>(constants: &[(N, String)], database: &Database<'_>) -> String {
    let mut config = "<?php\n".to_string();
    for (name, value) in constants {
        config += &format!("define( '{name}', {value} );\n");
    }
    let socket = database.server().socket();
    let name = database.name();
    config
        + &format!(
            "define( 'DB_NAME', '{name}' );
define( 'DB_USER', '{name}' );
define( 'DB_PASSWORD', '{PASSWORD}' );
define( 'DB_HOST', 'localhost:{}' );
define( 'DB_CHARSET', 'utf8mb4' );
define( 'DB_COLLATE', '' );
$table_prefix = 'wp_';
if ( ! defined( 'ABSPATH' ) ) {{
	define( 'ABSPATH', __DIR__ . '/' );
}}
require_once ABSPATH . 'wp-settings.php';
",
            socket.display()
        )
}

/// Runs a script of `tests/wordpress/` to its end.
pub(crate) fn php(script: &str, arguments: &[&str], input: Vec<u8>) -> Output {
    php_with(&[], script, arguments, input)
}

/// The same with options for PHP itself.
fn php_with(options: &[String], script: &str, arguments: &[&str], input: Vec<u8>) -> Output {
    let mut child = Command::new("php")
        .args(options)
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/wordpress")
                .join(script),
        )
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("php: {error}: tests/run installs it"));
    let mut stdin = child.stdin.take().unwrap();
    // PHP answers while it reads; a pipe holds less than a large input.
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    drop(writer.join().unwrap());
    output
}

/// The standard output of a script that went well and had nothing to complain about.
pub(crate) fn check(output: &Output, what: &str) -> String {
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && errors.is_empty(),
        "{what}: {}\n{errors}\n{text}",
        output.status
    );
    text.into_owned()
}
