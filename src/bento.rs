//! Bento's REST API, as far as a webhook needs it: one person, the tag names, fields sent back, the welcome event.
//!
//! An answer is believed only when it is 200, JSON, of the documented shape and about the person we asked for, because
//! tags may be removed on its strength. Never follows a redirect, never obeys a proxy variable, never reads more than
//! 1 MiB, and ends at a deadline whatever Bento does. No transaction is open while it waits.

use crate::clock::Clock;
use crate::http::{self, Route, Trust};
use crate::outcome::{Fault, Trouble};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};
use ureq::http::Response;
use ureq::{Agent, Body};
use url::form_urlencoded;

/// Time to connect, TLS included.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// Time that is always given to sending fields back: the user exists by then.
const RETURN_TIME: Duration = Duration::from_millis(700);
/// Largest answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 1 << 20;

/// Bento's view of a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// `uuid`.
    pub uuid: String,
    /// `email`.
    pub email: Option<String>,
    /// `fields`, flat.
    pub fields: Map<String, Value>,
    /// `cached_tag_ids`, as text.
    pub tag_ids: Vec<String>,
    /// `navigation_url`: the path of the person's page in Bento.
    pub page: Option<String>,
}

impl Subscriber {
    /// Whether this is the person's e-mail address: equal but for ASCII case.
    pub fn has_email(&self, email: &str) -> bool {
        self.email
            .as_deref()
            .is_some_and(|own| !own.is_empty() && own.trim().eq_ignore_ascii_case(email))
    }
}

/// What we know of a person before we ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sought<'a> {
    /// The id in the webhook.
    pub id: Option<&'a str>,
    /// The e-mail address in the webhook.
    pub email: Option<&'a str>,
    /// The e-mail address of the WordPress user who was found.
    pub user_email: Option<&'a str>,
}

/// Where and as whom Bento is asked.
pub struct Account<'a> {
    /// Base address without a slash at its end.
    pub api_url: &'a str,
    /// `pk:sk`.
    pub key: &'a Secret,
    /// The site's uuid.
    pub site_uuid: &'a str,
    /// Home address of the site, for the User-Agent.
    pub home: &'a str,
    /// PEM file of certificates to trust in place of the built-in ones.
    pub roots: Option<&'a Path>,
}

/// What tells Bento about a new user in place of the welcome mail. It holds a set-password link, so it is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WelcomeEvent {
    /// The name of the event, as the owner chose it.
    pub name: String,
    /// The user's e-mail address.
    pub email: String,
    /// `user_login`.
    pub login: String,
    /// Where the user chooses a password.
    pub set_password_url: String,
    /// The name of the site.
    pub site_name: String,
    /// The user's language, such as `de_DE`.
    pub language: String,
}

impl fmt::Debug for WelcomeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WelcomeEvent(***)")
    }
}

/// What doctor sees of Bento.
pub struct Look {
    /// Status of the answer.
    pub status: u16,
    /// Its `Date`.
    pub date: Option<String>,
    /// Time until its head was there.
    pub took: Duration,
    /// All tags, or why not.
    pub tags: Result<Vec<(u64, String)>, Trouble>,
}

/// A connection to Bento for one webhook.
pub struct Bento<'a> {
    account: Account<'a>,
    agent: Agent,
    deadline: Instant,
}

