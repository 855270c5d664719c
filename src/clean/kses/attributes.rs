//! The attributes of one element: which stay, and in what form.
//!
//! Never lets an element keep anything if it lacks an attribute it must have.

use super::parse::{Attribute, attributes};
use super::rules::{Demand, Rules};
use super::style;
use crate::clean::entities::{decode, escape};
use crate::clean::scan::is_space;

/// The opening tag with what is left of its attributes (`wp_kses_attr`).
pub(super) fn cleaned(name: &str, text: &str, rules: &Rules<'_>) -> String {
    let slash = match text.trim_end_matches(is_space).ends_with('/') {
        true => " /",
        false => "",
    };
    if !rules.any() {
        return format!("<{name}{slash}>");
    }
    let mut missing = rules.required().to_vec();
    let mut kept = String::new();
    for attribute in attributes(text, rules.release) {
        let lower = attribute.name.to_ascii_lowercase();
        let required = missing.contains(&lower.as_str());
        match checked(attribute, &lower, rules) {
            Some(whole) => {
                kept.push(' ');
                kept.push_str(&whole);
                missing.retain(|name| *name != lower);
            }
            None if required => return stripped(name, slash),
            None => {}
        }
    }
    if !missing.is_empty() {
        return stripped(name, slash);
    }
    kept.retain(|c| !matches!(c, '<' | '>'));
    format!("<{name}{kept}{slash}>")
}

/// Without what it must have, an empty element goes wholly; another keeps its tag, for the closing one will stay.
fn stripped(name: &str, slash: &str) -> String {
    match slash {
        "" => format!("<{name}>"),
        _ => String::new(),
    }
}

fn checked(attribute: Attribute, lower: &str, rules: &Rules<'_>) -> Option<String> {
    let demand = rules.demand(lower)?;
    let value = &attribute.value;
    let fulfilled = match demand {
        Demand::Nothing => true,
        Demand::NoValue => !attribute.has_value,
        Demand::PdfType => value.eq_ignore_ascii_case("application/pdf"),
        Demand::PdfAddress => is_own_pdf(value, rules.media_host),
    };
    if !fulfilled {
        return None;
    }
    match lower {
        "style" => styled(attribute, rules),
        _ => Some(attribute.whole),
    }
}

fn styled(attribute: Attribute, rules: &Rules<'_>) -> Option<String> {
    let Attribute { value, whole, .. } = attribute;
    let modern = rules.release.at_least(7, 0);
    let plain = if modern {
        decode(&value)
    } else {
        value.clone()
    };
    let style = style::cleaned(&plain, rules.release);
    if matches!(style.as_str(), "" | "0") {
        return None;
    }
    if style == plain {
        return Some(whole);
    }
    let style = if modern {
        escape(&style, rules.release)
    } else {
        style
    };
    Some(whole.replace(&value, &style))
}

/// Whether the address is that of a PDF file on the host of the site's uploads.
fn is_own_pdf(address: &str, media_host: &str) -> bool {
    let path = ["http://", "https://"]
        .into_iter()
        .find_map(|scheme| address.strip_prefix(scheme));
    !media_host.is_empty()
        && !address.contains(['?', '#'])
        && address.ends_with(".pdf")
        && path
            .and_then(|path| path.strip_prefix(media_host))
            .is_some_and(|path| path.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use crate::clean::Elements;
    use crate::clean::tests::{V6_8_12, V7_1_4, cleaner};

    #[test]
    fn only_pdf_files_of_the_site_are_embedded() {
        for (markup, kept) in [
            (
                r#"<object data="https://x.test/a.pdf" type="application/pdf">"#,
                true,
            ),
            (
                r#"<object type="Application/PDF" data="http://x.test/a.pdf">"#,
                true,
            ),
            (r#"<object data="https://x.test/a.pdf">"#, false),
            (
                r#"<object data="https://x.test/a.pdf?b" type="application/pdf">"#,
                false,
            ),
            (
                r#"<object data="https://x.tester/a.pdf" type="application/pdf">"#,
                false,
            ),
            (
                r#"<object data="https://x.test/a.pdf" type="text/html">"#,
                false,
            ),
        ] {
            for release in [V6_8_12, V7_1_4] {
                let site = cleaner(release, "").with_media_host("x.test");
                let expected = if kept { markup } else { "<object>" };
                assert_eq!(site.kses(markup, Elements::Post), expected);
                assert_eq!(
                    cleaner(release, "").kses(markup, Elements::Post),
                    "<object>"
                );
            }
        }
    }

    #[test]
    fn an_embedding_that_is_refused_and_empty_goes_wholly() {
        assert_eq!(
            cleaner(V6_8_12, "").kses("a<object data='x'/>b", Elements::Post),
            "ab"
        );
    }

    #[test]
    fn without_a_host_nothing_is_embedded() {
        let markup = r#"<object data="https:///a.pdf" type="application/pdf">"#;
        assert_eq!(
            cleaner(V6_8_12, "").kses(markup, Elements::Post),
            "<object>"
        );
    }

    #[test]
    fn no_directive_replaces_a_checked_address() {
        let embedded = r#"<object data="https://x.test/a.pdf" type="application/pdf">"#;
        let markup = embedded.replace("<object", r#"<object data-wp-bind--data="x""#);
        for release in [V6_8_12, V7_1_4] {
            let site = cleaner(release, "").with_media_host("x.test");
            assert_eq!(site.kses(&markup, Elements::Post), embedded);
        }
    }

    #[test]
    fn download_stays_without_a_value_only() {
        let clean = |markup| cleaner(V6_8_12, "").kses(markup, Elements::Post);
        assert_eq!(clean("<a download href=x>"), r#"<a download href="x">"#);
        assert_eq!(clean("<a download=x>"), "<a>");
    }
}
