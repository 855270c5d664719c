//! The floor: what the machine asks for the I/O of one webhook, with the same crates and nothing else.
//!
//! It reads a script that the benchmark recorded from a real run, sends the same packets to the database and the same
//! calls to Bento, and prints an answer. It understands nothing of what it sends, parses nothing and checks nothing.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use mysql::prelude::Queryable as _;
use mysql::{Conn, OptsBuilder};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, config::Config};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "floor: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let variable = |name: &str| env::var(name).with_context(|| format!("{name} is not set"));
    io::stdin().lock().read_to_end(&mut Vec::new())?;
    let folder = variable("BENTO_WEBHOOKS_WORDPRESS")?;
    for file in ["wp-config.php", "wp-includes/version.php"] {
        fs::read(format!("{folder}/{file}"))?;
    }
    let script = fs::read_to_string(variable("FLOOR_SCRIPT")?)?;
    let mut steps = script.split('\0');
    let mut step = || steps.next().unwrap_or_default();
    let (user, password, database, socket, authority) = (step(), step(), step(), step(), step());
    let mut conn = connect(user, password, database, socket)?;
    let mut agent = None;
    loop {
        match step() {
            "sql" => packet(&mut conn, step())?,
            "get" => {
                let (address, login) = (step(), step());
                call(agent.get_or_insert(caller(authority)?), address, login)?;
            }
            _ => break,
        }
    }
    let _ = writeln!(io::stderr(), "floor: done");
    let body = r#"{"result":"done"}"#;
    let mut out = io::stdout().lock();
    write!(
        out,
        "Status: 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nCache-Control: no-store\r\nX-Bento-Webhooks: bento-webhooks floor\r\n\r\n{body}",
        body.len()
    )?;
    Ok(out.flush()?)
}

fn connect(user: &str, password: &str, database: &str, socket: &str) -> Result<Conn> {
    let options = OptsBuilder::new()
        .user(Some(user))
        .pass(Some(password))
        .db_name(Some(database))
        .socket(Some(socket))
        .prefer_socket(false)
        .max_allowed_packet(Some(16 << 20))
        .connect_attrs(None::<HashMap<String, String>>);
    Ok(Conn::new(options)?)
}

/// Sends one packet and takes whatever comes back.
fn packet(conn: &mut Conn, sql: &str) -> Result<()> {
    let mut results = conn.query_iter(sql)?;
    while let Some(rows) = results.iter() {
        for row in rows {
            row?;
        }
    }
    Ok(())
}

fn caller(authority: &str) -> Result<Agent> {
    let pem = fs::read(authority)?;
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<Certificate<'static>> = certificates.collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certificates))
        .build();
    let config = Config::builder()
        .proxy(None)
        .timeout_connect(Some(Duration::from_secs(2)))
        .input_buffer_size(16 << 10)
        .output_buffer_size(16 << 10)
        .tls_config(tls)
        .build();
    Ok(config.new_agent())
}

fn call(agent: &Agent, address: &str, login: &str) -> Result<()> {
    let mut answer = agent.get(address).header("Authorization", login).call()?;
    answer.body_mut().read_to_vec()?;
    Ok(())
}
