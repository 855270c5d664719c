//! Options: the settings in one statement, the tag names saved back, the counters.

use super::{Forgive, Site, Statement, column, number_column, text_column, trouble};
use crate::outcome::Trouble;
use crate::php::{self, Key, Value};
use crate::plan::{NetworkSite, Repertoire};
use crate::release::Release;
use crate::settings::{OPTIONS, Overrides, Rows, Settings};
use crate::text::hex;
use crate::wp_config::Network;
use sha2::{Digest, Sha256};

/// What is known of the site that is meant.
pub enum Whereabouts<'a> {
    /// Host name and path of the address that was asked for.
    Address {
        /// In lower case, without port 80 or 443.
        host: &'a str,
        /// Undecoded, without query.
        path: &'a str,
    },
    /// Its `blog_id`.
    Number(u64),
}

/// Where on the installation the webhook arrived.
pub struct Place {
    /// Prefix of the site's tables and keys.
    pub prefix: String,
    /// The site of a network.
    pub network: Option<NetworkSite>,
    network_locale: Option<String>,
    network_user_count: Option<String>,
}

impl Site<'_> {
    /// Finds the site: on a network by address, longest match first, or by number; otherwise there is only one.
    pub fn place(&mut self, whereabouts: &Whereabouts<'_>) -> Result<Place, Trouble> {
        let base = self.config.tables().prefix();
        let Some(network) = self.config.network() else {
            let prefix = base.as_str().to_owned();
            return Ok(Place {
                prefix,
                network: None,
                network_locale: None,
                network_user_count: None,
            });
        };
        let rows = self
            .rows(&self.network_statement(whereabouts, network))
            .map_err(trouble)?;
        let meta = |key: &str| {
            let row = rows
                .iter()
                .find(|row| text_column(row, "kind") == "meta" && text_column(row, "name") == key);
            row.map(|row| column(row, "value"))
        };
        let sites = rows.iter().filter(|row| text_column(row, "kind") == "site");
        let longest =
            sites.max_by_key(|row| (text_column(row, "name").len(), column(row, "value").len()));
        let Some(found) = longest else {
            return Err(Trouble::Setup(
                "no site of the network has this host name and path".to_owned(),
            ));
        };
        let id = number_column(found, "id");
        let super_admins = match network.super_admins() {
            Some(logins) => logins.to_vec(),
            None => logins(&meta("site_admins").unwrap_or_default()),
        };
        let Some(prefix) = base.for_site(id) else {
            return Err(Trouble::Setup(
                "$table_prefix in wp-config.php is too long for this site".to_owned(),
            ));
        };
        self.tables = super::Tables::new(self.config, &prefix);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Place {
            prefix: prefix.as_str().to_owned(),
            network: Some(NetworkSite {
                id,
                domain: text_column(found, "name"),
                super_admins,
            }),
            network_locale: meta("WPLANG").map(text),
            network_user_count: meta("user_count").map(text),
        })
    }

    /// Candidates for the site and what the network has set, in one statement.
    fn network_statement(&self, whereabouts: &Whereabouts<'_>, network: &Network) -> String {
        let which = match whereabouts {
            Whereabouts::Number(id) => format!("blog_id = {id}"),
            Whereabouts::Address { host, path } => {
                let bare = host.strip_prefix("www.").unwrap_or(host);
                let hosts = [host, bare].map(|host| self.text(host));
                let paths: Vec<String> = site_paths(path)
                    .iter()
                    .map(|path| self.text(path))
                    .collect();
                format!(
                    "domain IN ({}) AND path IN ({})",
                    hosts.join(", "),
                    paths.join(", ")
                )
            }
        };
        let base = &self.tables.base;
        format!(
            "SELECT 'site' AS kind, blog_id AS id, domain AS name, path AS value FROM `{base}blogs` \
             WHERE {which} \
             UNION ALL SELECT 'meta', 0, meta_key, meta_value FROM `{base}sitemeta` \
             WHERE site_id = {} AND meta_key IN ('site_admins', 'WPLANG', 'user_count')",
            network.id()
        )
    }

    /// Numbers of the sites that have an inbox.
    pub fn numbers(&mut self) -> Result<Vec<u64>, Trouble> {
        let base = self.config.tables().prefix();
        let mut numbers = vec![1];
        if self.config.network().is_some() {
            let rows = self.rows(&format!(
                "SELECT blog_id FROM `{}blogs` ORDER BY blog_id",
                base.as_str()
            ));
            let rows = rows.map_err(trouble)?;
            numbers = rows
                .iter()
                .map(|row| number_column(row, "blog_id"))
                .collect();
        }
        let rows = self.rows(
            "SELECT TABLE_NAME AS name FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE '%bento\\_webhooks\\_inbox'",
        );
        let tables: Vec<String> = rows
            .map_err(trouble)?
            .iter()
            .map(|row| text_column(row, "name"))
            .collect();
        let has_inbox = |number: &u64| {
            let prefix = match *number {
                1 => Some(base.clone()),
                number => base.for_site(number),
            };
            prefix.is_some_and(|prefix| {
                let inbox = super::Tables::new(self.config, &prefix).inbox;
                tables
                    .iter()
                    .any(|table| table.eq_ignore_ascii_case(&inbox))
            })
        };
        Ok(numbers.into_iter().filter(has_inbox).collect())
    }

    /// Domain and path of the network itself: as wp-config.php says, else as the database does; `None` on a single site.
    pub fn network_home(&mut self) -> Result<Option<(String, String)>, Trouble> {
        let Some(network) = self.config.network() else {
            return Ok(None);
        };
        if let (Some(domain), Some(path)) = (network.domain(), network.path()) {
            return Ok(Some((domain.to_owned(), path.to_owned())));
        }
        let statement = format!(
            "SELECT domain, path FROM `{}site` WHERE id = {}",
            self.tables.base,
            network.id()
        );
        let rows = self.rows(&statement).map_err(trouble)?;
        Ok(rows
            .first()
            .map(|row| (text_column(row, "domain"), text_column(row, "path"))))
    }

    /// The owner's settings, in one statement.
    pub fn settings(&mut self, place: &Place) -> Result<Settings, Trouble> {
        let roles = format!("{}user_roles", place.prefix);
        let names: Vec<String> = OPTIONS
            .iter()
            .copied()
            .chain([roles.as_str()])
            .map(|name| self.text(name))
            .collect();
        let statement = format!(
            // Before SET NAMES the value must be turned into the bytes that WordPress's own connection would see.
            "SELECT option_name, CAST(CONVERT(option_value USING {}) AS BINARY) AS option_value FROM `{}` WHERE option_name IN ({})",
            self.charset.name,
            self.tables.options,
            names.join(", ")
        );
        let rows = self.rows(&statement).map_err(trouble)?;
        let rows: Rows = rows
            .iter()
            .map(|row| (text_column(row, "option_name"), column(row, "option_value")))
            .collect();
        let overrides = Overrides {
            site_url: self.config.site().site_url(),
            home_url: self.config.site().home(),
            locale: self.config.site().lang().or(self.config.local_package()),
            network_locale: place.network_locale.as_deref(),
        };
        Settings::read(&rows, &roles, &overrides).map_err(Trouble::Setup)
    }

    /// Saves Bento's tag names where WP Fusion keeps them. The option is read again under a row lock and only its entry
    /// `bento_tag_ids` is replaced, and it is written only if it still is what was read, so that nothing an admin saves at the
    /// same moment is lost; MyISAM has no row locks. A name that the column cannot hold stays out: the database would change
    /// it, and with it the lengths in the serialized option.
    pub fn save_tags(&mut self, tags: &[(u64, String)], release: Release) -> Result<(), Trouble> {
        let repertoire = if tags.iter().all(|(_, name)| Repertoire::Latin.holds(name)) {
            Repertoire::Latin
        } else {
            let options = self.tables.options.clone();
            self.repertoire_of(&options, "option_value")?
        };
        let tags = tags.iter().filter(|(_, name)| repertoire.holds(name));
        let ids = tags.clone().map(|(id, name)| {
            (
                Key::from_bytes(id.to_string().as_bytes()),
                Value::from(name.as_str()),
            )
        });
        let ids = Value::Array(unique(ids));
        let names =
            tags.map(|(_, name)| (Key::from_bytes(name.as_bytes()), Value::from(name.as_str())));
        let names = Value::Array(unique(names)).serialize();
        self.transaction(&mut |site| {
            site.begin(&[super::users::OPTIONS_SLOT], Vec::new())?;
            let raw = site.option_for_update("wpf_options")?.unwrap_or_default();
            let new = php::splice(&raw, "bento_tag_ids", &ids).map_err(|_| {
                Trouble::Setup(
                    "option wpf_options cannot be read; save WP Fusion's settings again".to_owned(),
                )
            })?;
            if new != raw {
                site.update_option("wpf_options", &raw, &new)?;
            }
            match site.option_for_update("wpf_available_tags")? {
                Some(old) if old == names => {}
                Some(old) => site.update_option("wpf_available_tags", &old, &names)?,
                None => site.insert_option("wpf_available_tags", &names, unloaded(release))?,
            }
            site.commit(Vec::new(), Vec::new()).map(|_| ())
        })
    }

    fn option_for_update(&mut self, name: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let statement = format!(
            "SELECT option_value FROM `{}` WHERE option_name = {} FOR UPDATE",
            self.tables.options,
            self.text(name)
        );
        let rows = self.rows(&statement).map_err(trouble)?;
        Ok(rows.first().map(|row| column(row, "option_value")))
    }

    /// Writes an option that still has its old value; when it has another one, everything must be done again.
    fn update_option(&mut self, name: &str, old: &[u8], new: &[u8]) -> Result<(), Trouble> {
        let digest = hex(&Sha256::digest(old));
        let statement = format!(
            "UPDATE `{}` SET option_value = {} WHERE option_name = {} AND SHA2(CONVERT(option_value USING {}), 256) = '{digest}'",
            self.tables.options,
            self.bytes(new),
            self.text(name),
            self.charset.name
        );
        match self.run(&statement).map_err(trouble)? {
            0 => Err(Trouble::Database {
                detail: format!("option {name} was changed by somebody else again and again"),
                transient: true,
            }),
            _ => Ok(()),
        }
    }

    fn insert_option(&mut self, name: &str, value: &[u8], autoload: &str) -> Result<(), Trouble> {
        let statement = format!(
            "INSERT INTO `{}` (option_name, option_value, autoload) VALUES ({}, {}, {}) \
             ON DUPLICATE KEY UPDATE option_value = VALUES(option_value)",
            self.tables.options,
            self.text(name),
            self.bytes(value),
            self.text(autoload)
        );
        self.run(&statement).map(|_| ()).map_err(trouble)
    }

    /// The statements that bring WordPress's count of users up to date after a new one, as
    /// `wp_maybe_update_user_counts()` does: not beyond 10,000. They belong into the transaction, behind the new row.
    pub(super) fn counting_users(&self, counted: Counted<'_>, release: Release) -> Vec<Statement> {
        let is_network = counted.place.network.is_some();
        let stored = if is_network {
            &counted.place.network_user_count
        } else {
            &counted.settings.user_count
        };
        if stored.as_deref().map_or(-1, php_int) > 10_000 {
            return Vec::new();
        }
        let active = if is_network {
            " WHERE spam = 0 AND deleted = 0"
        } else {
            ""
        };
        // In a variable of its own, because INSERT … SELECT would lock every user.
        let count = format!(
            "SET @users = CAST((SELECT COUNT(*) FROM `{}`{active}) AS CHAR)",
            self.tables.users
        );
        let Some(network) = self.config.network() else {
            let statement = format!(
                "INSERT INTO `{}` (option_name, option_value, autoload) VALUES ('user_count', @users, '{}') \
                 ON DUPLICATE KEY UPDATE option_value = VALUES(option_value), autoload = VALUES(autoload)",
                self.tables.options,
                unloaded(release)
            );
            return vec![count.into(), statement.into()];
        };
        let sitemeta = format!("`{}sitemeta`", self.tables.base);
        let row = format!("site_id = {} AND meta_key = 'user_count'", network.id());
        let update = format!("UPDATE {sitemeta} SET meta_value = @users WHERE {row}");
        let mut statements = vec![count.into(), update.into()];
        if stored.is_none() {
            // No unique index keeps a second row out, and another webhook may have made the first one meanwhile.
            let insert = format!(
                "INSERT INTO {sitemeta} (site_id, meta_key, meta_value) SELECT {}, 'user_count', @users FROM DUAL \
                 WHERE NOT EXISTS (SELECT 1 FROM {sitemeta} WHERE {row})",
                network.id()
            );
            statements.push(insert.into());
        }
        statements
    }

    /// The statement that counts errors for WP Fusion's badge. The row is made on the first error, as `update_option()`
    /// makes it.
    pub(super) fn counting_errors(&self, errors: usize, release: Release) -> Statement {
        let autoload = if release.at_least(6, 6) {
            "auto"
        } else {
            "yes"
        };
        let statement = format!(
            "INSERT INTO `{}` (option_name, option_value, autoload) VALUES ('wpf_logs_unseen_errors', '{errors}', '{autoload}') \
             ON DUPLICATE KEY UPDATE option_value = option_value + {errors}",
            self.tables.options
        );
        Statement::forgiving(statement, Forgive::Courtesy)
    }
}

