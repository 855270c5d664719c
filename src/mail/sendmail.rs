//! The sendmail command: the mail goes to its standard input, and its exit status says what became of it.
//!
//! No shell, and nothing of the mail in the arguments, which everybody on the machine can read. The command gets none
//! of the request's environment: there are keys in it. What it prints goes nowhere: standard output is the answer to the
//! webhook. A command that does not end in time is killed with all that it has started: behind a host's script that counts
//! mails the real sendmail would go on, and the mail, sent again later, would leave twice.
//!
//! The end of the mail is the end of the pipe, which comes from the system when we are killed. So between the last byte and
//! the end it is noted that the mail leaves: whoever finds that note does not send it again.

use super::mime::{self, Channel};
use super::{Failure, Message};
use crate::wp_config::SendmailCommand;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The variables a mail program may need to find its settings.
const KEPT: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG"];
/// Where to look for programs when the web server sets no PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The longest wait between two looks at the command.
const LONGEST_NAP: Duration = Duration::from_millis(20);
/// What sendmail exits with when the address cannot be: sysexits' EX_DATAERR, EX_NOUSER and EX_NOHOST.
const REFUSED: [i32; 3] = [65, 67, 68];
/// What every pipe holds, even where the account has used up its share.
const SMALLEST_PIPE: usize = 4096;

pub(super) fn deliver(
    message: &Message,
    command: &SendmailCommand,
    deadline: Instant,
    note: &mut dyn FnMut(),
) -> Result<(), Failure> {
    let mail = text(message)?;
    let mut child = start(command).map_err(|error| Failure::temporary(why_not_started(&error)))?;
    let status = match write(&mut child, mail, deadline) {
        Ok(end) => {
            if let Some(end) = end {
                note();
                drop(end);
            }
            wait(&mut child, deadline)
        }
        Err(_) => None,
    };
    let Some(status) = status else {
        // Both can only fail when it has ended in the meantime.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let _ = child.wait();
        return Err(Failure::temporary(
            "the sendmail command did not end in time",
        ));
    };
    match status.code() {
        Some(0) => Ok(()),
        Some(code) if REFUSED.contains(&code) => Err(Failure::permanent(format!(
            "the sendmail command refused the mail with status {code}"
        ))),
        Some(code) => Err(Failure::temporary(format!(
            "the sendmail command failed with status {code}"
        ))),
        None => Err(Failure::temporary("the sendmail command was killed")),
    }
}

/// The mail as local programs take it: lines end with LF, and like PHP's `mail()` an empty one follows the body.
fn text(message: &Message) -> Result<Vec<u8>, Failure> {
    let mut mail = mime::bytes(message, Channel::EightBit)?;
    // A carriage return stands nowhere but before a line feed.
    mail.retain(|byte| *byte != b'\r');
    mail.push(b'\n');
    Ok(mail)
}

fn start(command: &SendmailCommand) -> io::Result<Child> {
    let kept = KEPT
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .filter(|(_, value)| !value.is_empty());
    Command::new(command.program())
        .args(command.arguments())
        .env_clear()
        .env("PATH", PATH)
        .envs(kept)
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// A reason without the path, which is the owner's own text.
fn why_not_started(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "the sendmail command does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "the sendmail command may not be run".to_owned(),
        kind => format!("the sendmail command could not be started ({kind})"),
    }
}

/// Writes the mail but its end, and returns what ends it when it is dropped; none when the command has not taken all. The
/// exit status tells what became of that. Errs when nothing could be written.
///
/// A command that never reads must not hold us: what no pipe is too small for is written at once, a longer mail in a thread
/// of its own.
fn write(child: &mut Child, mail: Vec<u8>, deadline: Instant) -> io::Result<Option<ChildStdin>> {
    let Some(mut stdin) = child.stdin.take() else {
        return Ok(None);
    };
    if mail.len() <= SMALLEST_PIPE {
        return Ok(stdin.write_all(&mail).ok().map(|()| stdin));
    }
    let (sender, written) = mpsc::channel();
    thread::Builder::new().stack_size(64 << 10).spawn(move || {
        if stdin.write_all(&mail).is_ok() {
            let _ = sender.send(stdin);
        }
    })?;
    let left = deadline.saturating_duration_since(Instant::now());
    Ok(written.recv_timeout(left).ok())
}

/// The command's end, if it comes before the deadline. It is seen at once: who is killed between it and the note that the
/// mail was taken has the mail sent again. Kernels before Linux 5.3 cannot tell, and are asked again and again.
fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    let end = pidfd_open(Pid::from_child(child), PidfdFlags::empty());
    let mut nap = Duration::from_millis(1);
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        match (&end, Timespec::try_from(left)) {
            // Whatever it says, the next look tells.
            (Ok(end), Ok(left)) => drop(poll(&mut [PollFd::new(end, PollFlags::IN)], Some(&left))),
            _ => thread::sleep(nap.min(left)),
        }
        nap = (nap * 2).min(LONGEST_NAP);
    }
}
