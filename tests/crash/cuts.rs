//! Every cut point: before and after each packet between program and database.

use crate::ground::{Engine, Ground, Process, Run, Scenario, Undisturbed};
use crate::scenarios;
use crate::support::proxy::{Plan, Side, Way};
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sites that are worked on at the same time.
const GROUNDS: usize = 3;

/// What is done to a run that stands still.
type Harm = fn(&Ground, Child);

/// Which packets are cut at, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packets {
    All,
    /// The first and the last of each question and of each answer.
    Outer,
}

/// The process is killed; the server sees its connection closed.
fn kill(ground: &Ground, mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
    ground.proxy.hang_up();
}

/// The server is gone; the program sees its connection closed, and answers something whole if it is to answer.
fn disconnect(ground: &Ground, child: Child) {
    ground.proxy.hang_up();
    let output = child.wait_with_output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    let is_whole = answer.starts_with("Status: 200") || answer.starts_with("Status: 503");
    assert_eq!(is_whole, ground.process == Process::Answering, "{answer}");
}

#[test]
fn killed_anywhere_and_sent_again_is_done_once() {
    for (name, scenario) in scenarios::all(Engine::InnoDb, Process::Answering) {
        cut_everywhere(name, &scenario, kill, Packets::All);
    }
}

#[test]
fn a_worker_killed_anywhere_is_made_up_for_by_the_next() {
    for (name, scenario) in scenarios::all(Engine::InnoDb, Process::Worker) {
        cut_everywhere(name, &scenario, kill, Packets::All);
    }
}

#[test]
fn killed_anywhere_and_sent_again_is_done_once_without_transactions() {
    for (name, scenario) in scenarios::all(Engine::MyIsam, Process::Answering) {
        cut_everywhere(name, &scenario, kill, Packets::Outer);
    }
}

#[test]
fn disconnected_anywhere_and_sent_again_is_done_once() {
    for (name, scenario) in scenarios::all(Engine::InnoDb, Process::Answering) {
        cut_everywhere(name, &scenario, disconnect, Packets::Outer);
    }
}

fn cut_everywhere(name: &str, scenario: &Scenario, harm: Harm, which: Packets) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..GROUNDS {
            scope.spawn(|| {
                let ground = Ground::new(scenario);
                let uncut = ground.undisturbed();
                let cuts = cuts(&uncut.packets, which);
                while let Some((side, number)) = cuts.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let place = format!(
                        "{name}, {side:?} packet {number} of {}",
                        uncut.packets.len()
                    );
                    cut(&ground, Plan::Stop(*side, *number), harm, &uncut, &place);
                }
            });
        }
    });
}

/// Before and after each packet. Between two packets of one answer the program can do nothing, so that what comes after
/// the first is what comes before the second.
fn cuts(packets: &[Way], which: Packets) -> Vec<(Side, usize)> {
    let goes_on = |number: usize| packets.get(number - 1) == packets.get(number);
    let sides = |number: usize| {
        let begins = number == 1 || !goes_on(number - 1);
        let before = (begins || which == Packets::All).then_some((Side::Before, number));
        let after = (!goes_on(number)).then_some((Side::After, number));
        [before, after].into_iter().flatten()
    };
    (1..=packets.len()).flat_map(sides).collect()
}

fn cut(ground: &Ground, plan: Plan, harm: Harm, uncut: &Undisturbed, place: &str) {
    ground.reset();
    let run = ground.run_to(plan, harm);
    assert_eq!(run, Run::Stopped, "{place} was never reached");
    let left = ground.stage.difference();
    ground.make_up_for(place);
    let difference = uncut.rows.difference(&ground.outcome());
    assert_eq!(difference, "", "{place}\n  left by the cut:\n{left}");
    ground.check_password(place);
    let log = ground.log();
    for message in &uncut.messages {
        assert!(
            log.contains(message),
            "{place}: no row {message:?} in {log:?}"
        );
    }
}