impl<'a> Bento<'a> {
    /// Prepares; nothing is sent yet. All calls together end at `deadline`.
    pub fn new(account: Account<'a>, deadline: Instant) -> Result<Bento<'a>, Trouble> {
        let trust =
            Trust::from_file(account.roots).map_err(|why| Trouble::Setup(why.to_owned()))?;
        let agent = http::agent(
            account.home,
            "application/json",
            CONNECT_TIME,
            trust,
            Route::Dns,
        );
        Ok(Bento {
            account,
            agent,
            deadline,
        })
    }

    /// The person, or `None` when Bento does not know them.
    pub fn subscriber(&self, sought: &Sought<'_>) -> Result<Option<Subscriber>, Trouble> {
        let by = match (sought.id, sought.email) {
            (Some(id), _) => ("uuid", id.to_owned()),
            (None, Some(email)) => ("email", email.to_ascii_lowercase()),
            (None, None) => return Ok(None),
        };
        let response = self.get("/fetch/subscribers", &[(by.0, &by.1)])?;
        let status = response.status().as_u16();
        if status != 200 && status != 404 {
            return Err(refused(&response));
        }
        if status == 404 {
            // Any JSON says that it is Bento who does not know; a page may come from something in between.
            return parse(response).map(|_| None);
        }
        let answer = read_json(response)?;
        let Some(subscriber) = subscriber(&answer)? else {
            return Ok(None);
        };
        if is_sought(&subscriber, sought) {
            Ok(Some(subscriber))
        } else {
            Err(Trouble::bento("the answer is about somebody else"))
        }
    }

    /// All tags with id and name, in Bento's order; tags without a name are left out.
    pub fn tags(&self) -> Result<Vec<(u64, String)>, Trouble> {
        tag_list(self.get("/fetch/tags", &[])?)
    }

    /// A look at Bento for doctor; errs when there is no answer at all.
    pub fn look(&self) -> Result<Look, Trouble> {
        let start = Instant::now();
        let response = self.get("/fetch/tags", &[])?;
        let date = response.headers().get("date");
        Ok(Look {
            status: response.status().as_u16(),
            date: date.and_then(|date| Some(date.to_str().ok()?.to_owned())),
            took: start.elapsed(),
            tags: tag_list(response),
        })
    }

    /// The keys of all fields, in Bento's order.
    pub fn fields(&self) -> Result<Vec<String>, Trouble> {
        let field = |attributes: &Value| Some(attributes.get("key")?.as_str()?.to_owned());
        let list = attribute_list(self.get("/fetch/fields", &[])?)?;
        Ok(list
            .iter()
            .filter_map(|(_, attributes)| field(attributes))
            .collect())
    }

    /// Stores fields of a person in Bento, in one call.
    pub fn store_fields(&self, uuid: &str, fields: &[(String, String)]) -> Result<(), Trouble> {
        let command = |(key, value): &(String, String)| json!({ "command": "add_field", "uuid": uuid, "query": { "key": key, "value": value } });
        let commands: Vec<Value> = fields.iter().map(command).collect();
        let body = json!({ "site_uuid": self.account.site_uuid, "command": commands });
        self.post("/fetch/commands", &body, "a field was not taken")
    }

    /// Tells Bento about a new user, so that a workflow there can welcome them.
    pub fn send_event(&self, event: &WelcomeEvent) -> Result<(), Trouble> {
        let details = json!({
            "login": event.login,
            "set_password_url": event.set_password_url,
            "site_name": event.site_name,
            "language": event.language,
        });
        let body = json!({
            "site_uuid": self.account.site_uuid,
            "events": [{ "type": event.name, "email": event.email, "details": details }],
        });
        self.post("/batch/events", &body, "the event was not taken")
    }

    /// How much time is left until the deadline.
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Sends what belongs to a user who exists by now; `refusal` says that Bento counted a failure.
    fn post(&self, path: &str, body: &Value, refusal: &str) -> Result<(), Trouble> {
        let request = self.agent.post(self.address(path, &[]));
        let request = request
            .header("Authorization", self.authorization())
            .content_type("application/json");
        let left = self.time_left().max(RETURN_TIME);
        let request = request.config().timeout_global(Some(left)).build();
        let response = request.send(body.to_string()).map_err(failed)?;
        if !matches!(response.status().as_u16(), 200 | 201) {
            return Err(refused(&response));
        }
        let failed = read_json(response)?.get("failed").and_then(Value::as_u64);
        if failed.is_some_and(|failed| failed > 0) {
            return Err(Trouble::bento(refusal));
        }
        Ok(())
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Response<Body>, Trouble> {
        let left = self.time_left();
        if left.is_zero() {
            return Err(Trouble::late());
        }
        let request = self
            .agent
            .get(self.address(path, query))
            .header("Authorization", self.authorization());
        request
            .config()
            .timeout_global(Some(left))
            .build()
            .call()
            .map_err(failed)
    }

    /// The address of a call; every value is percent-encoded, so none can add a parameter.
    fn address(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        pairs.append_pair("site_uuid", self.account.site_uuid);
        pairs.extend_pairs(query);
        format!("{}{path}?{}", self.account.api_url, pairs.finish())
    }

    fn authorization(&self) -> String {
        format!("Basic {}", STANDARD.encode(self.account.key.expose()))
    }
}

/// Tags in an answer.
fn tag_list(response: Response<Body>) -> Result<Vec<(u64, String)>, Trouble> {
    let tag = |(id, attributes): &(Value, Value)| {
        let id = id_text(id)?.parse().ok()?;
        Some((id, attributes.get("name")?.as_str()?.to_owned()))
    };
    Ok(attribute_list(response)?.iter().filter_map(tag).collect())
}

/// Id and attributes of everything in the list that an answer holds.
fn attribute_list(response: Response<Body>) -> Result<Vec<(Value, Value)>, Trouble> {
    if response.status().as_u16() != 200 {
        return Err(refused(&response));
    }
    let mut answer = read_json(response)?;
    let Some(Value::Array(list)) = answer.get_mut("data").map(Value::take) else {
        return Err(Trouble::bento(
            "the list in the answer has an unknown shape",
        ));
    };
    let entry = |mut entry: Value| {
        let attributes = entry.get_mut("attributes")?.take();
        Some((entry.get_mut("id")?.take(), attributes))
    };
    Ok(list.into_iter().filter_map(entry).collect())
}

/// The subscriber in an answer, or `None` when Bento says that it knows nobody.
fn subscriber(answer: &Value) -> Result<Option<Subscriber>, Trouble> {
    let odd = || Trouble::bento("the answer about the person has an unknown shape");
    let object = answer.as_object().ok_or_else(odd)?;
    let data = match object.get("data") {
        None if object.is_empty() => return Ok(None),
        Some(Value::Null) => return Ok(None),
        Some(Value::Object(data)) => data,
        _ => return Err(odd()),
    };
    let attributes = data
        .get("attributes")
        .and_then(Value::as_object)
        .ok_or_else(odd)?;
    let uuid = attributes
        .get("uuid")
        .and_then(Value::as_str)
        .filter(|uuid| !uuid.is_empty())
        .ok_or_else(odd)?;
    let email = match attributes.get("email") {
        Some(Value::String(email)) => Some(email.clone()),
        Some(Value::Null) => None,
        _ => return Err(odd()),
    };
    let fields = match attributes.get("fields") {
        Some(Value::Object(fields)) => fields.clone(),
        // PHP and Ruby write an empty object as an empty list.
        Some(Value::Array(list)) if list.is_empty() => Map::new(),
        Some(Value::Null) | None => Map::new(),
        _ => return Err(odd()),
    };
    let tag_ids = attributes
        .get("cached_tag_ids")
        .and_then(Value::as_array)
        .ok_or_else(odd)?;
    let tag_ids: Option<Vec<String>> = tag_ids.iter().map(id_text).collect();
    let page = attributes
        .get("navigation_url")
        .and_then(Value::as_str)
        .map(str::to_owned);
    Ok(Some(Subscriber {
        uuid: uuid.to_owned(),
        email,
        fields,
        tag_ids: tag_ids.ok_or_else(odd)?,
        page,
    }))
}

/// An id that Bento sends as text or as a number.
fn id_text(id: &Value) -> Option<String> {
    match id {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Whether the answer is about the person we asked for. After a merge of visitors the uuid may differ while the address
/// agrees.
fn is_sought(subscriber: &Subscriber, sought: &Sought<'_>) -> bool {
    let same_id = sought
        .id
        .is_some_and(|id| subscriber.uuid.eq_ignore_ascii_case(id));
    let known = [sought.email, sought.user_email];
    same_id
        || known
            .into_iter()
            .flatten()
            .any(|email| subscriber.has_email(email))
}

/// The body of a success. `success: false` is a failure in a 200's clothing.
fn read_json(response: Response<Body>) -> Result<Value, Trouble> {
    let answer = parse(response)?;
    if answer.get("success") == Some(&Value::Bool(false)) {
        return Err(Trouble::bento("the answer says success: false"));
    }
    Ok(answer)
}

/// The body as JSON.
fn parse(mut response: Response<Body>) -> Result<Value, Trouble> {
    let text = response
        .body_mut()
        .with_config()
        .limit(ANSWER_LIMIT)
        .read_to_vec()
        .map_err(failed)?;
    serde_json::from_slice(&text).map_err(|_| Trouble::bento("the answer is not JSON"))
}

/// The trouble behind a status that is not success.
fn refused(response: &Response<Body>) -> Trouble {
    let status = response.status().as_u16();
    let html = response
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let wait = response
        .headers()
        .get("retry-after")
        .and_then(|value| wait(value.to_str().ok()?.trim(), Clock::now()));
    let detail = match status {
        401 => "status 401: the Bento keys or the site uuid in WP Fusion's settings are wrong"
            .to_owned(),
        403 if html => "status 403 with a page: Cloudflare turned the request away".to_owned(),
        429 => "status 429: too many calls".to_owned(),
        300..=399 => format!("status {status}: a redirect, which is not followed"),
        _ => format!("status {status}"),
    };
    let fault = match status {
        429 => Fault::Limited,
        400 | 422 => Fault::Lasting,
        _ => Fault::Passing,
    };
    Trouble::Bento {
        detail,
        wait,
        fault,
    }
}

/// Seconds in a `Retry-After`: a number, or a date like `Wed, 21 Oct 2026 07:28:00 GMT`.
fn wait(text: &str, now: Clock) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match is_number {
        // What is beyond every number is long.
        true => Some(text.parse().unwrap_or(u32::MAX)),
        false => Some(Clock::from_http_date(text)?.seconds_since(&now)),
    }
}

/// The trouble behind a call that brought no answer. The error's own text may name addresses, so it is not kept.
fn failed(error: ureq::Error) -> Trouble {
    Trouble::bento(match error {
        ureq::Error::Timeout(_) => "no answer in time",
        ureq::Error::HostNotFound => "the host name cannot be resolved",
        ureq::Error::ConnectionFailed => "no connection",
        ureq::Error::BodyExceedsLimit(_) => "the answer is longer than 1 MiB",
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "the TLS connection failed",
        ureq::Error::Io(_) => "the connection broke",
        _ => "the answer cannot be read",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(attributes: Value) -> Value {
        json!({ "data": { "id": "1", "type": "visitors", "attributes": attributes } })
    }

    #[test]
    fn only_the_documented_shape_is_a_person() {
        let whole =
            || json!({ "uuid": "u", "email": "a@b.test", "fields": {}, "cached_tag_ids": [] });
        let with = |name: &str, value: Value| {
            let mut attributes = whole();
            attributes[name] = value;
            person(attributes)
        };
        let known = |answer: &Value| subscriber(answer).map(|found| found.is_some()).ok();
        let table = [
            (person(whole()), Some(true)),
            (with("email", Value::Null), Some(true)),
            (with("fields", Value::Null), Some(true)),
            (with("fields", json!([])), Some(true)),
            (with("cached_tag_ids", json!([1, "2"])), Some(true)),
            (json!({}), Some(false)),
            (json!({ "data": null }), Some(false)),
            (json!([]), None),
            (json!({ "error": "x" }), None),
            (json!({ "data": [] }), None),
            (json!({ "data": {} }), None),
            (with("uuid", json!("")), None),
            (with("uuid", json!(5)), None),
            (with("email", json!(5)), None),
            (with("fields", json!("x")), None),
            (with("fields", json!(["x"])), None),
            (with("cached_tag_ids", Value::Null), None),
            (with("cached_tag_ids", json!("11,12")), None),
            (with("cached_tag_ids", json!([null])), None),
            (with("cached_tag_ids", json!([1.5])), None),
            (with("cached_tag_ids", json!([-1])), None),
        ];
        for (answer, expected) in table {
            assert_eq!(known(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn an_answer_is_about_the_person_by_id_or_by_address() {
        let answer = person(json!({ "uuid": "old", "email": "Sue@B.test", "cached_tag_ids": [] }));
        let found = subscriber(&answer).unwrap().unwrap();
        let sought = |id, email, user_email| {
            is_sought(
                &found,
                &Sought {
                    id,
                    email,
                    user_email,
                },
            )
        };
        assert!(sought(Some("OLD"), None, None));
        assert!(sought(Some("newer"), Some("sue@b.test"), None));
        assert!(sought(Some("newer"), None, Some("sue@b.test")));
        assert!(!sought(Some("newer"), None, None));
        assert!(!sought(
            Some("newer"),
            Some("max@b.test"),
            Some("max@b.test")
        ));
        let nameless = person(json!({ "uuid": "old", "email": null, "cached_tag_ids": [] }));
        let found = subscriber(&nameless).unwrap().unwrap();
        let sought = Sought {
            id: None,
            email: Some(""),
            user_email: Some(""),
        };
        assert!(!is_sought(&found, &sought));
    }

    #[test]
    fn a_wait_is_a_number_of_seconds_or_a_date() {
        let now = Clock::from_millis(1_709_210_096_000);
        let table = [
            ("0", Some(0)),
            ("7", Some(7)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", Some(u32::MAX)),
            ("99999999999999999999999999", Some(u32::MAX)),
            ("Thu, 29 Feb 2024 12:35:06 GMT", Some(10)),
            ("Thursday, 29-Feb-24 12:35:06 GMT", Some(10)),
            ("Thu Feb 29 12:35:06 2024", Some(10)),
            ("Fri Mar  1 12:34:56 2024", Some(86_400)),
            ("Thu, 29 Feb 2024 12:34:00 GMT", Some(0)),
            ("", None),
            ("-7", None),
            ("+7", None),
            ("7.5", None),
            ("7 seconds", None),
            ("soon", None),
            ("Thu, 31 Feb 2024 12:35:06 GMT", None),
            ("٧", None),
        ];
        for (text, seconds) in table {
            assert_eq!(wait(text, now), seconds, "{text}");
        }
    }

    #[test]
    fn no_value_can_add_a_parameter_to_a_call_and_none_is_made_too_late() {
        let key = Secret::new("pk:sk");
        let account = Account {
            api_url: "https://app.test/api/v1",
            key: &key,
            site_uuid: "s&x=1",
            home: "https://site.test",
            roots: None,
        };
        let bento = Bento::new(account, Instant::now()).unwrap();
        let late = bento.get("/fetch/subscribers", &[]).unwrap_err();
        assert!(late.is_waiting(), "nothing was tried: {late}");
        let address = bento.address(
            "/fetch/subscribers",
            &[("uuid", "a&site_uuid=evil#?/ \r\n%41é")],
        );
        assert_eq!(
            address,
            "https://app.test/api/v1/fetch/subscribers?site_uuid=s%26x%3D1&uuid=a%26site_uuid%3Devil%23%3F%2F+%0D%0A%2541%C3%A9"
        );
    }
}
