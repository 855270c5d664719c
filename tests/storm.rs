//! Thousands of webhooks while everything goes wrong: Bento fails and limits, its data change, and processes are killed.
//! At the end each user is as Bento has them.
//!
//! `BENTO_WEBHOOKS_STORM=10000` is the whole storm; by default it is a smaller one. A failure prints the seed; chance alone is repeated by
//! it, not the order in which the processes get their turns.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test stops at the first surprise and says so"
)]

mod support;

#[path = "../src/dice.rs"]
mod dice;
#[path = "support/stage.rs"]
mod stage;

#[path = "storm/mails.rs"]
mod mails;
#[path = "storm/people.rs"]
mod people;
#[path = "storm/sender.rs"]
mod sender;
#[path = "storm/workers.rs"]
mod workers;

use crate::dice::Dice;
use crate::mails::Mails;
use crate::people::People;
use crate::sender::Sender;
use crate::stage::Stage;
use crate::support::bento::{Call, Fault, Flaw, Limit};
use crate::support::database::Server;
use crate::support::inbox;
use crate::workers::Workers;
use serde_json::json;
use std::time::{Duration, Instant};

/// How many webhooks, unless the environment says otherwise.
const WEBHOOKS: usize = 1500;
/// Calls to Bento in any minute, for each webhook of the storm: so few that most must wait. In proportion Bento itself
/// takes 100 where the program may make 60.
const CALLS: f64 = 0.1;
const MINUTE: Duration = Duration::from_secs(60);
/// More hours than the worker needs for what the storm has left.
const HOURS: usize = 100;
/// Senders that work at the same time.
const SENDERS: u64 = 8;
/// Of a hundred processes so many are killed.
const KILLED: usize = 20;

fn webhooks() -> usize {
    let given = std::env::var("BENTO_WEBHOOKS_STORM");
    given.map_or(WEBHOOKS, |given| given.parse().unwrap())
}

#[test]
fn after_the_storm_each_user_is_as_bento_has_them() {
    let count = webhooks();
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() | 1;
    eprintln!("the seed of the storm is {seed}");
    let people = People::new(count * 3 / 10);
    let mut stage = Stage::on(Server::shared(), "wp61", &json!({}), |world| {
        world.subscribers = people.subscribers();
        world.flaw = Some(Flaw::new(20, &flaws()));
    });
    let calls = (count as f64 * CALLS) as usize;
    stage
        .site
        .define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", &calls.to_string());
    stage.bento.world().limit = Some(Limit::new(calls * 100 / 60));
    people.insert_users(&stage);
    let mails = Mails::new(stage.site.folder());
    stage
        .site
        .define("BENTO_WEBHOOKS_SENDMAIL", &mails.command());
    let sender = Sender::new(&stage, &people, vec![stage.site.db_host()], count, seed);
    let workers = Workers::of(stage.site.folder());
    std::thread::scope(|scope| {
        let storm: Vec<_> = (1..=SENDERS)
            .map(|number| {
                scope.spawn({
                    let sender = &sender;
                    move || sender.send_all(seed.wrapping_mul(number))
                })
            })
            .collect();
        // Whoever is started beside the answers is killed now and then, too.
        let mut dice = Dice(seed);
        while !storm.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(200 + dice.below(2000) as u64));
            workers.kill();
        }
    });
    let tally = sender.tally();
    eprintln!("{tally:?}, {} workers killed", workers.killed());
    assert!(
        tally.killed * 100 >= KILLED * count / 2,
        "hardly any was killed: {tally:?}"
    );
    let hours = drain(&stage, &workers);
    let made = stage.bento.calls();
    let most = most_in_a_minute(&made, &hours);
    eprintln!(
        "{} calls to Bento in {} hours, at most {most} of {calls} in a minute",
        made.len(),
        hours.len()
    );
    assert!(most <= calls, "more than {calls} calls in a minute");
    assert!(most * 10 >= calls * 9, "the calls were never short");
    people.check(&stage);
    workers.kill();
    let (delivered, handed_over) = mails.delivered();
    eprintln!(
        "{} welcomed, {handed_over} mails handed over",
        delivered.len()
    );
    people.check_welcomes(&delivered);
}

/// Lets hours pass, in each of which the worker does what one minute's calls allow, until nothing is left; when they began.
fn drain(stage: &Stage, workers: &Workers) -> Vec<Instant> {
    let mut hours = Vec::new();
    while inbox::rows(&stage.site.database) != (0, 0) {
        assert!(
            hours.len() < HOURS,
            "{:?}",
            stage.program.command(&["queue"])
        );
        workers.kill();
        inbox::let_an_hour_pass(&stage.site.database);
        // It is later for Bento as well.
        if let Some(limit) = &mut stage.bento.world().limit {
            *limit = Limit::new(limit.calls);
        }
        hours.push(Instant::now());
        stage.program.command(&["retry", "--all"]);
        stage.program.command(&["work", "--now"]);
    }
    hours
}

/// The most calls that came within one minute; an hour has passed before each of the moments `hours`.
fn most_in_a_minute(calls: &[Call], hours: &[Instant]) -> usize {
    let hour = |at: Instant| hours.partition_point(|begun| *begun <= at);
    let mut moments: Vec<Instant> = calls.iter().map(|call| call.at).collect();
    moments.sort_unstable();
    let within = |first: &Instant| {
        moments
            .iter()
            .skip_while(|at| *at < first)
            .take_while(|at| at.duration_since(*first) < MINUTE && hour(**at) == hour(*first))
            .count()
    };
    moments.iter().map(within).max().unwrap_or_default()
}

/// How Bento fails.
fn flaws() -> Vec<Fault> {
    vec![
        Fault::status(500, r#"{"error":"Internal Server Error"}"#),
        Fault::html(502, "<h1>502 Bad Gateway</h1>"),
        Fault::too_many(Some(1)),
        Fault::Truncated,
        Fault::Close,
        Fault::SuccessFalse("Not now".to_owned()),
        Fault::AnotherPerson,
    ]
}
