//! From a call to the bytes that are sent back: the right answer, or the scripted fault in its place.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::Call;
use super::world::{Fault, Subscriber, Tag, Unknown, World};

/// The page that Cloudflare shows to a caller without a name.
const CLOUDFLARE_PAGE: &str = "<!DOCTYPE html><title>Attention Required! | Cloudflare</title><h1>Sorry, you have been blocked</h1>";

/// What goes over the wire.
pub enum Reply {
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

    pub fn status(&self) -> u16 {
        match self {
            Reply::Whole { status, .. } => *status,
            Reply::Slow { .. } => 200,
            Reply::Later(_, reply) => reply.status(),
            Reply::Cut(_) | Reply::Silence(_) | Reply::Nothing => 0,
        }
    }

    /// Sends the reply; whether the connection may serve another request.
    pub fn send(
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

/// The answer to a call; commands change the world.
pub fn answer(world: &mut World, call: &Call, fault: Option<Fault>) -> Reply {
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
