//! The words of a message: the site's own, wherever they are found.
//!
//! First the language files, then WordPress's code, where the sentences stand in American English. They are not
//! repeated here: a short one serves as its own key, a long one is known by its digest. Only where a site has been
//! changed so that neither has it do words of ours take its place.

use crate::php_text;
use crate::translations::{AMERICAN, Key, Language, Languages};
use std::path::Path;

/// A sentence that a message needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sentence {
    key: Key,
    source: Source,
}

/// Where a sentence stands when no language file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// It is its own key.
    Key(&'static str),
    /// In this file of WordPress; where that was changed, these words of ours do.
    File(&'static str, &'static str),
}

const fn short(message: &'static str) -> Sentence {
    Sentence {
        key: Key::Text {
            context: "",
            message,
        },
        source: Source::Key(message),
    }
}

/// The subject of the welcome mail.
pub(super) const LOGIN_DETAILS: Sentence = short("[%s] Login Details");
/// The line with the login.
pub(super) const USERNAME: Sentence = short("Username: %s");
/// The subject of the notice about a new address.
pub(super) const EMAIL_CHANGED: Sentence = short("[%s] Email Changed");
/// The sentence before the set-password link.
pub(super) const SET_PASSWORD: Sentence = Sentence {
    key: Key::Digest {
        length: 50,
        sha256: "e1891ac828562f9d72d497cee576c7b75d8100870f8ded0a6df0078ebda364e4",
    },
    source: Source::File("pluggable.php", "Here you choose your password:"),
};
/// The whole notice about a new address, with its marks.
pub(super) const EMAIL_CHANGED_NOTICE: Sentence = Sentence {
    key: Key::Digest {
        length: 295,
        sha256: "a2cd39c4be4a5d1fe3409a634551101b831f1d7d32eaaa35cd6af99307848966",
    },
    source: Source::File(
        "user.php",
        "Your account ###USERNAME### at ###SITENAME### now has the e-mail address ###NEW_EMAIL###.\n\n\
         If this was not you, write to ###ADMIN_EMAIL###.\n\n###SITEURL###",
    ),
};

/// Where the words come from.
pub struct Words<'a> {
    language: Option<Language>,
    locale: String,
    /// `wp-includes` of the site.
    code: &'a Path,
    read: &'a dyn Fn(&Path) -> Option<Vec<u8>>,
}

impl<'a> Words<'a> {
    /// The words for a user: in their language (empty for none) if it is installed, else in the site's.
    pub fn for_user(
        user_locale: &str,
        site_locale: &str,
        languages: &Languages<'_>,
        code: &'a Path,
        read: &'a dyn Fn(&Path) -> Option<Vec<u8>>,
    ) -> Words<'a> {
        // American English counts as installed, and owners may have changed its words in a file.
        let installed = |locale| match languages.language(locale) {
            None if locale != AMERICAN => None,
            language => Some((language, locale)),
        };
        let (language, locale) = installed(user_locale)
            .or_else(|| installed(site_locale))
            .unwrap_or((None, site_locale));
        Words {
            language,
            locale: locale.to_owned(),
            code,
            read,
        }
    }

    /// The locale whose words these are meant to be.
    pub fn locale(&self) -> &str {
        &self.locale
    }

    /// The text of a sentence, and whose it is.
    pub(super) fn text(&self, sentence: Sentence) -> (String, Whose) {
        let translated = self
            .language
            .as_ref()
            .and_then(|language| language.find(sentence.key));
        if let Some(text) = translated {
            return (text, Whose::Site);
        }
        match sentence.source {
            Source::Key(message) => (message.to_owned(), Whose::Site),
            Source::File(name, ours) => match self.in_code(name, sentence.key) {
                Some(text) => (text, Whose::Site),
                None => (ours.to_owned(), Whose::Ours),
            },
        }
    }

    fn in_code(&self, name: &str, key: Key) -> Option<String> {
        let code = (self.read)(&self.code.join(name))?;
        let text = php_text::translated(&code).find(|text| key.is(text))?;
        String::from_utf8(text).ok()
    }
}

/// Whose words a text is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The site's own.
    Site,
    /// Ours: the site has been changed so that its own cannot be found.
    Ours,
}

/// PHP's `sprintf()` with one text.
pub(super) fn fill(template: &str, text: &str) -> String {
    let mut filled = String::with_capacity(template.len() + text.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        let mark = [("s", text), ("1$s", text), ("%", "%")]
            .into_iter()
            .find_map(|(mark, value)| Some((value, after.strip_prefix(mark)?)));
        let (value, after) = mark.unwrap_or(("%", after));
        filled.push_str(value);
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Release;

    #[test]
    fn a_template_is_filled_once() {
        for (template, filled) in [
            ("[%s] Login Details", "[100% %s] Login Details"),
            ("%1$s: 5%% off", "100% %s: 5% off"),
            ("no mark", "no mark"),
            ("50% %d %", "50% %d %"),
        ] {
            assert_eq!(fill(template, "100% %s"), filled);
        }
    }

    #[test]
    fn the_words_are_in_the_users_language_if_it_is_installed() {
        let files = |path: &Path| {
            let name = path.file_name()?.to_str()?;
            let word = match name {
                "de_DE.l10n.php" => "Benutzer: %s",
                "fr_FR.l10n.php" => "Identifiant: %s",
                _ => return None,
            };
            Some(format!("<?php return ['messages'=>['Username: %s'=>'{word}']];").into_bytes())
        };
        let languages = Languages::new("/languages".into(), Release::new(6, 8, 0), &files);
        for (user, site, locale, text) in [
            ("", "en_US", "en_US", "Username: %s"),
            ("", "de_DE", "de_DE", "Benutzer: %s"),
            ("fr_FR", "de_DE", "fr_FR", "Identifiant: %s"),
            ("en_US", "de_DE", "en_US", "Username: %s"),
            ("hu_HU", "de_DE", "de_DE", "Benutzer: %s"),
            ("../de_DE", "en_US", "en_US", "Username: %s"),
            ("", "hu_HU", "hu_HU", "Username: %s"),
        ] {
            let words = Words::for_user(user, site, &languages, Path::new("/code"), &files);
            assert_eq!(words.locale(), locale, "{user} {site}");
            assert_eq!(words.text(USERNAME), (text.to_owned(), Whose::Site));
        }
    }

    #[test]
    fn a_site_whose_code_was_changed_gets_words_of_ours() {
        let read = |_: &Path| Some(b"<?php __( 'Something else' );".to_vec());
        let languages = Languages::new("/languages".into(), Release::new(6, 8, 0), &|_| None);
        let words = Words::for_user("", "en_US", &languages, Path::new("/code"), &read);
        for sentence in [SET_PASSWORD, EMAIL_CHANGED_NOTICE] {
            let (text, whose) = words.text(sentence);
            assert!(whose == Whose::Ours && !text.is_empty());
        }
    }
}
