//! The story of one webhook: key, person, Bento, plan, rows, what goes back.
//!
//! Every stage is called from here and from nowhere else. Until webhooks can be kept, a failure of Bento ends the story
//! before anything is written, and the sender is told to come back.

mod credentials;
mod notes;
mod write;

use crate::bento::{Account, Bento, Sought, Subscriber};
use crate::cgi::{self, Environment, Request};
use crate::clean::Cleaner;
use crate::echo::Echo;
use crate::outcome::{Ending, Outcome, Refusal, Trouble};
use crate::plan::{Link, Repertoire};
use crate::settings::Settings;
use crate::site::{Found, Place, Site};
use crate::webhook::{self, Action, Email, Parameters, Person, Webhook};
use crate::wp_config::{self, Config, Surroundings};
use std::path::Path;
use write::Fetched;

/// Works on one request and says how it ended. Never fails: a failure is an outcome too.
pub fn run(request: &Request, env: Environment<'_>) -> Outcome {
    if !["GET", "HEAD", "POST"].contains(&request.method.as_str()) {
        return Ending::Refused(Refusal::Method).into();
    }
    match receive(request, env) {
        Ok(outcome) => outcome,
        Err(trouble) => Ending::Failed(trouble).into(),
    }
}

fn receive(request: &Request, env: Environment<'_>) -> Result<Outcome, Trouble> {
    let config = configure(env)?;
    let mut site = Site::connect(&config)?;
    let place = site.place(&request.host, &request.path)?;
    let settings = site.settings(&place)?;
    let parameters = Parameters::of(request);
    if !webhook::key_is_right(request, &parameters, settings.access_key.expose_str()) {
        return Ok(Ending::Refused(Refusal::Key).into());
    }
    if request.method == "HEAD" {
        return Ok(Ending::Unchanged.into());
    }
    let webhook = webhook::read(request, &parameters);
    let job = |webhook| Job {
        site,
        config: &config,
        place: &place,
        settings: &settings,
        webhook,
        repertoire: Repertoire::Unicode,
    };
    match webhook {
        Err(refusal) => Ok(job(Webhook::for_nobody()).refuse(refusal)),
        Ok(Webhook {
            action: Action::Test,
            ..
        }) => Ok(Ending::Tested(Echo::of(request, &parameters)).into()),
        Ok(webhook) => {
            let about = outcome(&webhook, None, Ending::Unchanged);
            let failed = |trouble| Outcome {
                ending: Ending::Failed(trouble),
                ..about
            };
            Ok(job(webhook).run().unwrap_or_else(failed))
        }
    }
}

/// Finds WordPress and reads its wp-config.php.
fn configure(env: Environment<'_>) -> Result<Config, Trouble> {
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

/// One webhook being worked on.
struct Job<'a> {
    site: Site<'a>,
    config: &'a Config,
    place: &'a Place,
    settings: &'a Settings,
    webhook: Webhook,
    repertoire: Repertoire,
}

impl<'a> Job<'a> {
    fn run(mut self) -> Result<Outcome, Trouble> {
        if !self.settings.uses_bento {
            return Err(Trouble::Setup(
                "WP Fusion is not connected to Bento".to_owned(),
            ));
        }
        let found = self.find()?;
        if self.settings.staging {
            return Ok(self.stay_out(found.as_ref()));
        }
        if found.is_none() && self.webhook.action != Action::Add {
            return Ok(self.ignore_unknown_user());
        }
        let bento = Bento::new(self.account())?;
        let subscriber = match bento.subscriber(&self.sought(found.as_ref())) {
            Ok(Some(subscriber)) => subscriber,
            Ok(None) => return Ok(self.ignore_unknown_person(found.as_ref())),
            Err(trouble) => return Err(self.note_failure(found.as_ref(), trouble)),
        };
        let found = found.filter(|found| is_meant(found, &subscriber));
        if found.is_none() && self.webhook.action != Action::Add {
            return Ok(self.ignore_unknown_user());
        }
        let (tags, complete) = match self.tag_names(&bento, &subscriber) {
            Ok(names) => names,
            Err(trouble @ Trouble::Bento { .. }) => {
                return Err(self.note_failure(found.as_ref(), trouble));
            }
            Err(trouble) => return Err(trouble),
        };
        let person = Fetched {
            subscriber,
            tags,
            complete,
        };
        self.write(found, &person, &bento)
    }

    /// The user, by stored contact id, else by the e-mail address in the request.
    fn find(&mut self) -> Result<Option<Found>, Trouble> {
        match &self.webhook.person {
            Some(Person { id, email }) => self
                .site
                .user_by(id.as_deref(), email.as_ref().map(Email::as_str)),
            None => Ok(None),
        }
    }

    fn sought<'s>(&'s self, found: Option<&'s Found>) -> Sought<'s> {
        let person = self.webhook.person.as_ref();
        Sought {
            id: person.and_then(|person| person.id.as_deref()),
            email: person
                .and_then(|person| person.email.as_ref())
                .map(|email| email.as_str()),
            user_email: found.map(|found| found.email.as_str()),
        }
    }

    fn account(&self) -> Account<'a> {
        Account {
            api_url: self.config.own().api_url().as_str(),
            key: &self.settings.bento_key,
            site_uuid: &self.settings.site_uuid,
            home: &self.settings.home,
            roots: self.config.own().ca_file(),
        }
    }

    /// Names for the person's tag ids; one refresh of the list when an id is unknown. Says whether all have a name.
    fn tag_names(
        &mut self,
        bento: &Bento<'_>,
        subscriber: &Subscriber,
    ) -> Result<(Vec<String>, bool), Trouble> {
        let settings = self.settings;
        let ids = &subscriber.tag_ids;
        let known = |id: &String| settings.tag_names.get(id).map(str::to_owned);
        let names: Vec<String> = ids.iter().filter_map(known).collect();
        if names.len() == ids.len() {
            return Ok((names, true));
        }
        let cleaner = Cleaner::new(self.config.release(), &settings.locale);
        let fresh = bento
            .tags()?
            .into_iter()
            .map(|(id, name)| (id, cleaner.sanitize_text_field(&name)));
        let fresh: Vec<(u64, String)> = fresh.collect();
        // An empty list contradicts the tag that the person holds; it must not empty WP Fusion's own.
        if !fresh.is_empty() {
            self.site.save_tags(&fresh, self.config.release())?;
        }
        let name = |id: &String| {
            let fresh = fresh
                .iter()
                .rfind(|(own, _)| own.to_string() == *id)
                .map(|(_, name)| name.clone());
            fresh.or_else(|| known(id))
        };
        let names: Vec<String> = ids.iter().filter_map(name).collect();
        let complete = names.len() == ids.len();
        Ok((names, complete))
    }

    fn outcome(&self, user_id: Option<u64>, ending: Ending) -> Outcome {
        outcome(&self.webhook, user_id, ending)
    }
}

/// Whether the user is the one whom Bento means. Found by the address in the request alone, it must be Bento's address too:
/// otherwise one person's data would land in another's account.
fn is_meant(found: &Found, subscriber: &Subscriber) -> bool {
    found.link == Link::ContactId || subscriber.has_email(&found.email)
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
