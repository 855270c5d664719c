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
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

/// How many webhooks, unless the environment says otherwise.
const WEBHOOKS: usize = 1500;
/// Calls to Bento in any minute: what the program makes at most unless it is told otherwise, and what Bento takes.
const CALLS: usize = 60;
const TAKEN: usize = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// Webhooks that come within an hour: many more than the calls of a minute are enough for.
const ROUND: usize = 750;
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
    stage.bento.world().limit = Some(Limit::new(TAKEN));
    people.insert_users(&stage);
    let mails = Mails::new(stage.site.folder());
    stage
        .site
        .define("BENTO_WEBHOOKS_SENDMAIL", &mails.command());
    let sender = Sender::new(&stage, &people, vec![stage.site.db_host()], count, seed);
    let workers = Workers::of(stage.site.folder());
    let mut hours = Vec::new();
    let mut dice = Dice(seed);
    while sender.has_more() {
        sender.allow(ROUND);
        rage(&sender, &workers, &mut dice);
        hours.push(next_hour(&stage, &workers));
    }
    let tally = sender.tally();
    eprintln!("{tally:?}, {} workers killed", workers.killed());
    assert!(
        tally.killed * 100 >= KILLED * count * 9 / 10,
        "hardly any was killed: {tally:?}"
    );
    drain(&stage, &workers, &mut hours, count);
    let made = stage.bento.calls();
    let most = most_in_a_minute(&made, &hours);
    eprintln!(
        "{} calls to Bento in {} hours, at most {most} of {CALLS} in a minute",
        made.len(),
        hours.len()
    );
    assert!(most <= CALLS, "more than {CALLS} calls in a minute");
    // The half that is for kept work has been used up at least once, so the limit was there to be broken. How much of the
    // other half is used depends on how long the killed keep their places.
    assert!(most >= CALLS / 2, "the calls were never short");
    people.check(&stage);
    workers.kill();
    let (delivered, handed_over) = mails.delivered();
    eprintln!(
        "{} welcomed, {handed_over} mails handed over",
        delivered.len()
    );
    people.check_welcomes(&delivered);
}

/// Sends a round, and kills the workers that are started beside the answers now and then.
fn rage(sender: &Sender<'_>, workers: &Workers, dice: &mut Dice) {
    std::thread::scope(|scope| {
        let seeds: Vec<u64> = (0..SENDERS)
            .map(|_| dice.below(usize::MAX) as u64)
            .collect();
        let senders: Vec<_> = seeds
            .into_iter()
            .map(|seed| scope.spawn(move || sender.send(seed)))
            .collect();
        while !senders.iter().all(ScopedJoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(200 + dice.below(2000) as u64));
            workers.kill();
        }
    });
}

/// Lets an hour pass here and at Bento's; when it began.
fn next_hour(stage: &Stage, workers: &Workers) -> Instant {
    workers.kill();
    inbox::let_an_hour_pass(&stage.site.database);
    stage.bento.world().limit = Some(Limit::new(TAKEN));
    Instant::now()
}

/// Lets hours pass, in each of which the worker does what one minute's calls allow, until nothing is left.
fn drain(stage: &Stage, workers: &Workers, hours: &mut Vec<Instant>, most: usize) {
    loop {
        let (waiting, given_up) = inbox::rows(&stage.site.database);
        let shown = || stage.program.command(&["queue"]);
        assert_eq!(given_up, 0, "something was given up: {:?}", shown());
        if waiting == 0 {
            return;
        }
        assert!(hours.len() < most, "{:?}", shown());
        stage.program.command(&["retry", "--all"]);
        stage.program.command(&["work", "--now"]);
        hours.push(next_hour(stage, workers));
    }
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
