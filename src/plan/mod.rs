//! What must change in WordPress, and why: decided from the rows as they are and from what Bento says. Pure.
//!
//! A plan is a draft of the user's rows as they shall be; [`Plan::changes`] is the difference to the rows as they are, so
//! planning again on the result changes nothing. Names that must be unique are asked for through [`Directory`]; time and
//! randomness come in as arguments. The order of work is that of WP Fusion's `import_user()`, `set_user_meta()` and
//! `set_tags()`, because the order of new rows follows from it.

mod create;
mod draft;
mod fields;
mod rights;
mod tags;

pub use draft::{Changes, Meta, User};
pub use fields::may_be_written;

use crate::bento::Subscriber;
use crate::clean::Cleaner;
use crate::log::Entry;
use crate::outcome::Trouble;
use crate::password;
use crate::php::Value;
use crate::release::Release;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::webhook::Action;
use draft::Draft;

/// The usermeta key of Bento's id.
pub const CONTACT_ID: &str = "bento_contact_id";
/// The usermeta key of the tags.
pub const TAGS: &str = "bento_tags";
/// The usermeta key of the person's page in Bento, which WP Fusion links to.
const WEB_ID: &str = "bento_web_id";

/// What must be unique among all users of the installation.
pub trait Directory {
    /// The user who has this e-mail address: equal but for ASCII case.
    fn email_owner(&mut self, email: &str) -> Result<Option<u64>, Trouble>;
    /// Whether a user has this login.
    fn login_taken(&mut self, login: &str) -> Result<bool, Trouble>;
    /// Which of these nicenames users with another login have.
    fn nicenames(&mut self, wanted: &[String], login: &str) -> Result<Vec<String>, Trouble>;
}

/// Which characters the columns of the database can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repertoire {
    /// All of Unicode.
    Unicode,
    /// Up to U+FFFF (`utf8mb3`): no emoji.
    Basic,
    /// Up to U+00FF, and the typographic signs of Windows-1252, which is what MySQL calls `latin1`.
    Latin,
}

/// What Windows-1252 has beyond U+00FF.
const WINDOWS_1252: &str = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ";

impl Repertoire {
    /// Whether all characters of the text can be stored.
    pub fn holds(self, text: &str) -> bool {
        text.chars().all(|c| match self {
            Repertoire::Unicode => true,
            Repertoire::Basic => c <= '\u{ffff}',
            Repertoire::Latin => c <= '\u{ff}' || WINDOWS_1252.contains(c),
        })
    }
}

/// The site of a network that the webhook is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSite {
    /// Its `blog_id`.
    pub id: u64,
    /// Its domain.
    pub domain: String,
    /// Logins of the super admins.
    pub super_admins: Vec<String>,
}

/// The site's side of a plan.
pub struct Rules<'a> {
    /// The owner's settings.
    pub settings: &'a Settings,
    /// WordPress's release.
    pub release: Release,
    /// The text cleaners of this site.
    pub cleaner: &'a Cleaner,
    /// Prefix of the site's own keys: `{prefix}capabilities`.
    pub prefix: &'a str,
    /// The site of a network; `None` on a single site.
    pub network: Option<&'a NetworkSite>,
    /// Roles that a webhook may give although they are powerful (BENTO_WEBHOOKS_ALLOW_ROLES).
    pub allowed_roles: &'a [String],
    /// What the columns can hold.
    pub repertoire: Repertoire,
    /// Makes a password hash in the release's form.
    pub hash: &'a dyn Fn(&str) -> String,
    /// The site's language for `%1$s %2$s`, which puts first and last name in order; `None` when it has none.
    pub name_order: &'a dyn Fn() -> Option<String>,
}

impl Rules<'_> {
    fn capabilities_key(&self) -> String {
        format!("{}capabilities", self.prefix)
    }

    fn level_key(&self) -> String {
        format!("{}user_level", self.prefix)
    }

    /// Whether a webhook may give this role.
    fn may_give(&self, slug: &str) -> bool {
        !self.settings.roles.is_dangerous(slug)
            || self.allowed_roles.iter().any(|allowed| allowed == slug)
    }
}

/// How the user was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// By the contact id in usermeta.
    ContactId,
    /// By the e-mail address: the user is not linked to the person yet.
    Email,
}

/// What is wanted: the webhook, and what Bento said.
pub struct Order<'a> {
    /// The action.
    pub action: Action,
    /// `role` from the URL.
    pub role: Option<&'a str>,
    /// Bento's view of the person.
    pub subscriber: &'a Subscriber,
    /// The names of the person's tags that are known, in Bento's order.
    pub tags: &'a [String],
    /// Whether every tag id had a name. If not, no tag is removed.
    pub tags_complete: bool,
}

