//! What `setup` is asked to do. Reads arguments, touches nothing.

use super::place::Rung;
use std::ffi::OsString;
use std::path::PathBuf;
use url::Url;

/// What `setup --help` shows; install.sh shows the same.
pub(super) const HELP: &str = "\
Puts bento-webhooks in front of WP Fusion's webhooks on this site, and takes it
away again. It looks first, shows what it will change, asks once, proves that it
works, and puts everything back if anything is off.

Usage: sh install.sh [OPTION]...      or      bento-webhooks setup [OPTION]...

  --path DIR     The folder of WordPress; found from here otherwise
  --url URL      The address to test with, if not the one WordPress has
  --yes          Ask nothing
  --dry-run      Look, try, show the change, and change nothing
  --recipe WHAT  auto, a rung from 1 to 6, or nginx
  --prefix DIR   Where program and backups go: ~/.bento-webhooks otherwise
  --owner        As root: give everything to the owner of WordPress's files
  --nginx DIR    The folder of nginx.conf: /etc/nginx otherwise
  --socket FILE  Where fcgiwrap listens: /run/bento-webhooks.sock otherwise
  --no-web-test  Send no request to the site; nothing is proven then
  --undo         Put everything back as it was before the last run
  --uninstall    Put everything back as it was before the first run
  --purge        With --uninstall: remove backups and log too
  --recover      Only put back what an interrupted run has left behind
  --quiet        Say only what is wrong, and the result
  --verbose      Say more
  --no-color     No colours, as without a terminal or with NO_COLOR
  --help         This text
  --version      The version

Exit: 0 done and proven; 1 failed, everything put back; 2 wrong use; 3 this host
cannot run programs, nothing changed; 4 installed, but the site could not be
reached from here.
";

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    Install,
    /// Look, try and show only.
    DryRun,
    /// As before the last run.
    Undo,
    /// As before the first run; backups and log stay.
    Uninstall,
    /// The same, and backups and log go too.
    Purge,
    /// Whatever else is asked for: put back what an interrupted run has left.
    Recover,
}

/// Which way of routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recipe {
    /// The first that works.
    Auto,
    /// This one.
    Only(Rung),
    /// nginx's own files.
    Nginx,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    Quiet,
    Normal,
    Verbose,
}

/// Everything that can be asked for.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) task: Task,
    pub(super) path: Option<PathBuf>,
    pub(super) url: Option<String>,
    pub(super) recipe: Recipe,
    pub(super) prefix: Option<PathBuf>,
    pub(super) nginx: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) voice: Voice,
    /// `--yes`: no question.
    pub(super) yes: bool,
    /// `--owner`: root works for the owner of WordPress's files.
    pub(super) for_owner: bool,
    /// Not `--no-web-test`.
    pub(super) web_test: bool,
    /// Not `--no-color`.
    pub(super) color: bool,
}

/// What the arguments ask for.
#[derive(Debug)]
pub(super) enum Asked {
    Work(Options),
    Help,
    Version,
}

impl Options {
    /// Reads the arguments; errs with what is wrong with them.
    pub(super) fn read(arguments: Vec<OsString>) -> Result<Asked, String> {
        use lexopt::prelude::{Long, Short, ValueExt as _};
        let mut options = Options::none();
        let (mut purge, mut recover) = (false, false);
        let mut parser = lexopt::Parser::from_args(arguments);
        let wrong = |error: lexopt::Error| error.to_string();
        while let Some(argument) = parser.next().map_err(wrong)? {
            match argument {
                Long("path") => options.path = Some(parser.value().map_err(wrong)?.into()),
                Long("url") => {
                    let text = parser.value().map_err(wrong)?.string().map_err(wrong)?;
                    options.url = Some(web_address(text)?);
                }
                Long("prefix") => options.prefix = Some(parser.value().map_err(wrong)?.into()),
                Long("nginx") => options.nginx = parser.value().map_err(wrong)?.into(),
                Long("socket") => options.socket = parser.value().map_err(wrong)?.into(),
                Long("recipe") => {
                    let name = parser.value().map_err(wrong)?.string().map_err(wrong)?;
                    options.recipe = recipe(&name)?;
                }
                Long("yes") | Short('y') => options.yes = true,
                Long("owner") => options.for_owner = true,
                Long("no-web-test") => options.web_test = false,
                Long("no-color") => options.color = false,
                Long("purge") => purge = true,
                Long("recover") => recover = true,
                Long("quiet") | Short('q') => options.voice = Voice::Quiet,
                Long("verbose") | Short('v') => options.voice = Voice::Verbose,
                Long("dry-run") => options.set(Task::DryRun)?,
                Long("undo") => options.set(Task::Undo)?,
                Long("uninstall") => options.set(Task::Uninstall)?,
                Long("help") | Short('h') => return Ok(Asked::Help),
                Long("version") | Short('V') => return Ok(Asked::Version),
                other => return Err(other.unexpected().to_string()),
            }
        }
        match (options.task, purge) {
            (_, false) => {}
            (Task::Uninstall, true) => options.task = Task::Purge,
            _ => return Err("--purge goes with --uninstall".to_owned()),
        }
        if recover {
            options.task = Task::Recover;
        }
        Ok(Asked::Work(options))
    }

    fn none() -> Options {
        Options {
            task: Task::Install,
            path: None,
            url: None,
            recipe: Recipe::Auto,
            prefix: None,
            nginx: PathBuf::from("/etc/nginx"),
            socket: PathBuf::from("/run/bento-webhooks.sock"),
            voice: Voice::Normal,
            yes: false,
            for_owner: false,
            web_test: true,
            color: true,
        }
    }

    fn set(&mut self, task: Task) -> Result<(), String> {
        if ![Task::Install, task].contains(&self.task) {
            return Err("only one of --dry-run, --undo and --uninstall can be done".to_owned());
        }
        self.task = task;
        Ok(())
    }
}

fn web_address(text: String) -> Result<String, String> {
    let is_one =
        Url::parse(&text).is_ok_and(|url| url.has_host() && url.scheme().starts_with("http"));
    is_one
        .then_some(text)
        .ok_or_else(|| "--url needs an address such as https://example.org".to_owned())
}

fn recipe(name: &str) -> Result<Recipe, String> {
    match name {
        "auto" => Ok(Recipe::Auto),
        "nginx" => Ok(Recipe::Nginx),
        _ => Rung::ALL
            .into_iter()
            .find(|rung| rung.number().to_string() == name)
            .map(Recipe::Only)
            .ok_or_else(|| "--recipe is auto, a number from 1 to 6, or nginx".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        let words = line.split_whitespace().map(OsString::from).collect();
        match Options::read(words)? {
            Asked::Work(options) => Ok(options),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn one_task_is_taken_and_two_are_not() {
        for (line, task) in [
            ("", Some(Task::Install)),
            ("--dry-run --yes", Some(Task::DryRun)),
            ("--undo", Some(Task::Undo)),
            ("--purge --uninstall", Some(Task::Purge)),
            ("--yes --undo --recover", Some(Task::Recover)),
            ("--uninstall --undo", None),
            ("--purge", None),
            ("--purge --undo", None),
            ("--undo=now", None),
            ("--path", None),
            ("public_html", None),
            ("--recipe 7", None),
            ("--recipe", None),
        ] {
            assert_eq!(read(line).ok().map(|options| options.task), task, "{line}");
        }
        assert_eq!(
            read("--recipe 6").unwrap().recipe,
            Recipe::Only(Rung::CgiBinBeside)
        );
    }
}
