//! What the site's owner has set, read out of `wp_options`: WP Fusion's settings, the field map, roles, locale. Pure.
//!
//! Values come as WordPress stores them, PHP-serialized. What is missing has WP Fusion's own default. A setting that
//! cannot be read is never guessed at: without an access key, Bento keys or a field map there is nothing to do.

use crate::clean;
use crate::php::{self, Key, Value};
use crate::roles::{Roles, key_text};
use crate::secret::Secret;
use std::collections::HashMap;
use url::Url;

/// The options the program reads, besides `{prefix}user_roles`.
pub const OPTIONS: [&str; 11] = [
    "wpf_options",
    "default_role",
    "siteurl",
    "home",
    "WPLANG",
    "timezone_string",
    "gmt_offset",
    "user_count",
    "blogname",
    "blog_charset",
    "admin_email",
];

/// The settings of WP Fusion's that the program reads. There are many others, among them lists of all that Bento has.
const WPF_OPTIONS: [&str; 16] = [
    "access_key",
    "bento_api_key",
    "site_uuid",
    "crm",
    "staging_mode",
    "site_url",
    "bento_tag_ids",
    "contact_fields",
    "return_password",
    "return_password_field",
    "push",
    "username_format",
    "enable_logging",
    "logging_errors_only",
    "logging_badge",
    "send_welcome_email",
];

/// One active row of WP Fusion's field map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name in WordPress: a usermeta key, a column of wp_users, `role` or the capabilities key.
    pub key: String,
    /// Name in Bento.
    pub crm_field: String,
    /// Type `raw`: an empty value is stored too.
    pub raw: bool,
    /// Goes to Bento only and is never loaded.
    pub pseudo: bool,
    /// Type `date`: sent to Bento as ISO 8601.
    pub date: bool,
}

/// How the login of a new user is made when none is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsernameFormat {
    /// The e-mail address.
    Email,
    /// First and last name, run together.
    FirstLast,
    /// First name and a number from 1 to 99999.
    FirstNumber,
}

/// WP Fusion's log settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// *Enable Logging*.
    pub enabled: bool,
    /// *Only Errors*.
    pub errors_only: bool,
    /// *Show Badge*: errors are counted in option `wpf_logs_unseen_errors`.
    pub badge: bool,
}

/// The clock of the site: the log table holds local times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    offset_seconds: i64,
}

/// Everything that the owner has set.
pub struct Settings {
    /// WP Fusion's access key; empty when none is set.
    pub access_key: Secret,
    /// Bento's publishable and secret key, `pk:sk`, as HTTP Basic wants them.
    pub bento_key: Secret,
    /// Bento's site uuid.
    pub site_uuid: String,
    /// The CRM that WP Fusion is set to, in its own short name.
    pub crm: String,
    /// Whether WP Fusion is connected to Bento and not to another CRM.
    pub uses_bento: bool,
    /// Staging mode, or a copy of the site under another address: nothing may be loaded.
    pub staging: bool,
    /// Bento's tag ids and names, as WP Fusion keeps them.
    pub tag_names: TagNames,
    /// The active rows of the field map, in its order.
    pub fields: Vec<Field>,
    /// The Bento field that takes the generated password.
    pub return_password: Option<String>,
    /// *Push*: changes may be sent to Bento.
    pub push: bool,
    /// Form of generated logins.
    pub username_format: UsernameFormat,
    /// Log settings.
    pub logging: Logging,
    /// The site's roles.
    pub roles: Roles,
    /// Role of a new user; may be empty.
    pub default_role: String,
    /// Locale of the site, `en_US` by default.
    pub locale: String,
    /// Address of WordPress, without a slash at its end.
    pub site_url: String,
    /// Home address of the site.
    pub home: String,
    /// The site's name as its owner wrote it.
    pub site_name: String,
    /// The site's charset, as stored.
    pub charset: String,
    /// The address that the owner is written to.
    pub admin_email: String,
    /// *Send Welcome Email*: every new user gets one.
    pub send_welcome_email: bool,
    /// Clock of the site.
    pub zone: Zone,
    /// Option `user_count` as stored; `None` when missing.
    pub user_count: Option<String>,
}

/// Bento's tags by id, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagNames(HashMap<String, String>);