/// What the user row of a new user needs beside Bento's data.
pub struct Fresh<'a> {
    /// A generated password of 12 letters and digits.
    pub password: &'a Secret,
    /// What `user_activation_key` shall hold: the hash of the key in a set-password link, or nothing.
    pub activation_key: &'a Secret,
    /// Now in UTC, as `YYYY-MM-DD HH:MM:SS`.
    pub now: &'a str,
    /// A random number from 1 to the given one.
    pub random: &'a mut dyn FnMut(u32) -> u32,
}

/// A value that goes back to Bento once the user exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Return {
    /// The generated password.
    Password,
    /// This text.
    Text(String),
    /// The number of the new user.
    UserId,
}

/// What must change.
pub struct Plan {
    /// The rows to write.
    pub changes: Changes,
    /// The user's rows as they shall be.
    pub after: User,
    /// Rows for WP Fusion's log.
    pub log: Vec<Entry>,
    /// WordPress names of the fields that change.
    pub fields: Vec<String>,
    /// The tags the user has afterwards.
    pub tags: Vec<String>,
    /// Bento fields and what goes back into them.
    pub returns: Vec<(String, Return)>,
}

/// Plans for a user who exists.
pub fn existing(
    user: &User,
    link: Link,
    order: &Order<'_>,
    rules: &Rules<'_>,
    directory: &mut dyn Directory,
) -> Result<Plan, Trouble> {
    let mut draft = Draft::new(user.clone());
    if link == Link::Email {
        if let (Some(page), true) = (&order.subscriber.page, order.action != Action::Add) {
            draft.set_meta(WEB_ID, &Value::from(page.as_str()));
        }
        draft.set_meta(CONTACT_ID, &Value::from(order.subscriber.uuid.as_str()));
    }
    if order.action == Action::Add {
        join_site(&mut draft, order, rules);
    }
    if order.action != Action::UpdateTags {
        let (values, outside) = fields::storable(order.subscriber, rules);
        if link == Link::ContactId || order.action == Action::Update {
            draft.log.push(fields::loaded(&values));
        }
        fields::leave_outside(&mut draft, &outside);
        fields::apply(&mut draft, &values, rules, directory)?;
    }
    let tags = tags::apply(&mut draft, order, rules);
    if let (Some(role), true) = (order.role, order.action != Action::UpdateTags) {
        rights::give_role(&mut draft, role, rules);
    }
    Ok(draft.into_plan(Some(user), tags, Vec::new()))
}

/// Plans a new user, or says in one sentence why there can be none.
pub fn new_user(
    order: &Order<'_>,
    rules: &Rules<'_>,
    fresh: &mut Fresh<'_>,
    directory: &mut dyn Directory,
) -> Result<Result<Plan, String>, Trouble> {
    let (values, outside) = fields::storable(order.subscriber, rules);
    let start = match create::start(&values, order, rules, fresh, directory)? {
        Ok(start) => start,
        Err(reason) => return Ok(Err(reason)),
    };
    let create::Start {
        mut draft,
        generated,
        login_sent,
    } = start;
    fields::leave_outside(&mut draft, &outside);
    fields::apply(&mut draft, &values, rules, directory)?;
    draft.set_meta(CONTACT_ID, &Value::from(order.subscriber.uuid.as_str()));
    let tags = tags::apply(&mut draft, order, rules);
    let returns = if generated {
        create::returns(rules.settings, &login_sent, fresh.now)
    } else {
        Vec::new()
    };
    Ok(Ok(draft.into_plan(None, tags, returns)))
}

/// The password that Bento has for the person, if it is mapped: what the hash will be of.
pub fn mapped_password(order: &Order<'_>, rules: &Rules<'_>) -> Option<String> {
    fields::text_of(&fields::load(order.subscriber, rules), "user_pass")
}

/// Puts an existing user of the network onto this site, as `add_user_to_blog()` does.
fn join_site(draft: &mut Draft, order: &Order<'_>, rules: &Rules<'_>) {
    let Some(site) = rules.network else { return };
    if draft
        .user
        .metas_of(&rules.capabilities_key())
        .next()
        .is_some()
    {
        return;
    }
    if !draft
        .user
        .metas_of("primary_blog")
        .any(|meta| meta.is_truthy())
    {
        draft.set_meta(
            "primary_blog",
            &Value::Int(i64::try_from(site.id).unwrap_or(i64::MAX)),
        );
        draft.set_meta("source_domain", &Value::from(site.domain.as_str()));
    }
    let values = fields::load(order.subscriber, rules);
    let role = create::role(&values, order, rules, &mut draft.log);
    rights::set_role(draft, &role, rules);
}

/// Whether the stored hash is one of this password.
fn has_password(user: &User, given: &str, release: Release) -> bool {
    // WordPress hashes the password without the blanks around it.
    password::verify(
        crate::php::trim(given.as_bytes()),
        user.pass.expose_str(),
        release,
    )
}

#[cfg(test)]
mod tests;
