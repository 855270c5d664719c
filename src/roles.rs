//! Roles and capabilities, as WordPress's `WP_User` reckons them. Pure.
//!
//! A user's row `{prefix}capabilities` is an array whose keys name roles and single capabilities. Membership in a
//! role is decided by the key, whatever its value; a capability counts when its value is true in PHP.

use crate::php::{self, Key, Value};
use std::sync::OnceLock;

/// Capabilities that make a role too powerful to be handed out by a webhook. Those that start with
/// `manage_network` count as well.
const DANGEROUS: [&str; 11] = [
    "manage_options",
    "edit_users",
    "promote_users",
    "create_users",
    "delete_users",
    "install_plugins",
    "edit_plugins",
    "edit_themes",
    "edit_files",
    "update_core",
    "unfiltered_html",
];

/// One role of the site.
struct Role {
    slug: String,
    name: String,
    capabilities: Vec<(String, bool)>,
}

/// The roles a site defines in its option `{prefix}user_roles`; read when one is first asked for.
#[derive(Default)]
pub struct Roles {
    stored: Vec<u8>,
    read: OnceLock<Vec<Role>>,
}

impl Roles {
    /// From the option's value as stored; what is not a role is left out.
    pub fn new(stored: Vec<u8>) -> Roles {
        Roles {
            stored,
            read: OnceLock::new(),
        }
    }

    fn all(&self) -> &[Role] {
        self.read
            .get_or_init(|| match php::unserialize(&self.stored) {
                Ok(Value::Array(entries)) => entries.iter().map(role).collect(),
                _ => Vec::new(),
            })
    }

    /// Whether `slug` is a role of the site: exact and case-sensitive, as `is_role()`.
    pub fn defines(&self, slug: &str) -> bool {
        self.find(slug).is_some()
    }

    /// The slug of the role with this stored name, as WP Fusion lets an owner write `Customer` for `customer`.
    pub fn slug_of_name(&self, name: &str) -> Option<&str> {
        self.all()
            .iter()
            .find(|role| role.name == name)
            .map(|role| role.slug.as_str())
    }

    /// Whether the role has a capability that lets its holder take the site over.
    pub fn is_dangerous(&self, slug: &str) -> bool {
        let dangerous =
            |name: &str| DANGEROUS.contains(&name) || name.starts_with("manage_network");
        self.find(slug).is_some_and(|role| {
            role.capabilities
                .iter()
                .any(|(name, on)| *on && dangerous(name))
        })
    }

    /// Whether the role itself gives the capability.
    pub fn grants(&self, slug: &str, capability: &str) -> bool {
        self.find(slug).is_some_and(|role| {
            role.capabilities
                .iter()
                .any(|(name, on)| *on && name == capability)
        })
    }

    /// The roles in a user's capabilities row, in its order.
    pub fn held<'a>(&self, row: &'a [(Key, Value)]) -> Vec<&'a Key> {
        row.iter()
            .map(|(key, _)| key)
            .filter(|key| self.defines(&key_text(key)))
            .collect()
    }

    /// Whether the row gives the capability: the roles' capabilities in the row's order, then the row itself; the
    /// last word counts.
    pub fn can(&self, row: &[(Key, Value)], capability: &str) -> bool {
        let mut can = false;
        for key in self.held(row) {
            let own = self.find(&key_text(key)).and_then(|role| {
                role.capabilities
                    .iter()
                    .rfind(|(name, _)| name == capability)
                    .map(|(_, on)| *on)
            });
            can = own.unwrap_or(can);
        }
        let direct = row.iter().rfind(|(key, _)| key_text(key) == capability);
        direct.map_or(can, |(_, value)| value.truthy())
    }

    /// The row after `WP_User::set_role(slug)`, or `None` when the user has exactly that role already. Entries that are no
    /// roles stay where they are; the new role comes last; an empty slug leaves the user without one.
    pub fn set_role(&self, row: &[(Key, Value)], slug: &str) -> Option<Vec<(Key, Value)>> {
        let new = Key::from_bytes(slug.as_bytes());
        if self.held(row) == [&new] {
            return None;
        }
        let kept = row.iter().filter(|(key, _)| !self.defines(&key_text(key)));
        let mut after: Vec<(Key, Value)> = kept.cloned().collect();
        match after.iter_mut().find(|(key, _)| *key == new) {
            Some((_, value)) => *value = Value::Bool(true),
            None if slug.is_empty() => {}
            None => after.push((new, Value::Bool(true))),
        }
        Some(after)
    }

    /// `user_level` for a capabilities row: the highest `level_n` among the capabilities, whatever their values.
    pub fn level(&self, row: &[(Key, Value)]) -> u8 {
        let from_roles = self
            .held(row)
            .into_iter()
            .filter_map(|key| self.find(&key_text(key)));
        let names =
            from_roles.flat_map(|role| role.capabilities.iter().map(|(name, _)| name.clone()));
        let own = row.iter().map(|(key, _)| key_text(key));
        names
            .chain(own)
            .filter_map(|name| level_of(&name))
            .max()
            .unwrap_or(0)
    }

    fn find(&self, slug: &str) -> Option<&Role> {
        self.all().iter().find(|role| role.slug == slug)
    }
}

