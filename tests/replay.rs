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

#[path = "replay/rules.rs"]
mod rules;
mod support;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mysql::prelude::Queryable as _;
use rules::{Entry, Expectation, Extra, Reply};
use serde_json::Value;
use support::bento::{Bento, Call, World};
use support::cgi::{Answer, Program, Request};
use support::database::PASSWORD;
use support::password::{self, Form};
use support::recording::Recording;
use support::site::Site;
use support::state::{self, LogRow, State};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bento-webhooks");
/// No answer may take longer.
const LONGEST: Duration = Duration::from_secs(5);
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

/// The rules are only worth something if they fit the recordings: old values are there, hashes open with the
/// passwords that the scenario implies, and no answer is left without a rule.
#[test]
fn the_rules_fit_the_recordings() {
    each_recording("", |recording| {
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
            Reply::BadRequest | Reply::Forbidden | Reply::Unavailable | Reply::Ignored
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
    each_recording("action_", replay);
}

#[test]
fn add_recordings() {
    each_recording("add_", replay);
}

#[test]
fn auth_config_and_method_recordings() {
    for prefix in ["auth_", "config_", "method_", "path_"] {
        each_recording(prefix, replay);
    }
}

#[test]
fn identity_and_json_recordings() {
    for prefix in ["contact_", "email_", "id_", "json_"] {
        each_recording(prefix, replay);
    }
}

#[test]
fn lock_and_log_recordings() {
    for prefix in ["lock_", "log_"] {
        each_recording(prefix, replay);
    }
}

#[test]
fn tags_recordings() {
    each_recording("tags_", replay);
}

#[test]
fn update_recordings() {
    each_recording("update_", replay);
}

/// The groups above leave nothing out.
#[test]
fn every_scenario_name_has_a_group_test() {
    let prefixes = [
        "action_", "add_", "auth_", "config_", "method_", "path_", "contact_", "email_", "id_",
        "json_", "lock_", "log_", "tags_", "update_",
    ];
    for name in Recording::all().iter().filter(|name| is_replayed(name)) {
        let scenario = name.rsplit('/').next().unwrap();
        let groups = prefixes
            .iter()
            .filter(|prefix| scenario.starts_with(**prefix))
            .count();
        assert_eq!(groups, 1, "{name}");
    }
}

/// Runs a check for every replayed recording whose scenario begins so, and reports all failures together.
fn each_recording(prefix: &str, check: impl Fn(&Recording) + Sync) {
    let wanted = std::env::var("RECORDING").ok();
    let names: Vec<String> = Recording::all()
        .into_iter()
        .filter(|name| is_replayed(name) && name.rsplit('/').next().unwrap().starts_with(prefix))
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
}

fn stage(recording: &Recording) -> Stage {
    let given = &recording.json["given"];
    let mut site = Site::new(&recording.base, given);
    let bento = Bento::start(World::from_json(recording.base.account(), &given["bento"]));
    site.define("BENTO_WEBHOOKS_API_URL", &bento.api_url());
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
    }
}

/// Rows that were in the log before.
const OLD_LOG_ROWS: usize = 10_000;

fn fill_log(site: &Site<'_>) {
    let row = "('2024-01-01 00:00:00',200,0,'api','old')";
    let rows = vec![row; OLD_LOG_ROWS].join(",");
    let sql =
        format!("INSERT INTO wp_wpf_logging (timestamp,level,user,source,message) VALUES {rows}");
    site.database.root().query_drop(sql).unwrap();
}

fn replay(recording: &Recording) {
    let stage = stage(recording);
    let before = State::read(&stage.site.database);
    let expected = rules::expectation(recording, &before);
    let begun = unix_time();
    let requests = recording.json["requests"].as_array().unwrap();
    let answers: Vec<Answer> = requests
        .iter()
        .map(|given| stage.program.run(&Request::from_json(given)))
        .collect();
    let mut problems = Problems { lines: Vec::new() };
    for (answer, reply) in answers.iter().zip(&expected.replies) {
        problems.check(reply_problem(answer, *reply));
        problems.check((answer.elapsed > LONGEST).then(|| format!("took {:?}", answer.elapsed)));
    }
    let calls = stage.bento.calls();
    let log: Vec<LogRow> = state::log(&stage.site.database);
    let (old, log): (Vec<_>, Vec<_>) = log.into_iter().partition(|row| row.message == "old");
    if recording.scenario() == "log_over_limit" {
        let removed = recording.json["diff"]["wp_wpf_logging_removed"]["count"]
            .as_u64()
            .unwrap();
        let left = OLD_LOG_ROWS - usize::try_from(removed).unwrap();
        problems.check(
            (old.len() != left).then(|| format!("{} old log rows left, wanted {left}", old.len())),
        );
    }
    let mut wanted = expected.state.clone();
    let actual = renumbered(State::read(&stage.site.database), &before);
    adopt_random_login(recording, &mut wanted, &actual, &mut problems);
    adopt_secrets_and_times(
        recording,
        &before,
        &mut wanted,
        &actual,
        &calls,
        begun,
        &mut problems,
    );
    problems.check(Some(wanted.difference(&actual)).filter(|text| !text.is_empty()));
    check_calls(&expected, &calls, answers.len(), &mut problems);
    check_log(&expected, &log, &calls, &mut problems);
    check_log_times(recording, &log, begun, &mut problems);
    check_secrets(recording, &answers, &log, &calls, &mut problems);
    let shown: String = answers.iter().map(|answer| format!("{answer}\n")).collect();
    assert!(
        problems.lines.is_empty(),
        "  rules: {:?}\n{}\n{shown}",
        expected.rules,
        problems.lines.join("\n")
    );
}

struct Problems {
    lines: Vec<String>,
}

impl Problems {
    fn check(&mut self, problem: Option<String>) {
        self.lines.extend(problem.map(|text| format!("  * {text}")));
    }
}

/// What is wrong with an answer.
fn reply_problem(answer: &Answer, reply: Reply) -> Option<String> {
    let result = || answer.result();
    let fits = match reply {
        Reply::Applied => answer.status == 200 && result() == "applied",
        Reply::Unchanged => answer.status == 200 && result() == "unchanged",
        Reply::Ignored => {
            answer.status == 200 && result() == "ignored" && answer.json()["reason"].is_string()
        }
        Reply::Success => answer.status == 200 && answer.body.trim_end() == r#"{"success":true}"#,
        Reply::NotUsableOrIgnored => {
            answer.status == 400 || (answer.status == 200 && result() == "ignored")
        }
        Reply::Empty => answer.status == 200,
        Reply::BadRequest => answer.status == 400 && answer.json()["reason"].is_string(),
        Reply::Forbidden => answer.status == 403,
        Reply::Unavailable => answer.status == 503 && answer.header("Retry-After").is_some(),
    };
    (!fits).then(|| {
        format!(
            "answered {} {}, wanted {reply:?}",
            answer.status, answer.body
        )
    })
}

/// New users get the numbers of the recording: they follow the last one that was there.
fn renumbered(mut actual: State, before: &State) -> State {
    let last = *before.users.keys().last().unwrap();
    let new: Vec<u64> = actual
        .users
        .keys()
        .copied()
        .filter(|id| !before.users.contains_key(id))
        .collect();
    for (id, wanted) in new.into_iter().zip(last + 1..) {
        let mut user = actual.users.remove(&id).unwrap();
        user.insert("ID".to_string(), wanted.to_string());
        actual.users.insert(wanted, user);
        if let Some(rows) = actual.meta.remove(&id) {
            actual.meta.insert(wanted, rows);
        }
    }
    actual
}

/// Scenarios in which WP Fusion puts random digits behind the login.
const RANDOM_LOGIN: [&str; 3] = [
    "add_username_email_taken",
    "add_username_fnamenum",
    "add_username_fnamenum_missing",
];

/// Puts the digits that the program drew in place of the recorded ones.
fn adopt_random_login(
    recording: &Recording,
    wanted: &mut State,
    actual: &State,
    problems: &mut Problems,
) {
    if !RANDOM_LOGIN.contains(&recording.scenario()) {
        return;
    }
    let Some((id, found)) = actual.users.last_key_value() else {
        return;
    };
    let digits = |login: &str| -> String {
        let start = login
            .trim_end_matches(|letter: char| letter.is_ascii_digit())
            .len();
        login[start..].to_string()
    };
    let Some(user) = wanted.users.get_mut(id) else {
        return;
    };
    let (recorded, drawn) = (digits(&user["user_login"]), digits(&found["user_login"]));
    problems.check(
        drawn
            .is_empty()
            .then(|| format!("login {} has no random digits", found["user_login"])),
    );
    for value in user.values_mut().filter(|value| value.ends_with(&recorded)) {
        *value = value.replace(&recorded, &drawn);
    }
    for (_, value) in wanted.meta.get_mut(id).into_iter().flatten() {
        *value = value.take().map(|value| value.replace(&recorded, &drawn));
    }
}

/// Hashes, keys and times are compared by what they mean; what passes is taken over.
fn adopt_secrets_and_times(
    recording: &Recording,
    before: &State,
    wanted: &mut State,
    actual: &State,
    calls: &[Call],
    begun: i64,
    problems: &mut Problems,
) {
    for (id, user) in &mut wanted.users {
        let Some(found) = actual.users.get(id) else {
            continue;
        };
        let known = before.users.get(id);
        if known.is_none_or(|known| known["user_pass"] != user["user_pass"]) {
            let hash = &found["user_pass"];
            let fits = Form::of_release(recording.base.release()).fits(hash);
            problems
                .check((!fits).then(|| format!("user {id} user_pass has the wrong form: {hash}")));
            let secret = implied_password(recording).or_else(|| posted_password(recording, calls));
            let opens = secret
                .as_ref()
                .is_none_or(|secret| password::verifies(secret, hash));
            problems.check(
                (!opens)
                    .then(|| format!("user {id} user_pass {hash} does not open with {secret:?}")),
            );
            user.insert("user_pass".to_string(), hash.clone());
        }
        if known.is_none() {
            let time = &found["user_registered"];
            let late = seconds(time) - begun;
            problems.check(
                (!(-2..60).contains(&late))
                    .then(|| format!("user {id} user_registered is {time}, not UTC now")),
            );
            user.insert("user_registered".to_string(), time.clone());
        }
        // The key belongs to the welcome mail: until that is sent, there is none.
        let key = &found["user_activation_key"];
        let recorded_key = &user["user_activation_key"];
        if known.is_none_or(|known| known["user_activation_key"] != *recorded_key)
            && recorded_key.contains(":$")
        {
            let is_key = key.is_empty()
                || key.split_once(':').is_some_and(|(time, hash)| {
                    time.parse::<u64>().is_ok() && hash.starts_with('$')
                });
            problems.check((!is_key).then(|| format!("user {id} user_activation_key is {key}")));
            user.insert("user_activation_key".to_string(), key.clone());
        }
    }
}

/// The password that the subscriber brings along, as it is hashed.
fn implied_password(recording: &Recording) -> Option<String> {
    let given = &recording.json["given"];
    let field = given["changed_settings"]["contact_fields.user_pass"]["crm_field"].as_str()?;
    let held = given["bento"]["subscribers"][0]["fields"][field]
        .as_str()
        .filter(|held| !held.is_empty())?;
    // Rule 9: only text with markup is cleaned; this one keeps its tag and loses one level of entities.
    Some(if held.contains('<') {
        held.replace("&amp;", "&")
    } else {
        held.to_string()
    })
}

/// The password that WordPress generated, where the recording shows it.
fn generated_password(recording: &Recording) -> Option<String> {
    let calls = recording.json["bento_calls"].as_array().unwrap().iter();
    let mut commands =
        calls.flat_map(|call| call["body"]["command"].as_array().into_iter().flatten());
    let command = commands.find(|command| {
        command["query"]["key"]
            .as_str()
            .is_some_and(|key| key.contains("password"))
    })?;
    command["query"]["value"].as_str().map(str::to_string)
}

/// The password that the program sent to Bento.
fn posted_password(recording: &Recording, calls: &[Call]) -> Option<String> {
    generated_password(recording)?;
    let posted = posted_fields(calls);
    let (_, value) = posted.iter().find(|(key, _)| key.contains("password"))?;
    Some(value.clone())
}

/// Fields that the program sent to Bento.
fn posted_fields(calls: &[Call]) -> BTreeMap<String, String> {
    let bodies = calls
        .iter()
        .filter(|call| call.method == "POST")
        .filter_map(|call| serde_json::from_str::<Value>(&call.body).ok());
    let commands = bodies.flat_map(|body| body["command"].as_array().cloned().unwrap_or_default());
    commands
        .filter(|command| command["command"] == "add_field")
        .map(|command| {
            let text = |value: &Value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_string)
            };
            (
                text(&command["query"]["key"]),
                text(&command["query"]["value"]),
            )
        })
        .collect()
}

