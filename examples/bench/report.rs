//! The tables in Markdown, the chart as SVG, and the limits that `--quick` holds.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use mysql::prelude::Queryable as _;

use crate::ground::Action;
use crate::measure::{Cost, Measured, Row, median, quantile};
use crate::meter::{self, Counts};
use crate::support::database::Server;

/// Packets to the database, connecting aside, that the program may send, and calls to Bento.
const LIMITS: [(Action, usize, usize); 7] = [
    (Action::RefusedKey, 1, 0),
    (Action::Test, 1, 0),
    (Action::TagsChanged, 5, 1),
    (Action::TagsUnchanged, 5, 1),
    (Action::Update, 5, 1),
    (Action::Add, 9, 1),
    (Action::AddExisting, 5, 1),
];

/// What everybody sends, as a table.
pub(crate) fn counts(all: &[(&str, Action, Counts)]) -> String {
    let mut table = "| webhook | contender | round trips | statements | calls to Bento | bytes SQL | bytes HTTP |\n|---|---|--:|--:|--:|--:|--:|\n".to_owned();
    for (name, action, counts) in all {
        let _ = writeln!(
            table,
            "| {} | {name} | {} + {} | {} | {} | {} | {} |",
            action.name(),
            counts.connects,
            counts.packets,
            counts.statements,
            counts.calls,
            counts.sql_bytes,
            counts.http_bytes
        );
    }
    table
}

/// Fails when the program sends more than it should.
pub(crate) fn check(all: &[(&str, Action, Counts)]) -> Result<()> {
    let ours = all.iter().filter(|(name, ..)| *name == "ours");
    for ((_, action, counts), (limited, packets, calls)) in ours.zip(LIMITS) {
        let fits = counts.connects == 1 && counts.packets <= packets && counts.calls == calls;
        if *action != limited || !fits {
            bail!(
                "{}: {} connections, {} packets and {} calls; at most 1, {packets} and {calls} were expected",
                action.name(),
                counts.connects,
                counts.packets,
                counts.calls
            );
        }
    }
    Ok(())
}

impl Row {
    /// Middle CPU time of one webhook outside of the database: program and servers. `stub` is what is started behind a
    /// server, whose own processes are gone before they can be asked.
    fn cpu(&self, action: usize, behind: Option<&Row>) -> Duration {
        let cost = &self.costs[action];
        let program = match behind {
            Some(row) if cost.cpu.is_empty() => median(&row.costs[action].cpu),
            _ => median(&cost.cpu),
        };
        program + median(&cost.servers)
    }
}

/// The contenders by name, with what runs behind them.
struct Rows<'a>(&'a [Row]);

impl<'a> Rows<'a> {
    fn get(&self, name: &str) -> Option<&'a Row> {
        self.0.iter().find(|row| row.name == name)
    }

    fn shown(&self) -> impl Iterator<Item = &'a Row> {
        self.0.iter().filter(|row| row.name != STUB)
    }

    fn cpu(&self, row: &Row, action: usize) -> Duration {
        let behind = match row.name {
            "ours, Apache" => self.get(STUB),
            "ours, nginx" => self.get("ours"),
            _ => None,
        };
        row.cpu(action, behind)
    }

    fn memory(&self, row: &'a Row, action: usize) -> Option<u64> {
        let own = row.costs[action].memory;
        own.or_else(|| self.get("ours").and_then(|ours| ours.costs[action].memory))
    }

    /// How many times as much the first needs, in CPU.
    fn ratio(&self, more: &str, less: &str, action: usize) -> String {
        let cpu = |name| {
            self.get(name)
                .map(|row| self.cpu(row, action).as_secs_f64())
        };
        match (cpu(more), cpu(less)) {
            (Some(more), Some(less)) if less > 0.0 => format!("{:.2}", more / less),
            _ => "–".to_owned(),
        }
    }
}

const STUB: &str = "ours, by its stub";

/// Everything, in Markdown.
pub(crate) fn table(measured: &Measured) -> Result<String> {
    let rows = Rows(&measured.rows);
    let mut text = format!(
        "Measured on {}; {}. Medians of {} webhooks a kind, taken in turns; times in ms, memory in MB.\n\n",
        meter::machine()?,
        versions()?,
        measured.requests
    );
    text += &ratios(&rows, measured);
    text += "\n<details><summary>All figures</summary>\n\n";
    text += "| webhook | contender | CPU | CPU database | wall p50 | wall p99 | peak MB | M instructions | round trips | statements | calls | bytes SQL, HTTP |\n";
    text += "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    for (number, action) in Action::ALL.into_iter().enumerate() {
        for row in rows.shown() {
            let cost = &row.costs[number];
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} + {} | {} | {} | {}, {} |",
                action.name(),
                row.name,
                ms(rows.cpu(row, number)),
                ms(median(&cost.database)),
                ms(median(&cost.wall)),
                ms(quantile(&cost.wall, 99)),
                or_dash(rows.memory(row, number).map(|bytes| bytes as f64 / 1e6)),
                or_dash(cost.instructions.map(|count| count as f64 / 1e6)),
                cost.counts.connects,
                cost.counts.packets,
                cost.counts.statements,
                cost.counts.calls,
                cost.counts.sql_bytes,
                cost.counts.http_bytes
            );
        }
    }
    text += "\n</details>\n";
    Ok(text)
}

