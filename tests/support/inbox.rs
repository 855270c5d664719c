//! The program's inbox as a test meets it: time that passes, and what is left in it.

use std::thread;
use std::time::{Duration, Instant};

use mysql::Conn;
use mysql::prelude::Queryable as _;

use super::database::Database;

/// One hour, in the milliseconds of the program's tables.
const HOUR: u64 = 3_600_000;

/// Longer than a server needs to notice that a process is gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes it an hour later for everything that is kept: waits and leases are over, and no call counts any more.
pub fn let_an_hour_pass(database: &Database<'_>) {
    let mut root = database.root();
    await_rest(database, &mut root);
    let earlier = |column: &str| format!("{column} = GREATEST({column}, {HOUR}) - {HOUR}");
    let columns = ["came", "due", "lease"].map(earlier).join(", ");
    root.query_drop(format!("UPDATE wp_bento_webhooks_inbox SET {columns}"))
        .unwrap();
    let columns = ["paused", "tags", "worker"].map(earlier).join(", ");
    root.query_drop(format!(
        "UPDATE wp_bento_webhooks_state SET calls = '', {columns}"
    ))
    .unwrap();
}

/// An hour after a process was killed, nothing of what it had begun goes on.
fn await_rest(database: &Database<'_>, root: &mut Conn) {
    let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = ?";
    let begun = Instant::now();
    while root.exec_first(sql, (database.name(),)).unwrap() != Some(0_u64) {
        assert!(begun.elapsed() < PATIENCE, "a connection stays open");
        thread::sleep(Duration::from_millis(2));
    }
}

/// How many rows wait or are being worked on, and how many were given up.
pub fn rows(database: &Database<'_>) -> (u64, u64) {
    let sql = "SELECT COALESCE(SUM(buried = 0), 0), COALESCE(SUM(buried > 0), 0) FROM wp_bento_webhooks_inbox";
    database.root().query_first(sql).unwrap().unwrap()
}
