//! Measures what a webhook costs: the floor, the program alone and behind web servers, and WordPress by its own functions.
//!
//! `cargo run --release --example bench` measures all of them in turns and prints a table; `--quick` only counts what is
//! sent, and fails when it is more than it should be. Everything is private and on this machine.
#![allow(
    clippy::indexing_slicing,
    reason = "a measurement stops at the first surprise"
)]

#[path = "../../tests/support/front.rs"]
mod front;
#[path = "../../tests/support/hosting/mod.rs"]
mod hosting;
#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/support/wordpress.rs"]
mod wordpress;

mod bursts;
mod contender;
mod ground;
mod measure;
mod meter;
mod progress;
mod readme;
mod report;
mod scale;
mod stage;

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str =
    "usage: bench [--quick] [--scale] [--bursts] [--requests N] [--users N] [--write]

  --quick       Only counts statements, round trips and calls, and fails when
                they are more than they should be.
  --scale       Measures the program on sites of 1,000 to 1,000,000 users instead.
  --bursts      Sends 200 webhooks at once instead.
  --requests N  Webhooks of each kind for each contender (100).
  --users N     Users of the shop (2000); with --scale, of the largest (1000000).
  --write       Put the result into README.md, and the chart beside this program.";

/// What is to be found out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    Cost,
    Counts,
    Scale,
    Bursts,
}

/// Where the result goes, beside standard output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Here,
    InReadme,
}

/// What was asked for.
struct Wish {
    question: Question,
    shown: Shown,
    requests: u64,
    users: Option<u64>,
}

impl Wish {
    fn users(&self) -> u64 {
        self.users.unwrap_or(2000)
    }
}

fn main() -> ExitCode {
    let wish = match wish(env::args().skip(1)) {
        Ok(wish) => wish,
        Err(error) => {
            complain(&format!("bench: {error}\n\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match run(&wish) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn complain(message: &str) {
    // Nothing is left to do when even this cannot be written.
    drop(writeln!(io::stderr(), "{message}"));
}

fn wish(mut arguments: impl Iterator<Item = String>) -> Result<Wish> {
    let mut wish = Wish {
        question: Question::Cost,
        shown: Shown::Here,
        requests: 100,
        users: None,
    };
    while let Some(argument) = arguments.next() {
        let mut number = || {
            arguments
                .next()
                .and_then(|text| text.parse().ok())
                .filter(|number| *number > 0)
        };
        match argument.as_str() {
            "--quick" => wish.question = Question::Counts,
            "--scale" => wish.question = Question::Scale,
            "--bursts" => wish.question = Question::Bursts,
            "--write" => wish.shown = Shown::InReadme,
            "--requests" => match number() {
                Some(number) => wish.requests = number,
                None => bail!("--requests needs a number"),
            },
            "--users" => match number() {
                None => bail!("--users needs a number"),
                number => wish.users = number,
            },
            other => bail!("{other} is not known"),
        }
    }
    Ok(wish)
}

fn run(wish: &Wish) -> Result<()> {
    let programs = stage::Programs::build()?;
    let mut out = io::stdout().lock();
    let (name, text) = match wish.question {
        Question::Cost => {
            let stage = stage::Stage::full(&programs, wish.users())?;
            let result = measure::measure(&stage, &programs, wish.requests)?;
            if wish.shown == Shown::InReadme {
                readme::draw(&report::chart(&result))?;
            }
            ("cost", report::table(&result)?)
        }
        Question::Counts => {
            let stage = stage::Stage::bare(&programs, wish.users())?;
            let counts = measure::count(&stage.ground, &stage.contenders(&programs)?)?;
            writeln!(out, "{}", report::counts(&counts))?;
            return report::check(&counts);
        }
        Question::Scale => ("scale", scale::run(&programs, wish.requests, wish.users)?),
        Question::Bursts => {
            let mut stage = stage::Stage::full(&programs, wish.users())?;
            ("bursts", bursts::run(&mut stage, &programs)?)
        }
    };
    writeln!(out, "{text}")?;
    match wish.shown {
        Shown::Here => Ok(()),
        Shown::InReadme => readme::fill(name, &text),
    }
}
