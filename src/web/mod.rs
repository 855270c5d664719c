//! The site as the world sees it: requests to its own address, and what the answers are.
//!
//! For setup and doctor, never for a webhook. No redirect is followed, nothing is kept between requests, and an access key
//! is only ever sent, never shown: an address that is printed has passed [`redacted`].

mod certificate;
mod verdict;

pub use certificate::{Certificate, certificate};
pub use verdict::{Verdict, login, redacted};

use crate::http::{self, Route, Trust};
use crate::secret::Secret;
use crate::text::hex;
use rand::TryRng as _;
use rand::rngs::SysRng;
use std::error::Error as _;
use std::fmt;
use std::io::{self, Read as _};
use std::time::{Duration, Instant};
use ureq::Agent;
use url::Url;

/// Time to connect, TLS included.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// Time for one request in all.
const ANSWER_TIME: Duration = Duration::from_secs(6);
/// As much of an answer as is read, in bytes; pages of WordPress may be longer.
const ANSWER_LIMIT: u64 = 1 << 20;

/// The way to a site.
pub struct Web {
    home: Url,
    agent: Agent,
}

/// A request to the site, made step by step.
#[derive(Clone)]
pub struct Ask<'a> {
    path: &'a str,
    query: Vec<(&'a str, &'a str)>,
    headers: Vec<(&'a str, &'a str)>,
    json: Option<&'a [u8]>,
}

/// What the site answered.
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, at most 1 MiB of it.
    pub body: Vec<u8>,
    /// Time until the body was there.
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The name of the host leads nowhere.
    NoName,
    /// Nobody listens there, or a firewall drops what is sent.
    NoConnection,
    /// A connection, but no whole answer in time.
    Slow,
    /// The certificate is not accepted.
    Certificate,
    /// Another trouble with TLS, such as plain HTTP on that port.
    Tls,
    /// The connection was cut, or what came is no HTTP.
    Broken,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::NoName => "the host name cannot be resolved",
            Failure::NoConnection => "no connection",
            Failure::Slow => "no answer in time",
            Failure::Certificate => "the certificate is not accepted",
            Failure::Tls => "the TLS connection failed",
            Failure::Broken => "the connection broke before the answer was whole",
        })
    }
}

impl Web {
    /// The site at the home address `home`; none when that is no http or https address with a host.
    pub fn new(home: &str, trust: Trust, route: Route) -> Option<Web> {
        let mut home_url = Url::parse(home).ok()?;
        if !["http", "https"].contains(&home_url.scheme()) || home_url.host_str().is_none() {
            return None;
        }
        home_url.set_query(None);
        home_url.set_fragment(None);
        if !home_url.path().ends_with('/') {
            let path = format!("{}/", home_url.path());
            home_url.set_path(&path);
        }
        let agent = http::agent(home, "application/json", CONNECT_TIME, trust, route);
        Some(Web {
            home: home_url,
            agent,
        })
    }

    /// The same way to another path, which has a slash at both ends.
    pub fn at(&self, path: &str) -> Web {
        let mut home = self.home.clone();
        home.set_path(path);
        Web {
            home,
            agent: self.agent.clone(),
        }
    }

    /// The home address, with a slash at its end.
    pub fn home(&self) -> &Url {
        &self.home
    }

    /// The address of a request as it may be shown: without its key.
    pub fn shown(&self, ask: &Ask<'_>) -> String {
        redacted(self.address(ask).as_str())
    }

