//! `wp.*`: WordPress, its configuration and addresses.

use super::finding::Finding;
use super::patient::Patient;
use crate::release::Release;
use crate::wp_config::{Config, Own};
use std::env;
use url::{Host, Url};

/// Releases that the program was tested against, first and last.
const TESTED: (Release, Release) = (Release::new(6, 1, 0), Release::new(7, 1, u16::MAX));
/// What all our settings start with.
const PREFIX: &str = "BENTO_WEBHOOKS_";
/// Settings that only the environment can give.
const ENVIRONMENT: [&str; 6] = [
    "BENTO_WEBHOOKS_WORDPRESS",
    "BENTO_WEBHOOKS_DB_NAME",
    "BENTO_WEBHOOKS_DB_USER",
    "BENTO_WEBHOOKS_DB_PASSWORD",
    "BENTO_WEBHOOKS_DB_HOST",
    "BENTO_WEBHOOKS_TABLE_PREFIX",
];
/// Names less alike than this are not suggested.
const ALIKE: f64 = 0.7;

/// `wp.config`
pub(super) fn config(patient: &Patient) -> Vec<Finding> {
    const WHY: &str =
        "Nothing can be done without the site's settings: every webhook is answered with 503.";
    match (&patient.config, patient.located.folder()) {
        (Ok(_), _) => vec![Finding::info("wp-config.php is understood")],
        (Err(_), None) => vec![Finding::failure(
            "no WordPress found here or above",
            "Without its folder there is nothing to examine.",
            "say where it is: bento-webhooks doctor --path ~/public_html",
        )],
        (Err(error), Some(_)) => {
            let (seen, next) = error
                .split_once("; ")
                .unwrap_or((error, "correct it there"));
            vec![Finding::failure(seen, WHY, next)]
        }
    }
}

/// `wp.constants`
pub(super) fn constants(patient: &Patient) -> Vec<Finding> {
    let Ok(config) = &patient.config else {
        return vec![Finding::skipped("needs wp.config")];
    };
    let in_file = config.own().unrecognized().iter();
    let mut findings: Vec<Finding> = in_file
        .map(|name| misspelt(name, "wp-config.php"))
        .collect();
    let in_environment = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown = in_environment.filter(|name| {
        name.starts_with(PREFIX)
            && !Own::names().contains(&name.as_str())
            && !ENVIRONMENT.contains(&name.as_str())
    });
    findings.extend(unknown.map(|name| misspelt(&name, "the environment")));
    if findings.is_empty() {
        findings.push(Finding::info("every setting of ours has a known name"));
    }
    findings
}

/// A setting of a name that nobody reads.
fn misspelt(name: &str, place: &str) -> Finding {
    let shown = crate::text::one_line(name);
    if ENVIRONMENT.contains(&name) {
        return Finding::warning(
            format!("{shown} in {place} is not read"),
            "It counts only as an environment variable of the program.",
            format!("set {shown} where the web server starts the program, or delete it"),
        );
    }
    let known = Own::names().iter();
    let nearest = known
        .map(|known| (strsim::jaro_winkler(suffix(name), suffix(known)), *known))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .filter(|(alike, _)| *alike >= ALIKE);
    Finding::warning(
        format!("{shown} in {place} is no setting of this program"),
        "It has no effect, so what it was meant to change is not changed.",
        match nearest {
            Some((_, nearest)) => format!("write {nearest} instead, or delete it"),
            None => "delete it; README.md lists the settings there are".to_owned(),
        },
    )
}

fn suffix(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// `wp.version`
pub(super) fn version(patient: &Patient) -> Vec<Finding> {
    let Ok(config) = patient.config else {
        return vec![Finding::skipped("needs wp.config")];
    };
    let release = config.release();
    let (first, last) = TESTED;
    match release {
        release if release < first => vec![Finding::warning(
            format!("{release} is older than the first tested release, {first}"),
            "Users may be written differently from how this WordPress expects them.",
            "WP Admin > Dashboard > Updates: update WordPress",
        )],
        release if release > last => vec![Finding::warning(
            format!(
                "{release} is newer than the last tested release, {}.{}",
                last.major, last.minor
            ),
            "What WordPress has changed since then is not known to this program.",
            "look for a newer bento-webhooks",
        )],
        release => vec![Finding::ok(release.to_string())],
    }
}

/// `wp.home`
pub(super) fn home(patient: &Patient) -> Vec<Finding> {
    const WHY: &str = "Webhooks are sent to the home address, so it must lead here.";
    let (Ok(config), Some(home)) = (&patient.config, patient.home()) else {
        return vec![Finding::skipped("needs wpf.settings")];
    };
    let url = Url::parse(home).ok();
    let Some(url) = url.filter(|url| url.has_host() && ["http", "https"].contains(&url.scheme()))
    else {
        return vec![Finding::failure(
            format!(
                "the home address \"{}\" is no web address",
                crate::text::one_line(home)
            ),
            WHY,
            "WP Admin > Settings > General > Site Address: write it with https:// in front",
        )];
    };
    let mut findings = vec![Finding::ok(crate::text::one_line(home))];
    findings.extend(remarks(&url, config));
    findings
}

/// What is worth knowing about an address.
fn remarks(url: &Url, config: &Config) -> Vec<Finding> {
    let mut remarks = Vec::new();
    if url.path().len() > 1 {
        remarks.push(Finding::info(format!(
            "WordPress answers below {}",
            url.path()
        )));
    }
    if let Some(network) = config.network() {
        let kind = if network.subdomains() {
            "host names"
        } else {
            "folders"
        };
        remarks.push(Finding::info(format!(
            "a network of sites, told apart by {kind}; --url examines another one"
        )));
    }
    if url.scheme() == "http" && !is_local(url) {
        remarks.push(Finding::warning(
            "the home address is plain http",
            "The access key and people's ids can be read on the way.",
            "get a certificate from your host's panel, then change WP Admin > Settings > General > Site Address to https://",
        ));
    }
    remarks
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `wp.cache`
pub(super) fn cache(patient: &Patient) -> Vec<Finding> {
    let Ok(config) = patient.config else {
        return vec![Finding::skipped("needs wp.config")];
    };
    if !config
        .site()
        .content_dir()
        .join("object-cache.php")
        .exists()
    {
        return vec![Finding::info("no object cache")];
    }
    vec![Finding::warning(
        "an object cache is active (wp-content/object-cache.php)",
        "Users change in the database behind its back, so WordPress goes on showing the old ones until it is told.",
        "empty the cache when a change does not show (wp cache flush), or switch it off in the plugin that brought it",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_setting_names_the_nearest_known_one() {
        let table = [
            ("BENTO_WEBHOOKS_API_ULR", Some("BENTO_WEBHOOKS_API_URL")),
            (
                "BENTO_WEBHOOKS_ALLOWED_ROLES",
                Some("BENTO_WEBHOOKS_ALLOW_ROLES"),
            ),
            ("BENTO_WEBHOOKS_CAFILE", Some("BENTO_WEBHOOKS_CA_FILE")),
            ("BENTO_WEBHOOKS_XYZZY", None),
        ];
        for (name, nearest) in table {
            let next = misspelt(name, "wp-config.php").next.unwrap();
            match nearest {
                Some(nearest) => assert!(next.contains(nearest), "{name}: {next}"),
                None => assert!(!next.contains("instead"), "{name}: {next}"),
            }
        }
    }
}
