//! `bento-webhooks doctor`: names the broken link between Bento and WordPress, and the next step.
//!
//! It changes nothing, in the database neither, but for the note of a worker that `web.after` has started. Every check returns [`finding::Finding`]s; those of [`checks::CHECKS`] run
//! at once as far as they can, in 20 seconds in all. Proof goes before guess: a request out and back, not a file that looks
//! right. No secret leaves it: whatever is printed has been scrubbed of the keys and passwords that are known.

mod answers;
mod checks;
mod crm;
mod database;
mod files;
mod finding;
mod fix;
mod fusion;
mod locate;
mod others;
mod outside;
mod panel;
mod patient;
mod program;
mod queue;
mod schedule;
mod secrecy;
mod show;
mod wordpress;

use crate::command::{self, say, wrong_use};
use crate::wp_config::{self, Config, Surroundings};
use checks::{CHECKS, Check};
use finding::{Finding, Level};
use fix::Consent;
use locate::Located;
use patient::Patient;
use show::{Colours, Findings};
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// Time for everything together; the rest of the 20 seconds is for starting and printing.
const TIME: Duration = Duration::from_secs(19);
/// Exit codes; 2 is wrong use.
const FINE: u8 = 0;
const BROKEN: u8 = 1;
const NO_START: u8 = 3;

const HELP: &str = "\
Finds out what is broken between Bento and WordPress, and says the next step.
It changes nothing, but with --fix; only web.after has the site start a worker,
as a webhook does, which does what is due in the queue and notes when it came.

Usage: bento-webhooks doctor [OPTION]...

      --path DIR   The folder of WordPress (default: from here upward)
      --url URL    Examine the site at this address, such as one of a network
      --only IDS   Only these checks, such as web,db.connect; see --list
      --list       List all checks
      --fix        Put our lines in .htaccess, our files and their modes back,
                   and start a worker where nobody works on what is due;
                   shows the changes and asks first
  -y, --yes        With --fix: do not ask
  -v, --verbose    Show everything that was found
      --json       The same for programs
      --report     The same to paste for support; there is nothing secret in it
  -h, --help       Show this help

Exit code: 0 fine or warnings only, 1 something is broken, 2 wrong use,
3 could not start: no WordPress, or its configuration cannot be read.
";

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Brief,
    Verbose,
    Json,
    Report,
}

/// What the command was asked for.
struct Order {
    path: Option<PathBuf>,
    url: Option<Url>,
    only: Vec<&'static Check>,
    form: Form,
    fix: Option<Consent>,
}

/// Runs the command.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match order(arguments) {
        Ok(Some(order)) => ExitCode::from(examine(&order)),
        Ok(None) => ExitCode::SUCCESS,
        Err(why) => wrong_use(&format!("doctor: {why}"), HELP),
    }
}

/// Reads the arguments; nothing when help or the list was shown.
fn order(arguments: Vec<OsString>) -> Result<Option<Order>, String> {
    use lexopt::prelude::{Long, Short, ValueExt as _};
    let mut order = Order {
        path: None,
        url: None,
        only: CHECKS.iter().collect(),
        form: Form::Brief,
        fix: None,
    };
    let mut is_agreed = false;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(words)? {
        match argument {
            Long("path") => order.path = Some(parser.value().map_err(words)?.into()),
            Long("url") => {
                let text = parser.value().and_then(|value| value.string());
                let url = Url::parse(&text.map_err(words)?).ok();
                let url = url.filter(|url| url.has_host());
                order.url = Some(url.ok_or("--url needs an address such as https://example.org")?);
            }
            Long("only") => {
                let text = parser.value().and_then(|value| value.string());
                order.only = select(&text.map_err(words)?)?;
            }
            Long("list") => {
                say(&list());
                return Ok(None);
            }
            Short('v') | Long("verbose") => order.form = Form::Verbose,
            Long("json") => order.form = Form::Json,
            Long("report") => order.form = Form::Report,
            Long("fix") => order.fix = Some(Consent::Ask),
            Short('y') | Long("yes") => is_agreed = true,
            Short('h') | Long("help") => {
                say(HELP);
                return Ok(None);
            }
            other => return Err(words(other.unexpected())),
        }
    }
    match (&mut order.fix, is_agreed) {
        (Some(consent), true) => *consent = Consent::Given,
        (None, true) => return Err("--yes goes with --fix".to_owned()),
        (_, false) => {}
    }
    Ok(Some(order))
}

fn words(error: lexopt::Error) -> String {
    error.to_string()
}

/// The checks named by ids or by what stands before the dot, with commas.
fn select(ids: &str) -> Result<Vec<&'static Check>, String> {
    let ids: Vec<&str> = ids.split(',').map(str::trim).collect();
    let is_named = |check: &Check, id: &str| {
        check.id == id || check.id.split('.').next().is_some_and(|group| group == id)
    };
    if let Some(id) = ids
        .iter()
        .find(|id| !CHECKS.iter().any(|check| is_named(check, id)))
    {
        return Err(format!(
            "there is no check {}; see --list",
            crate::text::one_line(id)
        ));
    }
    let named = CHECKS
        .iter()
        .filter(|check| ids.iter().any(|id| is_named(check, id)));
    Ok(named.collect())
}

