//! What is sent once a user is committed.

use super::{NORA, Request, SUE, TIME_PASSES, stage_with, target};
use crate::support::bento::{Fault, Script};
use serde_json::{Value, json};

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

/// As often as it is tried, by the schedule of every row; then it is kept for the owner.
#[test]
fn what_can_never_go_back_is_given_up_and_can_be_retried() {
    let given = json!({"changed_settings": {"return_password_field": ["", "generated_password"]}});
    let stage = stage_with(&given, |world| {
        world.scripts.push(Script {
            fault: Fault::status(503, "{}"),
            skip: 1,
            times: usize::MAX,
        });
    });
    stage.run("add", NORA);
    let row = "SELECT CONCAT_WS(' ', attempts, buried > 0, reason) FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.value(row), "1 0 Bento: status 503");
    stage
        .site
        .sql(&["UPDATE wp_bento_webhooks_inbox SET attempts = 10"]);
    for wanted in ["11 0", "12 1", "12 1"] {
        stage.site.sql(&TIME_PASSES);
        stage.command(&["work", "--now"]);
        assert_eq!(stage.value(row), format!("{wanted} Bento: status 503"));
    }
    assert_eq!(stage.bento.calls().len(), 4);
    let failures = "SELECT COUNT(*) FROM wp_wpf_logging WHERE message LIKE 'Could not be sent%'";
    assert_eq!(
        stage.value(failures),
        "2",
        "the first failure and the last are told"
    );
    let id = stage.value("SELECT id FROM wp_bento_webhooks_inbox");
    let (_, shown, _) = stage.command(&["queue"]);
    let line = shown
        .lines()
        .find(|line| line.trim_start().starts_with(&id))
        .unwrap();
    assert!(line.contains("send") && line.contains("buried"), "{shown}");

    stage.bento.world().scripts.clear();
    assert_eq!(stage.command(&["retry", &id]).0, 0);
    stage.command(&["work", "--now"]);
    assert_eq!(stage.rows_kept(), "0");
    let calls = stage.bento.calls();
    assert_eq!(calls[4].body, calls[1].body, "the same password");
}

/// A mail needs no call: it is waited for although there will be none for long.
#[test]
fn a_mail_does_not_wait_for_bento() {
    let mut stage = stage_with(&json!({}), |_| {});
    stage.site.define("BENTO_WEBHOOKS_SENDMAIL", "/bin/false");
    let address = format!("{}&send_notification=true", target("add"));
    let request = Request::post(&address, &json!({"id": NORA}).to_string());
    let answer = stage.program.run(&request);
    assert_eq!(answer.result(), "applied", "{answer}");
    stage.site.define("BENTO_WEBHOOKS_SENDMAIL", "/bin/true");
    let now = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";
    stage.site.sql(&[
        &format!("UPDATE wp_bento_webhooks_inbox SET due = {now} + 1500"),
        &format!("UPDATE wp_bento_webhooks_state SET paused = {now} + 3600000"),
    ]);
    stage.command(&["work"]);
    assert_eq!(stage.rows_kept(), "0");
}
