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

use serde_json::{Value, json};
use stage::{KEY, NORA, SUE, Stage, stage, stage_with, target, webhook};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use support::bento::{Fault, Script, Subscriber};
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

#[test]
fn a_burst_for_one_person_becomes_one_piece_of_work() {
    let stage = stage_that_keeps_all();
    let burst = [
        ("add", "&role=subscriber"),
        ("update", ""),
        ("update_tags", "&role=customer"),
        ("add", ""),
        ("update_tags", ""),
    ];
    for (action, more) in burst {
        let request = Request::post(
            &format!("{}{more}", target(action)),
            &json!({"id": NORA, "email": "Nora@example.test"}).to_string(),
        );
        let answer = stage.program.run(&request);
        assert_eq!(answer.result(), "queued", "{action}\n{answer}");
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(answer.json()["action"], action, "{answer}");
        assert_eq!(answer.json()["contact_id"], NORA, "{answer}");
    }
    assert_eq!(stage.difference(), "");
    assert_eq!(stage.bento.calls().len(), 0);
    let row = "SELECT CONCAT_WS(' ', action, role, version, attempts) FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.value(row), "3 customer 5 0");
    stage.program.work();
    assert_eq!(stage.bento.calls().len(), 1);
    let role =
        "SELECT meta_value FROM wp_usermeta WHERE user_id = 7 AND meta_key = 'wp_capabilities'";
    assert_eq!(stage.value(role), r#"a:1:{s:8:"customer";b:1;}"#);
    assert_eq!(stage.rows_kept(), "0");
    stage.program.work();
    assert_eq!(stage.bento.calls().len(), 1, "nothing is done twice");
}

/// A user who is being made, or waits to be, is not unknown: what comes for him must not be lost.
#[test]
fn what_comes_for_a_user_who_is_still_to_be_made_joins_him() {
    for person in [json!({"id": NORA}), json!({"email": "nora@example.test"})] {
        let stage = stage_that_keeps_all();
        let both = json!({"id": NORA, "email": "nora@example.test"});
        let add = Request::post(&target("add"), &both.to_string());
        assert_eq!(stage.program.run(&add).result(), "queued");
        let update = Request::post(&target("update_tags"), &person.to_string());
        let answer = stage.program.run(&update);
        assert_eq!(answer.result(), "queued", "{person}\n{answer}");
        assert_eq!(stage.rows_kept(), "1", "{person}");
        let stranger = json!({"id": "nobody", "email": "nobody@example.test"});
        let update = Request::post(&target("update"), &stranger.to_string());
        assert_eq!(stage.program.run(&update).result(), "ignored");
    }
}

#[test]
fn what_comes_while_a_person_is_worked_on_is_done_afterwards() {
    let stage = stage();
    stage.run("update_tags", SUE);
    stage.bento.world().latency = Duration::from_millis(900);
    let first = stage.start("update_tags", SUE);
    {
        let mut world = stage.bento.world();
        world.latency = Duration::ZERO;
        world.subscribers[0].cached_tag_ids = json!(["11"]);
    }
    let answer = stage.run("update_tags", SUE);
    assert_eq!(answer.result(), "queued", "{answer}");
    result(first);
    let lease = "SELECT lease FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.value(lease), "0", "it runs again, and at once");
    stage.program.work();
    assert_eq!(stage.tags(3), r#"a:1:{i:0;s:8:"Customer";}"#);
    assert_eq!(stage.rows_kept(), "0");
}

/// The first is so late that its lease has run out: the second has done the work, with newer data.
#[test]
fn a_late_worker_whose_lease_is_gone_writes_nothing() {
    let stage = stage();
    stage.run("update_tags", SUE);
    stage.bento.world().latency = Duration::from_millis(1500);
    let late = stage.start("update_tags", SUE);
    stage.site.sql(&[LEASES_RUN_OUT]);
    {
        let mut world = stage.bento.world();
        world.latency = Duration::ZERO;
        world.subscribers[0].cached_tag_ids = json!(["11"]);
    }
    let answer = stage.run("update_tags", SUE);
    assert_eq!(answer.result(), "applied", "{answer}");
    let log = "SELECT COUNT(*) FROM wp_wpf_logging";
    let rows = stage.value(log);
    assert_eq!(result(late), "queued");
    assert_eq!(stage.value(log), rows, "nothing of the late one is left");
    assert_eq!(stage.tags(3), r#"a:1:{i:0;s:8:"Customer";}"#);
    assert_eq!(stage.rows_kept(), "0");
}

#[test]
fn a_failure_is_tried_again_by_the_schedule_and_buried_in_the_end() {
    let stage = stage();
    let down = Script::always(Fault::status(500, "{}"));
    stage.bento.world().scripts.push(down);
    assert_eq!(stage.run("update", SUE).result(), "queued");
    let now = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";
    let schedule = [
        30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400,
    ];
    for (tries, seconds) in schedule.into_iter().enumerate() {
        let row = format!(
            "SELECT CONCAT_WS(' ', attempts, buried) FROM wp_bento_webhooks_inbox WHERE due - {now} BETWEEN {} AND {}",
            seconds * 900 - 20_000,
            seconds * 1100
        );
        assert_eq!(stage.value(&row), format!("{} 0", tries + 1), "{seconds} s");
        stage.command(&["work", "--now"]);
        assert_eq!(stage.bento.calls().len(), tries + 1, "not before it is due");
        stage.site.sql(&TIME_PASSES);
        stage.command(&["work", "--now"]);
    }
    let buried = "SELECT buried > 0 FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.value(buried), "1");
    stage.site.sql(&TIME_PASSES);
    stage.program.work();
    assert_eq!(stage.bento.calls().len(), 12, "nobody asks any more");
    assert_eq!(stage.difference(), "");
    let failures = "SELECT COUNT(*) FROM wp_wpf_logging WHERE level = 500 AND source LIKE '%api%'";
    assert_eq!(stage.value(failures), "2", "a failure is logged once");

    // The owner has seen it, and Bento is well again.
    stage.bento.world().scripts.clear();
    let id = stage.value("SELECT id FROM wp_bento_webhooks_inbox");
    let (code, said, _) = stage.command(&["retry", &id]);
    assert_eq!((code, said.as_str()), (0, "1 row to be tried again.\n"));
    stage.program.work();
    assert_eq!(stage.rows_kept(), "0");
    assert_ne!(stage.difference(), "");
}

#[test]
fn a_new_webhook_wakes_what_was_buried_and_the_dead_are_cleared_away() {
    let stage = stage();
    stage
        .bento
        .world()
        .scripts
        .push(Script::once(Fault::status(422, "{}")));
    assert_eq!(stage.run("update_tags", SUE).result(), "queued");
    let buried = "SELECT CONCAT_WS(' ', buried > 0, reason) FROM wp_bento_webhooks_inbox";
    assert_eq!(
        stage.value(buried),
        "1 Bento: status 422",
        "the same request will never do"
    );
    assert_eq!(stage.run("update_tags", SUE).result(), "applied");
    assert_eq!(stage.rows_kept(), "0");

    stage
        .bento
        .world()
        .scripts
        .push(Script::once(Fault::status(400, "{}")));
    stage.run("update_tags", SUE);
    stage.run("add", NORA);
    let age = |days: u64| {
        let sql = format!("UPDATE wp_bento_webhooks_inbox SET buried = buried - {days} * 86400000");
        stage
            .site
            .sql(&[&sql, "UPDATE wp_bento_webhooks_state SET worker = 0"]);
        // Something must be due, or no worker is needed.
        stage.site.sql(&["INSERT INTO wp_bento_webhooks_inbox (kind, person, action, contact, came, due) VALUES (0, UNHEX(SHA2('x', 256)), 1, 'nobody', 0, 0)"]);
        stage.program.work();
        stage.rows_kept()
    };
    assert_eq!(age(29), "1");
    assert_eq!(age(2), "0");
}

#[test]
fn a_429_leaves_bento_alone_for_as_long_as_it_asks() {
    let stage = stage();
    let limited = Script::once(Fault::too_many(Some(7)));
    stage.bento.world().scripts.push(limited);
    assert_eq!(stage.run("update_tags", SUE).result(), "queued");
    let row = "SELECT attempts FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.value(row), "0", "it counts as no attempt");
    let now = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";
    let pause = format!("SELECT paused - {now} BETWEEN 1 AND 7000 FROM wp_bento_webhooks_state");
    assert_eq!(stage.value(&pause), "1");
    // Not for this person alone.
    let answer = stage.run("add", NORA);
    assert_eq!(answer.result(), "queued", "{answer}");
    assert_eq!(stage.bento.calls().len(), 1);
    stage.site.sql(&TIME_PASSES);
    stage.program.work();
    assert_eq!(stage.bento.calls().len(), 3);
    assert_eq!(stage.rows_kept(), "0");
}

/// Seconds that Bento asks for, or a minute after a 429 without them; a server that is down is given at least what it asks
/// for.
#[test]
fn what_bento_asks_for_is_waited_for() {
    let unavailable = |seconds: u32| {
        let Fault::Status { headers, body, .. } = Fault::too_many(Some(seconds)) else {
            unreachable!("too many calls is a status");
        };
        Fault::Status {
            status: 503,
            headers,
            body,
        }
    };
    let table = [
        (Fault::too_many(Some(7)), 0, 7, 7),
        (Fault::too_many(None), 0, 60, 60),
        (unavailable(300), 1, 300, 300),
        (unavailable(7), 1, 27, 33),
    ];
    for (fault, attempts, least, most) in table {
        let stage = stage();
        stage
            .bento
            .world()
            .scripts
            .push(Script::once(fault.clone()));
        assert_eq!(stage.run("update_tags", SUE).result(), "queued");
        // The row was claimed in the packet that stored it.
        let row = format!(
            "SELECT CONCAT_WS(' ', attempts, due - came BETWEEN {} AND {}) FROM wp_bento_webhooks_inbox",
            least * 1000,
            most * 1000 + 2000
        );
        assert_eq!(stage.value(&row), format!("{attempts} 1"), "{fault:?}");
        let paused = stage.value("SELECT paused > 0 FROM wp_bento_webhooks_state");
        assert_eq!(paused == "1", attempts == 0, "{fault:?}");
    }
}

/// What is sent back to Bento is a call like any other, whether the sender waits or the worker sends it.
#[test]
fn what_goes_back_to_bento_waits_out_a_429_without_an_attempt() {
    let given = json!({"changed_settings": {"return_password_field": ["", "generated_password"]}});
    let stage = stage_with(&given, |world| {
        let limited = |wait, skip| Script {
            fault: Fault::too_many(wait),
            skip,
            times: 1,
        };
        world.scripts = vec![limited(Some(7), 1), limited(None, 2)];
    });
    let answer = stage.run("add", NORA);
    assert_eq!(answer.result(), "applied", "{answer}");
    let row = "SELECT CONCAT_WS(' ', attempts, lease, buried) FROM wp_bento_webhooks_inbox";
    let now = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";
    for (calls, pause) in [(2, 7_000), (3, 60_000)] {
        assert_eq!(stage.bento.calls().len(), calls);
        assert_eq!(stage.value(row), "0 0 0");
        let paused = format!(
            "SELECT paused - {now} BETWEEN {} AND {pause} FROM wp_bento_webhooks_state",
            pause - 6_500
        );
        assert_eq!(stage.value(&paused), "1", "call {calls}");
        assert_eq!(stage.run("update_tags", SUE).result(), "queued");
        stage.command(&["work", "--now"]);
        assert_eq!(stage.bento.calls().len(), calls, "Bento is left alone");
        stage
            .site
            .sql(&["DELETE FROM wp_bento_webhooks_inbox WHERE kind = 0"]);
        stage.site.sql(&TIME_PASSES);
        stage.command(&["work", "--now"]);
    }
    assert_eq!(stage.bento.calls().len(), 4);
    assert_eq!(stage.rows_kept(), "0");
    let failures = "SELECT COUNT(*) FROM wp_wpf_logging WHERE message LIKE 'Could not be sent%'";
    assert_eq!(stage.value(failures), "0", "waiting is no failure");
}

#[test]
fn what_goes_back_to_bento_waits_for_a_call_without_an_attempt() {
    let given = json!({"changed_settings": {"return_password_field": ["", "generated_password"]}});
    let mut stage = stage_with(&given, |_| {});
    stage.site.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "1");
    let answer = stage.run("add", NORA);
    assert_eq!(answer.result(), "applied", "{answer}");
    let row = "SELECT CONCAT_WS(' ', attempts, lease, buried) FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.value(row), "0 0 0");
    stage.command(&["work", "--now"]);
    assert_eq!(stage.bento.calls().len(), 1);
    stage.site.sql(&TIME_PASSES);
    stage.command(&["work", "--now"]);
    assert_eq!(stage.bento.calls().len(), 2);
    assert_eq!(stage.rows_kept(), "0");
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

#[test]
fn no_minute_has_more_calls_than_allowed_and_a_backlog_takes_half_of_them() {
    let (mut stage, people) = crowd(9);
    stage.site.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "4");
    let later = |request: Request| {
        let mut request = request;
        request
            .environment
            .push(("BENTO_WEBHOOKS_CONCURRENCY".to_owned(), "0".to_owned()));
        request
    };
    for person in &people[..6] {
        let answer = stage.program.run(&later(webhook("add", person)));
        assert_eq!(answer.result(), "queued", "{answer}");
    }
    stage.command(&["work", "--now"]);
    assert_eq!(stage.bento.calls().len(), 2, "half of four");
    assert_eq!(stage.run("add", &people[6]).result(), "applied");
    assert_eq!(stage.run("add", &people[7]).result(), "applied");
    let answer = stage.run("add", &people[8]);
    assert_eq!(answer.result(), "queued", "{answer}");
    assert!(
        answer.json()["reason"].as_str().unwrap().contains("calls"),
        "{answer}"
    );
    let attempts = "SELECT SUM(attempts) FROM wp_bento_webhooks_inbox";
    assert_eq!(
        stage.value(attempts),
        "0",
        "waiting for calls is no attempt"
    );
    let (_, shown, _) = stage.command(&["queue"]);
    assert!(
        shown.contains("Calls    0 of 4 left in this minute"),
        "{shown}"
    );
    // One minute later two more, and so on.
    for calls in [6, 8, 9] {
        stage.site.sql(&TIME_PASSES);
        stage.command(&["work", "--now"]);
        assert_eq!(stage.bento.calls().len(), calls);
    }
    assert_eq!(stage.rows_kept(), "0");
}

/// The moments of the calls are known one by one: what is older than a minute is free again, and only that.
#[test]
fn a_call_is_free_again_a_minute_after_it_was_made() {
    let (mut stage, people) = crowd(4);
    stage.site.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "3");
    for person in &people[..3] {
        assert_eq!(stage.run("add", person).result(), "applied");
    }
    // The first call was made 63 seconds ago, the others 50.
    let moment = |place: u32, ago: u32| {
        format!(
            "UPDATE wp_bento_webhooks_state SET calls = INSERT(calls, {place}, 6, UNHEX(LPAD(HEX(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000 - {ago}000), 12, '0')))"
        )
    };
    for (place, ago) in [(1, 50), (7, 50), (13, 50)] {
        stage.site.sql(&[&moment(place, ago)]);
    }
    assert_eq!(stage.run("add", &people[3]).result(), "queued");
    stage.site.sql(&[&moment(1, 63)]);
    assert_eq!(stage.run("add", &people[3]).result(), "applied");
    assert_eq!(stage.run("update", &people[0]).result(), "queued");
}

#[test]
fn a_burst_does_not_eat_the_host() {
    let (mut stage, people) = crowd(12);
    stage.site.define("BENTO_WEBHOOKS_CONCURRENCY", "3");
    stage.run("update_tags", SUE);
    let before = stage.bento.calls().len();
    stage.bento.world().latency = Duration::from_millis(1500);
    let mut children: Vec<Child> = people
        .iter()
        .map(|person| {
            let mut child = stage.program.spawn(&by_query("add", person));
            drop(child.stdin.take());
            child
        })
        .collect();
    // Those who are not worked on are answered while the three still wait for Bento.
    stage.await_calls(before + 3);
    let ended = |children: &mut Vec<Child>| {
        let ended = children
            .iter_mut()
            .filter_map(|child| child.try_wait().unwrap());
        ended.count()
    };
    let begun = Instant::now();
    while ended(&mut children) < 9 {
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(stage.bento.calls().len(), before + 3);
    let results: Vec<String> = children.into_iter().map(result).collect();
    let count = |wanted: &str| results.iter().filter(|result| *result == wanted).count();
    assert_eq!((count("applied"), count("queued")), (3, 9), "{results:?}");
    stage.bento.world().latency = Duration::ZERO;
    stage.program.work();
    let users = "SELECT COUNT(*) FROM wp_users WHERE user_email LIKE 'crowd%'";
    assert_eq!(stage.value(users), "12");
}

/// A request on a host where the program may start itself.
fn on_its_own(request: Request) -> Request {
    let mut request = request;
    request
        .environment
        .push(("BENTO_WEBHOOKS_WORKER".to_owned(), "auto".to_owned()));
    request
}

/// The processes that run as the worker of this site, by what /proc says.
fn workers(stage: &Stage) -> Vec<String> {
    let folder = format!("BENTO_WEBHOOKS_WORDPRESS={}", stage.site.folder().display());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let texts = processes.filter_map(|process| {
        let read = |name: &str| fs::read(process.path().join(name)).ok();
        let text = [read("cmdline")?, read("environ")?].concat();
        Some(String::from_utf8_lossy(&text).replace('\0', "\n"))
    });
    texts
        .filter(|text| text.contains("--place") && text.contains(&folder))
        .collect()
}

#[test]
fn async_is_answered_at_once_and_done_beside_the_answer() {
    let stage = stage();
    stage.bento.world().latency = Duration::from_millis(1500);
    let address = format!("{}&async=true", target("update_tags"));
    let request = Request::post(&address, &json!({"id": SUE}).to_string());
    let request = on_its_own(request.header("X-Bento-Webhooks-Key", KEY));
    let answer = stage.program.run(&request);
    assert_eq!(answer.result(), "queued", "{answer}");
    assert_eq!(stage.difference(), "", "answered before the work was done");
    stage.await_calls(1);
    let found = workers(&stage);
    assert_eq!(found.len(), 1, "{found:?}");
    for secret in [KEY, "GATEWAY_INTERFACE", "REQUEST_METHOD", "access_key"] {
        assert!(!found[0].contains(secret), "{secret} in {}", found[0]);
    }
    until("the tags", || stage.tags(3) == r#"a:1:{i:0;s:3:"VIP";}"#);
    until("the end of the worker", || workers(&stage).is_empty());
    assert_eq!(stage.rows_kept(), "0");
    assert_eq!(
        stage.value("SELECT worker FROM wp_bento_webhooks_state"),
        "0"
    );
}

#[test]
fn one_worker_is_enough_for_a_burst() {
    let (mut stage, people) = crowd(16);
    stage.site.define("BENTO_WEBHOOKS_CONCURRENCY", "0");
    stage.bento.world().latency = Duration::from_millis(50);
    let most = thread::scope(|scope| {
        for person in &people {
            let stage = &stage;
            scope.spawn(move || {
                let answer = stage.program.run(&on_its_own(webhook("add", person)));
                assert_eq!(answer.result(), "queued", "{answer}");
            });
        }
        let mut most = 0;
        let begun = Instant::now();
        let users = "SELECT COUNT(*) FROM wp_users WHERE user_email LIKE 'crowd%'";
        while stage.value(users) != "16" {
            most = most.max(workers(&stage).len());
            assert!(begun.elapsed() < PATIENCE);
        }
        most
    });
    assert_eq!(most, 1);
    assert_eq!(
        stage.bento.calls().iter().map(|call| call.at_once).max(),
        Some(1)
    );
    until("the end of the worker", || workers(&stage).is_empty());
}

/// A worker that was killed leaves its place and its row behind; both are taken over.
#[test]
fn the_place_of_a_worker_that_was_killed_falls_free() {
    let stage = stage_that_keeps_all();
    stage.run("update_tags", SUE);
    stage.site.sql(&[
        "UPDATE wp_bento_webhooks_state SET hired = UNHEX('00000000000000000000000000000001'), worker = 99999999999999",
    ]);
    stage.command(&["work", "--now"]);
    assert_eq!(stage.bento.calls().len(), 0, "somebody is there");
    stage.site.sql(&[
        "UPDATE wp_bento_webhooks_state SET worker = 1",
        "UPDATE wp_bento_webhooks_inbox SET token = UNHEX('00000000000000000000000000000002'), lease = 99999999999999, attempts = 1",
    ]);
    stage.command(&["work", "--now"]);
    assert_eq!(stage.bento.calls().len(), 0, "somebody is at it");
    stage.site.sql(&[
        "UPDATE wp_bento_webhooks_state SET worker = 1",
        LEASES_RUN_OUT,
    ]);
    stage.command(&["work", "--now"]);
    assert_eq!(stage.tags(3), r#"a:1:{i:0;s:3:"VIP";}"#);
    assert_eq!(stage.rows_kept(), "0");
}

/// A row that kills whoever works on it must not be tried for ever.
#[test]
fn a_row_that_cuts_short_every_attempt_is_buried() {
    let stage = stage_that_keeps_all();
    stage.run("update_tags", SUE);
    stage
        .site
        .sql(&["UPDATE wp_bento_webhooks_inbox SET attempts = 12, lease = 1"]);
    stage.command(&["work", "--now"]);
    let row = "SELECT CONCAT_WS(' ', buried > 0, reason) FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.value(row), "1 every attempt was cut short");
    assert_eq!(stage.bento.calls().len(), 0);
}

#[test]
fn a_password_that_could_not_go_back_is_sent_again() {
    let given = json!({"changed_settings": {"return_password_field": ["", "generated_password"]}});
    let stage = stage_with(&given, |world| {
        let down = Script {
            fault: Fault::status(503, "{}"),
            skip: 1,
            times: 1,
        };
        world.scripts.push(down);
    });
    let answer = stage.run("add", NORA);
    assert_eq!(answer.result(), "applied", "{answer}");
    assert!(
        answer.json()["reason"]
            .as_str()
            .unwrap()
            .contains("tried again"),
        "{answer}"
    );
    assert_eq!(stage.rows_kept(), "1");
    let (_, shown, _) = stage.command(&["queue"]);
    let body = stage.value("SELECT body FROM wp_bento_webhooks_inbox");
    let errand: Value = serde_json::from_str(&body).unwrap();
    let password = errand["Fields"]["fields"][0][1]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(!shown.contains(&password), "{shown}");
    stage.site.sql(&TIME_PASSES);
    stage.program.work();
    assert_eq!(stage.rows_kept(), "0");
    let calls = stage.bento.calls();
    let posts: Vec<_> = calls.iter().filter(|call| call.method == "POST").collect();
    assert_eq!(posts.len(), 2);
    assert!(posts[1].body.contains(&password), "the same password");
}

/// Bento's API may lag behind its own webhook.
#[test]
fn a_second_look_is_taken_once_where_the_owner_wants_it() {
    let mut stage = stage();
    stage.site.define("BENTO_WEBHOOKS_SECOND_LOOK", "30");
    assert_eq!(stage.run("update_tags", SUE).result(), "applied");
    assert_eq!(stage.rows_kept(), "0", "there was something new");
    assert_eq!(stage.run("update_tags", SUE).result(), "unchanged");
    assert_eq!(stage.rows_kept(), "1");
    stage.bento.world().subscribers[0].cached_tag_ids = json!(["11"]);
    stage.command(&["work", "--now"]);
    assert_eq!(stage.bento.calls().len(), 2, "not before it is due");
    stage.site.sql(&TIME_PASSES);
    stage.command(&["work", "--now"]);
    assert_eq!(stage.tags(3), r#"a:1:{i:0;s:8:"Customer";}"#);
    assert_eq!(stage.rows_kept(), "0", "there is no third look");
}

#[test]
fn the_queue_is_shown_retried_and_dropped() {
    let stage = stage();
    let nothing = stage.command(&["queue"]);
    assert_eq!(
        nothing,
        (0, "Nothing has been kept yet.\n".to_owned(), String::new())
    );
    stage
        .bento
        .world()
        .scripts
        .push(Script::always(Fault::status(500, "{}")));
    stage.run("update", SUE);
    stage.run("add", NORA);
    let id = stage.value("SELECT MIN(id) FROM wp_bento_webhooks_inbox");
    let (code, shown, _) = stage.command(&["queue"]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[0].starts_with("Waiting  2, the oldest for "),
        "{shown}"
    );
    assert_eq!(lines[1], "Running  0", "{shown}");
    assert_eq!(lines[2], "Buried   0", "{shown}");
    assert_eq!(lines[3], "Calls    58 of 60 left in this minute", "{shown}");
    let row = lines
        .iter()
        .find(|line| line.trim_start().starts_with(&format!("{id} ")))
        .unwrap();
    assert!(
        row.contains("update") && row.contains(SUE) && row.contains("(Bento: status 500)"),
        "{shown}"
    );

    let (code, shown, _) = stage.command(&["queue", "--json"]);
    assert_eq!(code, 0);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let site = &shown["sites"][0];
    assert_eq!(
        (&site["waiting"], &site["running"], &site["buried"]),
        (&json!(2), &json!(0), &json!(0))
    );
    assert_eq!(
        (&site["calls_left"], &site["calls_per_minute"]),
        (&json!(58), &json!(60))
    );
    assert!(
        site["oldest_ms"].is_u64() && site["last_webhook_ms"].is_u64(),
        "{site}"
    );
    assert_eq!(site["rows"][0]["state"], "waiting", "{site}");

    let dropped = stage.command(&["drop", &id]);
    assert_eq!(dropped, (0, "1 row removed.\n".to_owned(), String::new()));
    assert_eq!(stage.command(&["drop", &id]).0, 1, "there is none any more");
    stage.bento.world().scripts.clear();
    let retried = stage.command(&["retry", "--all"]);
    assert_eq!(
        retried,
        (0, "1 row to be tried again.\n".to_owned(), String::new())
    );
    assert_eq!(
        stage.command(&["work", "--now"]),
        (0, "1 done, 0 later.\n".to_owned(), String::new())
    );
    assert_eq!(stage.rows_kept(), "0");
    for wrong in [
        &["drop"][..],
        &["drop", "x"],
        &["retry"],
        &["retry", "1", "--all"],
        &["queue", "--nonsense"],
        &["work", "now"],
        &["queue", "--path"],
        &["queue", "--site", "x"],
    ] {
        let (code, said, error) = stage.command(wrong);
        assert_eq!((code, said.as_str()), (2, ""), "{wrong:?}");
        assert!(error.contains("Usage: bento-webhooks"), "{error}");
    }
    for command in ["queue", "retry", "drop", "work"] {
        let (code, said, _) = stage.command(&[command, "--help"]);
        assert!(
            code == 0 && said.contains(&format!("Usage: bento-webhooks {command}")),
            "{said}"
        );
    }
}

/// What the same writes to a terminal.
fn at_terminal(stage: &Stage, arguments: &str) -> String {
    let command = format!("'{}' {arguments}", stage.program.binary().display());
    let output = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("BENTO_WEBHOOKS_WORDPRESS", stage.site.folder())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Without an end of its own it waits for what comes due later, too.
#[test]
fn at_a_terminal_the_worker_shows_how_far_it_is() {
    let stage = stage_that_keeps_all();
    stage.run("update_tags", SUE);
    stage.run("add", NORA);
    let later = "UPDATE wp_bento_webhooks_inbox SET due = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000 + 1500 ORDER BY id DESC LIMIT 1";
    stage.site.sql(&[later]);
    let said = at_terminal(&stage, "work --until-empty");
    let bar = |length: usize| format!("\r[{:<30}] ", "#".repeat(length));
    let steps = [
        format!("{}0 of 2 ", bar(0)),
        format!("{}1 of 2 ", bar(15)),
        format!("{}1 of 2, next in ", bar(15)),
        format!("{}2 of 2 ", bar(30)),
        "\n2 done, 0 later.".to_owned(),
    ];
    let mut rest = said.as_str();
    for step in &steps {
        let (_, after) = rest
            .split_once(step)
            .unwrap_or_else(|| panic!("{step:?} in {said:?}"));
        rest = after;
    }
    assert_eq!(rest.trim(), "");
    assert_eq!(stage.rows_kept(), "0");
}

/// What waits is counted for a bar that is shown, and for nothing else.
#[test]
fn a_worker_that_nobody_watches_counts_nothing() {
    let stage = stage_that_keeps_all();
    stage.site.database.record_statements();
    let counts = |work: &dyn Fn()| {
        stage.run("update_tags", SUE);
        work();
        assert_eq!(stage.rows_kept(), "0");
        let statements = stage.site.database.statements();
        let counts = |text: &str| text.contains("SUM(buried");
        statements
            .iter()
            .filter(|statement| counts(&statement.text))
            .count()
    };
    assert_eq!(counts(&|| stage.program.work()), 0);
    assert_eq!(counts(&|| drop(at_terminal(&stage, "work --now"))), 1);
}

#[test]
fn what_is_running_cannot_be_dropped() {
    let stage = stage();
    stage.run("update_tags", SUE);
    stage.bento.world().latency = Duration::from_millis(1500);
    let running = stage.start("update_tags", SUE);
    let id = stage.value("SELECT id FROM wp_bento_webhooks_inbox");
    assert_eq!(stage.command(&["drop", &id]).0, 1);
    assert_eq!(stage.command(&["retry", &id]).0, 1);
    assert!(stage.command(&["queue"]).1.contains("Running  1"));
    assert_ne!(result(running), "queued");
}

#[test]
fn an_older_program_leaves_a_newer_table_alone() {
    let stage = stage();
    stage.run("update_tags", SUE);
    stage
        .site
        .sql(&["UPDATE wp_bento_webhooks_state SET version = 2"]);
    let answer = stage.run("add", NORA);
    assert_eq!(answer.status, 503, "{answer}");
    assert!(answer.stderr.contains("newer bento-webhooks"), "{answer}");
    assert_eq!(stage.rows_kept(), "0");
    stage.site.sql(&["INSERT INTO wp_bento_webhooks_inbox (kind, person, action, contact, came, due) VALUES (0, '', 1, 'new', 0, 0)"]);
    for command in [
        &["work", "--now"][..],
        &["queue"],
        &["retry", "1"],
        &["drop", "1"],
    ] {
        let (code, _, error) = stage.command(command);
        assert_eq!(code, 1, "{command:?}");
        assert!(error.contains("newer bento-webhooks"), "{error}");
    }
    let row = "SELECT CONCAT_WS(' ', attempts, due) FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.value(row), "0 0");
}

/// Whoever makes the tables may be killed between two of them; a dump may have been restored without rows.
#[test]
fn tables_that_are_half_made_are_finished() {
    let harms = [
        "DELETE FROM wp_bento_webhooks_state",
        "DROP TABLE wp_bento_webhooks_state",
        "DROP TABLE wp_bento_webhooks_inbox",
        "DROP TABLE wp_bento_webhooks_lock",
        "DROP TABLE wp_bento_webhooks_lock, wp_bento_webhooks_inbox",
    ];
    for harm in harms {
        let stage = stage();
        stage.run("update_tags", SUE);
        stage.site.sql(&[harm]);
        let answer = stage.run("add", NORA);
        assert_eq!(answer.result(), "applied", "{harm}\n{answer}");
        assert_eq!(stage.rows_kept(), "0", "{harm}");
    }
}

/// InnoDB whatever the server would choose: rows of other engines know no transactions.
#[test]
fn our_tables_are_innodb_whatever_wordpress_uses() {
    let stage = stage();
    stage.site.sql(&[
        "ALTER TABLE wp_users ENGINE=MyISAM",
        "ALTER TABLE wp_usermeta ENGINE=MyISAM",
    ]);
    stage.run("update_tags", SUE);
    let engines = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE '%bento%' AND ENGINE = 'InnoDB'";
    assert_eq!(stage.value(engines), "3");
}
