//! Replays every recording of WordPress with WP Fusion against the program and compares the rows by meaning.
//!
//! The deliberate differences of `tests/recordings/README.md` are named rules in `replay/rules.rs`. A recording
//! belongs to exactly one group: replayed here, run in parallel below, or listed with the reason why it waits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test stops at the first surprise and says so"
)]

#[path = "replay/checks.rs"]
mod checks;
#[path = "replay/rules.rs"]
mod rules;
mod support;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use checks::{Run, generated_password, implied_password};
use mysql::prelude::Queryable as _;
use rules::Reply;
use serde_json::Value;
use support::bento::{Bento, World};
use support::cgi::{Answer, Program, Request};
use support::mail::{Outbox, lend_words};
use support::password::{self, Form};
use support::php;
use support::recording::{Base, Recording};
use support::site::Site;
use support::state::{self, LogRow, State};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bento-webhooks");
/// Scenarios run at the same time; most of the time goes into password hashes and waiting.
const WORKERS: usize = 4;

/// Scenarios with twenty requests at once, tested one by one below.
const PARALLEL: [&str; 4] = [
    "race_add_different_contacts_20",
    "race_add_same_contact_20",
    "race_add_same_contact_20_no_latency",
    "race_update_and_tags",
];

/// Scenarios that wait for another part of the program.
const WAITING: [(&str, &str); 3] = [
    (
        "crash_during_add_tags_call",
        "a killed worker: the queue takes the webhook up again",
    ),
    (
        "crash_during_update_tags",
        "a killed worker: the queue takes the webhook up again",
    ),
    (
        "client_disconnects",
        "a caller that hangs up: tested with the queue, on a real web server",
    ),
];

/// Groups of scenarios by how their names begin; each has its test below.
const ACTION: &[&str] = &["action_"];
const ADD: &[&str] = &["add_"];
const EDGE: &[&str] = &["auth_", "config_", "method_", "path_"];
const PERSON: &[&str] = &["contact_", "email_", "id_", "json_"];
const LOCK_AND_LOG: &[&str] = &["lock_", "log_"];
const TAGS: &[&str] = &["tags_"];
const UPDATE: &[&str] = &["update_"];
const GROUPS: [&[&str]; 7] = [ACTION, ADD, EDGE, PERSON, LOCK_AND_LOG, TAGS, UPDATE];

fn is_replayed(name: &str) -> bool {
    !PARALLEL.contains(&name) && WAITING.iter().all(|(waiting, _)| *waiting != name)
}

#[test]
fn every_recording_is_in_one_group() {
    let all = Recording::all();
    for name in PARALLEL.iter().chain(WAITING.iter().map(|(name, _)| name)) {
        assert!(
            all.iter().any(|known| known == name),
            "{name} is no recording"
        );
        let groups = usize::from(PARALLEL.contains(name))
            + WAITING
                .iter()
                .filter(|(waiting, _)| waiting == name)
                .count();
        assert_eq!(groups, 1, "{name}");
    }
    let replayed = all.iter().filter(|name| is_replayed(name)).count();
    assert_eq!(replayed + PARALLEL.len() + WAITING.len(), all.len());
}

/// The sites are made with our own serializer, which must write what PHP wrote.
#[test]
fn the_serializer_writes_the_recorded_settings() {
    for folder in ["", "newest", "wp61", "wp71"] {
        let base = Base::load(folder);
        let stored = base.json["options_raw"]["wpf_options"].as_str().unwrap();
        assert_eq!(
            php::serialize(&base.json["wpf_options"]),
            stored,
            "{folder}"
        );
    }
}

/// The rules are only worth something if they fit the recordings: old values are there, hashes open with the
/// passwords that the scenario implies, and no answer is left without a rule.
#[test]
fn the_rules_fit_the_recordings() {
    each_recording(&[""], |recording| {
        let site = Site::new(&recording.base, &recording.json["given"]);
        let before = State::read(&site.database);
        let expected = rules::expectation(recording, &before);
        for (id, user) in &expected.state.users {
            let recorded = &user["user_pass"];
            if before
                .users
                .get(id)
                .is_some_and(|known| known["user_pass"] == *recorded)
            {
                continue;
            }
            assert!(
                Form::of_release(recording.base.release()).fits(recorded),
                "{recorded}"
            );
            let implied = implied_password(recording).or_else(|| generated_password(recording));
            if let Some(implied) = implied {
                assert!(
                    password::verifies(&implied, recorded),
                    "{implied:?} does not open {recorded}"
                );
            }
        }
        let recorded_status = recording.json["responses"][0]["status"].as_u64().unwrap();
        let says_no = matches!(
            expected.replies[0],
            Reply::BadRequest | Reply::Forbidden | Reply::Queued | Reply::Ignored
        );
        let without_rule = expected.rules.is_empty() && recorded_status != 200;
        assert!(
            !without_rule || says_no,
            "WordPress answered {recorded_status} and no rule says what we do"
        );
    });
}

