//! Login names, and the nicenames made of them.
//!
//! Never looks whether a name is taken, and never at the length of a login (60 at most).

use super::Cleaner;
use super::scan::{drop_octets, drop_references, is_space, squeeze, trim};
use super::slug;
use super::tags;

/// Which characters a login may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Characters {
    /// `[A-Za-z0-9 _.@-]`, as for new users.
    Strict,
    /// Any, as when a user is looked up.
    Loose,
}

/// Whether the site is one of a network, where logins are lower-case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    /// One site by itself.
    Single,
    /// A multisite network.
    Multisite,
}

impl Cleaner {
    /// A login without markup, accents and percent codes (`sanitize_user`, without the lower case of networks).
    pub fn sanitize_user(&self, login: &str, characters: Characters) -> String {
        let login = self.remove_accents(&tags::strip_all(login));
        let mut login = drop_references(&drop_octets(&login));
        if characters == Characters::Strict {
            login.retain(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '.' | '-' | '@'));
        }
        squeeze(trim(&login), is_space, ' ')
    }

    /// What `wp_insert_user` stores as login; may be empty.
    pub fn login(&self, login: &str, network: Network) -> String {
        let login = self.sanitize_user(login, Characters::Strict);
        match network {
            Network::Single => login,
            Network::Multisite => login.to_ascii_lowercase(),
        }
    }

    /// The nicename `wp_insert_user` derives from a stored login, before it looks whether it is taken.
    pub fn nicename(&self, login: &str) -> String {
        let start: String = login.chars().take(50).collect();
        self.sanitize_title(&start)
    }

    /// What `wp_insert_user` makes of a nicename that was given.
    pub fn given_nicename(&self, nicename: &str) -> String {
        self.sanitize_title(&self.sanitize_user(nicename, Characters::Strict))
    }

    /// A slug (`sanitize_title`): lower case, hyphens for blanks, percent codes for other scripts.
    pub fn sanitize_title(&self, title: &str) -> String {
        slug::with_dashes(&self.remove_accents(title), self.release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::tests::{V6_1_9, V6_8_12, V7_1_4, cleaner, for_every_case};

    #[test]
    fn logins_match_the_vectors() {
        for_every_case(
            "sanitize_user",
            &["strict", "loose", "login", "nicename"],
            5,
            |c, text, key| {
                let login = c.login(text, Network::Single);
                match key {
                    "strict" => c.sanitize_user(text, Characters::Strict),
                    "loose" => c.sanitize_user(text, Characters::Loose),
                    "login" => login,
                    _ => c.nicename(&login),
                }
            },
        );
    }

    #[test]
    fn slugs_match_the_vectors() {
        for_every_case("sanitize_title", &["sanitize_title"], 4, |c, text, _| {
            c.sanitize_title(text)
        });
    }

    #[test]
    fn networks_have_lower_case_logins() {
        assert_eq!(
            cleaner(V6_8_12, "").login("Jane Döe", Network::Multisite),
            "jane doe"
        );
    }

    #[test]
    fn the_language_of_the_site_shapes_logins_and_nicenames() {
        let german = cleaner(V6_8_12, "de_DE_formal");
        assert_eq!(german.login("Ünal Öz", Network::Single), "Uenal Oez");
        assert_eq!(german.given_nicename("Ünal <b>Öz</b>!"), "uenal-oez");
    }

    #[test]
    fn a_nicename_comes_from_fifty_characters() {
        assert_eq!(
            cleaner(V6_8_12, "").nicename(&"ab".repeat(30)),
            "ab".repeat(25)
        );
    }

    #[test]
    fn single_characters_of_a_slug_match_the_table() {
        let table = crate::clean::tests::vectors("sanitize_title_table");
        let (old, new) = (cleaner(V6_1_9, ""), cleaner(V7_1_4, ""));
        for (c, expected) in table["ascii"].as_object().unwrap() {
            // Before a letter it opens a tag, as the case `a<b` of sanitize_title.json shows.
            let expected = match c.as_str() {
                "<" => "a".to_owned(),
                _ => format!("a{}b", expected.as_str().unwrap()),
            };
            assert_eq!(old.sanitize_title(&format!("a{c}b")), expected, "{c}");
        }
        let special = table["special"].as_object().unwrap();
        for c in '\u{80}'..='\u{ffff}' {
            let text = format!("a{c}b");
            if new.remove_accents(&text).is_ascii() || !new.remove_accents(&text).contains(c) {
                continue;
            }
            let plain: String = c.to_lowercase().flat_map(encoded).collect();
            let listed = special.get(&format!("U+{:04X}", u32::from(c)));
            let expected = listed.map_or(plain.as_str(), |v| v.as_str().unwrap());
            assert_eq!(new.sanitize_title(&text), format!("a{expected}b"), "{c:?}");
        }
    }

    fn encoded(c: char) -> Vec<char> {
        let bytes = c.encode_utf8(&mut [0; 4]).as_bytes().to_vec();
        if c.is_ascii() {
            return vec![c];
        }
        bytes
            .iter()
            .flat_map(|b| format!("%{b:02x}").chars().collect::<Vec<_>>())
            .collect()
    }
}
