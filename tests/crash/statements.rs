//! Every statement, COMMIT among them, fails as in a deadlock or after a lock wait, or is lost with its connection.

use crate::ground::{Engine, Ground, Process, Undisturbed};
use crate::scenarios;
use crate::support::proxy::{Mishap, Plan};
use crate::support::state::State;

#[test]
fn a_failing_statement_is_tried_again_or_leaves_nothing() {
    for (name, scenario) in scenarios::all(Engine::InnoDb, Process::Answering) {
        let ground = Ground::new(&scenario);
        let undisturbed = ground.undisturbed();
        assert!(
            undisturbed.statements.iter().any(|text| text == "COMMIT"),
            "{name}"
        );
        for (number, text) in (1..).zip(&undisturbed.statements) {
            for mishap in [Mishap::Deadlock, Mishap::LockWait, Mishap::Loss] {
                let place = format!("{name}: {mishap:?} on statement {number}, {text:.80}");
                fail(&ground, Plan::Fail(number, mishap), &undisturbed, &place);
            }
        }
    }
}

fn fail(ground: &Ground, plan: Plan, undisturbed: &Undisturbed, place: &str) {
    ground.reset();
    ground.proxy.begin(plan);
    let answer = ground.deliver();
    let unchanged = difference_of_users(ground).is_empty();
    match (answer.status, answer.result().as_str()) {
        (503, _) | (200, "queued") => {}
        (200, "applied" | "unchanged") => assert!(!unchanged, "{place}\n{answer}"),
        _ => panic!("{place}\n{answer}"),
    }
    let difference = || undisturbed.rows.difference(&ground.outcome());
    assert!(
        unchanged || difference().is_empty(),
        "{place}: half done\n{}\n{answer}",
        difference()
    );
    ground.make_up_for(place);
    assert_eq!(difference(), "", "{place}\n{answer}");
    ground.check_password(place);
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

/// Without transactions what was written before a failure stays, and is made up for.
#[test]
fn a_failing_statement_is_made_up_for_without_transactions() {
    for (name, scenario) in scenarios::all(Engine::MyIsam, Process::Answering) {
        let ground = Ground::new(&scenario);
        let undisturbed = ground.undisturbed();
        for (number, text) in (1..).zip(&undisturbed.statements) {
            for mishap in [Mishap::Deadlock, Mishap::Loss] {
                let place = format!("{name}: {mishap:?} on statement {number}, {text:.80}");
                ground.reset();
                ground.proxy.begin(Plan::Fail(number, mishap));
                let answer = ground.deliver();
                ground.make_up_for(&place);
                let difference = undisturbed.rows.difference(&ground.outcome());
                assert_eq!(difference, "", "{place}\n{answer}");
                // All rows are there by then, but for those that wait to be sent.
                if (text.as_str(), mishap) != ("COMMIT", Mishap::Loss) {
                    ground.check_password(&place);
                }
            }
        }
    }
}
