//! What comes for one person becomes one row, and the newest state wins.

use super::{LEASES_RUN_OUT, NORA, Request, SUE, result, stage, stage_that_keeps_all, target};
use crate::support::mail::Outbox;
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
