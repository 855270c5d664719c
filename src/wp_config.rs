//! Settings out of wp-config.php, checked: the database, the network, this program's own.
//!
//! wp-config.php is a PHP program, and there is no PHP here: it is followed as far as settings need,
//! without running anything. What is not followed is never guessed: a setting that depends on it is
//! an error with file and line, and the environment can override every database setting. Files and
//! environment come in through [`Surroundings`], so this module itself touches nothing.

mod db_host;
mod error;
mod evaluate;
mod functions;
pub(crate) mod lexer;
mod mail_way;
mod names;
mod own;
mod parser;
mod patterns;
mod state;
mod syntax;
#[cfg(test)]
mod tests;
mod text_functions;
mod value;
mod values;

use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use self::error::Reason;
use self::evaluate::Machine;
use self::value::Val;
use self::values::{Found, Values};
use crate::release::Release;
use crate::secret::Secret;

pub use self::db_host::DbHost;
pub use self::error::ConfigError;
pub use self::mail_way::{Login, MailWay, Security, SendmailCommand, SmtpServer};
pub use self::names::{TableName, TablePrefix};
pub use self::own::{ApiUrl, Own, Worker};

/// What the configuration is read from.
pub struct Surroundings<'a> {
    /// The process's environment: PHP's `getenv` and `$_ENV`, and this program's own variables.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// PHP's `$_SERVER`; under CGI the same environment.
    pub server: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a file of an absolute path.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

/// Everything taken from wp-config.php and the environment.
#[derive(Debug, Clone)]
pub struct Config {
    wordpress: PathBuf,
    release: Release,
    local_package: Option<String>,
    database: Database,
    tables: Tables,
    network: Option<Network>,
    site: Site,
    own: Own,
}

/// How to reach the database.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    user: String,
    password: Secret,
    host: DbHost,
    charset: Option<String>,
    collate: Option<String>,
    flags: i64,
}

/// The tables all sites of a network share, and the prefix of the others.
#[derive(Debug, Clone)]
pub struct Tables {
    prefix: TablePrefix,
    users: TableName,
    usermeta: TableName,
}

/// What the constants say about a network of sites.
#[derive(Debug, Clone)]
pub struct Network {
    subdomains: bool,
    domain: Option<String>,
    path: Option<String>,
    id: u64,
    main_site: u64,
    sunrise: bool,
    super_admins: Option<Vec<String>>,
}

/// Constants that override options; each is absent when it is not defined or not understood.
#[derive(Debug, Clone)]
pub struct Site {
    home: Option<String>,
    site_url: Option<String>,
    content_dir: PathBuf,
    lang_dir: Option<PathBuf>,
    lang: Option<String>,
    force_ssl_admin: bool,
}

/// Reads the configuration of the WordPress in this folder; fails when a setting that decides what
/// is written, and where, is missing, not understood or unsafe.
pub fn read(wordpress: &Path, surroundings: &Surroundings<'_>) -> Result<Config, ConfigError> {
    let (release, local_package) = version(wordpress, surroundings)?;
    let values = Values::read(wordpress, surroundings);
    Ok(Config {
        wordpress: wordpress.to_owned(),
        release,
        local_package,
        database: Database::read(&values)?,
        tables: Tables::read(&values)?,
        network: Network::read(&values)?,
        site: Site::read(&values, wordpress),
        own: Own::read(&values)?,
    })
}

impl Config {
    /// Host, with its port, and path by which the sites of a network are told apart: those of `url`, else of the home
    /// address that is defined here, else of the main site. Both are empty where there is but one site.
    pub fn whereabouts(&self, url: Option<&Url>) -> (String, String) {
        let home = self.site.home().and_then(|home| Url::parse(home).ok());
        if let Some(url) = url.or(home.as_ref()) {
            let port = url.port().map(|port| format!(":{port}"));
            let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
            return (host + &port.unwrap_or_default(), url.path().to_owned());
        }
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let network = self.network.as_ref();
        (
            text(network.and_then(Network::domain)),
            text(network.and_then(Network::path)),
        )
    }

    /// The folder of WordPress.
    pub fn wordpress(&self) -> &Path {
        &self.wordpress
    }

