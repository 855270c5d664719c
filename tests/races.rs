//! Many webhooks at once, as processes that nobody holds back: each is answered with 200, sooner or later, and in the end
//! the rows are those of the newest state, once.
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

use mysql::prelude::Queryable as _;
use serde_json::json;
use stage::{NORA, SUE, Stage, webhook};
use std::thread;
use std::time::{Duration, Instant};
use support::bento::{Fault, Script, Subscriber, World};
use support::cgi::{Answer, Request};
use support::database::{Network, Server};
use support::php;
use support::state::{State, log};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// The engines of WordPress's own tables.
const ENGINES: [&str; 2] = ["InnoDB", "MyISAM"];

/// A server that a test has for itself, with the number of connections that servers usually have.
fn server() -> &'static Server {
    Box::leak(Box::new(Server::start(Network::None)))
}

fn stage_on(server: &'static Server, engine: &str, change: impl FnOnce(&mut World)) -> Stage {
    let mut stage = Stage::on(server, "wp61", &json!({}), change);
    // What is left to the worker shall not wait for the next minute.
    stage.site.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "1200");
    for table in stage.site.column("SHOW TABLES") {
        stage
            .site
            .sql(&[&format!("ALTER TABLE {table} ENGINE={engine}")]);
    }
    stage
}

/// Sends the webhook again until it is taken, as its sender would.
fn send_until_taken(stage: &Stage, request: &Request) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = stage.program.run(request);
        if answer.status == 200 {
            return answer;
        }
        assert_eq!(answer.status, 503, "{answer}");
        assert!(begun.elapsed() < PATIENCE, "it is never taken: {answer}");
    }
}

fn send_all_at_once(stage: &Stage, requests: &[Request]) -> Vec<Answer> {
    thread::scope(|scope| {
        let sent: Vec<_> = requests
            .iter()
            .map(|request| scope.spawn(|| send_until_taken(stage, request)))
            .collect();
        sent.into_iter().map(|sent| sent.join().unwrap()).collect()
    })
}

/// There is one user of this address, with each row once.
fn assert_one_user(state: &State, email: &str) {
    let ids: Vec<&u64> = state
        .users
        .iter()
        .filter(|(_, user)| user["user_email"] == email)
        .map(|(id, _)| id)
        .collect();
    assert_eq!(ids.len(), 1, "users with the address {email}: {ids:?}");
    let keys: Vec<&String> = state.meta[ids[0]].iter().map(|(key, _)| key).collect();
    for key in [
        "bento_contact_id",
        "bento_tags",
        "wp_capabilities",
        "nickname",
    ] {
        let count = keys.iter().filter(|own| **own == key).count();
        assert_eq!(count, 1, "{key} in {keys:?}");
    }
    assert_eq!(
        state.options["user_count"].0,
        state.users.len().to_string(),
        "user_count"
    );
}

#[test]
fn two_hundred_adds_of_one_person_make_one_user() {
    for engine in ENGINES {
        let stage = stage_on(server(), engine, |_| {});
        send_all_at_once(&stage, &vec![webhook("add", NORA); 200]);
        stage.settle();
        assert_one_user(&stage.now(), "nora@example.test");
        let created = log(&stage.site.database)
            .iter()
            .filter(|row| row.message.contains("Created"))
            .count();
        assert_eq!(created, 1, "{engine}");
    }
}

#[test]
fn two_hundred_ids_of_one_address_make_one_user() {
    for engine in ENGINES {
        let ids: Vec<String> = (0..200).map(|number| format!("{NORA}-{number}")).collect();
        let stage = stage_on(server(), engine, |world| {
            let people = ids
                .iter()
                .map(|id| Subscriber::new(id, "twin@example.test", &["11"]));
            world.subscribers = people.collect();
        });
        let requests: Vec<Request> = ids.iter().map(|id| webhook("add", id)).collect();
        send_all_at_once(&stage, &requests);
        stage.settle();
        assert_one_user(&stage.now(), "twin@example.test");
    }
}

