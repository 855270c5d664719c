//! `wpf.*`: what the owner has set in WP Fusion.

use super::finding::Finding;
use super::patient::Patient;
use crate::plan::may_be_written;
use crate::settings::Settings;
use crate::text::one_line;
use std::collections::{BTreeMap, BTreeSet};

/// Access keys with fewer characters can be guessed in time; WP Fusion's own have eight.
const LEAST_KEY: usize = 16;
/// Different characters that a good key has at least.
const LEAST_VARIETY: usize = 6;
/// Columns and names that are no usermeta key and may be mapped all the same.
const SPECIAL: [&str; 6] = [
    "user_email",
    "user_pass",
    "user_url",
    "user_login",
    "user_nicename",
    "role",
];
const MENU: &str = "WP Admin > Settings > WP Fusion";

/// `wpf.settings`
pub(super) fn settings(patient: &Patient) -> Vec<Finding> {
    let settings = {
        let Some(mut connection) = patient.database() else {
            return vec![Finding::skipped("needs db.connect")];
        };
        let connection = &mut *connection;
        connection.site.settings(&connection.place)
    };
    let settings = match settings {
        Ok(settings) => settings,
        Err(trouble) => {
            let text = trouble.to_string();
            let text = text.strip_prefix("not set up: ").unwrap_or(&text);
            let (seen, next) = text.split_once("; ").unwrap_or((text, "see db.connect"));
            return vec![Finding::failure(
                seen,
                "The access key, the Bento keys and the field map are in there: without them every webhook is answered with 503.",
                next,
            )];
        }
    };
    let mut findings = vec![crm(&settings), key(&settings), staging(&settings)];
    findings.retain(|finding| !finding.seen.is_empty());
    // Nobody else sets it.
    let _ = patient.settings.set(settings);
    findings
}

/// Whether WP Fusion is connected to Bento.
fn crm(settings: &Settings) -> Finding {
    const WHY: &str = "Webhooks are answered with 503: nobody can be looked up in Bento.";
    match settings.crm.as_str() {
        _ if settings.uses_bento => Finding::ok("connected to Bento"),
        "bento" => Finding::failure(
            "WP Fusion has no API key or no site uuid for Bento",
            WHY,
            format!("{MENU} > Setup: enter both and click Connect"),
        ),
        "" => Finding::failure(
            "WP Fusion is connected to no CRM",
            WHY,
            format!("{MENU} > Setup: choose Bento and connect"),
        ),
        crm => Finding::failure(
            format!("WP Fusion is connected to {}, not to Bento", one_line(crm)),
            WHY,
            format!("{MENU} > Setup: choose Bento and connect, or uninstall bento-webhooks"),
        ),
    }
}

/// Whether there is an access key that cannot be guessed.
fn key(settings: &Settings) -> Finding {
    let key = settings.access_key.expose_str().trim();
    let variety = key.chars().collect::<BTreeSet<char>>().len();
    let length = key.chars().count();
    if key.is_empty() {
        return Finding::failure(
            "WP Fusion has no access key",
            "A site without a key refuses every webhook.",
            format!("{MENU} > General > Access Key: enter 32 random characters and save"),
        );
    }
    if length < LEAST_KEY || variety < LEAST_VARIETY {
        let seen = if length < LEAST_KEY {
            format!("the access key has only {length} characters")
        } else {
            format!("the access key has only {variety} different characters")
        };
        return Finding::warning(
            seen,
            "Who guesses it can make users and change their data and roles.",
            format!(
                "{MENU} > General > Access Key: enter 32 random characters, then change the addresses in Bento"
            ),
        );
    }
    Finding::info(format!("access key {}", super::secrecy::masked(key)))
}

/// Staging mode, or a copy of the site.
fn staging(settings: &Settings) -> Finding {
    if !settings.staging {
        return Finding::ok("");
    }
    Finding::warning(
        "staging mode is on, or this is a copy of the site under another address",
        "Webhooks are answered with \"ignored\" and nothing is loaded.",
        format!("{MENU} > Advanced > Staging Mode: switch it off when this is the real site"),
    )
}

