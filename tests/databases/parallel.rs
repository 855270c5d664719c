//! Many webhooks at once, and an admin between them.

use super::{NORA, Request, SUE, Stage, Subscriber, json, stage, stage_with, tag, webhook};
use crate::support::cgi::Answer;
use crate::support::php;
use mysql::TxOpts;
use mysql::prelude::Queryable as _;
use serde_json::Value;
use std::collections::BTreeSet;

const TO_MYISAM: [&str; 4] = [
    "ALTER TABLE wp_users ENGINE=MyISAM",
    "ALTER TABLE wp_usermeta ENGINE=MyISAM",
    "ALTER TABLE wp_options ENGINE=MyISAM",
    "ALTER TABLE wp_wpf_logging ENGINE=MyISAM",
];

/// How many users have this value in the column, and how many the option counts.
fn count(stage: &Stage, condition: &str) -> String {
    let sql = format!("SELECT COUNT(*) FROM wp_users WHERE {condition}");
    stage.site.column(&sql).remove(0)
}

fn assert_count_is_exact(stage: &Stage) {
    let stored = stage.now().options["user_count"].0.clone();
    assert_eq!(stored, count(stage, "1"), "user_count");
}

fn results(answers: &[Answer]) -> BTreeSet<String> {
    answers.iter().map(Answer::result).collect()
}

#[test]
fn the_same_new_person_many_times_at_once_is_one_user() {
    for (requests, engine) in [(100, &[][..]), (25, &TO_MYISAM[..])] {
        let stage = stage();
        stage.site.sql(engine);
        let answers = stage.run_at_once(&vec![webhook("add", NORA); requests]);
        for answer in &answers {
            assert!(
                ["applied", "unchanged", "queued"].contains(&answer.result().as_str()),
                "{answer}"
            );
        }
        assert_eq!(count(&stage, "user_email = 'nora@example.test'"), "1");
        assert_count_is_exact(&stage);
        let id = stage
            .site
            .column("SELECT MAX(ID) FROM wp_users")
            .remove(0)
            .parse()
            .unwrap();
        for key in [
            "bento_contact_id",
            "bento_tags",
            "wp_capabilities",
            "nickname",
        ] {
            assert!(stage.meta(id, key).is_some(), "{key}");
        }
    }
}

/// Nobody waits here: the table of the lock itself is made by whoever comes first.
#[test]
fn the_first_webhooks_of_all_may_come_together() {
    let stage = stage();
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..40)
            .map(|_| scope.spawn(|| stage.run("add", NORA)))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    stage.program.work();
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer}");
    }
    assert_eq!(count(&stage, "user_email = 'nora@example.test'"), "1");
    assert_count_is_exact(&stage);
}

/// Two ids of Bento, one address: by the id nobody can be found.
#[test]
fn one_address_under_several_ids_is_one_user() {
    let twins: Vec<String> = (0..30).map(|n| format!("{NORA}-{n}")).collect();
    let stage = stage_with(&json!({}), |world| {
        let people = twins
            .iter()
            .map(|id| Subscriber::new(id, "Twin@example.test", &["11"]));
        world.subscribers.splice(0..0, people);
    });
    let requests: Vec<Request> = twins.iter().map(|id| webhook("add", id)).collect();
    for answer in stage.run_at_once(&requests) {
        assert_eq!(answer.status, 200, "{answer}");
    }
    assert_eq!(count(&stage, "user_email = 'twin@example.test'"), "1");
    assert_count_is_exact(&stage);
}

/// What was read before the lock was held must not be believed under it.
#[test]
fn a_new_person_with_a_new_tag_at_once_is_one_user() {
    let stage = stage_with(&json!({}), |world| {
        world.tags.push(tag("77", "Fresh"));
        world.subscribers[1].cached_tag_ids = json!(["77"]);
    });
    stage.run("update_tags", SUE);
    // Only the lock for new users is held, so that everybody has refreshed the tags and read once more.
    stage
        .site
        .sql(&["INSERT IGNORE INTO wp_bento_webhooks_lock (slot, taken) VALUES (0, 0)"]);
    let names = "SELECT * FROM wp_bento_webhooks_lock WHERE slot = 0 FOR UPDATE";
    let answers = stage.run_behind(names, &vec![webhook("add", NORA); 12]);
    assert_eq!(
        count(&stage, "user_email = 'nora@example.test'"),
        "1",
        "{}",
        answers[0]
    );
    assert_count_is_exact(&stage);
}

