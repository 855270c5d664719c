//! Rules of others in a `.htaccess` that refuse or redirect the address of a webhook. Pure.
//!
//! Only what is certain is named: a rule counts when all of its conditions are about the query, the method or the request
//! line, and meet those of a webhook; a condition about anything else, such as the sender's name, is taken not to be met.
//! `[END]` in our lines keeps rewrite rules below them away, but not `Redirect` and `RedirectMatch`, which are another
//! module's and see the address that ours leads to as well.

use crate::setup;
use regex_lite::{Regex, RegexBuilder};

/// The query of a webhook, as the page of WP Fusion gives it.
const QUERY: &str = "wpf_action=update&access_key=0123456789abcdef0123456789abcdef";

/// A line that catches a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    /// As it stands there.
    pub(super) text: String,
}

/// The lines of others that catch a webhook.
pub(super) fn catching(text: &str, block: &str) -> Vec<Line> {
    let target = setup::target(block).unwrap_or("/bento-webhooks/receive");
    let mut found = Vec::new();
    let (mut conditions, mut is_above) = (Conditions::default(), true);
    for (index, line) in text.lines().enumerate() {
        let words = words(line);
        let directive = words.first().map(|word| word.to_ascii_lowercase());
        let catches = match directive.as_deref() {
            Some("rewritecond") => {
                conditions.add(&words);
                false
            }
            Some("rewriterule") => {
                let met = std::mem::take(&mut conditions).are_met();
                is_above && met && rule_catches(&words)
            }
            Some("redirectmatch") => alias_catches(&words, target),
            _ => false,
        };
        if catches {
            found.push(Line {
                number: index + 1,
                text: line.trim().to_owned(),
            });
        }
        is_above &= line.trim() != "# BEGIN Bento Webhooks";
    }
    found
}

/// The conditions before a rule.
#[derive(Default)]
struct Conditions {
    /// Whether each is met, and whether the next is an alternative to it.
    list: Vec<(bool, bool)>,
}

impl Conditions {
    fn add(&mut self, words: &[String]) {
        let [_, subject, pattern, rest @ ..] = words else {
            return;
        };
        let flags = flags(rest);
        let subject = match subject.to_ascii_uppercase().as_str() {
            "%{QUERY_STRING}" => Some(QUERY.to_owned()),
            "%{REQUEST_METHOD}" => Some("POST".to_owned()),
            "%{REQUEST_URI}" => Some("/".to_owned()),
            "%{THE_REQUEST}" => Some(format!("POST /?{QUERY} HTTP/1.1")),
            _ => None,
        };
        let met = subject.is_some_and(|subject| {
            let any_case = flags.iter().any(|flag| flag == "NC" || flag == "nocase");
            let (pattern, negated) = match pattern.strip_prefix('!') {
                Some(pattern) => (pattern, true),
                None => (pattern.as_str(), false),
            };
            matches(pattern, &subject, any_case).is_some_and(|matches| matches != negated)
        });
        let or = flags.iter().any(|flag| flag == "OR" || flag == "ornext");
        self.list.push((met, or));
    }

    fn are_met(&self) -> bool {
        let mut alternative = false;
        for (met, or) in &self.list {
            alternative |= met;
            if !or {
                if !alternative {
                    return false;
                }
                alternative = false;
            }
        }
        // A last one with OR stands for itself.
        self.list.last().is_none_or(|(_, or)| !or || alternative)
    }
}

/// Whether a rule above ours refuses or redirects the home address.
fn rule_catches(words: &[String]) -> bool {
    let [_, pattern, _, rest @ ..] = words else {
        return false;
    };
    let flags = flags(rest);
    let ends = |flag: &String| {
        let flag = flag.to_ascii_uppercase();
        ["F", "FORBIDDEN", "G", "GONE", "R", "REDIRECT"].contains(&flag.as_str())
            || flag.starts_with("R=")
            || flag.starts_with("REDIRECT=")
    };
    let (pattern, negated) = match pattern.strip_prefix('!') {
        Some(pattern) => (pattern, true),
        None => (pattern.as_str(), false),
    };
    flags.iter().any(ends) && matches(pattern, "", false).is_some_and(|matches| matches != negated)
}

