//! A [`Webhook`] out of a request: parameters as PHP reads them, the action, the person, the options. Pure.
//!
//! PHP's `$_REQUEST` is the query with a form body laid over it, the last of repeated names wins, and WP Fusion takes
//! the person from the JSON body first. Nothing here is believed before the access key was checked.

use crate::cgi::{Body, Request, header_parameter};
use crate::clean;
use crate::outcome::Refusal;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

/// Longest contact id or address that is taken, in bytes: it must fit into the address of the call to Bento, whose own ids
/// have 36.
const LONGEST_ID: usize = 6000;

/// What a webhook asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Answer, and do nothing.
    Test,
    /// Load the person's tags.
    UpdateTags,
    /// Load tags and mapped fields.
    Update,
    /// Create the user, or update the one who is there.
    Add,
}

impl Action {
    /// The name in the URL and in the answer.
    pub fn name(self) -> &'static str {
        match self {
            Action::Test => "test",
            Action::UpdateTags => "update_tags",
            Action::Update => "update",
            Action::Add => "add",
        }
    }

    fn read(text: &str) -> Option<Action> {
        let all = [
            Action::Test,
            Action::UpdateTags,
            Action::Update,
            Action::Add,
        ];
        all.into_iter()
            .find(|action| action.name() == text.trim().to_ascii_lowercase())
    }
}

/// An e-mail address that WordPress's `is_email()` accepts, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// `text` without blanks around it, if it is an address.
    pub fn read(text: &str) -> Option<Email> {
        let text = text.trim();
        clean::is_email(text).then(|| Email(text.to_owned()))
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both are the same address: equal but for ASCII case.
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

/// The person a webhook is about: at least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Bento's uuid of the visitor; other text is taken too, up to 6000 bytes.
    pub id: Option<String>,
    /// The e-mail address.
    pub email: Option<Email>,
}

/// A webhook that can be worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// What is asked for.
    pub action: Action,
    /// For whom; `test` needs nobody.
    pub person: Option<Person>,
    /// `role` from the URL, slug or name, not yet checked.
    pub role: Option<String>,
    /// `send_notification`: a new user shall get the welcome message.
    pub welcome: bool,
    /// Whether the request came over https: links in messages follow it.
    pub secure: bool,
    /// `async`: WP Fusion would hand the work to its background queue.
    pub background: bool,
}

impl Webhook {
    /// A webhook that names nobody and asks for nothing.
    pub fn for_nobody() -> Webhook {
        Webhook {
            action: Action::Test,
            person: None,
            role: None,
            welcome: false,
            secure: false,
            background: false,
        }
    }
}

/// Parameters of a request, as PHP's `$_REQUEST` holds them.
pub struct Parameters {
    /// `None` for a name that was sent as an array (`name[]=…`).
    list: Vec<(String, Option<String>)>,
}

impl Parameters {
    /// Query first, then a form body.
    pub fn of(request: &Request) -> Parameters {
        let mut parameters = Parameters { list: Vec::new() };
        parameters.extend(request.query.as_bytes());
        let Body::Kept(body) = &request.body else {
            return parameters;
        };
        match (request.content_type.as_str(), &request.boundary) {
            ("application/x-www-form-urlencoded", _) => parameters.extend(body),
            ("multipart/form-data", Some(boundary)) => {
                parameters.extend_with_parts(&String::from_utf8_lossy(body), boundary);
            }
            _ => {}
        }
        parameters
    }

    fn extend(&mut self, encoded: &[u8]) {
        for (name, value) in form_urlencoded::parse(encoded) {
            self.add(&name, value.into_owned());
        }
    }

    /// The parts of a multipart form that are no files.
    fn extend_with_parts(&mut self, body: &str, boundary: &str) {
        let (line, divider) = (format!("--{boundary}\r\n"), format!("\r\n--{boundary}"));
        // The first part starts at a line of its own, every other one after the divider of the one before.
        let Some((_, parts)) = body.split_once(&line) else {
            return;
        };
        for part in parts.split(&divider) {
            let Some((head, value)) = part.trim_start_matches("\r\n").split_once("\r\n\r\n") else {
                continue;
            };
            if let Some(name) = field_name(head) {
                self.add(&name, value.to_owned());
            }
        }
    }