fn ratios(rows: &Rows<'_>, measured: &Measured) -> String {
    let mut text = "| webhook | CPU of the floor, ours, WordPress | ours / floor, CPU | WordPress / ours, CPU | WordPress / ours behind nginx, CPU | WordPress / ours, memory |\n|---|--:|--:|--:|--:|--:|\n".to_owned();
    let cpu = |name, action| {
        rows.get(name)
            .map_or_else(|| "–".to_owned(), |row| ms(rows.cpu(row, action)))
    };
    for (number, action) in Action::ALL.into_iter().enumerate() {
        let memory = |name| rows.get(name).and_then(|row| row.costs[number].memory);
        let memory = match (memory("WordPress"), memory("ours")) {
            (Some(more), Some(less)) => format!("{:.1}", more as f64 / less as f64),
            _ => "–".to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {}, {}, {} | {} | {} | {} | {memory} |",
            action.name(),
            cpu("the floor", number),
            cpu("ours", number),
            cpu("WordPress", number),
            rows.ratio("ours", "the floor", number),
            rows.ratio("WordPress", "ours", number),
            rows.ratio("WordPress", "ours, nginx", number)
        );
    }
    let rates: Vec<String> = rows
        .shown()
        .map(|row| format!("{} {:.0}", row.name, row.rate))
        .collect();
    let _ = writeln!(
        text,
        "\nWebhooks a second, eight at a time (`update_tags`): {}.",
        rates.join(", ")
    );
    let _ = writeln!(
        text,
        "One bcrypt hash of cost 10, which an `add` needs: {} ms.",
        ms(measured.hash)
    );
    text
}

fn versions() -> Result<String> {
    let database: Option<String> = Server::shared().root().query_first("SELECT VERSION()")?;
    let php = Command::new("php")
        .args(["-r", "echo PHP_VERSION;"])
        .output()?;
    Ok(format!(
        "MariaDB {}, PHP {}, WordPress 6.8",
        database.unwrap_or_default(),
        String::from_utf8_lossy(&php.stdout)
    ))
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

fn or_dash(number: Option<f64>) -> String {
    number.map_or_else(|| "–".to_owned(), |number| format!("{number:.1}"))
}

/// Names and colours of the bars.
const BARS: [(&str, &str); 3] = [
    ("the floor", "floor"),
    ("ours", "ours"),
    ("WordPress", "php"),
];

/// CPU time for each webhook, database included, as bars.
pub(crate) fn chart(measured: &Measured) -> String {
    let rows = &Rows(&measured.rows);
    let total = |row: &Row, number: usize| rows.cpu(row, number) + database(&row.costs[number]);
    let bars = |number: usize| {
        BARS.iter()
            .filter_map(move |(name, class)| Some((rows.get(name)?, *name, *class, number)))
    };
    let most = (0..Action::ALL.len())
        .flat_map(bars)
        .map(|(row, _, _, number)| total(row, number).as_secs_f64())
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut body = String::new();
    let mut y = 58;
    for (number, action) in Action::ALL.into_iter().enumerate() {
        let _ = writeln!(
            body,
            "<text class=\"name\" x=\"190\" y=\"{}\">{}</text>",
            y + 30,
            action.name()
        );
        for (row, _, class, number) in bars(number) {
            let time = total(row, number);
            let width = (time.as_secs_f64() / most * 470.0).max(1.0);
            let _ = writeln!(
                body,
                "<rect class=\"{class}\" x=\"200\" y=\"{y}\" width=\"{width:.1}\" height=\"13\"/><text x=\"{:.1}\" y=\"{}\">{}</text>",
                206.0 + width,
                y + 11,
                ms(time)
            );
            y += 15;
        }
        y += 12;
    }
    let mut legend = String::new();
    for (place, (name, class)) in BARS.iter().enumerate() {
        let x = 200 + place * 130;
        let _ = writeln!(
            legend,
            "<rect class=\"{class}\" x=\"{x}\" y=\"32\" width=\"12\" height=\"12\"/><text x=\"{}\" y=\"42\">{name}</text>",
            x + 18
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 740 {y}\" role=\"img\" aria-label=\"CPU time of one webhook\">\n\
         <style>text{{font:12px system-ui,sans-serif;fill:#1d2327}}.name{{text-anchor:end}}.title{{font-weight:600}}\
         .floor{{fill:#a7aaad}}.ours{{fill:#2271b1}}.php{{fill:#d98500}}\
         @media (prefers-color-scheme:dark){{text{{fill:#f0f0f1}}.ours{{fill:#72aee6}}}}</style>\n\
         <text class=\"title\" x=\"200\" y=\"18\">CPU time of one webhook in milliseconds, database included</text>\n{legend}{body}</svg>\n"
    )
}

fn database(cost: &Cost) -> Duration {
    median(&cost.database)
}
