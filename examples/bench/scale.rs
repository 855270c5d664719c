//! The same webhooks on a small, a large and a very large site: what grows, and by how much.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use mysql::prelude::Queryable as _;

use crate::contender::{Contender, Way};
use crate::ground::{self, Action};
use crate::measure::median;
use crate::meter::Spent;
use crate::progress::Progress;
use crate::stage::{Programs, Stage};
use crate::support::cgi::{Body, Program};

const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
/// The pool that MariaDB has by default.
const POOL: u64 = 128 << 20;
/// What is slow without the index is not measured for longer than this, but so often at least.
const LONG: Duration = Duration::from_secs(8);
const LEAST: usize = 3;

/// How the person is named, and whether there is the index that `bento-webhooks index --make` makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// By id and address, as the README says.
    Both,
    IdAlone,
    BothWithIndex,
    IdWithIndex,
}

impl Naming {
    /// Those with the index last.
    const ALL: [Naming; 4] = [
        Naming::Both,
        Naming::IdAlone,
        Naming::BothWithIndex,
        Naming::IdWithIndex,
    ];

    fn name(self) -> &'static str {
        match self {
            Naming::Both => "id and address",
            Naming::IdAlone => "id alone",
            Naming::BothWithIndex => "id and address; index",
            Naming::IdWithIndex => "id alone; index",
        }
    }

    fn has_address(self) -> bool {
        matches!(self, Naming::Both | Naming::BothWithIndex)
    }
}

/// Middle times of one kind of webhook: program and database, and until the answer.
#[derive(Clone, Copy)]
struct Times {
    cpu: Duration,
    wall: Duration,
    /// Whether all were answered rightly.
    right: bool,
}

/// Measures at all sizes up to the largest that is wanted; a table in Markdown.
pub(crate) fn run(programs: &Programs, requests: u64, largest: Option<u64>) -> Result<String> {
    let sizes = SIZES
        .into_iter()
        .filter(|size| largest.is_none_or(|largest| *size <= largest));
    let sizes: Vec<u64> = sizes.collect();
    let stage = Stage::bare(programs, 1)?;
    let shop = stage.shop().context("no shop")?;
    let mut root = shop.database.root();
    root.query_drop(format!("SET GLOBAL innodb_buffer_pool_size = {POOL}"))?;
    let mut progress =
        Progress::new(sizes.len() * Naming::ALL.len() * Action::ALL.len() + sizes.len());
    let mut found: Vec<(Naming, Action, Vec<Times>)> = Naming::ALL
        .into_iter()
        .flat_map(|naming| Action::ALL.map(|action| (naming, action, Vec::new())))
        .collect();
    for &size in &sizes {
        progress.step(&format!("making {size} users"));
        ground::populate(shop, size)?;
        let ours = Contender {
            name: "ours",
            way: Way::Started(Program::new(&programs.ours, &shop.wordpress)),
            parameter: "wpf_action",
            shop,
            number: size / 2 / ground::EACH,
        };
        for (naming, action, times) in &mut found {
            progress.step(&format!(
                "{size} users, {}: {}",
                naming.name(),
                action.name()
            ));
            if *naming == Naming::BothWithIndex && *action == Action::ALL[0] {
                index(&ours, "--make")?;
            }
            times.push(measure(&stage, &ours, *naming, *action, requests)?);
        }
        index(&ours, "--drop")?;
    }
    Ok(table(&sizes, &found))
}

/// Makes the index, or takes it away.
fn index(ours: &Contender<'_>, wish: &str) -> Result<()> {
    let Way::Started(program) = &ours.way else {
        return Ok(());
    };
    let output = program.command(&["index", wish]);
    ensure!(
        output.status.success(),
        "index {wish}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn measure(
    stage: &Stage,
    ours: &Contender<'_>,
    naming: Naming,
    action: Action,
    requests: u64,
) -> Result<Times> {
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    let mut right = true;
    for turn in 0..requests + 2 {
        if begun.elapsed() > LONG && wall.len() >= LEAST {
            break;
        }
        let mut request = stage
            .ground
            .request(action, ours.number, turn, ours.parameter);
        if !naming.has_address() {
            request.body = without_address(&request.body)?;
        }
        let before = Spent::now();
        let run = ours.send(&request, action)?;
        right &= action.is_right(run.status, &run.body);
        // The first ones fill the server's memory.
        if turn >= 2 {
            cpu.push(run.cpu.unwrap_or_default() + Spent::since(before).database);
            wall.push(run.wall);
        }
    }
    Ok(Times {
        cpu: median(&cpu),
        wall: median(&wall),
        right,
    })
}

fn without_address(body: &Body) -> Result<Body> {
    let Body::Exact(bytes) = body else {
        anyhow::bail!("no body");
    };
    let whole: serde_json::Value = serde_json::from_slice(bytes)?;
    let id = serde_json::json!({"id": whole["id"]});
    Ok(Body::Exact(id.to_string().into_bytes()))
}

fn table(sizes: &[u64], found: &[(Naming, Action, Vec<Times>)]) -> String {
    let mut text = "| webhook | named by |".to_owned();
    for size in sizes {
        let _ = write!(text, " {size} users: CPU, wall ms |");
    }
    let columns = "--:|".repeat(sizes.len());
    let _ = writeln!(text, " CPU, largest / smallest |\n|---|---|{columns}--:|");
    for (naming, action, times) in found {
        let _ = write!(text, "| {} | {} |", action.name(), naming.name());
        for time in times {
            let _ = match time.right {
                true => write!(
                    text,
                    " {:.2}, {:.2} |",
                    time.cpu.as_secs_f64() * 1e3,
                    time.wall.as_secs_f64() * 1e3
                ),
                false => write!(text, " left to the worker |"),
            };
        }
        let ratio = match (times.first(), times.last()) {
            (_, Some(Times { right: false, .. })) => f64::NAN,
            (Some(first), Some(last)) => last.cpu.as_secs_f64() / first.cpu.as_secs_f64(),
            _ => f64::NAN,
        };
        let _ = match ratio.is_nan() {
            true => writeln!(text, " – |"),
            false => writeln!(text, " {ratio:.2} |"),
        };
    }
    text
}
