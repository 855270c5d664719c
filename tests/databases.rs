//! The database side: how the server is reached, what its settings and charsets do, what happens when it fails, and
//! many webhooks at once.
//!
//! Each test runs the real program against a real MariaDB. "At once" is made certain by holding the lock that all must
//! take until everybody waits for it, never by time.
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

#[path = "databases/charsets.rs"]
mod charsets;
#[path = "databases/connections.rs"]
mod connections;
#[path = "databases/failures.rs"]
mod failures;
#[path = "databases/large.rs"]
mod large;
#[path = "databases/networks.rs"]
mod networks;
#[path = "databases/parallel.rs"]
mod parallel;

use std::thread;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable as _;
use mysql::{Conn, TxOpts};
use serde_json::{Value, json};
use stage::{KEY, NORA, SUE, Stage, webhook};
use support::bento::{Subscriber, Tag, World};
use support::cgi::{Answer, Request};
use support::database::{PASSWORD, Server};
use support::inbox;

/// Longer than anything here takes; what is awaited either comes or the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A site of the release before bcrypt, whose passwords cost little.
fn stage() -> Stage {
    stage_with(&json!({}), |_| {})
}

fn stage_with(given: &Value, change: impl FnOnce(&mut World)) -> Stage {
    stage_on(Server::shared(), given, change)
}

fn stage_on(server: &'static Server, given: &Value, change: impl FnOnce(&mut World)) -> Stage {
    let mut stage = Stage::on(server, "wp61", given, |world| {
        world.subscribers[0].fields =
            json!({"first_name": "Susan", "company": "Future Foundation"});
        change(world);
    });
    // Races are to be about rows, not about how many may run or call.
    stage.site.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "6000");
    stage.site.define("BENTO_WEBHOOKS_CONCURRENCY", "100");
    stage
}

impl Stage {
    /// Runs a webhook about a person.
    fn run(&self, action: &str, person: &str) -> Answer {
        let answer = self.program.run(&webhook(action, person));
        assert_no_secret(&answer);
        answer
    }

    /// Runs all of them at once: none gets past the lock before all wait for it or have left their webhook in the inbox,
    /// which is emptied then.
    fn run_at_once(&self, requests: &[Request]) -> Vec<Answer> {
        self.with_all_locks();
        self.run_behind("SELECT * FROM wp_bento_webhooks_lock FOR UPDATE", requests)
    }

    /// The same while only what the statement locks is locked.
    fn run_behind(&self, lock: &str, requests: &[Request]) -> Vec<Answer> {
        let mut root = self.site.database.root();
        let mut transaction = root.start_transaction(TxOpts::default()).unwrap();
        transaction.query_drop(lock).unwrap();
        let answers = thread::scope(|scope| {
            let runs: Vec<_> = requests
                .iter()
                .map(|request| scope.spawn(|| self.program.run(request)))
                .collect();
            self.await_waiting(|| {
                requests.len() - runs.iter().filter(|run| run.is_finished()).count()
            });
            transaction.rollback().unwrap();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        self.finish_webhooks();
        answers
    }

    /// Lets the worker do every webhook that was left; who waited for a lock in vain is tried again later.
    fn finish_webhooks(&self) {
        let left = "SELECT 1 FROM wp_bento_webhooks_inbox WHERE kind = 0 AND buried = 0";
        let begun = Instant::now();
        self.program.work();
        while !self.site.column(left).is_empty() {
            assert!(begun.elapsed() < PATIENCE, "a webhook waits for ever");
            inbox::let_an_hour_pass(&self.site.database);
            self.program.work();
        }
    }

    /// Makes the program's own table with all of its rows, as many webhooks would, and returns a connection beside it.
    fn with_all_locks(&self) -> Conn {
        let answer = self.run("update_tags", SUE);
        assert_eq!(answer.status, 200, "{answer}");
        self.site
            .sql(&["INSERT IGNORE INTO wp_bento_webhooks_lock (slot, taken) SELECT seq, 0 FROM seq_0_to_300"]);
        self.site.database.root()
    }

    /// Waits until so many connections of the site wait for a lock: nothing else here takes a tenth of a second.
    fn await_waiting(&self, count: impl Fn() -> usize) {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.processlist \
             WHERE user = '{}' AND command = 'Query' AND time_ms > 100",
            self.site.database.name()
        );
        let begun = Instant::now();
        loop {
            let waiting = self.site.column(&sql).remove(0);
            let count = count();
            if waiting == count.to_string() {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{waiting} wait for a lock, not {count}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The only value of this key that a user has.
    fn meta(&self, user: u64, key: &str) -> Option<String> {
        let state = self.now();
        let mut rows = state.meta[&user].iter().filter(|(own, _)| own == key);
        let value = rows.next().map(|(_, value)| value.clone().unwrap());
        assert_eq!(rows.next(), None, "{key} twice");
        value
    }

    fn tags(&self, user: u64) -> Option<String> {
        self.meta(user, "bento_tags")
    }
}

fn tag(id: &str, name: &str) -> Tag {
    Tag {
        id: json!(id),
        name: json!(name),
        discarded_at: Value::Null,
    }
}

/// The answer that every failure of the database has: come again, and one line for the owner that holds these words.
fn assert_failed(answer: &Answer, words: &str) {
    assert_eq!(answer.status, 503, "{answer}");
    assert!(answer.header("Retry-After").is_some(), "{answer}");
    assert_eq!(answer.stderr.lines().count(), 1, "{answer}");
    assert!(answer.stderr.contains(words), "{words}\n{answer}");
    assert_no_secret(answer);
}

/// The answer when a failure comes after the webhook was stored: it will be done, and one line for the owner says why not now.
fn assert_kept(answer: &Answer, words: &str) {
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(answer.result(), "queued", "{answer}");
    assert_eq!(answer.stderr.lines().count(), 1, "{answer}");
    assert!(answer.stderr.contains(words), "{words}\n{answer}");
    assert_no_secret(answer);
}

fn assert_no_secret(answer: &Answer) {
    for secret in [PASSWORD, KEY, "sk_lab_0002"] {
        let shown = [&answer.stderr, &answer.body];
        assert!(
            shown.iter().all(|text| !text.contains(secret)),
            "a secret is shown\n{answer}"
        );
    }
}
