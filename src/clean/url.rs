//! Web addresses, as WordPress cleans and stores them.
//!
//! Never looks at the length (100 at most) and never asks whether an address exists.

use super::Cleaner;
use super::entities::normalize;
use super::kses::without_bad_protocol;
use super::scan::{span, starts_with_ignore_case, trim_start};
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

/// Scheme, user, host and port as PHP's `parse_url` reads them; only slashes or nothing where it gives up.
fn front(url: &str) -> String {
    if url.starts_with('/') {
        let authority = url
            .strip_prefix("//")
            .and_then(authority)
            .unwrap_or_default();
        return format!("//{authority}");
    }
    match url.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => match authority(rest) {
            Some(authority) => format!("{scheme}://{authority}"),
            None => String::new(),
        },
        _ => lone_scheme(url),
    }
}

/// User, host and port, the port as a number.
fn authority(text: &str) -> Option<String> {
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (text, _) = text.split_at(end);
    let user = text.rfind('@').map_or(0, |at| at + 1);
    let (user, host) = text.split_at(user);
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !is_numeric_address(host, port) => (host, port),
        _ => (host, ""),
    };
    if host.is_empty() || port.len() > 5 {
        return None;
    }
    if port.is_empty() {
        return Some(format!("{user}{host}"));
    }
    let (digits, _) = span(port, |c| c.is_ascii_digit());
    let port: u16 = digits.parse().ok()?;
    Some(format!("{user}{host}:{port}"))
}

/// Whether the colon belongs to an IPv6 address in brackets.
fn is_numeric_address(before: &str, after: &str) -> bool {
    before.starts_with('[') && after.ends_with(']')
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
    use crate::clean::tests::{V6_8_12, cleaner, for_every_case};

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

    #[test]
    fn brackets_stay_in_the_host_only() {
        for (url, clean) in [
            ("http://[::1]:80/[x]", "http://[::1]:80/%5Bx%5D"),
            ("http://[::1]:080/", "http://%5B::1%5D:080/"),
            ("http://[a]@b.c/[x]", "http://[a]@b.c/%5Bx%5D"),
            ("http://[x]:8a/", "http://[x]:8a/"),
            ("http://a:b[", "http://a:b%5B"),
            ("http://@/[x]", "http://@/%5Bx%5D"),
            ("//[::1]/[x]", "//[::1]/%5Bx%5D"),
            ("/a[b]", "/a%5Bb%5D"),
        ] {
            assert_eq!(cleaner(V6_8_12, "").esc_url_raw(url), clean);
        }
    }
}
