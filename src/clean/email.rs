//! E-mail addresses, as WordPress checks and stores them.
//!
//! Never looks at the length (the column has room for 100) and never converts international names.

use super::entities::normalize;
use super::scan::{is_trimmed, span, trim};
use crate::release::Release;

/// Whether WordPress takes this for an address (`is_email`).
///
/// A local part that ends in a line feed passes, as it does there.
pub fn is_email(address: &str) -> bool {
    let Some((local, domain)) = split(address) else {
        return false;
    };
    let local = local.strip_suffix('\n').unwrap_or(local);
    !local.is_empty()
        && local.chars().all(is_local)
        && !domain.contains("..")
        && trim_ends(domain, '.') == domain
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && trim_ends(label, '-') == label && label.chars().all(is_domain)
}

/// The address without the characters that do not belong in one, or nothing (`sanitize_email`).
pub fn sanitize_email(address: &str) -> String {
    sanitized(address).unwrap_or_default()
}

fn sanitized(address: &str) -> Option<String> {
    let (local, domain) = split(address)?;
    let local: String = local.chars().filter(|c| is_local(*c)).collect();
    let domain = without_runs_of_dots(domain);
    let domain = trim_ends(&domain, '.');
    if local.is_empty() || !domain.contains('.') {
        return None;
    }
    let labels: Vec<String> = domain
        .split('.')
        .map(|label| {
            trim_ends(label, '-')
                .chars()
                .filter(|c| is_domain(*c))
                .collect()
        })
        .filter(|label: &String| !label.is_empty())
        .collect();
    (labels.len() > 1).then(|| format!("{local}@{}", labels.join(".")))
}

/// What the column holds after a new user or an update: cleaned, and `&` written as `&amp;`.
pub(super) fn stored(address: &str, release: Release) -> String {
    normalize(&sanitize_email(trim(address)), release)
}

/// Local part and domain of a text of six bytes or more.
fn split(address: &str) -> Option<(&str, &str)> {
    let (local, domain) = address.split_once('@')?;
    (address.len() >= 6 && !local.is_empty()).then_some((local, domain))
}

fn is_local(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c)
}

fn is_domain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

fn trim_ends(text: &str, mark: char) -> &str {
    text.trim_matches(|c| c == mark || is_trimmed(c))
}

fn without_runs_of_dots(domain: &str) -> String {
    let mut out = String::with_capacity(domain.len());
    let mut rest = domain;
    while !rest.is_empty() {
        let (label, tail) = span(rest, |c| c != '.');
        let (dots, tail) = span(tail, |c| c == '.');
        out.push_str(label);
        if dots.len() == 1 {
            out.push('.');
        }
        rest = tail;
    }
    out
}
