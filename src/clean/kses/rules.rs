//! What is allowed where: the tables read for one release and one element.
//!
//! Never allows `<object>` anything but PDF files of the site itself.

use super::Filter;
use crate::clean::tables::elements::{
    DATA, FORMULA, FORMULA_GLOBAL, GLOBAL, GLOBAL_LATER, POST, POST_6_9, POST_LATER,
};
use crate::clean::tables::{find, has};
use crate::release::Release;

/// Which set of rules applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Elements {
    /// Those of posts, which WP Fusion applies to field values.
    Post,
    /// Those of names.
    Data,
    /// Those of profile descriptions.
    Description,
}

/// What an attribute must be like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Demand {
    /// Anything.
    Nothing,
    /// No value at all.
    NoValue,
    /// The media type of PDF files; must be there.
    PdfType,
    /// The address of a PDF file of the site; must be there.
    PdfAddress,
}

/// What one element may have.
pub(super) struct Rules<'a> {
    pub(super) release: Release,
    pub(super) media_host: &'a str,
    name: String,
    own: &'static [&'static str],
    elements: Elements,
}

impl Filter<'_> {
    /// The rules for a lower-case name, if the element is allowed.
    pub(super) fn rules(&self, name: &str) -> Option<Rules<'_>> {
        let release = self.release();
        let own = match self.elements {
            Elements::Post => find(POST, name).or_else(|| {
                let late = find(POST_6_9, name).or_else(|| find(FORMULA, name));
                late.filter(|_| release.at_least(6, 9))
            }),
            Elements::Data | Elements::Description => find(DATA, name),
        };
        Some(Rules {
            release,
            media_host: &self.cleaner.media_host,
            name: name.to_owned(),
            own: own?,
            elements: self.elements,
        })
    }
}

