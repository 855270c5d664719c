//! A new user, as `wp_insert_user()` writes it after WP Fusion's `import_user()`.

use super::draft::{Draft, Meta, User};
use super::fields::{self, DISPLAY_NAME_LENGTH, Loaded, NICENAME_LENGTH, URL_LENGTH, text_of};
use super::rights;
use super::{Directory, Fresh, Order, Return, Rules};
use crate::clean::Network;
use crate::log::{Entry, Level, Source, Who};
use crate::outcome::Trouble;
use crate::php::{self, Value};
use crate::secret::Secret;
use crate::settings::{Settings, UsernameFormat};

/// Longest `user_login`, in characters.
const LOGIN_LENGTH: usize = 60;
/// How often a login that is taken gets another number before we give up.
const LOGIN_TRIES: usize = 20;

/// A new user as the insert leaves it, before fields, link and tags.
pub(super) struct Start {
    pub(super) draft: Draft,
    /// Whether the password was generated and not mapped.
    pub(super) generated: bool,
    /// The login as it goes back to Bento.
    pub(super) login_sent: String,
}

/// Begins a new user, or says why there can be none.
pub(super) fn start(
    values: &[Loaded],
    order: &Order<'_>,
    rules: &Rules<'_>,
    fresh: &mut Fresh<'_>,
    directory: &mut dyn Directory,
) -> Result<Result<Start, String>, Trouble> {
    if rules.settings.crm_field("user_email").is_none() {
        return Ok(Err(
            "the e-mail address is not mapped in WP Fusion's Contact Fields".to_owned(),
        ));
    }
    let email = text_of(values, "user_email");
    let Some(email) = email.and_then(|text| fields::usable_email(&text, rules)) else {
        return Ok(Err(
            "Bento has no usable e-mail address for this person".to_owned()
        ));
    };
    let (login_sent, login) = match login(values, &email, rules, fresh, directory)? {
        Ok(pair) => pair,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut log = Vec::new();
    let role = role(values, order, rules, &mut log);
    let given = text_of(values, "user_pass");
    let password = given.as_deref().unwrap_or(fresh.password.expose_str());
    let nicename = given_nicename(values, rules).unwrap_or_else(|| rules.cleaner.nicename(&login));
    let user = User {
        id: 0,
        pass: Secret::new((rules.hash)(password)),
        nicename: fields::unique_nicename(&nicename, &login, directory)?,
        email,
        url: new_url(values, rules),
        registered: fresh.now.to_owned(),
        activation_key: fresh.activation_key.clone(),
        display_name: display_name(values, &login, rules),
        metas: first_rows(&login, &role, rules),
        login,
    };
    let mut draft = Draft::new(user);
    draft.log = log;
    draft.log.push(imported(values));
    if given.is_none() {
        draft.set_meta(
            &format!("{}default_password_nag", rules.prefix),
            &Value::Bool(true),
        );
    }
    Ok(Ok(Start {
        draft,
        generated: given.is_none(),
        login_sent,
    }))
}

/// The log row about the new user.
fn imported(values: &[Loaded]) -> Entry {
    let message = "Created the user with the fields from Bento.".to_owned();
    Entry::new(Level::Info, Who::User, Source::Trace, message)
        .with_context(fields::context("meta_array_nofilter", values))
}

/// The login as asked for and as stored: the mapped one, or one made in the owner's format. A generated login that is
/// taken gets random digits behind it; a mapped one is refused.
fn login(
    values: &[Loaded],
    email: &str,
    rules: &Rules<'_>,
    fresh: &mut Fresh<'_>,
    directory: &mut dyn Directory,
) -> Result<Result<(String, String), String>, Trouble> {
    let mapped = text_of(values, "user_login");
    let is_mapped = mapped.is_some();
    let mut wanted = mapped
        .unwrap_or_else(|| generated_login(values, email, rules.settings.username_format, fresh));
    for _ in 0..LOGIN_TRIES {
        let login = rules.cleaner.login(&wanted, network(rules));
        if login.is_empty() || login == "0" {
            return Ok(Err("no login can be made for this person".to_owned()));
        }
        if login.chars().count() > LOGIN_LENGTH {
            return Ok(Err("the login is longer than 60 characters".to_owned()));
        }
        if !directory.login_taken(&login)? {
            return Ok(Ok((wanted, login)));
        }
        if is_mapped {
            break;
        }
        wanted.push_str(&(fresh.random)(999).to_string());
    }
    Ok(Err("the login belongs to another user".to_owned()))
}

fn network(rules: &Rules<'_>) -> Network {
    if rules.network.is_some() {
        Network::Multisite
    } else {
        Network::Single
    }
}

fn generated_login(
    values: &[Loaded],
    email: &str,
    format: UsernameFormat,
    fresh: &mut Fresh<'_>,
) -> String {
    let name = |key: &str| text_of(values, key).unwrap_or_default();
    match format {
        UsernameFormat::Email => text_of(values, "user_email").unwrap_or_else(|| email.to_owned()),
        UsernameFormat::FirstLast => name("first_name") + &name("last_name"),
        UsernameFormat::FirstNumber => name("first_name") + &(fresh.random)(99_999).to_string(),
    }
}

/// The role of a new user: the field's, else the URL's (which wins when it is a role's name), else the site's default. A role
/// that does not exist or may not be given falls back to the default.
pub(super) fn role(
    values: &[Loaded],
    order: &Order<'_>,
    rules: &Rules<'_>,
    log: &mut Vec<Entry>,
) -> String {
    let roles = &rules.settings.roles;
    let by_name = order
        .role
        .and_then(|role| roles.slug_of_name(role))
        .map(str::to_owned);
    let from_field = rights::role_of(values).map(|role| {
        roles
            .slug_of_name(&role)
            .map_or(role.clone(), str::to_owned)
    });
    let Some(role) = by_name
        .or(from_field)
        .or_else(|| order.role.map(str::to_owned))
    else {
        return rules.settings.default_role.clone();
    };
    let why = if !roles.defines(&role) {
        "this site has no such role"
    } else if !rules.may_give(&role) {
        "it could take the site over; to allow it, list it in BENTO_WEBHOOKS_ALLOW_ROLES in wp-config.php"
    } else {
        return role;
    };
    let message = format!(
        "Role {} was not given: {why}. The default role is used.",
        Entry::quote(&role)
    );
    log.push(Entry::new(
        Level::Notice,
        Who::Nobody,
        Source::Trace,
        message,
    ));
    rules.settings.default_role.clone()
}

/// The display name: the mapped one, else both names, else the one there is, else the login.
fn display_name(values: &[Loaded], login: &str, rules: &Rules<'_>) -> String {
    let first = name(values, "first_name", rules);
    let last = name(values, "last_name", rules);
    let given = name(values, "display_name", rules);
    let fits = |name: &String| !name.is_empty() && name.chars().count() <= DISPLAY_NAME_LENGTH;
    let both = || match (first.as_str(), last.as_str()) {
        ("", one) | (one, "") => one.to_owned(),
        (first, last) => in_order(&(rules.name_order)().unwrap_or_default(), first, last),
    };
    Some(given)
        .filter(fits)
        .or_else(|| Some(both()).filter(fits))
        .unwrap_or_else(|| login.to_owned())
}

/// Both names in the order of the site's language; a translation that lacks one of them is not used.
fn in_order(template: &str, first: &str, last: &str) -> String {
    match template.contains("%1$s") && template.contains("%2$s") {
        true => template
            .replace("%2$s", "\0")
            .replace("%1$s", first)
            .replace('\0', last),
        false => format!("{first} {last}"),
    }
}

/// The rows that every new user gets, in WordPress's order and by its release.
fn first_rows(login: &str, role: &str, rules: &Rules<'_>) -> Vec<Meta> {
    let roles = &rules.settings.roles;
    let capabilities = roles.set_role(&[], role).unwrap_or_default();
    let level = roles.level(&capabilities);
    let color = if rules.release.at_least(7, 0) {
        "modern"
    } else {
        "fresh"
    };
    let mut rows = vec![
        ("nickname".to_owned(), Value::from(login)),
        ("first_name".to_owned(), Value::from("")),
        ("last_name".to_owned(), Value::from("")),
        ("description".to_owned(), Value::from("")),
        ("rich_editing".to_owned(), Value::from("true")),
        ("syntax_highlighting".to_owned(), Value::from("true")),
    ];
    if rules.release.at_least(7, 1) {
        rows.push(("infinite_scrolling".to_owned(), Value::from("true")));
    }
    rows.extend([
        ("comment_shortcuts".to_owned(), Value::from("false")),
        ("admin_color".to_owned(), Value::from(color)),
        ("use_ssl".to_owned(), Value::from("0")),
        ("show_admin_bar_front".to_owned(), Value::from("true")),
        ("locale".to_owned(), Value::from("")),
        (rules.capabilities_key(), Value::Array(capabilities)),
        (rules.level_key(), Value::Int(i64::from(level))),
    ]);
    rows.into_iter()
        .map(|(key, value)| Meta {
            id: None,
            key,
            value: php::maybe_serialize(&value),
        })
        .collect()
}

/// What goes back to Bento when the password was generated: the password to the field the owner chose, else to the field
/// that the password is mapped to, and the mapped login, number and registration time. With *Push* off only the chosen
/// field is filled.
pub(super) fn returns(settings: &Settings, login: &str, registered: &str) -> Vec<(String, Return)> {
    let mut returns: Vec<(String, Return)> = Vec::new();
    let mut add = |crm_field: &str, value: Return| {
        let taken = crm_field == "email" || returns.iter().any(|(field, _)| field == crm_field);
        if !taken {
            returns.push((crm_field.to_owned(), value));
        }
    };
    if let Some(field) = &settings.return_password {
        add(field, Return::Password);
    }
    if !settings.push {
        return returns;
    }
    if let (None, Some(field)) = (&settings.return_password, settings.crm_field("user_pass")) {
        add(&field.crm_field, Return::Password);
    }
    if let Some(field) = settings.crm_field("user_login") {
        add(&field.crm_field, Return::Text(login.to_owned()));
    }
    if let Some(field) = settings.crm_field("user_id") {
        add(&field.crm_field, Return::UserId);
    }
    if let Some(field) = settings.crm_field("user_registered") {
        let iso = format!("{}+00:00", registered.replace(' ', "T"));
        add(
            &field.crm_field,
            Return::Text(if field.date {
                iso
            } else {
                registered.to_owned()
            }),
        );
    }
    returns
}

/// A nicename for the new user from the mapped field, if that is usable.
fn given_nicename(values: &[Loaded], rules: &Rules<'_>) -> Option<String> {
    let nicename = rules
        .cleaner
        .given_nicename(&text_of(values, "user_nicename")?);
    (!nicename.is_empty() && nicename.chars().count() <= NICENAME_LENGTH).then_some(nicename)
}

/// The text of a name as the insert of a new user filters it, for the names that a display name is made of.
fn name(values: &[Loaded], key: &str, rules: &Rules<'_>) -> String {
    text_of(values, key)
        .map(|text| rules.cleaner.stored_name(&text))
        .unwrap_or_default()
}

/// `user_url` of a new user; what is too long stays out.
fn new_url(values: &[Loaded], rules: &Rules<'_>) -> String {
    let url = text_of(values, "user_url")
        .map(|text| rules.cleaner.stored_url(&text))
        .unwrap_or_default();
    if url.chars().count() > URL_LENGTH {
        String::new()
    } else {
        url
    }
}
