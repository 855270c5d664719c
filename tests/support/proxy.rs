//! Stands between the program and MariaDB, and knows where one packet of their protocol ends and the next begins.
//!
//! It can stop the traffic before or after a packet, so that a test can kill the program or take the server away right
//! there. It can also let one statement fail, even in the middle of a packet that carries several: the server is given
//! those before it, and the program the error. Of what goes by it reads the text of statements and how far an answer
//! has come, never a value.

use std::fs;
use std::io::{BufReader, Read, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::database::pieces;

/// The first byte of a packet that carries SQL text.
const QUERY: u8 = 3;
/// What a login says when answers end in another way than the one that is known here.
const DEPRECATE_EOF: u32 = 1 << 24;
/// Of the server's status: another answer follows.
const MORE: u8 = 8;

/// Which side of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// What happens to the traffic. Packets and statements are counted from 1, over all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Everything passes.
    Pass,
    /// All traffic stops before or after the packet of this number.
    Stop(Side, usize),
    /// The statement of this number, and what its packet carries behind it, meets a mishap.
    Fail(usize, Mishap),
}

/// How a statement fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Error 1213: the whole transaction is undone.
    Deadlock,
    /// Error 1205: the statement is undone.
    LockWait,
    /// The statement never comes to the server, and the connection is gone.
    Loss,
}

/// The running proxy; it stops when dropped.
pub struct Proxy {
    socket: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    plan: Plan,
    packets: Vec<Way>,
    statements: Vec<String>,
    /// Nothing passes any more.
    stopped: bool,
    /// The stop is complete: what was to pass has passed.
    reached: bool,
    /// Raised by hanging up; a pump that waits goes away then.
    round: usize,
    open: Vec<UnixStream>,
    pumps: usize,
    ended: bool,
}

impl Proxy {
    /// Starts passing everything on to a server's socket, on a socket of its own in `folder`.
    pub fn start(folder: &Path, server: &Path) -> Proxy {
        let socket = folder.join("proxy.sock");
        drop(fs::remove_file(&socket));
        let listener = UnixListener::bind(&socket).unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                plan: Plan::Pass,
                packets: Vec::new(),
                statements: Vec::new(),
                stopped: false,
                reached: false,
                round: 0,
                open: Vec::new(),
                pumps: 0,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let (own, server) = (Arc::clone(&shared), server.to_path_buf());
        thread::spawn(move || accept(&listener, &server, &own));
        Proxy { socket, shared }
    }

    /// The value for `DB_HOST` that leads here.
    pub fn db_host(&self) -> String {
        format!("localhost:{}", self.socket.display())
    }

    /// Begins to count anew, with this plan, once the connections from before have come to their end.
    pub fn begin(&self, plan: Plan) {
        let mut state = self.at_the_end();
        state.plan = plan;
        state.packets.clear();
        state.statements.clear();
        state.stopped = false;
        state.reached = false;
    }

    /// Which ways the packets went that have come since the beginning, once all connections have come to their end.
    pub fn packets(&self) -> Vec<Way> {
        self.at_the_end().packets.clone()
    }

    /// The statements that have come since the beginning, once all connections have come to their end.
    pub fn statements(&self) -> Vec<String> {
        self.at_the_end().statements.clone()
    }

    /// Waits until all connections have come to their end: the last packet of one may come here after its process is
    /// gone.
    fn at_the_end(&self) -> MutexGuard<'_, State> {
        self.quiet_when(|_| false)
    }

    /// Waits until all connections have come to their end, or for something else.
    fn quiet_when(&self, or: fn(&State) -> bool) -> MutexGuard<'_, State> {
        let going_on = |state: &mut State| !or(state) && state.pumps > 0;
        let state = self.shared.changed.wait_while(self.shared.lock(), going_on);
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits this long for the traffic to stop; whether it has.
    pub fn has_stopped(&self, patience: Duration) -> bool {
        let state = self.shared.lock();
        let waiting = |state: &mut State| !state.reached;
        let result = self
            .shared
            .changed
            .wait_timeout_while(state, patience, waiting);
        result.unwrap_or_else(PoisonError::into_inner).0.reached
    }

    /// Waits until all connections have come to their end or the traffic has stopped; whether it has.
    pub fn stops_at_last(&self) -> bool {
        self.quiet_when(|state| state.reached).reached
    }

    /// Closes every connection on both sides, as when a process is gone, and lets new ones pass.
    pub fn hang_up(&self) {
        let mut state = self.shared.lock();
        state.round += 1;
        state.plan = Plan::Pass;
        state.stopped = false;
        for stream in state.open.drain(..) {
            // The other side may have closed it already.
            drop(stream.shutdown(Shutdown::Both));
        }
        self.shared.changed.notify_all();
        let waiting = |state: &mut State| state.pumps > 0;
        drop(self.shared.changed.wait_while(state, waiting));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        // Wakes the listener so that it sees the flag.
        drop(UnixStream::connect(&self.socket));
        drop(fs::remove_file(&self.socket));
    }
}