    fn add(&mut self, name: &str, value: String) {
        let name = name.trim_start().replace([' ', '.'], "_");
        match name.split_once('[') {
            Some((name, _)) => self.list.push((name.to_owned(), None)),
            None => self.list.push((name, Some(value))),
        }
    }

    /// The last value of the name, if it is text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.list.iter().rfind(|(own, _)| own == name)?.1.as_deref()
    }

    /// Whether the value is there and not empty in PHP's sense (`''` and `'0'` are).
    fn is_set(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| !value.is_empty() && value != "0")
    }
}

/// The name in the head of a part of a multipart form; none for a file, which PHP keeps apart.
fn field_name(head: &str) -> Option<String> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let (_, disposition) =
        headers.find(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))?;
    let (_, parameters) = disposition.split_once(';')?;
    if header_parameter(parameters, "filename").is_some() {
        return None;
    }
    header_parameter(parameters, "name")
}

/// Whether the request carries the site's access key: in the query, in a form body or in a header.
///
/// Keys compare exactly but for blanks around them, by digest, so that the time taken tells nothing about where they
/// differ. A site without a key refuses everyone.
pub fn key_is_right(request: &Request, parameters: &Parameters, key: &str) -> bool {
    let key = key.trim();
    let given = parameters
        .get("access_key")
        .into_iter()
        .chain(request.header_keys.iter().map(String::as_str));
    let right = given.fold(false, |right, given| right | same(given.trim(), key));
    right && !key.is_empty()
}

/// Whether both texts are equal, in a time that does not depend on their content.
fn same(left: &str, right: &str) -> bool {
    let (left, right) = (
        Sha256::digest(left.as_bytes()),
        Sha256::digest(right.as_bytes()),
    );
    left.iter()
        .zip(right.iter())
        .fold(0, |difference, (l, r)| difference | (l ^ r))
        == 0
}

/// Reads the webhook; call it only when the key was right.
pub fn read(request: &Request, parameters: &Parameters) -> Result<Webhook, Refusal> {
    let Body::Kept(body) = &request.body else {
        return Err(Refusal::TooLarge);
    };
    let asked = parameters.get("wpf_action").unwrap_or_default();
    let Some(action) = Action::read(asked) else {
        return Err(Refusal::Action(asked.trim().to_owned()));
    };
    let person = match action {
        Action::Test => None,
        _ => Some(person(body, parameters)?),
    };
    let role = parameters
        .get("role")
        .map(str::trim)
        .filter(|role| !role.is_empty() && *role != "0");
    Ok(Webhook {
        action,
        person,
        role: role.map(str::to_owned),
        // WP Fusion looks for this very word; `False` and `no` are a yes.
        welcome: parameters.is_set("send_notification")
            && parameters.get("send_notification") != Some("false"),
        secure: request.secure,
        background: parameters.is_set("async"),
    })
}

/// What to do when nobody is named.
const NOBODY: &str = "no contact was named; put {\"id\":\"{{visitor.uuid}}\"} into the webhook's \"JSON Payload\" box in Bento";
/// What to do when the template was not filled in.
const UNRENDERED: &str = "Bento did not fill in the template; put {\"id\":\"{{visitor.uuid}}\"} into the webhook's \"JSON Payload\" \
     box in Bento and let the workflow run for a visitor";
/// What to do about broken JSON.
const NOT_JSON: &str = "the body is not a JSON object; put {\"id\":\"{{visitor.uuid}}\"} into the webhook's \"JSON Payload\" box in Bento";
/// What to do about an id that is a list, an object, true or false.
const NOT_TEXT: &str = "\"id\" must be text; put {\"id\":\"{{visitor.uuid}}\"}, with both quotes, into the webhook's \"JSON Payload\" box in Bento";
/// What to do about an id that cannot be one.
const NOT_AN_ID: &str = "\"id\" is not an id of Bento; put {\"id\":\"{{visitor.uuid}}\"} into the webhook's \"JSON Payload\" box in Bento";

