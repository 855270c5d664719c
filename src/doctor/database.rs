//! `db.*`: the connection, the rights, the tables, the users in them.

use super::finding::Finding;
use super::patient::{Connection, Patient};
use crate::outcome::Trouble;
use crate::site::{Site, Table, Whereabouts};
use crate::wp_config::DbHost;
use std::sync::Mutex;
use std::time::Instant;

const WHY: &str = "Every webhook needs the database; without it the sender is told to come back.";

/// `db.connect`
pub(super) fn connect(patient: &Patient) -> Vec<Finding> {
    let Ok(config) = patient.config else {
        return vec![Finding::skipped("needs wp.config")];
    };
    let start = Instant::now();
    let mut site = match Site::connect(config) {
        Ok(site) => site,
        Err(trouble) => return vec![failed(&trouble)],
    };
    let took = start.elapsed().as_millis();
    let (host, path) = config.whereabouts(patient.url.as_ref());
    let place = match site.place(&Whereabouts::Address {
        host: &host,
        path: &path,
    }) {
        Ok(place) => place,
        Err(trouble) => return vec![failed(&trouble)],
    };
    let details = site.server();
    let connection = Connection { site, place };
    if patient.database.set(Mutex::new(connection)).is_err() {
        return vec![Finding::skipped("was run twice")];
    }
    let way = match config.database().host() {
        DbHost::Socket(_) | DbHost::DefaultSocket => "socket",
        DbHost::Tcp { .. } => "TCP",
    };
    let mut findings = vec![Finding::ok(format!("database {took} ms"))];
    if let Ok((version, encrypted, clock)) = details {
        let tls = if encrypted { ", encrypted" } else { "" };
        findings.push(Finding::info(format!(
            "{} over {way}{tls}",
            crate::text::one_line(&version)
        )));
        let ours = crate::clock::Clock::now().unix();
        patient.note_skew("the database", i64::try_from(clock).unwrap_or(ours) - ours);
    }
    findings
}

/// What a trouble with the database means; its text ends with what to check.
pub(super) fn failed(trouble: &Trouble) -> Finding {
    let text = trouble.to_string();
    let (seen, next) = text.split_once("; ").unwrap_or((
        &text,
        "see whether the database server runs, in your host's panel",
    ));
    Finding::failure(seen, WHY, next)
}

/// The answer of the database to a question, or what to say without one.
fn ask<T>(
    patient: &Patient,
    question: impl FnOnce(&mut Site<'static>) -> Result<T, Trouble>,
) -> Result<T, Finding> {
    let mut connection = patient
        .database()
        .ok_or_else(|| Finding::skipped("needs db.connect"))?;
    question(&mut connection.site).map_err(|trouble| failed(&trouble))
}

/// `db.rights`
pub(super) fn rights(patient: &Patient) -> Vec<Finding> {
    let missing = ask(patient, |site| {
        let tables = site.tables_in_use()?;
        site.missing_rights(&tables)
    });
    vec![match missing {
        Err(finding) => finding,
        Ok(missing) if missing.is_empty() => {
            Finding::info("the database user may read and write what is used")
        }
        Ok(missing) => Finding::failure(
            format!("the database user lacks {}", first(&missing)),
            "Webhooks cannot be written, and the sender is told to come back for nothing.",
            "give the user all rights on this database, in your host's panel under MySQL databases",
        ),
    }]
}

/// The first few of a list, and how many more there are.
fn first(list: &[String]) -> String {
    let shown = list.get(..3).unwrap_or(list).join(", ");
    match list.len() {
        0..=3 => shown,
        count => format!("{shown} and {} more", count - 3),
    }
}

/// `db.tables`
pub(super) fn tables(patient: &Patient) -> Vec<Finding> {
    let tables = match ask(patient, Site::tables_in_use) {
        Ok(tables) => tables,
        Err(finding) => return vec![finding],
    };
    // The first webhook makes ours; where WP Fusion has no log, nothing is logged.
    let missing: Vec<&str> = tables
        .iter()
        .filter(|table| {
            table.engine.is_none() && !table.ours && !table.name.ends_with("wpf_logging")
        })
        .map(|table| table.name.as_str())
        .collect();
    if !missing.is_empty() {
        return vec![Finding::failure(
            format!("there is no table {}", missing.join(", ")),
            "The prefix in wp-config.php leads to tables that are not there, so no webhook can be worked on.",
            "correct $table_prefix in wp-config.php",
        )];
    }
    let mut findings: Vec<Finding> = tables.iter().filter_map(problem).collect();
    if findings.is_empty() {
        findings.push(Finding::info("all tables are there and InnoDB"));
    }
    let narrow: Vec<&str> = tables
        .iter()
        .filter(|table| !table.ours && !table.collation.is_empty())
        .filter(|table| !table.collation.starts_with("utf8mb4"))
        .map(|table| table.name.as_str())
        .collect();
    if !narrow.is_empty() {
        findings.push(Finding::info(format!(
            "{} cannot hold emoji; values with them are left out",
            narrow.join(", ")
        )));
    }
    findings
}

/// What is wrong with a table.
fn problem(table: &Table) -> Option<Finding> {
    let engine = table
        .engine
        .as_deref()
        .filter(|engine| *engine != "InnoDB")?;
    let name = &table.name;
    Some(Finding::warning(
        format!(
            "table {name} is {}, not InnoDB",
            crate::text::one_line(engine)
        ),
        "Rows cannot be written together or not at all: a crash in between leaves half a user.",
        format!(
            "back the database up, then run in phpMyAdmin:  ALTER TABLE `{name}` ENGINE=InnoDB;"
        ),
    ))
}

/// `db.users`
pub(super) fn users(patient: &Patient) -> Vec<Finding> {
    let shares = match ask(patient, Site::shared_addresses) {
        Ok(shares) => shares,
        Err(finding) => return vec![finding],
    };
    if shares.is_empty() {
        return vec![Finding::info(
            "every user has an e-mail address of their own",
        )];
    }
    let ids: Vec<String> = shares.iter().map(|share| share.ids.clone()).collect();
    vec![Finding::warning(
        format!("users share an e-mail address: {}", ids.join("; ")),
        "A webhook about that address reaches only the first of them.",
        "WP Admin > Users: give each an address of their own, or delete the one too many",
    )]
}

/// `db.index`
pub(super) fn index(patient: &Patient) -> Vec<Finding> {
    let Some(mut connection) = patient.database() else {
        return vec![Finding::skipped("needs db.connect")];
    };
    let ids = match connection.site.contact_ids() {
        Ok(ids) => ids,
        Err(trouble) => return vec![failed(&trouble)],
    };
    vec![if ids.need_index() {
        Finding::warning(
            format!("{} contact ids and no index on them", ids.number),
            "A webhook with an id alone, and every add of somebody new, makes the database read all of them.",
            "run  bento-webhooks index --make",
        )
    } else {
        Finding::info("contact ids have an index, or are few")
    }]
}
