//! What goes out once a user is committed: the welcome, and the notice to an address that was replaced.
//!
//! Messages are made inside the user's transaction, as plain data, and sent after COMMIT. A failure to send never
//! undoes the user: it is told in the answer and in the log.

use super::Job;
use crate::bento::{Bento, WelcomeEvent};
use crate::clock::Clock;
use crate::log::{Entry, Level, Source, Who};
use crate::mail::{self, Letterhead, Message, Over, Places, Recipient, Whose, Words};
use crate::outcome::Trouble;
use crate::password::{self, Form};
use crate::plan::{Plan, User};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::site::Site;
use crate::translations::Languages;
use crate::wp_config::Config;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};

/// Time that a mail is always given: the user exists by then.
const MAIL_TIME: Duration = Duration::from_millis(1500);
/// Length of the key in a set-password link, and of what makes a Message-ID unique.
const KEY_LENGTH: usize = 20;
const NONCE_LENGTH: usize = 32;

/// One thing to send. It can be stored and sent later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outgoing {
    /// The welcome mail.
    Welcome(Message),
    /// The welcome as an event in Bento.
    WelcomeEvent(WelcomeEvent),
    /// The notice to the old address.
    EmailChanged(Message),
}

impl Outgoing {
    /// What it is, for the log.
    fn name(&self) -> &'static str {
        match self {
            Outgoing::Welcome(_) => "The welcome mail",
            Outgoing::WelcomeEvent(_) => "The welcome event",
            Outgoing::EmailChanged(_) => "The notice to the old e-mail address",
        }
    }

    /// What the owner is told when it could not be sent.
    fn remark(&self) -> &'static str {
        match self {
            Outgoing::Welcome(_) => {
                "the welcome mail could not be handed over; use \"Lost your password?\""
            }
            Outgoing::WelcomeEvent(_) => {
                "the welcome event could not be sent to Bento; use \"Lost your password?\""
            }
            Outgoing::EmailChanged(_) => {
                "the old e-mail address could not be told that it was replaced"
            }
        }
    }
}

/// The key of a set-password link, and what the user's row holds of it.
pub(super) struct ResetKey {
    key: Secret,
    /// `user_activation_key`: the time and the hash.
    pub(super) column: Secret,
}

impl ResetKey {
    /// A key from the operating system's generator, hashed in the release's form.
    pub(super) fn new(form: Form, now: Clock) -> ResetKey {
        let key = password::generate(KEY_LENGTH, &mut UnwrapErr(SysRng));
        let hash = password::hash_key(&key, form, &mut UnwrapErr(SysRng));
        ResetKey {
            column: Secret::new(format!("{}:{hash}", now.unix())),
            key: Secret::new(key),
        }
    }
}

/// Makes the messages of one webhook.
pub(super) struct Desk<'a> {
    pub(super) config: &'a Config,
    pub(super) settings: &'a Settings,
    /// Whether the request came over https.
    pub(super) secure: bool,
    pub(super) now: Clock,
    /// The key for the welcome of a new user, if there shall be one.
    pub(super) reset_key: Option<ResetKey>,
}

