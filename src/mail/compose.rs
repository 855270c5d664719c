//! The two messages, from what is known of site and user. Pure: time, chance and files come in.

use super::Message;
use super::links::Places;
use super::wording::{
    EMAIL_CHANGED, EMAIL_CHANGED_NOTICE, LOGIN_DETAILS, SET_PASSWORD, USERNAME, Whose, Words, fill,
};
use crate::release::Release;
use crate::secret::Secret;

/// What all messages of a site have in common.
pub struct Letterhead<'a> {
    /// WordPress's release.
    pub release: Release,
    /// The addresses of the site.
    pub places: Places<'a>,
    /// The name of the site, as its owner wrote it.
    pub site_name: &'a str,
    /// The site's charset.
    pub charset: &'a str,
    /// The address that the owner wants to be written to.
    pub admin_email: &'a str,
    /// Now, in seconds since 1970.
    pub now: i64,
    /// What makes the Message-ID the only one of its kind: letters and digits.
    pub nonce: &'a str,
}

/// The user whom a message is about.
pub struct Recipient<'a> {
    /// `user_login`.
    pub login: &'a str,
    /// The address that the message goes to, as the column has it.
    pub email: &'a str,
}

impl Letterhead<'_> {
    /// `wp_new_user_notification()`: the login and where to set a password.
    pub fn welcome(&self, to: &Recipient<'_>, key: &Secret, words: &Words<'_>) -> (Message, Whose) {
        let (subject, _) = words.text(LOGIN_DETAILS);
        let (username, _) = words.text(USERNAME);
        let (set_password, whose) = words.text(SET_PASSWORD);
        let mut body = String::new();
        if !self.release.at_least(7, 1) {
            body += &format!("{}\n\n", fill(&username, to.login));
        }
        body += &format!(
            "{set_password}\n\n{}\n",
            self.set_password_link(to.login, key)
        );
        if !self.release.at_least(7, 0) {
            body += &format!("\n{}\n", self.places.login());
        }
        let subject = fill(&subject, self.site_name);
        (self.message(to.email, subject, body), whose)
    }

    /// The link that lets the user choose a password.
    pub fn set_password_link(&self, login: &str, key: &Secret) -> String {
        let (page, key, login) = (self.places.set_password(), key.expose_str(), raw_url(login));
        match self.release.at_least(6, 7) {
            true => format!("{page}?login={login}&key={key}&action=rp"),
            false => format!("{page}?action=rp&key={key}&login={login}"),
        }
    }

    /// What `wp_update_user()` tells the old address when a user gets a new one.
    pub fn email_changed(
        &self,
        to: &Recipient<'_>,
        new_email: &str,
        words: &Words<'_>,
    ) -> (Message, Whose) {
        let (subject, _) = words.text(EMAIL_CHANGED);
        let (notice, whose) = words.text(EMAIL_CHANGED_NOTICE);
        // One after another and in this order, as WordPress does it.
        let body = notice
            .replace("###USERNAME###", to.login)
            .replace("###ADMIN_EMAIL###", self.admin_email)
            .replace("###NEW_EMAIL###", &address(new_email))
            .replace("###EMAIL###", &address(to.email))
            .replace("###SITENAME###", self.site_name)
            .replace("###SITEURL###", &self.places.home());
        let subject = fill(&subject, self.site_name);
        (self.message(to.email, subject, body), whose)
    }

    fn message(&self, to: &str, subject: String, body: String) -> Message {
        Message {
            to: address(to),
            subject,
            host: self.places.mail_host(),
            charset: charset(self.charset),
            body,
            date: self.now,
            nonce: self.nonce.to_owned(),
        }
    }
}

/// An address as people write it; the column has `&` as `&amp;`.
pub fn address(stored: &str) -> String {
    stored.replace("&amp;", "&")
}

/// `rawurlencode()`.
fn raw_url(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Option `blog_charset` as WordPress spells it; what is no name of a charset counts as UTF-8.
fn charset(option: &str) -> String {
    let name = option.trim();
    let is_name = !name.is_empty()
        && name.len() <= 40
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    match name.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => "UTF-8".to_owned(),
        "iso-8859-1" | "iso8859-1" => "ISO-8859-1".to_owned(),
        _ if is_name => name.to_owned(),
        _ => "UTF-8".to_owned(),
    }
}

#[cfg(test)]
mod tests;
