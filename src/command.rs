//! The program at a terminal: a table of commands, `--version` and `--help`.

mod arguments;
mod index;
mod queue;
mod work;

use crate::{doctor, setup};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::ExitCode;

/// Exit code of wrong use.
pub const WRONG_USE: u8 = 2;

/// One command.
struct Command {
    name: &'static str,
    /// What it does, for `--help`.
    about: &'static str,
    /// Takes what stands behind the name.
    run: fn(Vec<OsString>) -> ExitCode,
}

const fn command(
    name: &'static str,
    about: &'static str,
    run: fn(Vec<OsString>) -> ExitCode,
) -> Command {
    Command { name, about, run }
}

/// All commands, in the order of `--help`.
#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    command("setup", "Install the routing on this site, or take it away", setup::run),
    command("doctor", "Find out what is broken, and the next step", doctor::run),
    command("queue", "Show what waits, runs or was given up", queue::show),
    command("retry", "Try a row of the queue again now, or all", queue::retry),
    command("drop", "Remove a row of the queue", queue::discard),
    command("work", "Do what waits in the queue", work::run),
    command("index", "Find people quickly on a large site", index::run),
];

/// The names of all commands.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name)
}

/// Runs the command.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.collect();
    let first = match arguments.first() {
        Some(first) => first.to_string_lossy().into_owned(),
        None => String::new(),
    };
    match (first.as_str(), arguments.len()) {
        ("--version" | "-V", 1) => say(&format!("bento-webhooks {}\n", env!("CARGO_PKG_VERSION"))),
        ("--help" | "-h", 1) => say(&help()),
        _ => match COMMANDS.iter().find(|command| command.name == first) {
            Some(command) => return (command.run)(arguments.split_off(1)),
            None => return wrong_use("unknown use", &help()),
        },
    }
    ExitCode::SUCCESS
}

/// Writes to standard output. A reader that has gone away is no error.
pub fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Asks at the terminal itself, as standard input may be the script that is running. Fails where nobody answers.
pub fn ask(question: &str) -> io::Result<String> {
    let mut options = OpenOptions::new();
    let mut terminal = options.read(true).write(true).open("/dev/tty")?;
    write!(terminal, "{question} ")?;
    let mut answer = String::new();
    if BufReader::new(terminal).read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer.trim().to_owned())
}

/// Whether an answer to a question with `[Y/n]` means yes; Enter does.
pub fn is_yes(answer: &str) -> bool {
    ["", "y", "yes"].contains(&answer.to_lowercase().as_str())
}

/// Says on standard error what is wrong and what would be right.
pub fn wrong_use(why: &str, help: &str) -> ExitCode {
    let _ = write!(io::stderr(), "bento-webhooks: {why}\n\n{help}");
    ExitCode::from(WRONG_USE)
}

fn help() -> String {
    let mut help = "\
Answers Bento's webhooks for a WordPress site with WP Fusion.

A web server runs this program as CGI: see README.md. At a terminal it knows
these commands; each has its own --help.

Usage: bento-webhooks COMMAND [OPTION]...

"
    .to_owned();
    for command in COMMANDS {
        let _ = writeln!(help, "  {:<13}  {}", command.name, command.about);
    }
    help.push_str("  -V, --version  Show the version\n  -h, --help     Show this help\n");
    help
}
