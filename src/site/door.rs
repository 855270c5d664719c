//! The door: whoever takes work out of the inbox or calls Bento passes it one at a time.
//!
//! The door is one row of our own table, locked by `SELECT … FOR UPDATE`. Behind it, the rows that are being worked on can
//! be counted and the calls of the last minute are known exactly, over all processes and web servers of the site. The calls
//! are the moments of the last N, six bytes each, oldest first: another one is free when the oldest lies outside of the
//! window, so never more than N fall into any minute. Before them stand the last N/2 that were made for what was kept, under
//! the same rule: the other half is left to webhooks whose senders wait. A packet holds the whole visit, so the door is shut
//! again within a round trip.
//!
//! Behind the door the inbox is read by `SELECT … INTO`, as it was when the door had been passed. `SET @n = (SELECT …)` would
//! lock every row that it reads: the door would stand still until each transaction that ends a row has been committed.

use super::inbox::{COLUMNS, FREE, LEASE, NOW, forgotten, lease, task};
use super::{Forgive, OwnTables, Reply, Site, Statement, number_column};
use crate::echo::KeyPlace;
use crate::inbox::{Lease, Mark, Millis, SCHEDULE, Task, Token};
use crate::outcome::Trouble;
use crate::webhook::Webhook;

/// A minute, and the time that may pass between passing the door and the arrival of the call at Bento.
const WINDOW: Millis = 62_000;
/// How long the worker is believed to live without a sign of it.
const WORKER: Millis = 20_000;
/// What is due within this time is worth a worker: the calls of the next minute, the end of a pause that Bento asks for, the
/// second and the third attempt.
pub const SOON: Millis = 150_000;
/// The list of tags is asked for at most once in this time.
const TAGS: Millis = 60_000;
/// How often a webhook is stored again after a deadlock.
const TRIES: usize = 5;

/// How much of the site may be at work at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls to Bento in any minute.
    pub calls: u32,
    /// Requests that are worked on while their callers wait.
    pub live: u32,
}

/// Whose share of the calls is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// A webhook whose sender waits: all of them.
    Live,
    /// What has been kept: one half at most.
    Kept,
}

/// Bytes of one moment in the lists of calls.
const STAMP: u32 = 6;

/// Bytes of the list of calls for what was kept, which comes first, and of the list of all calls.
fn lists(calls: u32) -> (u32, u32) {
    (STAMP * (calls / 2).max(1), STAMP * calls)
}

/// Which call is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Any but the following.
    Any,
    /// The list of tags.
    Tags,
}

/// What became of a webhook at the door.
pub enum Stored {
    /// It is stored, and ours to work on, with everything that was stored for the person before.
    Claimed {
        /// The proof.
        lease: Lease,
        /// What is to be done now.
        webhook: Webhook,
    },
    /// It is stored, and somebody else or some other time will see to it.
    Waiting(Why),
}

/// Why a stored webhook is not worked on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its person is being worked on.
    Person,
    /// As many requests as allowed are being worked on.
    Crowd,
    /// The calls of this minute are used up, or Bento wants to be left alone.
    Calls,
    /// The sender wants it so, or the door could not be passed.
    Asked,
}

/// What the worker finds.
pub enum Turn {
    /// A row to work on; one that cannot be read has no task.
    Task(Lease, Option<Box<Task>>),
    /// Nothing yet; come back after so many milliseconds.
    Wait(Millis),
    /// Nothing within the time that is left. The worker's place is free again.
    Nothing,
    /// Another worker has taken the place.
    Replaced,
}

