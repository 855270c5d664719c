//! A WordPress site as the program meets it: a folder with `wp-config.php` and `version.php`, and tables with
//! the rows of a recording.

use std::fs;
use std::path::{Path, PathBuf};

use mysql::prelude::Queryable as _;
use mysql::{Params, Value as Sql};
use serde_json::Value;

use super::database::{Database, PASSWORD, Server};
use super::php;
use super::recording::Base;

/// Options that a site has although a base does not list them.
const USER_COUNT: &str = "user_count";

/// A site with its database and folder; both go when dropped.
pub struct Site<'server> {
    pub database: Database<'server>,
    folder: PathBuf,
    /// Name and value in PHP.
    constants: Vec<(String, String)>,
    lines: Vec<String>,
    release: String,
}

impl Site<'static> {
    /// A site on the shared server with the rows of a base, changed as `given` says.
    pub fn new(base: &Base, given: &Value) -> Site<'static> {
        Site::on(Server::shared(), base, given)
    }
}

impl<'server> Site<'server> {
    /// The same on another server.
    pub fn on(server: &'server Server, base: &Base, given: &Value) -> Site<'server> {
        let folder = server.new_folder();
        let database = server.database();
        fill(&database, base, given);
        let release = base.release().to_string();
        let site = Site {
            database,
            folder,
            constants: Vec::new(),
            lines: Vec::new(),
            release,
        };
        site.write_files();
        site
    }

    /// Defines a constant in `wp-config.php`; the value is written as a quoted string.
    pub fn define(&mut self, name: &str, value: &str) {
        self.define_php(name, &quoted(value));
    }

    /// Defines a constant in `wp-config.php`; the value is PHP.
    pub fn define_php(&mut self, name: &str, value: &str) {
        self.constants.retain(|(known, _)| known != name);
        self.constants.push((name.to_string(), value.to_string()));
        self.write_files();
    }

    /// Adds a line of PHP to `wp-config.php`.
    pub fn add_line(&mut self, line: &str) {
        self.lines.push(line.to_string());
        self.write_files();
    }

    /// Runs statements with all rights on the site's database.
    pub fn sql(&self, statements: &[&str]) {
        let mut root = self.database.root();
        for statement in statements {
            root.query_drop(statement)
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    /// The first column of the rows that a query finds, as text; SQL NULL is left out.
    pub fn column(&self, query: &str) -> Vec<String> {
        let rows = super::state::rows(&mut self.database.root(), query);
        rows.into_iter().filter_map(|row| row[0].clone()).collect()
    }

    /// The folder with `wp-config.php`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The value for `DB_HOST` that leads to the server's socket.
    pub fn db_host(&self) -> String {
        format!("localhost:{}", self.database.server().socket().display())
    }

    fn write_files(&self) {
        fs::create_dir_all(self.folder.join("wp-includes")).unwrap();
        let defaults = [
            ("DB_NAME", self.database.name().to_string()),
            ("DB_USER", self.database.name().to_string()),
            ("DB_PASSWORD", PASSWORD.to_string()),
            ("DB_HOST", self.db_host()),
            ("DB_CHARSET", "utf8mb4".to_string()),
            ("DB_COLLATE", String::new()),
        ];
        let mut config = "<?php\n".to_string();
        // The first definition of a name wins in PHP, so what a test defines comes first.
        let ours = self
            .constants
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()));
        let defaults = defaults.map(|(name, value)| (name, quoted(&value)));
        for (name, value) in ours.chain(defaults) {
            config += &format!("define( '{name}', {value} );\n");
        }
        for line in &self.lines {
            config += &format!("{line}\n");
        }
        config += "$table_prefix = 'wp_';\n\nif ( ! defined( 'ABSPATH' ) ) {\n\tdefine( 'ABSPATH', __DIR__ . '/' );\n}\nrequire_once ABSPATH . 'wp-settings.php';\n";
        fs::write(self.folder.join("wp-config.php"), config).unwrap();
        fs::write(self.folder.join("wp-settings.php"), "<?php\n").unwrap();
        let version = format!("<?php\n$wp_version = '{}';\n", self.release);
        fs::write(self.folder.join("wp-includes/version.php"), version).unwrap();
    }
}

/// A text as a PHP literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Makes the tables of a base and lays `given` over its rows.
fn fill(database: &Database<'_>, base: &Base, given: &Value) {
    let mut root = database.root();
    for (_, definition) in base.json["schema"].as_object().unwrap() {
        root.query_drop(definition.as_str().unwrap()).unwrap();
    }
    let listed = |name: &str| given[name].as_array().cloned().unwrap_or_default();
    let (users, meta) = (listed("users"), listed("usermeta"));
    // A user that is named comes with all of its rows, so the base's rows of that user go.
    let rows = |name: &str, key: &str, named: &[Value]| -> Vec<Value> {
        let is_named = |row: &&Value| named.iter().any(|other| other[key] == row[key]);
        let kept = base.json[name]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| !is_named(row));
        kept.chain(named).cloned().collect()
    };
    insert(
        database,
        "wp_users",
        &USER_COLUMNS,
        &rows("users", "ID", &users),
    );
    insert(
        database,
        "wp_usermeta",
        &META_COLUMNS,
        &rows("usermeta", "user_id", &meta),
    );
    insert(
        database,
        "wp_options",
        &["option_name", "option_value", "autoload"],
        &options(base, given),
    );
}