#[test]
fn action_recordings() {
    each_recording(ACTION, replay);
}

#[test]
fn add_recordings() {
    each_recording(ADD, replay);
}

#[test]
fn auth_config_and_method_recordings() {
    each_recording(EDGE, replay);
}

#[test]
fn identity_and_json_recordings() {
    each_recording(PERSON, replay);
}

#[test]
fn lock_and_log_recordings() {
    each_recording(LOCK_AND_LOG, replay);
}

#[test]
fn tags_recordings() {
    each_recording(TAGS, replay);
}

#[test]
fn update_recordings() {
    each_recording(UPDATE, replay);
}

/// The groups above leave nothing out.
#[test]
fn every_scenario_name_has_a_group_test() {
    for name in Recording::all().iter().filter(|name| is_replayed(name)) {
        let groups = GROUPS.iter().filter(|group| is_in(group, name)).count();
        assert_eq!(groups, 1, "{name}");
    }
}

/// Runs a check for every replayed recording whose scenario begins with one of these, and reports all failures together.
fn each_recording(prefixes: &[&str], check: impl Fn(&Recording) + Sync) {
    let wanted = std::env::var("RECORDING").ok();
    let names: Vec<String> = Recording::all()
        .into_iter()
        .filter(|name| is_replayed(name) && is_in(prefixes, name))
        .filter(|name| wanted.as_ref().is_none_or(|wanted| wanted == name))
        .collect();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let recording = Recording::load(name);
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&recording))) {
                        failures
                            .lock()
                            .unwrap()
                            .insert(name, message(panic.as_ref()));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    for (name, failure) in &failures {
        eprintln!(
            "\n=== {name}: {}\n{failure}",
            Recording::load(name).json["about"].as_str().unwrap()
        );
    }
    let failed: Vec<_> = failures.keys().collect();
    assert!(
        failed.is_empty(),
        "{} of {} recordings differ: {failed:?}",
        failed.len(),
        names.len()
    );
}

fn is_in(prefixes: &[&str], name: &str) -> bool {
    let scenario = name.rsplit('/').next().unwrap();
    prefixes.iter().any(|prefix| scenario.starts_with(prefix))
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_string()))
        .unwrap_or_default()
}

/// A site, a Bento and the program, as a recording gives them.
struct Stage {
    site: Site<'static>,
    bento: Bento,
    program: Program,
    outbox: Outbox,
}

fn stage(recording: &Recording) -> Stage {
    let given = &recording.json["given"];
    let mut site = Site::new(&recording.base, given);
    let bento = Bento::start(World::from_json(recording.base.account(), &given["bento"]));
    site.define("BENTO_WEBHOOKS_API_URL", &bento.api_url());
    let outbox = Outbox::new(site.folder().join("outbox"));
    site.define("BENTO_WEBHOOKS_SENDMAIL", &outbox.command());
    lend_words(&site, recording.base.release(), env!("CARGO_TARGET_TMPDIR"));
    let program = Program::new(PROGRAM, site.folder());
    match recording.scenario() {
        "log_over_limit" => fill_log(&site),
        "log_table_missing" => site
            .database
            .root()
            .query_drop("DROP TABLE wp_wpf_logging")
            .unwrap(),
        _ => {}
    }
    Stage {
        site,
        bento,
        program,
        outbox,
    }
}

/// Rows that were in the log before.
const OLD_LOG_ROWS: usize = 10_000;
const OLD_MESSAGE: &str = "old";

fn fill_log(site: &Site<'_>) {
    let row = format!("('2024-01-01 00:00:00',200,0,'api','{OLD_MESSAGE}')");
    let rows = vec![row; OLD_LOG_ROWS].join(",");
    let sql =
        format!("INSERT INTO wp_wpf_logging (timestamp,level,user,source,message) VALUES {rows}");
    site.database.root().query_drop(sql).unwrap();
}

fn replay(recording: &Recording) {
    let stage = stage(recording);
    let before = State::read(&stage.site.database);
    let expected = rules::expectation(recording, &before);
    let begun = checks::unix_time();
    let requests = recording.json["requests"].as_array().unwrap().iter();
    let answers = requests
        .map(|given| {
            let answer = stage.program.run(&Request::from_json(given));
            if answer.body.contains(r#""result":"queued""#) {
                // What was asked to be done later is due now; and Bento wants to be left alone for a minute that is over.
                stage.program.command(&["work", "--now"]);
                let sql = "UPDATE wp_bento_webhooks_state SET paused = 0";
                stage.site.database.root().query_drop(sql).unwrap();
            }
            answer
        })
        .collect();
    let (old, log) = state::log(&stage.site.database)
        .into_iter()
        .partition(|row| row.message == OLD_MESSAGE);
    let after = State::read(&stage.site.database);
    let calls = stage.bento.calls();
    let mails = stage.outbox.mails();
    let run = Run {
        recording,
        before,
        begun,
        answers,
        calls,
        mails,
        log,
        after,
    };
    let mut problems = run.problems(&expected);
    problems.extend(old_log_problem(recording, &old));
    let shown: String = run
        .answers
        .iter()
        .map(|answer| format!("{answer}\n"))
        .collect();
    assert!(
        problems.is_empty(),
        "  rules: {:?}\n{}\n{shown}",
        expected.rules,
        problems.join("\n")
    );
}

