//! One-line text, tag names, field values, and the names and descriptions of users.
//!
//! Never halves backslashes: WordPress takes these texts as slashed, we take them as they are. The outcome is the same
//! but for NUL bytes at the ends and for quotation marks in `<!…>` and `<?…>`.

use super::Cleaner;
use super::entities::{decode_special, escape_angles};
use super::kses::{Elements, less_than};
use super::scan::{drop_all_octets, squeeze, trim};
use super::tags;

impl Cleaner {
    /// One line of text without markup and percent codes (`sanitize_text_field`).
    pub fn sanitize_text_field(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if text.contains('<') {
            text = tags::strip_all(&less_than(&text, self.release)).replace("<\n", "&lt;\n");
        }
        let line = squeeze(&text, |c| matches!(c, '\r' | '\n' | '\t' | ' '), ' ');
        let line = trim(&line);
        let clean = drop_all_octets(line);
        if clean.len() == line.len() {
            return clean;
        }
        trim(&squeeze(&clean, |c| c == ' ', ' ')).to_owned()
    }

    /// A tag name as WP Fusion keeps it: one line of text, special characters decoded.
    pub fn clean_tag(&self, name: &str) -> String {
        decode_special(&self.sanitize_text_field(name))
    }

    /// A field value: as it is, unless it has angle brackets; then the post rules apply and special characters are
    /// decoded, as WP Fusion does.
    pub fn clean_value(&self, value: &str) -> String {
        if !value.contains(['<', '>']) {
            return value.to_owned();
        }
        decode_special(&self.kses(value, Elements::Post))
    }

    /// first_name, last_name, nickname or display_name as `wp_insert_user` stores it; backslashes stay as they are.
    pub fn stored_name(&self, name: &str) -> String {
        self.stored_line(&self.sanitize_text_field(name))
    }

    fn stored_line(&self, line: &str) -> String {
        escape_angles(&self.kses(line, Elements::Data), self.release)
    }

    /// A description as `wp_insert_user` stores it; backslashes and line breaks stay as they are.
    pub fn stored_description(&self, description: &str) -> String {
        self.kses(description, Elements::Description)
    }
}

#[cfg(test)]
mod tests {
    use crate::clean::tests::{V6_8_12, cleaner, for_every_case, vectors};

    #[test]
    fn text_fields_match_the_vectors() {
        for_every_case(
            "sanitize_text_field",
            &["sanitize_text_field"],
            9,
            |c, text, _| c.sanitize_text_field(text),
        );
    }

    #[test]
    fn tag_names_match_the_vectors() {
        for_every_case("clean_tag", &["wpf_tag"], 10, |c, text, _| {
            c.clean_tag(text)
        });
    }

    /// Text without angle brackets is kept as Bento holds it, where the plugin would clean it as one line.
    #[test]
    fn values_match_the_vectors_or_stay_as_they_are() {
        for_every_case("clean_value", &["wpf_clean"], 9, |c, text, _| {
            if text.contains(['<', '>']) {
                return c.clean_value(text);
            }
            assert_eq!(c.clean_value(text), text);
            c.sanitize_text_field(&text.replace("%40", "@"))
        });
    }

    /// The vectors take their input as slashed, so a backslash goes between the two steps.
    #[test]
    fn names_and_descriptions_match_the_vectors() {
        for_every_case(
            "user_text_fields",
            &["stored_name", "stored_description"],
            0,
            |c, text, key| match key {
                "stored_name" => c.stored_line(&unslashed(&c.sanitize_text_field(text))),
                _ => c.stored_description(&unslashed(text)),
            },
        );
    }

    #[test]
    fn backslashes_stay_in_names() {
        let c = cleaner(V6_8_12, "");
        assert_eq!(c.stored_name(r#"a\\b\' \0 <b>"x"</b>"#), r#"a\\b\' \0 "x""#);
        assert_eq!(
            c.stored_description("C:\\new\n<b>\\</b>"),
            "C:\\new\n<b>\\</b>"
        );
    }

    #[test]
    fn lists_of_tags_match_the_vectors() {
        let c = cleaner(V6_8_12, "");
        for list in vectors("clean_typed")["tag_lists"].as_array().unwrap() {
            let given: Vec<&str> = match &list["in"] {
                serde_json::Value::Array(names) => {
                    names.iter().filter_map(|name| name.as_str()).collect()
                }
                serde_json::Value::Object(names) => {
                    names.values().filter_map(|name| name.as_str()).collect()
                }
                name => vec![name.as_str().unwrap()],
            };
            let names: Vec<String> = given.iter().map(|name| c.clean_tag(name)).collect();
            let kept: Vec<&String> = names
                .iter()
                .filter(|name| !matches!(name.as_str(), "" | "0"))
                .collect();
            let expected: Vec<&str> = list["out"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .collect();
            assert_eq!(kept, expected);
        }
    }

    fn unslashed(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => out.extend(chars.next().map(|c| if c == '0' { '\0' } else { c })),
                _ => out.push(c),
            }
        }
        out
    }
}
