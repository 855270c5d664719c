//! Comparing by meaning: answers, calls, log rows and secrets, and the row values that are random or dated.
//!
//! What passes is taken over into the wanted rows, so that everything else can be compared exactly.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bento_webhooks::text::hex;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::rules::{Entry, Expectation, Extra, Reply};
use crate::support::bento::Call;
use crate::support::cgi::Answer;
use crate::support::database::PASSWORD;
use crate::support::mail::Mail;
use crate::support::password::{self, Form};
use crate::support::recording::Recording;
use crate::support::state::{LogRow, State, User};

/// Longer than the program gives Bento and shorter than the stand-in hangs: an answer within it shows that the program's
/// own limits ended the call. On a busy machine an answer takes longer than on an idle one.
const LONGEST: Duration = Duration::from_secs(15);
/// Seconds after the first request within which a time in a row counts as "now".
const NOW: Range<i64> = -2..60;
/// Scenarios in which WP Fusion puts random digits behind the login.
const RANDOM_LOGIN: [&str; 3] = [
    "add_username_email_taken",
    "add_username_fnamenum",
    "add_username_fnamenum_missing",
];

/// A scenario that was run: what was there, and what came of it.
pub(crate) struct Run<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) before: State,
    /// Seconds since 1970 when the first request was sent.
    pub(crate) begun: i64,
    pub(crate) answers: Vec<Answer>,
    pub(crate) calls: Vec<Call>,
    pub(crate) mails: Vec<Mail>,
    /// Rows that the requests wrote.
    pub(crate) log: Vec<LogRow>,
    pub(crate) after: State,
}

/// Everything that is wrong with a run.
#[derive(Default)]
struct Problems {
    lines: Vec<String>,
}

impl Problems {
    fn unless(&mut self, fits: bool, problem: impl FnOnce() -> String) {
        if !fits {
            self.lines.push(format!("  * {}", problem()));
        }
    }
}

