//! Calls to Bento in a minute, and requests that are worked on while their callers wait.

use super::{NORA, PATIENCE, SUE, TIME_PASSES, by_query, crowd, result, stage, webhook};
use crate::support::bento::{Fault, Script};
use crate::support::cgi::Request;
use mysql::TxOpts;
use mysql::prelude::Queryable as _;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

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
    let told = "SELECT COUNT(*) FROM wp_wpf_logging WHERE level = 500";
    assert_eq!(stage.value(told), "1");
    let limited = Script::once(Fault::too_many(Some(7)));
    stage.bento.world().scripts = vec![limited];
    stage.site.sql(&TIME_PASSES);
    stage.program.work();
    assert_eq!(
        (stage.value(row), stage.value(told)),
        ("0".into(), "1".into()),
        "told once"
    );
    // Not for this person alone.
    let answer = stage.run("add", NORA);
    assert_eq!(answer.result(), "queued", "{answer}");
    assert_eq!(stage.bento.calls().len(), 2);
    stage.site.sql(&TIME_PASSES);
    stage.program.work();
    assert_eq!(stage.bento.calls().len(), 4);
    assert_eq!(stage.rows_kept(), "0");
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

/// Webhooks that take more than their half all the time do not keep a backlog waiting for ever.
#[test]
fn a_backlog_has_its_half_whatever_comes() {
    let (mut stage, people) = crowd(8);
    stage.site.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "4");
    for person in &people[..3] {
        let address = format!("{}&async=true", by_query("add", person).target);
        assert_eq!(
            stage.program.run(&Request::get(&address)).result(),
            "queued"
        );
    }
    for person in &people[3..6] {
        assert_eq!(stage.run("add", person).result(), "applied");
    }
    stage.program.work();
    assert_eq!(stage.bento.calls().len(), 4, "the last one of all");
    stage.site.sql(&TIME_PASSES);
    stage.program.work();
    assert_eq!(stage.bento.calls().len(), 6, "its half");
    for person in &people[6..] {
        assert_eq!(stage.run("add", person).result(), "applied");
    }
    assert_eq!(stage.bento.calls().len(), 8, "the other half");
    assert_eq!(stage.run("update", &people[0]).result(), "queued");
}

/// The owner may change his mind within the minute.
#[test]
fn a_minute_in_which_the_limit_changes_has_no_more_calls_than_allowed_either() {
    for (before, after, left) in [("4", "2", 0), ("4", "3", 0), ("3", "6", 3), ("4", "9", 6)] {
        let (mut stage, people) = crowd(9);
        let limit = "BENTO_WEBHOOKS_CALLS_PER_MINUTE";
        stage.site.define(limit, before);
        let mut later = webhook("add", &people[8]);
        later.target += "&async=true";
        stage.program.run(&later);
        stage.program.work();
        for person in &people[..2] {
            assert_eq!(stage.run("add", person).result(), "applied");
        }
        stage.site.define(limit, after);
        for person in &people[2..8] {
            stage.run("add", person);
        }
        let made = stage.bento.calls().len() - 3;
        assert!(made <= left, "{made} calls after {before} became {after}");
    }
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
    // Behind the one that a backlog may make.
    for (place, ago) in [(7, 50), (13, 50), (19, 50)] {
        stage.site.sql(&[&moment(place, ago)]);
    }
    assert_eq!(stage.run("add", &people[3]).result(), "queued");
    stage.site.sql(&[&moment(7, 63)]);
    assert_eq!(stage.run("add", &people[3]).result(), "applied");
    assert_eq!(stage.run("update", &people[0]).result(), "queued");
}

const NOW: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000";

/// A row that somebody works on.
fn somebody_works() -> String {
    format!(
        "INSERT INTO wp_bento_webhooks_inbox (kind, person, came, due, token, lease, live) \
         VALUES (0, REPEAT('x', 32), {NOW}, {NOW}, REPEAT('y', 16), {NOW} + 40000, 1)"
    )
}

/// Who may not work anyway does not wait for those before the door.
#[test]
fn a_crowd_does_not_stand_before_the_door() {
    let mut stage = stage();
    stage.site.define("BENTO_WEBHOOKS_CONCURRENCY", "1");
    stage.run("update_tags", SUE);
    stage.site.sql(&[
        &somebody_works(),
        // There is a worker, and webhooks were heard of a moment ago.
        &format!(
            "UPDATE wp_bento_webhooks_state SET worker = {NOW} + 3600000, heard = {NOW} + 3600000"
        ),
    ]);
    let mut other = stage.site.database.root();
    let mut door = other.start_transaction(TxOpts::default()).unwrap();
    door.query_drop("UPDATE wp_bento_webhooks_state SET version = 1, paused = 1")
        .unwrap();
    let answer = stage.run("update_tags", SUE);
    assert_eq!(
        answer.json()["reason"],
        "other webhooks are being worked on; this one follows",
        "{answer}"
    );
    door.rollback().unwrap();
    assert_eq!(stage.rows_kept(), "2");
}

/// The row of a request that is about to commit is locked. Nobody else has to wait for that.
#[test]
fn who_ends_a_row_keeps_nobody_waiting() {
    let stage = stage();
    stage.run("update_tags", SUE);
    stage.site.sql(&[&somebody_works()]);
    let mut other = stage.site.database.root();
    let mut lock = other.start_transaction(TxOpts::default()).unwrap();
    let row = "kind = 0 AND person = REPEAT('x', 32)";
    lock.query_drop(format!(
        "UPDATE wp_bento_webhooks_inbox SET live = 0, lease = 0 WHERE {row}"
    ))
    .unwrap();
    let answer = stage.run("update_tags", SUE);
    assert_eq!(answer.result(), "unchanged", "{answer}");
    lock.rollback().unwrap();
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