#[test]
fn people_of_one_name_get_logins_and_nicenames_of_their_own() {
    for (people, engine) in [(60, &[][..]), (20, &TO_MYISAM[..])] {
        let ids: Vec<String> = (0..people).map(|n| format!("{NORA}-{n}")).collect();
        let given = json!({"changed_settings": {
            "username_format": ["email", "flname"],
            "contact_fields.user_nicename": {"active": "1", "type": "text", "crm_field": "slug"},
        }});
        let stage = stage_with(&given, |world| {
            for (n, id) in ids.iter().enumerate() {
                let fields = json!({"first_name": "Ann", "last_name": "Lee", "slug": "ann-lee"});
                let email = format!("ann{n}@example.test");
                world
                    .subscribers
                    .push(Subscriber::new(id, &email, &["11"]).with_fields(fields));
            }
        });
        stage.site.sql(engine);
        let requests: Vec<Request> = ids.iter().map(|id| webhook("add", id)).collect();
        let answers = stage.run_at_once(&requests);
        let results = results(&answers);
        let possible = BTreeSet::from(["applied".to_string(), "queued".to_string()]);
        assert!(results.is_subset(&possible), "{results:?}");
        let distinct = |column: &str| {
            let sql = format!(
                "SELECT COUNT(DISTINCT {column}) FROM wp_users WHERE user_email LIKE 'ann%'"
            );
            stage.site.column(&sql).remove(0)
        };
        assert_eq!(distinct("user_login"), people.to_string());
        assert_eq!(distinct("user_nicename"), people.to_string());
        assert_count_is_exact(&stage);
    }
}

#[test]
fn fields_and_tags_of_one_user_may_come_at_once() {
    for engine in [&[][..], &TO_MYISAM[..]] {
        let stage = stage_with(&json!({}), |world| {
            world.subscribers[0].fields =
                json!({"first_name": "Susan", "nickname": "New", "phone": "1"});
        });
        stage.site.sql(engine);
        // The row of the tags and that of the phone number are new, so that a second reader could add a second one.
        stage.with_all_locks();
        stage.site.sql(&["DELETE FROM wp_usermeta WHERE user_id = 3 AND meta_key IN ('bento_tags', 'phone_number')"]);
        stage.bento.world().subscribers[0].cached_tag_ids = json!(["11", "13"]);
        stage.site.sql(&["TRUNCATE wp_bento_webhooks_lock"]);
        let requests: Vec<Request> = (0..30)
            .map(|n| webhook(if n % 2 == 0 { "update" } else { "update_tags" }, SUE))
            .collect();
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let runs: Vec<_> = requests
                .iter()
                .map(|request| scope.spawn(|| stage.program.run(request)))
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        stage.program.work();
        for answer in &answers {
            assert_eq!(answer.status, 200, "{answer}");
        }
        let tags = r#"a:2:{i:0;s:8:"Customer";i:1;s:3:"VIP";}"#;
        assert_eq!(stage.tags(3).as_deref(), Some(tags));
        assert_eq!(stage.meta(3, "phone_number").as_deref(), Some("1"));
    }
}

#[test]
fn an_address_goes_to_one_user_whether_by_add_or_by_update() {
    for round in 0..3 {
        let stage = stage_with(&json!({}), |world| {
            world.subscribers[0].email = json!("nora@example.test");
            // Bento finds whoever is first; each request names its own id.
            world.subscribers[1].email = json!("nora@example.test");
        });
        let mut requests = vec![webhook("add", NORA), webhook("update", SUE)];
        requests.rotate_left(round % 2);
        for answer in stage.run_at_once(&requests) {
            assert_eq!(answer.status, 200, "{answer}");
        }
        assert_eq!(count(&stage, "user_email = 'nora@example.test'"), "1");
        assert_count_is_exact(&stage);
    }
}

