//! The same webhooks on a small, a large and a very large site: what grows, and by how much.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
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
/// The index for sites where webhooks name people by their id alone.
const INDEX: &str =
    "ALTER TABLE wp_usermeta ADD INDEX bento_webhooks_contact (meta_key(20), meta_value(40))";

/// How the person is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// By id and address, as the README says.
    Both,
    IdAlone,
    /// By id alone, and there is an index on ids.
    IdWithIndex,
}

impl Naming {
    const ALL: [Naming; 3] = [Naming::Both, Naming::IdAlone, Naming::IdWithIndex];

    fn name(self) -> &'static str {
        match self {
            Naming::Both => "id and address",
            Naming::IdAlone => "id alone",
            Naming::IdWithIndex => "id alone, index",
        }
    }
}

/// Middle times of one kind of webhook: program and database, and until the answer.
#[derive(Clone, Copy)]
struct Times {
    cpu: Duration,
    wall: Duration,
}

/// Measures at all sizes; a table in Markdown.
pub(crate) fn run(programs: &Programs, requests: u64) -> Result<String> {
    let stage = Stage::bare(programs, 1)?;
    let shop = stage.shop().context("no shop")?;
    let mut root = shop.database.root();
    root.query_drop(format!("SET GLOBAL innodb_buffer_pool_size = {POOL}"))?;
    let mut progress =
        Progress::new(SIZES.len() * Naming::ALL.len() * Action::ALL.len() + SIZES.len());
    let mut found: Vec<(Naming, Action, Vec<Times>)> = Naming::ALL
        .into_iter()
        .flat_map(|naming| Action::ALL.map(|action| (naming, action, Vec::new())))
        .collect();
    for size in SIZES {
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
            if *naming == Naming::IdWithIndex && *action == Action::ALL[0] {
                root.query_drop(INDEX)?;
            }
            times.push(measure(&stage, &ours, *naming, *action, requests)?);
        }
        root.query_drop("ALTER TABLE wp_usermeta DROP INDEX bento_webhooks_contact")?;
    }
    Ok(table(&found))
}

fn measure(
    stage: &Stage,
    ours: &Contender<'_>,
    naming: Naming,
    action: Action,
    requests: u64,
) -> Result<Times> {
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    for turn in 0..requests + 2 {
        let mut request = stage
            .ground
            .request(action, ours.number, turn, ours.parameter);
        if naming != Naming::Both {
            request.body = without_address(&request.body)?;
        }
        let before = Spent::now();
        let run = ours.send(&request, action)?;
        // The first ones fill the server's memory.
        if turn >= 2 {
            cpu.push(run.cpu.unwrap_or_default() + Spent::since(before).database);
            wall.push(run.wall);
        }
    }
    Ok(Times {
        cpu: median(&cpu),
        wall: median(&wall),
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

fn table(found: &[(Naming, Action, Vec<Times>)]) -> String {
    let mut text = "| webhook | named by |".to_owned();
    for size in SIZES {
        let _ = write!(text, " {size} users: CPU, wall ms |");
    }
    text += " CPU, largest / smallest |\n|---|---|--:|--:|--:|--:|\n";
    for (naming, action, times) in found {
        let _ = write!(text, "| {} | {} |", action.name(), naming.name());
        for time in times {
            let _ = write!(
                text,
                " {:.2}, {:.2} |",
                time.cpu.as_secs_f64() * 1e3,
                time.wall.as_secs_f64() * 1e3
            );
        }
        let ratio = match (times.first(), times.last()) {
            (Some(first), Some(last)) => last.cpu.as_secs_f64() / first.cpu.as_secs_f64(),
            _ => f64::NAN,
        };
        let _ = writeln!(text, " {ratio:.2} |");
    }
    text
}
