//! Fields: from Bento's values to columns and usermeta rows, as WP Fusion's `load_contact()` and `set_user_meta()` do.

use super::draft::{Draft, fold, notice};
use super::rights::{self, is_protected};
use super::{CONTACT_ID, Directory, Rules, TAGS, has_password};
use crate::bento::Subscriber;
use crate::log::{Entry, Level, Source, Who};
use crate::outcome::Trouble;
use crate::php::{Key, Value};
use crate::secret::Secret;
use crate::webhook::Email;
use serde_json::Value as Json;

/// Longest `user_email`, `user_url`, `user_nicename` and `display_name`, in characters.
const EMAIL_LENGTH: usize = 100;
pub(super) const URL_LENGTH: usize = 100;
pub(super) const NICENAME_LENGTH: usize = 50;
pub(super) const DISPLAY_NAME_LENGTH: usize = 250;
/// Why a text stays out of a table in another charset than Unicode's.
pub(super) const CANNOT_STORE: &str = "holds characters that the database column cannot store";

/// One mapped field with the value Bento has for it, cleaned.
pub(super) struct Loaded {
    pub(super) key: String,
    pub(super) value: Value,
    raw: bool,
    pseudo: bool,
    /// A password, under whatever name: it is never shown.
    secret: bool,
}

impl Loaded {
    /// The value as text, when PHP does not call it empty.
    pub(super) fn text(&self) -> Option<String> {
        self.value.to_text().filter(|_| self.value.truthy())
    }

    /// Whether WP Fusion writes the value: empty ones only if they are the text `0` or the field is `raw`.
    fn counts(&self) -> bool {
        self.value.truthy() || self.raw || self.value == Value::from("0")
    }
}

/// The value of a mapped field, if it is there and not empty.
pub(super) fn text_of(values: &[Loaded], key: &str) -> Option<String> {
    values.iter().find(|loaded| loaded.key == key)?.text()
}

/// The mapped fields that Bento has, in the order of the field map; `null` counts as not there.
pub(super) fn load(subscriber: &Subscriber, rules: &Rules<'_>) -> Vec<Loaded> {
    let settings = rules.settings;
    let fields = settings.fields.iter();
    let password = settings
        .crm_field("user_pass")
        .map(|field| &field.crm_field);
    let load = |field: &crate::settings::Field| {
        let value = match field.crm_field.as_str() {
            "email" => subscriber.email.clone().map(Json::String)?,
            name => subscriber
                .fields
                .get(name)
                .filter(|value| !value.is_null())?
                .clone(),
        };
        let value = cleaned(&value, rules);
        Some(Loaded {
            key: field.key.clone(),
            value,
            raw: field.raw,
            pseudo: field.pseudo,
            secret: password == Some(&field.crm_field)
                || settings.return_password.as_ref() == Some(&field.crm_field),
        })
    };
    fields.filter_map(load).collect()
}

/// The fields whose text the columns can hold, and the others; of a password only the hash is stored.
pub(super) fn storable(subscriber: &Subscriber, rules: &Rules<'_>) -> (Vec<Loaded>, Vec<Loaded>) {
    load(subscriber, rules)
        .into_iter()
        .partition(|loaded| loaded.key == "user_pass" || fits(&loaded.value, rules))
}

/// WP Fusion's `wpf_clean()`: text is cleaned, numbers become text, true, false and null stay, lists and objects become
/// arrays.
fn cleaned(value: &Json, rules: &Rules<'_>) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(on) => Value::Bool(*on),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole.to_string().as_str()),
            None => {
                let float = Value::float(number.as_f64().unwrap_or_default());
                Value::Str(
                    float
                        .as_text()
                        .map(|text| text.into_owned())
                        .unwrap_or_default(),
                )
            }
        },
        Json::String(text) => Value::from(rules.cleaner.clean_value(text).as_str()),
        Json::Array(items) => Value::list(items.iter().map(|item| cleaned(item, rules)).collect()),
        Json::Object(members) => Value::Array(
            members
                .iter()
                .map(|(name, item)| (Key::from_bytes(name.as_bytes()), cleaned(item, rules)))
                .collect(),
        ),
    }
}

/// The log row that says which fields came; never a password.
pub(super) fn loaded(values: &[Loaded]) -> Entry {
    if values.is_empty() {
        return notice("Bento has no value for any mapped field.".to_owned());
    }
    let message = "Loaded fields from Bento.".to_owned();
    Entry::new(Level::Info, Who::User, Source::Trace, message)
        .with_context(context("meta_array", values))
}

