//! Two hundred webhooks at once for as many people: how many are right in the end, and what the server goes through.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mysql::prelude::Queryable as _;

use crate::contender::{self, Contender, Way};
use crate::ground::{CROWD as MANY, Ground};
use crate::meter;
use crate::progress::Progress;
use crate::stage::{Programs, Stage};
use crate::support::cgi::Request;

/// How long a burst may take until everything is right: of the calls in a minute, a backlog takes half.
const PATIENCE: Duration = Duration::from_secs(600);

/// How Bento behaves.
#[derive(Clone, Copy)]
enum Manner {
    AtOnce,
    Slow,
    Limited,
}

impl Manner {
    const ALL: [Manner; 3] = [Manner::AtOnce, Manner::Slow, Manner::Limited];

    fn name(self) -> &'static str {
        match self {
            Manner::AtOnce => "at once",
            Manner::Slow => "after 100 ms",
            Manner::Limited => "100 calls a minute",
        }
    }

    /// What the owner has set for it; the default where Bento limits its calls.
    fn calls(self) -> &'static str {
        match self {
            Manner::Limited => "60",
            Manner::AtOnce | Manner::Slow => "6000",
        }
    }

    fn set(self, ground: &Ground) {
        ground.bento.world().latency = match self {
            Manner::Slow => Duration::from_millis(100),
            Manner::AtOnce | Manner::Limited => Duration::ZERO,
        };
        ground.front.limit(match self {
            Manner::Limited => Some(100),
            Manner::AtOnce | Manner::Slow => None,
        });
    }
}

/// What a burst has led to.
struct Burst {
    answered: usize,
    slowest: Duration,
    right: u64,
    right_after: Duration,
    processes: usize,
    connections: u64,
}

const HEAD: &str = "| contender | Bento answers | answered 200 | slowest answer, s | right in the end | after, s | processes | connections |\n\
    |---|---|--:|--:|--:|--:|--:|--:|\n";

impl Burst {
    fn row(&self, contender: &Contender<'_>, manner: Manner) -> String {
        format!(
            "| {} | {} | {} | {:.2} | {} of {MANY} | {:.1} | {} | {} |\n",
            contender.name,
            manner.name(),
            self.answered,
            self.slowest.as_secs_f64(),
            self.right,
            self.right_after.as_secs_f64(),
            self.processes,
            self.connections
        )
    }
}

/// All bursts; a table in Markdown.
pub(crate) fn run(stage: &mut Stage, programs: &Programs) -> Result<String> {
    let mut table = HEAD.to_owned();
    let mut progress = Progress::new(Manner::ALL.len() * 3);
    for manner in Manner::ALL {
        stage.define("BENTO_WEBHOOKS_CONCURRENCY", "4");
        stage.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", manner.calls());
        let contenders = stage.contenders(programs)?;
        for contender in &contenders {
            let Way::Asked(address) = &contender.way else {
                continue;
            };
            progress.step(&format!("{}: Bento {}", contender.name, manner.name()));
            manner.set(&stage.ground);
            let burst = burst(contender, address, &stage.ground, programs)?;
            table += &burst.row(contender, manner);
            Manner::AtOnce.set(&stage.ground);
        }
    }
    Ok(table)
}

fn burst(
    contender: &Contender<'_>,
    address: &str,
    ground: &Ground,
    programs: &Programs,
) -> Result<Burst> {
    let requests = ground.burst(contender.number, contender.parameter);
    let begun = Instant::now();
    let (answers, peak) = send(contender, address, &requests)?;
    let mut right = count_right(contender, ground)?;
    while contender.keeps() && right < MANY && begun.elapsed() < PATIENCE {
        work(contender, programs)?;
        // The world goes on meanwhile: a limit of calls is over after a minute.
        thread::sleep(Duration::from_millis(500));
        right = count_right(contender, ground)?;
    }
    Ok(Burst {
        answered: answers.iter().filter(|(status, _)| *status == 200).count(),
        slowest: answers
            .iter()
            .map(|(_, wall)| *wall)
            .max()
            .unwrap_or_default(),
        right,
        right_after: begun.elapsed(),
        processes: peak.0,
        connections: peak.1,
    })
}

type Answers = Vec<(u16, Duration)>;

/// Sends all of them at once; the answers, and the most processes and database connections meanwhile.
fn send(
    contender: &Contender<'_>,
    address: &str,
    requests: &[Request],
) -> Result<(Answers, (usize, u64))> {
    let (answers, barrier, done) = (
        Mutex::new(Vec::new()),
        Barrier::new(requests.len() + 1),
        AtomicBool::new(false),
    );
    let mut root = contender.shop.database.root();
    let name = contender.shop.database.name();
    thread::scope(|scope| -> Result<(Answers, (usize, u64))> {
        let (answers, barrier, done) = (&answers, &barrier, &done);
        let watcher = scope.spawn(move || -> Result<(usize, u64)> {
            let mut peak = (0, 0);
            while !done.load(Ordering::SeqCst) {
                let is_worker = |name: &str| {
                    name == "bento-webhooks" || name == "receive" || name.starts_with("php-fpm")
                };
                let workers = meter::descendants()
                    .iter()
                    .filter(|(_, name)| is_worker(name))
                    .count();
                let connections: Option<u64> = root.exec_first(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = ?",
                    (name,),
                )?;
                peak = (peak.0.max(workers), peak.1.max(connections.unwrap_or(0)));
            }
            Ok(peak)
        });
        let senders: Vec<_> = requests
            .iter()
            .map(|request| {
                scope.spawn(move || {
                    barrier.wait();
                    let begun = Instant::now();
                    let status = contender::ask(address, request).map_or(0, |run| run.status);
                    if let Ok(mut answers) = answers.lock() {
                        answers.push((status, begun.elapsed()));
                    }
                })
            })
            .collect();
        barrier.wait();
        let ended = senders
            .into_iter()
            .try_for_each(|sender| sender.join().ok().context("a sender died"));
        done.store(true, Ordering::SeqCst);
        let peak = watcher.join().ok().context("the watcher died")??;
        ended?;
        let answers = answers
            .lock()
            .map(|mut answers| std::mem::take(&mut *answers));
        Ok((answers.unwrap_or_default(), peak))
    })
}

/// What a crontab does, for whoever keeps work for later.
fn work(contender: &Contender<'_>, programs: &Programs) -> Result<()> {
    let mut command = Command::new(&programs.ours);
    command
        .arg("work")
        .env("BENTO_WEBHOOKS_WORDPRESS", &contender.shop.wordpress);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(())
}

/// How many of the people are in WordPress as Bento has them: one user each, with one list of tags.
fn count_right(contender: &Contender<'_>, ground: &Ground) -> Result<u64> {
    let mut root = contender.shop.database.root();
    let mut right = 0;
    for (email, first_name) in ground.burst_people(contender.number) {
        let found: Vec<Option<String>> = root.exec(
            "SELECT n.meta_value FROM wp_users u \
             LEFT JOIN wp_usermeta n ON n.user_id = u.ID AND n.meta_key = 'first_name' \
             LEFT JOIN wp_usermeta t ON t.user_id = u.ID AND t.meta_key = 'bento_tags' \
             WHERE u.user_email = ? AND t.meta_value LIKE 'a:1:%'",
            (email,),
        )?;
        right += u64::from(found == [Some(first_name)]);
    }
    Ok(right)
}
