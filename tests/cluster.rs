//! A Galera cluster of three nodes: webhooks go to all of them in turn, and one dies in the middle.
//!
//! Takes three servers: `tests/run --cluster`.
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

use crate::mails::Mails;
use crate::people::People;
use crate::sender::Sender;
use crate::stage::{NORA, Stage, webhook};
use crate::support::bento::Subscriber;
use crate::support::cluster::{Cluster, await_size};
use crate::support::database::Server;
use crate::support::state::State;
use crate::workers::Workers;
use mysql::prelude::Queryable as _;
use serde_json::json;
use std::time::Duration;

const WEBHOOKS: usize = 900;
const PEOPLE: usize = 150;
/// Senders that work at the same time.
const SENDERS: u64 = 6;
/// Of a hundred processes so many are killed.
const KILLED: usize = 5;

#[test]
#[ignore = "three servers are much for a small machine: tests/run --cluster"]
fn a_node_that_dies_loses_nothing_and_doubles_nobody() {
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(3)));
    let [first, second, third] = &cluster.nodes[..] else {
        panic!("three nodes were asked for");
    };
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() | 1;
    eprintln!("the seed is {seed}");
    let people = People::new(PEOPLE);
    let mut stage = Stage::on(first, "wp61", &json!({}), |world| {
        world.subscribers = people.subscribers();
        let nora = Subscriber::new(NORA, "nora@example.test", &["11"]);
        world.subscribers.push(nora);
    });
    // What is left to the worker shall not wait for the next minute.
    stage.site.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "1200");
    let mails = Mails::new(stage.site.folder());
    stage
        .site
        .define("BENTO_WEBHOOKS_SENDMAIL", &mails.command());
    people.insert_users(&stage);
    check_a_node_that_is_behind(&stage, second);
    check_packets(&stage);
    let hosts = cluster
        .nodes
        .iter()
        .map(|node| format!("localhost:{}", node.socket().display()));
    let sender = Sender::new(&stage, &people, hosts.collect(), WEBHOOKS, seed);
    sender.allow(usize::MAX);
    std::thread::scope(|scope| {
        for number in 1..=SENDERS {
            let sender = &sender;
            scope.spawn(move || sender.send(seed.wrapping_mul(number)));
        }
        while sender.tally().answered < WEBHOOKS / 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        third.kill();
    });
    eprintln!("{:?}", sender.tally());
    assert!(!sender.has_more());
    assert!(sender.tally().refused > 0, "nobody met the dead node");
    await_size(first, 2);
    let workers = Workers::of(stage.site.folder());
    workers.kill();
    eprintln!("{} workers were there", workers.killed());
    stage.settle();
    people.check(&stage);
    people.check_welcomes(&mails.delivered().0);
    let mut root = second.root();
    root.query_drop("SET SESSION wsrep_sync_wait = 1").unwrap();
    root.query_drop(format!("USE {}", stage.site.database.name()))
        .unwrap();
    assert_eq!(
        stage.now().difference(&State::read_by(&mut root)),
        "",
        "the nodes differ"
    );
}

/// A node that has not heard yet of a user who waits to be made does not say that there is none.
fn check_a_node_that_is_behind(stage: &Stage, node: &Server) {
    let mut add = webhook("add", NORA);
    add.target += "&async=true";
    let mut update = webhook("update_tags", NORA);
    update.environment.push((
        "BENTO_WEBHOOKS_DB_HOST".to_owned(),
        format!("localhost:{}", node.socket().display()),
    ));
    // Makes our tables.
    stage.program.run(&update);
    // The nodes write one transaction after the other, each for itself.
    stage.site.sql(&[
        "CREATE TABLE much (number INT) ENGINE=InnoDB",
        "INSERT INTO much SELECT seq FROM seq_1_to_200000",
    ]);
    assert_eq!(stage.program.run(&add).result(), "queued");
    let heard = format!(
        "SELECT COUNT(*) FROM {}.wp_bento_webhooks_inbox",
        stage.site.database.name()
    );
    let heard: Option<u64> = node.root().query_first(heard).unwrap();
    assert_eq!(heard, Some(0), "the node is not behind");
    let answer = stage.program.run(&update);
    assert_eq!(answer.status, 200, "{answer}");
    assert_ne!(answer.result(), "ignored", "{answer}");
    stage.site.sql(&["DROP TABLE much"]);
    stage.settle();
}

/// MariaDB tells of a transaction that another node has undone at the end of a packet only, and meanwhile does what is left
/// in the packet without it: so nothing stands behind anything that writes.
fn check_packets(stage: &Stage) {
    stage.site.database.record_statements();
    let answer = stage.program.run(&webhook("add", NORA));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut root = stage.site.database.root();
    root.query_drop("SET GLOBAL general_log = 0").unwrap();
    let packets = stage.site.database.statements();
    let commits = packets.iter().filter(|packet| packet.text == "COMMIT");
    assert!(commits.count() >= 2, "{packets:#?}");
    for packet in packets {
        let is_looking = packet.text.starts_with("SET NAMES ");
        assert!(is_looking || !packet.text.contains("; "), "{packet:?}");
    }
}
