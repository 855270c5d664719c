//! `queue.*`, `hook.last` and `web.after`: what waits, who works on it, when a webhook last came, and whether work goes on
//! when the answer is out.

use super::answers;
use super::finding::Finding;
use super::patient::Patient;
use crate::clock::span;
use crate::outcome::Trouble;
use crate::site::Overview;
use crate::text::one_line;
use crate::wp_config::Worker;
use std::time::{Duration, Instant};

/// Rows that wait for longer than this should have been done, in milliseconds: one failure of Bento is no reason to worry.
const LONG: u64 = 3_600_000;
/// Something is due for so long that a worker should have come by, in milliseconds.
const OVERDUE: u64 = 600_000;
/// How long doctor waits for the work after the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks.
const GLANCE: Duration = Duration::from_millis(200);
const NOTHING_KEPT: &str = "nothing is kept: the first webhook makes the queue's tables";

/// What the inbox looks like; none when it has no tables yet.
fn overview(patient: &Patient) -> Option<Result<Overview, Trouble>> {
    let config = patient.config.as_ref().ok()?;
    let mut connection = patient.database()?;
    let tables = match connection.site.tables_in_use() {
        Ok(tables) => tables,
        Err(trouble) => return Some(Err(trouble)),
    };
    let is_made = tables
        .iter()
        .filter(|table| table.ours)
        .all(|table| table.engine.is_some());
    is_made.then(|| connection.site.overview(config.own().calls_per_minute()))
}

/// The overview, or what to say without one.
pub(super) fn seen(patient: &Patient) -> Result<Overview, Finding> {
    match overview(patient) {
        None if patient.database().is_none() => Err(Finding::skipped("needs db.connect")),
        None => Err(Finding::info(NOTHING_KEPT)),
        Some(Err(trouble)) => Err(super::database::failed(&trouble)),
        Some(Ok(overview)) => Ok(overview),
    }
}

/// `queue.state`
pub(super) fn state(patient: &Patient) -> Vec<Finding> {
    let overview = match seen(patient) {
        Ok(overview) => overview,
        Err(finding) => return vec![Finding::ok("0 waiting"), finding],
    };
    let mut findings = Vec::new();
    let waiting = overview.waiting + overview.running;
    let rows = overview.rows.iter().filter(|row| row.state != "buried");
    let reason = rows.map(|row| row.reason.as_str());
    let reason = reason
        .filter(|reason| !reason.is_empty())
        .map(one_line)
        .next();
    let reason = reason.map_or_else(String::new, |reason| {
        format!(", the first because of: {reason}")
    });
    match overview.oldest {
        Some(age) if age > LONG => findings.push(Finding::warning(
            format!("{waiting} waiting, the oldest for {}{reason}", span(age)),
            "What these webhooks ask for is not done yet.",
            "see what waits and why:  bento-webhooks queue",
        )),
        _ => findings.push(Finding::ok(format!("{waiting} waiting"))),
    }
    if overview.buried > 0 {
        findings.push(Finding::warning(
            format!("{} given up after 12 attempts", overview.buried),
            "What these webhooks ask for will not be done.",
            "see why with  bento-webhooks queue , mend it, then  bento-webhooks retry --all",
        ));
    }
    findings
}

/// `queue.worker`
pub(super) fn worker(patient: &Patient) -> Vec<Finding> {
    let overview = match seen(patient) {
        Ok(overview) => overview,
        Err(finding) => return vec![finding],
    };
    if stands_still(&overview) {
        return vec![Finding::failure(
            "webhooks are due, and nobody works on them",
            "They stay undone until the next webhook starts a worker, or for ever where none can start.",
            match (left_to_cron(patient), patient.located.folder()) {
                (true, Some(folder)) => format!(
                    "add to crontab:  * * * * *  bento-webhooks work --path {}",
                    folder.display()
                ),
                _ => "start one:  bento-webhooks doctor --fix".to_owned(),
            },
        )];
    }
    vec![Finding::info(
        match (overview.worker, overview.last_worked) {
            (true, _) => "a worker is there".to_owned(),
            (false, Some(age)) => format!("last worked {} ago", span(age)),
            (false, None) => "no worker was needed yet".to_owned(),
        },
    )]
}

/// Whether something has been due for long, and nobody works on it.
pub(super) fn stands_still(overview: &Overview) -> bool {
    let is_due = overview
        .rows
        .iter()
        .any(|row| row.state == "waiting" && row.due_in == 0);
    let is_idle = overview.last_worked.is_none_or(|age| age > OVERDUE);
    let is_old = overview.oldest.is_some_and(|age| age > OVERDUE);
    is_due && is_idle && is_old && !overview.worker
}

/// Whether the owner wants cron to work.
fn left_to_cron(patient: &Patient) -> bool {
    let config = patient.config.as_ref();
    config.is_ok_and(|config| config.own().worker() == Worker::Cron)
}

/// `hook.last`
pub(super) fn last(patient: &Patient) -> Vec<Finding> {
    match seen(patient) {
        Err(finding) => vec![finding],
        Ok(overview) => vec![match overview.last_heard {
            Some(age) => Finding::ok(format!("last webhook {} ago", span(age))),
            None => Finding::info("no webhook has come yet"),
        }],
    }
}

/// `web.after`
pub(super) fn after(patient: &Patient) -> Vec<Finding> {
    if left_to_cron(patient) {
        return vec![Finding::info(
            "cron does what waits (BENTO_WEBHOOKS_WORKER)",
        )];
    }
    if let Err(finding) = seen(patient) {
        return vec![finding];
    }
    // A worker has nothing to do on a site that has no Bento.
    if !patient
        .settings
        .get()
        .is_some_and(|settings| settings.uses_bento)
    {
        return vec![Finding::skipped("needs wpf.settings")];
    }
    if let Err(finding) = answers::ask_for_work(patient) {
        return vec![finding];
    }
    let answered = Instant::now();
    while answered.elapsed() < PATIENCE {
        // Nothing tells when another process has written a row.
        std::thread::sleep(GLANCE);
        let overview = match seen(patient) {
            Ok(overview) => overview,
            Err(finding) => return vec![finding],
        };
        let since = u64::try_from(answered.elapsed().as_millis()).unwrap_or(u64::MAX);
        if overview.last_worked.is_some_and(|age| age < since) {
            return vec![Finding::info("work goes on after the answer")];
        }
    }
    vec![Finding::warning(
        "work after the answer does not go on",
        "What Bento or the site could not do at once stays in the queue: the host ends what a request has started.",
        "let cron do it, each minute, with  bento-webhooks work  ; and define BENTO_WEBHOOKS_WORKER as 'cron' in wp-config.php",
    )]
}
