//! The CGI/1.1 edge: a [`Request`] out of environment and standard input, an [`Answer`] to standard output.
//!
//! This is the only file that reads the CGI environment. It never looks at the arguments: a web server fills them
//! from the address when the query has no `=`. It never reads a proxy variable either: a `Proxy:` header becomes
//! `HTTP_PROXY`. The body is always read to its end, because servers answer 502 or cut the connection when a program
//! leaves part of it.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Largest body that is kept, in bytes (1 MiB). What is longer is read and thrown away.
pub const BODY_LIMIT: usize = 1 << 20;

/// The environment variables of this process, by name; `None` when unset.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The body of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// The whole body, at most [`BODY_LIMIT`] bytes.
    Kept(Vec<u8>),
    /// It was longer than [`BODY_LIMIT`]; it has been read to its end and dropped.
    TooLarge,
}

/// One HTTP request, as the web server handed it over.
pub struct Request {
    /// REQUEST_METHOD, in upper case.
    pub method: String,
    /// QUERY_STRING, undecoded.
    pub query: String,
    /// CONTENT_TYPE in lower case, without parameters.
    pub content_type: String,
    /// Parameter `boundary` of CONTENT_TYPE: what divides the parts of a multipart form.
    pub boundary: Option<String>,
    /// HTTP_ACCEPT.
    pub accept: String,
    /// The body.
    pub body: Body,
    /// Host name in lower case without `:80` and `:443`, as WordPress compares it.
    pub host: String,
    /// Whether it came over https, as WordPress's `is_ssl()` has it.
    pub secure: bool,
    /// Path of the address that was asked for, undecoded, without query.
    pub path: String,
    /// Access keys given in a header: `X-Bento-Webhooks-Key` or `Authorization: Bearer`.
    pub header_keys: Vec<String>,
}

impl Request {
    /// Reads the request; `body` is drained whatever CONTENT_LENGTH says.
    ///
    /// A length that is absent, negative or unreadable means: up to the end of `body` (chunked bodies come so).
    /// Otherwise no more than that many bytes belong to the request.
    pub fn read(env: Environment<'_>, body: &mut dyn Read) -> io::Result<Request> {
        let text = |name: &str| env(name).unwrap_or_default();
        let length = text("CONTENT_LENGTH")
            .trim()
            .parse::<u64>()
            .unwrap_or(u64::MAX);
        let method = text("REQUEST_METHOD").trim().to_ascii_uppercase();
        let content_type = text("CONTENT_TYPE");
        let (content_type, kind_parameters) =
            content_type.split_once(';').unwrap_or((&content_type, ""));
        let uri = text("REQUEST_URI");
        Ok(Request {
            body: read_body(body, length)?,
            query: text("QUERY_STRING"),
            content_type: content_type.trim().to_ascii_lowercase(),
            boundary: header_parameter(kind_parameters, "boundary"),
            accept: text("HTTP_ACCEPT"),
            host: host(&if text("HTTP_HOST").is_empty() {
                text("SERVER_NAME")
            } else {
                text("HTTP_HOST")
            }),
            secure: is_secure(env),
            path: uri.split('?').next().unwrap_or_default().to_owned(),
            header_keys: header_keys(env),
            method,
        })
    }

    /// Whether a person looks at the answer: `Accept` names text/html before application/json and `*/*`.
    pub fn wants_page(&self) -> bool {
        let accept = self.accept.to_ascii_lowercase();
        let first = accept
            .split(',')
            .map(|part| part.split(';').next().unwrap_or_default().trim());
        let mut first =
            first.filter(|kind| ["text/html", "application/json", "*/*"].contains(kind));
        first.next() == Some("text/html")
    }
}