impl Site<'_> {
    /// Stores a webhook and claims it if the limits allow: one round trip. Errs only when it could not be stored; where the
    /// right to is missing, webhooks are not kept from then on.
    pub fn store(
        &mut self,
        mark: &Mark,
        webhook: &Webhook,
        limits: Limits,
        token: Token,
        key: KeyPlace,
    ) -> Result<Stored, Trouble> {
        let mut statements = vec![
            self.storing(mark, webhook),
            "SET @id = LAST_INSERT_ID()".into(),
        ];
        if webhook.background {
            statements.extend(self.seeing_worker(key));
        } else {
            statements.extend(self.claiming(limits, token, key));
        }
        self.deserted = true;
        let mut attempt = 1;
        let replies = loop {
            self.open = true;
            let failure = match self.send(&statements) {
                Ok(replies) => break replies,
                Err(failure) => failure,
            };
            self.roll_back();
            let at = failure.at;
            if at == 0 && failure.is_denied() {
                self.own = OwnTables::Refused;
            }
            match Trouble::from(failure) {
                // The row is there: whoever passes the door next will find it.
                _ if at > 0 => return Ok(Stored::Waiting(Why::Asked)),
                Trouble::Database {
                    transient: true, ..
                } if attempt < TRIES && self.has_time() => attempt += 1,
                trouble => return Err(trouble),
            }
        };
        self.open = false;
        let Some(seen) = replies.iter().find(|reply| !reply.rows.is_empty()) else {
            return Ok(Stored::Waiting(Why::Asked));
        };
        let stored = read_stored(seen, token);
        // Whoever has claimed looks again in the end.
        self.deserted = matches!(stored, Stored::Claimed { .. }) || seen.number("worker") == 0;
        Ok(stored)
    }

    /// Behind the door: claims row `@id` unless it is held, too many are at work, or no call is free.
    ///
    /// A crowd does not pass the door, but for one in a second who tells that webhooks come: as many as may be are at work,
    /// and each of them looks in the end whether somebody is left without a worker. On a cluster the row may not be where
    /// they look, so everybody passes.
    fn claiming(&self, limits: Limits, token: Token, key: KeyPlace) -> Vec<Statement> {
        let (inbox, state) = (&self.tables.inbox, &self.tables.state);
        let few = |now: &str| {
            let live = limits.live;
            format!("(SELECT COUNT(*) FROM `{inbox}` WHERE live = 1 AND lease > {now}) < {live}")
        };
        let mut statements = vec![match self.cluster {
            true => "SET @door = 1".into(),
            false => format!(
                "SELECT heard + 1000 < {NOW} OR {} INTO @door FROM `{state}` WHERE id = 1",
                few(NOW)
            )
            .into(),
        }];
        statements.extend(self.opening("@door", limits.calls, Share::Live));
        statements.extend([
            format!("SELECT @door AND @free AND {} INTO @may", few("@now")).into(),
            // Of a crowd each may be the first to pass after another has failed; all of them are one attempt. What is counted
            // beyond that tells that the one before may have been cut short.
            format!(
                "UPDATE `{inbox}` SET {}, live = 1 WHERE id = @id AND lease <= @now AND @may",
                taken(token, "LEAST(attempts, 1)"),
            )
            .into(),
            "SET @claimed = ROW_COUNT()".into(),
            format!(
                "UPDATE `{state}` SET heard = @now, keyed = {}, calls = IF(@claimed = 1, {}, calls) WHERE id = @door",
                keyed(key),
                called(limits.calls, Share::Live)
            )
            .into(),
            format!(
                "SELECT {COLUMNS}, lease > @now AS held, @claimed AS claimed, @door AND NOT @free AS spent, @now AS moment, \
                 (SELECT worker FROM `{state}` WHERE id = 1) > @now AS worker FROM `{inbox}` WHERE id = @id"
            )
            .into(),
            "COMMIT".into(),
        ]);
        statements
    }

    /// What [`read_stored`] reads when the row is not to be claimed.
    fn seeing_worker(&self, key: KeyPlace) -> [Statement; 2] {
        let (state, keyed) = (&self.tables.state, keyed(key));
        [
            format!("UPDATE `{state}` SET heard = {NOW}, keyed = {keyed} WHERE id = 1").into(),
            format!(
                "SELECT 0 AS claimed, 1 AS asked, worker > {NOW} AS worker FROM `{state}` WHERE id = 1"
            )
            .into(),
        ]
    }

    /// Steps in: `@now`, `@calls` as lists of full length, `@hired`, `@free` and the moment `@opens` at which a call becomes
    /// free. One SET for each, because the expressions of one SET see the values from before it. The door is row 1; nobody
    /// waits before a row that is not there.
    fn opening(&self, door: &str, calls: u32, share: Share) -> Vec<Statement> {
        let (kept, all) = lists(calls);
        let length = kept + all;
        let oldest = |before: u32| {
            let stamp = format!("SUBSTR(@calls, {}, {STAMP})", before + 1);
            format!("CAST(CONV(HEX({stamp}), 16, 10) AS UNSIGNED)")
        };
        let oldest = match share {
            Share::Live => oldest(kept),
            Share::Kept => format!("GREATEST({}, {})", oldest(0), oldest(kept)),
        };
        vec![
            "BEGIN".into(),
            format!(
                "SELECT calls, paused, hired, tags INTO @calls, @paused, @hired, @tags FROM `{}` WHERE id = {door} FOR UPDATE",
                self.tables.state
            )
            .into(),
            format!("SET @now = {NOW}").into(),
            format!("SET @calls = RIGHT(CONCAT(REPEAT(X'00', {length}), @calls), {length})").into(),
            format!("SET @opens = GREATEST(@paused, {oldest} + {WINDOW})").into(),
            "SET @free = (@opens <= @now)".into(),
        ]
    }

    /// Asks for one more call; the moment at which it was granted. `None` when the calls of this minute are used up, or when
    /// the list of tags has been asked for a moment ago. One round trip.
    pub fn may_call(
        &mut self,
        calls: u32,
        share: Share,
        call: Call,
    ) -> Result<Option<Millis>, Trouble> {
        let mut statements = self.opening("1", calls, share);
        let (set, only) = match call {
            Call::Any => ("", String::new()),
            Call::Tags => (", tags = @now", format!(" AND @tags + {TAGS} <= @now")),
        };
        statements.extend([
            format!(
                "UPDATE `{}` SET calls = {}{set} WHERE id = 1 AND @free{only}",
                self.tables.state,
                called(calls, share)
            )
            .into(),
            "SELECT ROW_COUNT() AS granted, @now AS moment".into(),
            "COMMIT".into(),
        ]);
        let replies = self.visit(&statements)?;
        let granted = replies.iter().find(|reply| reply.number("granted") == 1);
        Ok(granted.map(|reply| reply.number("moment")))
    }

    /// Leaves Bento alone for some seconds.
    pub fn pause(&mut self, seconds: u32) -> Result<(), Trouble> {
        let statement = format!(
            "UPDATE `{}` SET paused = GREATEST(paused, {NOW} + {}) WHERE id = 1",
            self.tables.state,
            u64::from(seconds) * 1000
        );
        self.send(&[statement.into()])?;
        Ok(())
    }

    /// Whether rows wait that are due soon, with nobody there to work on them, as far as was seen when a row was stored or
    /// ended last.
    pub fn is_deserted(&self) -> bool {
        self.deserted
    }

    /// The statement that looks for rows without a worker. It comes after what it may not undo.
    pub(super) fn looking_around(&self) -> Statement {
        let (inbox, state) = (&self.tables.inbox, &self.tables.state);
        let sql = format!(
            "SELECT worker <= {NOW} AND EXISTS (SELECT 1 FROM `{inbox}` WHERE buried = 0 AND due <= {NOW} + {SOON} AND lease <= {NOW} \
             OR {}) AS deserted FROM `{state}` WHERE id = 1",
            forgotten(NOW)
        );
        Statement::forgiving(sql, Forgive::Afterwards)
    }

    /// Remembers what [`Site::looking_around`] has brought.
    pub(super) fn looked_around(&mut self, seen: Option<&Reply>) {
        self.deserted =
            seen.is_none_or(|seen| seen.rows.is_empty() || seen.number("deserted") == 1);
    }

    /// Takes the worker's place for a process that is about to start, if it is free and there is something to do within
    /// `horizon`.
    pub fn hire(&mut self, token: Token, horizon: Millis) -> Result<bool, Trouble> {
        let (inbox, state) = (&self.tables.inbox, &self.tables.state);
        let statements = [
            "BEGIN".into(),
            format!("SELECT worker INTO @worker FROM `{state}` WHERE id = 1 FOR UPDATE").into(),
            format!("SET @now = {NOW}").into(),
            format!(
                "SELECT COUNT(*) INTO @work FROM `{inbox}` WHERE buried = 0 AND GREATEST(due, lease) <= @now + {horizon} OR {}",
                forgotten("@now")
            )
            .into(),
            format!(
                "UPDATE `{state}` SET worker = @now + {WORKER}, hired = X'{}' WHERE id = 1 AND @worker <= @now AND @work > 0",
                token.hex()
            )
            .into(),
            "COMMIT".into(),
        ];
        let replies = self.visit(&statements)?;
        Ok(replies
            .iter()
            .rev()
            .nth(1)
            .is_some_and(|reply| reply.affected == 1))
    }

    /// Takes the worker's place for a process that is about to start, if it is free, whatever there is to do.
    pub fn hire_for_proof(&mut self, token: Token) -> Result<bool, Trouble> {
        let statement = format!(
            "UPDATE `{}` SET worker = {NOW} + {WORKER}, hired = X'{}' WHERE id = 1 AND worker <= {NOW}",
            self.tables.state,
            token.hex()
        );
        let replies = self.send(&[statement.into()])?;
        Ok(replies.first().is_some_and(|reply| reply.affected == 1))
    }

    /// Gives the worker's place back.
    pub fn dismiss(&mut self, token: Token) -> Result<(), Trouble> {
        let statement = format!(
            "UPDATE `{}` SET worker = 0 WHERE id = 1 AND hired = X'{}'",
            self.tables.state,
            token.hex()
        );
        self.send(&[statement.into()])?;
        Ok(())
    }

    /// The worker's next row. It leaves its place when nothing will be due within `horizon`: in the same visit, so that a
    /// webhook stored meanwhile either is seen here or sees that nobody is there.
    pub fn next(
        &mut self,
        place: Token,
        token: Token,
        calls: u32,
        horizon: Millis,
    ) -> Result<Turn, Trouble> {
        let (inbox, state) = (&self.tables.inbox, &self.tables.state);
        let mut statements = self.opening("1", calls, Share::Kept);
        let due = "buried = 0 AND due <= @now AND lease <= @now";
        statements.extend([
            format!("SET @mine = (@hired = X'{}')", place.hex()).into(),
            "SET @pick = NULL, @calling = NULL".into(),
            format!(
                "SELECT id, kind <> {FREE} INTO @pick, @calling FROM `{inbox}` WHERE @mine AND {due} AND (@free OR kind = {FREE}) \
                 ORDER BY due, id LIMIT 1"
            )
            .into(),
            // What needs no call waits for none.
            format!(
                "SELECT MIN(GREATEST(due, lease, IF(kind = {FREE}, 0, @opens))) INTO @next FROM `{inbox}` WHERE buried = 0"
            )
            .into(),
            // A late worker may be ending the row that was seen.
            format!(
                "UPDATE `{inbox}` SET {}, live = 0 WHERE id = @pick AND {due}",
                taken(token, "attempts")
            )
            .into(),
            "SET @pick = IF(ROW_COUNT() = 1, @pick, NULL)".into(),
            format!(
                "UPDATE `{state}` SET calls = IF(@pick AND @calling, {}, calls), worked = @now, \
                 worker = IF(@pick IS NULL AND (@next IS NULL OR @next > @now + {horizon}), 0, @now + {WORKER}) WHERE id = 1 AND @mine",
                called(calls, Share::Kept)
            )
            .into(),
            format!(
                "SELECT @mine AS mine, @now AS moment, @next AS next, @pick AS pick, {COLUMNS} FROM (SELECT 1 AS one) AS o \
                 LEFT JOIN `{inbox}` ON id = @pick"
            )
            .into(),
            "COMMIT".into(),
        ]);
        let replies = self.visit(&statements)?;
        let row = replies.iter().rev().find_map(|reply| reply.rows.first());
        let Some(row) = row.filter(|row| number_column(row, "mine") == 1) else {
            return Ok(Turn::Replaced);
        };
        let (now, next) = (number_column(row, "moment"), number_column(row, "next"));
        if number_column(row, "pick") != 0 {
            let held = lease(row, token, now);
            return Ok(Turn::Task(held, task(row).map(Box::new)));
        }
        Ok(match next {
            0 => Turn::Nothing,
            next if next > now + horizon => Turn::Nothing,
            next => Turn::Wait(next.saturating_sub(now)),
        })
    }

    /// A visit that must not be left half-way: again after a deadlock, and rolled back when it fails.
    fn visit(&mut self, statements: &[Statement]) -> Result<Vec<Reply>, Trouble> {
        self.transaction(&mut |site| {
            site.open = true;
            let replies = site.send(statements)?;
            site.open = false;
            Ok(replies)
        })
    }
}

