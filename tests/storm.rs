//! Ten thousand webhooks while everything goes wrong: Bento fails and limits, its data change, and processes are killed.
//! At the end each user is as Bento has them.
//!
//! `BENTO_WEBHOOKS_STORM` makes the number of webhooks smaller. A failure prints the seed; chance alone is repeated by
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

#[path = "storm/people.rs"]
mod people;
#[path = "storm/sender.rs"]
mod sender;

use crate::people::People;
use crate::sender::Sender;
use crate::stage::Stage;
use crate::support::bento::{Fault, Flaw};
use crate::support::database::Server;
use serde_json::json;

/// How many webhooks, unless the environment says less.
const WEBHOOKS: usize = 10_000;
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
    let stage = Stage::on(Server::shared(), "wp61", &json!({}), |world| {
        world.subscribers = people.subscribers();
        world.flaw = Some(Flaw::new(20, &flaws()));
    });
    people.insert_users(&stage);
    let sender = Sender::new(&stage, &people, vec![stage.site.db_host()], count, seed);
    std::thread::scope(|scope| {
        for number in 1..=SENDERS {
            let sender = &sender;
            scope.spawn(move || sender.send_all(seed.wrapping_mul(number)));
        }
    });
    let tally = sender.tally();
    eprintln!("{tally:?}, {} calls to Bento", stage.bento.calls().len());
    assert!(
        tally.killed * 100 >= KILLED * count / 2,
        "hardly any was killed: {tally:?}"
    );
    people.check(&stage);
}

/// How Bento fails.
fn flaws() -> Vec<Fault> {
    vec![
        Fault::status(500, r#"{"error":"Internal Server Error"}"#),
        Fault::html(502, "<h1>502 Bad Gateway</h1>"),
        Fault::too_many(None),
        Fault::Truncated,
        Fault::Close,
        Fault::SuccessFalse("Not now".to_owned()),
        Fault::AnotherPerson,
    ]
}
