//! A site with many users: no webhook makes the database read more rows there than on a small one. Rows are counted by
//! the server; time is not looked at.

use super::{NORA, SUE, Server, Stage, Subscriber, json, stage_on};
use crate::support::database::Network;
use mysql::prelude::Queryable as _;

/// Users of a small site, and of a large one: far more than the rows that any webhook reads.
const FEW: u64 = 20;
const MANY: u64 = 3000;
/// What a webhook may read more on the large site: an index has a level more.
const SLACK: u64 = 8;

/// On a server of its own, because it counts for all of its users at once.
fn stage() -> Stage {
    let server = Box::leak(Box::new(Server::start(Network::None)));
    let stage = stage_on(server, &json!({}), |world| {
        for number in 1..=6 {
            let (id, email) = newcomer(number);
            world
                .subscribers
                .push(Subscriber::new(&id, &email, &["11"]));
        }
    });
    // From 10,000 on, WordPress does not count its users.
    stage
        .site
        .sql(&["UPDATE wp_options SET option_value = '20000' WHERE option_name = 'user_count'"]);
    stage
}

fn newcomer(number: u64) -> (String, String) {
    (
        format!("{number:08x}-1111-4000-8000-000000000000"),
        format!("new{number}@example.test"),
    )
}

impl Stage {
    /// Makes linked users with these numbers, whose logins and nicenames begin like those of new ones.
    fn grow(&self, first: u64, last: u64) {
        self.site.sql(&[
            &format!(
                "INSERT INTO wp_users (user_login, user_pass, user_nicename, user_email, user_registered, display_name) \
                 SELECT CONCAT('new1example-test-', seq), '', CONCAT('new1example-test-', seq), CONCAT('many', seq, '@example.test'), \
                 '2024-01-01', 'Many' FROM seq_{first}_to_{last}"
            ),
            &format!(
                "INSERT INTO wp_usermeta (user_id, meta_key, meta_value) \
                 SELECT ID, 'bento_contact_id', UUID() FROM wp_users WHERE display_name = 'Many' ORDER BY ID LIMIT {first}, {MANY}"
            ),
            "ANALYZE TABLE wp_users, wp_usermeta",
        ]);
    }

    /// The rows that the database reads for a webhook, which must end so.
    fn rows_read(&self, action: &str, person: &str, result: &str) -> u64 {
        let mut root = self.site.database.root();
        root.query_drop("SET GLOBAL userstat = 1").unwrap();
        root.query_drop("FLUSH USER_STATISTICS").unwrap();
        let answer = self.run(action, person);
        assert_eq!(answer.result(), result, "{answer}");
        let read: Option<u64> = root
            .exec_first(
                "SELECT ROWS_READ FROM information_schema.USER_STATISTICS WHERE USER = ?",
                (self.site.database.name(),),
            )
            .unwrap();
        read.unwrap()
    }

    fn index(&self, wish: &str) -> String {
        let output = self.program.command(&["index", wish]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn with_the_index_no_webhook_reads_more_rows_on_a_large_site() {
    let stage = stage();
    assert_eq!(stage.run("update_tags", SUE).status, 200);
    let told = stage.index("--make");
    assert!(told.contains("ADD INDEX bento_webhooks_contact"), "{told}");
    assert!(told.ends_with("they are found by our index.\n"), "{told}");
    let mut person = 0;
    let mut new = || {
        person += 1;
        newcomer(person).0
    };
    let mut costs = |stage: &Stage| {
        let known = newcomer(1).0;
        [
            ("add, new user", stage.rows_read("add", &new(), "applied")),
            (
                "update_tags",
                stage.rows_read("update_tags", &known, "unchanged"),
            ),
            ("update", stage.rows_read("update", &known, "unchanged")),
            (
                "add, user is there",
                stage.rows_read("add", &known, "unchanged"),
            ),
            ("unknown person", stage.rows_read("update", NORA, "ignored")),
        ]
    };
    // As many as a webhook looks at when it makes a password.
    stage.grow(0, FEW);
    let small = costs(&stage);
    stage.grow(FEW + 1, MANY);
    let large = costs(&stage);
    for ((name, small), (_, large)) in small.into_iter().zip(large) {
        assert!(large <= small + SLACK, "{name}: {small} rows, then {large}");
    }

    // Without the index the same add reads every contact id: the witness sees it.
    let told = stage.index("--drop");
    assert!(told.ends_with("there is no index on them.\n"), "{told}");
    assert!(stage.rows_read("add", &new(), "applied") > MANY);
}

#[test]
fn the_index_of_somebody_else_is_as_good_and_stays() {
    let stage = stage();
    stage
        .site
        .sql(&["ALTER TABLE wp_usermeta ADD INDEX theirs (meta_value(32), umeta_id)"]);
    for wish in ["--make", "--drop"] {
        let told = stage.index(wish);
        assert!(told.ends_with("an index that is not ours.\n"), "{told}");
    }
    let named = "SELECT COUNT(*) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME = ";
    assert_eq!(
        stage
            .site
            .column(&format!("{named} 'theirs' AND SEQ_IN_INDEX = 1")),
        ["1"]
    );
    assert_eq!(
        stage
            .site
            .column(&format!("{named} 'bento_webhooks_contact'")),
        ["0"]
    );
}

/// Usermeta in which reading the contact ids takes as many seconds.
fn slow_metas(seconds: u32) -> String {
    format!(
        "CREATE OR REPLACE ALGORITHM=TEMPTABLE VIEW slow_usermeta AS SELECT * FROM wp_usermeta \
         WHERE meta_key <> 'bento_contact_id' OR user_id <> 3 OR SLEEP({seconds}) = 0"
    )
}

#[test]
fn who_cannot_be_found_at_once_is_left_to_the_worker() {
    let mut stage = stage();
    stage.site.define("CUSTOM_USER_META_TABLE", "slow_usermeta");
    stage.site.sql(&[&slow_metas(5)]);
    for (action, person) in [("add", NORA), ("update", SUE), ("update", "nobody")] {
        let answer = stage.run(action, person);
        assert_eq!(answer.result(), "queued", "{answer}");
        let reason = answer.json()["reason"].to_string();
        assert!(reason.contains("find a person"), "{answer}");
    }
    assert_eq!(stage.bento.calls().len(), 0);
    let waiting = "SELECT COUNT(*) FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.site.column(waiting), ["3"]);

    // Nobody waits for the worker: it searches to the end.
    stage
        .site
        .sql(&["DELETE FROM wp_bento_webhooks_inbox WHERE contact <> 'nobody'"]);
    stage.program.work();
    assert_eq!(stage.site.column(waiting), ["0"]);

    stage.run("add", NORA);
    stage.run("update", SUE);
    stage
        .site
        .sql(&["CREATE OR REPLACE VIEW slow_usermeta AS SELECT * FROM wp_usermeta"]);
    stage.program.work();
    assert_eq!(stage.site.column(waiting), ["0"]);
    let tags = "SELECT COUNT(*) FROM wp_usermeta m JOIN wp_users u ON u.ID = m.user_id \
                WHERE meta_key = 'bento_tags' AND user_email IN ('sue@example.test', 'nora@example.test')";
    assert_eq!(stage.site.column(tags), ["2"]);
}
