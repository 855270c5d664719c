//! What cannot be done at once: it is kept, joined, tried again, given up, shown, and done by a worker of its own.
//!
//! Time is moved in the database, whose clock is the only one that counts; nothing here waits for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise and says so"
)]

mod support;

#[path = "support/stage.rs"]
mod stage;

#[path = "queue/a_whole_life.rs"]
mod a_whole_life;
#[path = "queue/calls.rs"]
mod calls;
#[path = "queue/commands.rs"]
mod commands;
#[path = "queue/errands.rs"]
mod errands;
#[path = "queue/joining.rs"]
mod joining;
#[path = "queue/names.rs"]
mod names;
#[path = "queue/schedule.rs"]
mod schedule;
#[path = "queue/tables.rs"]
mod tables;
#[path = "queue/worker.rs"]
mod worker;

use serde_json::{Value, json};
use stage::{KEY, NORA, SUE, Stage, stage, stage_with, target, webhook};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};
use support::bento::Subscriber;
use support::cgi::{Answer, Request};

/// Longer than anything here takes; what is awaited either comes or the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that waits is due now, and Bento wants to be left alone no more.
const TIME_PASSES: [&str; 2] = [
    "UPDATE wp_bento_webhooks_inbox SET due = 0",
    "UPDATE wp_bento_webhooks_state SET paused = 0, calls = ''",
];

const LEASES_RUN_OUT: &str = "UPDATE wp_bento_webhooks_inbox SET lease = lease > 0";

impl Stage {
    fn run(&self, action: &str, person: &str) -> Answer {
        self.program.run(&webhook(action, person))
    }

    /// The only value of this query.
    fn value(&self, query: &str) -> String {
        let mut column = self.site.column(query);
        assert_eq!(column.len(), 1, "{query}: {column:?}");
        column.remove(0)
    }

    fn rows_kept(&self) -> String {
        self.value("SELECT COUNT(*) FROM wp_bento_webhooks_inbox")
    }

    fn tags(&self, user: u64) -> String {
        let query = format!(
            "SELECT meta_value FROM wp_usermeta WHERE user_id = {user} AND meta_key = 'bento_tags'"
        );
        self.value(&query)
    }

    /// What `bento-webhooks` with these arguments writes; exit code and both streams.
    fn command(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.program.command(arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn await_calls(&self, count: usize) {
        until("a call to Bento", || self.bento.calls().len() >= count);
    }

    /// Starts a webhook that is left waiting for Bento.
    fn start(&self, action: &str, person: &str) -> Child {
        let calls = self.bento.calls().len();
        let mut child = self.program.spawn(&by_query(action, person));
        drop(child.stdin.take());
        self.await_calls(calls + 1);
        child
    }
}

/// The same without a body.
fn by_query(action: &str, person: &str) -> Request {
    Request::get(&format!("{}&contact_id={person}", target(action)))
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        thread::sleep(Duration::from_millis(5));
    }
}

fn result(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    body["result"].as_str().unwrap().to_owned()
}

/// Nobody is worked on while the sender waits.
fn stage_that_keeps_all() -> Stage {
    let mut stage = stage();
    stage.site.define("BENTO_WEBHOOKS_CONCURRENCY", "0");
    stage
}

/// People whom both sides know, beside the usual cast.
fn crowd(people: usize) -> (Stage, Vec<String>) {
    let ids: Vec<String> = (0..people).map(|n| format!("{NORA}-{n}")).collect();
    let stage = stage_with(&json!({}), |world| {
        for (n, id) in ids.iter().enumerate() {
            let email = format!("crowd{n}@example.test");
            world.subscribers.push(Subscriber::new(id, &email, &["11"]));
        }
    });
    (stage, ids)
}
