//! What takes a worker's whole life. Tests are run in the order of their names, and this one is waited for least when it is
//! the first.

use super::worker::{on_its_own, workers};
use super::{NORA, PATIENCE, crowd, until, webhook};
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

/// Each lives for about 50 seconds, less than what waits here takes; then it starts the next.
#[test]
fn what_one_worker_cannot_finish_the_next_one_does() {
    let (mut stage, people) = crowd(56);
    stage.site.define("BENTO_WEBHOOKS_CONCURRENCY", "0");
    stage.site.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "1200");
    for person in &people {
        assert_eq!(stage.run("add", person).result(), "queued");
    }
    stage.bento.world().latency = Duration::from_secs(1);
    stage.program.run(&on_its_own(webhook("add", NORA)));
    let mut seen = BTreeSet::new();
    let begun = Instant::now();
    while stage.rows_kept() != "0" {
        seen.extend(workers(&stage).into_iter().map(|(process, _)| process));
        assert!(begun.elapsed() < 10 * PATIENCE);
        thread::sleep(Duration::from_millis(100));
    }
    until("the end of the worker", || workers(&stage).is_empty());
    assert!(seen.len() > 1, "{seen:?}");
    assert_eq!(
        stage.bento.calls().iter().map(|call| call.at_once).max(),
        Some(1)
    );
    let users = "SELECT COUNT(*) FROM wp_users WHERE user_email LIKE 'crowd%'";
    assert_eq!(stage.value(users), "56");
}