impl Place {
    /// The `blog_id`: 1 on an installation that is no network.
    pub fn number(&self) -> u64 {
        self.network.as_ref().map_or(1, |site| site.id)
    }
}

/// What the count of users depends on.
#[derive(Clone, Copy)]
pub struct Counted<'a> {
    /// The site.
    pub place: &'a Place,
    /// The owner's settings.
    pub settings: &'a Settings,
}

/// `autoload` of an option that is not loaded at start.
fn unloaded(release: Release) -> &'static str {
    if release.at_least(6, 6) { "off" } else { "no" }
}

/// PHP's `(int)` of a text.
fn php_int(text: &str) -> i64 {
    let text = text.trim_start();
    let end = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_digit() || (*at == 0 && (*c == '-' || *c == '+'))));
    let digits = end.map_or(text, |(at, _)| text.get(..at).unwrap_or_default());
    digits.parse().unwrap_or(0)
}

/// Entries of a PHP array: a key that comes again takes the later value at the earlier place.
fn unique(entries: impl Iterator<Item = (Key, Value)>) -> Vec<(Key, Value)> {
    let mut list: Vec<(Key, Value)> = Vec::new();
    for (key, value) in entries {
        match list.iter_mut().find(|(own, _)| *own == key) {
            Some((_, own)) => *own = value,
            None => list.push((key, value)),
        }
    }
    list
}

