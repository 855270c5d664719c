//! `bento-webhooks queue`, `retry` and `drop`: what is in the inbox, and what the owner may do with it.

use super::arguments::Arguments;
use super::{say, wrong_use};
use crate::clock::span;
use crate::outcome::Trouble;
use crate::receive;
use crate::site::{Overview, Shown, Site, Whereabouts};
use crate::text::one_line;
use serde_json::json;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

const SHOW: &str = "\
Shows what waits in the queue, what runs, and what was given up. Changes nothing.

Usage: bento-webhooks queue [--json] [--path DIR] [--site NUMBER]

  --json         As JSON, times in milliseconds
  --path DIR     The folder of WordPress (default: from here upward)
  --site NUMBER  Of a network, this site only
";

const RETRY: &str = "\
Lets a row of the queue be tried again now, whether it waits or was given up. The
worker does it: the next webhook starts one, or run: bento-webhooks work

Usage: bento-webhooks retry ID | --all [--path DIR] [--site NUMBER]

In a network each site counts its rows for itself: an ID needs --site.
";

const DROP: &str = "\
Removes a row of the queue: what it asks for is not done. A row that runs stays.

Usage: bento-webhooks drop ID [--path DIR] [--site NUMBER]

In a network each site counts its rows for itself: an ID needs --site.
";

/// `queue`.
pub(super) fn show(arguments: Vec<OsString>) -> ExitCode {
    let arguments = match read(arguments, &["--json"], SHOW) {
        Ok(arguments) if arguments.rest.is_empty() => arguments,
        Ok(_) => return wrong_use("unknown use of queue", SHOW),
        Err(code) => return code,
    };
    let mut shown = Vec::new();
    let result = each_site(&arguments, Sites::All, |site, number, calls| {
        shown.push((number, calls, site.overview(calls)?));
        Ok(())
    });
    if let Err(error) = result {
        return failed(&error);
    }
    match arguments.has("--json") {
        true => say(&format!("{}\n", as_json(&shown))),
        false => say(&as_text(&shown)),
    }
    ExitCode::SUCCESS
}

/// `retry`.
pub(super) fn retry(arguments: Vec<OsString>) -> ExitCode {
    let arguments = match read(arguments, &["--all"], RETRY) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let id = match (arguments.has("--all"), arguments.rest.as_slice()) {
        (true, []) => None,
        (false, [id]) => match id.parse() {
            Ok(id) => Some(id),
            Err(_) => return wrong_use("ID is a number that queue shows", RETRY),
        },
        _ => return wrong_use("retry needs an ID or --all", RETRY),
    };
    let sites = match id {
        Some(_) => Sites::One,
        None => Sites::All,
    };
    count(&arguments, sites, "to be tried again", |site| {
        site.retry(id)
    })
}

/// `drop`.
pub(super) fn discard(arguments: Vec<OsString>) -> ExitCode {
    let arguments = match read(arguments, &[], DROP) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let id = match arguments.rest.as_slice() {
        [id] => id.parse(),
        _ => return wrong_use("drop needs an ID", DROP),
    };
    let Ok(id) = id else {
        return wrong_use("ID is a number that queue shows", DROP);
    };
    count(&arguments, Sites::One, "removed", |site| site.discard(id))
}

fn read(arguments: Vec<OsString>, flags: &[&str], help: &str) -> Result<Arguments, ExitCode> {
    let mut known = flags.to_vec();
    known.push("--help");
    match Arguments::read(arguments, &known, &[]) {
        Ok(arguments) if arguments.has("--help") => {
            say(help);
            Err(ExitCode::SUCCESS)
        }
        Ok(arguments) => Ok(arguments),
        Err(why) => Err(wrong_use(&why, help)),
    }
}

