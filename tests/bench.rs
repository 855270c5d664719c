//! The benchmark in its quick form: what is counted must not grow. What takes time is not judged here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests stop at the first surprise"
)]

use std::path::Path;
use std::process::Command;

#[test]
fn no_webhook_sends_more_than_the_floor_and_the_limits_allow() {
    let folder = Path::new(env!("CARGO_BIN_EXE_bento-webhooks"))
        .parent()
        .unwrap();
    let bench = folder.join("examples/bench");
    assert!(
        bench.is_file(),
        "the benchmark is not built: cargo test --examples --test bench"
    );
    let output = Command::new(bench).arg("--quick").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (table, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{table}\n{errors}");
    assert_eq!(errors, "");

    // The floor repeats what the program does, so both columns of a webhook must be there and alike.
    let rows = |name: &str| -> Vec<Vec<String>> {
        let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let rows: Vec<Vec<String>> = table.lines().map(cells).collect();
        rows.into_iter()
            .filter(|row| row.get(2).is_some_and(|own| own == name))
            .collect()
    };
    let (floor, ours) = (rows("the floor"), rows("ours"));
    assert_eq!(ours.len(), 7, "{table}");
    for (floor, ours) in floor.iter().zip(&ours) {
        assert_eq!(floor[1], ours[1], "{table}");
        assert_eq!(floor[3..6], ours[3..6], "{table}");
    }
}
