//! The worker: what was kept is done, row by row, by the same steps as a webhook whose sender waits.

use super::errands;
use super::job::conclude;
use super::{CALL_TIME, Visit, configure, start, token};
use crate::bento::Bento;
use crate::cgi::Environment;
use crate::clock::Clock;
use crate::inbox::{self, Errand, Fate, Lease, Millis, Next, Task, Token};
use crate::outcome::{Outcome, Trouble};
use crate::site::{LogRow, SOON, Share, Site, Turn, Whereabouts};
use crate::webhook::Webhook;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

/// How long a worker lives.
const LIFE: Duration = Duration::from_secs(50);
/// How long one mail may take: some mail servers let strangers wait.
const MAIL_TIME: Duration = Duration::from_secs(20);
/// How long it waits at most before it looks again, so that new rows do not wait.
const GLANCE: Duration = Duration::from_millis(500);

/// How long the worker works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// About 50 seconds, or until the inbox is empty.
    Short,
    /// Until nothing is due, but no longer than the above.
    Now,
    /// Until the inbox is empty, however long rows wait for their next attempt.
    UntilEmpty,
}

/// What a worker is to do.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Number of the site; all sites of the installation when there is none.
    pub site: Option<u64>,
    /// The worker's place, if the one who started it has taken it.
    pub place: Option<Token>,
    /// How long.
    pub life: Life,
    /// Who watches.
    pub watched: Watched,
}

/// Who watches a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// Somebody who wants to know how much there is to do.
    AtTerminal,
    /// Nobody: that costs a look into the inbox.
    ByNobody,
}

/// What a worker has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worked {
    /// The worker has begun at a site where so many rows wait.
    Begun(u64),
    /// A webhook.
    Webhook(Outcome),
    /// Something was sent, or not.
    Errand(Result<(), Trouble>),
    /// A row that cannot be read, or that has cut short every attempt, was buried.
    GivenUp,
    /// Nothing can be done for so many milliseconds.
    Waiting(u64),
    /// Another worker is there.
    Replaced,
}

/// Works until there is nothing left to do, or time is up, and tells `watch` of every step.
pub fn work(
    env: Environment<'_>,
    work: &Work,
    watch: &mut dyn FnMut(&Worked),
) -> Result<(), Trouble> {
    let config = configure(env)?;
    let mut site = Site::connect_for_work(&config)?;
    let end = match work.life {
        Life::Short | Life::Now => Some(Instant::now() + LIFE),
        Life::UntilEmpty => None,
    };
    let numbers = match work.site {
        Some(number) => vec![number],
        None => site.numbers()?,
    };
    for number in numbers {
        let place = site.place(&Whereabouts::Number(number))?;
        let mut shift = Shift {
            token: match work.place {
                Some(token) => token,
                None => token(),
            },
            end,
            ahead: match (work.life, work.place) {
                (Life::Now, _) => None,
                // Nobody else comes back: it is followed by another one for as long as something is due soon.
                (_, Some(_)) => Some(SOON),
                (_, None) => Some(0),
            },
            watch,
        };
        if work.place.is_none() && !(site.prepare()? && site.hire(shift.token, shift.left())?) {
            continue;
        }
        site.clear_graves()?;
        if work.watched == Watched::AtTerminal {
            let overview = site.overview(config.own().calls_per_minute())?;
            (shift.watch)(&Worked::Begun(overview.waiting + overview.running));
        }
        let settings = site.settings(&place)?;
        let mut visit = Visit {
            site: &mut site,
            config: &config,
            place: &place,
            settings: &settings,
            deadline: Instant::now(),
        };
        visit.check()?;
        let rest = match panic::catch_unwind(AssertUnwindSafe(|| shift.run(&mut visit))) {
            Ok(rest) => rest?,
            // A bug in one row must not keep the others waiting; the connection may be in the middle of an answer.
            Err(_) => {
                site = Site::connect_for_work(&config)?;
                site.place(&Whereabouts::Number(number))?;
                Rest::Due
            }
        };
        if rest == Rest::Due {
            site.dismiss(shift.token)?;
            start::worker(&mut site, &config, &place);
        }
    }
    Ok(())
}

/// What a worker leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Nothing that is due soon.
    Nothing,
    /// Time was up before everything was done.
    Due,
}

