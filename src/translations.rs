//! One sentence out of a site's language files: `<locale>.l10n.php` from WordPress 6.5 on, else `<locale>.mo`. Pure.
//!
//! The PHP file is never run: it is an array of quoted texts, and the one wanted is found by its key. What is missing,
//! broken or empty falls back to the sentence that WordPress's own code carries.

use crate::release::Release;
use std::path::Path;

/// The translation of `message` in `context` (empty for none) from the files of `folder`; `None` when the files do not have it.
pub fn find(
    folder: &Path,
    locale: &str,
    release: Release,
    context: &str,
    message: &str,
    read: &dyn Fn(&Path) -> Option<Vec<u8>>,
) -> Option<String> {
    let safe = !locale.is_empty()
        && locale
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_@-".contains(c));
    if !safe {
        return None;
    }
    let key = if context.is_empty() {
        message.to_owned()
    } else {
        format!("{context}\u{4}{message}")
    };
    let php = if release.at_least(6, 5) {
        read(&folder.join(format!("{locale}.l10n.php")))
    } else {
        None
    };
    let text = match php {
        Some(file) => in_php(&file, &key),
        None => in_mo(&read(&folder.join(format!("{locale}.mo")))?, key.as_bytes()),
    };
    text.filter(|text| !text.is_empty())
}

/// The value behind `'key' =>` in a PHP array of single-quoted texts.
fn in_php(file: &[u8], key: &str) -> Option<String> {
    let file = String::from_utf8_lossy(file);
    let quoted = format!("'{}'", key.replace('\\', "\\\\").replace('\'', "\\'"));
    let after = file.match_indices(&quoted).find_map(|(at, found)| {
        let rest = file
            .get(at + found.len()..)?
            .trim_start()
            .strip_prefix("=>")?;
        rest.trim_start().strip_prefix('\'')
    })?;
    let mut text = String::new();
    let mut letters = after.chars();
    loop {
        match letters.next()? {
            '\'' => return Some(text),
            '\\' => match letters.next()? {
                c @ ('\'' | '\\') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

/// The value of a key in a GNU gettext file of either byte order.
fn in_mo(file: &[u8], key: &[u8]) -> Option<String> {
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
    let (count, keys, values) = (number(8)?, number(12)?, number(16)?);
    let text = |table: usize, index: usize| {
        let entry = table.checked_add(index.checked_mul(8)?)?;
        let (length, start) = (number(entry)?, number(entry.checked_add(4)?)?);
        file.get(start..start.checked_add(length)?)
    };
    let index = (0..count.min(file.len() / 8)).find(|index| text(keys, *index) == Some(key))?;
    Some(String::from_utf8_lossy(text(values, index)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = "Display name based on first name and last name";
    const MESSAGE: &str = "%1$s %2$s";

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
        find(
            Path::new("/languages"),
            "hu_HU",
            release,
            CONTEXT,
            MESSAGE,
            &read,
        )
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
        assert_eq!(
            find(
                Path::new("/x"),
                "../../etc/passwd",
                Release::new(6, 8, 0),
                "",
                "m",
                &read
            ),
            None
        );
    }
}