/// Tables without transactions show a user before all is written; whoever makes users holds the lock on names meanwhile.
#[test]
fn a_user_who_is_still_being_made_is_left_to_who_makes_them() {
    let twin = |world: &mut World| {
        world.subscribers = vec![Subscriber::new(NORA, "twin@example.test", &["11"])];
    };
    let bare = |registered: &str| {
        format!(
            "INSERT INTO wp_users (user_login, user_email, user_registered) VALUES ('twin', 'twin@example.test', {registered})"
        )
    };
    let rest = "INSERT INTO wp_usermeta (user_id, meta_key, meta_value) SELECT ID, 'nickname', 'twin' FROM wp_users WHERE user_login = 'twin' \
                UNION ALL SELECT ID, 'wp_capabilities', 'a:1:{s:10:\"subscriber\";b:1;}' FROM wp_users WHERE user_login = 'twin'";
    let count =
        "UPDATE wp_options SET option_value = option_value + 1 WHERE option_name = 'user_count'";
    let made = |stage: &Stage| assert_one_user(&stage.now(), "twin@example.test");

    let server = server();
    // Who makes them comes to the end while the webhook waits for the lock.
    let stage = stage_on(server, "MyISAM", twin);
    stage.program.run(&webhook("update", SUE));
    let mut maker = stage.site.database.root();
    maker.query_drop("BEGIN").unwrap();
    maker
        .query_drop("INSERT INTO wp_bento_webhooks_lock (slot, taken) VALUES (0, 1) ON DUPLICATE KEY UPDATE taken = 1")
        .unwrap();
    stage.site.sql(&[&bare("UTC_TIMESTAMP()"), count]);
    let child = stage.program.start(&webhook("add", NORA));
    let waits = "SELECT COUNT(*) FROM information_schema.processlist \
                 WHERE db = DATABASE() AND info LIKE 'INSERT INTO `wp\\_bento\\_webhooks\\_lock`%(0, %'";
    let begun = Instant::now();
    while stage.site.column(waits) != ["1"] {
        assert!(begun.elapsed() < PATIENCE, "it does not wait");
    }
    stage.site.sql(&[rest]);
    maker.query_drop("COMMIT").unwrap();
    let output = child.wait_with_output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(answer.contains("\"applied\""), "{answer}");
    made(&stage);

    // Who makes them was killed, and comes back later.
    let stage = stage_on(server, "MyISAM", twin);
    stage.site.sql(&[&bare("UTC_TIMESTAMP()"), count]);
    let answer = stage.program.run(&webhook("add", NORA));
    assert_eq!(answer.result(), "queued", "{answer}");
    let metas = "SELECT COUNT(*) FROM wp_usermeta m JOIN wp_users ON ID = user_id WHERE user_login = 'twin'";
    assert_eq!(stage.site.column(metas), ["0"]);
    stage.site.sql(&[rest]);
    stage.settle();
    made(&stage);

    // Nobody comes back.
    let stage = stage_on(server, "MyISAM", twin);
    stage
        .site
        .sql(&[&bare("UTC_TIMESTAMP() - INTERVAL 2 HOUR"), count]);
    let answer = stage.program.run(&webhook("add", NORA));
    assert_eq!(answer.result(), "applied", "{answer}");
}

/// Bento answers the first call late, with what it knew when it was asked. Meanwhile that changes, and a second webhook
/// comes and goes.
#[test]
fn what_was_fetched_first_never_covers_what_was_fetched_last() {
    const ACTIONS: [&str; 3] = ["add", "update", "update_tags"];
    let server = server();
    thread::scope(|scope| {
        for engine in ENGINES {
            for first in ACTIONS {
                for second in ACTIONS {
                    scope.spawn(move || overtake(server, engine, first, second));
                }
            }
        }
    });
}

fn overtake(server: &'static Server, engine: &str, first: &str, second: &str) {
    let stage = stage_on(server, engine, |world| {
        world
            .scripts
            .push(Script::once(Fault::Delay(Duration::from_millis(1500))));
        world.subscribers[0].cached_tag_ids = json!(["11"]);
        world.subscribers[0].fields = json!({"company": "Old"});
    });
    thread::scope(|scope| {
        let late = scope.spawn(|| send_until_taken(&stage, &webhook(first, SUE)));
        let begun = Instant::now();
        while stage.bento.calls().is_empty() {
            assert!(begun.elapsed() < PATIENCE, "Bento is never asked");
            thread::sleep(Duration::from_millis(2));
        }
        {
            let sue = &mut stage.bento.world().subscribers[0];
            sue.cached_tag_ids = json!(["11", "14"]);
            sue.fields = json!({"company": "New"});
        }
        send_until_taken(&stage, &webhook(second, SUE));
        late.join().unwrap();
    });
    stage.settle();
    let case = format!("{engine}: {first}, then {second}");
    let meta = |key: &str| {
        let rows = stage.now().meta[&3].clone();
        rows.into_iter()
            .filter(|(own, _)| own == key)
            .map(|(_, value)| value.unwrap())
            .collect::<Vec<_>>()
    };
    let tags = php::serialize(&json!(["Customer", "Lapsed"]));
    assert_eq!(meta("bento_tags"), [tags], "{case}");
    if second != "update_tags" {
        assert_eq!(meta("company"), ["New"], "{case}");
    }
}

/// A workflow starts: two hundred webhooks within a second, and Bento takes two seconds for each answer.
#[test]
fn two_hundred_webhooks_in_one_second_are_all_taken() {
    let ids: Vec<String> = (0..200).map(|number| format!("{NORA}-{number}")).collect();
    let stage = stage_on(server(), "InnoDB", |world| {
        let person = |(number, id): (usize, &String)| {
            Subscriber::new(id, &format!("person{number}@example.test"), &["11", "13"])
        };
        world.subscribers = ids.iter().enumerate().map(person).collect();
        world.latency = Duration::from_secs(2);
    });
    thread::scope(|scope| {
        let (stage, begun) = (&stage, Instant::now());
        for (number, id) in (0..).zip(&ids) {
            scope.spawn(move || {
                let moment = Duration::from_secs(1) * number / 200;
                thread::sleep(moment.saturating_sub(begun.elapsed()));
                send_until_taken(stage, &webhook("add", id));
            });
        }
    });
    stage.bento.world().latency = Duration::ZERO;
    stage.settle();
    let state = stage.now();
    for number in 0..200 {
        assert_one_user(&state, &format!("person{number}@example.test"));
    }
}
