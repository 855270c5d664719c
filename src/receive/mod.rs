//! The story of one webhook: key, person, inbox, Bento, plan, rows, what goes back.
//!
//! Every stage is called from here and from nowhere else, whether the sender waits (this file) or the webhook was kept
//! (`worker.rs`). It is stored before Bento is asked; from then on it is answered with 200 whatever happens, because it
//! will be done.

mod attempt;
mod credentials;
mod errands;
mod job;
mod messages;
mod notes;
mod start;
mod worker;
mod write;

pub use start::worker_anyway as start_worker;
pub use worker::{Life, Watched, Work, Worked, work};

use crate::bento::{Account, Bento};
use crate::cgi::{self, Environment, Request};
use crate::echo::{Echo, KeyPlace};
use crate::inbox::{Mark, Token};
use crate::outcome::{Ending, Later, Outcome, Refusal, Trouble};
use crate::settings::Settings;
use crate::site::{Limits, Look, Place, Share, Site, Stored, Whereabouts, Why};
use crate::webhook::{self, Action, Parameters, Person, Webhook};
use crate::wp_config::{self, Config, DbHost, Surroundings};
use job::Job;
use rand::rand_core::{Rng as _, UnwrapErr};
use rand::rngs::SysRng;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// When the last call to Bento must have ended, after the request came: the sender is answered within five seconds.
const CALL_TIME: Duration = Duration::from_millis(3700);

/// Whether the webhook of this process is in the inbox.
static STORED: AtomicBool = AtomicBool::new(false);

/// How a request ended that was cut short by `trouble`: what is stored will be done.
pub fn cut_short(trouble: Trouble) -> Ending {
    if STORED.load(Ordering::SeqCst) {
        Ending::Queued(Later::After(trouble))
    } else {
        Ending::Failed(trouble)
    }
}

/// Sees to it that there is a watchdog, before names are looked up in the net: the system keeps no time when it does that.
type Watch<'w> = &'w dyn Fn();

/// Works on one request and says how it ended. Never fails: a failure is an outcome too.
pub fn run(request: &Request, env: Environment<'_>, watch: Watch<'_>) -> Outcome {
    if !["GET", "HEAD", "POST"].contains(&request.method.as_str()) {
        return Ending::Refused(Refusal::Method).into();
    }
    match receive(request, env, watch) {
        Ok(outcome) => outcome,
        Err(trouble) => Ending::Failed(trouble).into(),
    }
}

fn receive(request: &Request, env: Environment<'_>, watch: Watch<'_>) -> Result<Outcome, Trouble> {
    let deadline = Instant::now() + CALL_TIME;
    let config = configure(env)?;
    if let DbHost::Tcp { .. } = config.database().host() {
        watch();
    }
    let mut site = Site::connect(&config)?.in_a_hurry(deadline);
    let place = site.place(&Whereabouts::Address {
        host: &request.host,
        path: &request.path,
    })?;
    let settings = site.settings(&place)?;
    let parameters = Parameters::of(request);
    if !webhook::key_is_right(request, &parameters, settings.access_key.expose_str()) {
        return Ok(Ending::Refused(Refusal::Key).into());
    }
    if request.method == "HEAD" {
        return Ok(Ending::Unchanged.into());
    }
    let webhook = webhook::read(request, &parameters);
    let mut visit = Visit {
        site: &mut site,
        config: &config,
        place: &place,
        settings: &settings,
        deadline,
    };
    match webhook {
        Err(refusal) => Ok(visit.job(Webhook::for_nobody()).refuse(refusal)),
        Ok(Webhook {
            action: Action::Test,
            ..
        }) => {
            let echo = Echo::of(request, &parameters);
            if echo.is_some() && parameters.get("after") == Some("1") {
                start::proof(visit.site, visit.config, visit.place);
            }
            Ok(Ending::Tested(echo).into())
        }
        Ok(webhook) => {
            let about = outcome(&webhook, None, Ending::Unchanged);
            watch();
            let result = visit.take(webhook, KeyPlace::of(&parameters));
            Ok(result.unwrap_or_else(|trouble| Outcome {
                ending: cut_short(trouble),
                ..about
            }))
        }
    }
}

/// Finds WordPress and reads its wp-config.php.
pub fn configure(env: Environment<'_>) -> Result<Config, Trouble> {
    let has_release = |folder: &Path| folder.join("wp-includes/version.php").is_file();
    // A folder with nothing but wp-config.php is not WordPress, but worth an error that names it.
    let has_config = |folder: &Path| folder.join("wp-config.php").is_file();
    let folder = cgi::wordpress_folder(env, &has_release)
        .or_else(|| cgi::wordpress_folder(env, &has_config));
    let folder = folder.ok_or_else(|| {
        Trouble::Setup("no WordPress folder found; set BENTO_WEBHOOKS_WORDPRESS to the folder of wp-config.php".to_owned())
    })?;
    let surroundings = Surroundings {
        env,
        server: env,
        read: &|path| std::fs::read(path),
    };
    wp_config::read(&folder, &surroundings).map_err(|error| Trouble::Setup(error.to_string()))
}

