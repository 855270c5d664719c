//! A stand-in Bento on a loopback port: subscribers, tags, fields, commands and events, with scripted faults.
//!
//! It keeps every call. It never talks to the outside, and unlike the real service it applies commands at once,
//! so that a test can look at the subscriber afterwards.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Map, Value, json};

/// The page that Cloudflare shows to a caller without a name.
const CLOUDFLARE_PAGE: &str = "<!DOCTYPE html><title>Attention Required! | Cloudflare</title><h1>Sorry, you have been blocked</h1>";
/// Requests larger than this are a mistake of the test.
const MAX_BODY: usize = 8 << 20;

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

    fn answers_to(&self, name: &str, value: &str) -> bool {
        match name {
            "uuid" => self.uuid == value || self.merged_uuids.iter().any(|uuid| uuid == value),
            _ => self
                .email
                .as_str()
                .is_some_and(|email| email.eq_ignore_ascii_case(value)),
        }
    }

    fn to_json(&self) -> Value {
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

/// Everything the stand-in knows and how it behaves.
#[derive(Clone, Debug)]
pub struct World {
    pub account: Account,
    pub subscribers: Vec<Subscriber>,
    pub tags: Vec<Tag>,
    pub unknown: Unknown,
    pub scripts: Vec<Script>,
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
            latency: Duration::from_millis(given["latency_ms"].as_u64().unwrap_or(0)),
        }
    }
}

/// A call as it arrived, and what it was answered.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// 0 when no complete answer was sent.
    pub status: u16,
    /// How many calls were being answered while this one began, itself included.
    pub at_once: usize,
}

impl Call {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// The parameters of this name, decoded.
    pub fn parameters(&self, name: &str) -> Vec<&str> {
        self.query
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// The running stand-in; it stops when dropped.
pub struct Bento {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    world: Mutex<World>,
    calls: Mutex<Vec<Call>>,
    connections: AtomicUsize,
    at_once: AtomicUsize,
    stopped: Mutex<bool>,
}

impl Bento {
    /// Starts answering for this world on a free loopback port.
    pub fn start(world: World) -> Bento {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            calls: Mutex::new(Vec::new()),
            connections: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            stopped: Mutex::new(false),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &server));
        Bento { address, shared }
    }

    /// The value for `BENTO_WEBHOOKS_API_URL`.
    pub fn api_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// All calls so far, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// What the stand-in knows now; may be changed in place.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.shared.world)
    }
}

impl Drop for Bento {
    fn drop(&mut self) {
        *lock(&self.shared.stopped) = true;
        // Wakes the listener so that it sees the flag.
        drop(TcpStream::connect(self.address));
    }
}

/// A panicking test must not hide its own message behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if *lock(&shared.stopped) {
            return;
        }
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        // A caller that hangs up in the middle is part of the tests, not a failure of the stand-in.
        thread::spawn(move || drop(serve(stream, &shared)));
    }
}

/// Answers the requests of one connection until either side closes it.
fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(mut call) = read_call(&mut reader)? {
        call.at_once = shared.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        let (reply, latency) = {
            let mut world = lock(&shared.world);
            let fault = next_fault(&mut world);
            (answer(&mut world, &call, fault), world.latency)
        };
        call.status = reply.status();
        lock(&shared.calls).push(call.clone());
        let sent = Reply::Later(latency, Box::new(reply)).send(&mut stream, &mut reader);
        shared.at_once.fetch_sub(1, Ordering::SeqCst);
        let wants_close = call
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !sent? || wants_close {
            return Ok(());
        }
    }
    Ok(())
}

fn read_call(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Call>> {
    let mut lines = VecDeque::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push_back(line.to_string());
    }
    let Some(first) = lines.pop_front() else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let headers: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_string()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length
        .map_or(0, |(_, value)| value.parse::<usize>().unwrap())
        .min(MAX_BODY);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Some(Call {
        method: method.to_string(),
        target: target.to_string(),
        path: path.to_string(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        status: 0,
        at_once: 0,
    }))
}

/// The fault for the next call; its counters move on.
fn next_fault(world: &mut World) -> Option<Fault> {
    let mut found = None;
    for script in &mut world.scripts {
        if script.skip > 0 {
            script.skip -= 1;
        } else if script.times > 0 && found.is_none() {
            script.times = script.times.saturating_sub(1);
            found = Some(script.fault.clone());
        }
    }
    found
}

/// What goes over the wire.
enum Reply {
    Whole {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// Promises five thousand bytes, sends these and closes.
    Cut(String),
    Slow {
        body: String,
        pause: Duration,
    },
    Later(Duration, Box<Reply>),
    Silence(Duration),
    Nothing,
}

impl Reply {
    fn json(status: u16, body: &Value) -> Reply {
        let headers = vec![(
            "Content-Type".to_string(),
            "application/json; charset=utf-8".to_string(),
        )];
        Reply::Whole {
            status,
            headers,
            body: body.to_string(),
        }
    }

