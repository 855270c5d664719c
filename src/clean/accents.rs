//! Latin letters without their accents, by the language of the site.
//!
//! Never composes letters first: WordPress does so only where PHP has the intl extension.

use super::Cleaner;
use super::tables::accents::{BASE, DANISH, GERMAN, LATER, SOUTH_SLAVIC};
use super::tables::find;

impl Cleaner {
    /// ASCII letters in place of accented ones (`remove_accents`); other scripts stay.
    pub fn remove_accents(&self, text: &str) -> String {
        if text.is_ascii() {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if self.locale == "ca"
                && let Some(beyond) = rest.strip_prefix("l·l")
            {
                out.push_str("ll");
                rest = beyond;
                continue;
            }
            match self.plain(c) {
                Some(letters) => out.push_str(letters),
                None => out.push(c),
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        out
    }

    fn plain(&self, c: char) -> Option<&'static str> {
        if c.is_ascii() {
            return None;
        }
        self.overlay(c).or_else(|| find(BASE, c)).or_else(|| {
            let (_, letters, (major, minor)) = LATER.iter().find(|entry| entry.0 == c)?;
            self.release.at_least(*major, *minor).then_some(*letters)
        })
    }

    fn overlay(&self, c: char) -> Option<&'static str> {
        match self.locale.as_str() {
            locale if locale.starts_with("de") => match c {
                'ẞ' => self.release.at_least(7, 0).then_some("SS"),
                _ => find(GERMAN, c),
            },
            "da_DK" => find(DANISH, c),
            "sr_RS" | "bs_BA" => find(SOUTH_SLAVIC, c),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::clean::tests::{V6_1_9, V6_8_12, V7_1_4, cleaner, vectors};

    #[test]
    fn every_letter_of_the_table_loses_its_accent() {
        let table = vectors("remove_accents");
        let (old, new) = (cleaner(V6_1_9, ""), cleaner(V6_8_12, ""));
        let late = table["absent_before_6.3"].as_array().unwrap();
        for (letter, plain) in table["base"].as_object().unwrap() {
            assert_eq!(
                new.remove_accents(letter),
                plain.as_str().unwrap(),
                "{letter}"
            );
            let absent = late.iter().any(|l| l == letter);
            assert_eq!(
                old.remove_accents(letter),
                if absent {
                    letter
                } else {
                    plain.as_str().unwrap()
                },
                "{letter}"
            );
        }
        let known = table["base"].as_object().unwrap();
        for c in ('\u{80}'..='\u{ffff}').filter(|c| !known.contains_key(&c.to_string())) {
            assert_eq!(new.remove_accents(&c.to_string()), c.to_string());
        }
    }

    #[test]
    fn each_language_lays_its_letters_over_the_table() {
        let table = vectors("remove_accents");
        for (key, locales) in [
            ("de*", &["de", "de_DE", "de_CH_informal"][..]),
            ("da_DK", &["da_DK"]),
            ("sr_RS, bs_BA", &["sr_RS", "bs_BA"]),
            ("ca", &["ca"]),
        ] {
            for (letter, plain) in table["locales"][key].as_object().unwrap() {
                for locale in locales {
                    let text = format!("{letter} {letter}");
                    let expected = format!("{0} {0}", plain.as_str().unwrap());
                    assert_eq!(
                        cleaner(V6_8_12, locale).remove_accents(&text),
                        expected,
                        "{locale}"
                    );
                }
            }
        }
        assert_eq!(cleaner(V7_1_4, "de_DE").remove_accents("ẞ"), "SS");
        assert_eq!(cleaner(V6_8_12, "de_DE").remove_accents("ẞ"), "ẞ");
        assert_eq!(cleaner(V6_8_12, "ca_ES").remove_accents("l·l"), "l·l");
        assert_eq!(cleaner(V6_8_12, "").remove_accents("e\u{301}"), "e\u{301}");
    }
}
