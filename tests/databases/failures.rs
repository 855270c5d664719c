//! A server that refuses, fails, vanishes or makes wait: the caller comes again, the owner reads one clear line, and
//! nothing is half written.

use super::{
    Answer, NORA, PASSWORD, PATIENCE, SUE, Server, Stage, Subscriber, assert_failed, assert_kept,
    json, stage, stage_on, stage_with, tag,
};
use crate::support::bento::{Fault, Script};
use crate::support::database::{Data, Network};
use crate::support::state;
use mysql::TxOpts;
use mysql::prelude::Queryable as _;
use std::time::{Duration, Instant};

/// A step that breaks something, what the line for the owner says, and the step that mends it.
type Failure = (&'static str, &'static str, &'static str);

/// `{user}` stands for the name of the database and of its user.
const FAILURES: [Failure; 7] = [
    (
        "RENAME TABLE wp_usermeta TO gone",
        "a table is missing; check $table_prefix",
        "RENAME TABLE gone TO wp_usermeta",
    ),
    (
        "RENAME TABLE wp_options TO gone",
        "a table is missing; check $table_prefix",
        "RENAME TABLE gone TO wp_options",
    ),
    (
        "ALTER USER {user}@localhost ACCOUNT LOCK",
        "the user's account is locked",
        "ALTER USER {user}@localhost ACCOUNT UNLOCK",
    ),
    (
        "REVOKE UPDATE ON {user}.* FROM {user}@localhost",
        "a right is missing; the user needs",
        "GRANT UPDATE ON {user}.* TO {user}@localhost",
    ),
    (
        "REVOKE ALL ON {user}.* FROM {user}@localhost",
        "access denied; check",
        "GRANT ALL ON {user}.* TO {user}@localhost",
    ),
    (
        "CREATE TRIGGER full BEFORE INSERT ON wp_usermeta FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114",
        "the server's disk or table is full",
        "DROP TRIGGER full",
    ),
    (
        "CREATE TRIGGER odd BEFORE INSERT ON wp_usermeta FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 4025",
        "error 4025",
        "DROP TRIGGER odd",
    ),
];

#[test]
fn every_failure_is_told_in_one_line_and_leaves_nothing_half_written() {
    let stage = stage();
    let user = stage.site.database.name().to_string();
    let before = stage.now();
    let rows = state::log(&stage.site.database).len();
    for (breaks, words, mends) in FAILURES {
        stage.site.sql(&[&breaks.replace("{user}", &user)]);
        let answer = stage.run("add", NORA);
        stage.site.sql(&[&mends.replace("{user}", &user)]);
        match answer.status {
            200 => assert_kept(&answer, words),
            _ => assert_failed(&answer, words),
        }
        assert_eq!(before.difference(&stage.now()), "", "{breaks}\n{answer}");
        assert_eq!(
            state::log(&stage.site.database).len(),
            rows,
            "{breaks}\n{answer}"
        );
    }
    let answer = stage.run("add", NORA);
    assert_eq!(answer.result(), "applied", "mended\n{answer}");
}

#[test]
fn wrong_settings_are_told_apart() {
    let closed = "/nowhere/mysqld.sock";
    let table = [
        (
            "DB_PASSWORD",
            "wr0ng-pa55word",
            "access denied; check DB_USER",
        ),
        ("DB_USER", "nobody", "access denied; check DB_USER"),
        ("DB_HOST", &format!("localhost:{closed}"), "no connection"),
        ("DB_HOST", "127.0.0.1:1", "no connection"),
        ("DB_CHARSET", "klingon", "DB_CHARSET"),
        (
            "DB_CHARSET",
            "utf8'; DROP TABLE wp_users; -- ",
            "DB_CHARSET",
        ),
    ];
    for (name, value, words) in table {
        let mut stage = stage();
        stage.site.define(name, value);
        let answer = stage.run("update", SUE);
        assert_failed(&answer, words);
        for foreign in ["wr0ng-pa55word", closed, stage.site.database.name()] {
            assert!(!answer.stderr.contains(foreign), "{foreign}\n{answer}");
        }
    }
    // The server tells those who may not use any database nothing about this one.
    let mut stage = stage();
    let user = stage.site.database.name().to_string();
    stage
        .site
        .sql(&[&format!("GRANT ALL ON `nowhere`.* TO {user}@localhost")]);
    stage.site.define("DB_NAME", "nowhere");
    assert_failed(
        &stage.run("update", SUE),
        "the database does not exist; check DB_NAME",
    );
}

/// WP Fusion's log is a courtesy: without its table everything goes on.
#[test]
fn a_missing_log_table_changes_nothing_else() {
    let stage = stage();
    stage.site.sql(&["DROP TABLE wp_wpf_logging"]);
    assert_eq!(stage.run("update", SUE).result(), "applied");
    let answer = stage.run("add", NORA);
    assert_eq!(answer.result(), "applied", "{answer}");
    assert_eq!(stage.run("add", NORA).result(), "unchanged");
    assert_eq!(stage.run("update", "nobody").result(), "ignored");
}

/// Leaves the program its rights on WordPress's own tables, and these on all tables.
fn restrict(stage: &Stage, rights: &str) {
    let user = stage.site.database.name();
    let tables = "SELECT TABLE_NAME FROM information_schema.TABLES \
                  WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME NOT LIKE '%bento%'";
    let tables = stage.site.column(tables);
    let own = tables
        .iter()
        .map(|table| format!("GRANT ALL ON {user}.{table} TO {user}@localhost"));
    stage
        .site
        .sql(&[&format!("REVOKE ALL ON {user}.* FROM {user}@localhost")]);
    for grant in own.chain([format!("GRANT {rights} ON {user}.* TO {user}@localhost")]) {
        stage.site.sql(&[&grant]);
    }
}

/// Without a right to our tables, webhooks are done at once or not at all.
#[test]
fn without_rights_to_our_tables_webhooks_are_done_at_once() {
    // What has come before, and the rights that are left: to make them, to see them, to write them is what is missing.
    let cases = [
        (&[][..], "SELECT, INSERT, UPDATE, DELETE"),
        (&[], "USAGE"),
        (&["update_tags"], "USAGE"),
        (&["update_tags"], "SELECT"),
    ];
    for (earlier, rights) in cases {
        let given =
            json!({"changed_settings": {"return_password_field": ["", "generated_password"]}});
        let stage = stage_with(&given, |_| {});
        for action in earlier {
            assert_eq!(stage.run(action, "nobody").status, 200);
        }
        restrict(&stage, rights);
        let tables = stage.site.column("SHOW TABLES LIKE '%bento%'");
        let answer = stage.run("add", NORA);
        assert_eq!(answer.result(), "applied", "{answer}");
        let calls = stage.bento.calls();
        let methods: Vec<&str> = calls.iter().map(|call| call.method.as_str()).collect();
        assert_eq!(methods, ["GET", "POST"], "the password goes back, too");
        assert_eq!(stage.run("update", SUE).result(), "applied");
        assert_eq!(stage.site.column("SHOW TABLES LIKE '%bento%'"), tables);
        let before = stage.now();
        let broken = Script::always(Fault::status(500, "{}"));
        stage.bento.world().scripts.push(broken);
        assert_failed(&stage.run("update", SUE), "status 500");
        assert_eq!(before.difference(&stage.now()), "");
    }
}

/// The first webhooks of all come together, on a server that is slow to make a table.
#[test]
fn who_must_wait_for_our_tables_waits_again() {
    let stage = stage();
    let name = stage.site.database.name();
    let mut maker = stage.site.database.root();
    let answer = std::thread::scope(|scope| {
        // Longer than a statement waits for a table, shorter than two.
        scope.spawn(move || {
            maker.query_drop(
                "CREATE TABLE wp_bento_webhooks_lock (slot SMALLINT UNSIGNED NOT NULL PRIMARY KEY,                  taken BIGINT UNSIGNED NOT NULL, earlier BIGINT UNSIGNED NOT NULL DEFAULT 0) ENGINE=InnoDB                  SELECT 999 AS slot, 0 AS taken, SLEEP(2.6) AS earlier",
            )
        });
        let seen = format!(
            "SELECT 1 FROM information_schema.processlist WHERE state = 'User sleep' AND db = '{name}'"
        );
        let begun = Instant::now();
        while stage.site.column(&seen).is_empty() {
            assert!(begun.elapsed() < PATIENCE, "the table is never made");
        }
        stage.run("add", NORA)
    });
    assert_eq!(answer.status, 200, "{answer}");
    stage.settle();
    assert_eq!(stage.now().users.len(), 7, "{answer}");
}

/// One lock by name takes the place of the rows.
#[test]
fn without_tables_of_our_own_one_person_still_is_one_user() {
    let stage = stage();
    restrict(&stage, "SELECT, INSERT, UPDATE, DELETE");
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| stage.run("add", NORA)))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(answers.iter().any(|answer| answer.result() == "applied"));
    let users = "SELECT COUNT(*) FROM wp_users WHERE user_email = 'nora@example.test'";
    assert_eq!(stage.site.column(users), ["1"]);
}