/// A site that can be worked for: connection and settings.
struct Visit<'s, 'a> {
    site: &'s mut Site<'a>,
    config: &'a Config,
    place: &'s Place,
    settings: &'s Settings,
    /// When the last call to Bento must have ended.
    deadline: Instant,
}

impl<'s, 'a> Visit<'s, 'a> {
    /// One webhook from a sender who waits: looked at, stored, and done at once if the limits allow.
    fn take(&mut self, webhook: Webhook, key: KeyPlace) -> Result<Outcome, Trouble> {
        self.check()?;
        let nobody = Person {
            id: None,
            email: None,
        };
        let person = webhook.person.as_ref().unwrap_or(&nobody);
        // A user who is being made right now is not unknown, on whatever node of a cluster.
        let is_unknown = |look: &Look| {
            let shows_somebody = look.found.is_some() || look.waiting.is_some();
            webhook.action != Action::Add && look.complete && !shows_somebody
        };
        let mut look = self.site.look(person)?;
        if is_unknown(&look) && self.site.catch_up()? {
            look = self.site.look(person)?;
        }
        let user_email = look.found.as_ref().map(|found| found.email.as_str());
        let mark = look
            .waiting
            .unwrap_or_else(|| Mark::of_person(person, user_email));
        if self.settings.staging {
            return Ok(self.job(webhook).stay_out(look.found.as_ref()));
        }
        if is_unknown(&look) {
            return Ok(self.job(webhook).ignore_unknown_user());
        }
        let bento = Bento::new(self.account(), self.deadline)?;
        if !self.site.has_inbox() {
            return self.work_at_once(webhook, look, &bento);
        }
        let mut limits = self.limits();
        if !look.complete {
            // The worker has the time to search.
            limits.live = 0;
        }
        let stored = match self.site.store(&mark, &webhook, limits, token(), key) {
            Err(_) if !self.site.has_inbox() => return self.work_at_once(webhook, look, &bento),
            stored => stored?,
        };
        STORED.store(true, Ordering::SeqCst);
        let ended = match stored {
            Stored::Waiting(why) => {
                let later = match look.complete {
                    true => later(why),
                    false => Later::Search,
                };
                outcome(&webhook, None, Ending::Queued(later))
            }
            Stored::Claimed {
                lease,
                webhook: joined,
            } => {
                let mut job = self.job(joined);
                job.hold(lease, Share::Live);
                let found = match look.found {
                    // The row that was seen may have ended before this one was stored, and left a user.
                    None if look.waiting.is_some() => job.find(),
                    found => Ok(found),
                };
                Outcome {
                    action: Some(webhook.action.name()),
                    ..job.run(found, &bento)
                }
            }
        };
        if self.site.is_deserted() {
            start::worker(self.site, self.config, self.place);
        }
        Ok(ended)
    }

    /// One webhook where none are kept.
    fn work_at_once(
        &mut self,
        webhook: Webhook,
        look: Look,
        bento: &Bento<'_>,
    ) -> Result<Outcome, Trouble> {
        let mut job = self.job(webhook);
        let found = match look.complete {
            true => look.found,
            false => job.find()?,
        };
        job.work(found, bento)
    }

    fn job(&mut self, webhook: Webhook) -> Job<'_, 'a> {
        Job::new(self.site, self.config, self.place, self.settings, webhook)
    }

    /// Whether the site works with Bento at all.
    fn check(&self) -> Result<(), Trouble> {
        if self.settings.uses_bento {
            return Ok(());
        }
        Err(Trouble::Setup(
            "WP Fusion is not connected to Bento".to_owned(),
        ))
    }

    fn limits(&self) -> Limits {
        Limits {
            calls: self.config.own().calls_per_minute(),
            live: self.config.own().concurrency(),
        }
    }

    fn account(&self) -> Account<'s> {
        let settings = self.settings;
        Account {
            api_url: self.config.own().api_url().as_str(),
            key: &settings.bento_key,
            site_uuid: &settings.site_uuid,
            home: &settings.home,
            roots: self.config.own().ca_file(),
        }
    }
}

/// Proof of a claim.
fn token() -> Token {
    let mut bytes = [0; 16];
    UnwrapErr(SysRng).fill_bytes(&mut bytes);
    Token::new(bytes)
}

fn later(why: Why) -> Later {
    match why {
        Why::Person => Later::Person,
        Why::Crowd => Later::Crowd,
        Why::Calls => Later::Calls,
        Why::Asked => Later::Asked,
    }
}

/// How the webhook ended, and about whom it was.
fn outcome(webhook: &Webhook, user_id: Option<u64>, ending: Ending) -> Outcome {
    let contact_id = webhook.person.as_ref().and_then(|person| person.id.clone());
    Outcome {
        action: Some(webhook.action.name()),
        contact_id,
        user_id,
        ending,
    }
}