    /// The release of WordPress, out of `wp-includes/version.php`.
    pub fn release(&self) -> Release {
        self.release
    }

    /// The locale a localized download was packed for, such as `de_DE`; options come before it.
    pub fn local_package(&self) -> Option<&str> {
        self.local_package.as_deref()
    }

    /// How to reach the database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Prefix and shared tables.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The network, if WordPress runs as multisite.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// Constants that override options.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The settings of this program.
    pub fn own(&self) -> &Own {
        &self.own
    }
}

impl Database {
    /// `DB_NAME`, never empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `DB_USER`, never empty.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// `DB_PASSWORD`, possibly empty.
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// `DB_HOST`, taken apart.
    pub fn host(&self) -> &DbHost {
        &self.host
    }

    /// `DB_CHARSET` as written, `[A-Za-z0-9_]{0,64}`.
    pub fn charset(&self) -> Option<&str> {
        self.charset.as_deref()
    }

    /// `DB_COLLATE` as written, `[A-Za-z0-9_]{0,64}`.
    pub fn collate(&self) -> Option<&str> {
        self.collate.as_deref()
    }

    /// Whether `MYSQL_CLIENT_FLAGS` asks for compression.
    pub fn compress(&self) -> bool {
        self.flags & 32 != 0
    }

    /// Whether `MYSQL_CLIENT_FLAGS` asks for TLS.
    pub fn tls(&self) -> bool {
        self.flags & 2048 != 0
    }

    /// Whether `MYSQL_CLIENT_FLAGS` waives the check of the server's certificate.
    pub fn tls_without_check(&self) -> bool {
        self.flags & 64 != 0
    }

    fn read(values: &Values<'_>) -> Result<Self, ConfigError> {
        let password = match values.environment_or_empty("BENTO_WEBHOOKS_DB_PASSWORD") {
            Some(found) => found,
            None => needed(values, "DB_PASSWORD", "BENTO_WEBHOOKS_DB_PASSWORD")?,
        };
        let password = match password.value.to_text() {
            Some(text) => Secret::new(&*text),
            None => return Err(invalid("DB_PASSWORD", &password, "is no text")),
        };
        let host = needed(values, "DB_HOST", "BENTO_WEBHOOKS_DB_HOST")?;
        let host_text = text("DB_HOST", &host)?;
        let Some(parsed) = DbHost::parse(&host_text) else {
            return Err(invalid(
                "DB_HOST",
                &host,
                "names no host that can be reached",
            ));
        };
        let flags = values.constant("MYSQL_CLIENT_FLAGS")?;
        Ok(Self {
            name: filled(values, "DB_NAME", "BENTO_WEBHOOKS_DB_NAME")?,
            user: filled(values, "DB_USER", "BENTO_WEBHOOKS_DB_USER")?,
            password,
            host: parsed,
            charset: charset(values, "DB_CHARSET")?,
            collate: charset(values, "DB_COLLATE")?,
            flags: flags.and_then(|flags| flags.value.to_int()).unwrap_or(0),
        })
    }
}

impl Tables {
    /// `$table_prefix`, the base prefix of a network.
    pub fn prefix(&self) -> &TablePrefix {
        &self.prefix
    }

    /// The table of users: `CUSTOM_USER_TABLE`, else `users` behind the prefix.
    pub fn users(&self) -> &TableName {
        &self.users
    }

    /// The table of user meta: `CUSTOM_USER_META_TABLE`, else `usermeta` behind the prefix.
    pub fn usermeta(&self) -> &TableName {
        &self.usermeta
    }

    fn read(values: &Values<'_>) -> Result<Self, ConfigError> {
        const NAME: &str = "$table_prefix";
        const NEED: &str = "may hold up to 40 letters, digits, `_` and `$` only";
        let found = match values.environment("BENTO_WEBHOOKS_TABLE_PREFIX") {
            Some(found) => found,
            None => values.variable(NAME)?.ok_or_else(|| values.missing(NAME))?,
        };
        let unsafe_prefix = || invalid(NAME, &found, NEED);
        let prefix = TablePrefix::new(text(NAME, &found)?).ok_or_else(unsafe_prefix)?;
        let users = prefix.table("users").ok_or_else(unsafe_prefix)?;
        let usermeta = prefix.table("usermeta").ok_or_else(unsafe_prefix)?;
        Ok(Self {
            users: table(values, "CUSTOM_USER_TABLE")?.unwrap_or(users),
            usermeta: table(values, "CUSTOM_USER_META_TABLE")?.unwrap_or(usermeta),
            prefix,
        })
    }
}

