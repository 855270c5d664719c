//! Runs the program as a web server runs a CGI/1.1 program, and reads its answer strictly.
//!
//! The environment holds what a server sets and nothing of the test process. A failed expectation prints the
//! request, the whole answer and what went to the error log.

use std::ffi::OsString;
use std::fmt;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A run that takes longer is killed: no answer may take more than five seconds, and the watchdog of the body 25.
const PATIENCE: Duration = Duration::from_secs(40);

/// What comes through standard input, and what CONTENT_LENGTH says about it.
#[derive(Clone, Debug)]
pub enum Body {
    /// These bytes, rightly announced.
    Exact(Vec<u8>),
    /// These bytes, announced as this, or not at all.
    Announced {
        bytes: Vec<u8>,
        length: Option<String>,
    },
    /// These bytes, rightly announced, in pieces with a pause after each.
    Slow {
        pieces: Vec<Vec<u8>>,
        pause: Duration,
    },
    /// These bytes, announced as this; then the pipe stays open.
    Unfinished { bytes: Vec<u8>, length: String },
}

/// A request as it reaches the web server.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Body,
    /// Arguments, as some servers make them from the query.
    pub arguments: Vec<OsString>,
    pub environment: Vec<(String, String)>,
}

impl Request {
    /// A POST with a JSON body.
    pub fn post(target: &str, json: &str) -> Request {
        Request {
            method: "POST".to_string(),
            target: target.to_string(),
            headers: vec![("Content-Type".to_string(), "application/json".to_string())],
            body: Body::Exact(json.as_bytes().to_vec()),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// A GET without a body.
    pub fn get(target: &str) -> Request {
        Request {
            method: "GET".to_string(),
            headers: Vec::new(),
            ..Request::post(target, "")
        }
    }

    /// The same with a header; one of the same name is replaced.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_string(), value.to_string()));
        self
    }

    /// The same with another body.
    pub fn body(mut self, body: Body) -> Request {
        self.body = body;
        self
    }

    /// A request as a recording keeps it; Bento sends JSON unless the recording says otherwise.
    pub fn from_json(given: &Value) -> Request {
        let text = |name: &str| given[name].as_str().unwrap_or_default();
        let mut request = Request {
            method: text("method").to_string(),
            ..Request::post(text("target"), text("body"))
        };
        for (name, value) in given["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap());
        }
        request
    }
}

/// The program and the site it works for.
#[derive(Clone, Debug)]
pub struct Program {
    binary: PathBuf,
    wordpress: PathBuf,
}

impl Program {
    /// `binary` is `env!("CARGO_BIN_EXE_bento-webhooks")` in a test.
    pub fn new(binary: impl Into<PathBuf>, wordpress: &Path) -> Program {
        Program {
            binary: binary.into(),
            wordpress: wordpress.to_path_buf(),
        }
    }

    /// The file that is run.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The same site, with another program in front that is told in its arguments what to run.
    pub fn started_by(&self, program: &str) -> Program {
        Program::new(program, &self.wordpress)
    }

