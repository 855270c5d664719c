//! Lets the contenders take turns, and keeps what each webhook has cost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::contender::{Contender, Way};
use crate::ground::{Action, Ground};
use crate::meter::{self, Counts, Spent};
use crate::progress::Progress;
use crate::stage::{Programs, Stage};

/// Webhooks in a row, before another contender's turn.
const BATCH: u32 = 5;
/// Webhooks on their way at once, and how many there are in all.
const AT_ONCE: u64 = 8;
const RATE_REQUESTS: u64 = 160;

/// What one kind of webhook costs one contender.
#[derive(Default)]
pub(crate) struct Cost {
    pub(crate) wall: Vec<Duration>,
    /// Of the program, of the servers around it, of the database.
    pub(crate) cpu: Vec<Duration>,
    pub(crate) servers: Vec<Duration>,
    pub(crate) database: Vec<Duration>,
    pub(crate) memory: Option<u64>,
    pub(crate) instructions: Option<u64>,
    pub(crate) counts: Counts,
}

/// The costs of one contender, in the order of [`Action::ALL`].
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) costs: Vec<Cost>,
    /// `update_tags` with something new: how many a second, eight at a time.
    pub(crate) rate: f64,
}

/// Everything that was measured.
pub(crate) struct Measured {
    pub(crate) rows: Vec<Row>,
    /// One password hash, as WordPress makes them.
    pub(crate) hash: Duration,
    pub(crate) requests: u64,
}

/// What every contender sends.
pub(crate) fn count(
    ground: &Ground,
    contenders: &[Contender<'_>],
) -> Result<Vec<(&'static str, Action, Counts)>> {
    let mut all = Vec::new();
    for contender in contenders {
        for action in Action::ALL {
            contender.webhook(ground, action, 0)?;
            all.push((contender.name, action, contender.counts(ground, action, 0)?));
        }
    }
    Ok(all)
}

/// Measures all contenders on a stage.
pub(crate) fn measure(stage: &Stage, programs: &Programs, requests: u64) -> Result<Measured> {
    let contenders = stage.contenders(programs)?;
    let ground = &stage.ground;
    let mut rows: Vec<Row> = contenders.iter().map(Row::new).collect();
    let turns = requests.div_ceil(u64::from(BATCH));
    let mut progress =
        Progress::new(contenders.len() * Action::ALL.len() * 2 + usize::try_from(turns)?);
    for (contender, row) in contenders.iter().zip(&mut rows) {
        for (action, cost) in Action::ALL.into_iter().zip(&mut row.costs) {
            progress.step(&format!("{}: {}", contender.name, action.name()));
            contender.webhook(ground, action, 0)?;
            cost.counts = contender.counts(ground, action, 0)?;
            cost.instructions = contender.instructions(ground, action)?;
            progress.step(&format!("{}: {}", contender.name, action.name()));
            cost.memory = contender.memory(ground, action)?;
        }
    }
    for turn in 0..turns {
        progress.step(&format!("turn {} of {turns}", turn + 1));
        for (number, action) in Action::ALL.into_iter().enumerate() {
            for place in 0..contenders.len() {
                // Nobody is always the first, or behind the same one.
                let place = (place + usize::try_from(turn)?) % contenders.len();
                let (contender, row) = (&contenders[place], &mut rows[place]);
                batch(contender, ground, action, turn, &mut row.costs[number])?;
            }
        }
    }
    for (contender, row) in contenders.iter().zip(&mut rows) {
        progress.step(&format!("{}: eight at a time", contender.name));
        row.rate = rate(contender, ground)?;
        row.add_memory_of_servers(contender);
    }
    Ok(Measured {
        rows,
        hash: hash_time()?,
        requests: turns * u64::from(BATCH),
    })
}

impl Row {
    fn new(contender: &Contender<'_>) -> Row {
        let costs = Action::ALL.map(|_| Cost::default());
        Row {
            name: contender.name,
            costs: costs.into(),
            rate: 0.0,
        }
    }

    /// PHP keeps its processes, so what they ever needed can be asked at the end.
    fn add_memory_of_servers(&mut self, contender: &Contender<'_>) {
        if contender.parameter == "php_action" {
            let php = meter::descendants()
                .into_iter()
                .filter(|(_, name)| name.starts_with("php-fpm"));
            let peak = php.filter_map(|(id, _)| meter::peak_memory(id)).max();
            for cost in &mut self.costs {
                cost.memory = peak;
            }
        }
    }
}

fn batch(
    contender: &Contender<'_>,
    ground: &Ground,
    action: Action,
    turn: u64,
    cost: &mut Cost,
) -> Result<()> {
    for number in 0..BATCH {
        let request =
            contender.prepare(ground, action, turn * u64::from(BATCH) + u64::from(number));
        let before = Spent::now();
        let run = contender.checked(&request, action)?;
        let spent = Spent::since(before);
        cost.wall.push(run.wall);
        cost.cpu.extend(run.cpu);
        cost.database.push(spent.database);
        if let Way::Asked(_) = contender.way {
            cost.servers.push(spent.servers);
        }
    }
    Ok(())
}

/// Webhooks a second when several are on their way.
fn rate(contender: &Contender<'_>, ground: &Ground) -> Result<f64> {
    let (action, next) = (Action::TagsChanged, AtomicU64::new(0));
    // Each sender has a person of its own, so that nobody waits for a lock.
    let send = |sender: u64| -> Result<()> {
        while next.fetch_add(1, Ordering::SeqCst) < RATE_REQUESTS {
            let request = ground.request(action, contender.number, sender, contender.parameter);
            contender.send(&request, action)?;
        }
        Ok(())
    };
    let begun = Instant::now();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..AT_ONCE)
            .map(|sender| scope.spawn(move || send(sender)))
            .collect();
        let mut ends = senders
            .into_iter()
            .map(|sender| sender.join().ok().context("a sender died")?);
        ends.try_for_each(|end| end)
    })?;
    Ok(RATE_REQUESTS as f64 / begun.elapsed().as_secs_f64())
}

/// What one bcrypt hash of cost 10 takes, as WordPress 6.8 makes them on PHP up to 8.3.
fn hash_time() -> Result<Duration> {
    let own = std::process::id();
    let mut times = Vec::new();
    for _ in 0..9 {
        let begun = meter::cpu_time(own);
        bcrypt::hash("a password", 10)?;
        times.push(meter::cpu_time(own).saturating_sub(begun));
    }
    Ok(median(&times))
}

/// The middle one.
pub(crate) fn median(times: &[Duration]) -> Duration {
    quantile(times, 50)
}

/// The one below which so many of a hundred are.
pub(crate) fn quantile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((sorted.len() * percent / 100).min(last))
        .copied()
        .unwrap_or_default()
}