impl Run<'_> {
    /// Everything that is not as expected, a line or a paragraph each.
    pub(crate) fn problems(&self, expected: &Expectation) -> Vec<String> {
        let mut problems = Problems::default();
        for (answer, reply) in self.answers.iter().zip(&expected.replies) {
            let said = || {
                format!(
                    "answered {} {}, wanted {reply:?}",
                    answer.status, answer.body
                )
            };
            problems.unless(fits(answer, *reply), said);
            problems.unless(answer.elapsed <= LONGEST, || {
                format!("took {:?}", answer.elapsed)
            });
        }
        self.check_rows(expected, &mut problems);
        self.check_calls(expected, &mut problems);
        self.check_mails(expected, &mut problems);
        self.check_log(expected, &mut problems);
        self.check_log_times(&mut problems);
        self.check_secrets(&mut problems);
        problems.lines
    }

    fn check_rows(&self, expected: &Expectation, problems: &mut Problems) {
        let actual = renumbered(self.after.clone(), &self.before);
        let mut wanted = expected.state.clone();
        if RANDOM_LOGIN.contains(&self.recording.scenario()) {
            adopt_random_login(&mut wanted, &actual);
        }
        for (id, user) in &mut wanted.users {
            if let Some(found) = actual.users.get(id) {
                let known = self.before.users.get(id);
                self.adopt_password(known, user, found, problems);
                self.adopt_registration(known, user, found, problems);
                self.adopt_key(known, user, found, problems);
            }
        }
        let difference = wanted.difference(&actual);
        problems.unless(difference.is_empty(), || difference);
    }

    /// A new hash must have the form of the release and open with the password that the scenario implies.
    fn adopt_password(
        &self,
        known: Option<&User>,
        user: &mut User,
        found: &User,
        problems: &mut Problems,
    ) {
        let hash = &found["user_pass"];
        if known.is_some_and(|known| known["user_pass"] == user["user_pass"]) {
            return;
        }
        let form = Form::of_release(self.recording.base.release());
        problems.unless(form.fits(hash), || {
            format!("user_pass has the wrong form: {hash}")
        });
        let secret = implied_password(self.recording).or_else(|| self.posted_password());
        let opens = secret
            .as_ref()
            .is_none_or(|secret| password::verifies(secret, hash));
        problems.unless(opens, || {
            format!("user_pass {hash} does not open with {secret:?}")
        });
        user.insert("user_pass".to_string(), hash.clone());
    }

    /// A key is there when a recorded one is: made now, in the form of the release.
    fn adopt_key(
        &self,
        known: Option<&User>,
        user: &mut User,
        found: &User,
        problems: &mut Problems,
    ) {
        let (key, recorded) = (&found["user_activation_key"], &user["user_activation_key"]);
        let is_unchanged = known.is_some_and(|known| known["user_activation_key"] == *recorded);
        if is_unchanged || recorded.is_empty() {
            return;
        }
        let form = |key: &str| {
            let (time, hash) = key.split_once(':')?;
            let mark = hash.rsplit_once('$').map(|(mark, _)| mark.to_string());
            Some((time.parse::<i64>().ok()?, mark, hash.len()))
        };
        let is_now = |time: i64| NOW.contains(&(time - self.begun));

        let fits = match (form(key), form(recorded)) {
            (Some((time, mark, length)), Some((_, like, long))) => {
                is_now(time) && mark == like && length == long
            }
            _ => false,
        };
        problems.unless(fits, || format!("user_activation_key is {key}"));
        user.insert("user_activation_key".to_string(), key.clone());
    }

    fn adopt_registration(
        &self,
        known: Option<&User>,
        user: &mut User,
        found: &User,
        problems: &mut Problems,
    ) {
        let time = &found["user_registered"];
        if known.is_none() {
            let is_now = NOW.contains(&(seconds(time) - self.begun));
            problems.unless(is_now, || format!("user_registered is {time}, not UTC now"));
            user.insert("user_registered".to_string(), time.clone());
        }
    }

    fn check_calls(&self, expected: &Expectation, problems: &mut Problems) {
        let calls = &self.calls;
        let shown = || -> Vec<String> {
            calls
                .iter()
                .map(|call| format!("{} {} → {}", call.method, call.target, call.status))
                .collect()
        };
        let most = expected.calls * self.answers.len();
        problems.unless(calls.len() <= most, || {
            format!("at most {most} calls to Bento: {:?}", shown())
        });
        let may_be_idle = most == 0 || expected.replies[0] == Reply::NotUsableOrIgnored;
        problems.unless(may_be_idle || !calls.is_empty(), || {
            "Bento was not asked".to_string()
        });
        let posts = calls.iter().filter(|call| call.method == "POST").count();
        problems.unless(posts <= 1, || format!("at most one POST: {:?}", shown()));
        let slashed = calls.iter().any(|call| call.path.ends_with('/'));
        problems.unless(!slashed, || {
            format!("path with a trailing slash: {:?}", shown())
        });
        let (posted, wanted) = (self.posted_fields(), &expected.sent_back);
        let same_names = posted.keys().eq(wanted.keys());
        problems.unless(same_names, || {
            format!("sent back {:?}, wanted {:?}", posted.keys(), wanted.keys())
        });
    }

    /// Mails line by line: what is dated, random or the mailer's own name is masked on both sides.
    fn check_mails(&self, expected: &Expectation, problems: &mut Problems) {
        let found: Vec<Value> = self
            .mails
            .iter()
            .zip(expected.mails.iter().chain(std::iter::repeat(&Value::Null)))
            .map(|(mail, like)| as_recorded(mail, like))
            .collect();
        problems.unless(found == expected.mails, || {
            let sent: Vec<&str> = self.mails.iter().map(|mail| mail.text.as_str()).collect();
            let show = |mails: &[Value]| serde_json::to_string_pretty(mails).unwrap();
            format!(
                "mails\n      wanted {}\n      found  {}\n{}",
                show(&expected.mails),
                show(&found),
                sent.join("\n---\n")
            )
        });
    }

    fn check_log(&self, expected: &Expectation, problems: &mut Problems) {
        let entry = |row: &LogRow| Entry {
            level: row.level,
            user: row.user,
            source: row.source.clone(),
        };
        let found: Vec<Entry> = self.log.iter().map(entry).collect();
        let mut wanted = expected.log.iter().peekable();
        let others: Vec<&Entry> = found
            .iter()
            .filter(|entry| wanted.next_if_eq(entry).is_none())
            .collect();
        let is_whole = wanted.peek().is_none();
        let explains = is_whole && others.iter().all(|entry| entry.level > 200);
        let unusable = Entry {
            level: 500,
            user: 0,
            source: "api".to_string(),
        };
        let fits = match expected.extra {
            Extra::None => is_whole && others.is_empty(),
            Extra::MayExplain => explains && others.len() <= 2,
            Extra::MustExplain => explains && others.len() == 1,
            Extra::AnyRecorded => found
                .iter()
                .all(|entry| expected.log.contains(entry) || *entry == unusable),
        };
        problems.unless(fits, || {
            let messages: Vec<&str> = self.log.iter().map(|row| row.message.as_str()).collect();
            let (extra, wanted) = (expected.extra, &expected.log);
            format!("log rows ({extra:?} more)\n      wanted {wanted:?}\n      found  {found:?}\n      {messages:?}")
        });
    }

    /// The log keeps the site's own time.
    fn check_log_times(&self, problems: &mut Problems) {
        let zone = &self.recording.json["given"]["changed_settings"]["wp_options.timezone_string"];
        let offset = zone.as_str().map_or(0, offset_of);
        for row in &self.log {
            let late = seconds(&row.timestamp) - offset - self.begun;
            problems.unless(NOW.contains(&late), || {
                format!("log time {} is {late} s off", row.timestamp)
            });
        }
    }

    fn check_secrets(&self, problems: &mut Problems) {
        let base = &self.recording.base;
        let mut secrets = vec![
            base.access_key().to_string(),
            base.account().secret_key,
            PASSWORD.to_string(),
        ];
        secrets.extend(implied_password(self.recording));
        secrets.extend(self.posted_password());
        let keys = self.mails.iter().flat_map(|mail| mail.body().lines());
        secrets.extend(keys.filter_map(key_in).map(str::to_string));
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            for answer in &self.answers {
                problems.unless(!answer.body.contains(secret), || {
                    format!("the answer shows {secret}")
                });
                problems.unless(!answer.stderr.contains(secret), || {
                    format!("the error log shows {secret}")
                });
            }
            let shown = self
                .log
                .iter()
                .any(|row| row.message.contains(secret) || row.context.contains(secret));
            problems.unless(!shown, || format!("the log table shows {secret}"));
        }
    }

    /// The password that the program sent to Bento, where WordPress sent one.
    fn posted_password(&self) -> Option<String> {
        generated_password(self.recording)?;
        self.posted_fields()
            .into_iter()
            .find(|(key, _)| key.contains("password"))
            .map(|(_, value)| value)
    }

    /// Fields that the program sent to Bento.
    fn posted_fields(&self) -> BTreeMap<String, String> {
        let posts = self.calls.iter().filter(|call| call.method == "POST");
        let bodies = posts.filter_map(|call| serde_json::from_str::<Value>(&call.body).ok());
        let commands =
            bodies.flat_map(|body| body["command"].as_array().cloned().unwrap_or_default());
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_string)
        };
        commands
            .filter(|command| command["command"] == "add_field")
            .map(|command| {
                (
                    text(&command["query"]["key"]),
                    text(&command["query"]["value"]),
                )
            })
            .collect()
    }
}

