//! The messages against those that WordPress made.

use super::super::links::Over;
use super::*;
use crate::text::hex;
use crate::translations::Languages;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// A site whose code has the sentence `S1`, and marks for a notice.
fn with_letterhead<T>(
    release: &str,
    site_name: &str,
    run: impl FnOnce(&Letterhead<'_>, &Words<'_>) -> T,
) -> T {
    let release = Release::parse(release).unwrap();
    let languages = Languages::new("/languages".into(), release, &|_| None);
    let words = Words::for_user("", "en_US", &languages, Path::new("/code"), &|_| None);
    let letterhead = Letterhead {
        release,
        places: Places {
            site_url: "http://example.org",
            home: "http://example.org",
            network: None,
            over: Over::Http,
        },
        site_name,
        charset: "UTF-8",
        admin_email: "admin@example.org",
        now: 1_795_456_204,
        nonce: "N0nce",
    };
    run(&letterhead, &words)
}

#[test]
fn the_welcome_has_the_lines_of_its_release() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/mail.json")).unwrap();
    let mut compared = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let site_name = crate::clean::decode_special(&text(&case["blogname_column"]));
        for (releases, wanted) in case["welcome"].as_object().unwrap() {
            for release in releases.split('-') {
                let body = text(&wanted["body"]);
                // The login as stored; the vector has it as asked for.
                let login = match body.strip_prefix("Username: ") {
                    Some(rest) => rest.split("\r\n").next().unwrap().to_owned(),
                    None => crate::clean::Cleaner::new(Release::new(6, 8, 0), "").login(
                        &text(&case["in"]["user_login"]),
                        crate::clean::Network::Single,
                    ),
                };
                let email = text(&wanted["to"]);
                let to = Recipient {
                    login: &login,
                    email: &email,
                };
                let key = Secret::new(text(&case["in"]["key"]));
                let message = with_letterhead(release, &site_name, |letterhead, words| {
                    let (set_password, _) = words.text(SET_PASSWORD);
                    let (message, _) = letterhead.welcome(&to, &key, words);
                    (
                        message.body.replace(&set_password, "{S1}"),
                        message.to,
                        message.subject,
                    )
                });
                assert_eq!(
                    message,
                    (
                        body.replace("\r\n", "\n"),
                        email.clone(),
                        text(&wanted["subject"])
                    ),
                    "{release}"
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 36);
}

#[test]
fn the_notice_names_the_old_address_the_new_one_and_the_owner() {
    with_letterhead("6.8", "100% Zoë's", |letterhead, words| {
        let to = Recipient {
            login: "sue",
            email: "sue&amp;co@example.org",
        };
        let (message, whose) = letterhead.email_changed(&to, "new&amp;@example.org", words);
        assert_eq!(whose, Whose::Ours);
        assert_eq!(message.to, "sue&co@example.org");
        assert_eq!(message.subject, "[100% Zoë's] Email Changed");
        for part in [
            "sue",
            "new&@example.org",
            "admin@example.org",
            "100% Zoë's",
            "http://example.org",
        ] {
            assert!(message.body.contains(part), "{part}: {}", message.body);
        }
        assert!(!message.body.contains("###"), "{}", message.body);
    });
}

#[test]
fn a_stored_message_is_the_same_mail_later() {
    with_letterhead("6.8", "Zoë's", |letterhead, words| {
        let to = Recipient {
            login: "sue",
            email: "sue@example.org",
        };
        let (message, _) = letterhead.welcome(&to, &Secret::new("K3y"), words);
        let stored = serde_json::to_string(&message).unwrap();
        let again: Message = serde_json::from_str(&stored).unwrap();
        let bytes = |message: &Message| {
            let bytes = super::super::mime::bytes(message, super::super::mime::Channel::EightBit);
            hex(&Sha256::digest(bytes.unwrap()))
        };
        assert_eq!(bytes(&message), bytes(&again));
        assert!(!format!("{message:?}").contains("K3y"));
    });
}

#[test]
fn a_charset_is_a_name_or_utf_8() {
    for (option, name) in [
        ("UTF-8", "UTF-8"),
        ("utf8", "UTF-8"),
        ("", "UTF-8"),
        ("iso-8859-1", "ISO-8859-1"),
        ("windows-1252", "windows-1252"),
        ("UTF-8\r\nBcc: eve@example.org", "UTF-8"),
        ("UTF-8; x=y", "UTF-8"),
    ] {
        assert_eq!(charset(option), name, "{option}");
    }
}