/// A log over its limit loses as many of its oldest rows as recorded.
fn old_log_problem(recording: &Recording, old: &[LogRow]) -> Option<String> {
    let removed = recording.json["diff"]["wp_wpf_logging_removed"]["count"].as_u64()?;
    let left = OLD_LOG_ROWS - usize::try_from(removed).unwrap();
    (old.len() != left).then(|| format!("  * {} old log rows left, wanted {left}", old.len()))
}

/// All requests at once; the answers in order of the requests.
fn all_at_once(program: &Program, requests: &[Request]) -> Vec<Answer> {
    thread::scope(|scope| {
        let runs: Vec<_> = requests
            .iter()
            .map(|request| scope.spawn(|| program.run(request)))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    })
}

/// Rule 4: nothing is dropped, and however many webhooks come at once, the person becomes one user.
fn parallel_adds(name: &str) {
    let recording = Recording::load(name);
    let stage = stage(&recording);
    let before = State::read(&stage.site.database);
    let subscribers = recording.json["given"]["bento"]["subscribers"]
        .as_array()
        .unwrap();
    let request = |uuid: &Value| {
        Request::post(
            "/?wpf_action=add&access_key=a1b2c3d4",
            &serde_json::json!({"id": uuid}).to_string(),
        )
    };
    let requests: Vec<Request> = (0..20)
        .map(|index| request(&subscribers[index % subscribers.len()]["uuid"]))
        .collect();
    let answers = all_at_once(&stage.program, &requests);
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer}");
        assert!(
            ["applied", "unchanged", "queued"].contains(&answer.result().as_str()),
            "{answer}"
        );
    }
    stage.program.work();
    let actual = State::read(&stage.site.database);
    let new: Vec<u64> = actual
        .users
        .keys()
        .copied()
        .filter(|id| !before.users.contains_key(id))
        .collect();
    assert_eq!(
        new.len(),
        subscribers.len(),
        "new users: {:?}",
        actual.users
    );
    let count = before.users.len() + subscribers.len();
    assert_eq!(actual.options["user_count"].0, count.to_string());
    for id in new {
        let user = &actual.users[&id];
        let wanted = recorded_new_user(&recording, &user["user_email"]);
        let found: Vec<(String, String)> = actual.meta[&id]
            .iter()
            .map(|(key, value)| (key.clone(), value.clone().unwrap()))
            .collect();
        assert_eq!(found, wanted, "rows of {}", user["user_email"]);
    }
}

/// The meta rows that the recording has for the new user with this e-mail, without stray rows (rule 11).
fn recorded_new_user(recording: &Recording, email: &str) -> Vec<(String, String)> {
    let diff = &recording.json["diff"];
    let users = diff["wp_users"]["added"].as_array().unwrap();
    let id = &users
        .iter()
        .find(|user| user["user_email"] == email)
        .unwrap()["ID"];
    let rows = diff["wp_usermeta"]["added"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["user_id"] == *id);
    rows.map(|row| {
        (
            row["meta_key"].as_str().unwrap().to_string(),
            row["meta_value"].as_str().unwrap().to_string(),
        )
    })
    .filter(|(key, _)| !["user_login", "user_email"].contains(&key.as_str()))
    .collect()
}

#[test]
fn twenty_adds_of_one_contact_make_one_user() {
    parallel_adds("race_add_same_contact_20");
    parallel_adds("race_add_same_contact_20_no_latency");
}

#[test]
fn twenty_adds_of_different_contacts_make_twenty_users() {
    parallel_adds("race_add_different_contacts_20");
}

#[test]
fn update_and_update_tags_at_once_lose_nothing() {
    let recording = Recording::load("race_update_and_tags");
    let stage = stage(&recording);
    let before = State::read(&stage.site.database);
    let requests: Vec<Request> = recording.json["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(Request::from_json)
        .collect();
    for answer in all_at_once(&stage.program, &requests) {
        assert_eq!(answer.status, 200, "{answer}");
    }
    stage.program.work();
    let wanted = rules::expectation(&recording, &before).state;
    let difference = wanted.difference(&State::read(&stage.site.database));
    assert!(difference.is_empty(), "{difference}");
}
