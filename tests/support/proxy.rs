//! Stands between the program and MariaDB, and knows where one packet of their protocol ends and the next begins.
//!
//! It can stop the traffic before or after a packet, so that a test can kill the program or take the server away right
//! there, and it can answer a statement with an error that the server would send. It never looks into a result: only
//! the frame of a packet and the text of a statement are read.

use std::fs;
use std::io::{BufReader, Read, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The first byte of a packet that carries SQL text.
const QUERY: u8 = 3;
/// A deadlock undoes the whole transaction; any other error only the statement.
pub const DEADLOCK: u16 = 1213;
/// A lock that was not to be had in time.
pub const LOCK_WAIT: u16 = 1205;

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
    /// The statement of this number is answered with this error of the server.
    Fail(usize, u16),
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
    packets: usize,
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
                packets: 0,
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

    /// Begins to count anew, with this plan.
    pub fn begin(&self, plan: Plan) {
        let mut state = self.shared.lock();
        state.plan = plan;
        state.packets = 0;
        state.statements.clear();
        state.stopped = false;
        state.reached = false;
    }

    /// How many packets have come since the beginning.
    pub fn packets(&self) -> usize {
        self.shared.lock().packets
    }

    /// The statements that have come since the beginning.
    pub fn statements(&self) -> Vec<String> {
        self.shared.lock().statements.clone()
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
        let going_on = |state: &mut State| !state.reached && state.pumps > 0;
        let state = self.shared.changed.wait_while(self.shared.lock(), going_on);
        state.unwrap_or_else(PoisonError::into_inner).reached
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

    /// A statement, if it is one. A login has a number above 0.
    fn statement(&self) -> Option<String> {
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

    fn error(sequence: u8, code: u16) -> Packet {
        let state = if code == DEADLOCK { "#40001" } else { "#HY000" };
        let payload = [
            &[0xff],
            &code.to_le_bytes()[..],
            state.as_bytes(),
            b"scripted",
        ]
        .concat();
        Packet { sequence, payload }
    }
}

/// What both directions of one connection share: the error that takes the place of the next answer.
type Fault = Arc<Mutex<Option<u16>>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
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
    let fault = Fault::default();
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
        let (shared, fault) = (Arc::clone(shared), Arc::clone(&fault));
        thread::spawn(move || {
            pump(way, &from, &to, round, &shared, &fault);
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
    fault: &Fault,
) {
    let mut reader = BufReader::new(from);
    while let Some(packet) = Packet::read(&mut reader) {
        let Some((packet, is_last)) = shared.admit(way, packet, round, fault) else {
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
        fault: &Fault,
    ) -> Option<(Packet, bool)> {
        let mut state = self.wait_while_stopped(self.lock(), round)?;
        state.packets += 1;
        let number = state.packets;
        if state.plan == Plan::Stop(Side::Before, number) {
            state.stopped = true;
            state.reached = true;
            self.changed.notify_all();
            state = self.wait_while_stopped(state, round)?;
        }
        let is_last = state.plan == Plan::Stop(Side::After, number);
        state.stopped |= is_last;
        let packet = match way {
            Way::ToServer => state.command(packet, fault),
            Way::ToClient => answer(packet, fault),
        };
        Some((packet, is_last))
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
    /// What the server gets to see. A statement that is to fail gives way to one that does what the error stands for.
    fn command(&mut self, packet: Packet, fault: &Fault) -> Packet {
        let Some(text) = packet.statement() else {
            return packet;
        };
        self.statements.push(text);
        match self.plan {
            Plan::Fail(number, code) if number == self.statements.len() => {
                *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
                Packet::query(if code == DEADLOCK { "ROLLBACK" } else { "DO 0" })
            }
            _ => packet,
        }
    }
}

/// What the program gets to see.
fn answer(packet: Packet, fault: &Fault) -> Packet {
    let code = fault.lock().unwrap_or_else(PoisonError::into_inner).take();
    match code {
        Some(code) => Packet::error(packet.sequence, code),
        None => packet,
    }
}