/// What a claim changes in a row that has had so many `attempts`. Who is killed cannot say when the row is to be tried
/// again, so that is said before.
fn taken(token: Token, attempts: &str) -> String {
    let waits: Vec<String> = SCHEDULE.iter().map(u64::to_string).collect();
    // Assignments are made from left to right.
    format!(
        "token = X'{}', lease = @now + {LEASE}, attempts = {attempts} + 1, due = @now + 1000 * ELT(LEAST(attempts, {}), {})",
        token.hex(),
        waits.len(),
        waits.join(", ")
    )
}

/// The lists of calls with one more, now, and without the oldest.
fn called(calls: u32, share: Share) -> String {
    const NOW: &str = "UNHEX(LPAD(HEX(@now), 12, '0'))";
    let (kept, _) = lists(calls);
    let others = STAMP + 1;
    let first = match share {
        Share::Live => format!("LEFT(@calls, {kept})"),
        Share::Kept => format!("SUBSTR(@calls, {others}, {}), {NOW}", kept - STAMP),
    };
    format!("CONCAT({first}, SUBSTR(@calls, {}), {NOW})", kept + others)
}

/// Column `keyed`: where the key of the last webhook was; 0 for nowhere yet.
pub(super) fn keyed(key: KeyPlace) -> u8 {
    match key {
        KeyPlace::Address => 1,
        KeyPlace::Header => 2,
    }
}

/// How many of the calls that are allowed in a minute still count.
pub(super) fn recent(lists: &[u8], calls: u32, now: Millis) -> u32 {
    let moment = |stamp: &[u8]| {
        stamp
            .iter()
            .fold(0, |moment: u64, byte| moment << 8 | u64::from(*byte))
    };
    let calls = usize::try_from(calls).unwrap_or(usize::MAX);
    let recent = lists
        .rchunks(6)
        .take(calls)
        .filter(|stamp| moment(stamp) + WINDOW > now)
        .count();
    u32::try_from(recent).unwrap_or(u32::MAX)
}

fn read_stored(seen: &Reply, token: Token) -> Stored {
    let is = |name: &str| seen.number(name) == 1;
    let row = seen.rows.first().filter(|_| is("claimed"));
    if let Some(row) = row
        && let Some(Task::Webhook(webhook)) = task(row)
    {
        let lease = lease(row, token, seen.number("moment"));
        return Stored::Claimed { lease, webhook };
    }
    Stored::Waiting(match () {
        () if is("asked") => Why::Asked,
        () if is("held") => Why::Person,
        () if is("spent") => Why::Calls,
        () => Why::Crowd,
    })
}
