//! How many database packets and calls to Bento one webhook costs.
//!
//! The server's own log is the witness. A packet is one round trip; several statements may travel in one. The
//! handshake that opens the connection is not counted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test stops at the first surprise and says so"
)]

mod support;

#[path = "support/stage.rs"]
mod stage;

use serde_json::{Value, json};
use stage::{NORA, SUE, Stage, stage_with};
use support::bento::Subscriber;
use support::cgi::{Answer, Request};
use support::database::Statement;
use support::site::Site;

/// The contact id of a user who is not linked yet.
const MAX: &str = "0ddba11a-0000-4000-8000-000000000004";

/// A request, the result it must have, and what it may cost: packets to the database up to the commit, and GETs and
/// POSTs to Bento.
type Limit = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    usize,
    (usize, usize),
);

/// In this order on one site. The first two may not write; the third makes the program's own table.
#[rustfmt::skip]
const LIMITS: [Limit; 8] = [
    ("test", "wpf_action=test", SUE, "", 1, (0, 0)),
    ("refused key", "wpf_action=update&access_key=wrong", SUE, "refused", 1, (0, 0)),
    ("first webhook of all", "wpf_action=add", MAX, "applied", 12, (1, 0)),
    ("update_tags, changed", "wpf_action=update_tags", SUE, "applied", 5, (1, 0)),
    ("update_tags, again", "wpf_action=update_tags", SUE, "unchanged", 5, (1, 0)),
    ("update", "wpf_action=update", SUE, "applied", 5, (1, 0)),
    ("add, new user", "wpf_action=add", NORA, "applied", 11, (1, 1)),
    ("add, same user again", "wpf_action=add", NORA, "unchanged", 5, (1, 0)),
];

/// What one request did cost.
struct Cost {
    connections: usize,
    statements: Vec<Statement>,
    gets: usize,
    posts: usize,
}

impl Cost {
    fn packets(&self) -> usize {
        self.statements
            .iter()
            .filter(|statement| statement.is_round_trip())
            .count()
    }

    /// Packets up to the end of the transaction; all of them when there was none.
    fn packets_to_commit(&self) -> usize {
        let mut packets = self
            .statements
            .iter()
            .filter(|statement| statement.is_round_trip());
        match packets
            .clone()
            .enumerate()
            .filter(|(_, packet)| packet.pieces().contains(&"COMMIT"))
            .map(|(at, _)| at)
            .last()
        {
            Some(before) => before + 1,
            None => packets.by_ref().count(),
        }
    }

    fn single_statements(&self) -> usize {
        let packets = self
            .statements
            .iter()
            .filter(|statement| matches!(statement.command.as_str(), "Query" | "Execute"));
        packets.map(|packet| packet.pieces().len()).sum()
    }

    fn text(&self) -> String {
        self.statements
            .iter()
            .map(|statement| format!("\n    {} {:.200}", statement.command, statement.text))
            .collect()
    }
}

fn stage() -> Stage {
    let given = json!({"changed_settings": {"return_password_field": ["", "generated_password"]}});
    let stage = stage_with(&given, |world| {
        let fields =
            json!({"first_name": "Susan", "company": "Future Foundation", "phone": "+1 555 0100"});
        for person in &mut world.subscribers {
            person.fields = fields.clone();
        }
        world
            .subscribers
            .push(Subscriber::new(MAX, "max.power@example.test", &["11"]));
    });
    stage.site.database.record_statements();
    stage
}

impl Stage {
    fn run(&self, request: &Request) -> (Answer, Cost) {
        let (before, calls_before) = (
            self.site.database.statements().len(),
            self.bento.calls().len(),
        );
        let answer = self.program.run(request);
        let statements = self.site.database.statements().split_off(before);
        let calls = self.bento.calls().split_off(calls_before);
        let connections = statements
            .iter()
            .filter(|statement| statement.command == "Connect")
            .count();
        let count = |method: &str| calls.iter().filter(|call| call.method == method).count();
        (
            answer,
            Cost {
                connections,
                statements,
                gets: count("GET"),
                posts: count("POST"),
            },
        )
    }
}

