//! `prog.*`: the program itself, its files, its limits, its clock.

use super::finding::Finding;
use super::panel::Panel;
use super::patient::Patient;
use std::fs;
use std::path::Path;
use std::sync::PoisonError;

/// Address space below which a webhook may not get far, in MiB; measured: 17 are used.
const LEAST_MEMORY: u64 = 32;
/// Free disk below which WordPress itself is about to fail, in MiB.
const LEAST_DISK: u64 = 50;
/// A clock that is off by more than this gives wrong times, in seconds.
const MOST_SKEW: i64 = 120;

/// `prog.version`
pub(super) fn version(patient: &Patient) -> Vec<Finding> {
    let mut findings = vec![account(patient)];
    let panel = Panel::here().map(|panel| Finding::info(format!("on {}", panel.name())));
    findings.extend(panel);
    let installed = patient.located.installation();
    let installed = installed.map(|own| own.installed.version.as_str());
    let other = installed.filter(|version| *version != env!("CARGO_PKG_VERSION"));
    findings.extend(other.map(|version| Finding::info(format!("{version} is installed"))));
    findings
}

/// Whose account the program runs as here.
fn account(patient: &Patient) -> Finding {
    let version = env!("CARGO_PKG_VERSION");
    let (me, owner) = (my_id(), patient.located.owner());
    let name = user_name(me);
    match (me, owner) {
        (0, Some(owner)) if owner != 0 => Finding::warning(
            format!(
                "{version}, runs as root, but the site belongs to {}",
                user_name(owner)
            ),
            "What root can read and do says little about what the web server can.",
            format!(
                "run it again as {0}: su -s /bin/sh {0} -c '… doctor'",
                user_name(owner)
            ),
        ),
        (me, Some(owner)) if me != owner => Finding::warning(
            format!(
                "{version}, runs as {name}, but the site belongs to {}",
                user_name(owner)
            ),
            "Files and rights look different to the web server.",
            format!("run it again as {}", user_name(owner)),
        ),
        _ => Finding::ok(format!("{version}, runs as {name}")),
    }
}

/// `prog.limits`
pub(super) fn limits(patient: &Patient) -> Vec<Finding> {
    let mut findings = Vec::new();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let memory = limit(&limits, "Max address space").map(|bytes| bytes >> 20);
    if let Some(memory) = memory.filter(|memory| *memory < LEAST_MEMORY) {
        findings.push(Finding::warning(
            format!("only {memory} MB of memory may be used"),
            "A webhook needs about 17 MB; below that the program cannot start and callers get a 500.",
            host(&format!("Please allow at least {LEAST_MEMORY} MB of address space per process.")),
        ));
    }
    if limit(&limits, "Max processes") == Some(1) {
        findings.push(Finding::info("no second process may be started"));
    }
    match free_disk(patient.located.folder().unwrap_or(Path::new("/"))) {
        Some(free) if free < LEAST_DISK => findings.push(Finding::failure(
            format!("only {free} MB of disk are free"),
            "The database and WordPress fail when the disk is full, and webhooks with them.",
            "free some space: old backups and logs first",
        )),
        Some(free) => findings.push(Finding::ok(format!("{} disk free", size(free)))),
        None => {}
    }
    findings
}

/// `prog.clock`
pub(super) fn clock(patient: &Patient) -> Vec<Finding> {
    let skews = patient.skews.lock().unwrap_or_else(PoisonError::into_inner);
    let worst = skews.iter().max_by_key(|(_, skew)| skew.abs());
    match worst {
        None => vec![Finding::info("no other clock to compare with")],
        Some((name, skew)) if skew.abs() > MOST_SKEW => vec![Finding::warning(
            format!(
                "the clock here and that of {name} differ by {} s",
                skew.abs()
            ),
            "Users get a wrong registration date, and waiting webhooks are retried too early or too late.",
            host("Please set the clock of the server by NTP."),
        )],
        Some((name, skew)) => vec![Finding::info(format!("{} s off {name}", skew.abs()))],
    }
}

/// A sentence for the host.
pub(super) fn host(sentence: &str) -> String {
    format!("ask your host: \"{sentence}\"")
}

/// The user this process runs as.
fn my_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The login name of a user id, or the id itself.
pub(super) fn user_name(id: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)? == id.to_string()).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| id.to_string())
}

/// A line of /proc/self/limits: the soft limit, unless there is none.
fn limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Free space for this user in MiB; some file systems count quotas in.
fn free_disk(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize) >> 20)
}

/// Mebibytes in the unit a person would use.
fn size(mebibytes: u64) -> String {
    match mebibytes {
        0..10_240 => format!("{mebibytes} MB"),
        _ => format!("{} GB", mebibytes >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             25                   50                   processes \n\
                      Max address space         unlimited            unlimited            bytes     \n";
        assert_eq!(limit(limits, "Max processes"), Some(25));
        assert_eq!(limit(limits, "Max address space"), None);
        assert_eq!(limit("", "Max processes"), None);
    }
}