/// The settings with one more entry, as the admin's browser sends them all.
fn settings(stage: &Stage, tag: &str) -> String {
    let raw = stage.now().options["wpf_options"].0.clone();
    let (open, close) = (raw.find(":{").unwrap(), raw.len() - 1);
    let number: usize = raw[2..open].parse().unwrap();
    let entry = format!(r#"s:5:"extra";{}"#, php::serialize(&Value::from(tag)));
    format!("a:{}{}{entry}}}", number + 1, &raw[open..close])
}

/// What an admin's browser does to the settings.
const SAVE_SETTINGS: &str =
    "UPDATE wp_options SET option_value = ? WHERE option_name = 'wpf_options'";

/// Sue has a tag that the site does not know yet, so that the program saves the list of tags.
fn stage_with_new_tag() -> Stage {
    stage_with(&json!({}), |world| {
        world.tags.push(tag("77", "Fresh"));
        world.subscribers[0].cached_tag_ids = json!(["77"]);
    })
}

/// Neither the admin's setting nor the program's tag is lost.
fn assert_both_saved(stage: &Stage, answer: &Answer) {
    assert_eq!(answer.result(), "applied", "{answer}");
    let stored = stage.now().options["wpf_options"].0.clone();
    assert!(
        stored.contains("saved by the admin"),
        "the admin's setting is lost"
    );
    assert!(stored.contains(r#"i:77;s:5:"Fresh";"#), "the tag is lost");
}

/// The admin's UPDATE is committed while the program waits for the row: it must see the new settings.
#[test]
fn settings_saved_before_the_tags_are_kept() {
    let stage = stage_with_new_tag();
    let new = settings(&stage, "saved by the admin");
    let mut root = stage.site.database.root();
    let mut admin = root.start_transaction(TxOpts::default()).unwrap();
    admin.exec_drop(SAVE_SETTINGS, (&new,)).unwrap();
    let answer = std::thread::scope(|scope| {
        let run = scope.spawn(|| stage.run("update_tags", SUE));
        stage.await_waiting(|| 1);
        admin.commit().unwrap();
        run.join().unwrap()
    });
    assert_both_saved(&stage, &answer);
}

/// The admin's UPDATE waits for the program, and wins.
#[test]
fn settings_saved_after_the_tags_are_kept() {
    let stage = stage_with_new_tag();
    let new = settings(&stage, "saved by the admin");
    // The row of the tag list is held, which the program writes after the settings.
    let mut root = stage.site.database.root();
    let mut holder = root.start_transaction(TxOpts::default()).unwrap();
    holder
        .query_drop("SELECT * FROM wp_options WHERE option_name = 'wpf_available_tags' FOR UPDATE")
        .unwrap();
    let answer = std::thread::scope(|scope| {
        let run = scope.spawn(|| stage.run("update_tags", SUE));
        let waits = "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() \
                     AND info LIKE CONCAT('%', HEX('wpf_available_tags'), '%FOR UPDATE')";
        while stage.site.column(waits).is_empty() {
            assert!(!run.is_finished(), "the program does not wait");
            std::thread::yield_now();
        }
        let admin = scope.spawn(|| {
            let mut root = stage.site.database.root();
            root.exec_drop(SAVE_SETTINGS, (&new,)).unwrap();
        });
        let held = "SELECT COUNT(*) FROM information_schema.processlist WHERE command <> 'Sleep' AND time_ms > 100 \
                    AND db = DATABASE() AND info LIKE 'UPDATE wp_options%'";
        while stage.site.column(held) != ["1"] {
            assert!(
                !admin.is_finished(),
                "the program does not hold the settings"
            );
            std::thread::yield_now();
        }
        holder.rollback().unwrap();
        admin.join().unwrap();
        run.join().unwrap()
    });
    assert_eq!(answer.result(), "applied", "{answer}");
    assert_eq!(stage.now().options["wpf_options"].0, new);
}

/// MyISAM knows no row locks: what counts is that the settings are those which were read.
#[test]
fn settings_saved_between_reading_and_writing_are_kept_without_row_locks() {
    let stage = stage_with_new_tag();
    stage.site.sql(&TO_MYISAM);
    let new = settings(&stage, "saved by the admin");
    // While a reader holds the table, first the program queues up to read for writing, then the admin to write.
    let mut reader = stage.site.database.root();
    reader.query_drop("LOCK TABLES wp_options READ").unwrap();
    let await_queue = |length: usize| {
        let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for%' \
                   AND db = DATABASE() AND info LIKE '%wp_options%' AND info NOT LIKE '%processlist%'";
        while stage.site.column(sql) != [length.to_string()] {
            std::thread::yield_now();
        }
    };
    let answer = std::thread::scope(|scope| {
        let run = scope.spawn(|| stage.run("update_tags", SUE));
        await_queue(1);
        let admin = scope.spawn(|| {
            let mut root = stage.site.database.root();
            root.exec_drop(SAVE_SETTINGS, (&new,)).unwrap();
        });
        await_queue(2);
        reader.query_drop("UNLOCK TABLES").unwrap();
        admin.join().unwrap();
        run.join().unwrap()
    });
    assert_both_saved(&stage, &answer);
}
