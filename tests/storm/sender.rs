//! Sends webhooks as Bento does: what is not answered with 200 is sent again. Some processes are killed on the way.

use crate::KILLED;
use crate::dice::Dice;
use crate::people::{Action, People, uuid};
use crate::stage::{Stage, target};
use crate::support::cgi::Request;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A sender that is refused so often has found a fault.
const TRIES: usize = 50;

#[derive(Clone, Copy, Debug)]
struct Webhook {
    person: usize,
    action: Action,
    tries: usize,
}

/// What became of all deliveries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: usize,
    /// Answers other than 200.
    pub(crate) refused: usize,
    pub(crate) killed: usize,
    /// Of those that were not to be killed.
    spent: Duration,
    whole: u32,
}

pub(crate) struct Sender<'a> {
    stage: &'a Stage,
    people: &'a People,
    /// Values for `DB_HOST`; each webhook goes to the next web server, which uses the next of them.
    hosts: Vec<String>,
    next_host: AtomicUsize,
    waiting: Mutex<VecDeque<Webhook>>,
    /// Deliveries that may still be made.
    allowed: AtomicUsize,
    tally: Mutex<Tally>,
}

impl Tally {
    fn wants_a_kill(&self) -> bool {
        self.killed * 100 <= KILLED * (self.answered + self.refused + self.killed)
    }
}

impl<'a> Sender<'a> {
    pub(crate) fn new(
        stage: &'a Stage,
        people: &'a People,
        hosts: Vec<String>,
        count: usize,
        seed: u64,
    ) -> Sender<'a> {
        let mut dice = Dice(seed);
        let webhook = |_| Webhook {
            person: dice.below(people.count()),
            action: [Action::Add, Action::Update, Action::UpdateTags][dice.below(3)],
            tries: 0,
        };
        Sender {
            stage,
            people,
            hosts,
            next_host: AtomicUsize::new(0),
            waiting: Mutex::new((0..count).map(webhook).collect()),
            allowed: AtomicUsize::new(0),
            tally: Mutex::default(),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    /// Whether something is left to send.
    pub(crate) fn has_more(&self) -> bool {
        !self.waiting.lock().unwrap().is_empty()
    }

    /// Sets how many deliveries may be made from now on.
    pub(crate) fn allow(&self, deliveries: usize) {
        self.allowed.store(deliveries, Ordering::SeqCst);
    }

    /// Whether one more delivery may be made.
    fn is_allowed(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        self.allowed
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
            .is_ok()
    }

    /// Sends until nothing is left to send or no delivery may be made any more.
    pub(crate) fn send(&self, seed: u64) {
        let mut dice = Dice(seed | 1);
        while self.is_allowed() {
            let Some(webhook) = self.waiting.lock().unwrap().pop_front() else {
                return;
            };
            if webhook.tries == 0 {
                self.people
                    .change(&self.stage.bento, webhook.person, webhook.action, &mut dice);
            }
            if !self.deliver(webhook, &mut dice) {
                assert!(
                    webhook.tries < TRIES,
                    "{webhook:?} is refused again and again"
                );
                let tries = webhook.tries + 1;
                self.waiting
                    .lock()
                    .unwrap()
                    .push_back(Webhook { tries, ..webhook });
            }
        }
    }

    /// Whether the sender was told that all is well.
    fn deliver(&self, webhook: Webhook, dice: &mut Dice) -> bool {
        let name = match webhook.action {
            Action::Add => "add",
            Action::Update => "update",
            Action::UpdateTags => "update_tags",
        };
        let address = target(name) + &People::role(webhook.person) + "&send_notification=true";
        let mut request = Request::post(&address, &json!({"id": uuid(webhook.person)}).to_string());
        let host = self.next_host.fetch_add(1, Ordering::SeqCst) % self.hosts.len();
        // As on a real site, a worker is started by whoever finds work left.
        request
            .environment
            .push(("BENTO_WEBHOOKS_WORKER".to_owned(), "auto".to_owned()));
        request.environment.push((
            "BENTO_WEBHOOKS_DB_HOST".to_owned(),
            self.hosts[host].clone(),
        ));
        // Some have answered before their moment came, so it is counted who was killed in time.
        let kill = self.tally().wants_a_kill() && dice.below(2) == 0;
        let status = if kill {
            self.run_and_kill(&request, dice)
        } else {
            let answer = self.stage.program.run(&request);
            let mut tally = self.tally.lock().unwrap();
            tally.spent += answer.elapsed;
            tally.whole += 1;
            Some(answer.status)
        };
        let mut tally = self.tally.lock().unwrap();
        match status {
            Some(200) => tally.answered += 1,
            Some(_) => tally.refused += 1,
            None => tally.killed += 1,
        }
        status == Some(200)
    }

    /// Kills the process at some moment of the time that one takes; the status, if it had answered by then.
    fn run_and_kill(&self, request: &Request, dice: &mut Dice) -> Option<u16> {
        let usual = {
            let tally = self.tally.lock().unwrap();
            tally.spent / tally.whole.max(1)
        };
        let moment = usual * u32::try_from(dice.below(110)).unwrap() / 100;
        let begun = Instant::now();
        let mut child = self.stage.program.start(request);
        while begun.elapsed() < moment && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(500));
        }
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        status(&String::from_utf8_lossy(&output.stdout))
    }
}

/// The status of an answer that has come whole.
fn status(answer: &str) -> Option<u16> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let is_whole = header("Content-Length: ")?.parse() == Ok(body.len());
    is_whole.then_some(header("Status: ")?.get(..3)?.parse().ok()?)
}