impl Network {
    /// Whether sites are told apart by sub-domain (`SUBDOMAIN_INSTALL`) or by folder.
    pub fn subdomains(&self) -> bool {
        self.subdomains
    }

    /// `DOMAIN_CURRENT_SITE`.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// `PATH_CURRENT_SITE`.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// `SITE_ID_CURRENT_SITE`, the id of the network, by default 1.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// `BLOG_ID_CURRENT_SITE`, the id of the main site, by default 1.
    pub fn main_site(&self) -> u64 {
        self.main_site
    }

    /// Whether `SUNRISE` lets a file of the site's own choose the site.
    pub fn sunrise(&self) -> bool {
        self.sunrise
    }

    /// `$super_admins`: logins that stand in for those in the database.
    pub fn super_admins(&self) -> Option<&[String]> {
        self.super_admins.as_deref()
    }

    /// Mirrors `is_multisite`: `MULTISITE` decides; without it the older constants do.
    fn read(values: &Values<'_>) -> Result<Option<Self>, ConfigError> {
        let multisite = values.constant("MULTISITE")?;
        let subdomains = values.constant("SUBDOMAIN_INSTALL")?;
        let sunrise = values.constant("SUNRISE")?.is_some();
        let vhost = values.constant("VHOST")?;
        let active = match &multisite {
            Some(found) => found.value.truthy() == Some(true),
            None => subdomains.is_some() || vhost.is_some() || sunrise,
        };
        if !active {
            return Ok(None);
        }
        let id = |name| {
            let id = values.if_known(name)?.to_int()?;
            u64::try_from(id).ok().filter(|id| *id > 0)
        };
        let truthy = |found: Found| found.value.truthy() == Some(true);
        let is_yes = |found: Found| found.value.to_text().as_deref() == Some(b"yes");
        Ok(Some(Self {
            subdomains: subdomains.map_or_else(|| vhost.is_some_and(is_yes), truthy),
            domain: known_text(values, "DOMAIN_CURRENT_SITE"),
            path: known_text(values, "PATH_CURRENT_SITE"),
            id: id("SITE_ID_CURRENT_SITE").unwrap_or(1),
            main_site: id("BLOG_ID_CURRENT_SITE").unwrap_or(1),
            sunrise,
            super_admins: super_admins(values)?,
        }))
    }
}

impl Site {
    /// `WP_HOME`, which overrides the option `home`.
    pub fn home(&self) -> Option<&str> {
        self.home.as_deref()
    }

    /// `WP_SITEURL`, which overrides the option `siteurl`.
    pub fn site_url(&self) -> Option<&str> {
        self.site_url.as_deref()
    }

    /// `WP_CONTENT_DIR`, by default `wp-content` in the WordPress folder.
    pub fn content_dir(&self) -> &Path {
        &self.content_dir
    }

    /// `WP_LANG_DIR`.
    pub fn lang_dir(&self) -> Option<&Path> {
        self.lang_dir.as_deref()
    }

    /// `WPLANG`, to which the option of that name is preferred.
    pub fn lang(&self) -> Option<&str> {
        self.lang.as_deref()
    }

    /// Whether `FORCE_SSL_ADMIN` makes log-in addresses https.
    pub fn force_ssl_admin(&self) -> bool {
        self.force_ssl_admin
    }