/// The context of a log row about fields.
pub(super) fn context(name: &str, values: &[Loaded]) -> Value {
    let shown = values.iter().filter(|loaded| !loaded.secret);
    let shown = shown.map(|loaded| (Key::from_bytes(loaded.key.as_bytes()), loaded.value.clone()));
    Value::Array(vec![(
        Key::from_bytes(name.as_bytes()),
        Value::Array(shown.collect()),
    )])
}

/// Writes the fields into the draft.
pub(super) fn apply(
    draft: &mut Draft,
    values: &[Loaded],
    rules: &Rules<'_>,
    directory: &mut dyn Directory,
) -> Result<(), Trouble> {
    for loaded in values
        .iter()
        .filter(|loaded| loaded.counts() && !loaded.pseudo)
    {
        match loaded.key.as_str() {
            "user_pass" => password(draft, loaded, rules),
            "display_name" => display_name(draft, loaded, rules),
            "user_nicename" => nicename(draft, loaded, rules, directory)?,
            "user_url" => url(draft, loaded, rules),
            "user_email" => email(draft, loaded, rules, directory)?,
            "role" => rights::role(draft, loaded, rules),
            key if key == rules.capabilities_key() => rights::capabilities(draft, loaded, rules),
            key if may_be_written(key) => meta(draft, key, &loaded.value),
            _ => {}
        }
    }
    Ok(())
}

/// `update_user_meta()`.
fn meta(draft: &mut Draft, key: &str, value: &Value) {
    if draft.set_meta(key, value) {
        draft.note_field(key);
    }
}

/// Whether Bento may write this usermeta key: not the columns of `users`, nor what rules over rights, sessions and this
/// very link.
pub fn may_be_written(key: &str) -> bool {
    const COLUMNS: [&str; 13] = [
        "id",
        "user_login",
        "user_pass",
        "user_email",
        "user_registered",
        "user_id",
        "user_activation_key",
        "user_status",
        "spam",
        "deleted",
        "ip",
        "",
        "0",
    ];
    const OWN: [&str; 5] = [
        CONTACT_ID,
        TAGS,
        "session_tokens",
        "_application_passwords",
        "primary_blog",
    ];
    let key = fold(key);
    let rights = key.ends_with("capabilities")
        || key.ends_with("user_level")
        || key.ends_with("default_password_nag");
    !(rights
        || key.contains("user-settings")
        || COLUMNS.contains(&key.as_str())
        || OWN.contains(&key.as_str()))
}

/// Whether the columns can hold every text in the value.
fn fits(value: &Value, rules: &Rules<'_>) -> bool {
    match value {
        Value::Str(bytes) => rules.repertoire.holds(&String::from_utf8_lossy(bytes)),
        Value::Array(entries) => entries.iter().all(|(key, item)| {
            rules.repertoire.holds(&crate::roles::key_text(key)) && fits(item, rules)
        }),
        _ => true,
    }
}

/// The log rows about fields whose characters the columns cannot hold.
pub(super) fn leave_outside(draft: &mut Draft, outside: &[Loaded]) {
    for loaded in outside.iter().filter(|loaded| !loaded.pseudo) {
        leave_out(draft, &loaded.key, CANNOT_STORE);
    }
}

/// The log row about a value that stays out, while the rest goes on.
fn leave_out(draft: &mut Draft, key: &str, why: &str) {
    let message = format!("Field {} was left out: its value {why}.", Entry::quote(key));
    draft.notice(message);
}

/// `wp_set_password()`, unless the user has this password already.
fn password(draft: &mut Draft, loaded: &Loaded, rules: &Rules<'_>) {
    let Some(given) = loaded.text() else { return };
    let is_new = draft.user.id == 0;
    if is_new
        || is_protected(&draft.user, rules)
        || has_password(&draft.user, &given, rules.release)
    {
        return;
    }
    draft.user.pass = Secret::new((rules.hash)(&given));
    draft.user.activation_key = Secret::new(String::new());
    draft.note_field("user_pass");
    draft.notice("The password was changed.".to_owned());
}

