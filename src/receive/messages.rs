//! What goes out once a user is committed: the welcome, and the notice to an address that was replaced.
//!
//! Messages are made inside the user's transaction, as plain data; what sends them is in `errands.rs`.

use crate::bento::WelcomeEvent;
use crate::clock::Clock;
use crate::inbox::Errand;
use crate::log::{Entry, Level, Source, Who};
use crate::mail::{self, Letterhead, Over, Places, Recipient, Whose, Words};
use crate::outcome::Trouble;
use crate::password::{self, Form};
use crate::plan::{Plan, User};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::site::Site;
use crate::translations::Languages;
use crate::webhook::{Action, Webhook};
use crate::wp_config::Config;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use std::path::Path;

/// Length of the key in a set-password link, and of what makes a Message-ID unique.
const KEY_LENGTH: usize = 20;
const NONCE_LENGTH: usize = 32;
/// Seconds for which WordPress takes such a key.
const KEY_LIFE: i64 = 24 * 3600;

/// The key of a set-password link, and what the user's row holds of it.
pub(super) struct ResetKey {
    key: Secret,
    /// `user_activation_key`: the time and the hash.
    pub(super) column: Secret,
}

impl ResetKey {
    /// A key from the operating system's generator, hashed in the release's form.
    fn new(form: Form, now: Clock) -> ResetKey {
        let key = password::generate(KEY_LENGTH, &mut UnwrapErr(SysRng));
        let hash = password::hash_key(&key, form, &mut UnwrapErr(SysRng));
        ResetKey {
            column: Secret::new(format!("{}:{hash}", now.unix())),
            key: Secret::new(key),
        }
    }
}

/// Which message a plan is to be followed by.
enum Due<'d> {
    Welcome(&'d ResetKey),
    Notice(&'d str),
}

/// Makes the messages of one webhook.
pub(super) struct Desk<'a> {
    pub(super) config: &'a Config,
    pub(super) settings: &'a Settings,
    /// Whether the request came over https.
    secure: bool,
    pub(super) now: Clock,
    /// The key for the welcome of a new user, if there shall be one.
    pub(super) reset_key: Option<ResetKey>,
}

impl<'a> Desk<'a> {
    /// The desk for one webhook, as it is now; a new user's link takes a hash in this form.
    pub(super) fn new(
        config: &'a Config,
        settings: &'a Settings,
        webhook: &Webhook,
        form: Form,
    ) -> Desk<'a> {
        let now = Clock::now();
        let is_wanted = webhook.welcome || settings.send_welcome_email;
        let welcomes = webhook.action == Action::Add && is_wanted;
        Desk {
            config,
            settings,
            secure: webhook.secure,
            now,
            reset_key: welcomes.then(|| ResetKey::new(form, now)),
        }
    }

    /// What is due once the plan for user number `id` is committed; its log learns about it. `old_email` is the address
    /// that an existing user has had.
    pub(super) fn compose(
        &self,
        old_email: Option<&str>,
        plan: &mut Plan,
        id: u64,
        site: &mut Site<'_>,
    ) -> Result<Option<Errand>, Trouble> {
        let user = &plan.after;
        let due = match (old_email, &self.reset_key) {
            (None, Some(key)) => Due::Welcome(key),
            (Some(old), _) if !old.is_empty() && *old != user.email => Due::Notice(old),
            _ => return Ok(None),
        };
        let network = site.network_home()?;
        let read = |path: &Path| std::fs::read(path).ok();
        let languages = Languages::of(self.config, &read);
        let code = self.config.wordpress().join("wp-includes");
        let site_locale = &self.settings.locale;
        let words = Words::for_user(&user.locale(), site_locale, &languages, &code, &read);
        let nonce = password::generate(NONCE_LENGTH, &mut UnwrapErr(SysRng));
        let letterhead = self.letterhead(network.as_ref(), &nonce);
        let (errand, whose) = match due {
            Due::Welcome(key) => self.welcome(user, id, key, &letterhead, &words),
            Due::Notice(old_email) => {
                let to = Recipient {
                    login: &user.login,
                    email: old_email,
                };
                let (message, whose) = letterhead.email_changed(&to, &user.email, &words);
                (Errand::EmailChanged { user: id, message }, whose)
            }
        };
        plan.log.extend(note(whose));
        Ok(Some(errand))
    }

    /// The mail, or the event that the owner wants in its place.
    fn welcome(
        &self,
        user: &User,
        id: u64,
        key: &ResetKey,
        letterhead: &Letterhead<'_>,
        words: &Words<'_>,
    ) -> (Errand, Whose) {
        let until = self.now.unix() + KEY_LIFE;
        let Some(name) = self.config.own().welcome_event() else {
            let to = Recipient {
                login: &user.login,
                email: &user.email,
            };
            let (message, whose) = letterhead.welcome(&to, &key.key, words);
            let errand = Errand::Welcome {
                user: id,
                message,
                until,
            };
            return (errand, whose);
        };
        let event = WelcomeEvent {
            name: name.to_owned(),
            email: mail::address(&user.email),
            login: user.login.clone(),
            set_password_url: letterhead.set_password_link(&user.login, &key.key),
            site_name: self.settings.site_name.clone(),
            language: words.locale().to_owned(),
        };
        let errand = Errand::WelcomeEvent {
            user: id,
            event,
            until,
        };
        (errand, Whose::Site)
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