/// A trigger that fails as a deadlock would, so many times; a MyISAM table counts, for a rollback takes nothing from it.
fn fail_first(stage: &Stage, times: u32, code: u16, event: &str, table: &str) {
    stage.site.sql(&[
        "CREATE TABLE tried (times INT) ENGINE=MyISAM",
        "INSERT INTO tried VALUES (0)",
        &format!(
            "CREATE TRIGGER fails BEFORE {event} ON {table} FOR EACH ROW BEGIN \
             UPDATE tried SET times = times + 1; \
             IF (SELECT times FROM tried) <= {times} THEN \
             SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = {code}; END IF; END"
        ),
    ]);
}

#[test]
fn a_deadlock_or_a_changed_row_is_tried_again_wherever_it_comes() {
    let places = [
        ("INSERT", "wp_users"),
        ("INSERT", "wp_usermeta"),
        ("INSERT", "wp_wpf_logging"),
        ("UPDATE", "wp_options"),
    ];
    for (code, (event, table)) in [1213, 1205, 1020, 1206].into_iter().zip(places) {
        let stage = stage();
        fail_first(&stage, 2, code, event, table);
        let answer = stage.run("add", NORA);
        assert_eq!(answer.result(), "applied", "{table}\n{answer}");
        assert_eq!(
            stage.site.column("SELECT times >= 3 FROM tried"),
            ["1"],
            "{table}"
        );
        let state = stage.now();
        assert_eq!(state.users.len(), 7, "{table}");
        assert_eq!(state.options["user_count"].0, "7", "{table}");
        let log = state::log(&stage.site.database);
        let imported = log
            .iter()
            .filter(|row| row.message.contains("Created"))
            .count();
        assert_eq!(imported, 1, "{table}: {log:?}");
    }
}

