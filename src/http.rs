//! What every HTTP client of the program has in common: no redirect, no proxy variable, no error for a status, names
//! looked up on the calling thread, and which certificates are trusted.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::text::header_value;

/// Most addresses of a host that are tried.
const MOST_ADDRESSES: usize = 8;

/// Which server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The one that the name in the address leads to.
    Dns,
    /// This very machine, at the port of the address and under its name.
    Here,
}

/// Which certificates are accepted.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Those of the public authorities.
    Public,
    /// Those in place of the public ones.
    Own(Vec<Certificate<'static>>),
    /// All of them.
    Any,
}

impl Trust {
    /// The certificates in a PEM file; `Public` without one. Errs with one sentence.
    pub fn from_file(path: Option<&Path>) -> Result<Trust, &'static str> {
        let Some(path) = path else {
            return Ok(Trust::Public);
        };
        let pem = std::fs::read(path)
            .map_err(|_| "the file BENTO_WEBHOOKS_CA_FILE names cannot be read")?;
        let certificates = parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let certificates: Vec<Certificate<'static>> = certificates.collect();
        if certificates.is_empty() {
            return Err("BENTO_WEBHOOKS_CA_FILE holds no certificate in PEM form");
        }
        Ok(Trust::Own(certificates))
    }

    fn tls(self) -> TlsConfig {
        let tls = TlsConfig::builder();
        match self {
            Trust::Public => tls.build(),
            Trust::Own(certificates) => tls
                .root_certs(RootCerts::new_with_certs(&certificates))
                .build(),
            Trust::Any => tls.disable_verification(true).build(),
        }
    }
}

/// A client that says it works for the site at `home`.
pub fn agent(home: &str, accept: &str, connect: Duration, trust: Trust, route: Route) -> Agent {
    let name = format!("{} (+{home})", crate::echo::PROGRAM);
    let config = Config::builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(header_value(&name))
        .accept(accept)
        .timeout_connect(Some(connect))
        .input_buffer_size(16 << 10)
        .output_buffer_size(16 << 10)
        .tls_config(trust.tls())
        .build();
    Agent::with_parts(config, DefaultConnector::default(), Lookup(route))
}

/// Whether a name is being looked up.
static LOOKING_UP: AtomicBool = AtomicBool::new(false);

/// Whether a name is being looked up right now: the system keeps no time when it does that.
pub fn is_looking_up() -> bool {
    LOOKING_UP.load(Ordering::SeqCst)
}

/// Looks names up on this thread: ureq's own resolver starts a thread when time is limited, which panics where an account
/// has reached its process limit.
struct Lookup(Route);

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let port = match uri.scheme_str() {
            Some("http") => uri.port_u16().unwrap_or(80),
            _ => uri.port_u16().unwrap_or(443),
        };
        let mut addresses = self.empty();
        if self.0 == Route::Here {
            addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            return Ok(addresses);
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        LOOKING_UP.store(true, Ordering::SeqCst);
        let found = (bare, port).to_socket_addrs();
        LOOKING_UP.store(false, Ordering::SeqCst);
        for address in found?.take(MOST_ADDRESSES) {
            addresses.push(address);
        }
        if addresses.is_empty() {
            Err(ureq::Error::HostNotFound)
        } else {
            Ok(addresses)
        }
    }
}
