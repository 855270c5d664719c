//! What the stand-in knows, and how it goes wrong. Only data: answering is done in `reply.rs`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The account that the stand-in accepts.
#[derive(Clone, Debug)]
pub struct Account {
    pub publishable_key: String,
    pub secret_key: String,
    pub site_uuid: String,
}

/// A person as Bento knows them.
#[derive(Clone, Debug)]
pub struct Subscriber {
    pub id: Value,
    pub uuid: String,
    /// Uuids of visitors that were merged into this one; the answer always carries `uuid`.
    pub merged_uuids: Vec<String>,
    pub email: Value,
    pub fields: Value,
    pub cached_tag_ids: Value,
    pub unsubscribed_at: Value,
    /// Sent instead of everything above, as it is.
    pub raw: Option<String>,
}

impl Subscriber {
    /// A person with an e-mail address and tags, without fields.
    pub fn new(uuid: &str, email: &str, tag_ids: &[&str]) -> Subscriber {
        Subscriber {
            id: json!("900001"),
            uuid: uuid.to_string(),
            merged_uuids: Vec::new(),
            email: json!(email),
            fields: json!({}),
            cached_tag_ids: json!(tag_ids),
            unsubscribed_at: Value::Null,
            raw: None,
        }
    }

    /// A person as a recording describes them.
    pub fn from_json(given: &Value) -> Subscriber {
        Subscriber {
            id: given["id"].clone(),
            uuid: given["uuid"].as_str().unwrap().to_string(),
            merged_uuids: Vec::new(),
            email: given["email"].clone(),
            fields: given["fields"].clone(),
            cached_tag_ids: given["cached_tag_ids"].clone(),
            unsubscribed_at: Value::Null,
            raw: given["raw"].as_str().map(str::to_string),
        }
    }

    /// The same person with these fields.
    pub fn with_fields(mut self, fields: Value) -> Subscriber {
        self.fields = fields;
        self
    }

    pub fn answers_to(&self, name: &str, value: &str) -> bool {
        match name {
            "uuid" => self.uuid == value || self.merged_uuids.iter().any(|uuid| uuid == value),
            _ => self
                .email
                .as_str()
                .is_some_and(|email| email.eq_ignore_ascii_case(value)),
        }
    }

    pub fn to_json(&self) -> Value {
        let id = self
            .id
            .as_str()
            .map_or_else(|| self.id.to_string(), str::to_string);
        json!({"data": {"id": self.id, "type": "visitors", "attributes": {
            "uuid": self.uuid, "email": self.email, "fields": self.fields,
            "cached_tag_ids": self.cached_tag_ids, "unsubscribed_at": self.unsubscribed_at,
            "navigation_url": format!("/account/visitors/{id}"),
        }}})
    }
}

/// A tag of the account.
#[derive(Clone, Debug)]
pub struct Tag {
    pub id: Value,
    pub name: Value,
    pub discarded_at: Value,
}

/// What Bento says about a person that it does not know; all forms were seen or documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    #[default]
    DataNull,
    EmptyObject,
    NotFoundJson,
    NotFoundHtml,
    ServerError,
}

/// One way in which a call goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An answer with this status, headers and body.
    Status {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// Reads the request and says nothing until the caller gives up, or for this long.
    Hang(Duration),
    /// Closes the connection without a byte.
    Close,
    /// Promises more bytes than it sends.
    Truncated,
    /// A whole HTTP answer around half a JSON text.
    Malformed,
    /// 200 with `success: false`.
    SuccessFalse(String),
    /// The right answer, later.
    Delay(Duration),
    /// The right answer, one byte at a time with this pause between them.
    Drip(Duration),
    /// The data of somebody else.
    AnotherPerson,
    /// The right answer inside a JSON text of this many bytes.
    Huge(usize),
    /// 302 to this address.
    Redirect(String),
}

impl Fault {
    /// A JSON answer with this status.
    pub fn status(status: u16, body: &str) -> Fault {
        let headers = vec![("Content-Type".to_string(), "application/json".to_string())];
        Fault::Status {
            status,
            headers,
            body: body.to_string(),
        }
    }

    /// An HTML page with this status.
    pub fn html(status: u16, body: &str) -> Fault {
        let headers = vec![("Content-Type".to_string(), "text/html".to_string())];
        Fault::Status {
            status,
            headers,
            body: body.to_string(),
        }
    }

    /// 429 with or without `Retry-After`, in seconds.
    pub fn too_many(retry_after: Option<u32>) -> Fault {
        let mut headers = vec![("Content-Type".to_string(), "application/json".to_string())];
        headers.extend(retry_after.map(|seconds| ("Retry-After".to_string(), seconds.to_string())));
        let body = r#"{"error":"Too Many Requests"}"#.to_string();
        Fault::Status {
            status: 429,
            headers,
            body,
        }
    }

    /// A fault as a recording describes it.
    pub fn from_json(given: &Value) -> Fault {
        let seconds = || Duration::from_secs_f64(given["seconds"].as_f64().unwrap());
        match given["kind"].as_str().unwrap() {
            "status" => {
                let status = u16::try_from(given["status"].as_u64().unwrap()).unwrap();
                let body = given["body"].as_str().unwrap_or("{}");
                match given["headers"]["Content-Type"].as_str() {
                    Some("text/html") => Fault::html(status, body),
                    _ => Fault::status(status, body),
                }
            }
            "hang" => Fault::Hang(seconds()),
            "close" => Fault::Close,
            "truncated" => Fault::Truncated,
            "malformed" => Fault::Malformed,
            "success_false" => Fault::SuccessFalse(given["message"].as_str().unwrap().to_string()),
            "delay" => Fault::Delay(seconds()),
            other => panic!("a recording names a fault that is not known here: {other}"),
        }
    }
}