/// Logins of the super admins, out of the network's `site_admins`.
fn logins(raw: &[u8]) -> Vec<String> {
    match php::unserialize(raw) {
        Ok(Value::Array(entries)) => entries
            .iter()
            .filter_map(|(_, login)| login.to_text())
            .collect(),
        _ => Vec::new(),
    }
}

/// The paths under which a site of the network could be known for this address: `/a/b/` is `/a/b/`, `/a/` or `/`.
fn site_paths(path: &str) -> Vec<String> {
    let mut paths = vec!["/".to_owned()];
    let mut so_far = String::from("/");
    for part in path.split('/').filter(|part| !part.is_empty()).take(4) {
        so_far.push_str(part);
        so_far.push('/');
        paths.push(so_far.clone());
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_the_path_may_be_a_site() {
        assert_eq!(site_paths("/"), ["/"]);
        assert_eq!(
            site_paths("/one/index.php"),
            ["/", "/one/", "/one/index.php/"]
        );
    }

    #[test]
    fn a_count_is_read_as_php_reads_it() {
        for (text, number) in [
            ("12", 12),
            ("-1", -1),
            ("12abc", 12),
            ("abc", 0),
            ("", 0),
            ("10001", 10_001),
        ] {
            assert_eq!(php_int(text), number, "{text}");
        }
    }
}
