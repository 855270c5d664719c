//! A server that cannot outlive its test.
//!
//! A shell waits for the end of its standard input. However the test process ends (success, panic, kill), the pipe
//! closes, and the shell ends the server with all of its children. Those that made a session of their own live on.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const GUARD: &str = r#"
trap : INT TERM HUP
setsid "$@" </dev/null & server=$!
cat >/dev/null
kill -s KILL -- "-$server"; wait "$server" 2>/dev/null
"#;
/// A slow machine needs some seconds; a broken server gets its log shown.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server with all of its children; they end when dropped.
pub struct Guarded(Child);

impl Guarded {
    /// Starts the command; what it says goes to the file.
    pub fn start(command: &[&str], log: &Path) -> Guarded {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Guarded(child)
    }

    /// Waits until `is_up`; panics with the end of the logs when that takes too long.
    pub fn wait(&mut self, is_up: &dyn Fn() -> bool, logs: &[&Path]) {
        let begun = Instant::now();
        while !is_up() {
            let ended = self.0.try_wait().unwrap().is_some();
            if ended || begun.elapsed() > PATIENCE {
                let said = logs.iter().map(std::fs::read_to_string);
                let said: Vec<String> = said.map(Result::unwrap_or_default).collect();
                panic!("the server does not start: {}", said.join("\n"));
            }
            // Servers say nothing when they listen; there is nothing else to wait on.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// A port nobody listens on right now.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Whether somebody listens on the loopback port.
pub(super) fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Whether somebody listens on the socket.
pub(super) fn listens_at(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}