fn list() -> String {
    let lines = CHECKS
        .iter()
        .map(|check| format!("{:<14}{}\n", check.id, check.about));
    lines.collect()
}

/// Examines the site, prints what was found, and returns the exit code.
fn examine(order: &Order) -> u8 {
    let wordpress = order.path.as_deref();
    let program = std::env::current_exe().unwrap_or_else(|_| "bento-webhooks".into());
    let located = Located::find(wordpress);
    let config = configure(&located);
    if let Some(consent) = order.fix
        && let Err(why) = fix::run(
            &located,
            config.as_ref().ok().copied(),
            order.url.as_ref(),
            consent,
        )
    {
        say(&format!(
            "{}\n",
            short(&callable(&why, &program, wordpress))
        ));
        return BROKEN;
    }
    let start = Instant::now();
    let patient = Arc::new(Patient::new(located, config, order.url.clone()));
    let to_run = with_needs(&order.only);
    let mut results = schedule::run(&to_run, &patient, TIME);
    // What only was run for others is shown when it is the reason why they were not.
    results.retain(|id, findings| {
        let asked = order.only.iter().any(|check| check.id == *id);
        findings.retain(|finding| asked || finding.level == Level::Failure);
        !findings.is_empty()
    });
    for text in results.values_mut().flatten().flat_map(Finding::texts) {
        // Support knows the program by its name, and has no use for a path of the account's.
        if order.form != Form::Report {
            *text = callable(text, &program, wordpress);
        }
        if order.form != Form::Json {
            *text = short(text);
        }
    }
    if patient.config.is_err() && order.form == Form::Brief {
        // That nothing else can be examined goes without saying.
        let says = |own: &Finding| !matches!(own.level, Level::Skipped | Level::Info);
        results.retain(|_, findings| findings.iter().any(says));
    }
    let checks = to_run
        .into_iter()
        .filter(|check| results.contains_key(check.id));
    let findings = Findings {
        checks: checks.collect(),
        results,
        took: start.elapsed(),
    };
    let exit = match (&patient.config, findings.count(Level::Failure)) {
        (Err(_), _) => NO_START,
        (Ok(_), 0) => FINE,
        (Ok(_), _) => BROKEN,
    };
    let text = match order.form {
        Form::Brief => findings.brief(colours()),
        Form::Verbose => findings.verbose(colours()),
        Form::Json => findings.json(patient.home(), exit),
        Form::Report => report(&findings, &patient),
    };
    say(&secrecy::scrubbed(&text, &patient.secrets()));
    exit
}

/// The checks and all that they need or come after, in their order.
fn with_needs(only: &[&'static Check]) -> Vec<&'static Check> {
    let mut ids: Vec<&str> = only.iter().map(|check| check.id).collect();
    let mut at = 0;
    while let Some(id) = ids.get(at).copied() {
        let check = CHECKS.iter().find(|check| check.id == id);
        for before in check
            .iter()
            .flat_map(|check| check.needs.iter().chain(check.after))
        {
            if !ids.contains(before) {
                ids.push(before);
            }
        }
        at += 1;
    }
    CHECKS
        .iter()
        .filter(|check| ids.contains(&check.id))
        .collect()
}

/// Reads wp-config.php. What it says is needed to the end of the process, by threads that may outlive this one.
fn configure(located: &Located) -> Result<&'static Config, String> {
    let folder = located.folder().ok_or("no WordPress folder found")?;
    let env = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let surroundings = Surroundings {
        env: &env,
        server: &env,
        read: &|path| std::fs::read(path),
    };
    match wp_config::read(folder, &surroundings) {
        Ok(config) => Ok(Box::leak(Box::new(config))),
        Err(error) => Err(error.to_string()),
    }
}

fn colours() -> Colours {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match wanted && io::stdout().is_terminal() {
        true => Colours::On,
        false => Colours::Off,
    }
}

/// Everything that support needs: no path of the account's, no address of a person, no part of a key.
fn report(findings: &Findings<'_>, patient: &Patient) -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut text = format!(
        "{} on {} {} {}, {} UTC\n\n{}",
        crate::echo::PROGRAM,
        std::env::consts::OS,
        kernel.trim(),
        std::env::consts::ARCH,
        crate::clock::Clock::now().utc(),
        findings.verbose(Colours::Off)
    );
    for secret in patient.secrets() {
        let mask = secrecy::masked(secret.expose_str());
        text = text.replace(&mask, "…");
    }
    text
}

/// The text with our commands as they can be called: on most hosts the program is in a folder where no shell looks for it.
/// `wordpress` is the folder of WordPress if it had to be named.
fn callable(text: &str, program: &Path, wordpress: Option<&Path>) -> String {
    let program = program.display();
    let path = match wordpress {
        Some(wordpress) if !text.contains("--path") => format!(" --path {}", wordpress.display()),
        _ => String::new(),
    };
    let mut text = text.to_owned();
    for command in command::names() {
        let called = format!(" {program} {command}{path}");
        text = text.replace(&format!(" bento-webhooks {command}"), &called);
    }
    text
}

/// The text with `~` for the home folder.
fn short(text: &str) -> String {
    let home = std::env::var("HOME").unwrap_or_default();
    let home = home.trim_end_matches('/');
    match home.len() {
        0..3 => text.to_owned(),
        _ => text.replace(home, "~"),
    }
}
