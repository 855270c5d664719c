//! Sentences out of a site's language files: `<locale>.l10n.php` from WordPress 6.5 on, else `<locale>.mo`.
//!
//! The PHP file is never run: it is an array of texts, and the one wanted is found by its key. What is missing,
//! broken or empty falls back to the sentence that WordPress's own code carries. A key is what that code says in
//! American English; for a long one its digest is enough to know it by.

use crate::release::Release;
use crate::text::hex;
use crate::wp_config::Config;
use crate::wp_config::lexer::{self, Kind, Token};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The locale whose sentences stand in WordPress's code.
pub const AMERICAN: &str = "en_US";

/// A sentence of WordPress, by what its code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The text itself, in a context (empty for none).
    Text {
        /// The context.
        context: &'static str,
        /// The text.
        message: &'static str,
    },
    /// A long text without a context, by length in bytes and SHA-256.
    Digest {
        /// Its length.
        length: usize,
        /// Its SHA-256 in hexadecimal digits.
        sha256: &'static str,
    },
}

impl Key {
    /// Whether a language file means this sentence.
    pub fn is(self, key: &[u8]) -> bool {
        match self {
            Key::Text {
                context: "",
                message,
            } => key == message.as_bytes(),
            Key::Text { context, message } => {
                let rest = key.strip_prefix(context.as_bytes());
                rest.and_then(|rest| rest.strip_prefix(b"\x04")) == Some(message.as_bytes())
            }
            Key::Digest { length, sha256 } => {
                key.len() == length && hex(&Sha256::digest(key)) == sha256
            }
        }
    }
}

/// The language files of a site.
pub struct Languages<'a> {
    folder: PathBuf,
    release: Release,
    read: &'a dyn Fn(&Path) -> Option<Vec<u8>>,
}

impl<'a> Languages<'a> {
    /// The files where WordPress looks for them: `WP_LANG_DIR`, else `languages` among the site's content, else within
    /// WordPress itself.
    pub fn of(config: &Config, read: &'a dyn Fn(&Path) -> Option<Vec<u8>>) -> Languages<'a> {
        let site = config.site();
        let content = site.content_dir().join("languages");
        let within = config.wordpress().join("wp-includes/languages");
        let folder = match site.lang_dir() {
            Some(folder) => folder.to_path_buf(),
            None if content.is_dir() || !within.is_dir() => content,
            None => within,
        };
        Languages::new(folder, config.release(), read)
    }

    /// The files in a folder.
    pub fn new(
        folder: PathBuf,
        release: Release,
        read: &'a dyn Fn(&Path) -> Option<Vec<u8>>,
    ) -> Languages<'a> {
        Languages {
            folder,
            release,
            read,
        }
    }

    /// The file of a language, if it is installed; American English needs none and has none.
    pub fn language(&self, locale: &str) -> Option<Language> {
        let safe = !locale.is_empty()
            && locale
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_@-".contains(c));
        if !safe {
            return None;
        }
        let file = |ending: &str| (self.read)(&self.folder.join(format!("{locale}{ending}")));
        let php = if self.release.at_least(6, 5) {
            file(".l10n.php")
        } else {
            None
        };
        php.map(|file| Language::php(&file))
            .or_else(|| file(".mo").map(Language::mo))
    }
}

/// The sentences of one language.
pub struct Language(Entries);

enum Entries {
    /// Key and text of every entry of a `.l10n.php`.
    Php(Vec<(Vec<u8>, Vec<u8>)>),
    /// A `.mo` as it is: it has tables to look into.
    Mo(Vec<u8>),
}

impl Language {
    fn php(file: &[u8]) -> Language {
        Language(Entries::Php(pairs(&lexer::file(file))))
    }

    fn mo(file: Vec<u8>) -> Language {
        Language(Entries::Mo(file))
    }

