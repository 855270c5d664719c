//! `bento-webhooks work`: does what waits in the inbox, from cron, by hand, or started by a webhook.

use super::arguments::Arguments;
use super::{say, wrong_use};
use crate::inbox::Token;
use crate::outcome::Ending;
use crate::receive::{self, Life, Watched, Work, Worked};
use crate::setup;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
Does what waits in the queue: webhooks that could not be done at once, and what
could not be sent. One worker at a time works for a site; a second one ends at
once. From cron, once a minute, it also puts our lines in .htaccess first again
where another plugin has put its own above them:

  * * * * *  bento-webhooks work --path /home/you/public_html

Usage: bento-webhooks work [--now | --until-empty] [--path DIR] [--site NUMBER]

  --now          Do what is due; do not wait for what comes due later
  --until-empty  Go on until nothing waits, not only for about 50 seconds
  --path DIR     The folder of WordPress (default: from here upward)
  --site NUMBER  Of a network, this site only
";

/// An answer is out after this time.
const AFTER_ANSWER: Duration = Duration::from_secs(1);

/// Runs the command. Exit code 1: it could not be done; standard error says why.
pub(super) fn run(arguments: Vec<OsString>) -> ExitCode {
    let arguments = match Arguments::read(
        arguments,
        &["--now", "--until-empty", "--after-answer", "--help"],
        &["--place"],
    ) {
        Ok(arguments) if arguments.has("--help") => {
            say(HELP);
            return ExitCode::SUCCESS;
        }
        Ok(arguments) if arguments.rest.is_empty() => arguments,
        Ok(_) => return wrong_use("unknown use of work", HELP),
        Err(why) => return wrong_use(&why, HELP),
    };
    let place = arguments.value("--place").and_then(Token::parse);
    if place.is_some() {
        // Started by a webhook: a session of its own, so that nothing that happens to the web server's process reaches it.
        let _ = rustix::process::setsid();
    } else {
        setup::keep_first();
    }
    if arguments.has("--after-answer") {
        std::thread::sleep(AFTER_ANSWER);
    }
    let mut progress = Progress::new();
    let work = Work {
        site: arguments.site,
        place,
        life: match (arguments.has("--until-empty"), arguments.has("--now")) {
            (true, _) => Life::UntilEmpty,
            (false, true) => Life::Now,
            (false, false) => Life::Short,
        },
        watched: match progress.terminal {
            true => Watched::AtTerminal,
            false => Watched::ByNobody,
        },
    };
    let result = arguments
        .with_environment(|env| receive::work(env, &work, &mut |worked| progress.show(worked)));
    progress.end();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "bento-webhooks: {trouble}");
            ExitCode::FAILURE
        }
    }
}

/// What has been done so far: a bar on a terminal, one line at the end elsewhere.
struct Progress {
    terminal: bool,
    total: u64,
    done: u64,
    later: u64,
    replaced: bool,
}

impl Progress {
    fn new() -> Progress {
        Progress {
            terminal: io::stderr().is_terminal(),
            total: 0,
            done: 0,
            later: 0,
            replaced: false,
        }
    }

    fn show(&mut self, worked: &Worked) {
        match worked {
            Worked::Begun(rows) => self.total += rows,
            Worked::Webhook(outcome) if matches!(outcome.ending, Ending::Queued(_)) => {
                self.later += 1;
            }
            Worked::Webhook(_) | Worked::Errand(Ok(())) => self.done += 1,
            Worked::Errand(Err(_)) | Worked::GivenUp => self.later += 1,
            Worked::Waiting(_) => {}
            Worked::Replaced => self.replaced = true,
        }
        if self.terminal {
            let _ = write!(io::stderr(), "\r{}", self.bar(worked));
        }
    }

    /// `[########            ] 12 of 30`, as wide as a line.
    fn bar(&self, worked: &Worked) -> String {
        let past = self.done + self.later;
        let total = self.total.max(past).max(1);
        let full = usize::try_from(past * 30 / total).unwrap_or(30);
        let wait = match worked {
            Worked::Waiting(wait) => format!(", next in {} s", wait.div_ceil(1000)),
            _ => String::new(),
        };
        let text = format!("[{:<30}] {past} of {total}{wait}", "#".repeat(full));
        format!("{text:<79}")
    }

    fn end(&self) {
        if self.terminal {
            let _ = writeln!(io::stderr());
        }
        if self.replaced {
            say("Another worker is at it.\n");
        } else if self.done + self.later > 0 || io::stdout().is_terminal() {
            // Cron mails whatever is said, each minute.
            say(&format!("{} done, {} later.\n", self.done, self.later));
        }
    }
}