fn check_calls(expected: &Expectation, calls: &[Call], requests: usize, problems: &mut Problems) {
    let shown: Vec<String> = calls
        .iter()
        .map(|call| format!("{} {} → {}", call.method, call.target, call.status))
        .collect();
    let most = expected.calls * requests;
    problems.check(
        (calls.len() > most)
            .then(|| format!("{} calls to Bento, at most {most}: {shown:?}", calls.len())),
    );
    problems
        .check((expected.calls > 0 && calls.is_empty()).then(|| "Bento was not asked".to_string()));
    let posts = calls.iter().filter(|call| call.method == "POST").count();
    problems.check((posts > 1).then(|| format!("{posts} POSTs: {shown:?}")));
    let slashed = calls.iter().any(|call| call.path.ends_with('/'));
    problems.check(slashed.then(|| format!("path with a trailing slash: {shown:?}")));
    let posted = posted_fields(calls);
    let keys = |fields: &BTreeMap<String, String>| fields.keys().cloned().collect::<Vec<_>>();
    let differ = keys(&posted) != keys(&expected.sent_back);
    problems.check(differ.then(|| {
        format!(
            "sent back {:?}, wanted {:?}",
            keys(&posted),
            keys(&expected.sent_back)
        )
    }));
}

fn check_log(expected: &Expectation, log: &[LogRow], calls: &[Call], problems: &mut Problems) {
    let found: Vec<Entry> = log
        .iter()
        .map(|row| Entry {
            level: row.level,
            user: row.user,
            source: row.source.clone(),
        })
        .collect();
    let mut wanted = expected.log.iter().peekable();
    let mut others = Vec::new();
    for entry in &found {
        if wanted.peek() == Some(&entry) {
            wanted.next();
        } else {
            others.push(entry.clone());
        }
    }
    let is_whole = wanted.peek().is_none();
    let explains = others.iter().all(|entry| entry.level > 200);
    let fits = match expected.extra {
        Extra::None => is_whole && others.is_empty(),
        Extra::MayExplain => is_whole && explains && others.len() <= 2,
        Extra::MustExplain => is_whole && explains && others.len() == 1,
        Extra::AnyRecorded => {
            let unusable = Entry {
                level: 500,
                user: 0,
                source: "api".to_string(),
            };
            found
                .iter()
                .all(|entry| expected.log.contains(entry) || *entry == unusable)
        }
    };
    let messages: Vec<&str> = log.iter().map(|row| row.message.as_str()).collect();
    problems.check((!fits).then(|| {
        format!(
            "log rows ({:?} more)\n      wanted {:?}\n      found  {found:?}\n      {messages:?}",
            expected.extra, expected.log
        )
    }));
    let posted = calls.iter().any(|call| call.method == "POST");
    problems.check(
        (posted && expected.sent_back.is_empty()).then(|| "sent something back".to_string()),
    );
}

