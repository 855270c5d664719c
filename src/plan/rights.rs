//! Roles and capabilities of a user, by the rule that no webhook hands out the keys of the site.

use super::Rules;
use super::draft::{Draft, User, notice};
use super::fields::Loaded;
use crate::log::Entry;
use crate::php::{Key, Value};
use crate::roles::key_text;

/// Whether the user holds `manage_options`, or is a super admin: such users keep role, e-mail, password and capabilities.
pub(super) fn is_protected(user: &User, rules: &Rules<'_>) -> bool {
    let super_admin = rules
        .network
        .is_some_and(|site| site.super_admins.contains(&user.login));
    super_admin
        || rules.settings.roles.can(
            &user.capabilities(&rules.capabilities_key()),
            "manage_options",
        )
}

/// The role named by the field: slug or stored name; of a list, the first.
pub(super) fn role_of(values: &[Loaded]) -> Option<String> {
    role_text(values.iter().find(|loaded| loaded.key == "role")?)
}

fn role_text(loaded: &Loaded) -> Option<String> {
    let first = match &loaded.value {
        Value::Array(entries) => &entries.first()?.1,
        value => value,
    };
    first.to_text().filter(|_| first.truthy())
}

/// The role field of a user: nothing happens when the user has the role among others.
pub(super) fn role(draft: &mut Draft, loaded: &Loaded, rules: &Rules<'_>) {
    let Some(role) = role_text(loaded) else {
        return;
    };
    let is_new = draft.user.id == 0;
    if is_new || is_protected(&draft.user, rules) {
        return;
    }
    let roles = &rules.settings.roles;
    let slug = roles.slug_of_name(&role).unwrap_or(&role);
    let message = if !roles.defines(slug) {
        no_such_role(slug)
    } else if draft
        .user
        .capabilities(&rules.capabilities_key())
        .iter()
        .any(|(key, _)| key_text(key) == slug)
    {
        return;
    } else if rules.may_give(slug) {
        set_role(draft, slug, rules);
        format!("The role was changed to {}.", Entry::quote(slug))
    } else {
        refused_role(slug)
    };
    draft.notice(message);
}

/// The site's own capabilities field: a list of roles, or text with commas, that takes the place of all capabilities.
pub(super) fn capabilities(draft: &mut Draft, loaded: &Loaded, rules: &Rules<'_>) {
    if is_protected(&draft.user, rules) {
        return;
    }
    let names: Vec<String> = match &loaded.value {
        Value::Array(entries) => entries
            .iter()
            .filter_map(|(_, item)| item.to_text())
            .collect(),
        value => value
            .to_text()
            .map(|text| text.split(',').map(str::to_owned).collect())
            .unwrap_or_default(),
    };
    let mut row: Vec<(Key, Value)> = Vec::new();
    for name in names.iter().map(|name| name.trim()) {
        if !rules.settings.roles.defines(name) {
            draft.notice(no_such_role(name));
        } else if !rules.may_give(name) {
            draft.notice(refused_role(name));
        } else if !row
            .iter()
            .any(|(key, _)| *key == Key::from_bytes(name.as_bytes()))
        {
            row.push((Key::from_bytes(name.as_bytes()), Value::Bool(true)));
        }
    }
    let key = rules.capabilities_key();
    if row.is_empty() || row == draft.user.capabilities(&key) {
        return;
    }
    let context = Value::Array(vec![(
        Key::from_bytes(b"meta_array_nofilter"),
        Value::Array(row.clone()),
    )]);
    let message = "The capabilities were changed.".to_owned();
    draft.log.push(notice(message).with_context(context));
    draft.set_meta(&key, &Value::Array(row));
    draft.note_field(&key);
}

/// The role from the URL, for a user who exists: must be a slug, and one that may be given.
pub(super) fn give_role(draft: &mut Draft, role: &str, rules: &Rules<'_>) {
    if is_protected(&draft.user, rules) || !rules.settings.roles.defines(role) {
        return;
    }
    if rules.may_give(role) {
        set_role(draft, role, rules);
    } else {
        draft.notice(refused_role(role));
    }
}

/// Writes capabilities and level as `WP_User::set_role()` does; the same role again changes nothing.
pub(super) fn set_role(draft: &mut Draft, slug: &str, rules: &Rules<'_>) {
    let key = rules.capabilities_key();
    let Some(row) = rules
        .settings
        .roles
        .set_role(&draft.user.capabilities(&key), slug)
    else {
        return;
    };
    let level = rules.settings.roles.level(&row);
    draft.set_meta(&key, &Value::Array(row));
    draft.set_meta(&rules.level_key(), &Value::Int(i64::from(level)));
    draft.note_field("role");
}

/// What the log says of a role that no webhook may give.
fn refused_role(role: &str) -> String {
    format!(
        "Role {} was not given: it could take the site over. To allow it, list it in BENTO_WEBHOOKS_ALLOW_ROLES in wp-config.php.",
        Entry::quote(role)
    )
}

/// What the log says of a role that is not there.
fn no_such_role(role: &str) -> String {
    format!(
        "Role {} came from Bento, but this site has no such role.",
        Entry::quote(role)
    )
}