#[test]
fn a_deadlock_without_end_is_given_up() {
    let stage = stage();
    fail_first(&stage, 1000, 1213, "INSERT", "wp_wpf_logging");
    let before = stage.now();
    let answer = stage.run("add", NORA);
    assert_kept(&answer, "deadlock or lock wait");
    assert_eq!(before.difference(&stage.now()), "", "{answer}");
    assert_eq!(stage.site.column("SELECT times FROM tried"), ["5"]);
}

/// A real deadlock while the log is written undoes the whole transaction on the server.
#[test]
fn a_deadlock_in_the_log_loses_nothing() {
    let stage = stage();
    stage.with_all_locks();
    stage
        .site
        .sql(&["CREATE TABLE heavy (n INT) ENGINE=InnoDB"]);
    stage.bento.world().subscribers[0].cached_tag_ids = json!(["14"]);
    let mut root = stage.site.database.root();
    let mut other = root.start_transaction(TxOpts::default()).unwrap();
    // The one who has changed less is the victim.
    other
        .query_drop("INSERT INTO heavy SELECT seq FROM seq_1_to_2000")
        .unwrap();
    other
        .query_drop("SELECT * FROM wp_wpf_logging FOR UPDATE")
        .unwrap();
    let answer = std::thread::scope(|scope| {
        let run = scope.spawn(|| stage.run("update_tags", SUE));
        stage.await_waiting(|| 1);
        other
            .query_drop("SELECT * FROM wp_usermeta WHERE user_id = 3 FOR UPDATE")
            .unwrap();
        other.rollback().unwrap();
        run.join().unwrap()
    });
    assert_eq!(answer.result(), "applied", "{answer}");
    assert_eq!(stage.tags(3).as_deref(), Some(r#"a:1:{i:0;s:6:"Lapsed";}"#));
}

/// Runs a webhook that waits for a row of Sue's while `harm` is done.
fn run_into(stage: &Stage, harm: impl FnOnce()) -> Answer {
    let mut root = stage.site.database.root();
    let mut holder = root.start_transaction(TxOpts::default()).unwrap();
    holder
        .query_drop("SELECT * FROM wp_wpf_logging FOR UPDATE")
        .unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| stage.run("update", SUE));
        stage.await_waiting(|| 1);
        harm();
        // On a server that is gone there is nothing to roll back.
        let answer = run.join().unwrap();
        drop(holder.rollback());
        answer
    })
}

