//! WordPress's and WP Fusion's text cleaners, for the release and the language of one site.
//!
//! Never touches text more than asked: what Bento holds is kept as it is wherever WordPress does not need it cleaned.
//! Every cleaner reads its text a fixed number of times, so long input costs no more than its length.

mod accents;
mod email;
mod entities;
mod kses;
mod login;
mod scan;
mod slug;
mod tables;
mod tags;
mod text;
mod url;

pub use email::{is_email, sanitize_email};
pub(crate) use entities::decode_special;
pub use kses::Elements;
pub use login::{Characters, Network};

use crate::release::Release;

/// The cleaners of one site; cheap to make.
#[derive(Clone, Debug)]
pub struct Cleaner {
    release: Release,
    locale: String,
    media_host: String,
}

impl Cleaner {
    /// Cleaners for a release and the locale of the site (`de_DE`; empty for American English).
    pub fn new(release: Release, locale: &str) -> Self {
        Self {
            release,
            locale: locale.to_owned(),
            media_host: String::new(),
        }
    }

    /// Also lets `<object>` show PDF files from this host (`example.com` or `example.com:8080`), where the uploads are.
    #[must_use]
    pub fn with_media_host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.media_host);
        self
    }

    /// What the column user_email holds after `wp_insert_user`; empty if no address is left.
    pub fn stored_email(&self, address: &str) -> String {
        email::stored(address, self.release)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::dice::Dice;

    pub(super) const V6_1_9: Release = Release {
        major: 6,
        minor: 1,
        patch: 9,
    };
    pub(super) const V6_8_12: Release = Release {
        major: 6,
        minor: 8,
        patch: 12,
    };
    pub(super) const V7_1_4: Release = Release {
        major: 7,
        minor: 1,
        patch: 4,
    };

    pub(super) fn cleaner(release: Release, locale: &str) -> Cleaner {
        Cleaner::new(release, locale)
    }

    pub(super) fn release(version: &str) -> Release {
        let parts: Vec<u16> = version
            .split('.')
            .map(|part| part.parse().unwrap())
            .collect();
        Release {
            major: parts[0],
            minor: parts[1],
            patch: parts[2],
        }
    }

    pub(super) fn vectors(name: &str) -> Value {
        let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Runs every case of a vector file for three releases. Input that is not UTF-8 cannot reach us; the number of
    /// such cases is given, so that none is skipped unnoticed.
    pub(super) fn for_every_case(
        name: &str,
        keys: &[&str],
        not_utf8: usize,
        run: impl Fn(&Cleaner, &str, &str) -> String,
    ) {
        let mut skipped = 0;
        let mut failed = Vec::new();
        for case in vectors(name)["cases"].as_array().unwrap() {
            let Some(text) = case["in"].as_str() else {
                skipped += 1;
                continue;
            };
            for version in ["6.1.9", "6.8.12", "7.1.4"] {
                for key in keys {
                    let expected = case["differs"][version].get(key).unwrap_or(&case[*key]);
                    let got = run(&cleaner(release(version), ""), text, key);
                    if expected != &Value::from(got.as_str()) {
                        failed.push(format!(
                            "{version} {key} {text:?}\n  expected {expected}\n  got      {got:?}"
                        ));
                    }
                }
            }
        }
        assert!(
            failed.is_empty(),
            "{} failed:\n{}",
            failed.len(),
            failed.join("\n")
        );
        assert_eq!(skipped, not_utf8, "cases that are not UTF-8");
    }

    #[test]
    fn email_addresses_match_the_vectors() {
        for_every_case(
            "email",
            &["sanitize_email", "stored"],
            1,
            |c, text, key| match key {
                "stored" => c.stored_email(text),
                _ => sanitize_email(text),
            },
        );
        for case in vectors("email")["cases"].as_array().unwrap() {
            if let Some(text) = case["in"].as_str() {
                assert_eq!(is_email(text), case["is_email"].is_string(), "{text:?}");
            }
        }
    }

    fn run_all(cleaner: &Cleaner, text: &str) {
        let _ = is_email(text);
        sanitize_email(text);
        cleaner.stored_email(text);
        cleaner.stored_url(text);
        cleaner.clean_tag(text);
        cleaner.clean_value(text);
        cleaner.stored_name(text);
        cleaner.stored_description(text);
        cleaner.sanitize_user(text, Characters::Loose);
        cleaner.given_nicename(text);
        cleaner.nicename(&cleaner.login(text, Network::Multisite));
        cleaner.sanitize_title(text);
    }

    const PIECES: &[&str] = &[
        "<",
        ">",
        "<!--",
        "-->",
        "--->",
        "<b",
        "<a href=",
        "<p style=\"",
        "<object data=x",
        "</",
        "<?xml",
        "<!doctype ",
        "<script",
        "</script>",
        "\"",
        "'",
        "=",
        "/",
        "\\",
        "\\0",
        "&",
        "&amp;",
        "&#39;",
        "&#x3a;",
        "&#0;",
        ";",
        ":",
        "url(",
        "calc(",
        "linear-gradient(",
        ")",
        "color:red",
        "background:",
        "--x:1",
        "javascript:",
        "feed:",
        "http://",
        "%",
        "%41",
        "%0",
        "d",
        "20",
        "[",
        "]",
        "@",
        ".",
        "..",
        "-",
        "---",
        " ",
        "\n",
        "\t",
        "\0",
        "\u{b}",
        "é",
        "ß",
        "İ",
        "\u{2014}",
        "日",
        "😀",
        "l·l",
        "data-a--b",
        "disabled",
        "x",
    ];

    #[test]
    fn no_text_panics() {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        for round in 0..6000 {
            let length = dice.below(24);
            let text: String = (0..length)
                .map(|_| PIECES[dice.below(PIECES.len())])
                .collect();
            let release = [V6_1_9, V6_8_12, V7_1_4][round % 3];
            run_all(&cleaner(release, ["", "de_DE", "ca"][round % 3]), &text);
        }
    }

    /// Would take minutes if a cleaner read the rest of the text anew at every mark.
    #[test]
    fn long_text_ends() {
        for (at, piece) in PIECES.iter().enumerate() {
            let cleaner = cleaner([V6_1_9, V7_1_4][at % 2], "ca");
            let text = piece.repeat((1 << 15) / piece.len());
            run_all(&cleaner, &text);
            run_all(
                &cleaner,
                &format!("<p style=\"background:{}\">\nx", text.replace('>', "")),
            );
        }
        let all = PIECES.concat();
        run_all(&cleaner(V7_1_4, ""), &all.repeat((1 << 20) / all.len()));
    }
}