/// Columns of `wp_users`, in order.
pub const USER_COLUMNS: [&str; 10] = [
    "ID",
    "user_login",
    "user_pass",
    "user_nicename",
    "user_email",
    "user_url",
    "user_registered",
    "user_activation_key",
    "user_status",
    "display_name",
];
/// Columns of `wp_usermeta`, in order.
pub const META_COLUMNS: [&str; 4] = ["umeta_id", "user_id", "meta_key", "meta_value"];

fn insert(database: &Database<'_>, table: &str, columns: &[&str], rows: &[Value]) {
    if rows.is_empty() {
        return;
    }
    let places = vec![format!("({})", vec!["?"; columns.len()].join(",")); rows.len()].join(",");
    let values = rows
        .iter()
        .flat_map(|row| columns.iter().map(|column| text(&row[*column])));
    let sql = format!(
        "INSERT INTO {table} ({}) VALUES {places}",
        columns.join(",")
    );
    database
        .root()
        .exec_drop(sql, Params::Positional(values.collect()))
        .unwrap();
}

fn text(value: &Value) -> Sql {
    value
        .as_str()
        .map_or(Sql::NULL, |text| Sql::Bytes(text.as_bytes().to_vec()))
}

/// The rows of wp_options: the base's own, with `changed_settings` worked in.
///
/// A name with `wp_options.` is an option row, `contact_fields.` a row of the field map (null removes it), anything
/// else a key of `wpf_options` as a pair of old and new value (null removes it).
fn options(base: &Base, given: &Value) -> Vec<Value> {
    let mut settings = base.json["wpf_options"].clone();
    let mut rows = base.json["options_raw"].as_object().unwrap().clone();
    for (name, value) in given["changed_settings"].as_object().into_iter().flatten() {
        if let Some(option) = name.strip_prefix("wp_options.") {
            rows.insert(option.to_string(), value.clone());
        } else if let Some(field) = name.strip_prefix("contact_fields.") {
            set(&mut settings["contact_fields"], field, value);
        } else {
            set(&mut settings, name, &value[1]);
        }
    }
    rows.insert("wpf_options".to_string(), php::serialize(&settings).into());
    let users = base.json["users"].as_array().unwrap().len();
    rows.entry(USER_COUNT)
        .or_insert_with(|| users.to_string().into());
    let autoload = |name: &str| match base.json["options_autoload"][name].as_str() {
        Some(autoload) => autoload.to_string(),
        None => base.autoload_off().to_string(),
    };
    rows.iter()
        .map(|(name, value)| {
            serde_json::json!({"option_name": name, "option_value": value, "autoload": autoload(name)})
        })
        .collect()
}

fn set(map: &mut Value, key: &str, value: &Value) {
    let map = map.as_object_mut().unwrap();
    match value {
        Value::Null => drop(map.shift_remove(key)),
        value => drop(map.insert(key.to_string(), value.clone())),
    }
}