/// One packet: its number within the exchange, and what it carries.
struct Packet {
    sequence: u8,
    payload: Vec<u8>,
}

impl Packet {
    fn read(reader: &mut impl Read) -> Option<Packet> {
        let mut head = [0; 4];
        reader.read_exact(&mut head).ok()?;
        let [a, b, c, sequence] = head;
        let length = u32::from_le_bytes([a, b, c, 0]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        reader.read_exact(&mut payload).ok()?;
        Some(Packet { sequence, payload })
    }

    fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap().to_le_bytes();
        [&length[..3], &[self.sequence], &self.payload].concat()
    }

    /// SQL text, if it is that. A login has a number above 0.
    fn text(&self) -> Option<String> {
        match self.payload.split_first() {
            Some((&QUERY, text)) if self.sequence == 0 => {
                Some(String::from_utf8_lossy(text).into_owned())
            }
            _ => None,
        }
    }

    fn query(text: &str) -> Packet {
        let payload = [&[QUERY], text.as_bytes()].concat();
        Packet {
            sequence: 0,
            payload,
        }
    }

    fn error(sequence: u8, code: u16, state: &[u8]) -> Packet {
        let payload = [&[0xff], &code.to_le_bytes()[..], b"#", state, b"scripted"].concat();
        Packet { sequence, payload }
    }

    /// Where the status stands in an answer without rows: behind two numbers.
    fn status_at(&self) -> usize {
        let second = 1 + number_size(self.byte(1));
        second + number_size(self.byte(second))
    }

    fn byte(&self, at: usize) -> u8 {
        self.payload.get(at).copied().unwrap_or_default()
    }
}

/// What both directions of one connection know: how far the answer has come, and what is to happen at its end.
#[derive(Default)]
struct Exchange {
    part: Part,
    mishap: Option<Mishap>,
}

/// What the next packet of an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// The greeting and what belongs to the login.
    #[default]
    Login,
    /// The first of an answer: done, failed, or how many columns come.
    Head,
    /// So many columns, and the mark behind them.
    Columns(usize),
    /// Rows up to the mark behind them.
    Rows,
}

impl Exchange {
    /// Takes notice of one packet of the answer; whether it is the last one.
    fn follow(&mut self, packet: &Packet) -> bool {
        let (first, more) = (packet.byte(0), |at| packet.byte(at) & MORE > 0);
        let (part, is_last) = match (self.part, first) {
            (Part::Login, _) => (Part::Login, false),
            (_, 0xff) => (Part::Head, true),
            (Part::Head, 0x00) => (Part::Head, !more(packet.status_at())),
            (Part::Head, columns) => (Part::Columns(usize::from(columns)), false),
            (Part::Columns(0), _) => (Part::Rows, false),
            (Part::Columns(left), _) => (Part::Columns(left - 1), false),
            (Part::Rows, 0xfe) if packet.payload.len() < 9 => (Part::Head, !more(3)),
            (Part::Rows, _) => (Part::Rows, false),
        };
        self.part = part;
        is_last
    }
}

