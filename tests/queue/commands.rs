//! The owner's commands: what is shown, retried, dropped, and done at a terminal.

use super::{KEY, NORA, Request, SUE, Stage, result, stage, stage_that_keeps_all};
use crate::support::bento::{Fault, Script};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn where_the_last_webhook_had_its_key_is_remembered() {
    let stage = stage();
    let last = || -> Value {
        let (_, shown, _) = stage.command(&["queue", "--json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        shown["sites"][0]["last_key"].clone()
    };
    let body = json!({ "id": SUE }).to_string();
    for (place, more) in [
        ("header", ""),
        ("address", ""),
        ("header", "&async=true"),
        ("address", "&async=true"),
    ] {
        let target = format!("/?wpf_action=update_tags{more}");
        let request = match place {
            "header" => Request::post(&target, &body).header("X-Bento-Webhooks-Key", KEY),
            _ => Request::post(&format!("{target}&access_key={KEY}"), &body),
        };
        let answer = stage.program.run(&request);
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(last(), place, "{more}");
    }
}

#[test]
fn the_queue_is_shown_retried_and_dropped() {
    let stage = stage();
    let nothing = stage.command(&["queue"]);
    assert_eq!(
        nothing,
        (0, "Nothing has been kept yet.\n".to_owned(), String::new())
    );
    stage
        .bento
        .world()
        .scripts
        .push(Script::always(Fault::status(500, "{}")));
    stage.run("update", SUE);
    stage.run("add", NORA);
    let id = stage.value("SELECT MIN(id) FROM wp_bento_webhooks_inbox");
    let (code, shown, _) = stage.command(&["queue"]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[0].starts_with("Waiting  2, the oldest for "),
        "{shown}"
    );
    assert_eq!(lines[1], "Running  0", "{shown}");
    assert_eq!(lines[2], "Buried   0", "{shown}");
    assert_eq!(lines[3], "Calls    58 of 60 left in this minute", "{shown}");
    let row = lines
        .iter()
        .find(|line| line.trim_start().starts_with(&format!("{id} ")))
        .unwrap();
    assert!(
        row.contains("update") && row.contains(SUE) && row.contains("(Bento: status 500)"),
        "{shown}"
    );

    let (code, shown, _) = stage.command(&["queue", "--json"]);
    assert_eq!(code, 0);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let site = &shown["sites"][0];
    assert_eq!(
        (&site["waiting"], &site["running"], &site["buried"]),
        (&json!(2), &json!(0), &json!(0))
    );
    assert_eq!(
        (&site["calls_left"], &site["calls_per_minute"]),
        (&json!(58), &json!(60))
    );
    assert!(
        site["oldest_ms"].is_u64() && site["last_webhook_ms"].is_u64(),
        "{site}"
    );
    assert_eq!(
        (&site["site"], &site["worker"], &site["last_worked_ms"]),
        (&json!(1), &json!(false), &Value::Null)
    );
    let rows = site["rows"].as_array().unwrap();
    let told: Vec<Value> = rows
        .iter()
        .map(|row| {
            let due = row["due_in_ms"].as_u64().unwrap();
            assert!((1..=33_000).contains(&due), "{row}");
            json!([
                row["what"],
                row["contact"],
                row["attempts"],
                row["state"],
                row["reason"]
            ])
        })
        .collect();
    let wanted =
        |what: &str, contact: &str| json!([what, contact, 1, "waiting", "Bento: status 500"]);
    assert_eq!(rows.len(), 2, "{site}");
    assert!(told.contains(&wanted("update", SUE)), "{site}");
    assert!(told.contains(&wanted("add", NORA)), "{site}");

    let dropped = stage.command(&["drop", &id]);
    assert_eq!(dropped, (0, "1 row removed.\n".to_owned(), String::new()));
    assert_eq!(stage.command(&["drop", &id]).0, 1, "there is none any more");
    stage.bento.world().scripts.clear();
    let retried = stage.command(&["retry", "--all"]);
    assert_eq!(
        retried,
        (0, "1 row to be tried again.\n".to_owned(), String::new())
    );
    assert_eq!(
        stage.command(&["work", "--now"]),
        (0, "1 done, 0 later.\n".to_owned(), String::new())
    );
    assert_eq!(stage.rows_kept(), "0");
    for wrong in [
        &["drop"][..],
        &["drop", "x"],
        &["retry"],
        &["retry", "1", "--all"],
        &["queue", "--nonsense"],
        &["work", "now"],
        &["queue", "--path"],
        &["queue", "--site", "x"],
    ] {
        let (code, said, error) = stage.command(wrong);
        assert_eq!((code, said.as_str()), (2, ""), "{wrong:?}");
        assert!(error.contains("Usage: bento-webhooks"), "{error}");
    }
    for command in ["queue", "retry", "drop", "work"] {
        let (code, said, _) = stage.command(&[command, "--help"]);
        assert!(
            code == 0 && said.contains(&format!("Usage: bento-webhooks {command}")),
            "{said}"
        );
    }
}

#[test]
fn what_is_running_cannot_be_dropped() {
    let stage = stage();
    stage.run("update_tags", SUE);
    stage.bento.world().latency = Duration::from_millis(1500);
    let running = stage.start("update_tags", SUE);
    let id = stage.value("SELECT id FROM wp_bento_webhooks_inbox");
    assert_eq!(stage.command(&["drop", &id]).0, 1);
    assert_eq!(stage.command(&["retry", &id]).0, 1);
    assert!(stage.command(&["queue"]).1.contains("Running  1"));
    assert_ne!(result(running), "queued");
}

/// What the same writes to a terminal.
fn at_terminal(stage: &Stage, arguments: &str) -> String {
    let command = format!("'{}' {arguments}", stage.program.binary().display());
    let output = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("BENTO_WEBHOOKS_WORDPRESS", stage.site.folder())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Without an end of its own it waits for what comes due later, too.
#[test]
fn at_a_terminal_the_worker_shows_how_far_it_is() {
    let stage = stage_that_keeps_all();
    stage.run("update_tags", SUE);
    stage.run("add", NORA);
    let later = "UPDATE wp_bento_webhooks_inbox SET due = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000 + 1500 ORDER BY id DESC LIMIT 1";
    stage.site.sql(&[later]);
    let said = at_terminal(&stage, "work --until-empty");
    let bar = |length: usize| format!("\r[{:<30}] ", "#".repeat(length));
    let steps = [
        format!("{}0 of 2 ", bar(0)),
        format!("{}1 of 2 ", bar(15)),
        format!("{}1 of 2, next in ", bar(15)),
        format!("{}2 of 2 ", bar(30)),
        "\n2 done, 0 later.".to_owned(),
    ];
    let mut rest = said.as_str();
    for step in &steps {
        let (_, after) = rest
            .split_once(step)
            .unwrap_or_else(|| panic!("{step:?} in {said:?}"));
        rest = after;
    }
    assert_eq!(rest.trim(), "");
    assert_eq!(stage.rows_kept(), "0");
}

/// What waits is counted for a bar that is shown, and for nothing else.
#[test]
fn a_worker_that_nobody_watches_counts_nothing() {
    let stage = stage_that_keeps_all();
    stage.site.database.record_statements();
    let counts = |work: &dyn Fn()| {
        stage.run("update_tags", SUE);
        work();
        assert_eq!(stage.rows_kept(), "0");
        let statements = stage.site.database.statements();
        let counts = |text: &str| text.contains("SUM(buried");
        statements
            .iter()
            .filter(|statement| counts(&statement.text))
            .count()
    };
    assert_eq!(counts(&|| stage.program.work()), 0);
    assert_eq!(counts(&|| drop(at_terminal(&stage, "work --now"))), 1);
}
