//! What comes for one person becomes one row, and the newest state wins.

use super::{
    LEASES_RUN_OUT, NORA, Request, SUE, by_query, result, stage, stage_that_keeps_all, target,
    until,
};
use crate::support::bento::{Fault, Script};
use crate::support::mail::Outbox;
use mysql::TxOpts;
use mysql::prelude::Queryable as _;
use serde_json::json;
use std::time::Duration;

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

/// What a webhook does not ask for takes nothing from what was asked for before, in whatever order they come.
#[test]
fn the_welcome_and_the_role_of_one_webhook_survive_the_others() {
    let burst = [
        ("add", "&send_notification=true"),
        ("update_tags", "&role=customer"),
        ("update", ""),
        ("add", "&send_notification=false"),
    ];
    for turns in 0..burst.len() {
        let mut stage = stage_that_keeps_all();
        let outbox = Outbox::new(stage.site.folder().join("outbox"));
        stage
            .site
            .define("BENTO_WEBHOOKS_SENDMAIL", &outbox.command());
        // Before there is anything about this person, only an add is kept.
        stage.run("add", NORA);
        let mut burst = burst;
        burst.rotate_left(turns);
        for (action, more) in burst {
            let request = Request::post(
                &format!("{}{more}", target(action)),
                &json!({"id": NORA}).to_string(),
            );
            assert_eq!(stage.program.run(&request).result(), "queued");
        }
        stage.program.work();
        assert_eq!(stage.bento.calls().len(), 1);
        assert_eq!(outbox.mails().len(), 1, "{burst:?}");
        let role = "SELECT meta_value FROM wp_usermeta m JOIN wp_users u ON u.ID = m.user_id \
                    WHERE user_email = 'nora@example.test' AND meta_key = 'wp_capabilities'";
        assert_eq!(
            stage.value(role),
            r#"a:1:{s:8:"customer";b:1;}"#,
            "{burst:?}"
        );
    }
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

/// The row that an update would have joined may end, and leave its user, before the update is stored.
#[test]
fn what_comes_for_a_user_who_has_just_been_made_is_not_ignored() {
    let stage = stage();
    let add = format!("{}&async=true", target("add"));
    let add = Request::post(&add, &json!({"id": NORA}).to_string());
    assert_eq!(stage.program.run(&add).result(), "queued");
    let mut root = stage.site.database.root();
    let mut making = root.start_transaction(TxOpts::default()).unwrap();
    making
        .query_drop("SELECT id FROM wp_bento_webhooks_inbox FOR UPDATE")
        .unwrap();
    let update = stage.program.start(&by_query("update", NORA));
    let waits = "SELECT COUNT(*) FROM information_schema.processlist \
                 WHERE db = DATABASE() AND info LIKE 'INSERT INTO `wp\\_bento\\_webhooks\\_inbox%'";
    until("the update", || stage.value(waits) == "1");
    for made in [
        "INSERT INTO wp_users (user_login, user_email, user_registered) VALUES ('nora', 'nora@example.test', '2024-01-01')",
        &format!(
            "INSERT INTO wp_usermeta (user_id, meta_key, meta_value) VALUES (LAST_INSERT_ID(), 'bento_contact_id', '{NORA}')"
        ),
        "DELETE FROM wp_bento_webhooks_inbox",
    ] {
        making.query_drop(made).unwrap();
    }
    making.commit().unwrap();
    assert_eq!(result(update), "applied");
    assert_eq!(stage.rows_kept(), "0");
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

/// The last attempt of the row is no attempt of what came meanwhile.
#[test]
fn what_comes_during_the_last_attempt_is_not_buried_with_it() {
    let stage = stage();
    stage
        .bento
        .world()
        .scripts
        .push(Script::always(Fault::status(500, "{}")));
    assert_eq!(stage.run("update_tags", SUE).result(), "queued");
    stage
        .site
        .sql(&["UPDATE wp_bento_webhooks_inbox SET attempts = 11, due = 0"]);
    stage.bento.world().latency = Duration::from_millis(900);
    let calls = stage.bento.calls().len();
    let worker = stage.program.start_command(&["work", "--now"]);
    stage.await_calls(calls + 1);
    assert_eq!(stage.run("update", SUE).result(), "queued");
    assert!(worker.wait_with_output().unwrap().status.success());
    let row = "SELECT CONCAT_WS(' ', action, attempts, buried) FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.value(row), "2 1 0");
    let now = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000";
    let soon = format!("SELECT due <= {now} + 30000 FROM wp_bento_webhooks_inbox");
    assert_eq!(stage.value(&soon), "1", "as soon as after a first attempt");

    stage.bento.world().scripts.clear();
    stage.settle();
    assert_eq!(stage.tags(3), r#"a:1:{i:0;s:3:"VIP";}"#);
}

/// They all are stored while the first is asked for; then one after the other gets its turn.
#[test]
fn a_crowd_for_one_person_uses_up_no_attempts() {
    let stage = stage();
    stage.run("update_tags", SUE);
    {
        let mut world = stage.bento.world();
        world.scripts.push(Script::always(Fault::status(500, "{}")));
        world.latency = Duration::from_millis(300);
    }
    let version = || {
        stage
            .site
            .column("SELECT version FROM wp_bento_webhooks_inbox")
    };
    let mut working = stage.start("update_tags", SUE);
    for came in 2..6 {
        let mut other = stage.site.database.root();
        let mut door = other.start_transaction(TxOpts::default()).unwrap();
        door.query_drop("UPDATE wp_bento_webhooks_state SET heard = 0")
            .unwrap();
        let mut next = stage.program.spawn(&by_query("update_tags", SUE));
        drop(next.stdin.take());
        until("the next one is stored", || version() == [came.to_string()]);
        assert_eq!(result(working), "queued");
        let calls = stage.bento.calls().len();
        door.rollback().unwrap();
        stage.await_calls(calls + 1);
        working = next;
    }
    assert_eq!(result(working), "queued");
    let row = "SELECT CONCAT_WS(' ', attempts, buried) FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.value(row), "2 0");
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