#[test]
fn a_lost_connection_leaves_nothing_behind() {
    let stage = stage();
    stage.run("update_tags", SUE);
    let before = stage.now();
    let user = stage.site.database.name();
    let answer = run_into(&stage, || {
        stage.site.sql(&[&format!("KILL CONNECTION USER {user}")]);
    });
    assert_kept(&answer, "the connection was lost");
    assert_eq!(before.difference(&stage.now()), "", "{answer}");
    // The row is held until its lease runs out.
    stage
        .site
        .sql(&["UPDATE wp_bento_webhooks_inbox SET lease = 0"]);
    let answer = run_into(&stage, || {
        stage.site.sql(&[&format!("KILL QUERY USER {user}")]);
    });
    // A statement of the log alone was stopped, or all: both are whole.
    assert!(
        ["applied", "queued"].contains(&answer.result().as_str()),
        "{answer}"
    );
}

#[test]
fn a_server_that_dies_in_the_middle_is_a_failure() {
    let server: &'static Server = Box::leak(Box::new(Server::start(Network::None)));
    let stage = stage_on(server, &json!({}), |_| {});
    stage.run("update_tags", SUE);
    let answer = run_into(&stage, || server.kill());
    assert_kept(&answer, "the connection was lost");
    assert_failed(&stage.run("update", SUE), "no connection");
}

/// Global settings of a server that nobody else uses.
#[test]
fn a_full_or_read_only_server_is_a_failure() {
    let server: &'static Server = Box::leak(Box::new(Server::start(Network::None)));
    let stage = stage_on(server, &json!({}), |world| {
        world.tags.push(tag("77", "Fresh"));
    });
    let user = stage.site.database.name().to_string();
    stage.run("update_tags", SUE);
    let before = stage.now();
    let rows = state::log(&stage.site.database).len();

    stage.site.sql(&["SET GLOBAL read_only = 1"]);
    let answer = stage.run("add", NORA);
    assert_failed(&answer, "the server is read-only");
    assert_eq!(stage.run("test", SUE).status, 200, "a test needs no write");
    stage.bento.world().subscribers[0].cached_tag_ids = json!(["77"]);
    assert_failed(&stage.run("update_tags", SUE), "the server is read-only");
    stage.site.sql(&["SET GLOBAL read_only = 0"]);

    stage.site.sql(&["SET GLOBAL tx_read_only = 1"]);
    assert_failed(&stage.run("add", NORA), "the server is read-only");
    stage.site.sql(&["SET GLOBAL tx_read_only = 0"]);

    stage.site.sql(&[&format!(
        "ALTER USER {user}@localhost WITH MAX_USER_CONNECTIONS 1"
    )]);
    let options = mysql::OptsBuilder::new()
        .socket(Some(server.socket().to_string_lossy()))
        .user(Some(&user))
        .pass(Some(PASSWORD))
        .prefer_socket(false);
    let own = mysql::Conn::new(options.clone()).unwrap();
    assert_failed(&stage.run("add", NORA), "the server has no connection left");
    drop(own);
    stage.site.sql(&[&format!(
        "ALTER USER {user}@localhost WITH MAX_USER_CONNECTIONS 0"
    )]);

    stage.site.sql(&["SET GLOBAL max_connections = 10"]);
    let mut taken = Vec::new();
    while let Ok(conn) = mysql::Conn::new(options.clone()) {
        taken.push(conn);
    }
    assert_failed(&stage.run("add", NORA), "the server has no connection left");
    drop(taken);
    assert_eq!(before.difference(&stage.now()), "");
    assert_eq!(state::log(&stage.site.database).len(), rows);
}

