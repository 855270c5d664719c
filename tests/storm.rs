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
/// Calls to Bento in any minute, for each webhook of the storm: so few that many must wait. In proportion Bento itself
/// takes 100 where the program may make 60.
const CALLS: f64 = 0.35;
const MINUTE: Duration = Duration::from_secs(60);
/// Longer than the worker needs for what the storm has left.
const PATIENCE: Duration = Duration::from_secs(900);
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
    drain(&stage);
    let made = stage.bento.calls();
    eprintln!(
        "{} calls to Bento, at most {} of {calls} in a minute",
        made.len(),
        most_in_a_minute(&made)
    );
    assert!(
        most_in_a_minute(&made) <= calls,
        "more than {calls} calls in a minute"
    );
    people.check(&stage);
    workers.kill();
    let (delivered, handed_over) = mails.delivered();
    eprintln!(
        "{} welcomed, {handed_over} mails handed over",
        delivered.len()
    );
    people.check_welcomes(&delivered);
}

/// Lets the owner be impatient until nothing is left: each row is tried again now, within the calls of each minute.
fn drain(stage: &Stage) {
    let begun = Instant::now();
    while inbox::rows(&stage.site.database) != (0, 0) {
        assert!(
            begun.elapsed() < PATIENCE,
            "{:?}",
            stage.program.command(&["queue"])
        );
        stage.program.command(&["retry", "--all"]);
        stage.program.command(&["work", "--now"]);
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The most calls that came within one minute.
fn most_in_a_minute(calls: &[Call]) -> usize {
    let mut moments: Vec<Instant> = calls.iter().map(|call| call.at).collect();
    moments.sort_unstable();
    let within = |first: &Instant| {
        moments
            .iter()
            .skip_while(|at| *at < first)
            .take_while(|at| at.duration_since(*first) < MINUTE)
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
