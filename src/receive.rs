//! The story of one webhook: key, person, Bento, plan, rows, what goes back.
//!
//! Every stage is called from here and from nowhere else. Until webhooks can be kept, a failure of Bento ends the story
//! before anything is written, and the sender is told to come back.

use crate::bento::{Account, Bento, Sought, Subscriber};
use crate::cgi::{self, Environment, Request};
use crate::clean::Cleaner;
use crate::log::{Entry, Level, Source, Who};
use crate::outcome::{Applied, Ending, Outcome, Refusal, Trouble};
use crate::password::{self, Form};
use crate::plan::{self, Fresh, Link, Order, Plan, Repertoire, Return, Rules};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::site::{Found, LogRow, NAMES_SLOT, Place, Site, user_slot};
use crate::translations;
use crate::webhook::{self, Action, Parameters, Person, Webhook};
use crate::wp_config::{self, Config, Surroundings};
use rand::RngExt;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use std::cell::RefCell;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// How often we start over when a user appears or vanishes between looking and locking.
const TRIES: usize = 3;

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
        }) => Ok(Ending::Tested.into()),
        Ok(webhook) => {
            let mut outcome = Outcome {
                action: Some(webhook.action.name()),
                contact_id: webhook.person.as_ref().and_then(|person| person.id.clone()),
                user_id: None,
                ending: Ending::Unchanged,
            };
            Ok(job(webhook).run().unwrap_or_else(|trouble| {
                outcome.ending = Ending::Failed(trouble);
                outcome
            }))
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

/// How one look under the lock ended.
enum Step {
    Done {
        user: u64,
        plan: Box<Plan>,
        wrote: bool,
    },
    /// Somebody else made or removed the user: look again.
    Again,
    Refused(String),
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
        let Some(Person { id, email }) = self.webhook.person.clone() else {
            return Ok(None);
        };
        if let Some(found) = id
            .map(|id| self.site.user_by_contact(&id))
            .transpose()?
            .flatten()
        {
            return Ok(Some(found));
        }
        Ok(email
            .map(|email| self.site.user_by_email(email.as_str()))
            .transpose()?
            .flatten())
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

    /// Plans and writes, then sends back what belongs to Bento.
    fn write(
        &mut self,
        mut found: Option<Found>,
        person: &Fetched,
        bento: &Bento<'_>,
    ) -> Result<Outcome, Trouble> {
        if has_astral(person) {
            self.repertoire = self.site.repertoire()?;
        }
        let cost = if self.needs_hash(found.as_ref()) {
            self.site.bcrypt_cost()?
        } else {
            None
        };
        let fresh = Credentials::new(Form::for_release(self.config.release(), cost));
        for _ in 0..TRIES {
            if found.is_none() {
                found = self.find_by_bento(&person.subscriber)?;
            }
            match self.attempt(found.as_ref(), person, &fresh)? {
                Step::Done { user, plan, wrote } => {
                    return self.finish(user, *plan, wrote, person, &fresh, bento);
                }
                Step::Refused(reason) => return Ok(self.refuse_add(reason)),
                Step::Again => {
                    found = self
                        .find()?
                        .filter(|found| is_meant(found, &person.subscriber));
                }
            }
            if found.is_none() && self.webhook.action != Action::Add {
                return Ok(self.ignore_unknown_user());
            }
        }
        Err(Trouble::database(
            "the user appeared or vanished again and again",
        ))
    }

    fn needs_hash(&self, found: Option<&Found>) -> bool {
        let may_change = self.settings.crm_field("user_pass").is_some()
            && self.webhook.action != Action::UpdateTags;
        found.is_none() || may_change
    }

    /// On add: the user who has the address that Bento has, or the id that Bento gives.
    fn find_by_bento(&mut self, subscriber: &Subscriber) -> Result<Option<Found>, Trouble> {
        if let Some(found) = self.site.user_by_contact(&subscriber.uuid)? {
            return Ok(Some(found));
        }
        Ok(subscriber
            .email
            .as_deref()
            .map(|email| self.site.user_by_email(email.trim()))
            .transpose()?
            .flatten())
    }

    /// One transaction: rows as they are, plan, changes, log.
    fn attempt(
        &mut self,
        found: Option<&Found>,
        person: &Fetched,
        fresh: &Credentials,
    ) -> Result<Step, Trouble> {
        let locks = self.locks(found, &person.subscriber);
        let cleaner = Cleaner::new(self.config.release(), &self.settings.locale);
        let now = Clock::now();
        let (utc, local) = (now.utc(), now.local(self.settings));
        let Job {
            site,
            settings,
            place,
            webhook,
            config,
            repertoire,
        } = self;
        let hash = |password: &str| fresh.hash(password);
        let name_order = || name_order(config, settings);
        let rules = Rules {
            settings,
            release: config.release(),
            cleaner: &cleaner,
            prefix: &place.prefix,
            network: place.network.as_ref(),
            allowed_roles: config.own().allow_roles(),
            repertoire: *repertoire,
            hash: &hash,
            name_order: &name_order,
        };
        let order = Order {
            action: webhook.action,
            role: webhook.role.as_deref(),
            subscriber: &person.subscriber,
            tags: &person.tags,
            tags_complete: person.complete,
        };
        if found.is_none() {
            // A hash takes longer than everything else; it is made before anybody has to wait for the lock.
            fresh.hash(
                &plan::mapped_password(&order, &rules)
                    .unwrap_or_else(|| fresh.password.expose_str().to_owned()),
            );
        }
        site.transaction(&locks, &mut |site| {
            let plan = match found {
                Some(found) => {
                    let Some(user) = site.user(found.id)? else {
                        return Ok(Step::Again);
                    };
                    plan::existing(&user, found.link, &order, &rules, site)?
                }
                None => {
                    if someone_came(site, &person.subscriber)? {
                        return Ok(Step::Again);
                    }
                    let mut random = |below: u32| fresh.random(below);
                    let mut start = Fresh {
                        password: &fresh.password,
                        now: &utc,
                        random: &mut random,
                    };
                    match plan::new_user(&order, &rules, &mut start, site)? {
                        Ok(plan) => plan,
                        Err(reason) => return Ok(Step::Refused(reason)),
                    }
                }
            };
            let changes = plan.changes();
            let user = site.apply(found.map(|found| found.id), &changes)?;
            if found.is_none() {
                site.count_users(place, settings, config.release())?;
            }
            let received = received(
                webhook,
                if webhook.action == Action::Add {
                    Who::Nobody
                } else {
                    Who::User
                },
            );
            let rows: Vec<LogRow<'_>> = [&received]
                .into_iter()
                .chain(&plan.log)
                .map(|entry| row(entry, user, webhook))
                .collect();
            site.log(&rows, settings.logging, &local, config.release())?;
            Ok(Step::Done {
                user,
                plan: Box::new(plan),
                wrote: !changes.is_empty(),
            })
        })
    }

    /// What to lock: the user; and the names of all users when one is made or a unique name may change.
    fn locks(&self, found: Option<&Found>, subscriber: &Subscriber) -> Vec<u32> {
        let Some(found) = found else {
            return vec![NAMES_SLOT];
        };
        let new_email = subscriber
            .email
            .as_deref()
            .is_some_and(|email| !email.eq_ignore_ascii_case(&found.email));
        let new_name = new_email || self.settings.crm_field("user_nicename").is_some();
        let mut locks = vec![user_slot(found.id)];
        if new_name && self.webhook.action != Action::UpdateTags {
            locks.insert(0, NAMES_SLOT);
        }
        locks
    }

    /// After the commit: fields back to Bento, the log trimmed, the outcome told.
    fn finish(
        &mut self,
        user: u64,
        plan: Plan,
        wrote: bool,
        person: &Fetched,
        fresh: &Credentials,
        bento: &Bento<'_>,
    ) -> Result<Outcome, Trouble> {
        let remark = self.send_back(user, &plan.returns, &person.subscriber.uuid, fresh, bento);
        self.site.trim_log(self.settings.logging);
        if !person.complete {
            return Err(Trouble::Tag);
        }
        let applied = Applied {
            tags: plan.tags,
            fields: plan.fields,
            remark,
        };
        let ending = if wrote {
            Ending::Applied(applied)
        } else {
            Ending::Unchanged
        };
        let mut outcome = self.outcome(Some(user), ending);
        let uuid = &person.subscriber.uuid;
        outcome.contact_id.get_or_insert_with(|| uuid.clone());
        Ok(outcome)
    }

    /// One call that carries everything that goes back after an add. Errs never: the user exists.
    fn send_back(
        &mut self,
        user: u64,
        returns: &[(String, Return)],
        uuid: &str,
        fresh: &Credentials,
        bento: &Bento<'_>,
    ) -> Option<String> {
        if returns.is_empty() {
            return None;
        }
        let value = |value: &Return| match value {
            Return::Password => fresh.password.expose_str().to_owned(),
            Return::Text(text) => text.clone(),
            Return::UserId => user.to_string(),
        };
        let fields: Vec<(String, String)> = returns
            .iter()
            .map(|(field, back)| (field.clone(), value(back)))
            .collect();
        let sent = bento.store_fields(uuid, &fields);
        let names: Vec<String> = returns.iter().map(|(field, _)| field.clone()).collect();
        let entry = match &sent {
            Ok(()) => {
                let message = format!("Sent back to Bento: {}.", Entry::quote(&names.join(", ")));
                Entry::new(Level::Info, Who::User, Source::Trace, message)
            }
            Err(trouble) => {
                let message = format!(
                    "Could not be sent back to Bento: {}. {}",
                    Entry::quote(&names.join(", ")),
                    Entry::quote(&trouble.to_string())
                );
                Entry::new(Level::Error, Who::User, Source::Bento, message)
            }
        };
        self.note(user, &[entry]);
        sent.err().map(|_| "the user was created, but the password could not be sent back to Bento; use \"Lost your password?\"".to_owned())
    }

    /// Staging mode, or a copy of the site: nothing is asked and nothing written.
    fn stay_out(&mut self, found: Option<&Found>) -> Outcome {
        let who = if self.webhook.action == Action::Add {
            Who::Nobody
        } else {
            Who::User
        };
        let message =
            "Staging mode is on, or this is a copy of the site: nothing was loaded from Bento."
                .to_owned();
        let entries = [
            received(&self.webhook, who),
            Entry::new(Level::Notice, Who::Nobody, Source::Bento, message),
        ];
        let user = found.map(|found| found.id);
        self.note(user.unwrap_or(0), &entries);
        let reason =
            "WP Fusion is in staging mode, or this is a copy of the site under another address";
        self.outcome(user, Ending::Ignored(reason.to_owned()))
    }

    fn ignore_unknown_user(&mut self) -> Outcome {
        let message = format!(
            "Webhook {} for contact {}: no user of this site has this id or e-mail address.",
            self.webhook.action.name(),
            Entry::quote(&self.contact())
        );
        self.note(
            0,
            &[Entry::new(Level::Notice, Who::Nobody, Source::Api, message)],
        );
        let reason = "no user of this site has this contact id or e-mail address; use wpf_action=add to create users";
        self.outcome(None, Ending::Ignored(reason.to_owned()))
    }

    fn ignore_unknown_person(&mut self, found: Option<&Found>) -> Outcome {
        let reason = "Bento does not know this person".to_owned();
        if self.webhook.action == Action::Add {
            return self.refuse_add(reason);
        }
        let message = format!(
            "Contact {}: Bento does not know this person; nothing was changed.",
            Entry::quote(&self.contact())
        );
        let entries = [
            received(&self.webhook, Who::User),
            Entry::new(Level::Notice, Who::User, Source::Trace, message),
        ];
        let user = found.map(|found| found.id);
        self.note(user.unwrap_or(0), &entries);
        self.outcome(user, Ending::Ignored(reason))
    }

    /// An add that cannot make a user.
    fn refuse_add(&mut self, reason: String) -> Outcome {
        let message = format!(
            "Contact {} was not imported: {}.",
            Entry::quote(&self.contact()),
            crate::page::escape(&reason)
        );
        let failure = |source| Entry::new(Level::Error, Who::Nobody, source, message.clone());
        let entries = [
            received(&self.webhook, Who::Nobody),
            failure(Source::Trace),
            failure(Source::Api),
        ];
        self.note(0, &entries);
        self.outcome(None, Ending::Ignored(reason))
    }

    /// A request with the right key that cannot be used.
    fn refuse(mut self, refusal: Refusal) -> Outcome {
        let entry = match &refusal {
            Refusal::Action(asked) if asked.is_empty() => {
                Some((Level::Error, "Webhook without wpf_action.".to_owned()))
            }
            Refusal::Action(asked) => Some((
                Level::Info,
                format!("Webhook with unknown wpf_action {}.", Entry::quote(asked)),
            )),
            Refusal::Person(fix) => Some((
                Level::Error,
                format!(
                    "Webhook without a usable contact: {}.",
                    crate::page::escape(fix)
                ),
            )),
            _ => None,
        };
        if let Some((level, message)) = entry {
            self.note(0, &[Entry::new(level, Who::Nobody, Source::Api, message)]);
        }
        Ending::Refused(refusal).into()
    }

    /// Log rows about Bento failing, in the places where WP Fusion writes them.
    fn note_failure(&mut self, found: Option<&Found>, trouble: Trouble) -> Trouble {
        let message = |what: &str| {
            format!(
                "{what} of contact {}: {}.",
                Entry::quote(&self.contact()),
                Entry::quote(&trouble.to_string())
            )
        };
        let error = |who, source, what: &str| Entry::new(Level::Error, who, source, message(what));
        let entries = match self.webhook.action {
            Action::Add => {
                let second = if self.webhook.background {
                    Source::Trace
                } else {
                    Source::Api
                };
                vec![
                    received(&self.webhook, Who::Nobody),
                    error(Who::Nobody, Source::Trace, "Could not load the data"),
                    error(Who::Nobody, second, "Could not import the user"),
                ]
            }
            Action::Update => vec![
                received(&self.webhook, Who::User),
                error(Who::User, Source::Trace, "Could not load the fields"),
                error(Who::User, Source::Trace, "Could not load the tags"),
            ],
            Action::UpdateTags | Action::Test => {
                vec![
                    received(&self.webhook, Who::User),
                    error(Who::User, Source::Trace, "Could not load the tags"),
                ]
            }
        };
        self.note(found.map_or(0, |found| found.id), &entries);
        trouble
    }

    /// Writes log rows outside of any transaction.
    fn note(&mut self, user: u64, entries: &[Entry]) {
        let rows: Vec<LogRow<'_>> = entries
            .iter()
            .map(|entry| row(entry, user, &self.webhook))
            .collect();
        let time = Clock::now().local(self.settings);
        self.site
            .log_now(&rows, self.settings.logging, &time, self.config.release());
    }

    /// The person as the request named them: id, else the mark of the address.
    fn contact(&self) -> String {
        contact(&self.webhook)
    }

    fn outcome(&self, user_id: Option<u64>, ending: Ending) -> Outcome {
        let contact_id = self
            .webhook
            .person
            .as_ref()
            .and_then(|person| person.id.clone());
        Outcome {
            action: Some(self.webhook.action.name()),
            contact_id,
            user_id,
            ending,
        }
    }
}

/// How the site's language orders first and last name; American English has no file to look into.
fn name_order(config: &Config, settings: &Settings) -> Option<String> {
    let (context, message) = (
        "Display name based on first name and last name",
        "%1$s %2$s",
    );
    if settings.locale == "en_US" {
        return None;
    }
    let read = |path: &Path| std::fs::read(path).ok();
    let site = config.site();
    let folders = [
        site.lang_dir()
            .map_or_else(|| site.content_dir().join("languages"), Path::to_path_buf),
        config.wordpress().join("wp-includes/languages"),
    ];
    folders.iter().find_map(|folder| {
        translations::find(
            folder,
            &settings.locale,
            config.release(),
            context,
            message,
            &read,
        )
    })
}

/// What Bento said of the person.
struct Fetched {
    subscriber: Subscriber,
    tags: Vec<String>,
    complete: bool,
}

/// Whether the user is the one whom Bento means. Found by the address in the request alone, it must be Bento's address too:
/// otherwise one person's data would land in another's account.
fn is_meant(found: &Found, subscriber: &Subscriber) -> bool {
    found.link == Link::ContactId || subscriber.has_email(&found.email)
}

/// Whether a user with this id or address is there now that the lock is held.
fn someone_came(site: &mut Site<'_>, subscriber: &Subscriber) -> Result<bool, Trouble> {
    let by_email = subscriber
        .email
        .as_deref()
        .map(|email| site.user_by_email(email.trim()))
        .transpose()?
        .flatten();
    Ok(by_email.is_some() || site.user_by_contact(&subscriber.uuid)?.is_some())
}

/// Whether any text is beyond what every charset holds, so that the columns' charset matters.
fn has_astral(person: &Fetched) -> bool {
    let beyond = |text: &str| !Repertoire::Latin.holds(text);
    if person.tags.iter().any(|name| beyond(name)) {
        return true;
    }
    let mut stack: Vec<&serde_json::Value> = person.subscriber.fields.values().collect();
    while let Some(value) = stack.pop() {
        match value {
            serde_json::Value::String(text) if beyond(text) => return true,
            serde_json::Value::Array(items) => stack.extend(items),
            serde_json::Value::Object(members) if members.keys().any(|name| beyond(name)) => {
                return true;
            }
            serde_json::Value::Object(members) => stack.extend(members.values()),
            _ => {}
        }
    }
    false
}

fn contact(webhook: &Webhook) -> String {
    let Some(person) = &webhook.person else {
        return String::new();
    };
    let mark = || {
        person
            .email
            .as_ref()
            .map(|email| format!("email:{}", crate::text::email_mark(email.as_str())))
    };
    person.id.clone().or_else(mark).unwrap_or_default()
}

/// The first log row of every webhook.
fn received(webhook: &Webhook, who: Who) -> Entry {
    let later = if webhook.background { " (async)" } else { "" };
    let message = format!(
        "Webhook <strong>{}</strong>{later} for contact {}.",
        webhook.action.name(),
        Entry::quote(&contact(webhook))
    );
    Entry::new(Level::Info, who, Source::Api, message)
}

fn row<'e>(entry: &'e Entry, user: u64, webhook: &Webhook) -> LogRow<'e> {
    LogRow {
        entry,
        user,
        source: entry.source.value(webhook.action, webhook.background),
    }
}

