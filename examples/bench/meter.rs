//! What a run costs: time, memory, statements, calls and bytes. Reads what the kernel and the database server count.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use mysql::prelude::Queryable as _;

use crate::front::Front;
use crate::support::database::Database;

/// CPU time that processes have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) database: Duration,
    /// Web servers, PHP and everything else that this benchmark started and that still runs.
    pub(crate) servers: Duration,
}

impl Spent {
    /// What all processes that were started here have used by now. Those that have ended are not in it.
    pub(crate) fn now() -> Spent {
        let mut spent = Spent::default();
        for (id, name) in descendants() {
            let time = cpu_time(id);
            match name.as_str() {
                "mariadbd" => spent.database += time,
                _ => spent.servers += time,
            }
        }
        spent
    }

    /// What was used since then.
    pub(crate) fn since(earlier: Spent) -> Spent {
        let now = Spent::now();
        Spent {
            database: now.database.saturating_sub(earlier.database),
            servers: now.servers.saturating_sub(earlier.servers),
        }
    }
}

/// Children of this process and theirs, with their names.
pub(crate) fn descendants() -> Vec<(u32, String)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let all: Vec<(u32, u32, String)> = ids.filter_map(parent_and_name).collect();
    let mut family = vec![std::process::id()];
    let mut found = Vec::new();
    while let Some(parent) = family.pop() {
        for (id, _, name) in all.iter().filter(|(_, own, _)| *own == parent) {
            family.push(*id);
            found.push((*id, name.clone()));
        }
    }
    found
}

fn parent_and_name(id: u32) -> Option<(u32, u32, String)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
    Some((id, parent, name.to_owned()))
}

/// CPU time of all threads that the process has now.
pub(crate) fn cpu_time(id: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let times = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(times.sum())
}

/// The most memory that a process has had in use so far, in bytes; `None` when it has ended.
pub(crate) fn peak_memory(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes << 10)
}

/// One thing that was sent, in the order of time.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    /// A packet to the database.
    Packet(String),
    /// A call to Bento: head and body.
    Call(Vec<u8>),
}

/// What went over the wires in one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connects: usize,
    pub(crate) packets: usize,
    pub(crate) statements: usize,
    pub(crate) calls: usize,
    pub(crate) sql_bytes: u64,
    pub(crate) http_bytes: usize,
    pub(crate) sent: Vec<Sent>,
}

impl Counts {
    /// Counts what `run` sends to this database and to Bento.
    pub(crate) fn of(
        database: &Database<'_>,
        front: &Front,
        run: impl FnOnce() -> Result<()>,
    ) -> Result<Counts> {
        let mut root = database.root();
        root.query_drop("SET GLOBAL general_log = 0, userstat = 1")?;
        root.query_drop("TRUNCATE mysql.general_log")?;
        root.query_drop("SET GLOBAL general_log = 1")?;
        root.query_drop("FLUSH USER_STATISTICS")?;
        let calls = front.exchanges().len();
        run()?;
        root.query_drop("SET GLOBAL general_log = 0")?;
        let exchanges = front.exchanges().split_off(calls);
        let bytes: Option<u64> = root.exec_first(
            "SELECT BYTES_RECEIVED + BYTES_SENT FROM information_schema.USER_STATISTICS WHERE USER = ?",
            (database.name(),),
        )?;
        root.query_drop("SET GLOBAL userstat = 0")?;
        let statements = database.statements();
        let packets = statements
            .iter()
            .filter(|statement| statement.is_round_trip());
        Ok(Counts {
            connects: statements
                .iter()
                .filter(|statement| statement.command == "Connect")
                .count(),
            packets: packets.clone().count(),
            statements: packets.map(|packet| packet.pieces().len().max(1)).sum(),
            calls: exchanges.len(),
            sql_bytes: bytes.unwrap_or(0),
            http_bytes: exchanges
                .iter()
                .map(|call| call.request.len() + call.answered)
                .sum(),
            sent: in_order(database, exchanges)?,
        })
    }
}

fn in_order(database: &Database<'_>, exchanges: Vec<crate::front::Exchange>) -> Result<Vec<Sent>> {
    let sql = "SELECT UNIX_TIMESTAMP(event_time), argument FROM mysql.general_log \
               WHERE command_type IN ('Query', 'Execute') AND user_host LIKE ?";
    let user = format!("%[{}] @%", database.name().replace('_', "\\_"));
    let rows: Vec<(f64, Vec<u8>)> = database.root().exec(sql, (user,))?;
    let mut sent: Vec<(f64, Sent)> = rows
        .into_iter()
        .map(|(at, text)| {
            (
                at,
                Sent::Packet(String::from_utf8_lossy(&text).into_owned()),
            )
        })
        .collect();
    for call in exchanges {
        let at = call.at.duration_since(std::time::UNIX_EPOCH)?.as_secs_f64();
        sent.push((at, Sent::Call(call.request)));
    }
    sent.sort_by(|one, other| one.0.total_cmp(&other.0));
    Ok(sent.into_iter().map(|(_, sent)| sent).collect())
}

/// Instructions of one run, counted by valgrind.
pub(crate) fn instructions(stderr: &str) -> Option<u64> {
    let line = stderr
        .lines()
        .find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

/// The processor, the memory and the kernel of this machine, in a line.
pub(crate) fn machine() -> Result<String> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| path.to_owned());
    let cpu = read("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown processor");
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let memory = read("/proc/meminfo")?;
    let kilobytes: u64 = memory.split_whitespace().nth(1).unwrap_or("0").parse()?;
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let virtual_host = if cpu.contains(" hypervisor") {
        ", a virtual machine"
    } else {
        ""
    };
    Ok(format!(
        "{cores} cores of {}, {} GB{virtual_host}, Linux {}",
        model.trim_start_matches([' ', '\t', ':']).trim(),
        kilobytes.div_ceil(1 << 20),
        kernel.trim()
    ))
}
