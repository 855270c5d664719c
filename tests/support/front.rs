//! TLS in front of the stand-in Bento, as the real one has it: takes the encryption off and passes the requests on.
//!
//! It keeps connections open between requests, notes when each call came and how much went over the wire unencrypted,
//! and can answer like a service that limits its calls. It ends with the process.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each binary that includes this file uses another part of it, and stops at the first surprise"
)]

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// One call, as it came.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub at: SystemTime,
    /// Head and body.
    pub request: Vec<u8>,
    /// Bytes of the answer.
    pub answered: usize,
}

/// The running front.
pub struct Front {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    behind: String,
    exchanges: Mutex<Vec<Exchange>>,
    /// Calls that are answered in one minute; all when there is none.
    limit: Mutex<Option<usize>>,
    recent: Mutex<Vec<Instant>>,
}

impl Front {
    /// Starts in front of a server on this machine (`host:port`), with `cert.pem` and `key.pem` of a folder.
    pub fn start(folder: &Path, behind: &str) -> Front {
        let config = Arc::new(tls(folder));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            behind: behind.to_owned(),
            exchanges: Mutex::new(Vec::new()),
            limit: Mutex::new(None),
            recent: Mutex::new(Vec::new()),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let server = Arc::clone(&server);
                // A client that does not trust the certificate hangs up; that is not a failure of the front.
                thread::spawn(move || drop(serve(StreamOwned::new(tls, client), &server)));
            }
        });
        Front { port, shared }
    }

    /// The port on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All calls so far, in order.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.exchanges.lock().unwrap().clone()
    }

    /// Answers only so many calls a minute from now on, the others with 429.
    pub fn limit(&self, calls: Option<usize>) {
        *self.shared.limit.lock().unwrap() = calls;
        self.shared.recent.lock().unwrap().clear();
    }
}

impl Shared {
    /// Whether another call fits into the running minute.
    fn admits(&self) -> bool {
        let Some(limit) = *self.limit.lock().unwrap() else {
            return true;
        };
        let mut recent = self.recent.lock().unwrap();
        recent.retain(|call| call.elapsed() < Duration::from_secs(60));
        let fits = recent.len() < limit;
        if fits {
            recent.push(Instant::now());
        }
        fits
    }
}

fn tls(folder: &Path) -> ServerConfig {
    let pem = |name: &str| BufReader::new(File::open(folder.join(name)).unwrap());
    let chain = CertificateDer::pem_reader_iter(pem("cert.pem"));
    let chain: Vec<CertificateDer<'static>> = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_reader(pem("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

/// Answers requests until the client has had enough.
fn serve(client: StreamOwned<ServerConnection, TcpStream>, shared: &Shared) -> io::Result<()> {
    client.sock.set_nodelay(true)?;
    let mut client = BufReader::new(client);
    while let Some(request) = read_request(&mut client)? {
        let at = SystemTime::now();
        let answer = if shared.admits() {
            pass_on(&request, &shared.behind)?
        } else {
            b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 15\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".to_vec()
        };
        let answered = answer.len();
        shared.exchanges.lock().unwrap().push(Exchange {
            at,
            request,
            answered,
        });
        client.get_mut().write_all(&answer)?;
        client.get_mut().flush()?;
    }
    client.get_mut().conn.send_close_notify();
    client.get_mut().flush()
}

/// One request with its body; `None` when there are no more.
fn read_request(client: &mut impl io::BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    let mut length = 0;
    loop {
        let begin = request.len();
        if client.read_until(b'\n', &mut request)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&request[begin..]).to_ascii_lowercase();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    client.take(length).read_to_end(&mut request)?;
    Ok(Some(request))
}

fn pass_on(request: &[u8], behind: &str) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(behind)?;
    server.write_all(request)?;
    server.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}