    /// The translation of a sentence; `None` when the file does not have it. Of two, the last rules, as in PHP.
    pub fn find(&self, key: Key) -> Option<String> {
        let text = match &self.0 {
            Entries::Php(pairs) => {
                let (_, text) = pairs.iter().rev().find(|(own, _)| key.is(own))?;
                text
            }
            Entries::Mo(file) => in_mo(file, key)?,
        };
        // The forms for several things follow the one for a single one.
        let text = text.split(|byte| *byte == 0).next()?;
        (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
    }
}

/// Every `'key' => 'text'` in PHP code.
fn pairs(tokens: &[Token]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    let mut rest = tokens;
    while let [_, next @ ..] = rest {
        rest = next;
        let Some((key, after)) = leading_text(rest) else {
            continue;
        };
        rest = after;
        if let [
            Token {
                kind: Kind::Op("=>"),
                ..
            },
            value @ ..,
        ] = after
            && let Some((text, after)) = leading_text(value)
        {
            pairs.push((key, text));
            rest = after;
        }
    }
    pairs
}

/// The text at the beginning, put together from its pieces (`'one' . "\0" . 'two'`), and what follows.
fn leading_text(tokens: &[Token]) -> Option<(Vec<u8>, &[Token])> {
    let [
        Token {
            kind: Kind::Text(text),
            ..
        },
        rest @ ..,
    ] = tokens
    else {
        return None;
    };
    let (mut text, mut rest) = (text.to_vec(), rest);
    while let [
        Token {
            kind: Kind::Op("."),
            ..
        },
        Token {
            kind: Kind::Text(piece),
            ..
        },
        after @ ..,
    ] = rest
    {
        text.extend_from_slice(piece);
        rest = after;
    }
    Some((text, rest))
}

/// The text of a key in a GNU gettext file of either byte order.
fn in_mo(file: &[u8], key: Key) -> Option<&[u8]> {
    let bytes = |at: usize| file.get(at..at.checked_add(4)?)?.try_into().ok();
    let little = match bytes(0).map(u32::from_le_bytes)? {
        0x9504_12de => true,
        0xde12_0495 => false,
        _ => return None,
    };
    let number = |at: usize| {
        let bytes = bytes(at)?;
        usize::try_from(if little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
        .ok()
    };
    if number(4)? != 0 {
        return None;
    }
    let (count, keys, values) = (number(8)?, number(12)?, number(16)?);
    let text = |table: usize, index: usize| {
        let entry = table.checked_add(index.checked_mul(8)?)?;
        let (length, start) = (number(entry)?, number(entry.checked_add(4)?)?);
        file.get(start..start.checked_add(length)?)
    };
    // A plural form may follow; WordPress knows the entry by the first one.
    let first = |text: &'_ [u8]| {
        text.split(|byte| *byte == 0)
            .next()
            .is_some_and(|text| key.is(text))
    };
    let is_meant = |index: &usize| text(keys, *index).is_some_and(first);
    let index = (0..count.min(file.len() / 8)).rev().find(is_meant)?;
    text(values, index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = "Display name based on first name and last name";
    const MESSAGE: &str = "%1$s %2$s";
    const KEY: Key = Key::Text {
        context: CONTEXT,
        message: MESSAGE,
    };

    /// A gettext file with these pairs.
    fn mo(pairs: &[(&str, &str)], little: bool) -> Vec<u8> {
        let number = |n: usize| {
            let n = u32::try_from(n).unwrap();
            if little {
                n.to_le_bytes()
            } else {
                n.to_be_bytes()
            }
        };
        let tables = 28;
        let mut texts: Vec<u8> = Vec::new();
        let mut entries: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
        let start = tables + pairs.len() * 16;
        for (key, value) in pairs {
            for (entry, text) in entries.iter_mut().zip([key, value]) {
                entry.extend(number(text.len()));
                entry.extend(number(start + texts.len()));
                texts.extend(text.bytes().chain([0]));
            }
        }
        let head = [
            0x9504_12de_usize,
            0,
            pairs.len(),
            tables,
            tables + pairs.len() * 8,
            0,
            0,
        ];
        let mut file: Vec<u8> = head.into_iter().flat_map(number).collect();
        file.extend(entries.concat());
        file.extend(texts);
        file
    }

    fn look(files: &[(&str, Vec<u8>)], release: Release) -> Option<String> {
        let read = |path: &Path| {
            let name = path.file_name()?.to_str()?;
            files
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, file)| file.clone())
        };
        Languages::new("/languages".into(), release, &read)
            .language("hu_HU")?
            .find(KEY)
    }

