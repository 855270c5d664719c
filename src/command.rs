//! The program at a terminal: `--version` and `--help`, for now.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// What `--help` shows.
const HELP: &str = "\
Answers Bento's webhooks for a WordPress site with WP Fusion.

A web server runs this program as CGI: see README.md. At a terminal it knows
only these options.

Usage: bento-webhooks [--version | --help]

  -V, --version  Show the version
  -h, --help     Show this help
";

/// Runs the command. Exit code 2 means wrong use.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let first = arguments.next();
    let text = match (
        first.as_deref().and_then(|argument| argument.to_str()),
        arguments.next(),
    ) {
        (Some("--version" | "-V"), None) => {
            format!("bento-webhooks {}\n", env!("CARGO_PKG_VERSION"))
        }
        (Some("--help" | "-h"), None) => HELP.to_owned(),
        _ => {
            let _ = io::stderr().write_all(b"bento-webhooks: unknown use\n\n");
            let _ = io::stderr().write_all(HELP.as_bytes());
            return ExitCode::from(2);
        }
    };
    // A reader that has gone away is no error.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