#[test]
fn no_webhook_costs_more_than_its_limit() {
    let stage = stage();
    let mut problems = Vec::new();
    eprintln!(
        "{:<22} connections to-commit packets statements GET POST",
        ""
    );
    for (name, query, person, result, most, calls) in LIMITS {
        // The last of two keys counts.
        let target = format!("/?access_key=a1b2c3d4&{query}");
        let (answer, cost) = stage.run(&Request::post(&target, &json!({"id": person}).to_string()));
        let (to_commit, packets, statements) = (
            cost.packets_to_commit(),
            cost.packets(),
            cost.single_statements(),
        );
        let Cost {
            connections,
            gets,
            posts,
            ..
        } = cost;
        eprintln!(
            "{name:<22} {connections:>11} {to_commit:>9} {packets:>7} {statements:>10} {gets:>3} {posts:>4}"
        );
        let may_write = most > 1;
        let is_cheap = connections == 1 && to_commit <= most && (gets, posts) == calls;
        let writes = cost.statements.iter().any(Statement::writes);
        let found = answer.json()["result"]
            .as_str()
            .unwrap_or_default()
            .to_string();
        if !is_cheap || (writes && !may_write) || found != result {
            problems.push(format!(
                "{name}: {} {}{}",
                answer.status,
                answer.body,
                cost.text()
            ));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn bento_is_asked_with_no_transaction_open() {
    let stage = stage();
    let (answer, cost) = stage.run(&Request::post(
        "/?wpf_action=update&access_key=a1b2c3d4",
        &json!({"id": SUE}).to_string(),
    ));
    assert_eq!(answer.result(), "applied", "{answer}");
    let writes_users = |statement: &&Statement| statement.text.contains("UPDATE `wp_usermeta`");
    let writes = cost.statements.iter().filter(writes_users).count();
    assert_eq!(writes, 1, "one transaction{}", cost.text());
    stage.bento.world().latency = std::time::Duration::from_millis(700);
    let calls = stage.bento.calls().len();
    let target = format!("/?wpf_action=update_tags&access_key=a1b2c3d4&contact_id={SUE}");
    let mut child = stage.program.spawn(&Request::get(&target));
    drop(child.stdin.take());
    // The call is noted when it arrives, before the latency: then the database must be at rest.
    while stage.bento.calls().len() == calls {
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "ended without asking Bento"
        );
        std::thread::yield_now();
    }
    let open_transactions = open_transactions(&stage.site);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(open_transactions, 0);
}

fn open_transactions(site: &Site<'_>) -> usize {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p \
         ON p.id = t.trx_mysql_thread_id WHERE p.user = '{}'",
        site.database.name()
    );
    let rows = support::state::rows(&mut site.database.root(), &sql);
    rows[0][0].as_deref().unwrap().parse().unwrap()
}

/// Counting is only worth something if the witness sees what was sent.
#[test]
fn the_witness_tells_statements_apart() {
    let statement = |text: &str| Statement {
        thread: 1,
        command: "Query".to_string(),
        text: text.to_string(),
    };
    let pieces = |text: &str| statement(text).pieces().len();
    assert_eq!(pieces("SET sql_mode=''; SELECT ';' ; COMMIT"), 3);
    assert_eq!(pieces(r#"INSERT INTO t VALUES ('a\';b'), ("c;d")"#), 1);
    let cases: [(&str, Value); 4] = [
        ("SELECT 1; SELECT 2", json!(false)),
        ("SELECT 1; update t SET a=1", json!(true)),
        ("REPLACE INTO t VALUES (1)", json!(true)),
        ("start transaction", json!(false)),
    ];
    for (text, writes) in cases {
        assert_eq!(json!(statement(text).writes()), writes, "{text}");
    }
}
