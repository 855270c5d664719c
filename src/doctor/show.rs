//! The results for a reader: a few lines at a terminal, everything with `-v`, JSON, or a report for support.
//!
//! At a terminal a group has one line when all is well. Problems come first, each with why it matters and one next step;
//! nothing is printed that the reader cannot act on.

use super::checks::Check;
use super::finding::{Finding, Level};
use super::schedule::Results;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Column at which texts begin.
const INDENT: usize = 17;
/// Column at which the id of a finding is written, if the text is not longer.
const ID_COLUMN: usize = 68;

/// What was examined, and what came of it.
pub(super) struct Findings<'a> {
    /// The checks, in their order.
    pub(super) checks: Vec<&'a Check>,
    /// Their results.
    pub(super) results: Results,
    /// How long it took.
    pub(super) took: Duration,
}

/// Whether escape sequences may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// At a terminal.
    On,
    /// Everywhere else.
    Off,
}

impl Findings<'_> {
    /// How many findings are of this level.
    pub(super) fn count(&self, level: Level) -> usize {
        let findings = self.results.values().flatten();
        findings.filter(|finding| finding.level == level).count()
    }

    fn of_group<'s>(&'s self, group: &str) -> Vec<(&'static str, &'s Finding)> {
        let mut list = Vec::new();
        for check in self
            .checks
            .iter()
            .filter(|check| group_of(check.id) == group)
        {
            let findings = self.results.get(check.id).into_iter().flatten();
            list.extend(findings.map(|finding| (check.id, finding)));
        }
        list
    }

    fn groups(&self) -> Vec<&'static str> {
        let mut groups: Vec<&str> = Vec::new();
        for check in &self.checks {
            let group = group_of(check.id);
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }

    /// The short form.
    pub(super) fn brief(&self, colours: Colours) -> String {
        let mut text = String::new();
        for group in self.groups() {
            let mut name = group;
            for line in group_lines(&self.of_group(group)) {
                let _ = writeln!(text, "{name:<11}{}{}", word(line.level, colours), line.text);
                for more in &line.more {
                    let _ = writeln!(text, "{:INDENT$}{more}", "");
                }
                name = "";
            }
        }
        text.push('\n');
        text + &self.summary()
    }

    /// One line for each finding, and what it says.
    pub(super) fn verbose(&self, colours: Colours) -> String {
        let mut text = String::new();
        for check in &self.checks {
            for finding in self.results.get(check.id).into_iter().flatten() {
                let word = word(finding.level, colours);
                let _ = writeln!(text, "{:<14}{word}{}", check.id, finding.seen);
                for more in explanation(finding) {
                    let _ = writeln!(text, "{:20}{more}", "");
                }
            }
        }
        text.push('\n');
        text + &self.summary()
    }

    fn summary(&self) -> String {
        let (problems, warnings) = (self.count(Level::Failure), self.count(Level::Warning));
        let seconds = self.took.as_secs_f32();
        let counted = [plural(problems, "problem"), plural(warnings, "warning")];
        let counted: Vec<String> = counted.into_iter().flatten().collect();
        if counted.is_empty() {
            return format!("All {} checks fine in {seconds:.1} s.\n", self.checks.len());
        }
        format!(
            "{} in {seconds:.1} s. Details: doctor -v   For support: doctor --report\n",
            counted.join(", ")
        )
    }

    /// For programs.
    pub(super) fn json(&self, site: Option<&str>, exit: u8) -> String {
        let mut list: Vec<Value> = Vec::new();
        for check in &self.checks {
            for finding in self.results.get(check.id).into_iter().flatten() {
                let mut entry = json!({ "id": check.id });
                if let (Some(members), Ok(Value::Object(own))) =
                    (entry.as_object_mut(), serde_json::to_value(finding))
                {
                    members.extend(own);
                }
                list.push(entry);
            }
        }
        let answer = json!({
            "program": crate::echo::PROGRAM,
            "site": site,
            "problems": self.count(Level::Failure),
            "warnings": self.count(Level::Warning),
            "seconds": (self.took.as_secs_f64() * 10.0).round() / 10.0,
            "exit": exit,
            "findings": list,
        });
        serde_json::to_string_pretty(&answer).unwrap_or_default() + "\n"
    }
}

/// One line of the short form, with what stands below it.
struct Line {
    level: Level,
    text: String,
    more: Vec<String>,
}

/// Problems in their order, then what was skipped, then what is fine.
fn group_lines(findings: &[(&'static str, &Finding)]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for level in [Level::Failure, Level::Warning] {
        let problems = findings
            .iter()
            .filter(|(_, finding)| finding.level == level);
        lines.extend(problems.map(|(id, finding)| Line {
            level,
            text: with_id(&finding.seen, id),
            more: explanation(finding),
        }));
    }
    let mut skipped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, finding) in findings
        .iter()
        .filter(|(_, finding)| finding.level == Level::Skipped)
    {
        skipped.entry(&finding.seen).or_default().push(id);
    }
    lines.extend(skipped.iter().map(|(why, ids)| Line {
        level: Level::Skipped,
        text: format!("{}: {why}", ids.join(", ")),
        more: Vec::new(),
    }));
    let fine = findings
        .iter()
        .filter(|(_, finding)| finding.level == Level::Ok);
    let fine: Vec<&str> = fine
        .map(|(_, finding)| finding.seen.as_str())
        .filter(|seen| !seen.is_empty())
        .collect();
    if !fine.is_empty() || lines.is_empty() {
        let text = if fine.is_empty() {
            "fine".to_owned()
        } else {
            fine.join(", ")
        };
        lines.push(Line {
            level: Level::Ok,
            text,
            more: Vec::new(),
        });
    }
    lines
}

/// Why, and what to do next.
fn explanation(finding: &Finding) -> Vec<String> {
    let next = finding.next.as_ref().map(|next| format!("-> {next}"));
    finding.why.iter().cloned().chain(next).collect()
}

fn with_id(text: &str, id: &str) -> String {
    let width = (ID_COLUMN - INDENT).max(text.chars().count() + 2);
    format!("{text:<width$}[{id}]")
}

fn plural(count: usize, noun: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {noun}")),
        count => Some(format!("{count} {noun}s")),
    }
}

/// The word for a level, six characters wide.
fn word(level: Level, colours: Colours) -> String {
    let (word, colour) = match level {
        Level::Ok => ("ok", "32"),
        Level::Info => ("info", "0"),
        Level::Skipped => ("skip", "2"),
        Level::Warning => ("warn", "33"),
        Level::Failure => ("FAIL", "1;31"),
    };
    match colours {
        Colours::Off => format!("{word:<6}"),
        Colours::On => format!("\u{1b}[{colour}m{word:<6}\u{1b}[0m"),
    }
}

/// The group that a check is shown in.
fn group_of(id: &str) -> &'static str {
    match id.split('.').next().unwrap_or_default() {
        "prog" => "Program",
        "wp" | "db" => "WordPress",
        "wpf" => "WP Fusion",
        "web" => "Web",
        "bento" => "Bento",
        _ => "Queue",
    }
}