/// One worker's time at one site.
struct Shift<'w> {
    token: Token,
    end: Option<Instant>,
    /// How many milliseconds it looks ahead at least; none when it does not wait for what comes due later.
    ahead: Option<Millis>,
    watch: &'w mut dyn FnMut(&Worked),
}

impl Shift<'_> {
    /// Time that is left.
    fn left(&self) -> Millis {
        match self.end {
            // Longer than any row waits.
            None => u64::from(u32::MAX),
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                u64::try_from(left.as_millis()).unwrap_or_default()
            }
        }
    }

    fn run(&mut self, visit: &mut Visit<'_, '_>) -> Result<Rest, Trouble> {
        while self.left() > 0 {
            let calls = visit.limits().calls;
            let horizon = self.ahead.map_or(0, |ahead| ahead.max(self.left()));
            let turn = visit.site.next(self.token, token(), calls, horizon)?;
            let worked = match turn {
                Turn::Nothing => return Ok(Rest::Nothing),
                Turn::Replaced => {
                    (self.watch)(&Worked::Replaced);
                    return Ok(Rest::Nothing);
                }
                Turn::Wait(wait) => {
                    (self.watch)(&Worked::Waiting(wait));
                    std::thread::sleep(Duration::from_millis(wait).min(GLANCE));
                    continue;
                }
                Turn::Task(lease, task) => visit.turn(lease, task.map(|task| *task))?,
            };
            (self.watch)(&worked);
        }
        Ok(Rest::Due)
    }
}

impl Visit<'_, '_> {
    /// One row, from claim to end, with the owner's settings as they are now.
    fn turn(&mut self, lease: Lease, task: Option<Task>) -> Result<Worked, Trouble> {
        if inbox::is_too_many(lease.attempt) {
            let fate = Fate::Buried(&lease, "every attempt was cut short");
            return self.site.end(&fate).map(|()| Worked::GivenUp);
        }
        let settings = self.site.settings(self.place)?;
        let mut visit = Visit {
            site: self.site,
            config: self.config,
            place: self.place,
            settings: &settings,
            deadline: Instant::now() + CALL_TIME,
        };
        match task {
            Some(Task::Webhook(webhook)) => visit.webhook(lease, webhook).map(Worked::Webhook),
            Some(Task::Errand(errand)) => visit.errand(lease, &errand).map(Worked::Errand),
            None => {
                let fate = Fate::Buried(&lease, "the row cannot be read");
                self.site.end(&fate).map(|()| Worked::GivenUp)
            }
        }
    }

    fn webhook(&mut self, lease: Lease, webhook: Webhook) -> Result<Outcome, Trouble> {
        let bento = Bento::new(self.account(), self.deadline)?;
        let mut job = self.job(webhook);
        job.hold(lease, Share::Kept);
        let found = job.find();
        if job.settings.staging {
            let outcome = job.stay_out(found?.as_ref());
            job.end(None);
            return Ok(outcome);
        }
        Ok(job.run(found, &bento))
    }

    /// Sends what could not be sent before. Its log row is written when it is done or given up.
    fn errand(
        &mut self,
        mut lease: Lease,
        errand: &Errand,
    ) -> Result<Result<(), Trouble>, Trouble> {
        if lease.is_handed_over() {
            self.note(errand.user(), &errands::unheard());
            return self.site.end(&Fate::Done(&lease)).map(Ok);
        }
        let bento = Bento::new(self.account(), self.deadline)?;
        let mut note = || self.site.hand_over(&mut lease);
        let sent = errands::deliver(errand, &bento, self.config, MAIL_TIME, &mut note);
        let failure = sent.as_ref().err();
        let next = conclude(self.site, &lease, failure)?;
        if matches!(next, None | Some(Next::Never)) {
            let entry = errands::entry(errand, failure);
            if let Some(entry) = entry {
                self.note(errand.user(), &entry);
            }
        }
        Ok(sent)
    }

    fn note(&mut self, user: u64, entry: &crate::log::Entry) {
        let time = Clock::now().local(&self.settings.zone);
        let job = self.job(Webhook::for_nobody());
        let row = LogRow {
            entry,
            user,
            source: entry.source.value(job.webhook.action, false),
        };
        let log = job.log(&time);
        self.site.log_now(&[row], log);
    }
}