impl Desk<'_> {
    /// What is due once the plan is committed; its log learns about it. `old_email` is the address that an existing user
    /// has had.
    pub(super) fn compose(
        &self,
        old_email: Option<&str>,
        plan: &mut Plan,
        site: &mut Site<'_>,
    ) -> Result<Vec<Outgoing>, Trouble> {
        let user = &plan.after;
        let replaced = old_email.filter(|old| !old.is_empty() && *old != user.email);
        if self.reset_key.is_none() && replaced.is_none() {
            return Ok(Vec::new());
        }
        let network = site.network_home()?;
        let read = |path: &Path| std::fs::read(path).ok();
        let languages = Languages::of(self.config, &read);
        let code = self.config.wordpress().join("wp-includes");
        let site_locale = &self.settings.locale;
        let words = Words::for_user(&user.locale(), site_locale, &languages, &code, &read);
        let nonce = password::generate(NONCE_LENGTH, &mut UnwrapErr(SysRng));
        let letterhead = self.letterhead(network.as_ref(), &nonce);
        let welcome = self
            .reset_key
            .as_ref()
            .map(|key| self.welcome(user, key, &letterhead, &words));
        let notice = replaced.map(|old_email| {
            let to = Recipient {
                login: &user.login,
                email: old_email,
            };
            let (message, whose) = letterhead.email_changed(&to, &user.email, &words);
            (Outgoing::EmailChanged(message), whose)
        });
        let mut outgoing = Vec::new();
        for (message, whose) in welcome.into_iter().chain(notice) {
            outgoing.push(message);
            plan.log.extend(note(whose));
        }
        Ok(outgoing)
    }

    /// The mail, or the event that the owner wants in its place.
    fn welcome(
        &self,
        user: &User,
        key: &ResetKey,
        letterhead: &Letterhead<'_>,
        words: &Words<'_>,
    ) -> (Outgoing, Whose) {
        let Some(name) = self.config.own().welcome_event() else {
            let to = Recipient {
                login: &user.login,
                email: &user.email,
            };
            let (message, whose) = letterhead.welcome(&to, &key.key, words);
            return (Outgoing::Welcome(message), whose);
        };
        let event = WelcomeEvent {
            name: name.to_owned(),
            email: mail::address(&user.email),
            login: user.login.clone(),
            set_password_url: letterhead.set_password_link(&user.login, &key.key),
            site_name: self.settings.site_name.clone(),
            language: words.locale().to_owned(),
        };
        (Outgoing::WelcomeEvent(event), Whose::Site)
    }

    fn letterhead<'l>(
        &'l self,
        network: Option<&'l (String, String)>,
        nonce: &'l str,
    ) -> Letterhead<'l> {
        let over = match (self.secure, self.config.site().force_ssl_admin()) {
            (true, _) => Over::Https,
            (false, true) => Over::HttpsLogin,
            (false, false) => Over::Http,
        };
        Letterhead {
            release: self.config.release(),
            places: Places {
                site_url: &self.settings.site_url,
                home: &self.settings.home,
                network: network.map(|(domain, path)| (domain.as_str(), path.as_str())),
                over,
            },
            site_name: &self.settings.site_name,
            charset: &self.settings.charset,
            admin_email: &self.settings.admin_email,
            now: self.now.unix(),
            nonce,
        }
    }
}

/// The log row about words that had to be ours.
fn note(whose: Whose) -> Option<Entry> {
    match whose {
        Whose::Site => None,
        Whose::Ours => {
            let message = "WordPress's own words for a mail to this user were found neither in the language files nor in \
                           wp-includes; words of bento-webhooks were used."
                .to_owned();
            Some(Entry::new(Level::Notice, Who::User, Source::Trace, message))
        }
    }
}

impl Job<'_> {
    /// Sends what the commit has made due, and says what could not be sent.
    pub(super) fn send(
        &mut self,
        user: u64,
        outgoing: &[Outgoing],
        bento: &Bento<'_>,
    ) -> Vec<&'static str> {
        let mut remarks = Vec::new();
        for item in outgoing {
            let Err(reason) = self.send_one(item, bento) else {
                continue;
            };
            let message = format!("{} was not sent: {}.", item.name(), Entry::quote(&reason));
            self.note(
                user,
                &[Entry::new(Level::Error, Who::User, Source::Trace, message)],
            );
            remarks.push(item.remark());
        }
        remarks
    }

    fn send_one(&self, item: &Outgoing, bento: &Bento<'_>) -> Result<(), String> {
        let own = self.config.own();
        match item {
            Outgoing::Welcome(message) | Outgoing::EmailChanged(message) => {
                let deadline = Instant::now() + bento.time_left().max(MAIL_TIME);
                mail::deliver(message, own.mail_way(), own.ca_file(), deadline)
                    .map_err(|failure| failure.to_string())
            }
            Outgoing::WelcomeEvent(event) => bento
                .send_event(event)
                .map_err(|trouble| trouble.to_string()),
        }
    }
}