/// The person: JSON body first, then query and form body.
fn person(body: &[u8], parameters: &Parameters) -> Result<Person, Refusal> {
    let payload = payload(body);
    let member = |name: &str| payload.as_ref().ok().and_then(|payload| payload.get(name));
    let id = match member("id") {
        None | Some(Value::Null) => parameters.get("contact_id").map(str::to_owned),
        Some(id) => Some(id_text(id).ok_or(Refusal::Person(NOT_TEXT))?),
    };
    let email = member("email")
        .and_then(Value::as_str)
        .or_else(|| parameters.get("email"));
    let mut hint = payload.as_ref().err().copied().unwrap_or(NOBODY);
    let id = id.and_then(|id| usable(&id, &mut hint));
    let email = email
        .and_then(|email| usable(email, &mut hint))
        .and_then(|email| Email::read(&email));
    match (&id, &email) {
        (None, None) => Err(Refusal::Person(hint)),
        _ => Ok(Person { id, email }),
    }
}

/// The JSON object in the body; an empty body is an empty object. Errs with what to do.
fn payload(body: &[u8]) -> Result<Value, &'static str> {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(object @ Value::Object(_)) => Ok(object),
        _ => Err(NOT_JSON),
    }
}

/// An id as text; whole numbers are accepted.
fn id_text(id: &Value) -> Option<String> {
    match id {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        _ => None,
    }
}

