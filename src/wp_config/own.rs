//! The settings of this program itself: constants in wp-config.php, each also an environment
//! variable of the same name, which wins.

use std::path::PathBuf;

use url::{Host, Url};

use super::ConfigError;
use super::error::Reason;
use super::mail_way::{MailWay, SendmailCommand, SmtpServer};
use super::values::{Found, Values};

const API_URL: &str = "BENTO_WEBHOOKS_API_URL";
const ALLOW_ROLES: &str = "BENTO_WEBHOOKS_ALLOW_ROLES";
const SENDMAIL: &str = "BENTO_WEBHOOKS_SENDMAIL";
const SMTP: &str = "BENTO_WEBHOOKS_SMTP";
const WELCOME_EVENT: &str = "BENTO_WEBHOOKS_WELCOME_EVENT";
const CA_FILE: &str = "BENTO_WEBHOOKS_CA_FILE";
const CALLS_PER_MINUTE: &str = "BENTO_WEBHOOKS_CALLS_PER_MINUTE";
const CONCURRENCY: &str = "BENTO_WEBHOOKS_CONCURRENCY";
const WORKER: &str = "BENTO_WEBHOOKS_WORKER";
const SECOND_LOOK: &str = "BENTO_WEBHOOKS_SECOND_LOOK";

const DEFAULT_API_URL: &str = "https://app.bentonow.com/api/v1";

/// Every setting of this program that may be a constant.
const CONSTANTS: [&str; 10] = [
    API_URL,
    ALLOW_ROLES,
    SENDMAIL,
    SMTP,
    WELCOME_EVENT,
    CA_FILE,
    CALLS_PER_MINUTE,
    CONCURRENCY,
    WORKER,
    SECOND_LOOK,
];

/// Longest name of an event, in characters.
const EVENT_LENGTH: usize = 200;

/// The address of Bento's API: https, or http to this very machine; no slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiUrl(String);

impl ApiUrl {
    /// Checks an address; none if it holds a login, a query or a fragment, or is not encrypted.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let here = match url.host()? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let safe = url.scheme() == "https" || (url.scheme() == "http" && here);
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        (safe && bare).then(|| Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The address, to which `/fetch/…` is appended.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who sees to what has been kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worker {
    /// The program starts itself a second time when there is work left.
    Automatic,
    /// Only `bento-webhooks work` does, as from cron.
    Cron,
}

/// The settings of this program.
#[derive(Debug, Clone)]
pub struct Own {
    api_url: ApiUrl,
    allow_roles: Vec<String>,
    mail_way: MailWay,
    welcome_event: Option<String>,
    ca_file: Option<PathBuf>,
    calls_per_minute: u32,
    concurrency: u32,
    worker: Worker,
    second_look: u32,
    unrecognized: Vec<String>,
}

impl Own {
    /// `BENTO_WEBHOOKS_API_URL`, by default Bento's own.
    pub fn api_url(&self) -> &ApiUrl {
        &self.api_url
    }

    /// `BENTO_WEBHOOKS_ALLOW_ROLES`: slugs of roles a webhook may give although they carry power.
    pub fn allow_roles(&self) -> &[String] {
        &self.allow_roles
    }

    /// How mail leaves: `BENTO_WEBHOOKS_SMTP`, else `BENTO_WEBHOOKS_SENDMAIL`, by default `/usr/sbin/sendmail -t -i`.
    pub fn mail_way(&self) -> &MailWay {
        &self.mail_way
    }

    /// `BENTO_WEBHOOKS_WELCOME_EVENT`: the Bento event that takes the place of the welcome mail.
    pub fn welcome_event(&self) -> Option<&str> {
        self.welcome_event.as_deref()
    }

    /// `BENTO_WEBHOOKS_CA_FILE`: certificates to trust for HTTPS, the database and SMTP, in PEM.
    pub fn ca_file(&self) -> Option<&std::path::Path> {
        self.ca_file.as_deref()
    }

    /// `BENTO_WEBHOOKS_CALLS_PER_MINUTE`: calls to Bento in any minute, 1 to 6000, by default 60.
    pub fn calls_per_minute(&self) -> u32 {
        self.calls_per_minute
    }

    /// `BENTO_WEBHOOKS_CONCURRENCY`: requests that are worked on while their callers wait, 0 to 100, by default 4.
    pub fn concurrency(&self) -> u32 {
        self.concurrency
    }

    /// `BENTO_WEBHOOKS_WORKER`: `auto`, or `cron` when the program shall never start itself.
    pub fn worker(&self) -> Worker {
        self.worker
    }

    /// `BENTO_WEBHOOKS_SECOND_LOOK`: seconds after which Bento is asked once more when there was nothing new, because its API
    /// may lag behind its webhooks; 0, the default, for never.
    pub fn second_look(&self) -> u32 {
        self.second_look
    }

    /// Constants that start with `BENTO_WEBHOOKS_` and are none of ours: misspelt, most likely.
    pub fn unrecognized(&self) -> &[String] {
        &self.unrecognized
    }

    /// The names an unrecognized one may have been meant to be.
    pub fn names() -> &'static [&'static str] {
        &CONSTANTS
    }

    pub(super) fn read(values: &Values<'_>) -> Result<Self, ConfigError> {
        let text = |name, need| setting(values, name, need);
        let api_need = "is no https address without login, query and fragment";
        let api_url = match text(API_URL, api_need)? {
            Some((text, found)) => {
                ApiUrl::parse(&text).ok_or_else(|| invalid(API_URL, &found, api_need))?
            }
            None => ApiUrl(DEFAULT_API_URL.to_owned()),
        };
        let roles = text(ALLOW_ROLES, "is no list of roles between commas")?;
        let roles = roles.map(|(text, _)| text).unwrap_or_default();
        let roles = roles
            .split(',')
            .map(str::trim)
            .filter(|role| !role.is_empty());
        let event_need = "is no name of an event: one line of up to 200 characters";
        let welcome_event = match text(WELCOME_EVENT, event_need)? {
            Some((text, found))
                if text.chars().any(char::is_control) || text.chars().count() > EVENT_LENGTH =>
            {
                return Err(invalid(WELCOME_EVENT, &found, event_need));
            }
            found => found.map(|(text, _)| text),
        };
        let ca_need = "is no absolute path";
        let ca_file = match text(CA_FILE, ca_need)? {
            Some((text, found)) if !text.starts_with('/') => {
                return Err(invalid(CA_FILE, &found, ca_need));
            }
            found => found.map(|(text, _)| PathBuf::from(text)),
        };
        let number = |name, need, least: u32, most: u32, default| match text(name, need)? {
            Some((text, found)) => text
                .trim()
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| invalid(name, &found, need)),
            None => Ok(default),
        };
        let calls_need = "is no whole number from 1 to 6000";
        let live_need = "is no whole number from 0 to 100";
        let look_need = "is no whole number from 0 to 3600";
        let worker_need = "is neither auto nor cron";
        let worker = match text(WORKER, worker_need)? {
            None => Worker::Automatic,
            Some((text, found)) => match text.trim() {
                "auto" => Worker::Automatic,
                "cron" => Worker::Cron,
                _ => return Err(invalid(WORKER, &found, worker_need)),
            },
        };
        let ours = |name: &&str| name.starts_with("BENTO_WEBHOOKS_") && !CONSTANTS.contains(name);
        Ok(Self {
            api_url,
            allow_roles: roles.map(str::to_owned).collect(),
            mail_way: mail_way(values)?,
            welcome_event,
            ca_file,
            calls_per_minute: number(CALLS_PER_MINUTE, calls_need, 1, 6000, 60)?,
            concurrency: number(CONCURRENCY, live_need, 0, 100, 4)?,
            worker,
            second_look: number(SECOND_LOOK, look_need, 0, 3600, 0)?,
            unrecognized: values.constants().filter(ours).map(str::to_owned).collect(),
        })
    }
}

