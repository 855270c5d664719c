//! `bento.*`: whether Bento answers, accepts the keys, and knows what is mapped.

use super::finding::Finding;
use super::patient::Patient;
use crate::bento::{Account, Bento};
use crate::outcome::Trouble;
use crate::text::one_line;
use std::time::{Duration, Instant};

/// Time for one look.
const TIME: Duration = Duration::from_secs(5);
/// Fields that every person in Bento has without being listed.
const BUILT_IN: [&str; 6] = ["email", "uuid", "first_name", "last_name", "name", "tags"];
const LOST: &str = "Webhooks cannot be worked on without Bento; the sender is told to come back.";

/// `bento.reach`
pub(super) fn reach(patient: &Patient) -> Vec<Finding> {
    let Some(bento) = connection(patient) else {
        return vec![Finding::skipped("needs wpf.settings")];
    };
    let look = match bento.and_then(|bento| bento.look()) {
        Ok(look) => look,
        Err(trouble) => {
            return vec![Finding::failure(
                format!("Bento: {}", detail(&trouble)),
                LOST,
                super::program::host(
                    "Please allow outgoing https connections to app.bentonow.com.",
                ),
            )];
        }
    };
    patient.note_clock("Bento", look.date.as_deref(), look.took);
    let finding = match look.status {
        500..=599 => Finding::failure(
            format!("Bento answers {}", look.status),
            LOST,
            "see https://status.bentonow.com and run doctor again later",
        ),
        _ => Finding::info(format!("Bento answers in {} ms", look.took.as_millis())),
    };
    // Nobody else sets it.
    let _ = patient.bento.set(look);
    vec![finding]
}

/// `bento.auth`
pub(super) fn auth(patient: &Patient) -> Vec<Finding> {
    let Some(look) = patient.bento.get() else {
        return vec![Finding::skipped("needs bento.reach")];
    };
    vec![match (look.status, &look.tags) {
        (200, Ok(_)) => Finding::ok("keys accepted"),
        (401, _) => Finding::failure(
            "Bento does not accept the keys or the site uuid",
            "No person can be looked up, so every webhook fails.",
            "WP Admin > Settings > WP Fusion > Setup: enter keys and site uuid from Bento again (Bento: Settings > API Keys)",
        ),
        (403, _) => Finding::failure(
            "Cloudflare turned the call to Bento away",
            "No person can be looked up, so every webhook fails.",
            "write to Bento's support and name the address of this server",
        ),
        (429, _) => Finding::warning(
            "Bento says: too many calls",
            "Webhooks wait until Bento takes calls again.",
            "run doctor again in a minute",
        ),
        (_, Err(trouble)) => Finding::failure(
            format!("Bento: {}", detail(trouble)),
            LOST,
            "run doctor again in a minute",
        ),
        (status, Ok(_)) => Finding::info(format!("Bento answers {status}")),
    }]
}

/// `bento.lists`
pub(super) fn lists(patient: &Patient) -> Vec<Finding> {
    let (Some(settings), Some(Ok(bento)), Some(look)) = (
        patient.settings.get(),
        connection(patient),
        patient.bento.get(),
    ) else {
        return vec![Finding::skipped("needs bento.auth")];
    };
    let (Ok(tags), Ok(fields)) = (&look.tags, bento.fields()) else {
        return vec![Finding::skipped("Bento did not list tags and fields")];
    };
    let mut findings = Vec::new();
    let is_known = |field: &str| BUILT_IN.contains(&field) || fields.iter().any(|own| own == field);
    let unknown: Vec<String> = settings
        .fields
        .iter()
        .filter(|field| !field.pseudo && !is_known(&field.crm_field))
        .map(|field| one_line(&field.crm_field))
        .collect();
    if !unknown.is_empty() {
        findings.push(Finding::warning(
            format!("mapped, but not in Bento: {}", unknown.join(", ")),
            "Nothing ever comes for them: a slip in the name, or nobody has the field yet.",
            "WP Admin > Settings > WP Fusion > Contact Fields: choose a field that Bento has",
        ));
    }
    let ids: Vec<String> = tags.iter().map(|(id, _)| id.to_string()).collect();
    let gone = settings
        .tag_names
        .iter()
        .filter(|(id, _)| !ids.iter().any(|own| own == id))
        .count();
    if gone > 0 {
        findings.push(Finding::info(format!("{gone} tags are no longer in Bento")));
    }
    let new = ids
        .iter()
        .filter(|id| settings.tag_names.get(id).is_none())
        .count();
    if new > 0 {
        findings.push(Finding::info(format!(
            "{new} tags are new in Bento; the first webhook with one learns its name"
        )));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(format!(
            "{} tags and {} fields match",
            tags.len(),
            settings.fields.len()
        )));
    }
    findings
}

fn connection(patient: &Patient) -> Option<Result<Bento<'_>, Trouble>> {
    let (config, settings) = (patient.config.as_ref().ok()?, patient.settings.get()?);
    settings.uses_bento.then(|| {
        Bento::new(
            Account {
                api_url: config.own().api_url().as_str(),
                key: &settings.bento_key,
                site_uuid: &settings.site_uuid,
                home: &settings.home,
                roots: config.own().ca_file(),
            },
            Instant::now() + TIME,
        )
    })
}

/// The trouble's own words.
fn detail(trouble: &Trouble) -> String {
    let text = trouble.to_string();
    one_line(text.strip_prefix("Bento: ").unwrap_or(&text))
}