/// The one who has the connection works, the others are told to come again; nobody's work is half done.
#[test]
fn twenty_at_once_with_one_connection_are_all_done_in_the_end() {
    let people: Vec<String> = (0..20).map(|n| format!("{NORA}-{n}")).collect();
    let stage = stage_with(&json!({}), |world| {
        let person = |(n, id): (usize, &String)| {
            Subscriber::new(id, &format!("one{n}@example.test"), &["11"])
        };
        world.subscribers = people.iter().enumerate().map(person).collect();
    });
    let user = stage.site.database.name().to_string();
    stage.site.sql(&[&format!(
        "ALTER USER {user}@localhost WITH MAX_USER_CONNECTIONS 1"
    )]);
    let send_until_taken = |id: &str| {
        let begun = Instant::now();
        loop {
            let answer = stage.run("add", id);
            if answer.status == 200 {
                return;
            }
            assert_failed(&answer, "the server has no connection left");
            assert!(begun.elapsed() < PATIENCE, "{id} is never taken: {answer}");
        }
    };
    std::thread::scope(|scope| {
        for id in &people {
            scope.spawn(|| send_until_taken(id));
        }
    });
    stage.program.work();
    let state = stage.now();
    for n in 0..people.len() {
        let email = format!("one{n}@example.test");
        let mut users = state
            .users
            .iter()
            .filter(|(_, user)| user["user_email"] == email);
        let (id, _) = users.next().unwrap_or_else(|| panic!("{email} is lost"));
        assert_eq!(users.next(), None, "{email} twice");
        let tags = r#"a:1:{i:0;s:8:"Customer";}"#;
        assert_eq!(stage.tags(*id).as_deref(), Some(tags), "{email}");
    }
}

/// All tables in one file that may not grow: whatever is written last finds no room.
#[test]
fn a_disk_that_fills_up_leaves_nothing_half_written() {
    let full = [
        "--innodb-file-per-table=0",
        "--innodb-data-file-path=ibdata1:12M:autoextend:max:20M",
    ];
    let settings = full.map(str::to_string);
    let server: &'static Server = Box::leak(Box::new(Server::start_with(
        Network::None,
        Data::Own,
        &settings,
    )));
    let stage = stage_on(server, &json!({}), |world| {
        // More than fits into a page that is half empty.
        world.subscribers[1].fields =
            json!({"notes": "x".repeat(60_000), "bio": "y".repeat(60_000)});
    });
    assert_eq!(stage.run("update_tags", SUE).status, 200);
    stage
        .site
        .sql(&["CREATE TABLE ballast (block LONGBLOB) ENGINE=InnoDB"]);
    let mut root = stage.site.database.root();
    let mut size = 1 << 20;
    while size > 1 << 13 {
        if root
            .exec_drop("INSERT INTO ballast VALUES (?)", (vec![b'x'; size],))
            .is_err()
        {
            size /= 2;
        }
    }
    let before = stage.now();
    let answer = stage.run("add", NORA);
    assert_failed(&answer, "the server's disk or table is full");
    assert_eq!(before.difference(&stage.now()), "", "{answer}");
}

/// A row that somebody keeps locked, and a table that a backup keeps from writing.
#[test]
fn a_lock_that_stays_is_given_up() {
    let locks = [
        "SELECT * FROM wp_bento_webhooks_lock FOR UPDATE",
        "LOCK TABLES wp_usermeta READ",
    ];
    let give_up = |lock: &str| {
        let stage = stage();
        let mut holder = stage.with_all_locks();
        let before = stage.now();
        holder.query_drop("SET autocommit = 0").unwrap();
        holder.query_drop(lock).unwrap();
        let answer = stage.run("add", NORA);
        assert_kept(&answer, "deadlock or lock wait");
        holder.query_drop("ROLLBACK").unwrap();
        holder.query_drop("UNLOCK TABLES").unwrap();
        assert_eq!(before.difference(&stage.now()), "", "{answer}");
    };
    std::thread::scope(|scope| {
        for lock in locks {
            scope.spawn(move || give_up(lock));
        }
    });
}

/// Bento takes its time, and then somebody holds a lock: whoever waits is answered within five seconds all the same.
#[test]
fn a_slow_bento_and_a_lock_that_stays_together_keep_nobody_waiting() {
    let locks = [
        ("SELECT * FROM wp_bento_webhooks_lock FOR UPDATE", 200),
        ("SELECT * FROM wp_bento_webhooks_state FOR UPDATE", 200),
        ("LOCK TABLES wp_usermeta READ", 200),
        ("LOCK TABLES wp_bento_webhooks_inbox READ", 503),
    ];
    let give_up = |lock: &str, status: u16| {
        let stage = stage();
        let mut holder = stage.with_all_locks();
        stage.bento.world().latency = Duration::from_millis(3400);
        holder.query_drop("SET autocommit = 0").unwrap();
        holder.query_drop(lock).unwrap();
        let answer = stage.run("add", NORA);
        assert_eq!(answer.status, status, "{lock}\n{answer}");
        let limit = Duration::from_secs(5);
        assert!(answer.elapsed < limit, "{lock}: {:?}", answer.elapsed);
    };
    std::thread::scope(|scope| {
        for (lock, status) in locks {
            scope.spawn(move || give_up(lock, status));
        }
    });
}