impl Rules<'_> {
    /// Whether the element may have any attribute.
    pub(super) fn any(&self) -> bool {
        self.elements == Elements::Post || !self.own.is_empty()
    }

    /// Attributes without which the element loses all others.
    pub(super) fn required(&self) -> &'static [&'static str] {
        match (self.elements, self.name.as_str()) {
            (Elements::Post, "object") => &["data", "type"],
            _ => &[],
        }
    }

    /// What is demanded of an attribute with this lower-case name; nothing is returned if it is not allowed.
    pub(super) fn demand(&self, attribute: &str) -> Option<Demand> {
        if self.elements != Elements::Post {
            let later = self.name == "a"
                && self.elements == Elements::Description
                && self.link_extra(attribute);
            return (self.own.contains(&attribute) || later).then_some(Demand::Nothing);
        }
        match (self.name.as_str(), attribute) {
            ("a", "download") => return Some(Demand::NoValue),
            ("object", "data") => return Some(Demand::PdfAddress),
            ("object", "type") => return Some(Demand::PdfType),
            // A directive could put another address in place of the checked one.
            ("object", _) if attribute.starts_with("data-wp-bind--") => return None,
            _ => {}
        }
        self.listed(attribute).then_some(Demand::Nothing)
    }

    fn link_extra(&self, attribute: &str) -> bool {
        attribute == "rel" || attribute == "target" && self.release.at_least(6, 5)
    }

    fn listed(&self, attribute: &str) -> bool {
        self.own.contains(&attribute)
            || GLOBAL.contains(&attribute)
            || has(GLOBAL_LATER, attribute, self.release)
            || FORMULA_GLOBAL.contains(&attribute) && find(FORMULA, self.name.as_str()).is_some()
            || self.later(attribute)
            || self.data(attribute)
    }

    fn later(&self, attribute: &str) -> bool {
        POST_LATER.iter().any(|(name, attributes, (major, minor))| {
            *name == self.name
                && attributes.contains(&attribute)
                && self.release.at_least(*major, *minor)
        })
    }

    /// `data-…`; up to 6.5 without two hyphens in a row.
    fn data(&self, attribute: &str) -> bool {
        let Some(rest) = attribute.strip_prefix("data-") else {
            return false;
        };
        let word = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if self.release.at_least(6, 6) {
            return !rest.is_empty() && rest.split('-').all(|part| part.is_empty() || word(part));
        }
        rest.split('-').all(word)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clean::tables::{elements, entities, styles};
    use crate::clean::tests::{cleaner, release, vectors};

    fn names(value: &serde_json::Value) -> Vec<&str> {
        match value {
            serde_json::Value::Array(names) => {
                names.iter().map(|name| name.as_str().unwrap()).collect()
            }
            value => value
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect(),
        }
    }

    fn all_tags() -> BTreeSet<&'static str> {
        let tables = [POST, POST_6_9, FORMULA, DATA];
        tables
            .iter()
            .flat_map(|table| table.iter().map(|(name, _)| *name))
            .collect()
    }

    fn all_attributes() -> BTreeSet<&'static str> {
        let tables = [POST, POST_6_9, FORMULA, DATA];
        let mut all: BTreeSet<_> = tables
            .iter()
            .flat_map(|t| t.iter().flat_map(|(_, a)| a.iter().copied()))
            .collect();
        all.extend(
            POST_LATER
                .iter()
                .flat_map(|(_, attributes, _)| attributes.iter().copied()),
        );
        all.extend(
            GLOBAL
                .iter()
                .chain(FORMULA_GLOBAL)
                .chain(&["rel", "target", "onclick"]),
        );
        all.extend(GLOBAL_LATER.iter().map(|(name, _)| *name));
        all
    }

    fn compare(version: &str, elements: Elements, tags: &serde_json::Value, global: &[&str]) {
        let cleaner = cleaner(release(version), "");
        let filter = Filter {
            cleaner: &cleaner,
            elements,
        };
        for tag in all_tags() {
            let Some(rules) = filter.rules(tag) else {
                assert!(tags.get(tag).is_none(), "{version}: {tag} is missing");
                continue;
            };
            let own = names(
                tags.get(tag)
                    .unwrap_or_else(|| panic!("{version}: {tag} is allowed")),
            );
            for attribute in all_attributes() {
                let expected = own.contains(&attribute) || global.contains(&attribute);
                assert_eq!(
                    rules.demand(attribute).is_some() || attribute == "data-*" && expected,
                    expected,
                    "{version}: {tag} {attribute}"
                );
            }
            assert!(
                own.iter().all(|name| all_attributes().contains(name)),
                "{version}: {tag}"
            );
        }
        assert!(
            names(tags).iter().all(|tag| all_tags().contains(tag)),
            "{version}"
        );
    }

    #[test]
    fn tags_and_attributes_match_the_tables_of_each_release() {
        let tables = vectors("kses_tables");
        for (version, table) in tables["versions"].as_object().unwrap() {
            let global = names(&table["global"]);
            assert!(
                global.iter().all(|name| all_attributes().contains(name)),
                "{version}"
            );
            compare(version, Elements::Post, &table["tags"], &global);
        }
        for (version, table) in tables["user_description"].as_object().unwrap() {
            compare(version, Elements::Description, table, &[]);
        }
    }

    #[test]
    fn properties_match_the_tables_of_each_release() {
        for (version, table) in vectors("kses_tables")["versions"].as_object().unwrap() {
            let release = release(version);
            let mut known: BTreeSet<&str> = styles::PROPERTIES
                .iter()
                .chain(styles::PROPERTIES_7_1)
                .copied()
                .collect();
            known.extend(styles::PROPERTIES_LATER.iter().map(|(name, _)| *name));
            known.retain(|name| super::super::style::is_property(name, release));
            known.insert("--*");
            assert_eq!(
                known,
                names(&table["css_properties"]).into_iter().collect(),
                "{version}"
            );
        }
    }

    #[test]
    fn small_tables_match() {
        let tables = vectors("kses_tables");
        let sorted = |key: &str| {
            names(&tables[key])
                .into_iter()
                .map(str::to_owned)
                .collect::<BTreeSet<_>>()
        };
        let set = |table: &[&str]| {
            table
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(set(elements::PROTOCOLS), sorted("protocols"));
        assert_eq!(set(elements::ADDRESSES), sorted("uri_attributes"));
        assert_eq!(
            entities::NAMED
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect::<BTreeSet<_>>(),
            sorted("entity_names")
        );
    }

    #[test]
    fn searched_tables_are_sorted() {
        for table in [POST, POST_6_9, FORMULA, DATA] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
        }
        assert!(entities::NAMED.is_sorted_by(|a, b| a.0 < b.0));
        for table in [
            styles::PROPERTIES,
            styles::PROPERTIES_7_1,
            elements::ADDRESSES,
        ] {
            assert!(table.is_sorted_by(|a, b| a < b));
        }
    }
}