/// The log keeps the site's own time.
fn check_log_times(recording: &Recording, log: &[LogRow], begun: i64, problems: &mut Problems) {
    let zone = &recording.json["given"]["changed_settings"]["wp_options.timezone_string"];
    let offset = zone.as_str().map_or(0, offset_of);
    for row in log {
        let late = seconds(&row.timestamp) - offset - begun;
        problems.check(
            (!(-2..60).contains(&late))
                .then(|| format!("log time {} is {late} s off", row.timestamp)),
        );
    }
}

/// Seconds east of Greenwich now, from the system's own tables.
fn offset_of(zone: &str) -> i64 {
    let output = std::process::Command::new("date")
        .arg("+%z")
        .env("TZ", zone)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let number: i64 = text.trim().parse().unwrap();
    (number / 100 * 60 + number % 100) * 60
}

fn check_secrets(
    recording: &Recording,
    answers: &[Answer],
    log: &[LogRow],
    calls: &[Call],
    problems: &mut Problems,
) {
    let account = recording.base.account();
    let mut secrets = vec![
        recording.base.access_key().to_string(),
        account.secret_key,
        PASSWORD.to_string(),
    ];
    secrets.extend(implied_password(recording));
    secrets.extend(posted_password(recording, calls));
    for secret in &secrets {
        for answer in answers {
            problems.check(
                answer
                    .body
                    .contains(secret)
                    .then(|| format!("the answer shows {secret}")),
            );
            problems.check(
                answer
                    .stderr
                    .contains(secret)
                    .then(|| format!("the error log shows {secret}")),
            );
        }
        let shown = log
            .iter()
            .any(|row| row.message.contains(secret) || row.context.contains(secret));
        problems.check(shown.then(|| format!("the log table shows {secret}")));
    }
}

fn unix_time() -> i64 {
    i64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs(),
    )
    .unwrap()
}

/// Seconds since 1970 of `YYYY-MM-DD hh:mm:ss`, taken as UTC; 0 for anything else.
fn seconds(time: &str) -> i64 {
    let parts: Vec<i64> = time
        .split(['-', ' ', ':'])
        .filter_map(|part| part.parse().ok())
        .collect();
    let &[year, month, day, hour, minute, second] = parts.as_slice() else {
        return 0;
    };
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    ((days * 24 + hour) * 60 + minute) * 60 + second
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
            ["applied", "unchanged"].contains(&answer.result().as_str()),
            "{answer}"
        );
    }
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
    let wanted = rules::expectation(&recording, &before).state;
    let difference = wanted.difference(&State::read(&stage.site.database));
    assert!(difference.is_empty(), "{difference}");
}