/// `wpf.role`
pub(super) fn role(patient: &Patient) -> Vec<Finding> {
    const NEXT: &str = "WP Admin > Settings > General > New User Default Role: choose ";
    let Some(settings) = patient.settings.get() else {
        return vec![Finding::skipped("needs wpf.settings")];
    };
    let customer = settings.roles.defines("customer");
    let next = format!("{NEXT}{}", if customer { "Customer" } else { "Subscriber" });
    let role = settings.default_role.as_str();
    let shown = one_line(role);
    if role.is_empty() {
        return vec![Finding::info("new users get no role")];
    }
    if !settings.roles.defines(role) {
        return vec![Finding::failure(
            format!("default role \"{shown}\" does not exist"),
            "New users get a role that gives them nothing, and may not see what they bought.",
            next,
        )];
    }
    if settings.roles.grants(role, "manage_options") {
        return vec![Finding::failure(
            format!("default role \"{shown}\" could take the site over"),
            "Everybody whom Bento adds gets it.",
            next,
        )];
    }
    if settings.roles.is_dangerous(role) || settings.roles.grants(role, "edit_posts") {
        return vec![Finding::warning(
            format!("default role \"{shown}\" gives new contacts edit rights"),
            "Everybody whom Bento adds may write on the site.",
            next,
        )];
    }
    vec![Finding::info(format!("default role {shown}"))]
}

/// `wpf.fields`
pub(super) fn fields(patient: &Patient) -> Vec<Finding> {
    let Some(settings) = patient.settings.get() else {
        return vec![Finding::skipped("needs wpf.settings")];
    };
    let mut findings = Vec::new();
    if settings.crm_field("user_email").is_none() {
        findings.push(Finding::failure(
            "the e-mail address is not mapped",
            "No user can be made without it, so add does nothing.",
            format!("{MENU} > Contact Fields: map user_email to email"),
        ));
    }
    let writable =
        |key: &str| may_be_written(key) || SPECIAL.contains(&key) || key.ends_with("capabilities");
    let never: Vec<String> = settings
        .fields
        .iter()
        .filter(|field| !field.pseudo && !writable(&field.key))
        .map(|field| one_line(&field.key))
        .collect();
    if !never.is_empty() {
        findings.push(Finding::warning(
            format!("mapped, but never written from Bento: {}", never.join(", ")),
            "They rule over rights, sessions or the link to Bento, so Bento's values are left out.",
            format!("{MENU} > Contact Fields: switch them off"),
        ));
    }
    let mut targets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for field in &settings.fields {
        targets
            .entry(&field.crm_field)
            .or_default()
            .push(&field.key);
    }
    for (crm_field, keys) in targets.iter().filter(|(_, keys)| keys.len() > 1) {
        findings.push(Finding::info(format!(
            "{} are all filled from {}",
            one_line(&keys.join(", ")),
            one_line(crm_field)
        )));
    }
    if findings.iter().all(|finding| finding.why.is_none()) {
        findings.push(Finding::ok(format!("{} fields", settings.fields.len())));
    }
    findings
}

/// `wpf.tags`
pub(super) fn tags(patient: &Patient) -> Vec<Finding> {
    let Some(settings) = patient.settings.get() else {
        return vec![Finding::skipped("needs wpf.settings")];
    };
    let refresh = format!("{MENU} > Setup > Refresh Available Tags and Fields");
    let mut by_name: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, name) in settings.tag_names.iter() {
        *by_name.entry(name).or_default() += 1;
    }
    let double: Vec<String> = by_name
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(name, _)| one_line(name))
        .collect();
    match (by_name.len(), double.is_empty()) {
        (0, _) => vec![Finding::warning(
            "WP Fusion knows no tag",
            "The first webhook of a tagged person must ask Bento for the list, which takes longer.",
            refresh,
        )],
        (_, false) => vec![Finding::warning(
            format!("tags share a name: {}", double.join(", ")),
            "WordPress keeps tags by name and cannot tell them apart.",
            "rename or delete one of them in Bento under Tags",
        )],
        (count, true) => vec![Finding::ok(format!("{count} tags"))],
    }
}

/// `wpf.plugin`
pub(super) fn plugin(patient: &Patient) -> Vec<Finding> {
    const WHY: &str = "Nobody keeps its settings up to date, and tags give no access to anything.";
    let (Ok(config), Some(mut connection)) = (&patient.config, patient.database()) else {
        return vec![Finding::skipped("needs db.connect")];
    };
    let active = match connection.site.active_plugins() {
        Ok(active) => active,
        Err(trouble) => return vec![super::database::failed(&trouble)],
    };
    let names = ["wp-fusion", "wp-fusion-lite"];
    let plugins = config.site().content_dir().join("plugins");
    let Some(name) = names.iter().find(|name| plugins.join(name).is_dir()) else {
        return vec![Finding::failure(
            "the plugin WP Fusion is not there",
            WHY,
            "WP Admin > Plugins > Add New: install and activate WP Fusion",
        )];
    };
    if !active.contains(&format!("{name}/")) {
        return vec![Finding::failure(
            "the plugin WP Fusion is not active",
            WHY,
            "WP Admin > Plugins > WP Fusion: Activate",
        )];
    }
    vec![Finding::info(format!("plugin {name} is active"))]
}