/// Changes rows and says how many. Exit code 1 when there was none.
fn count(
    arguments: &Arguments,
    sites: Sites,
    what: &str,
    mut change: impl FnMut(&mut Site<'_>) -> Result<u64, Trouble>,
) -> ExitCode {
    let mut changed = 0;
    let result = each_site(arguments, sites, |site, _, _| {
        changed += change(site)?;
        Ok(())
    });
    match result {
        Err(error) => failed(&error),
        Ok(()) => {
            let rows = if changed == 1 { "row" } else { "rows" };
            say(&format!("{changed} {rows} {what}.\n"));
            if changed == 0 {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            }
        }
    }
}

/// Which sites of a network a command is about, where none is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sites {
    /// The only one: each site counts its rows for itself, so that a number alone may mean several.
    One,
    /// All that have an inbox.
    All,
}

/// Visits every site that has an inbox, or the one that was asked for; tells its number and its calls in a minute.
fn each_site(
    arguments: &Arguments,
    sites: Sites,
    mut visit: impl FnMut(&mut Site<'_>, u64, u32) -> Result<(), Trouble>,
) -> anyhow::Result<()> {
    arguments.with_environment(|env| {
        let config = receive::configure(env)?;
        let mut site = Site::connect(&config)?;
        let mut numbers = site.numbers()?;
        numbers.retain(|number| arguments.site.is_none_or(|asked| asked == *number));
        if sites == Sites::One && numbers.len() > 1 {
            anyhow::bail!("several sites of this network have a queue: name one with --site");
        }
        for number in numbers {
            site.place(&Whereabouts::Number(number))?;
            site.check_inbox()?;
            visit(&mut site, number, config.own().calls_per_minute())?;
        }
        Ok(())
    })
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "bento-webhooks: {error}");
    ExitCode::FAILURE
}

fn as_json(shown: &[(u64, u32, Overview)]) -> serde_json::Value {
    let site = |(number, calls, overview): &(u64, u32, Overview)| {
        let mut object = json!(overview);
        if let Some(members) = object.as_object_mut() {
            members.insert("site".to_owned(), json!(number));
            members.insert("calls_per_minute".to_owned(), json!(calls));
        }
        object
    };
    json!({ "sites": shown.iter().map(site).collect::<Vec<_>>() })
}

fn as_text(shown: &[(u64, u32, Overview)]) -> String {
    let mut text = String::new();
    for (number, calls, overview) in shown {
        if shown.len() > 1 {
            let _ = writeln!(text, "Site {number}");
        }
        let oldest = overview
            .oldest
            .map(|age| format!(", the oldest for {}", span(age)));
        let worker = if overview.worker {
            ", a worker is there"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "Waiting  {}{}",
            overview.waiting,
            oldest.unwrap_or_default()
        );
        let _ = writeln!(text, "Running  {}{worker}", overview.running);
        let _ = writeln!(text, "Buried   {}", overview.buried);
        let _ = writeln!(
            text,
            "Calls    {} of {calls} left in this minute",
            overview.calls_left
        );
        if !overview.rows.is_empty() {
            let _ = writeln!(
                text,
                "\n{:>8}  {:<11}  {:<8}  {:>5}  {:>8}  Contact, reason",
                "ID", "What", "State", "Tries", "Due in"
            );
        }
        for row in &overview.rows {
            text.push_str(&line(row));
        }
    }
    if shown.is_empty() {
        text.push_str("Nothing has been kept yet.\n");
    }
    text
}

fn line(row: &Shown) -> String {
    let due = match (row.state, row.due_in) {
        ("waiting", 0) => "now".to_owned(),
        ("waiting", wait) => span(wait),
        _ => "-".to_owned(),
    };
    let contact = row
        .contact
        .as_deref()
        .map(one_line)
        .unwrap_or_else(|| "-".to_owned());
    let reason = match row.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({})", one_line(reason)),
    };
    format!(
        "{:>8}  {:<11}  {:<8}  {:>5}  {:>8}  {contact}{reason}\n",
        row.id, row.what, row.state, row.attempts, due
    )
}
