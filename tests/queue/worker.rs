//! The worker that a webhook starts beside its answer.

use super::{
    KEY, LEASES_RUN_OUT, NORA, PATIENCE, SUE, Stage, TIME_PASSES, by_query, crowd, result, stage,
    stage_that_keeps_all, target, until, webhook,
};
use crate::support::bento::{Fault, Script};
use crate::support::cgi::Request;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A request on a host where the program may start itself.
pub(super) fn on_its_own(request: Request) -> Request {
    let mut request = request;
    request
        .environment
        .push(("BENTO_WEBHOOKS_WORKER".to_owned(), "auto".to_owned()));
    request
}

/// The processes that run as the worker of this site, by what /proc says.
pub(super) fn workers(stage: &Stage) -> Vec<(PathBuf, String)> {
    let folder = format!("BENTO_WEBHOOKS_WORDPRESS={}", stage.site.folder().display());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let texts = processes.filter_map(|process| {
        let read = |name: &str| fs::read(process.path().join(name)).ok();
        let text = [read("cmdline")?, read("environ")?].concat();
        let text = String::from_utf8_lossy(&text).replace('\0', "\n");
        Some((process.path(), text))
    });
    texts
        .filter(|(_, text)| text.contains("--place") && text.contains(&folder))
        .collect()
}

/// Nothing that happens to the web server's process reaches it, and no server waits for it.
fn assert_on_its_own(process: &Path, foreign: &Path) {
    let open = fs::read_dir(process.join("fd")).unwrap().flatten();
    let open: Vec<PathBuf> = open
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .collect();
    assert!(!open.iter().any(|open| open == foreign), "{open:?}");
    for descriptor in ["0", "1", "2"] {
        let open = fs::read_link(process.join("fd").join(descriptor)).unwrap();
        assert_eq!(open, Path::new("/dev/null"), "descriptor {descriptor}");
    }
    // Behind the name: state, parent, group, session.
    let stat = fs::read_to_string(process.join("stat")).unwrap();
    let (_, numbers) = stat.rsplit_once(") ").unwrap();
    let session = numbers.split(' ').nth(3).unwrap();
    assert_eq!(process, Path::new("/proc").join(session));
}