/// The generated password and the hash of whichever password is used, made once for all attempts.
struct Credentials {
    password: Secret,
    form: Form,
    hashed: RefCell<Option<(Secret, String)>>,
}

impl Credentials {
    fn new(form: Form) -> Credentials {
        let password = Secret::new(password::generate(12, &mut UnwrapErr(SysRng)));
        Credentials {
            password,
            form,
            hashed: RefCell::new(None),
        }
    }

    fn hash(&self, password: &str) -> String {
        if let Some((_, hash)) = self
            .hashed
            .borrow()
            .as_ref()
            .filter(|(known, _)| known.expose_str() == password)
        {
            return hash.clone();
        }
        let hash = password::hash(password.as_bytes(), self.form, &mut UnwrapErr(SysRng));
        *self.hashed.borrow_mut() = Some((Secret::new(password.to_owned()), hash.clone()));
        hash
    }

    /// A number from 1 to `most`.
    fn random(&self, most: u32) -> u32 {
        UnwrapErr(SysRng).random_range(1..=most)
    }
}

/// The time of the webhook.
struct Clock {
    unix: i64,
}

impl Clock {
    fn now() -> Clock {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Clock {
            unix: i64::try_from(since.as_secs()).unwrap_or_default(),
        }
    }

    fn utc(&self) -> String {
        date_time(self.unix)
    }

    fn local(&self, settings: &Settings) -> String {
        date_time(self.unix + settings.zone.offset_at(self.unix))
    }
}

/// `YYYY-MM-DD HH:MM:SS` for seconds since 1970.
pub fn date_time(unix: i64) -> String {
    match tz::UtcDateTime::from_timespec(unix, 0) {
        Ok(t) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            t.year(),
            t.month(),
            t.month_day(),
            t.hour(),
            t.minute(),
            t.second()
        ),
        Err(_) => "1970-01-01 00:00:00".to_owned(),
    }
}
