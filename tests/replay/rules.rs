//! From what WordPress did to what this program must do: a recorded change, and the deliberate differences of
//! `tests/recordings/README.md` laid over it, each a named rule with its number there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::php;
use crate::support::recording::Recording;
use crate::support::state::State;

/// A deliberate difference from the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// 1: the request is not usable; WordPress showed its front page, failed or said "200 Success".
    BadRequest,
    /// 1: HEAD changes nothing.
    HeadIsIdle,
    /// 2: one call gives fields and tags, so both are there; as in the named scenario.
    OneCallGivesBoth(&'static str),
    /// 3: Bento failed or its answer is doubtful: nothing is written.
    BentoFails,
    /// 3: Bento does not know the person: nothing is written, `ignored`.
    BentoDoesNotKnow,
    /// 4: nothing is dropped because another webhook runs or ran; the second request does what the named scenario shows.
    NothingIsDropped(&'static str),
    /// 6: an add that cannot be: nothing is written, `ignored`.
    AddIsRefused,
    /// 6: a value that WordPress cannot store is left out with a log row, the rest as in the named scenario.
    ValueIsLeftOut(&'static str),
    /// 7: the e-mail of the user stays, a log row says so.
    EmailStays,
    /// 8: the user is found by the e-mail of the payload, as the named scenario shows it for the query.
    FoundByEmail(&'static str),
    /// 9: text is stored as Bento holds it: this meta key gets this value.
    TextAsHeld(&'static str, &'static str),
    /// 12: keys compare exactly; a site without a key refuses everyone. A refused request writes nothing, not even a log row.
    KeyIsRefused,
    /// 13: no role or capability with power: capabilities become these, level 0.
    NoPower(&'static [&'static str]),
    /// 13: who holds manage_options keeps role, e-mail, password and capabilities.
    AdminKeeps,
    /// 14: this meta key is never written.
    NeverWritten(&'static str),
    /// 16: async does the same work: rows of the batch machinery and of the admin screen that ran it do not appear.
    AsyncIsTheSameWork,
    /// 16: async does the same work, mail included: the new user is welcomed as the named scenario shows it.
    WelcomedLike(&'static str),
    /// 16: `tags` in the query is not believed; Bento's tags are these.
    TagsAreBentos(&'static [&'static str]),
    /// 19: staging or copied site: no call, no write, `ignored`; the last log row would claim that tags were loaded.
    StagingIsIdle,
}

/// The rules that a scenario needs; rule 11 (no stray rows) and rule 18 (log rows) hold for all.
pub(crate) fn rules(recording: &Recording) -> Vec<Rule> {
    use Rule::*;
    let scenario = recording.scenario();
    match scenario {
        "action_array" | "action_empty" | "action_missing" | "action_unknown" => vec![BadRequest],
        "id_array_add" | "id_empty" | "id_null" | "id_object" | "id_true" => vec![BadRequest],
        "json_empty_body" | "json_list" | "json_malformed" | "json_string" => vec![BadRequest],
        "method_head" => vec![HeadIsIdle],
        "update_second_call_429" => vec![OneCallGivesBoth("lock_held_update_tags_then_update")],
        "tags_null" | "tags_string" | "config_api_key_wrong" | "config_site_uuid_wrong" => {
            vec![BentoFails]
        }
        "add_contact_unknown_500" | "update_contact_deleted_500" => vec![BentoFails],
        "lock_same_after_failure" => vec![NothingIsDropped("add_minimal")],
        "lock_update_after_failure" => vec![NothingIsDropped("lock_held_update_tags_then_update")],
        "lock_held_add_then_update_tags" | "lock_held_update_then_update_tags" => {
            vec![NothingIsDropped("id_json")]
        }
        "add_contact_unknown" | "tags_contact_deleted" | "tags_contact_deleted_404" => {
            vec![BentoDoesNotKnow]
        }
        "id_long" | "id_unrendered_liquid" => vec![BentoDoesNotKnow],
        "add_email_empty" | "add_email_invalid" | "add_email_long" | "add_email_markup"
        | "add_email_null" => {
            vec![AddIsRefused]
        }
        "add_login_mapped_long" | "add_not_mapped_email" => vec![AddIsRefused],
        "add_display_name_long" | "add_url_long" => vec![ValueIsLeftOut("add_minimal")],
        "update_display_name_long" | "update_nicename_long" | "update_url_long" => {
            vec![ValueIsLeftOut("update_nothing_new")]
        }
        "update_email_taken" => vec![EmailStays],
        "id_json_plus_email" => vec![FoundByEmail("email_in_query")],
        "add_full" => vec![TextAsHeld("delivery_notes", "a\nb")],
        scenario if scenario.starts_with("auth_key_") && scenario != "auth_key_in_form_body" => {
            vec![KeyIsRefused]
        }
        "add_caps_administrator" => vec![NoPower(&["subscriber"])],
        "add_role_param_existing_user_administrator" | "update_caps_administrator" => {
            vec![NoPower(&["subscriber"])]
        }
        "update_role_administrator" | "update_role_param_administrator" => {
            vec![NoPower(&["subscriber"])]
        }
        // An editor may post unfiltered HTML.
        "update_caps_text" => vec![NoPower(&["customer"])],
        "add_existing_is_admin" | "update_role_param_admin_user" => vec![AdminKeeps],
        "update_protected_meta" => vec![NeverWritten("session_tokens")],
        "add_async" | "update_async" => vec![AsyncIsTheSameWork],
        "add_async_notification" => vec![
            AsyncIsTheSameWork,
            WelcomedLike("add_send_notification_true"),
        ],
        "add_async_bento_429" => vec![AsyncIsTheSameWork, BentoFails],
        "tags_param_in_query" | "tags_param_array_in_query" | "update_tags_param" => {
            vec![TagsAreBentos(&["Customer"])]
        }
        "tags_staging_mode" | "tags_duplicate_site" => vec![StagingIsIdle],
        scenario if scenario.contains("_bento_") && scenario != "tags_bento_slow" => {
            vec![BentoFails]
        }
        "log_error_badge_on" | "log_error_badge_counts_on" => vec![BentoFails],
        _ => Vec::new(),
    }
}

/// What the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// 200 `applied`: rows were written.
    Applied,
    /// 200 `unchanged`: there was nothing to do.
    Unchanged,
    /// 200 `ignored` with a reason.
    Ignored,
    /// 200 `{"success":true}`.
    Success,
    /// 200 or 400 with a reason: an id that cannot be anybody's may be refused at once or asked for.
    NotUsableOrIgnored,
    /// 200 without a body.
    Empty,
    /// 400 that names the fix.
    BadRequest,
    /// 403.
    Forbidden,
    /// 200 `queued`: kept, to be tried again.
    Queued,
}

/// A log row: level, user and source as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) level: u32,
    pub(crate) user: u64,
    pub(crate) source: String,
}

/// Rows that the log may or must hold besides the expected ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    None,
    /// Up to two rows above `info` that say what was refused: WordPress let it through without a word.
    MayExplain,
    /// Exactly one row above `info` that says what was left out.
    MustExplain,
    /// Any of the recorded rows, or an error of source `api`: an unusable request.
    AnyRecorded,
}