#[test]
fn async_is_answered_at_once_and_done_beside_the_answer() {
    let stage = stage();
    stage.bento.world().latency = Duration::from_millis(1500);
    let address = format!("{}&async=true", target("update_tags"));
    let request = Request::post(&address, &json!({"id": SUE}).to_string());
    let mut request = on_its_own(request.header("X-Bento-Webhooks-Key", KEY));
    // A web server that leaves a descriptor of its own open.
    let foreign = stage.site.folder().join("server.log");
    let script = format!("exec 7>'{}'; exec \"$0\"", foreign.display());
    request.arguments = vec!["-c".into(), script.into(), stage.program.binary().into()];
    let answer = stage.program.started_by("/bin/sh").run(&request);
    assert_eq!(answer.result(), "queued", "{answer}");
    assert_eq!(stage.difference(), "", "answered before the work was done");
    stage.await_calls(1);
    let found = workers(&stage);
    assert_eq!(found.len(), 1, "{found:?}");
    let (process, told) = &found[0];
    for secret in [KEY, "GATEWAY_INTERFACE", "REQUEST_METHOD", "access_key"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert_on_its_own(process, &foreign);
    until("the tags", || stage.tags(3) == r#"a:1:{i:0;s:3:"VIP";}"#);
    until("the end of the worker", || workers(&stage).is_empty());
    assert_eq!(stage.rows_kept(), "0");
    assert_eq!(
        stage.value("SELECT worker FROM wp_bento_webhooks_state"),
        "0"
    );
}

#[test]
fn one_worker_is_enough_for_a_burst() {
    let (mut stage, people) = crowd(16);
    stage.site.define("BENTO_WEBHOOKS_CONCURRENCY", "0");
    stage.bento.world().latency = Duration::from_millis(50);
    let most = thread::scope(|scope| {
        for person in &people {
            let stage = &stage;
            scope.spawn(move || {
                let answer = stage.program.run(&on_its_own(webhook("add", person)));
                assert_eq!(answer.result(), "queued", "{answer}");
            });
        }
        let mut most = 0;
        let begun = Instant::now();
        let users = "SELECT COUNT(*) FROM wp_users WHERE user_email LIKE 'crowd%'";
        while stage.value(users) != "16" {
            most = most.max(workers(&stage).len());
            assert!(begun.elapsed() < PATIENCE);
        }
        most
    });
    assert_eq!(most, 1);
    assert_eq!(
        stage.bento.calls().iter().map(|call| call.at_once).max(),
        Some(1)
    );
    until("the end of the worker", || workers(&stage).is_empty());
}

/// The row came when a worker seemed to be there, who left a moment later.
#[test]
fn who_ends_finds_what_nobody_works_on() {
    let stage = stage();
    stage.bento.world().latency = Duration::from_millis(900);
    let mut child = stage
        .program
        .spawn(&on_its_own(by_query("update_tags", SUE)));
    drop(child.stdin.take());
    stage.await_calls(1);
    stage.bento.world().latency = Duration::ZERO;
    let address = format!("{}&async=true", target("add"));
    let request = Request::post(&address, &json!({"id": NORA}).to_string());
    assert_eq!(stage.program.run(&request).result(), "queued");
    assert_eq!(workers(&stage).len(), 0);
    assert_eq!(result(child), "applied");
    until("the end of all work", || stage.rows_kept() == "0");
    until("the end of the worker", || workers(&stage).is_empty());
}

/// A worker that was killed leaves its place and its row behind; both are taken over.
#[test]
fn the_place_of_a_worker_that_was_killed_falls_free() {
    let stage = stage_that_keeps_all();
    stage.run("update_tags", SUE);
    stage.site.sql(&[
        "UPDATE wp_bento_webhooks_state SET hired = UNHEX('00000000000000000000000000000001'), worker = 99999999999999",
    ]);
    stage.command(&["work", "--now"]);
    assert_eq!(stage.bento.calls().len(), 0, "somebody is there");
    stage.site.sql(&[
        "UPDATE wp_bento_webhooks_state SET worker = 1",
        "UPDATE wp_bento_webhooks_inbox SET token = UNHEX('00000000000000000000000000000002'), lease = 99999999999999, attempts = 1",
    ]);
    stage.command(&["work", "--now"]);
    assert_eq!(stage.bento.calls().len(), 0, "somebody is at it");
    stage.site.sql(&[
        "UPDATE wp_bento_webhooks_state SET worker = 1",
        LEASES_RUN_OUT,
    ]);
    stage.command(&["work", "--now"]);
    assert_eq!(stage.tags(3), r#"a:1:{i:0;s:3:"VIP";}"#);
    assert_eq!(stage.rows_kept(), "0");
}

/// An account may have as many processes as it may have: the next webhook tries again.
#[test]
fn a_worker_that_cannot_be_started_is_started_by_the_next_webhook() {
    let stage = stage();
    let request = on_its_own(Request::get(&format!(
        "{}&contact_id={SUE}&async=true",
        target("update_tags")
    )));
    let calls = "clone,clone3,fork,vfork";
    let mut limited = request.clone();
    limited.arguments = [
        "-f",
        "-qq",
        "--output=/dev/null",
        &format!("--trace={calls}"),
        &format!("--inject={calls}:error=EAGAIN"),
        stage.program.binary().to_str().unwrap(),
    ]
    .map(Into::into)
    .to_vec();
    let answer = stage.program.started_by("strace").run(&limited);
    assert_eq!(answer.result(), "queued", "{answer}");
    assert_eq!(stage.rows_kept(), "1");
    let place = "SELECT worker FROM wp_bento_webhooks_state";
    assert_eq!(stage.value(place), "0", "the place is free");
    assert_eq!(stage.program.run(&request).result(), "queued");
    until("the tags", || stage.tags(3) == r#"a:1:{i:0;s:3:"VIP";}"#);
    until("the end of the worker", || workers(&stage).is_empty());
    assert_eq!(stage.rows_kept(), "0");
}

/// There is no cron and no other webhook: when the calls of this minute are used up, somebody waits for the next one.
#[test]
fn who_waits_for_calls_is_not_left_alone() {
    let (mut stage, people) = crowd(6);
    stage.site.define("BENTO_WEBHOOKS_CONCURRENCY", "0");
    stage.site.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "4");
    for person in &people[1..] {
        assert_eq!(stage.run("add", person).result(), "queued");
    }
    stage.program.run(&on_its_own(webhook("add", &people[0])));
    for calls in [2, 4, 6] {
        stage.await_calls(calls);
        until("the worker's rest", || {
            stage.value("SELECT COUNT(*) FROM wp_bento_webhooks_inbox WHERE lease > 0") == "0"
        });
        stage.site.sql(&TIME_PASSES);
    }
    until("the end of all work", || stage.rows_kept() == "0");
    until("the end of the worker", || workers(&stage).is_empty());
}

/// The same for a row that waits for its next attempt.
#[test]
fn who_waits_for_a_second_attempt_is_not_left_alone() {
    let stage = stage();
    let broken = Script::always(Fault::status(500, "{}"));
    stage.bento.world().scripts.push(broken);
    let answer = stage.program.run(&on_its_own(webhook("update_tags", SUE)));
    assert_eq!(answer.result(), "queued", "{answer}");
    let worker = "SELECT COUNT(*) FROM wp_bento_webhooks_state WHERE worker > 0";
    for attempt in ["1", "2"] {
        until("the end of an attempt", || {
            stage.value("SELECT attempts * (lease = 0) FROM wp_bento_webhooks_inbox") == attempt
        });
        assert_eq!(stage.value(worker), "1", "after attempt {attempt}");
        assert_eq!(workers(&stage).len(), 1, "after attempt {attempt}");
        stage.site.sql(&TIME_PASSES);
    }
    // Ten minutes are too long to wait for.
    until("the end of the worker", || workers(&stage).is_empty());
    assert_eq!(stage.value(worker), "0");
}