/// Whether a `RedirectMatch` catches the home address or the one that ours leads to.
fn alias_catches(words: &[String], target: &str) -> bool {
    let pattern = match words {
        [_, status, pattern, ..] if status.chars().all(|c| c.is_ascii_alphanumeric()) => pattern,
        [_, pattern, ..] => pattern,
        _ => return false,
    };
    ["/", target]
        .iter()
        .any(|path| matches(pattern, path, false) == Some(true))
}

/// Whether the pattern matches; none when it is written in a way that is not known here.
fn matches(pattern: &str, subject: &str, any_case: bool) -> Option<bool> {
    let regex: Regex = RegexBuilder::new(pattern)
        .case_insensitive(any_case)
        .size_limit(1 << 20)
        .build()
        .ok()?;
    Some(regex.is_match(subject))
}

/// The words of a line; quotes hold a word together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut letters = line.trim().chars().peekable();
    while letters.peek().is_some() {
        let mut word = String::new();
        let quote = letters.next_if(|letter| *letter == '"');
        while let Some(letter) = letters.next() {
            match letter {
                '"' if quote.is_some() => break,
                letter if quote.is_none() && letter.is_whitespace() => break,
                '\\' if letters
                    .peek()
                    .is_some_and(|next| *next == '"' || *next == ' ') =>
                {
                    word.extend(letters.next());
                }
                letter => word.push(letter),
            }
        }
        if !word.is_empty() || quote.is_some() {
            words.push(word);
        }
    }
    words
}

fn flags(words: &[String]) -> Vec<String> {
    let text = words.first().map(String::as_str).unwrap_or_default();
    let text = text.trim_start_matches('[').trim_end_matches(']');
    text.split(',').map(|flag| flag.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "# BEGIN Bento Webhooks\nRewriteRule ^$ /bento-webhooks/receive [END]\n# END Bento Webhooks\n";

    fn numbers(text: &str) -> Vec<usize> {
        catching(text, BLOCK)
            .iter()
            .map(|line| line.number)
            .collect()
    }

    #[test]
    fn only_rules_that_meet_a_webhook_are_named() {
        let table = [
            ("RewriteRule ^ - [F]", true),
            ("RewriteRule .* https://www.a.test/ [R=301,L]", true),
            ("RewriteRule !^x - [F,L]", true),
            ("RewriteRule ^wp-admin - [F]", false),
            ("RewriteRule ^ /index.php [L]", false),
            (
                "RewriteCond %{QUERY_STRING} access_key [NC]\nRewriteRule ^ - [F]",
                true,
            ),
            ("RewriteCond %{QUERY_STRING} ^$\nRewriteRule ^ - [F]", false),
            (
                "RewriteCond %{QUERY_STRING} (select|union) [NC,OR]\nRewriteCond %{QUERY_STRING} UPDATE [NC]\nRewriteRule ^ - [F]",
                true,
            ),
            (
                "RewriteCond %{QUERY_STRING} zzz [OR]\nRewriteCond %{QUERY_STRING} zz\nRewriteRule ^ - [F]",
                false,
            ),
            (
                "RewriteCond %{HTTP_USER_AGENT} (python|curl) [NC]\nRewriteRule .* - [F,L]",
                false,
            ),
            (
                "RewriteCond %{HTTPS} off\nRewriteRule .* https://%{HTTP_HOST}/ [R=301]",
                false,
            ),
            (
                "RewriteCond %{REQUEST_METHOD} !^(GET|HEAD)$\nRewriteRule ^ - [F]",
                true,
            ),
            (
                "RewriteCond %{THE_REQUEST} \"^POST /\\?wpf\"\nRewriteRule ^ - [F]",
                true,
            ),
            ("RedirectMatch 403 (?i)/bento-", true),
            ("RedirectMatch 403 \\.(cgi|sh)$", false),
            ("RedirectMatch ^/$ https://www.a.test/", true),
            ("RewriteRule (?<=x)( - [F]", false),
            ("# RewriteRule ^ - [F]", false),
        ];
        for (lines, is_named) in table {
            let last = lines.lines().count();
            let expected = if is_named { vec![last] } else { vec![] };
            assert_eq!(numbers(&format!("{lines}\n{BLOCK}")), expected, "{lines}");
        }
    }

    #[test]
    fn below_our_lines_only_the_other_module_counts() {
        let text = format!("{BLOCK}RewriteRule ^ - [F]\nRedirectMatch 403 ^/bento\n");
        assert_eq!(numbers(&text), [5]);
    }
}