/// Everything that must be seen after the requests of a scenario.
pub(crate) struct Expectation {
    pub(crate) rules: Vec<Rule>,
    pub(crate) replies: Vec<Reply>,
    pub(crate) state: State,
    pub(crate) log: Vec<Entry>,
    pub(crate) extra: Extra,
    /// Fields that go back to Bento, with the recorded values.
    pub(crate) sent_back: BTreeMap<String, String>,
    /// The mails, as a recording has them.
    pub(crate) mails: Vec<Value>,
    /// Most calls to Bento for one request.
    pub(crate) calls: usize,
}

/// What must be seen after this recording's requests on a site that now has the rows `before`.
pub(crate) fn expectation(recording: &Recording, before: &State) -> Expectation {
    let rules = rules(recording);
    let mut change = recorded_change(recording);
    let mut log = entries(&change);
    let mut extra = Extra::None;
    let mut reply = None;
    let mut mails = recording.json["mails"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let sent_back = sent_back(recording);
    let requests = recording.json["requests"].as_array().unwrap().len();
    for rule in &rules {
        match *rule {
            Rule::BadRequest => (reply, extra) = (Some(Reply::BadRequest), Extra::AnyRecorded),
            Rule::HeadIsIdle => {
                reply = Some(Reply::Empty);
                log.clear();
            }
            Rule::OneCallGivesBoth(like) => {
                change = recorded_change(&Recording::load(like));
                log = entries(&change);
            }
            Rule::BentoFails => {
                reply = Some(Reply::Queued);
                log = failure_log(recording, &log);
            }
            Rule::BentoDoesNotKnow => {
                reply = Some(Reply::Ignored);
                if recording.scenario().starts_with("tags_") {
                    log.truncate(1);
                    extra = Extra::MustExplain;
                }
                if recording.scenario().starts_with("id_") {
                    (reply, extra) = (Some(Reply::NotUsableOrIgnored), Extra::AnyRecorded);
                }
            }
            Rule::NothingIsDropped(like) => {
                let first_failed = requests > 1;
                let failure = failure_log(recording, &log);
                change = recorded_change(&Recording::load(&beside(recording, like)));
                log = entries(&change);
                if first_failed {
                    reply = Some(Reply::Queued);
                    log.splice(0..0, failure);
                }
            }
            Rule::AddIsRefused => {
                reply = Some(Reply::Ignored);
                log = [
                    log[0].clone(),
                    Entry::error(&json!(["api"])),
                    Entry::error(&json!("api")),
                ]
                .to_vec();
            }
            Rule::ValueIsLeftOut(like) => {
                change = recorded_change(&Recording::load(like));
                log = entries(&change);
                extra = Extra::MustExplain;
            }
            Rule::EmailStays => extra = Extra::MustExplain,
            Rule::FoundByEmail(like) => {
                change = recorded_change(&Recording::load(&format!("newest/{like}")));
                log = entries(&change);
            }
            Rule::TextAsHeld(key, text) => set_added_meta(&mut change, key, text),
            Rule::KeyIsRefused => {
                reply = Some(Reply::Forbidden);
                log.clear();
            }
            Rule::NoPower(roles) => {
                hold_power_back(&mut change, roles);
                extra = Extra::MayExplain;
            }
            Rule::AdminKeeps => extra = Extra::MayExplain,
            Rule::NeverWritten(key) => {
                drop_added_meta(&mut change, &[key]);
                extra = Extra::MayExplain;
            }
            Rule::AsyncIsTheSameWork => {
                drop_added_meta(&mut change, &["dismissed_wp_pointers"]);
                drop_options(&mut change, &["wpf_import_groups"]);
            }
            Rule::WelcomedLike(like) => {
                let like = Recording::load(like);
                mails = like.json["mails"].as_array().unwrap().clone();
                let key = like.json["diff"]["wp_users"]["added"][0]["user_activation_key"].clone();
                change["wp_users"]["added"][0]["user_activation_key"] = key;
            }
            Rule::TagsAreBentos(names) => set_tags(&mut change, names),
            Rule::StagingIsIdle => {
                reply = Some(Reply::Ignored);
                log.pop();
            }
        }
    }
    // Rule 11, for every scenario.
    drop_added_meta(
        &mut change,
        &["user_login", "user_email", "user_pass", "ID"],
    );
    let idle = match reply {
        None | Some(Reply::Queued) => false,
        Some(_) => true,
    };
    let fails_only = reply == Some(Reply::Queued) && requests == 1;
    let mut state = before.clone();
    if fails_only {
        apply_options(&mut state, &change);
    } else if !idle {
        apply(&mut state, &change);
    }
    let is_test = recording.scenario().starts_with("action_test");
    let is_nobody = log
        .iter()
        .all(|entry| entry.level == 300 && entry.user == 0)
        && !log.is_empty();
    let outcome = if is_test {
        Reply::Success
    } else if is_nobody {
        Reply::Ignored
    } else if state == *before {
        Reply::Unchanged
    } else {
        Reply::Applied
    };
    let replies = match (reply, requests) {
        (Some(Reply::Queued), 2) => vec![Reply::Queued, outcome],
        (Some(reply), _) => vec![reply; requests],
        (None, 2) => vec![outcome, Reply::Unchanged],
        (None, _) => vec![outcome; requests],
    };
    // What is to be done in the background has not been done yet when it is answered.
    let is_background = recording.json["requests"][0]["target"]
        .as_str()
        .is_some_and(|target| target.contains("async=") && !target.contains("async=0"));
    let replies: Vec<Reply> = match is_background && !is_nobody {
        true => vec![Reply::Queued; requests],
        false => replies,
    };
    let asks = !matches!(
        replies[0],
        Reply::Success | Reply::BadRequest | Reply::Forbidden | Reply::Empty
    ) && !is_nobody
        && !rules.contains(&Rule::StagingIsIdle);
    let asks_tags = recording.json["bento_calls"]
        .as_array()
        .unwrap()
        .iter()
        .any(|call| call["path"] == "/api/v1/fetch/tags/");
    let calls = usize::from(asks) + usize::from(asks_tags) + usize::from(!sent_back.is_empty());
    Expectation {
        rules,
        replies,
        state,
        log,
        extra,
        sent_back,
        mails,
        calls,
    }
}

impl Entry {
    fn error(source: &Value) -> Entry {
        Entry {
            level: 500,
            user: 0,
            source: stored_source(source),
        }
    }

    fn from_json(row: &Value) -> Entry {
        let level = match row["level"].as_str().unwrap() {
            "info" => 200,
            "notice" => 300,
            "warning" => 400,
            "error" => 500,
            other => panic!("log level {other}"),
        };
        let user = row["user"].as_str().unwrap().parse().unwrap();
        Entry {
            level,
            user,
            source: stored_source(&row["source"]),
        }
    }
}

/// A list of sources is stored serialized, a single one as it is.
fn stored_source(source: &Value) -> String {
    source
        .as_str()
        .map_or_else(|| php::serialize(source), str::to_string)
}

/// The change that counts for this scenario: where the versions of the plugin differ, the newest wins.
///
/// On other releases of WordPress a new user has other rows, so there the recording of that release stays.
fn recorded_change(recording: &Recording) -> Value {
    let own = recording.json["diff"].clone();
    let newest = format!("newest/{}", recording.scenario());
    if recording.name == newest || !Recording::all().contains(&newest) {
        return own;
    }
    let newest = Recording::load(&newest);
    let same_release = newest.base.release() == recording.base.release();
    let adds_user = newest.json["diff"]["wp_users"]["added"].is_array();
    if same_release || !adds_user {
        newest.json["diff"].clone()
    } else {
        own
    }
}

/// The scenario of this name on the same release as the recording.
fn beside(recording: &Recording, scenario: &str) -> String {
    match recording.name.rsplit_once('/') {
        Some((folder, _)) if folder != "newest" => {
            let name = format!("{folder}/{scenario}");
            if Recording::all().contains(&name) {
                name
            } else {
                scenario.to_string()
            }
        }
        _ => scenario.to_string(),
    }
}

/// The recorded log rows that are WP Fusion's own. Rule 1: PHP's warnings and errors have no counterpart.
/// Rule 4: neither has "doing it wrong". Rule 2: what is loaded once is not logged twice.
fn entries(change: &Value) -> Vec<Entry> {
    let mut rows = change["wp_wpf_logging"].as_array().unwrap().clone();
    rows.retain(|row| {
        let message = row["message"].as_str().unwrap();
        !message.contains("<strong>PHP ") && !message.contains("<strong>Doing it wrong:")
    });
    rows.dedup_by(|later, earlier| later["message"] == earlier["message"]);
    rows.iter().map(Entry::from_json).collect()
}

/// Log rows of a run that Bento let down: the first one and the recorded errors. Where WordPress took the failure for
/// "no tags" and recorded none: one error for the tags, and for an update one for the fields before it.
fn failure_log(recording: &Recording, recorded: &[Entry]) -> Vec<Entry> {
    let begin = recorded[0].clone();
    let target = recording.json["requests"][0]["target"].as_str().unwrap();
    let least = if target.contains("wpf_action=update&") {
        2
    } else {
        1
    };
    let mut errors: Vec<Entry> = recorded
        .iter()
        .filter(|entry| entry.level == 500)
        .cloned()
        .collect();
    while errors.len() < least {
        errors.push(Entry {
            user: begin.user,
            ..Entry::error(&json!(["api"]))
        });
    }
    errors.insert(0, begin);
    errors
}

fn added_meta(change: &mut Value) -> Option<&mut Vec<Value>> {
    change
        .get_mut("wp_usermeta")?
        .get_mut("added")?
        .as_array_mut()
}

fn drop_added_meta(change: &mut Value, keys: &[&str]) {
    if let Some(rows) = added_meta(change) {
        rows.retain(|row| !keys.contains(&row["meta_key"].as_str().unwrap()));
    }
}

fn set_added_meta(change: &mut Value, key: &str, value: &str) {
    for row in added_meta(change)
        .into_iter()
        .flatten()
        .filter(|row| row["meta_key"] == key)
    {
        row["meta_value"] = json!(value);
    }
}

fn drop_options(change: &mut Value, names: &[&str]) {
    if let Some(rows) = change
        .get_mut("wp_options")
        .and_then(|table| table.get_mut("added")?.as_array_mut())
    {
        rows.retain(|row| !names.contains(&row["option_name"].as_str().unwrap()));
    }
}

/// Capabilities become these roles and the level 0, in new rows as in changed ones.
fn hold_power_back(change: &mut Value, roles: &[&str]) {
    let capabilities: Value = roles
        .iter()
        .map(|role| ((*role).to_string(), json!(true)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let capabilities = php::serialize(&capabilities);
    set_added_meta(change, "wp_capabilities", &capabilities);
    set_added_meta(change, "wp_user_level", "0");
    for row in change["wp_usermeta"]["changed"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        match row["meta_key"].as_str().unwrap() {
            "wp_capabilities" => row["columns"]["meta_value"][1] = json!(capabilities),
            "wp_user_level" => row["columns"]["meta_value"][1] = json!("0"),
            _ => {}
        }
    }
}

fn set_tags(change: &mut Value, names: &[&str]) {
    for row in change["wp_usermeta"]["changed"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        if row["meta_key"] == "bento_tags" {
            row["columns"]["meta_value"][1] = json!(php::serialize(&json!(names)));
        }
    }
}

/// The fields that WordPress sent back to Bento, from all its calls (rule 2: ours go in one).
fn sent_back(recording: &Recording) -> BTreeMap<String, String> {
    let calls = recording.json["bento_calls"].as_array().unwrap().iter();
    let commands = calls.flat_map(|call| call["body"]["command"].as_array().into_iter().flatten());
    commands
        .filter(|command| command["command"] == "add_field")
        .map(|command| {
            let text = |name: &str| command["query"][name].as_str().unwrap().to_string();
            (text("key"), text("value"))
        })
        .collect()
}

/// Lays a recorded change over a state. A row that is not as the recording found it is a mistake of the test.
fn apply(state: &mut State, change: &Value) {
    let list =
        |table: &str, kind: &str| change[table][kind].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_string);
    for row in list("wp_users", "added") {
        let user = row
            .as_object()
            .unwrap()
            .iter()
            .map(|(column, value)| (column.clone(), text(value).unwrap()));
        state.users.insert(number(&row["ID"]), user.collect());
    }
    for row in list("wp_users", "changed") {
        let user = state.users.get_mut(&number(&row["ID"])).unwrap();
        for (column, pair) in row["columns"].as_object().unwrap() {
            let value = user.get_mut(column).unwrap();
            // Hashes are salted, so each base has its own.
            assert!(
                column == "user_pass" || *value == pair[0],
                "{column} was {value:?}, recorded {pair}"
            );
            *value = text(&pair[1]).unwrap();
        }
    }
    for row in list("wp_usermeta", "changed") {
        let rows = state.meta.get_mut(&number(&row["user_id"])).unwrap();
        let pair = &row["columns"]["meta_value"];
        let old = (text(&row["meta_key"]).unwrap(), text(&pair[0]));
        let Some(place) = rows.iter().position(|known| *known == old) else {
            panic!("no row {old:?} in {rows:?}")
        };
        rows[place].1 = text(&pair[1]);
    }
    for row in list("wp_usermeta", "removed") {
        let rows = state.meta.get_mut(&number(&row["user_id"])).unwrap();
        let count = rows.len();
        rows.retain(|(key, value)| {
            !(row["meta_key"] == *key && row["meta_value"].as_str() == value.as_deref())
        });
        assert_eq!(rows.len() + 1, count, "one row removed: {row}");
    }
    for row in list("wp_usermeta", "added") {
        let entry = (text(&row["meta_key"]).unwrap(), text(&row["meta_value"]));
        state
            .meta
            .entry(number(&row["user_id"]))
            .or_default()
            .push(entry);
    }
    apply_options(state, change);
}

fn apply_options(state: &mut State, change: &Value) {
    let list = |kind: &str| {
        change["wp_options"][kind]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    for row in list("added") {
        let text = |name: &str| row[name].as_str().unwrap().to_string();
        state.options.insert(
            text("option_name"),
            (text("option_value"), text("autoload")),
        );
    }
    for row in list("changed") {
        let name = row["option_name"].as_str().unwrap();
        let option = state
            .options
            .get_mut(name)
            .unwrap_or_else(|| panic!("no option {name}"));
        for (column, pair) in row["columns"].as_object().unwrap() {
            assert_eq!(column, "option_value", "{name}");
            assert_eq!(pair[0], *option.0, "{name}");
            option.0 = pair[1].as_str().unwrap().to_string();
        }
        // Keys of wpf_options are recorded one by one: replace the serialized member.
        for (key, pair) in row["keys"].as_object().into_iter().flatten() {
            let member =
                |value: &Value| format!("{}{}", php::serialize(&json!(key)), php::serialize(value));
            assert!(
                option.0.contains(&member(&pair[0])),
                "{name} has no {}",
                member(&pair[0])
            );
            option.0 = option.0.replace(&member(&pair[0]), &member(&pair[1]));
        }
    }
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}