    fn html(status: u16, body: &str) -> Reply {
        let headers = vec![(
            "Content-Type".to_string(),
            "text/html; charset=UTF-8".to_string(),
        )];
        Reply::Whole {
            status,
            headers,
            body: body.to_string(),
        }
    }

    fn status(&self) -> u16 {
        match self {
            Reply::Whole { status, .. } => *status,
            Reply::Slow { .. } => 200,
            Reply::Later(_, reply) => reply.status(),
            Reply::Cut(_) | Reply::Silence(_) | Reply::Nothing => 0,
        }
    }

    /// Sends the reply; whether the connection may serve another request.
    fn send(
        self,
        stream: &mut TcpStream,
        reader: &mut BufReader<TcpStream>,
    ) -> std::io::Result<bool> {
        match self {
            Reply::Whole {
                status,
                headers,
                body,
            } => {
                let mut text = format!(
                    "HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n",
                    body.len()
                );
                headers
                    .iter()
                    .for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
                stream.write_all(format!("{text}\r\n{body}").as_bytes())?;
                Ok(true)
            }
            Reply::Cut(part) => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n";
                stream.write_all(format!("{head}{part}").as_bytes())?;
                Ok(false)
            }
            Reply::Slow { body, pause } => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
                );
                stream.write_all(head.as_bytes())?;
                for byte in body.bytes() {
                    stream.write_all(&[byte])?;
                    thread::sleep(pause);
                }
                Ok(true)
            }
            Reply::Later(pause, reply) => {
                thread::sleep(pause);
                reply.send(stream, reader)
            }
            Reply::Silence(longest) => {
                // Ends early when the caller gives up: reading then returns nothing.
                stream.set_read_timeout(Some(longest))?;
                let _gave_up = reader.read(&mut [0]);
                Ok(false)
            }
            Reply::Nothing => Ok(false),
        }
    }
}

fn answer(world: &mut World, call: &Call, fault: Option<Fault>) -> Reply {
    match fault {
        None => right_answer(world, call),
        Some(Fault::Status {
            status,
            headers,
            body,
        }) => Reply::Whole {
            status,
            headers,
            body,
        },
        Some(Fault::Hang(longest)) => Reply::Silence(longest),
        Some(Fault::Close) => Reply::Nothing,
        Some(Fault::Truncated) => Reply::Cut(r#"{"data":{"#.to_string()),
        Some(Fault::Malformed) => {
            let Reply::Whole {
                status,
                headers,
                body,
            } = right_answer(world, call)
            else {
                return Reply::Nothing;
            };
            let half = body.chars().take(body.chars().count() / 2).collect();
            Reply::Whole {
                status,
                headers,
                body: half,
            }
        }
        Some(Fault::SuccessFalse(message)) => {
            Reply::json(200, &json!({"success": false, "message": message}))
        }
        Some(Fault::Delay(pause)) => Reply::Later(pause, Box::new(right_answer(world, call))),
        Some(Fault::Drip(pause)) => match right_answer(world, call) {
            Reply::Whole { body, .. } => Reply::Slow { body, pause },
            other => other,
        },
        Some(Fault::AnotherPerson) => {
            let stranger = Subscriber::new(
                "5757a9e4-0000-4000-8000-000000000057",
                "stranger@example.test",
                &[],
            );
            Reply::json(200, &stranger.to_json())
        }
        Some(Fault::Huge(bytes)) => match right_answer(world, call) {
            Reply::Whole {
                status,
                headers,
                body,
            } => {
                let padding = "x".repeat(bytes);
                let body = format!("{{\"padding\":\"{padding}\",{}", &body[1..]);
                Reply::Whole {
                    status,
                    headers,
                    body,
                }
            }
            other => other,
        },
        Some(Fault::Redirect(to)) => Reply::Whole {
            status: 302,
            headers: vec![("Location".to_string(), to)],
            body: String::new(),
        },
    }
}

fn right_answer(world: &mut World, call: &Call) -> Reply {
    if call.header("user-agent").unwrap_or_default().is_empty() {
        return Reply::html(403, CLOUDFLARE_PAGE);
    }
    let pair = format!(
        "{}:{}",
        world.account.publishable_key, world.account.secret_key
    );
    let basic = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(pair)
    );
    if call.header("authorization") != Some(&basic)
        || call.parameters("site_uuid") != [&world.account.site_uuid]
    {
        return Reply::json(401, &json!({"error": "Unauthorized"}));
    }
    let is_json = call
        .header("content-type")
        .is_some_and(|value| value.starts_with("application/json"));
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/api/v1/fetch/subscribers") => find_subscriber(world, call),
        ("GET", "/api/v1/fetch/tags") => Reply::json(
            200,
            &json!({"data": world.tags.iter().map(tag_json).collect::<Vec<_>>()}),
        ),
        ("GET", "/api/v1/fetch/fields") => Reply::json(200, &json!({"data": field_list(world)})),
        ("POST", "/api/v1/fetch/commands" | "/api/v1/batch/events") if !is_json => {
            Reply::json(415, &json!({"error": "Unsupported Media Type"}))
        }
        ("POST", "/api/v1/fetch/commands") => run_commands(world, &call.body),
        ("POST", "/api/v1/batch/events") => take_events(&call.body),
        _ => Reply::html(404, "<h1>The page you were looking for doesn't exist.</h1>"),
    }
}

