//! Every statement, COMMIT among them, fails as in a deadlock or after a lock wait.

use crate::ground::{Engine, Ground};
use crate::scenarios;
use crate::support::proxy::{Mishap, Plan};
use crate::support::state::State;

/// What a run leaves that nothing disturbs, and its statements.
fn undisturbed(ground: &Ground) -> (State, Vec<String>) {
    ground.deliver();
    ground.reset();
    ground.proxy.begin(Plan::Pass);
    let answer = ground.deliver();
    assert_eq!(answer.result(), "applied", "{answer}");
    (ground.outcome(), ground.proxy.statements())
}

#[test]
fn a_failing_statement_is_tried_again_or_leaves_nothing() {
    for (name, scenario) in scenarios::all(Engine::InnoDb) {
        let ground = Ground::new(&scenario);
        let (wanted, statements) = undisturbed(&ground);
        assert!(
            statements.iter().any(|text| text == "COMMIT"),
            "{name}: {statements:?}"
        );
        for (number, text) in (1..).zip(&statements) {
            for mishap in [Mishap::Deadlock, Mishap::LockWait, Mishap::Loss] {
                let place = format!("{name}: {mishap:?} on {text:.80}");
                ground.reset();
                ground.proxy.begin(Plan::Fail(number, mishap));
                let answer = ground.deliver();
                if answer.status == 503 {
                    assert_eq!(difference_of_users(&ground), "", "{place}\n{answer}");
                    ground.proxy.begin(Plan::Pass);
                    let answer = ground.deliver();
                    assert_eq!(answer.result(), "applied", "{place}\n{answer}");
                } else {
                    assert_eq!(answer.result(), "applied", "{place}\n{answer}");
                }
                assert_eq!(
                    wanted.difference(&ground.outcome()),
                    "",
                    "{place}\n{answer}"
                );
            }
        }
    }
}

/// In what the users differ from before. The list of tags is saved for itself, and may be.
fn difference_of_users(ground: &Ground) -> String {
    let before = &ground.stage.before;
    let now = State {
        options: before.options.clone(),
        ..ground.stage.now()
    };
    before.difference(&now)
}