/// Whether an answer says what it should.
fn fits(answer: &Answer, reply: Reply) -> bool {
    let is = |status: u16, result: &str| answer.status == status && answer.result() == result;
    match reply {
        Reply::Applied => is(200, "applied"),
        Reply::Unchanged => is(200, "unchanged"),
        Reply::Ignored => is(200, "ignored") && answer.json()["reason"].is_string(),
        Reply::Success => answer.status == 200 && answer.body.trim_end() == r#"{"success":true}"#,
        Reply::NotUsableOrIgnored => answer.status == 400 || is(200, "ignored"),
        Reply::Empty => answer.status == 200,
        Reply::BadRequest => answer.status == 400 && answer.json()["reason"].is_string(),
        Reply::Forbidden => answer.status == 403,
        Reply::Queued => answer.status == 200 && answer.result() == "queued",
    }
}

/// New users get the numbers of the recording: they follow the last one that was there.
fn renumbered(mut actual: State, before: &State) -> State {
    let last = *before.users.keys().last().unwrap();
    let is_new = |id: &u64| !before.users.contains_key(id);
    let new: Vec<u64> = actual.users.keys().copied().filter(is_new).collect();
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

/// Puts the digits that the program drew in place of the recorded ones, in the last user.
fn adopt_random_login(wanted: &mut State, actual: &State) {
    let digits = |login: &str| {
        let start = login
            .trim_end_matches(|letter: char| letter.is_ascii_digit())
            .len();
        login[start..].to_string()
    };
    let Some((id, found)) = actual.users.last_key_value() else {
        return;
    };
    let Some(user) = wanted.users.get_mut(id) else {
        return;
    };
    let (recorded, drawn) = (digits(&user["user_login"]), digits(&found["user_login"]));
    if drawn.is_empty() {
        return;
    }
    for value in user.values_mut().filter(|value| value.ends_with(&recorded)) {
        *value = value.replace(&recorded, &drawn);
    }
    for (_, value) in wanted.meta.get_mut(id).into_iter().flatten() {
        *value = value.take().map(|value| value.replace(&recorded, &drawn));
    }
}

/// The key in a set-password link.
fn key_in(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("key=")?;
    rest.split('&').next()
}

/// A mail as the recordings keep it; a line of the body is hashed where the recorded one is.
fn as_recorded(mail: &Mail, like: &Value) -> Value {
    let masked = |line: &str| match line.split_once(": ") {
        Some((name @ ("Date" | "Message-ID" | "X-Mailer"), _)) => format!("{name}: …"),
        _ => line.to_string(),
    };
    let mut head = vec![format!("X-Lab-Args: {}", mail.arguments)];
    head.extend(mail.head().into_iter().map(masked));
    let lines = mail.body().split('\n').enumerate().map(|(index, line)| {
        let is_hashed = like["body_lines"][index]
            .as_str()
            .is_some_and(|line| line.starts_with("sha256:"));
        match (is_hashed, key_in(line)) {
            (true, _) => format!("sha256:{}", hex(&Sha256::digest(line))),
            (false, Some(key)) => line.replace(key, "KEY"),
            (false, None) => line.to_string(),
        }
    });
    serde_json::json!({"head": head, "body_lines": lines.collect::<Vec<_>>()})
}

/// The password that the subscriber brings along, as it is hashed.
pub(crate) fn implied_password(recording: &Recording) -> Option<String> {
    let given = &recording.json["given"];
    let field = given["changed_settings"]["contact_fields.user_pass"]["crm_field"].as_str()?;
    let held = given["bento"]["subscribers"][0]["fields"][field].as_str()?;
    match held {
        "" => None,
        // Rule 9: only text with markup is cleaned; this one keeps its tag and loses one level of entities.
        held if held.contains('<') => Some(held.replace("&amp;", "&")),
        held => Some(held.to_string()),
    }
}

/// The password that WordPress generated, where the recording shows it.
pub(crate) fn generated_password(recording: &Recording) -> Option<String> {
    let calls = recording.json["bento_calls"].as_array().unwrap().iter();
    let mut commands =
        calls.flat_map(|call| call["body"]["command"].as_array().into_iter().flatten());
    let is_password = |key: &Value| key.as_str().is_some_and(|key| key.contains("password"));
    let command = commands.find(|command| is_password(&command["query"]["key"]))?;
    command["query"]["value"].as_str().map(str::to_string)
}

/// Seconds since 1970.
pub(crate) fn unix_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Seconds east of Greenwich now, from the system's own tables.
fn offset_of(zone: &str) -> i64 {
    let output = Command::new("date")
        .arg("+%z")
        .env("TZ", zone)
        .output()
        .unwrap();
    let number: i64 = String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    (number / 100 * 60 + number % 100) * 60
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
    // The year begins in March here, so that the leap day is its last one.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    ((days * 24 + hour) * 60 + minute) * 60 + second
}