fn find_subscriber(world: &World, call: &Call) -> Reply {
    let asked = call
        .query
        .iter()
        .find(|(name, _)| name == "uuid" || name == "email");
    let found = asked.and_then(|(name, value)| {
        world
            .subscribers
            .iter()
            .find(|person| person.answers_to(name, value))
    });
    let Some(person) = found else {
        return match world.unknown {
            Unknown::DataNull => Reply::json(200, &json!({"data": null})),
            Unknown::EmptyObject => Reply::json(200, &json!({})),
            Unknown::NotFoundJson => Reply::json(404, &json!({"error": "Not Found"})),
            Unknown::NotFoundHtml => Reply::html(404, "<h1>Not Found</h1>"),
            Unknown::ServerError => Reply::json(
                500,
                &json!({"status": 500, "error": "Internal Server Error"}),
            ),
        };
    };
    match &person.raw {
        Some(raw) => Reply::json(200, &serde_json::from_str(raw).unwrap()),
        None => Reply::json(200, &person.to_json()),
    }
}

fn tag_json(tag: &Tag) -> Value {
    json!({"id": tag.id, "type": "tags", "attributes": {
        "name": tag.name, "created_at": "2024-01-01T00:00:00Z", "discarded_at": tag.discarded_at, "site_id": 1,
    }})
}

/// The keys of all fields that anybody has.
fn field_list(world: &World) -> Vec<Value> {
    let mut keys: Vec<&String> = world
        .subscribers
        .iter()
        .filter_map(|person| person.fields.as_object())
        .flat_map(Map::keys)
        .collect();
    keys.sort();
    keys.dedup();
    let field = |(index, key): (usize, &&String)| {
        json!({"id": (index + 1).to_string(), "type": "visitors-fields", "attributes": {
            "key": key, "name": key, "whitelisted": null, "created_at": "2024-01-01T00:00:00Z",
        }})
    };
    keys.iter().enumerate().map(field).collect()
}

fn run_commands(world: &mut World, body: &str) -> Reply {
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        return Reply::json(400, &json!({"error": "Bad Request"}));
    };
    let Some(commands) = body["command"].as_array() else {
        return Reply::json(
            422,
            &json!({"errors": [{"field": "command", "message": "is missing"}]}),
        );
    };
    let done = commands
        .iter()
        .filter(|command| run_command(world, command))
        .count();
    Reply::json(
        200,
        &json!({"results": done, "failed": commands.len() - done}),
    )
}

fn run_command(world: &mut World, command: &Value) -> bool {
    let World {
        subscribers, tags, ..
    } = world;
    let person = subscribers.iter_mut().find(|person| {
        ["uuid", "email"].iter().any(|name| {
            command[name]
                .as_str()
                .is_some_and(|value| person.answers_to(name, value))
        })
    });
    let (Some(person), query) = (person, &command["query"]) else {
        return false;
    };
    match command["command"].as_str() {
        Some("add_field") => {
            let Some(key) = query["key"].as_str() else {
                return false;
            };
            if !person.fields.is_object() {
                person.fields = json!({});
            }
            person.fields[key] = query["value"].clone();
        }
        Some("remove_field") => {
            let (Some(key), Some(fields)) = (query.as_str(), person.fields.as_object_mut()) else {
                return false;
            };
            fields.shift_remove(key);
        }
        Some("add_tag" | "add_tag_via_event") => {
            let id = tag_id(tags, query);
            let held = person.cached_tag_ids.as_array_mut().unwrap();
            if !held.contains(&id) {
                held.push(id);
            }
        }
        Some("remove_tag") => {
            let id = tag_id(tags, query);
            person
                .cached_tag_ids
                .as_array_mut()
                .unwrap()
                .retain(|held| *held != id);
        }
        Some("subscribe") => person.unsubscribed_at = Value::Null,
        Some("unsubscribe") => person.unsubscribed_at = json!("2024-01-01T00:00:00Z"),
        Some("change_email") => person.email = query.clone(),
        _ => return false,
    }
    true
}

/// The id of the tag with this name; tags are created by use.
fn tag_id(tags: &mut Vec<Tag>, name: &Value) -> Value {
    if let Some(tag) = tags.iter().find(|tag| tag.name == *name) {
        return tag.id.clone();
    }
    let id = json!((9000 + tags.len()).to_string());
    tags.push(Tag {
        id: id.clone(),
        name: name.clone(),
        discarded_at: Value::Null,
    });
    id
}

fn take_events(body: &str) -> Reply {
    match serde_json::from_str::<Value>(body)
        .ok()
        .and_then(|body| body["events"].as_array().cloned())
    {
        Some(events) if (1..=1000).contains(&events.len()) => {
            Reply::json(200, &json!({"results": events.len(), "failed": 0}))
        }
        _ => Reply::json(
            422,
            &json!({"errors": [{"field": "events", "message": "must hold 1 to 1000 events"}]}),
        ),
    }
}
