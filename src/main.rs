//! CGI or command? Hands over, and is the last to answer when everything else failed.

use bento_webhooks::cgi::{Answer, Request};
use bento_webhooks::outcome::{Outcome, Trouble};
use bento_webhooks::{command, http, receive, report};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// After this time a request that has not been answered is answered with 503 and ended.
const WATCHDOG: Duration = Duration::from_secs(25);
const STUCK: &str = "nothing moved for 25 seconds";
/// After this time a request that still looks up a name is answered and ended: senders wait five seconds.
const NAMES: Duration = Duration::from_millis(4700);
const NAMELESS: &str = "no name server answers";

/// Whether somebody has begun to write the answer.
static ANSWERED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    // The text of a panic may hold foreign or secret text; its place is enough to find it.
    panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(|place| format!("{}:{}", place.file(), place.line()))
            .unwrap_or_default();
        let _ = writeln!(io::stderr(), "bento-webhooks: panic at {place}");
    }));
    let is_set = |name: &str| std::env::var_os(name).is_some();
    if is_set("GATEWAY_INTERFACE") || is_set("REQUEST_METHOD") {
        serve();
        return ExitCode::SUCCESS;
    }
    command::run(std::env::args_os().skip(1))
}

/// Answers one CGI request, whatever happens.
fn serve() {
    let start = Instant::now();
    // A byte that is no UTF-8 in one parameter must not hide the others.
    let env = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let method = env("REQUEST_METHOD")
        .unwrap_or_default()
        .trim()
        .to_ascii_uppercase();
    let story = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut body = Body {
            until: start + WATCHDOG,
        };
        let request = match Request::read(&env, &mut body) {
            Ok(request) => request,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Some((receive::cut_short(Trouble::database(STUCK)).into(), false));
            }
            Err(_) => return None,
        };
        let is_watched = Cell::new(false);
        let outcome = receive::run(&request, &env, &|| {
            if !is_watched.replace(true) {
                watch(start);
            }
        });
        Some((outcome, request.wants_page()))
    }));
    let (outcome, wants_page) = story
        .ok()
        .flatten()
        .unwrap_or_else(|| (receive::cut_short(Trouble::Bug).into(), false));
    say(&outcome, start);
    write(&outcome.answer(wants_page), &method);
}

/// Standard input up to a moment.
struct Body {
    until: Instant,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stdin = io::stdin();
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                // Past the buffer of the standard library, in which poll() would not see what is there.
                Ok(_) => return Ok(rustix::io::read(&stdin, buffer)?),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// One line for the web server's error log.
fn say(outcome: &Outcome, start: Instant) {
    let line = report::line(outcome, start.elapsed()) + "\n";
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Writes the answer, unless it has been written. A caller who has gone away is no error.
fn write(answer: &Answer, method: &str) {
    if !ANSWERED.swap(true, Ordering::SeqCst) {
        let _ = answer.write(method, &mut io::stdout().lock());
    }
}

/// Ends the process when a request takes too long. A thread costs more than reading the settings does, so it is hired only
/// for what keeps no time by itself. Where the account has reached its process limit there is no watchdog: then the time
/// limits of the single steps must do.
fn watch(start: Instant) {
    let _ = std::thread::Builder::new()
        .stack_size(64 << 10)
        .spawn(move || {
            let sleep_until = |after: Duration| {
                std::thread::sleep((start + after).saturating_duration_since(Instant::now()));
            };
            sleep_until(NAMES);
            if http::is_looking_up() {
                bite(Trouble::bento(NAMELESS), start);
            }
            sleep_until(WATCHDOG);
            bite(Trouble::database(STUCK), start);
        });
}

/// Answers in place of a request that is stuck, and ends the process.
fn bite(trouble: Trouble, start: Instant) -> ! {
    let outcome: Outcome = receive::cut_short(trouble).into();
    say(&outcome, start);
    write(&outcome.answer(false), "POST");
    std::process::exit(1);
}
