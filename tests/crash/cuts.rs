//! Every cut point: before and after each packet between program and database.

use crate::ground::{Engine, Ground, Run, Scenario};
use crate::scenarios::{self, ADD_NEW};
use crate::support::proxy::{Plan, Side};
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sites that are worked on at the same time.
const GROUNDS: usize = 3;

/// What is done to a run that stands still.
type Harm = fn(&Ground, Child);

/// The process is killed; the server sees its connection closed.
fn kill(ground: &Ground, mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
    ground.proxy.hang_up();
}

/// The server is gone; the program sees its connection closed and answers something whole.
fn disconnect(ground: &Ground, child: Child) {
    ground.proxy.hang_up();
    let output = child.wait_with_output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(
        answer.starts_with("Status: 200") || answer.starts_with("Status: 503"),
        "{answer}"
    );
}

#[test]
fn killed_anywhere_and_sent_again_is_done_once() {
    for (name, scenario) in scenarios::all(Engine::InnoDb) {
        cut_everywhere(name, &scenario, kill);
    }
}

#[test]
fn killed_anywhere_and_sent_again_is_done_once_without_transactions() {
    let scenarios = scenarios::all(Engine::MyIsam).into_iter();
    // A user without a transaction is half made when the program dies between the user's row and the metas.
    for (name, scenario) in scenarios.filter(|(name, _)| *name != ADD_NEW) {
        cut_everywhere(name, &scenario, kill);
    }
}

#[test]
fn disconnected_anywhere_and_sent_again_is_done_once() {
    for (name, scenario) in scenarios::all(Engine::InnoDb) {
        cut_everywhere(name, &scenario, disconnect);
    }
}

fn cut_everywhere(name: &str, scenario: &Scenario, harm: Harm) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..GROUNDS {
            scope.spawn(|| {
                let ground = Ground::new(scenario);
                let (wanted, messages, packets) = uncut(&ground);
                // A packet more, so that a run which grew by one would be seen.
                let last = 2 * (packets + 1);
                loop {
                    let cut = next.fetch_add(1, Ordering::SeqCst);
                    if cut >= last {
                        return;
                    }
                    let side = [Side::Before, Side::After][cut % 2];
                    let number = cut / 2 + 1;
                    let place = format!("{name}, {side:?} packet {number} of {packets}");
                    ground.reset();
                    let run = ground.run_to(Plan::Stop(side, number), harm);
                    assert!(
                        run == Run::Stopped || number > packets,
                        "{place} was never reached"
                    );
                    let rows = ground.stage.now();
                    let answer = ground.deliver();
                    assert_eq!(answer.status, 200, "{place}\n{answer}");
                    let difference = wanted.difference(&ground.outcome());
                    assert_eq!(
                        difference,
                        "",
                        "{place}\n  left by the cut:\n{}\n{answer}",
                        ground.stage.before.difference(&rows)
                    );
                    let log = ground.log();
                    for message in &messages {
                        assert!(
                            log.contains(message),
                            "{place}: no row {message:?} in {log:?}"
                        );
                    }
                }
            });
        }
    });
}

/// What a run leaves that nothing disturbs: rows, messages in the log, and how many packets it needs.
fn uncut(ground: &Ground) -> (crate::support::state::State, Vec<String>, usize) {
    // The first one makes the tables that are ours.
    ground.deliver();
    ground.reset();
    ground.proxy.begin(Plan::Pass);
    let answer = ground.deliver();
    assert_eq!(answer.result(), "applied", "{answer}");
    let packets = ground.proxy.packets();
    (ground.outcome(), ground.log(), packets)
}