    #[test]
    fn both_kinds_of_files_are_read_and_php_goes_first() {
        let key = format!("{CONTEXT}\u{4}{MESSAGE}");
        let php = format!(
            "<?php\nreturn ['x'=>'y','messages'=>['{MESSAGE}'=>'no','{key}'=>'%2$s \\'%1$s\\'']];"
        )
        .into_bytes();
        let (old, new) = (Release::new(6, 4, 0), Release::new(6, 5, 0));
        for little in [true, false] {
            let mo = mo(&[("a", "b"), (&key, "%2$s %1$s")], little);
            let both = [("hu_HU.mo", mo.clone()), ("hu_HU.l10n.php", php.clone())];
            assert_eq!(look(&both, new).as_deref(), Some("%2$s '%1$s'"));
            assert_eq!(look(&both, old).as_deref(), Some("%2$s %1$s"));
            assert_eq!(look(&[("hu_HU.mo", mo)], new).as_deref(), Some("%2$s %1$s"));
        }
        assert_eq!(look(&[], new), None);
        assert_eq!(look(&[("hu_HU.mo", mo(&[(&key, "")], true))], new), None);
    }

    #[test]
    fn of_several_forms_the_first_is_meant_and_of_several_entries_the_last() {
        let key = format!("{CONTEXT}\u{4}{MESSAGE}");
        let plural = format!("{key}\0more");
        let (old, new) = (Release::new(6, 4, 0), Release::new(6, 5, 0));
        for pairs in [
            vec![(plural.as_str(), "one\0more")],
            vec![(key.as_str(), "one\0")],
            vec![(key.as_str(), "no"), (key.as_str(), "one")],
            vec![(MESSAGE, "no"), (key.as_str(), "one"), ("more", "no")],
        ] {
            let file = [("hu_HU.mo", mo(&pairs, true))];
            assert_eq!(look(&file, old).as_deref(), Some("one"), "{pairs:?}");
            assert_eq!(look(&file, new).as_deref(), Some("one"), "{pairs:?}");
        }
    }

    #[test]
    fn a_php_file_may_be_written_in_any_of_phps_ways() {
        const KEY: Key = Key::Text {
            context: "a \"context\"",
            message: "It's $5",
        };
        for array in [
            r#"'a "context"' . "\x04" . 'It\'s $5' => 'one' . "\0" . 'more'"#,
            r#""a \"context\"\4It's \$5" => "one\0more""#,
            r#""a \"context\"\u{4}It's \$5" => "no", "a \"context\"\4It's \$5" => 'one'"#,
            "# don't\n// trip /*\n\"a \\\"context\\\"\\4It's \\$5\" /* ' */ =>\n <<<'X'\n  one\n  X",
        ] {
            let file =
                format!("<?php\nreturn array( 'messages' => array( 'x' => 'y', {array} ) );");
            let found = Language::php(file.as_bytes()).find(KEY);
            assert_eq!(found.as_deref(), Some("one"), "{file}");
        }
    }

    #[test]
    fn broken_files_are_no_files() {
        let key = format!("{CONTEXT}\u{4}{MESSAGE}");
        let whole = mo(&[(&key, "%2$s %1$s")], true);
        for cut in 0..whole.len() - 1 {
            look(
                &[("hu_HU.mo", whole[..cut].to_vec())],
                Release::new(6, 8, 0),
            );
        }
        for byte in 0..28 {
            let mut broken = whole.clone();
            broken[byte] ^= 0xff;
            look(&[("hu_HU.mo", broken)], Release::new(6, 8, 0));
        }
        let open = format!("<?php return ['{key}' => 'never ends");
        assert_eq!(
            look(
                &[("hu_HU.l10n.php", open.into_bytes())],
                Release::new(6, 8, 0)
            ),
            None
        );
        let read = |_: &Path| -> Option<Vec<u8>> { panic!("a locale is no path") };
        let languages = Languages::new("/x".into(), Release::new(6, 8, 0), &read);
        assert!(languages.language("../../etc/passwd").is_none());
        assert!(languages.language("").is_none());
    }

    #[test]
    fn a_long_sentence_is_known_by_its_digest() {
        let long = "It's a sentence,\nand a long one: \\ ###NAME###";
        let key = Key::Digest {
            length: long.len(),
            sha256: Box::leak(hex(&Sha256::digest(long)).into_boxed_str()),
        };
        let quoted = long.replace('\\', "\\\\").replace('\'', "\\'");
        let php = format!("<?php return ['messages'=>['a'=>'b','{quoted}'=>'Ein Satz']];");
        assert_eq!(
            Language::php(php.as_bytes()).find(key).as_deref(),
            Some("Ein Satz")
        );
        let mo = mo(&[("a", "b"), (long, "Ein Satz")], true);
        assert_eq!(Language::mo(mo).find(key).as_deref(), Some("Ein Satz"));
    }
}
