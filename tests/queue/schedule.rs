//! When a row is tried again, when it is given up, and how long it is kept then.

use super::{LEASES_RUN_OUT, NORA, SUE, TIME_PASSES, stage, stage_that_keeps_all};
use crate::support::bento::{Fault, Script};
use serde_json::{Value, json};
use std::time::Duration;

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
    let (_, shown, _) = stage.command(&["queue", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let due = shown["sites"][0]["rows"][0]["due_in_ms"].as_u64().unwrap();
    assert!(due <= 2 * 86_400_000, "{shown}");
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
        stage.program.work();
        stage.rows_kept()
    };
    assert_eq!(age(29), "1");
    assert_eq!(age(2), "0");
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

/// Who is killed says nothing: what he has tried waits by the schedule all the same.
#[test]
fn a_row_that_kills_whoever_works_on_it_waits_longer_each_time() {
    let stage = stage_that_keeps_all();
    stage.run("update_tags", SUE);
    let now = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";
    for (attempt, seconds) in [(1, 30), (2, 120), (3, 600)] {
        stage.bento.world().latency = Duration::from_secs(3);
        let mut worker = stage.program.start_command(&["work", "--now"]);
        stage.await_calls(attempt);
        worker.kill().unwrap();
        worker.wait().unwrap();
        let due = format!(
            "SELECT COUNT(*) FROM wp_bento_webhooks_inbox WHERE due BETWEEN {now} + {} AND {now} + {}",
            seconds * 1000 - 20_000,
            seconds * 1000
        );
        assert_eq!(stage.value(&due), "1", "after attempt {attempt}");
        stage.bento.world().latency = Duration::ZERO;
        stage.site.sql(&[
            LEASES_RUN_OUT,
            "UPDATE wp_bento_webhooks_state SET worker = 0",
        ]);
        stage.program.work();
        assert_eq!(stage.bento.calls().len(), attempt, "not before it is due");
        stage.site.sql(&TIME_PASSES);
    }
    stage.program.work();
    assert_eq!(stage.rows_kept(), "0");
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