    fn read(values: &Values<'_>, wordpress: &Path) -> Self {
        let path = |name| known_text(values, name).filter(|path| path.starts_with('/'));
        let force = values.if_known("FORCE_SSL_ADMIN");
        Self {
            home: known_text(values, "WP_HOME"),
            site_url: known_text(values, "WP_SITEURL"),
            content_dir: match path("WP_CONTENT_DIR") {
                Some(folder) => folder.into(),
                None => wordpress.join("wp-content"),
            },
            lang_dir: path("WP_LANG_DIR").map(PathBuf::from),
            lang: known_text(values, "WPLANG"),
            force_ssl_admin: force.and_then(|force| force.truthy()) == Some(true),
        }
    }
}

/// The release and the locale of a localized download, out of `wp-includes/version.php`.
fn version(
    wordpress: &Path,
    surroundings: &Surroundings<'_>,
) -> Result<(Release, Option<String>), ConfigError> {
    let file = wordpress.join("wp-includes/version.php");
    let code = match (surroundings.read)(&file) {
        Ok(code) => code,
        Err(error) if evaluate::is_missing(&error) => {
            return Err(Reason::NoRelease { file }.into());
        }
        Err(error) => {
            let kind = error.kind();
            return Err(Reason::Unreadable { file, kind }.into());
        }
    };
    let mut machine = Machine::new(wordpress, surroundings);
    machine.run(&file, &code);
    let variable = |name| machine.state.outer.variables.get(name).and_then(utf8);
    let release = variable("wp_version").and_then(|version| Release::parse(&version));
    match release {
        Some(release) => Ok((release, variable("wp_local_package"))),
        None => Err(Reason::NoRelease { file }.into()),
    }
}

/// A setting that must be there, from the environment or a constant.
fn needed(
    values: &Values<'_>,
    name: &'static str,
    variable: &'static str,
) -> Result<Found, ConfigError> {
    match values.environment(variable) {
        Some(found) => Ok(found),
        None => values.constant(name)?.ok_or_else(|| values.missing(name)),
    }
}

/// A needed setting that must not be empty.
fn filled(
    values: &Values<'_>,
    name: &'static str,
    variable: &'static str,
) -> Result<String, ConfigError> {
    const NEED: &str = "is empty, as when an environment variable it is taken from is not set here";
    let found = needed(values, name, variable)?;
    match text(name, &found)? {
        text if text.is_empty() => Err(invalid(name, &found, NEED)),
        text => Ok(text),
    }
}

/// The name of a character set or collation, which goes into SQL unbound.
fn charset(values: &Values<'_>, name: &'static str) -> Result<Option<String>, ConfigError> {
    let Some(found) = values.constant(name)? else {
        return Ok(None);
    };
    let text = text(name, &found)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if text.len() > 64 || !text.bytes().all(plain) {
        return Err(invalid(
            name,
            &found,
            "may hold letters, digits and `_` only",
        ));
    }
    Ok(Some(text))
}

fn table(values: &Values<'_>, name: &'static str) -> Result<Option<TableName>, ConfigError> {
    const NEED: &str = "may hold 1 to 64 letters, digits, `_` and `$` only";
    let Some(found) = values.constant(name)? else {
        return Ok(None);
    };
    let table = TableName::new(text(name, &found)?);
    table.map(Some).ok_or_else(|| invalid(name, &found, NEED))
}

/// Logins in `$super_admins`; anything but an array leaves the database's list in force.
fn super_admins(values: &Values<'_>) -> Result<Option<Vec<String>>, ConfigError> {
    let Some(found) = values.variable("$super_admins")? else {
        return Ok(None);
    };
    let Val::Array(logins) = found.value else {
        return Ok(None);
    };
    Ok(Some(
        logins.iter().filter_map(|(_, login)| utf8(login)).collect(),
    ))
}

fn text(name: &'static str, found: &Found) -> Result<String, ConfigError> {
    utf8(&found.value).ok_or_else(|| invalid(name, found, "is no text"))
}

fn known_text(values: &Values<'_>, name: &'static str) -> Option<String> {
    values.if_known(name).as_ref().and_then(utf8)
}

fn utf8(value: &Val) -> Option<String> {
    String::from_utf8(value.to_text()?.to_vec()).ok()
}

fn invalid(name: &'static str, found: &Found, need: &'static str) -> ConfigError {
    let place = found.place.clone();
    Reason::Invalid { name, place, need }.into()
}