/// `text` without blanks around it, if it can name somebody; otherwise `hint` learns why not.
fn usable(text: &str, hint: &mut &'static str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if text.contains("{{") || text.contains("{%") {
        *hint = UNRENDERED;
        return None;
    }
    if text.len() > LONGEST_ID || text.chars().any(char::is_control) {
        *hint = NOT_AN_ID;
        return None;
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn request(query: &str, content_type: &str, body: &[u8]) -> Request {
        let vars = HashMap::from([
            ("REQUEST_METHOD", "POST"),
            ("QUERY_STRING", query),
            ("CONTENT_TYPE", content_type),
        ]);
        Request::read(
            &|name| vars.get(name).map(|value| value.to_string()),
            &mut &body[..],
        )
        .unwrap()
    }

    fn webhook(query: &str, content_type: &str, body: &str) -> Result<Webhook, Refusal> {
        let request = request(query, content_type, body.as_bytes());
        read(&request, &Parameters::of(&request))
    }

    #[test]
    fn the_action_is_read_in_any_case_and_trimmed() {
        let table = [
            ("wpf_action=update_tags", Some(Action::UpdateTags)),
            ("wpf_action=+Update%5FTags%20", Some(Action::UpdateTags)),
            ("wpf%5Faction=ADD&x=1", Some(Action::Add)),
            ("wpf_action=add&wpf_action=update", Some(Action::Update)),
            ("wpf.action=add", Some(Action::Add)),
            ("wpf_action[]=add", None),
            ("wpf_action=add&wpf_action[]=add", None),
            ("wpf_action=updatetags", None),
            ("WPF_ACTION=add", None),
            ("wpf_action=", None),
            ("", None),
        ];
        for (query, action) in table {
            let read = webhook(query, "application/json", r#"{"id":"u"}"#);
            assert_eq!(read.ok().map(|webhook| webhook.action), action, "{query}");
        }
    }

    #[test]
    fn a_welcome_is_asked_for_by_anything_but_false() {
        for (value, welcome) in [
            ("true", true),
            ("1", true),
            ("yes", true),
            ("True", true),
            ("False", true),
            ("no", true),
            ("false", false),
            ("0", false),
            ("", false),
        ] {
            let query = format!("wpf_action=add&send_notification={value}");
            let webhook = webhook(&query, "", r#"{"id":"u"}"#).unwrap();
            assert_eq!(webhook.welcome, welcome, "{value}");
        }
        let webhook = webhook(
            "wpf_action=add",
            "",
            r#"{"id":"u","send_notification":true}"#,
        );
        assert!(!webhook.unwrap().welcome);
    }

    #[test]
    fn the_person_comes_from_json_then_query_then_form() {
        let id = |id: &str| Some((Some(id.to_owned()), None));
        let email = |email: &str| Some((None, Some(email.to_owned())));
        let form = "application/x-www-form-urlencoded";
        let json = "application/json";
        let table = [
            ("", json, r#"{"id":"u-1"}"#, id("u-1")),
            ("", json, "\u{feff} {\"id\":\"u-1\"} ", id("u-1")),
            ("", "text/plain", r#"{"id":"u-1"}"#, id("u-1")),
            ("", json, r#"{"id":"  u-1 "}"#, id("u-1")),
            ("", json, r#"{"id":123}"#, id("123")),
            ("", json, r#"{"id":"a","id":"b"}"#, id("b")),
            ("&contact_id=q", json, r#"{"id":"u-1"}"#, id("u-1")),
            ("&contact_id=q", json, "", id("q")),
            ("&contact_id=q", json, r#"{"id":null}"#, id("q")),
            ("", form, "contact_id=f+1&email=", id("f 1")),
            (
                "",
                json,
                r#"{"email":"Sue@Example.test"}"#,
                email("Sue@Example.test"),
            ),
            (
                "&email=sue%40example.test",
                json,
                "{}",
                email("sue@example.test"),
            ),
            (
                "",
                json,
                r#"{"id":"","email":"sue@example.test"}"#,
                email("sue@example.test"),
            ),
            (
                "",
                json,
                r#"{"id":"{{visitor.uuid}}","email":"sue@example.test"}"#,
                email("sue@example.test"),
            ),
            ("", json, r#"{"id":"u-1","email":"nobody"}"#, id("u-1")),
            ("", json, r#"{"id":1.5}"#, None),
            ("", json, r#"{"id":true}"#, None),
            ("", json, r#"{"id":["u-1"]}"#, None),
            ("", json, r#"{"id":{"a":1}}"#, None),
            ("", json, r#"{"id":"{{visitor.uuid}}"}"#, None),
            ("", json, r#"{"id":"a\nb"}"#, None),
            ("", json, r#"{"email":"no address"}"#, None),
            ("", json, r#"["u-1"]"#, None),
            ("", json, r#""u-1""#, None),
            ("", json, r#"{"id":"u-1""#, None),
            ("", json, "", None),
        ];
        for (query, content_type, body, person) in table {
            let read = webhook(&format!("wpf_action=update{query}"), content_type, body);
            let person = person.map(|(id, email)| Person {
                id,
                email: email.map(Email),
            });
            assert_eq!(
                read.ok().and_then(|webhook| webhook.person),
                person,
                "{query} {body}"
            );
        }
    }

    #[test]
    fn a_refusal_names_what_to_put_into_bento() {
        for body in [
            "",
            "[1]",
            "{}",
            r#"{"id":"{{visitor.uuid}}"}"#,
            r#"{"id":true}"#,
            "{\"id\":\"a\u{7}\"}",
        ] {
            let Err(Refusal::Person(fix)) = webhook("wpf_action=add", "application/json", body)
            else {
                panic!("{body} was taken");
            };
            assert!(fix.contains("\"JSON Payload\""), "{fix}");
        }
    }

    #[test]
    fn only_the_exact_key_opens() {
        let opens = |query: &str, key: &str| {
            let request = request(query, "", b"");
            key_is_right(&request, &Parameters::of(&request), key)
        };
        let table = [
            ("access_key=a1b2", "a1b2", true),
            ("access_key=+a1b2+", "a1b2 ", true),
            ("access_key=A1B2", "a1b2", false),
            ("access_key=12345", "00012345", false),
            ("access_key=a1b2&access_key=", "a1b2", false),
            ("access_key=&x=1", "", false),
            ("", "", false),
            ("access_key[]=a1b2", "a1b2", false),
        ];
        for (query, key, right) in table {
            assert_eq!(opens(query, key), right, "{query} against {key}");
        }
    }

    #[test]
    fn options_are_read_as_php_reads_them() {
        let read =
            |query: &str| webhook(&format!("wpf_action=add{query}"), "", r#"{"id":"u"}"#).unwrap();
        assert_eq!(
            read("&role=customer&async=true").role.as_deref(),
            Some("customer")
        );
        assert!(read("&async=false").background);
        assert!(
            !read("&async=0").background && !read("&async=").background && !read("").background
        );
        assert_eq!(read("&role=").role, None);
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let mut state = 7_u64;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..40)
                .map(|_| {
                    state = state
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    let palette = b"{}[]\":,=&%+ \\unlidemaw_\xef\xbb\xbf\xff0123456789@.";
                    palette[(state >> 33) as usize % palette.len()]
                })
                .collect();
            let (query, body) = bytes.split_at(20);
            let request = request(
                &String::from_utf8_lossy(query),
                "application/x-www-form-urlencoded",
                body,
            );
            let _ = read(&request, &Parameters::of(&request));
        }
    }
}
