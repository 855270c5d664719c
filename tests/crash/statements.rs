//! Every statement, COMMIT among them, fails as in a deadlock or after a lock wait.

use crate::ground::{Engine, Ground};
use crate::scenarios;
use crate::support::proxy::{DEADLOCK, LOCK_WAIT, Plan};
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
            for code in [DEADLOCK, LOCK_WAIT] {
                let place = format!("{name}: {code} on {text:.80}");
                ground.reset();
                ground.proxy.begin(Plan::Fail(number, code));
                let answer = ground.deliver();
                if answer.status == 503 {
                    assert_eq!(ground.stage.difference(), "", "{place}\n{answer}");
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
