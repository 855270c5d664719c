//! What the owner reads: lines on the terminal and, for cron jobs, the same in `install.log`. Asks the one question.

use super::options::Voice;
use crate::command;
use crate::text::one_line;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Width of the first column, in characters.
const COLUMN: usize = 30;

/// How a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Ok,
    No,
    Warn,
}

/// The terminal and the log.
pub(super) struct Screen {
    voice: Voice,
    is_colored: bool,
    home: Option<PathBuf>,
    log: Option<File>,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    Given,
    Refused,
    /// There is no terminal.
    NobodyThere,
}

impl Screen {
    /// `home` is shown as `~`.
    pub(super) fn new(voice: Voice, may_color: bool, home: Option<PathBuf>) -> Screen {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Screen {
            voice,
            is_colored: may_color && !is_plain && io::stdout().is_terminal(),
            home,
            log: None,
        }
    }

    /// From now on, everything that is said is kept in this file too.
    pub(super) fn keep(&mut self, path: &Path) {
        let mut options = OpenOptions::new();
        // Without a log the work goes on.
        self.log = options
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .ok();
        let now = crate::clock::Clock::now().utc();
        self.log_too(&format!(
            "\n{now} UTC, bento-webhooks {}\n",
            env!("CARGO_PKG_VERSION")
        ));
    }

    /// A heading.
    pub(super) fn heading(&mut self, text: &str) {
        self.write(Voice::Normal, &format!("{text}\n"), None);
    }

    /// A line of the text, always.
    pub(super) fn result(&mut self, text: &str) {
        self.write(Voice::Quiet, &format!("{text}\n"), None);
    }

    /// A line of the text.
    pub(super) fn plain(&mut self, text: &str) {
        self.write(Voice::Normal, &format!("{text}\n"), None);
    }

    /// A line for those who want to know more.
    pub(super) fn detail(&mut self, text: &str) {
        self.write(Voice::Verbose, &format!("       {text}\n"), None);
    }

    /// A finding: one sentence.
    pub(super) fn line(&mut self, mark: Mark, text: &str) {
        let voice = match mark {
            Mark::Ok => Voice::Normal,
            Mark::No | Mark::Warn => Voice::Quiet,
        };
        self.write(
            voice,
            &format!("  {}  {}\n", word(mark), one_line(text)),
            Some(mark),
        );
    }

    /// A trial: its name and how it ended.
    pub(super) fn row(&mut self, mark: Mark, name: &str, end: &str) {
        let text = format!("  {}  {name:<COLUMN$}{}\n", word(mark), one_line(end));
        self.write(Voice::Normal, &text, Some(mark));
    }

    /// A change to come: `+` for new, `~` for changed.
    pub(super) fn change(&mut self, sign: char, name: &str, what: &str) {
        self.plain(&format!("  {sign}  {name:<34}  {what}"));
    }

    /// What is wrong, to standard error.
    pub(super) fn failure(&mut self, text: &str) {
        self.log_too(&format!("{text}\n"));
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// A path with `~` for the owner's home.
    pub(super) fn path(&self, path: &Path) -> String {
        let short = self
            .home
            .as_deref()
            .and_then(|home| path.strip_prefix(home).ok());
        let text = match short {
            Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
            Some(rest) => format!("~/{}", rest.display()),
            None => path.display().to_string(),
        };
        one_line(&text)
    }

    /// Asks at the terminal.
    pub(super) fn ask(&mut self, question: &str) -> io::Result<String> {
        let answer = command::ask(question)?;
        self.log_too(&format!("{question} {answer}\n"));
        Ok(answer)
    }

    /// Asks for a yes or no; Enter means yes.
    pub(super) fn consent(&mut self, question: &str) -> Consent {
        match self.ask(&format!("{question} [Y/n]")) {
            Err(_) => Consent::NobodyThere,
            Ok(answer) if command::is_yes(&answer) => Consent::Given,
            Ok(_) => Consent::Refused,
        }
    }

    fn write(&mut self, least: Voice, text: &str, mark: Option<Mark>) {
        let is_said = match self.voice {
            Voice::Verbose => true,
            Voice::Normal => least != Voice::Verbose,
            Voice::Quiet => least == Voice::Quiet,
        };
        self.log_too(text);
        if !is_said {
            return;
        }
        let mut text = text.to_owned();
        if let (true, Some(mark)) = (self.is_colored, mark) {
            let color = match mark {
                Mark::Ok => 32,
                Mark::Warn => 33,
                Mark::No => 31,
            };
            text = text.replacen(
                word(mark),
                &format!("\x1b[{color}m{}\x1b[0m", word(mark)),
                1,
            );
        }
        // A reader that has gone away is no error.
        let _ = io::stdout().write_all(text.as_bytes());
    }

    fn log_too(&mut self, text: &str) {
        if let Some(log) = &mut self.log {
            let _ = log.write_all(text.as_bytes());
        }
    }
}

fn word(mark: Mark) -> &'static str {
    match mark {
        Mark::Ok => "ok ",
        Mark::No => "no ",
        Mark::Warn => "warn",
    }
}
