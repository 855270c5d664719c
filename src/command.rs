//! The program at a terminal: a table of commands, `--version` and `--help`.

mod arguments;
mod queue;
mod work;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};
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

/// All commands, in the order of `--help`.
#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    Command { name: "queue", about: "Show what waits, runs or was given up", run: queue::show },
    Command { name: "retry", about: "Try a row of the queue again now, or all", run: queue::retry },
    Command { name: "drop", about: "Remove a row of the queue", run: queue::discard },
    Command { name: "work", about: "Do what waits in the queue", run: work::run },
];

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