/// The server if one is set, else the command. Both are checked: a broken setting is named even when the other one rules.
fn mail_way(values: &Values<'_>) -> Result<MailWay, ConfigError> {
    let command_need =
        "is no plain command: one line, every quote closed, nothing that needs a shell";
    let command = match setting(values, SENDMAIL, command_need)? {
        Some((text, found)) => {
            SendmailCommand::parse(&text).ok_or_else(|| invalid(SENDMAIL, &found, command_need))?
        }
        None => SendmailCommand::default(),
    };
    let server_need =
        "is no address of the form smtp://user:password@host:port or smtps://…, percent-encoded";
    match setting(values, SMTP, server_need)? {
        Some((text, found)) => SmtpServer::parse(&text)
            .map(MailWay::Smtp)
            .ok_or_else(|| invalid(SMTP, &found, server_need)),
        None => Ok(MailWay::Sendmail(command)),
    }
}

/// A setting as text; empty counts as not set.
fn setting(
    values: &Values<'_>,
    name: &'static str,
    need: &'static str,
) -> Result<Option<(String, Found)>, ConfigError> {
    let found = match values.environment(name) {
        Some(found) => found,
        None => match values.constant(name)? {
            Some(found) => found,
            None => return Ok(None),
        },
    };
    let text = found.value.to_text();
    let text = text.and_then(|text| String::from_utf8(text.to_vec()).ok());
    let Some(text) = text else {
        return Err(invalid(name, &found, need));
    };
    let text = text.trim();
    Ok((!text.is_empty()).then(|| (text.to_owned(), found)))
}

fn invalid(name: &'static str, found: &Found, need: &'static str) -> ConfigError {
    let place = found.place.clone();
    Reason::Invalid { name, place, need }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_addresses_are_taken() {
        for (text, expected) in [
            (
                "https://app.bentonow.com/api/v1",
                Some("https://app.bentonow.com/api/v1"),
            ),
            (
                "https://app.bentonow.com/api/v1//",
                Some("https://app.bentonow.com/api/v1"),
            ),
            ("https://example.org", Some("https://example.org")),
            (
                "http://localhost:8080/api/",
                Some("http://localhost:8080/api"),
            ),
            ("http://127.0.0.9/", Some("http://127.0.0.9")),
            ("http://[::1]:81/x", Some("http://[::1]:81/x")),
            ("http://app.bentonow.com/api/v1", None),
            ("http://localhost.example.org/", None),
            ("http://10.0.0.1/", None),
            ("https://user@example.org/", None),
            ("https://:pw@example.org/", None),
            ("https://example.org/?a=b", None),
            ("https://example.org/?", None),
            ("https://example.org/#x", None),
            ("ftp://example.org/", None),
            ("file:///etc/passwd", None),
            ("app.bentonow.com", None),
            ("", None),
        ] {
            let parsed = ApiUrl::parse(text);
            assert_eq!(parsed.as_ref().map(ApiUrl::as_str), expected, "{text}");
        }
    }
}