impl TagNames {
    /// From pairs of id and name.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> TagNames {
        TagNames(pairs.into_iter().collect())
    }

    /// All ids and names, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(id, name)| (id.as_str(), name.as_str()))
    }

    /// The name of the tag with this id.
    pub fn get(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

/// The raw rows of `wp_options`, by name.
pub type Rows = HashMap<String, Vec<u8>>;

impl Settings {
    /// Reads the rows; `site_url` and `home_url` are those that constants in wp-config.php put in their place.
    ///
    /// Errs with one sentence when WP Fusion's settings are missing or broken.
    pub fn read(
        rows: &Rows,
        roles_option: &str,
        config: &Overrides<'_>,
    ) -> Result<Settings, String> {
        let Some(raw) = rows.get("wpf_options") else {
            return Err(
                "option wpf_options is missing; install WP Fusion and connect it to Bento"
                    .to_owned(),
            );
        };
        let wpf = php::unserialize_some(raw, &WPF_OPTIONS)
            .map_err(|_| "option wpf_options cannot be read; save WP Fusion's settings again")?;
        let setting = |name: &str| {
            debug_assert!(WPF_OPTIONS.contains(&name), "{name} was passed over");
            wpf.get(name)
        };
        let text = |name: &str| text_of(setting(name));
        let on = |name: &str, default: bool| setting(name).map_or(default, Value::truthy);
        let option = |name: &str| {
            rows.get(name)
                .map(|raw| String::from_utf8_lossy(raw).into_owned())
        };
        let site_url = config
            .site_url
            .map(str::to_owned)
            .or_else(|| option("siteurl"))
            .unwrap_or_default();
        Ok(Settings {
            access_key: Secret::new(text("access_key")),
            bento_key: Secret::new(text("bento_api_key").trim().to_owned()),
            site_uuid: text("site_uuid").trim().to_owned(),
            crm: text("crm"),
            uses_bento: text("crm") == "bento"
                && !text("bento_api_key").is_empty()
                && !text("site_uuid").is_empty(),
            staging: on("staging_mode", false) || is_copy(&text("site_url"), &site_url),
            tag_names: tag_names(setting("bento_tag_ids")),
            fields: fields(setting("contact_fields")),
            return_password: return_password(setting("return_password_field"))
                .filter(|_| on("return_password", false)),
            push: on("push", true),
            username_format: match text("username_format").as_str() {
                "flname" => UsernameFormat::FirstLast,
                "fnamenum" => UsernameFormat::FirstNumber,
                _ => UsernameFormat::Email,
            },
            logging: Logging {
                enabled: on("enable_logging", true),
                errors_only: on("logging_errors_only", false),
                badge: on("logging_badge", true),
            },
            roles: Roles::new(rows.get(roles_option).cloned().unwrap_or_default()),
            default_role: option("default_role").unwrap_or_default(),
            locale: locale(option("WPLANG").as_deref(), config),
            home: config
                .home_url
                .map(str::to_owned)
                .or_else(|| option("home"))
                .unwrap_or_else(|| site_url.clone())
                .trim_end_matches('/')
                .to_owned(),
            site_url: site_url.trim_end_matches('/').to_owned(),
            site_name: clean::decode_special(&option("blogname").unwrap_or_default()),
            charset: option("blog_charset").unwrap_or_default(),
            admin_email: option("admin_email").unwrap_or_default(),
            send_welcome_email: on("send_welcome_email", false),
            zone: Zone::new(
                &option("timezone_string").unwrap_or_default(),
                &option("gmt_offset").unwrap_or_default(),
            ),
            user_count: option("user_count"),
        })
    }

    /// The Bento field that a WordPress field is mapped to, when that row is active.
    pub fn crm_field(&self, key: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

/// What constants and the network say instead of options.
#[derive(Default)]
pub struct Overrides<'a> {
    /// WP_SITEURL.
    pub site_url: Option<&'a str>,
    /// WP_HOME.
    pub home_url: Option<&'a str>,
    /// WPLANG as a constant: the weakest word.
    pub locale: Option<&'a str>,
    /// WPLANG in sitemeta of a network.
    pub network_locale: Option<&'a str>,
}

/// Site locale: option (even an empty one), else the network's, else the constant; empty means en_US.
fn locale(option: Option<&str>, config: &Overrides<'_>) -> String {
    let locale = option
        .or(config.network_locale)
        .or(config.locale)
        .unwrap_or_default()
        .trim();
    if locale.is_empty() {
        "en_US".to_owned()
    } else {
        locale.to_owned()
    }
}

/// A scalar setting as text; anything else is empty.
fn text_of(value: Option<&Value>) -> String {
    value.and_then(Value::to_text).unwrap_or_default()
}

/// Whether WP Fusion's own note of the site's address names another site: host or path differ.
///
/// The note has `_[wpf_siteurl]_` in its middle, so that hosts which replace addresses in a copied database miss it.
fn is_copy(noted: &str, site_url: &str) -> bool {
    let place = |url: &str| {
        let url = Url::parse(url).ok()?;
        Some((
            url.host_str()?.to_owned(),
            url.path().trim_end_matches('/').to_owned(),
        ))
    };
    let noted = noted.replace("_[wpf_siteurl]_", "");
    !noted.is_empty() && place(&noted) != place(site_url)
}

fn tag_names(option: Option<&Value>) -> TagNames {
    let Some(Value::Array(entries)) = option else {
        return TagNames::default();
    };
    TagNames::new(
        entries
            .iter()
            .map(|(id, name)| (key_text(id), text_of(Some(name)))),
    )
}

/// The active rows of `contact_fields` that name a Bento field.
fn fields(option: Option<&Value>) -> Vec<Field> {
    let Some(Value::Array(entries)) = option else {
        return Vec::new();
    };
    let field = |(key, row): &(Key, Value)| {
        let crm_field = text_of(row.get("crm_field"));
        if crm_field.is_empty() || !row.get("active").is_some_and(Value::truthy) {
            return None;
        }
        let kind = text_of(row.get("type"));
        let pseudo = row.get("pseudo").is_some_and(Value::truthy);
        Some(Field {
            key: key_text(key),
            crm_field,
            raw: kind == "raw",
            pseudo,
            date: kind == "date",
        })
    };
    entries.iter().filter_map(field).collect()
}

/// *Return Password*: the field's name, stored as text or, by older releases, as an array with `crm_field`.
fn return_password(field: Option<&Value>) -> Option<String> {
    let name = text_of(field?.get("crm_field").or(field));
    (!name.is_empty()).then_some(name)
}

impl Zone {
    /// From the options `timezone_string` and `gmt_offset` (hours); the first wins.
    pub fn new(name: &str, gmt_offset: &str) -> Zone {
        let hours: f64 = gmt_offset.trim().parse().unwrap_or(0.0);
        let hours = if hours.abs() <= 24.0 { hours } else { 0.0 };
        Zone {
            name: name.trim().to_owned(),
            offset_seconds: (hours * 3600.0).round() as i64,
        }
    }

    /// Seconds that local time is ahead of UTC at `unix_time`. A named zone is looked up in the system's zone files;
    /// where those are missing, as in some cages, local time is UTC.
    pub fn offset_at(&self, unix_time: i64) -> i64 {
        if self.name.is_empty() {
            return self.offset_seconds;
        }
        let safe = self
            .name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_+-/".contains(c));
        let zone = if safe {
            tz::TimeZone::from_posix_tz(&self.name).ok()
        } else {
            None
        };
        let local = zone.and_then(|zone| {
            zone.find_local_time_type(unix_time)
                .ok()
                .map(|local| local.ut_offset())
        });
        local.map_or(0, i64::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_site_is_told_by_host_and_path() {
        let table = [
            (
                "http://shop.exam_[wpf_siteurl]_ple.test",
                "https://shop.example.test/",
                false,
            ),
            (
                "http://other.exam_[wpf_siteurl]_ple.test",
                "http://shop.example.test",
                true,
            ),
            (
                "http://shop.exam_[wpf_siteurl]_ple.test/blog",
                "http://shop.example.test",
                true,
            ),
            ("", "http://shop.example.test", false),
        ];
        for (noted, site_url, copy) in table {
            assert_eq!(is_copy(noted, site_url), copy, "{noted}");
        }
    }

    #[test]
    fn the_site_option_rules_the_locale_even_when_empty() {
        let config = Overrides {
            locale: Some("fr_FR"),
            network_locale: Some("de_DE"),
            ..Overrides::default()
        };
        assert_eq!(locale(Some(""), &config), "en_US");
        assert_eq!(locale(Some("es_ES"), &config), "es_ES");
        assert_eq!(locale(None, &config), "de_DE");
        assert_eq!(
            locale(
                None,
                &Overrides {
                    locale: Some("fr_FR"),
                    ..Overrides::default()
                }
            ),
            "fr_FR"
        );
    }

    #[test]
    fn local_time_follows_the_offset() {
        assert_eq!(Zone::new("", "5.5").offset_at(0), 19800);
        assert_eq!(Zone::new("", "-3").offset_at(0), -10800);
        assert_eq!(Zone::new("", "junk").offset_at(0), 0);
        assert_eq!(Zone::new("../../etc/passwd", "1").offset_at(0), 0);
        assert_eq!(Zone::new("UTC", "1").offset_at(1_700_000_000), 0);
    }
}
