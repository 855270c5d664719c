//! `DB_HOST` as WordPress and PHP take it apart.
//!
//! PHP goes to the Unix socket whenever the host is `localhost`, and then ignores the port.

use std::path::PathBuf;

const DEFAULT_PORT: u16 = 3306;

/// Where the database server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DbHost {
    /// The Unix socket of this path.
    Socket(PathBuf),
    /// The Unix socket PHP was built with; the program has to try the usual paths.
    DefaultSocket,
    /// A host name, IPv4 address or IPv6 address without brackets.
    Tcp {
        /// The name or address.
        host: String,
        /// The port, 3306 unless given.
        port: u16,
    },
}

impl DbHost {
    /// Reads the value of the constant; none when PHP could not connect with it either.
    pub fn parse(text: &str) -> Option<Self> {
        // A value WordPress cannot split goes to PHP whole, which knows `p:` for a kept connection.
        let split = Split::of(text).or_else(|| Split::of(text.strip_prefix("p:")?))?;
        if split.host.is_empty() || split.host.eq_ignore_ascii_case("localhost") {
            return Some(match split.socket {
                Some(socket) => Self::Socket(socket.into()),
                None => Self::DefaultSocket,
            });
        }
        let port = match split.port {
            None => DEFAULT_PORT,
            Some(port) => match port.parse().ok()? {
                0 => DEFAULT_PORT,
                port => port,
            },
        };
        let host = split.host.to_owned();
        let plain = !host
            .chars()
            .any(|letter| letter.is_whitespace() || letter.is_control());
        plain.then_some(Self::Tcp { host, port })
    }
}

/// The parts `wpdb::parse_db_host` finds.
#[derive(Debug, PartialEq)]
pub(super) struct Split<'a> {
    pub(super) host: &'a str,
    pub(super) port: Option<&'a str>,
    pub(super) socket: Option<&'a str>,
    pub(super) ipv6: bool,
}

impl<'a> Split<'a> {
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let (rest, socket) = match text.find(":/") {
            Some(at) => (text.get(..at)?, text.get(at + 1..)),
            None => (text, None),
        };
        let ipv6 = rest.matches(':').count() > 1;
        let (host, after) = if ipv6 {
            let inside = rest.strip_prefix('[').unwrap_or(rest);
            let host = leading(inside, |byte| byte.is_ascii_hexdigit() || byte == b':')?;
            let after = inside.get(host.len()..)?;
            (host, after.strip_prefix("]:"))
        } else {
            let host = leading(rest, |byte| byte != b':' && byte != b'/').unwrap_or_default();
            (host, rest.get(host.len()..)?.strip_prefix(':'))
        };
        Some(Self {
            host,
            port: after.and_then(|after| leading(after, |byte| byte.is_ascii_digit())),
            socket,
            ipv6,
        })
    }
}

/// The longest start of such bytes, if there is any.
fn leading(text: &str, keep: impl Fn(u8) -> bool) -> Option<&str> {
    let end = text
        .bytes()
        .position(|byte| !keep(byte))
        .unwrap_or(text.len());
    text.get(..end).filter(|start| !start.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    fn tcp(host: &str, port: u16) -> Option<DbHost> {
        let host = host.to_owned();
        Some(DbHost::Tcp { host, port })
    }

    #[test]
    fn hosts_are_split_as_by_wordpress() {
        let vectors: Json =
            serde_json::from_str(include_str!("../../tests/vectors/db_host.json")).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 33);
        for case in cases {
            let split = Split::of(case["in"].as_str().unwrap());
            let out = &case["out"];
            let expected = out.is_object().then(|| out["host"].as_str().unwrap());
            assert_eq!(split.as_ref().map(|split| split.host), expected, "{case}");
            let Some(split) = split else { continue };
            let port = split.port.map(|port| port.parse::<u64>().unwrap());
            assert_eq!(port, out["port"].as_u64(), "{case}");
            assert_eq!(split.socket, out["socket"].as_str(), "{case}");
            assert_eq!(split.ipv6, out["ipv6"].as_bool().unwrap(), "{case}");
        }
    }

    #[test]
    fn localhost_means_the_socket_whatever_the_port() {
        let socket = |path: &str| Some(DbHost::Socket(path.into()));
        for (text, expected) in [
            ("localhost:3307", Some(DbHost::DefaultSocket)),
            ("LOCALHOST", Some(DbHost::DefaultSocket)),
            ("", Some(DbHost::DefaultSocket)),
            ("/tmp/mysql.sock", Some(DbHost::DefaultSocket)),
            ("localhost:/tmp/a.sock", socket("/tmp/a.sock")),
            (":/tmp/a.sock", socket("/tmp/a.sock")),
            ("localhost:3307:/tmp/a.sock", socket("/tmp/a.sock")),
            ("localhost:/cloudsql/p:r:i", socket("/cloudsql/p:r:i")),
            ("127.0.0.1", tcp("127.0.0.1", 3306)),
            ("db:3307", tcp("db", 3307)),
            ("db:0", tcp("db", 3306)),
            ("db:/tmp/a.sock", tcp("db", 3306)),
            ("[::1]:3307", tcp("::1", 3307)),
            ("2001:db8::5", tcp("2001:db8::5", 3306)),
            ("p:127.0.0.1:3307", tcp("127.0.0.1", 3307)),
            ("db:99999", None),
            (" localhost", None),
            ("x:y:z", None),
        ] {
            assert_eq!(DbHost::parse(text), expected, "{text}");
        }
    }
}
