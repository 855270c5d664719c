//! A stand-in Bento on a loopback port: subscribers, tags, fields, commands and events, with scripted faults.
//!
//! It keeps every call. It never talks to the outside, and unlike the real service it applies commands at once,
//! so that a test can look at the subscriber afterwards.

mod reply;
mod world;

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use reply::Reply;
pub use world::{Account, Fault, Flaw, Limit, Script, Subscriber, Tag, Unknown, World};

/// Requests larger than this are a mistake of the test.
const MAX_BODY: usize = 8 << 20;

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
    /// When it had arrived whole.
    pub at: Instant,
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
            let fault = world.next_fault();
            (reply::answer(&mut world, &call, fault), world.latency)
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
        at: Instant::now(),
    }))
}