/// `wp_update_user( display_name )`: an empty name becomes the login.
fn display_name(draft: &mut Draft, loaded: &Loaded, rules: &Rules<'_>) {
    let name = match loaded.text() {
        Some(text) => rules.cleaner.stored_name(&text),
        None => draft.user.login.clone(),
    };
    if name.chars().count() > DISPLAY_NAME_LENGTH {
        return leave_out(draft, "display_name", "is longer than 250 characters");
    }
    draft.set_column("display_name", |user| &mut user.display_name, name);
}

/// `wp_update_user( user_nicename )`: made unique by a number.
fn nicename(
    draft: &mut Draft,
    loaded: &Loaded,
    rules: &Rules<'_>,
    directory: &mut dyn Directory,
) -> Result<(), Trouble> {
    let Some(text) = loaded.text() else {
        return Ok(());
    };
    let nicename = rules.cleaner.given_nicename(&text);
    if nicename.chars().count() > NICENAME_LENGTH {
        leave_out(draft, "user_nicename", "is longer than 50 characters");
        return Ok(());
    }
    if nicename.is_empty() && rules.release.at_least(6, 9) {
        leave_out(draft, "user_nicename", "has no usable character");
        return Ok(());
    }
    let nicename = unique_nicename(&nicename, &draft.user.login, directory)?;
    draft.set_column("user_nicename", |user| &mut user.nicename, nicename);
    Ok(())
}

/// `nicename`, or the first of `…-2`, `…-3` … that no user with another login has; never longer than 50 characters.
///
/// Asked for a few at a time, by name: all that begin alike may be very many.
pub(super) fn unique_nicename(
    nicename: &str,
    login: &str,
    directory: &mut dyn Directory,
) -> Result<String, Trouble> {
    let numbered = |number: u32| {
        let suffix = match number {
            1 => return nicename.to_owned(),
            _ => format!("-{number}"),
        };
        let cut: String = nicename
            .chars()
            .take(NICENAME_LENGTH - suffix.len())
            .collect();
        cut + &suffix
    };
    let (mut first, mut count) = (1, 4);
    loop {
        let candidates: Vec<String> = (first..first + count).map(numbered).collect();
        let taken = directory.nicenames(&candidates, login)?;
        let is_free = |candidate: &String| {
            !taken
                .iter()
                .any(|taken| taken.eq_ignore_ascii_case(candidate))
        };
        if let Some(free) = candidates.into_iter().find(is_free) {
            return Ok(free);
        }
        (first, count) = (first + count, 64);
    }
}

/// `wp_update_user( user_url )`.
fn url(draft: &mut Draft, loaded: &Loaded, rules: &Rules<'_>) {
    let Some(url) = loaded.text().map(|text| rules.cleaner.stored_url(&text)) else {
        return;
    };
    if url.chars().count() > URL_LENGTH {
        return leave_out(draft, "user_url", "is longer than 100 characters");
    }
    draft.set_column("user_url", |user| &mut user.url, url);
}

/// `wp_update_user( user_email )`: an address that differs only in case stays as it is; one that is not usable or is
/// somebody else's never comes in. A new address makes a pending set-password link void.
fn email(
    draft: &mut Draft,
    loaded: &Loaded,
    rules: &Rules<'_>,
    directory: &mut dyn Directory,
) -> Result<(), Trouble> {
    let Some(text) = loaded.text() else {
        return Ok(());
    };
    if text.eq_ignore_ascii_case(&draft.user.email) || is_protected(&draft.user, rules) {
        return Ok(());
    }
    let Some(stored) = usable_email(&text, rules) else {
        leave_out(
            draft,
            "user_email",
            "is not an e-mail address that WordPress can store",
        );
        return Ok(());
    };
    if stored.eq_ignore_ascii_case(&draft.user.email) {
        return Ok(());
    }
    if directory
        .email_owner(&stored)?
        .is_some_and(|owner| owner != draft.user.id)
    {
        leave_out(draft, "user_email", "belongs to another user");
        return Ok(());
    }
    draft.user.email = stored;
    draft.user.activation_key = Secret::new(String::new());
    draft.note_field("user_email");
    Ok(())
}

/// The address as the column holds it, if WordPress can store it.
pub(super) fn usable_email(text: &str, rules: &Rules<'_>) -> Option<String> {
    let stored = rules.cleaner.stored_email(Email::read(text)?.as_str());
    (!stored.is_empty() && stored.chars().count() <= EMAIL_LENGTH).then_some(stored)
}