/// The value of `name=value` or `name="value"` among the parameters of a header, if it is not empty.
pub fn header_parameter(parameters: &str, name: &str) -> Option<String> {
    let pairs = parameters
        .split(';')
        .filter_map(|pair| pair.split_once('='));
    let mut values = pairs
        .filter(|(own, _)| own.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"').to_owned());
    values.next().filter(|value| !value.is_empty())
}

/// Reads at most `length` bytes and to the end of the stream, keeping up to [`BODY_LIMIT`].
fn read_body(body: &mut dyn Read, length: u64) -> io::Result<Body> {
    let mut kept = Vec::new();
    let mut body = body.take(length);
    (&mut body)
        .take(BODY_LIMIT as u64 + 1)
        .read_to_end(&mut kept)?;
    if kept.len() <= BODY_LIMIT {
        return Ok(Body::Kept(kept));
    }
    drop(kept);
    io::copy(&mut body, &mut io::sink())?;
    Ok(Body::TooLarge)
}

/// Whether the server speaks TLS: HTTPS says so, or where that is not set the port.
fn is_secure(env: Environment<'_>) -> bool {
    match env("HTTPS") {
        Some(on) => on.eq_ignore_ascii_case("on") || on == "1",
        None => env("SERVER_PORT").is_some_and(|port| port == "443"),
    }
}

/// The host WordPress would see: lower case, without the ports it strips itself.
fn host(raw: &str) -> String {
    let host = raw.trim().to_ascii_lowercase();
    let bare = host
        .strip_suffix(":80")
        .or_else(|| host.strip_suffix(":443"));
    bare.unwrap_or(&host).to_owned()
}

/// Keys in headers. Apache hands `Authorization` on under its REDIRECT_ name after an internal rewrite.
fn header_keys(env: Environment<'_>) -> Vec<String> {
    let mut keys: Vec<String> = env("HTTP_X_BENTO_WEBHOOKS_KEY").into_iter().collect();
    for name in ["HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION"] {
        let Some(value) = env(name) else { continue };
        let Some((scheme, token)) = value.trim().split_once(' ') else {
            continue;
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            keys.push(token.trim().to_owned());
        }
    }
    keys
}

/// Where WordPress is: BENTO_WEBHOOKS_WORDPRESS; else the first folder upward from the one of SCRIPT_FILENAME that
/// holds WordPress; else DOCUMENT_ROOT or its parent. `is_wordpress` looks at a folder.
pub fn wordpress_folder(
    env: Environment<'_>,
    is_wordpress: &dyn Fn(&Path) -> bool,
) -> Option<PathBuf> {
    if let Some(folder) = env("BENTO_WEBHOOKS_WORDPRESS").filter(|folder| !folder.is_empty()) {
        return Some(PathBuf::from(folder));
    }
    let script = env("SCRIPT_FILENAME").map(PathBuf::from);
    let above_script = script.iter().flat_map(|script| script.ancestors().skip(1));
    let root = env("DOCUMENT_ROOT").map(PathBuf::from);
    let at_root = root.iter().flat_map(|root| root.ancestors().take(2));
    above_script
        .chain(at_root)
        .find(|folder| folder.is_absolute() && is_wordpress(folder))
        .map(Path::to_path_buf)
}

/// One HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code and reason phrase, for example `200 OK`.
    pub status: &'static str,
    /// Media type of `body`.
    pub content_type: &'static str,
    /// Header lines beside those that every answer carries: name and value.
    pub headers: Vec<(&'static str, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Writes the answer as CGI wants it. `method` HEAD gets the same head and no body (RFC 3875 §4.3.3).
    ///
    /// Values are constants or pass `text::header_value`, so no header can be split.
    pub fn write(&self, method: &str, out: &mut dyn Write) -> io::Result<()> {
        let mut head = format!(
            "Status: {}\r\nContent-Type: {}\r\n",
            self.status, self.content_type
        );
        head.push_str(&format!(
            "Content-Length: {}\r\nCache-Control: no-store\r\n",
            self.body.len()
        ));
        head.push_str("X-LiteSpeed-Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n");
        head.push_str(&format!(
            "X-Bento-Webhooks: bento-webhooks/{}\r\n",
            env!("CARGO_PKG_VERSION")
        ));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {}\r\n", crate::text::header_value(value)));
        }
        head.push_str("\r\n");
        let mut whole = head.into_bytes();
        if method != "HEAD" {
            whole.extend_from_slice(&self.body);
        }
        out.write_all(&whole)?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn request(vars: &[(&str, &str)], body: &[u8]) -> Request {
        let vars: HashMap<String, String> = vars
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        Request::read(&|name| vars.get(name).cloned(), &mut &body[..]).unwrap()
    }

    #[test]
    fn the_length_is_believed_only_as_far_as_bytes_come() {
        let table: [(&str, &[u8], &[u8]); 8] = [
            ("3", b"abc", b"abc"),
            ("2", b"abc", b"ab"),
            ("9", b"abc", b"abc"),
            ("", b"abc", b"abc"),
            ("-1", b"abc", b"abc"),
            ("many", b"abc", b"abc"),
            ("4294967296", b"abc", b"abc"),
            ("99999999999999999999999", b"abc", b"abc"),
        ];
        for (length, sent, kept) in table {
            assert_eq!(
                request(&[("CONTENT_LENGTH", length)], sent).body,
                Body::Kept(kept.to_vec()),
                "{length}"
            );
        }
    }

    #[test]
    fn a_body_over_the_limit_is_drained_and_dropped() {
        struct Counting(u64);
        impl Read for Counting {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let n = buffer.len().min(self.0 as usize);
                self.0 -= n as u64;
                Ok(n)
            }
        }
        let mut body = Counting(BODY_LIMIT as u64);
        assert_eq!(
            read_body(&mut body, u64::MAX).unwrap(),
            Body::Kept(vec![0; BODY_LIMIT])
        );
        let mut body = Counting(5 * BODY_LIMIT as u64);
        assert_eq!(read_body(&mut body, u64::MAX).unwrap(), Body::TooLarge);
        assert_eq!(body.0, 0);
    }

    #[test]
    fn https_is_what_wordpress_takes_for_it() {
        for (vars, secure) in [
            (&[("HTTPS", "on")][..], true),
            (&[("HTTPS", "ON"), ("SERVER_PORT", "80")], true),
            (&[("HTTPS", "1")], true),
            (&[("SERVER_PORT", "443")], true),
            (&[("HTTPS", "off"), ("SERVER_PORT", "443")], false),
            (&[("HTTPS", ""), ("SERVER_PORT", "443")], false),
            (&[("SERVER_PORT", "80")], false),
            (&[("HTTP_X_FORWARDED_PROTO", "https")], false),
            (&[], false),
        ] {
            assert_eq!(request(vars, b"").secure, secure, "{vars:?}");
        }
    }

    #[test]
    fn a_page_is_for_those_who_name_html_first() {
        let table = [
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("application/json, text/html", false),
            ("*/*", false),
            ("*/*, text/html", false),
            ("image/png, text/html;q=0.1", true),
            ("", false),
        ];
        for (accept, page) in table {
            assert_eq!(
                request(&[("HTTP_ACCEPT", accept)], b"").wants_page(),
                page,
                "{accept}"
            );
        }
    }

    #[test]
    fn host_and_keys_are_read_as_servers_send_them() {
        let r = request(
            &[("HTTP_HOST", "Shop.Example.TEST:443"), ("SERVER_NAME", "x")],
            b"",
        );
        assert_eq!(r.host, "shop.example.test");
        let r = request(
            &[
                ("SERVER_NAME", "shop.test:8080"),
                ("HTTP_AUTHORIZATION", "bearer  k1 "),
            ],
            b"",
        );
        assert_eq!(
            (r.host.as_str(), r.header_keys),
            ("shop.test:8080", vec!["k1".to_owned()])
        );
        let r = request(
            &[
                ("REDIRECT_HTTP_AUTHORIZATION", "Basic k1"),
                ("HTTP_X_BENTO_WEBHOOKS_KEY", "k2"),
            ],
            b"",
        );
        assert_eq!(r.header_keys, vec!["k2".to_owned()]);
    }

    #[test]
    fn the_folder_is_found_upward_from_the_script() {
        let find = |vars: &[(&str, &str)], wordpress: &str| {
            let vars: HashMap<String, String> = vars
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect();
            wordpress_folder(&|name| vars.get(name).cloned(), &|folder| {
                folder == Path::new(wordpress)
            })
        };
        let script = ("SCRIPT_FILENAME", "/home/u/site/bento-webhooks/receive");
        assert_eq!(find(&[script], "/home/u/site"), Some("/home/u/site".into()));
        assert_eq!(
            find(
                &[script, ("BENTO_WEBHOOKS_WORDPRESS", "/else")],
                "/home/u/site"
            ),
            Some("/else".into())
        );
        assert_eq!(
            find(&[("DOCUMENT_ROOT", "/srv/www")], "/srv"),
            Some("/srv".into())
        );
        assert_eq!(find(&[("DOCUMENT_ROOT", "/srv/www")], "/"), None);
    }

    #[test]
    fn an_answer_counts_its_bytes_and_cannot_be_split() {
        let answer = Answer {
            status: "200 OK",
            content_type: "application/json",
            headers: vec![("Allow", "GET\r\nX: y".into())],
            body: "{\"é\":1}".into(),
        };
        let mut out = Vec::new();
        answer.write("GET", &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let (head, body) = out.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains("\r\nContent-Length: 8\r\n") && head.contains("\r\nAllow: GETX: y"),
            "{head}"
        );
        assert_eq!(body, "{\"é\":1}");
        let mut out = Vec::new();
        answer.write("HEAD", &mut out).unwrap();
        assert!(out.ends_with(b"\r\n\r\n"));
    }
}