/// A fault and the calls that it hits: `skip` calls go well first, then `times` calls go wrong.
#[derive(Clone, Debug)]
pub struct Script {
    pub fault: Fault,
    pub skip: usize,
    pub times: usize,
}

impl Script {
    /// Every call goes wrong.
    pub fn always(fault: Fault) -> Script {
        Script {
            fault,
            skip: 0,
            times: usize::MAX,
        }
    }

    /// The first call goes wrong.
    pub fn once(fault: Fault) -> Script {
        Script {
            fault,
            skip: 0,
            times: 1,
        }
    }

    fn from_json(given: &Value) -> Script {
        let count = |name: &str| {
            given[name]
                .as_u64()
                .map(|count| usize::try_from(count).unwrap())
        };
        Script {
            fault: Fault::from_json(given),
            skip: count("skip").unwrap_or(0),
            times: count("times").unwrap_or(usize::MAX),
        }
    }
}

/// One in so many calls goes wrong, each time in the next of these ways.
#[derive(Clone, Debug)]
pub struct Flaw {
    pub one_in: usize,
    pub ways: Vec<Fault>,
    calls: usize,
}

impl Flaw {
    pub fn new(one_in: usize, ways: &[Fault]) -> Flaw {
        Flaw {
            one_in,
            ways: ways.to_vec(),
            calls: 0,
        }
    }

    fn next(&mut self) -> Option<Fault> {
        self.calls += 1;
        let wrong = self.calls.is_multiple_of(self.one_in);
        wrong.then(|| self.ways[self.calls / self.one_in % self.ways.len()].clone())
    }
}

/// No more calls than this are answered in any minute.
#[derive(Clone, Debug)]
pub struct Limit {
    pub calls: usize,
    answered: VecDeque<Instant>,
}

impl Limit {
    pub fn new(calls: usize) -> Limit {
        Limit {
            calls,
            answered: VecDeque::new(),
        }
    }

    /// The refusal of one call too many.
    fn next(&mut self) -> Option<Fault> {
        const MINUTE: Duration = Duration::from_secs(60);
        while self
            .answered
            .front()
            .is_some_and(|at| at.elapsed() >= MINUTE)
        {
            self.answered.pop_front();
        }
        if self.answered.len() < self.calls {
            self.answered.push_back(Instant::now());
            return None;
        }
        let oldest = self
            .answered
            .front()
            .map_or(Duration::ZERO, Instant::elapsed);
        let wait = MINUTE.saturating_sub(oldest).as_secs() + 1;
        Some(Fault::too_many(u32::try_from(wait).ok()))
    }
}

/// Everything the stand-in knows and how it behaves.
#[derive(Clone, Debug)]
pub struct World {
    pub account: Account,
    pub subscribers: Vec<Subscriber>,
    pub tags: Vec<Tag>,
    pub unknown: Unknown,
    pub scripts: Vec<Script>,
    pub flaw: Option<Flaw>,
    pub limit: Option<Limit>,
    pub latency: Duration,
}

impl World {
    /// An account with tags and nobody in it.
    pub fn new(account: Account, tags: &[(&str, &str)]) -> World {
        let tag = |(id, name): &(&str, &str)| Tag {
            id: json!(id),
            name: json!(name),
            discarded_at: Value::Null,
        };
        World {
            account,
            subscribers: Vec::new(),
            tags: tags.iter().map(tag).collect(),
            unknown: Unknown::default(),
            scripts: Vec::new(),
            flaw: None,
            limit: None,
            latency: Duration::ZERO,
        }
    }

    /// The part `given.bento` of a recording.
    pub fn from_json(account: Account, given: &Value) -> World {
        let list = |name: &str| given[name].as_array().cloned().unwrap_or_default();
        let discarded = list("discarded_tags");
        let tag = |(id, name): (&String, &Value)| Tag {
            id: json!(id),
            name: name.clone(),
            discarded_at: if discarded.contains(&json!(id)) {
                json!("2024-01-01T00:00:00Z")
            } else {
                Value::Null
            },
        };
        World {
            account,
            subscribers: list("subscribers")
                .iter()
                .map(Subscriber::from_json)
                .collect(),
            tags: given["tags"].as_object().unwrap().iter().map(tag).collect(),
            unknown: match given["unknown"].as_str() {
                None | Some("data_null") => Unknown::DataNull,
                Some("http_404") => Unknown::NotFoundJson,
                Some("http_500") => Unknown::ServerError,
                Some(other) => panic!("unknown form {other}"),
            },
            scripts: list("faults").iter().map(Script::from_json).collect(),
            flaw: None,
            limit: None,
            latency: Duration::from_millis(given["latency_ms"].as_u64().unwrap_or(0)),
        }
    }

    /// The fault for the next call; its counters move on.
    pub fn next_fault(&mut self) -> Option<Fault> {
        let mut found = self.limit.as_mut().and_then(Limit::next);
        found = found.or_else(|| self.flaw.as_mut().and_then(Flaw::next));
        for script in &mut self.scripts {
            if script.skip > 0 {
                script.skip -= 1;
            } else if script.times > 0 && found.is_none() {
                script.times = script.times.saturating_sub(1);
                found = Some(script.fault.clone());
            }
        }
        found
    }
}