/// How many bytes a number takes whose first byte this is.
fn number_size(first: u8) -> usize {
    match first {
        0xfc => 3,
        0xfd => 4,
        0xfe => 9,
        _ => 1,
    }
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

fn accept(listener: &UnixListener, server: &Path, shared: &Arc<Shared>) {
    for client in listener.incoming().flatten() {
        if shared.lock().ended {
            return;
        }
        // Without a server the client sees its connection closed, as it would without us.
        if let Ok(server) = UnixStream::connect(server) {
            drop(join(client, server, shared));
        }
    }
}

/// Starts both directions of a connection.
fn join(client: UnixStream, server: UnixStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    let exchange = Arc::new(Mutex::new(Exchange::default()));
    let pairs = [
        (Way::ToServer, client.try_clone()?, server.try_clone()?),
        (Way::ToClient, server.try_clone()?, client.try_clone()?),
    ];
    let round = {
        let mut state = shared.lock();
        state.open.extend([client, server]);
        state.pumps += pairs.len();
        state.round
    };
    for (way, from, to) in pairs {
        let (shared, exchange) = (Arc::clone(shared), Arc::clone(&exchange));
        thread::spawn(move || {
            pump(way, &from, &to, round, &shared, &exchange);
            for stream in [from, to] {
                drop(stream.shutdown(Shutdown::Both));
            }
            shared.lock().pumps -= 1;
            shared.changed.notify_all();
        });
    }
    Ok(())
}

/// Passes packets on until either side closes the connection or the test hangs up.
fn pump(
    way: Way,
    from: &UnixStream,
    mut to: &UnixStream,
    round: usize,
    shared: &Shared,
    exchange: &Mutex<Exchange>,
) {
    let mut reader = BufReader::new(from);
    while let Some(packet) = Packet::read(&mut reader) {
        let Some((packet, is_last)) = shared.admit(way, packet, round, exchange) else {
            return;
        };
        let written = to.write_all(&packet.bytes());
        if is_last {
            shared.lock().reached = true;
            shared.changed.notify_all();
        }
        if written.is_err() {
            return;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the traffic is stopped, counts the packet and says what goes on in its place, and whether it is the
    /// last one. Nothing when the test has hung up.
    fn admit(
        &self,
        way: Way,
        packet: Packet,
        round: usize,
        exchange: &Mutex<Exchange>,
    ) -> Option<(Packet, bool)> {
        let mut state = self.wait_while_stopped(self.lock(), round)?;
        state.packets.push(way);
        let number = state.packets.len();
        if state.plan == Plan::Stop(Side::Before, number) {
            state.stopped = true;
            state.reached = true;
            self.changed.notify_all();
            state = self.wait_while_stopped(state, round)?;
        }
        let is_last = state.plan == Plan::Stop(Side::After, number);
        state.stopped |= is_last;
        let mut exchange = exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let packet = match way {
            Way::ToServer => state.command(packet, &mut exchange),
            Way::ToClient => answer(packet, &mut exchange),
        };
        Some((packet?, is_last))
    }

    fn wait_while_stopped<'s>(
        &'s self,
        state: MutexGuard<'s, State>,
        round: usize,
    ) -> Option<MutexGuard<'s, State>> {
        let waiting = |state: &mut State| state.stopped && state.round == round;
        let state = self.changed.wait_while(state, waiting);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        (state.round == round).then_some(state)
    }
}

impl State {
    /// What the server gets to see; nothing when the connection is to be lost at once.
    fn command(&mut self, packet: Packet, exchange: &mut Exchange) -> Option<Packet> {
        if packet.sequence > 0 {
            let flags = [0, 1, 2, 3].map(|at| packet.byte(at));
            let is_login = exchange.part == Part::Login && packet.payload.len() > 32;
            assert!(
                !is_login || u32::from_le_bytes(flags) & DEPRECATE_EOF == 0,
                "the end of rows would not be seen"
            );
            return Some(packet);
        }
        exchange.part = Part::Head;
        let Some(text) = packet.text() else {
            return Some(packet);
        };
        let before = self.statements.len();
        let pieces = pieces(&text);
        self.statements
            .extend(pieces.iter().map(|piece| (*piece).to_string()));
        let failing = before + 1..=self.statements.len();
        match self.plan {
            Plan::Fail(number, mishap) if failing.contains(&number) => {
                let mut kept = pieces[..number - before - 1].to_vec();
                exchange.mishap = Some(mishap);
                kept.extend(mishap.in_its_place());
                (!kept.is_empty()).then(|| Packet::query(&kept.join("; ")))
            }
            _ => Some(packet),
        }
    }
}

impl Mishap {
    /// A statement with the same effect, whose answer makes room for the error.
    fn in_its_place(self) -> Option<&'static str> {
        match self {
            Mishap::Deadlock => Some("ROLLBACK"),
            Mishap::LockWait => Some("DO 0"),
            Mishap::Loss => None,
        }
    }
}

/// What the program gets to see; nothing when the connection is lost.
fn answer(packet: Packet, exchange: &mut Exchange) -> Option<Packet> {
    let is_last = exchange.follow(&packet);
    let mishap = exchange.mishap.take_if(|_| is_last);
    match mishap {
        // A failure of the server's own comes first.
        _ if is_last && packet.byte(0) == 0xff => Some(packet),
        Some(Mishap::Deadlock) => Some(Packet::error(packet.sequence, 1213, b"40001")),
        Some(Mishap::LockWait) => Some(Packet::error(packet.sequence, 1205, b"HY000")),
        Some(Mishap::Loss) => None,
        None => Some(packet),
    }
}