    /// Starts the program for a request; nothing is written to it yet.
    pub fn spawn(&self, request: &Request) -> Child {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let mut command = Command::new(&self.binary);
        command
            .args(&request.arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("GATEWAY_INTERFACE", "CGI/1.1")
            .env("SERVER_PROTOCOL", "HTTP/1.1")
            .env("SERVER_SOFTWARE", "test")
            .env("SERVER_NAME", "shop.example.test")
            .env("SERVER_PORT", "80")
            .env("REMOTE_ADDR", "192.0.2.1")
            .env("HTTP_HOST", "shop.example.test")
            .env("REQUEST_METHOD", &request.method)
            .env("REQUEST_URI", &request.target)
            .env("SCRIPT_NAME", path)
            .env("QUERY_STRING", query)
            .env("BENTO_WEBHOOKS_WORDPRESS", &self.wordpress)
            // A test says itself when the worker works.
            .env("BENTO_WEBHOOKS_WORKER", "cron");
        for (name, value) in &request.headers {
            command.env(variable(name), value);
        }
        if let Some(length) = announced(&request.body) {
            command.env("CONTENT_LENGTH", length);
        }
        command.envs(
            request
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        );
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Starts the program for a request with a whole body, and hands it over.
    pub fn start(&self, request: &Request) -> Child {
        let Body::Exact(body) = &request.body else {
            panic!("only a whole body can be handed over at once");
        };
        let mut child = self.spawn(request);
        // A program that is gone already takes nothing.
        drop(child.stdin.take().unwrap().write_all(body));
        child
    }

    /// Starts a command, as from cron.
    pub fn start_command(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HTTP_HOST", "shop.example.test")
            .env("BENTO_WEBHOOKS_WORDPRESS", &self.wordpress)
            .env("BENTO_WEBHOOKS_WORKER", "cron")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs a command, as from cron.
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.start_command(arguments).wait_with_output().unwrap()
    }

    /// Does everything that is due in the inbox; what fails once more is left there.
    pub fn work(&self) {
        let output = self.command(&["work", "--now"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Runs one request to its end.
    pub fn run(&self, request: &Request) -> Answer {
        let begun = Instant::now();
        let mut child = self.spawn(request);
        let input = child.stdin.take().unwrap();
        let body = request.body.clone();
        let writer = thread::spawn(move || feed(input, body));
        let mut output = child.stdout.take().unwrap();
        let mut errors = child.stderr.take().unwrap();
        let error_reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            errors
                .read_to_end(&mut bytes)
                .map(|_| String::from_utf8_lossy(&bytes).into_owned())
        });
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            output.read_to_end(&mut bytes).map(|_| bytes)
        });
        while !reader.is_finished() && begun.elapsed() < PATIENCE {
            // Reading has no time limit of its own.
            thread::sleep(Duration::from_millis(1));
        }
        let elapsed = begun.elapsed();
        let answered = reader.is_finished();
        if !answered {
            drop(child.kill());
        }
        let exit = child.wait().unwrap();
        let raw = reader.join().unwrap().unwrap();
        let stderr = error_reader.join().unwrap().unwrap();
        let (unread, _open_until_here) = writer.join().unwrap();
        assert!(
            answered,
            "no answer within {PATIENCE:?} to {request}\nstderr: {stderr}"
        );
        Answer::parse(request, raw, stderr, exit, elapsed, unread)
    }
}

/// The CGI variable of a header.
fn variable(header: &str) -> String {
    let name = header.to_ascii_uppercase().replace('-', "_");
    if name == "CONTENT_TYPE" {
        name
    } else {
        format!("HTTP_{name}")
    }
}

fn announced(body: &Body) -> Option<String> {
    match body {
        Body::Exact(bytes) if bytes.is_empty() => None,
        Body::Exact(bytes) => Some(bytes.len().to_string()),
        Body::Announced { length, .. } => length.clone(),
        Body::Slow { pieces, .. } => Some(pieces.iter().map(Vec::len).sum::<usize>().to_string()),
        Body::Unfinished { length, .. } => Some(length.clone()),
    }
}

/// Writes the body; how many bytes the program did not take, and the pipe if it is to stay open.
fn feed(mut input: ChildStdin, body: Body) -> (usize, Option<ChildStdin>) {
    let (pieces, pause, stays_open) = match body {
        Body::Exact(bytes) | Body::Announced { bytes, .. } => (vec![bytes], Duration::ZERO, false),
        Body::Slow { pieces, pause } => (pieces, pause, false),
        Body::Unfinished { bytes, .. } => (vec![bytes], Duration::ZERO, true),
    };
    let mut left: usize = pieces.iter().map(Vec::len).sum();
    for part in pieces.iter().flat_map(|piece| piece.chunks(64 << 10)) {
        if input.write_all(part).is_err() {
            break;
        }
        left -= part.len();
        if pieces.len() > 1 {
            thread::sleep(pause);
        }
    }
    (left, stays_open.then_some(input))
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = match &self.body {
            Body::Exact(bytes) => {
                String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned()
            }
            other => format!("{:.600}", format!("{other:?}")),
        };
        write!(
            formatter,
            "{} {}\n  headers: {:?}\n  body: {body}",
            self.method, self.target, self.headers
        )
    }
}

/// What the program answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// All headers but `Status`, in order.
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub stderr: String,
    pub elapsed: Duration,
    /// Bytes of the body that the program did not read.
    pub unread: usize,
    request: String,
}

impl Answer {
    fn parse(
        request: &Request,
        raw: Vec<u8>,
        stderr: String,
        exit: ExitStatus,
        elapsed: Duration,
        unread: usize,
    ) -> Answer {
        let text = String::from_utf8(raw)
            .unwrap_or_else(|error| panic!("the answer is not UTF-8: {error}"));
        let shown = format!("{request}\n  answer: {text}\n  stderr: {stderr}\n  exit: {exit}");
        let whole = || format!("not a CGI answer\n{shown}");
        let (head, body) = text
            .split_once("\r\n\r\n")
            .or_else(|| text.split_once("\n\n"))
            .unwrap_or_else(|| panic!("{}", whole()));
        let mut headers: Vec<(String, String)> = head
            .lines()
            .map(|line| {
                line.split_once(": ")
                    .unwrap_or_else(|| panic!("{}", whole()))
            })
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let status = headers
            .iter()
            .position(|(name, _)| name == "Status")
            .unwrap_or_else(|| panic!("{}", whole()));
        let status = headers.remove(status).1;
        let status = status
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap_or_else(|_| panic!("{}", whole()));
        let answer = Answer {
            status,
            headers,
            body: body.to_string(),
            stderr,
            elapsed,
            unread,
            request: shown,
        };
        answer.check_form(request);
        answer
    }

    /// What holds for every answer, whatever the question was.
    fn check_form(&self, request: &Request) {
        for name in [
            "Content-Type",
            "Content-Length",
            "Cache-Control",
            "X-Bento-Webhooks",
        ] {
            let count = self
                .headers
                .iter()
                .filter(|(known, _)| known == name)
                .count();
            assert_eq!(count, 1, "header {name}\n{self}");
        }
        assert_eq!(self.header("Cache-Control"), Some("no-store"), "{self}");
        assert!(
            self.header("X-Bento-Webhooks")
                .is_some_and(|value| value.contains("bento-webhooks")),
            "{self}"
        );
        if request.method == "HEAD" {
            assert_eq!(self.body, "", "{self}");
        } else {
            let length = self
                .header("Content-Length")
                .and_then(|value| value.parse::<usize>().ok());
            assert_eq!(length, Some(self.body.len()), "Content-Length\n{self}");
        }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body, which must be one JSON object.
    pub fn json(&self) -> Value {
        assert!(
            self.header("Content-Type")
                .is_some_and(|value| value.starts_with("application/json")),
            "{self}"
        );
        match serde_json::from_str(&self.body) {
            Ok(Value::Object(object)) => Value::Object(object),
            other => panic!("the body is {other:?}\n{self}"),
        }
    }

    /// The member `result` of the body.
    pub fn result(&self) -> String {
        self.json()["result"]
            .as_str()
            .unwrap_or_default()
            .to_string()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "  request: {}", self.request)
    }
}
