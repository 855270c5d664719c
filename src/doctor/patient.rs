//! The site under examination: what one check learns and others need.

use super::locate::Located;
use crate::bento::Look;
use crate::clock::Clock;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::site::{Place, Site};
use crate::web::{Web, login};
use crate::wp_config::Config;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use url::Url;

/// The site, as far as it is known.
pub(super) struct Patient {
    /// Where WordPress is.
    pub(super) located: Located,
    /// wp-config.php, or why it cannot be read.
    pub(super) config: Result<&'static Config, String>,
    /// `--url`: which site of a network, or at which address.
    pub(super) url: Option<Url>,
    /// The connection to the database and where on it the site is.
    pub(super) database: OnceLock<Mutex<Connection>>,
    /// WP Fusion's settings.
    pub(super) settings: OnceLock<Settings>,
    /// The way to the site over the network.
    pub(super) web: OnceLock<Web>,
    /// What Bento said.
    pub(super) bento: OnceLock<Look>,
    /// Clocks of others less ours, in seconds, with their names.
    pub(super) skews: Mutex<Vec<(&'static str, i64)>>,
}

/// The database, opened once and shared.
pub(super) struct Connection {
    pub(super) site: Site<'static>,
    pub(super) place: Place,
}

impl Patient {
    /// A site of which nothing is known but its folder and configuration.
    pub(super) fn new(
        located: Located,
        config: Result<&'static Config, String>,
        url: Option<Url>,
    ) -> Patient {
        Patient {
            located,
            config,
            url,
            database: OnceLock::new(),
            settings: OnceLock::new(),
            web: OnceLock::new(),
            bento: OnceLock::new(),
            skews: Mutex::new(Vec::new()),
        }
    }

    /// The database, when `db.connect` has opened it.
    pub(super) fn database(&self) -> Option<MutexGuard<'_, Connection>> {
        let database = self.database.get()?;
        Some(database.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The home address: `--url`, else what WordPress says.
    pub(super) fn home(&self) -> Option<&str> {
        match &self.url {
            Some(url) => Some(url.as_str().trim_end_matches('/')),
            None => self.settings.get().map(|settings| settings.home.as_str()),
        }
    }

    /// Everything that must never be shown, as far as it is known.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let config = self.config.as_ref().ok();
        let password = config.map(|config| config.database().password().clone());
        let keys = self.settings.get().into_iter().flat_map(|settings| {
            let bento = settings.bento_key.expose_str().split(':');
            let bento = bento.map(|part| Secret::new(part.to_owned()));
            let site = Secret::new(settings.site_uuid.clone());
            bento.chain([settings.access_key.clone(), site])
        });
        let addresses = self.settings.get().into_iter();
        let addresses = addresses.flat_map(|settings| [&*settings.home, &*settings.site_url]);
        let addresses = addresses.chain(self.url.iter().map(Url::as_str));
        let logins = addresses.filter_map(login);
        let logins = logins.flat_map(|login| [Some(login), login.split(':').nth(1)]);
        let logins = logins.flatten().map(Secret::new);
        password.into_iter().chain(keys).chain(logins).collect()
    }

    /// Notes how far a clock is from ours, by the `Date` that its server sent `took` ago.
    pub(super) fn note_clock(&self, name: &'static str, date: Option<&str>, took: Duration) {
        let Some(theirs) = date.and_then(Clock::from_http_date) else {
            return;
        };
        let ours = Clock::now().unix();
        let half = i64::try_from(took.as_secs() / 2).unwrap_or_default();
        self.note_skew(name, theirs.unix() - (ours - half));
    }

    /// Notes by how many seconds a clock is ahead of ours.
    pub(super) fn note_skew(&self, name: &'static str, seconds: i64) {
        let mut skews = self.skews.lock().unwrap_or_else(PoisonError::into_inner);
        skews.push((name, seconds));
    }
}
