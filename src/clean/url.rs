//! Web addresses, as WordPress cleans and stores them.
//!
//! Never looks at the length (100 at most) and never asks whether an address exists.

use super::Cleaner;
use super::entities::normalize;
use super::kses::without_bad_protocol;
use super::scan::{starts_with_ignore_case, trim_start};
use super::tags;

impl Cleaner {
    /// The address without characters that do not belong in one; nothing if its protocol is not allowed
    /// (`esc_url_raw`).
    pub fn esc_url_raw(&self, url: &str) -> String {
        if url.is_empty() {
            return String::new();
        }
        let mut url = trim_start(url).replace(' ', "%20");
        url.retain(is_allowed);
        if url.is_empty() {
            return url;
        }
        if !starts_with_ignore_case(&url, "mailto:") {
            url = drop_line_breaks(&url);
        }
        url = url.replace(";//", "://");
        if !url.contains(':') && !url.starts_with(['/', '#', '?']) && !is_script_name(&url) {
            url = format!("http://{url}");
        }
        if url.contains(['[', ']']) {
            url = encode_brackets(&url);
        }
        if url.starts_with('/') {
            return url;
        }
        let safe = without_bad_protocol(&url, self.release);
        match safe.eq_ignore_ascii_case(&url) {
            true => safe,
            false => String::new(),
        }
    }

    /// What the column holds after a new user or an update: without tags, cleaned, and `&` written as `&amp;`.
    pub fn stored_url(&self, url: &str) -> String {
        normalize(&self.esc_url_raw(&tags::strip_all(url)), self.release)
    }
}

fn is_allowed(c: char) -> bool {
    !c.is_ascii() || c.is_ascii_alphanumeric() || "-~+_.?#=!&;,/:%@$|*'()[]".contains(c)
}

/// Deletes `%0d` and `%0a` until none is left.
fn drop_line_breaks(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for c in url.chars() {
        if matches!(c, 'd' | 'D' | 'a' | 'A') && out.ends_with("%0") {
            out.truncate(out.len() - 2);
        } else {
            out.push(c);
        }
    }
    out
}

/// `name.php` at the start.
fn is_script_name(url: &str) -> bool {
    let end = url.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    end.is_some_and(|end| {
        end > 0 && starts_with_ignore_case(url.get(end..).unwrap_or_default(), ".php")
    })
}

/// Encodes square brackets that stand outside the host.
fn encode_brackets(url: &str) -> String {
    let front = front(url);
    let rest = match front.is_empty() {
        true => url.to_owned(),
        false => url.replace(&front, ""),
    };
    if rest.is_empty() {
        return url.to_owned();
    }
    url.replace(&rest, &rest.replace('[', "%5B").replace(']', "%5D"))
}

/// Scheme, user, host and port as PHP's `parse_url` reads them.
fn front(url: &str) -> String {
    let (scheme, authority) = match url.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (format!("{scheme}://"), rest),
        _ => match url.strip_prefix("//") {
            Some(rest) => ("//".to_owned(), rest),
            None if url.starts_with('/') => return "//".to_owned(),
            None => return lone_scheme(url),
        },
    };
    let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
    let authority = authority.get(..end).unwrap_or_default();
    format!("{scheme}{authority}")
}

fn is_scheme(scheme: &str) -> bool {
    !scheme.is_empty()
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// `mailto:` and the like have a scheme only, which WordPress then looks for with two slashes.
fn lone_scheme(url: &str) -> String {
    match url.split_once(':') {
        Some((scheme, _)) if is_scheme(scheme) => format!("{scheme}://"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::clean::tests::for_every_case;

    #[test]
    fn addresses_match_the_vectors() {
        for_every_case(
            "url",
            &["esc_url_raw", "stored"],
            2,
            |c, text, key| match key {
                "stored" => c.stored_url(text),
                _ => c.esc_url_raw(text),
            },
        );
    }
}