/// One entry of the option.
fn role((slug, role): &(Key, Value)) -> Role {
    let name = role.get("name").and_then(Value::to_text);
    let capabilities = match role.get("capabilities") {
        Some(Value::Array(entries)) => entries
            .iter()
            .map(|(k, v)| (key_text(k), v.truthy()))
            .collect(),
        _ => Vec::new(),
    };
    Role {
        slug: key_text(slug),
        name: name.unwrap_or_default(),
        capabilities,
    }
}

/// The number in a capability `level_0` to `level_10`, in any case.
fn level_of(capability: &str) -> Option<u8> {
    let name = capability.to_ascii_lowercase();
    name.strip_prefix("level_")?
        .parse()
        .ok()
        .filter(|level| *level <= 10)
}

/// A PHP array key as text.
pub fn key_text(key: &Key) -> String {
    match key {
        Key::Int(number) => number.to_string(),
        Key::Str(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    /// WordPress's own roles, and those a case of the vectors adds.
    fn roles(extra: &Json) -> Roles {
        let stored = include_str!("../tests/vectors/serialize.json");
        let stored: Json = serde_json::from_str(stored).unwrap();
        let stored = stored["options"]["wp_user_roles"]["raw"].as_str().unwrap();
        let mut roles = Roles::new(stored.as_bytes().to_vec());
        roles.all();
        for (slug, capabilities) in extra.as_object().into_iter().flatten() {
            let on = |(name, on): (&String, &Json)| (name.clone(), on.as_bool().unwrap());
            let capabilities = capabilities.as_object().unwrap().iter().map(on).collect();
            roles.read.get_mut().unwrap().push(Role {
                slug: slug.clone(),
                name: slug.clone(),
                capabilities,
            });
        }
        roles
    }

    fn row(stored: &Json) -> Vec<(Key, Value)> {
        match stored
            .as_str()
            .map(|text| php::maybe_unserialize(text.as_bytes()))
        {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        }
    }

    #[test]
    fn roles_and_capabilities_are_reckoned_as_wordpress_does() {
        let vectors: Json =
            serde_json::from_str(include_str!("../tests/vectors/roles.json")).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert!(cases.len() > 20);
        for case in cases {
            let (roles, before, expect) =
                (roles(&case["roles"]), row(&case["before"]), &case["expect"]);
            let held: Vec<String> = roles.held(&before).into_iter().map(key_text).collect();
            assert_eq!(serde_json::json!(held), expect["roles"], "{case}");
            assert_eq!(
                roles.can(&before, "manage_options"),
                expect["manage_options"].as_bool().unwrap(),
                "{case}"
            );
            let Some(slug) = case["set_role"].as_str() else {
                continue;
            };
            let after = roles.set_role(&before, slug).unwrap_or(before);
            let stored = Value::Array(after.clone()).serialize();
            assert_eq!(
                String::from_utf8(stored).unwrap(),
                expect["after"].as_str().unwrap(),
                "{case}"
            );
            assert_eq!(
                roles.level(&after).to_string(),
                expect["user_level"].as_str().unwrap(),
                "{case}"
            );
        }
    }

    #[test]
    fn core_roles_that_can_take_over_are_dangerous() {
        let roles = roles(
            &serde_json::json!({ "net": { "manage_network_users": true }, "off": { "edit_users": false } }),
        );
        let table = [
            ("administrator", true),
            ("editor", true), // unfiltered_html
            ("author", false),
            ("contributor", false),
            ("subscriber", false),
            ("net", true),
            ("off", false),
            ("nobody", false),
        ];
        for (slug, dangerous) in table {
            assert_eq!(roles.is_dangerous(slug), dangerous, "{slug}");
        }
        assert_eq!(roles.slug_of_name("Subscriber"), Some("subscriber"));
        assert_eq!(roles.slug_of_name("subscriber"), None);
    }

    #[test]
    fn the_same_single_role_again_is_no_change() {
        let roles = roles(&Json::Null);
        let row = |text: &str| row(&Json::from(text));
        assert_eq!(
            roles.set_role(&row("a:2:{s:4:\"read\";b:1;s:6:\"author\";b:1;}"), "author"),
            None
        );
        assert!(
            roles
                .set_role(
                    &row("a:2:{s:6:\"editor\";b:1;s:6:\"author\";b:1;}"),
                    "author"
                )
                .is_some()
        );
    }
}
