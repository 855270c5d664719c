//! Runs checks: independent ones at once, those that need others after them or not at all, and none beyond the time.
//!
//! Threads are left behind when time is up, because a look-up of a name cannot be interrupted; the process ends soon
//! after. Where no thread can be started, as under a process limit, the checks run one after another.

use super::checks::Check;
use super::finding::{Finding, Level};
use super::patient::Patient;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// What came of every check, by id.
pub(super) type Results = HashMap<&'static str, Vec<Finding>>;

type Report = (&'static str, Vec<Finding>);

/// Runs the checks and returns when all have ended, or when the time is up.
pub(super) fn run(checks: &[&'static Check], patient: &Arc<Patient>, time: Duration) -> Results {
    let deadline = Instant::now() + time;
    let (sender, receiver) = mpsc::channel();
    let mut waiting: Vec<&'static Check> = checks.to_vec();
    let mut results = Results::new();
    loop {
        while let Some(at) = waiting
            .iter()
            .position(|check| is_ready(check, checks, &results))
        {
            let check = waiting.remove(at);
            match broken_need(check, &results) {
                Some(id) => {
                    let skipped = Finding::skipped(format!("needs {id}"));
                    results.insert(check.id, vec![skipped]);
                }
                None => start(check, patient, &sender),
            }
        }
        if results.len() == checks.len() {
            break;
        }
        let Some((id, findings)) = next(&receiver, deadline) else {
            break;
        };
        results.insert(id, findings);
    }
    for check in checks {
        results
            .entry(check.id)
            .or_insert_with(|| vec![late(check.id, time)]);
    }
    name_roots(&mut results);
    results
}

/// What is said of a check that was not done when the time was up.
fn late(id: &str, time: Duration) -> Finding {
    Finding::warning(
        format!("no result in {} s", time.as_secs()),
        "Something on the way is slow, and whatever else it is cannot be seen behind that.",
        format!("examine it alone:  bento-webhooks doctor --only {id}"),
    )
}

/// What was skipped for want of something that was skipped itself names what is really broken.
fn name_roots(results: &mut Results) {
    let need = |finding: &Finding| {
        let is_skipped = finding.level == Level::Skipped;
        let id = finding.seen.strip_prefix("needs ").filter(|_| is_skipped);
        id.map(str::to_owned)
    };
    let wants: HashMap<&'static str, String> = results
        .iter()
        .filter_map(|(id, findings)| Some((*id, findings.iter().find_map(need)?)))
        .collect();
    for finding in results.values_mut().flatten() {
        let Some(mut root) = need(finding) else {
            continue;
        };
        // Needs go one way, so this ends; as many steps as there are checks are enough.
        for _ in 0..wants.len() {
            match wants.get(root.as_str()) {
                Some(deeper) => root.clone_from(deeper),
                None => break,
            }
        }
        finding.seen = format!("needs {root}");
    }
}

fn next(receiver: &Receiver<Report>, deadline: Instant) -> Option<Report> {
    let left = deadline.saturating_duration_since(Instant::now());
    receiver.recv_timeout(left).ok()
}

/// Whether everything that comes before the check has ended; what is not asked for is not waited for.
fn is_ready(check: &Check, checks: &[&Check], results: &Results) -> bool {
    let mut before = check.needs.iter().chain(check.after);
    before.all(|id| results.contains_key(id) || !checks.iter().any(|other| other.id == *id))
}

/// The first need that is broken or was skipped.
fn broken_need(check: &Check, results: &Results) -> Option<&'static str> {
    let is_broken = |finding: &Finding| matches!(finding.level, Level::Failure | Level::Skipped);
    let mut needs = check.needs.iter().copied();
    needs.find(|id| {
        results
            .get(id)
            .is_some_and(|findings| findings.iter().any(is_broken))
    })
}

fn start(check: &'static Check, patient: &Arc<Patient>, sender: &Sender<Report>) {
    let work = {
        let (patient, sender) = (Arc::clone(patient), sender.clone());
        move || {
            // Nobody listens any more when the time is up.
            let _ = sender.send((check.id, (check.run)(&patient)));
        }
    };
    if thread::Builder::new().spawn(work).is_err() {
        let _ = sender.send((check.id, (check.run)(patient)));
    }
}
