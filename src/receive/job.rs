//! One webhook being worked on: Bento is asked, and what came of it decides what becomes of the row in the inbox.

use super::credentials::Credentials;
use super::outcome;
use super::write::{Fetched, Written};
use crate::bento::{Bento, Sought, Subscriber};
use crate::clean::Cleaner;
use crate::inbox::{self, Fate, Lease, Millis, Next};
use crate::outcome::{Ending, Later, Outcome, Trouble};
use crate::plan::{Link, Repertoire};
use crate::settings::{Settings, TagNames};
use crate::site::{Call, Found, Place, Share, Site};
use crate::webhook::{Action, Email, Person, Webhook};
use crate::wp_config::Config;
use rand::RngExt as _;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

/// How often we start over when a user appears, vanishes or is written between asking Bento and locking.
const TRIES: usize = 3;

/// One webhook being worked on.
pub(super) struct Job<'s, 'a> {
    pub(super) site: &'s mut Site<'a>,
    pub(super) config: &'a Config,
    pub(super) place: &'s Place,
    pub(super) settings: &'s Settings,
    pub(super) webhook: Webhook,
    pub(super) repertoire: Repertoire,
    /// The row in the inbox, as long as it is ours to end; none where webhooks are not kept.
    pub(super) lease: Option<Lease>,
    pub(super) share: Share,
    /// When Bento is asked, on the database's clock; 0 where nobody keeps time.
    pub(super) asked: Millis,
    /// What a user whose making was interrupted has got.
    pub(super) fresh: Option<Credentials>,
    /// The call that the claim has granted.
    granted: bool,
}

impl<'s, 'a> Job<'s, 'a> {
    pub(super) fn new(
        site: &'s mut Site<'a>,
        config: &'a Config,
        place: &'s Place,
        settings: &'s Settings,
        webhook: Webhook,
    ) -> Job<'s, 'a> {
        Job {
            site,
            config,
            place,
            settings,
            webhook,
            repertoire: Repertoire::Unicode,
            lease: None,
            share: Share::Live,
            asked: 0,
            fresh: None,
            granted: false,
        }
    }

    /// Takes over the row, and with it one call to Bento.
    pub(super) fn hold(&mut self, lease: Lease, share: Share) {
        self.asked = lease.since;
        self.lease = Some(lease);
        self.share = share;
        self.granted = true;
    }

    /// Works on a row of the inbox and ends it, whatever happens and whether or not the search for the user went well.
    pub(super) fn run(
        &mut self,
        found: Result<Option<Found>, Trouble>,
        bento: &Bento<'_>,
    ) -> Outcome {
        let outcome = match found.and_then(|found| self.work(found, bento)) {
            Ok(outcome) => outcome,
            Err(trouble) => {
                self.end(Some(&trouble));
                self.outcome(None, Ending::Queued(Later::After(trouble)))
            }
        };
        self.end(None);
        outcome
    }

    /// Ends the row if it still is ours. What cannot be ended now is done again when the lease has run out.
    pub(super) fn end(&mut self, failure: Option<&Trouble>) {
        if let Some(lease) = self.lease.take() {
            let _ = conclude(self.site, &lease, failure);
        }
    }

    /// Bento is asked, the rows are written; again when they have changed meanwhile.
    pub(super) fn work(
        &mut self,
        mut found: Option<Found>,
        bento: &Bento<'_>,
    ) -> Result<Outcome, Trouble> {
        for _ in 0..TRIES {
            if found.is_none() && self.webhook.action != Action::Add {
                return Ok(self.ignore_unknown_user());
            }
            let person = match self.fetch(found.as_ref(), bento) {
                Ok(Some(person)) => person,
                Ok(None) => return Ok(self.ignore_unknown_person(found.as_ref())),
                Err(trouble) => {
                    self.note_failure(found.as_ref(), &trouble);
                    return Err(trouble);
                }
            };
            let meant = found.filter(|found| is_meant(found, &person.subscriber));
            if meant.is_none() && self.webhook.action != Action::Add {
                return Ok(self.ignore_unknown_user());
            }
            match self.write(meant, &person, bento)? {
                Written::Done(outcome) => return Ok(outcome),
                Written::Again => found = self.find()?,
            }
        }
        Err(Trouble::database(
            "the user appeared, vanished or changed again and again",
        ))
    }

    /// What Bento says of the person; `None` when it does not know them.
    fn fetch(
        &mut self,
        found: Option<&Found>,
        bento: &Bento<'_>,
    ) -> Result<Option<Fetched>, Trouble> {
        self.may_call()?;
        let Some(subscriber) = bento.subscriber(&self.sought(found))? else {
            return Ok(None);
        };
        let (tags, complete) = self.tag_names(bento, &subscriber)?;
        Ok(Some(Fetched {
            subscriber,
            tags,
            complete,
        }))
    }