    /// Sends a request and reads the answer.
    pub fn send(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        let start = Instant::now();
        let address = self.address(ask);
        let response = match ask.json {
            None => {
                let request = self.agent.get(address.as_str());
                let request = with_headers(request, &ask.headers);
                let request = request.config().timeout_global(Some(ANSWER_TIME)).build();
                request.call()
            }
            Some(json) => {
                let request = self.agent.post(address.as_str());
                let request = with_headers(request, &ask.headers).content_type("application/json");
                let request = request.config().timeout_global(Some(ANSWER_TIME)).build();
                request.send(json)
            }
        };
        let response = response.map_err(|error| failure(&error))?;
        let (head, body) = response.into_parts();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = head.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
        let mut bytes = Vec::new();
        let reader = &mut body.into_reader().take(ANSWER_LIMIT);
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| io_failure(&error))?;
        Ok(Reply {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: bytes,
            took: start.elapsed(),
        })
    }

    fn address(&self, ask: &Ask<'_>) -> Url {
        let mut address = self.home.clone();
        address.set_path(&format!("{}{}", self.home.path(), ask.path));
        if !ask.query.is_empty() {
            address.query_pairs_mut().extend_pairs(&ask.query);
        }
        address
    }
}

impl<'a> Ask<'a> {
    /// A GET of a path below the home address; `""` is the home page.
    pub fn get(path: &'a str) -> Ask<'a> {
        Ask {
            path,
            query: Vec::new(),
            headers: Vec::new(),
            json: None,
        }
    }

    /// The `test` webhook with a nonce and, in the address, the access key.
    pub fn test(key: &'a Secret, nonce: &'a str) -> Ask<'a> {
        Ask::get("")
            .with("wpf_action", "test")
            .with("access_key", key.expose_str())
            .with("nonce", nonce)
    }

    /// The same with the key in the header `X-Bento-Webhooks-Key` instead.
    pub fn test_by_header(key: &'a Secret, nonce: &'a str) -> Ask<'a> {
        let ask = Ask::get("").with("wpf_action", "test").with("nonce", nonce);
        ask.header("X-Bento-Webhooks-Key", key.expose_str())
    }

    /// With one more parameter in the query.
    pub fn with(mut self, name: &'a str, value: &'a str) -> Ask<'a> {
        self.query.push((name, value));
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &'a str, value: &'a str) -> Ask<'a> {
        self.headers.push((name, value));
        self
    }

    /// As a POST of a JSON body.
    pub fn post(mut self, json: &'a [u8]) -> Ask<'a> {
        self.json = Some(json);
        self
    }
}

impl Reply {
    /// The first header of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A text that no earlier request has carried. Without randomness, the clock must do.
pub fn nonce() -> String {
    let mut bytes = [0; 16];
    if SysRng.try_fill_bytes(&mut bytes).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        bytes = now.unwrap_or_default().as_nanos().to_be_bytes();
    }
    hex(&bytes)
}

fn with_headers<B>(
    request: ureq::RequestBuilder<B>,
    headers: &[(&str, &str)],
) -> ureq::RequestBuilder<B> {
    headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    })
}

fn failure(error: &ureq::Error) -> Failure {
    match error {
        ureq::Error::HostNotFound => Failure::NoName,
        ureq::Error::Timeout(ureq::Timeout::Connect) => Failure::NoConnection,
        ureq::Error::Timeout(_) => Failure::Slow,
        ureq::Error::ConnectionFailed => Failure::NoConnection,
        ureq::Error::Rustls(rustls::Error::InvalidCertificate(_)) => Failure::Certificate,
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => Failure::Tls,
        ureq::Error::Io(error) => io_failure(error),
        _ => Failure::Broken,
    }
}

fn io_failure(error: &io::Error) -> Failure {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        return failure(error);
    }
    let tls = inner
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .or_else(|| error.source().and_then(|source| source.downcast_ref()));
    match (tls, error.kind()) {
        (Some(rustls::Error::InvalidCertificate(_)), _) => Failure::Certificate,
        (Some(_), _) => Failure::Tls,
        (None, io::ErrorKind::ConnectionRefused) => Failure::NoConnection,
        (None, io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            Failure::NoConnection
        }
        (None, io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => Failure::Slow,
        // What the system's resolver says has a kind of its own that cannot be named.
        (None, _) if error.to_string().contains("lookup") => Failure::NoName,
        (None, _) => Failure::Broken,
    }
}