    /// The user, by stored contact id, else by the e-mail address in the request.
    pub(super) fn find(&mut self) -> Result<Option<Found>, Trouble> {
        match &self.webhook.person {
            Some(Person { id, email }) => self
                .site
                .user_by(id.as_deref(), email.as_ref().map(Email::as_str)),
            None => Ok(None),
        }
    }

    fn sought<'f>(&'f self, found: Option<&'f Found>) -> Sought<'f> {
        let person = self.webhook.person.as_ref();
        Sought {
            id: person.and_then(|person| person.id.as_deref()),
            email: person
                .and_then(|person| person.email.as_ref())
                .map(|email| email.as_str()),
            user_email: found.map(|found| found.email.as_str()),
        }
    }

    /// Takes one of the calls of this minute. The first comes with the row.
    pub(super) fn may_call(&mut self) -> Result<(), Trouble> {
        if !self.site.has_inbox() || std::mem::take(&mut self.granted) {
            return Ok(());
        }
        let calls = self.config.own().calls_per_minute();
        match self.site.may_call(calls, self.share, Call::Any)? {
            Some(now) => {
                self.asked = now;
                Ok(())
            }
            None => Err(Trouble::spent()),
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
        let fresh = match self.may_list_tags()? {
            true => self.refresh_tags(bento)?,
            // Somebody else has asked within this minute.
            false => self.site.kept_tags()?,
        };
        let fresh = TagNames::new(fresh.into_iter().map(|(id, name)| (id.to_string(), name)));
        let name = |id: &String| fresh.get(id).map(str::to_owned).or_else(|| known(id));
        let names: Vec<String> = ids.iter().filter_map(name).collect();
        let complete = names.len() == ids.len();
        Ok((names, complete))
    }

    /// Asks Bento for its list of tags and saves it where WP Fusion keeps it.
    fn refresh_tags(&mut self, bento: &Bento<'_>) -> Result<Vec<(u64, String)>, Trouble> {
        let cleaner = Cleaner::new(self.config.release(), &self.settings.locale);
        let fresh = bento
            .tags()?
            .into_iter()
            .map(|(id, name)| (id, cleaner.sanitize_text_field(&name)));
        let fresh: Vec<(u64, String)> = fresh.collect();
        // An empty list contradicts the tag that the person holds; it must not empty WP Fusion's own.
        if !fresh.is_empty() {
            self.site.save_tags(&fresh, self.config.release())?;
            if self.site.has_inbox() {
                self.site.keep_tags(&fresh)?;
            }
        }
        Ok(fresh)
    }

    /// Whether the list of tags may be asked for: at most once a minute for the whole site.
    fn may_list_tags(&mut self) -> Result<bool, Trouble> {
        if !self.site.has_inbox() {
            return Ok(true);
        }
        let calls = self.config.own().calls_per_minute();
        let granted = self.site.may_call(calls, self.share, Call::Tags)?;
        Ok(granted.is_some())
    }

    pub(super) fn outcome(&self, user_id: Option<u64>, ending: Ending) -> Outcome {
        outcome(&self.webhook, user_id, ending)
    }
}

/// Ends the row of an attempt: it is done, or tried again, or buried. What comes next, unless it is done.
pub(super) fn conclude(
    site: &mut Site<'_>,
    lease: &Lease,
    failure: Option<&Trouble>,
) -> Result<Option<Next>, Trouble> {
    let Some(trouble) = failure else {
        return site.end(&Fate::Done(lease)).map(|()| None);
    };
    let next = inbox::after(lease, trouble, spread());
    let why = trouble.to_string();
    let fate = match next {
        Next::At(at) => Fate::Later(lease, at, &why),
        Next::Uncounted(at) => Fate::Uncounted(lease, at, &why),
        Next::Never => Fate::Buried(lease, &why),
    };
    let ended = site.end(&fate);
    if let Some(seconds) = inbox::pause(trouble) {
        site.pause(seconds)?;
    }
    ended.map(|()| Some(next))
}

/// Up to a tenth more or less, in thousandths.
pub(super) fn spread() -> i64 {
    UnwrapErr(SysRng).random_range(-100..=100)
}

/// Whether the user is the one whom Bento means. Found by the address in the request alone, it must be Bento's address too:
/// otherwise one person's data would land in another's account.
fn is_meant(found: &Found, subscriber: &Subscriber) -> bool {
    found.link == Link::ContactId || subscriber.has_email(&found.email)
}
