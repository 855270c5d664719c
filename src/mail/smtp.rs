//! A mail server: one connection, one mail, every step with what is left of the time.
//!
//! The library keeps time for each read, which a server that sends byte by byte stretches for ever, and the system none for
//! looking up names: so the talk is held in a thread of its own, which nobody waits for any longer than the mail may take.
//!
//! Certificates are always verified. A login is never sent over an open line, unless the server is this very machine.

use super::mime::{self, Channel};
use super::{Failure, Message};
use crate::wp_config::{Login, Security, SmtpServer};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What a thread needs for TLS.
const STACK: usize = 1 << 20;

pub(super) fn deliver(
    message: &Message,
    server: &SmtpServer,
    roots: Option<&Path>,
    deadline: Instant,
) -> Result<(), Failure> {
    let (tell, told) = mpsc::channel();
    let own = (message.clone(), server.clone(), roots.map(PathBuf::from));
    let thread = thread::Builder::new().stack_size(STACK).spawn(move || {
        let (message, server, roots) = own;
        // Nobody may be listening any more.
        let _ = tell.send(talk(&message, &server, roots.as_deref(), deadline));
    });
    match thread {
        Ok(_) => told.recv_timeout(left(deadline)?).map_err(|_| late())?,
        // The account has reached its process limit: then the time limits of the single steps must do.
        Err(_) => talk(message, server, roots, deadline),
    }
}

fn talk(
    message: &Message,
    server: &SmtpServer,
    roots: Option<&Path>,
    deadline: Instant,
) -> Result<(), Failure> {
    let mut connection = connect(server, roots, &own_name(&message.host), deadline)?;
    if let Some(login) = server.login() {
        log_in(&mut connection, login, deadline)?;
    }
    hand_over(&mut connection, message, deadline)?;
    // The mail is theirs now: a farewell that fails changes nothing.
    if limit(&mut connection, deadline).is_ok() {
        let _ = connection.quit();
    }
    Ok(())
}

/// Envelope and mail, one step after another: none is begun when time is up, because the mail is then sent again.
fn hand_over(
    connection: &mut SmtpConnection,
    message: &Message,
    deadline: Instant,
) -> Result<(), Failure> {
    let envelope = mime::envelope(message)?;
    let channel = match connection
        .server_info()
        .supports_feature(Extension::EightBitMime)
    {
        true => Channel::EightBit,
        false => Channel::SevenBit,
    };
    let mail = mime::bytes(message, channel)?;
    let parameters = match mail.is_ascii() {
        true => Vec::new(),
        false => vec![MailParameter::Body(MailBodyParameter::EightBitMime)],
    };
    let mut commands = vec![Mail::new(envelope.from().cloned(), parameters).to_string()];
    let recipients = envelope.to().iter();
    commands.extend(recipients.map(|to| Rcpt::new(to.clone(), Vec::new()).to_string()));
    commands.push(Data.to_string());
    for command in commands {
        limit(connection, deadline)?;
        connection
            .command(command)
            .map_err(|error| not_taken(&error))?;
    }
    limit(connection, deadline)?;
    let taken = connection.message(&mail);
    taken.map(|_| ()).map_err(|error| not_taken(&error))
}

/// What we call ourselves: a site that is reached by its number says so in brackets.
fn own_name(host: &str) -> ClientId {
    match host.parse::<Ipv4Addr>() {
        Ok(address) => ClientId::Ipv4(address),
        Err(_) => ClientId::Domain(host.to_owned()),
    }
}

/// A connection that is protected as it has to be.
fn connect(
    server: &SmtpServer,
    roots: Option<&Path>,
    own_name: &ClientId,
    deadline: Instant,
) -> Result<SmtpConnection, Failure> {
    let tls = match server.security() {
        Security::Here => None,
        _ => Some(tls(server.host(), roots)?),
    };
    let at_once = tls.as_ref().filter(|_| server.security() == Security::Tls);
    let mut connection = open(server, at_once, own_name, deadline)?;
    let (Some(tls), false) = (&tls, at_once.is_some()) else {
        return Ok(connection);
    };
    match (connection.can_starttls(), server.security()) {
        (true, _) => {
            limit(&mut connection, deadline)?;
            connection
                .starttls(tls, own_name)
                .map_err(|error| Failure::temporary(said(&error, "did not start TLS")))?;
        }
        (false, Security::StartTls) => {
            return Err(Failure::temporary(
                "the mail server offers no STARTTLS, and the login must not be overheard",
            ));
        }
        (false, _) => {}
    }
    Ok(connection)
}

/// Tries the server's addresses, one after another.
fn open(
    server: &SmtpServer,
    tls: Option<&TlsParameters>,
    own_name: &ClientId,
    deadline: Instant,
) -> Result<SmtpConnection, Failure> {
    let addresses = (server.host(), server.port())
        .to_socket_addrs()
        .map_err(|_| Failure::temporary("the mail server's name cannot be resolved"))?;
    let addresses: Vec<SocketAddr> = addresses.take(4).collect();
    let mut failure = Failure::temporary("the mail server's name cannot be resolved");
    for (tried, address) in addresses.iter().enumerate() {
        // One that is silent must leave time for the others.
        let others = u32::try_from(addresses.len() - tried).unwrap_or(1);
        let time = left(deadline)? / others;
        match SmtpConnection::connect(address, Some(time), own_name, tls, None) {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = Failure::temporary(said(&error, "does not answer")),
        }
    }
    Err(failure)
}

fn log_in(
    connection: &mut SmtpConnection,
    login: &Login,
    deadline: Instant,
) -> Result<(), Failure> {
    let credentials = Credentials::new(login.name.clone(), login.password.expose_str().to_owned());
    limit(connection, deadline)?;
    connection
        .auth(DEFAULT_MECHANISMS, &credentials)
        .map(|_| ())
        .map_err(|error| Failure::temporary(said(&error, "did not accept the login")))
}

/// The built-in roots, or those of the file alone.
fn tls(host: &str, roots: Option<&Path>) -> Result<TlsParameters, Failure> {
    let mut tls =
        TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::WebpkiRoots);
    if let Some(path) = roots {
        let unusable = || {
            Failure::temporary(
                "the file BENTO_WEBHOOKS_CA_FILE names holds no certificate in PEM form",
            )
        };
        let pem = std::fs::read(path).map_err(|_| unusable())?;
        let roots = Certificate::from_pem(&pem).map_err(|_| unusable())?;
        tls = tls
            .certificate_store(CertificateStore::None)
            .add_root_certificate(roots);
    }
    tls.build_rustls()
        .map_err(|_| Failure::temporary("TLS to the mail server cannot be set up"))
}

/// Gives the next step what is left of the time.
fn limit(connection: &mut SmtpConnection, deadline: Instant) -> Result<(), Failure> {
    connection
        .set_timeout(Some(left(deadline)?))
        .map_err(|_| Failure::temporary("the connection to the mail server broke"))
}

fn left(deadline: Instant) -> Result<Duration, Failure> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(late());
    }
    Ok(left)
}

fn late() -> Failure {
    Failure::temporary("the mail server did not answer in time")
}

/// What went wrong: by its status or kind, without the server's own words, which may name anybody.
fn said(error: &Error, what: &str) -> String {
    match error.status() {
        Some(status) => format!("the mail server {what} (status {status})"),
        None if is_certificate(error) => {
            "the mail server's certificate is not trusted; BENTO_WEBHOOKS_CA_FILE may name one to trust".to_owned()
        }
        None if is_timeout(error) => "the mail server did not answer in time".to_owned(),
        None => format!("the mail server {what}"),
    }
}

/// Why the mail was not taken: for good, unless all the server misses is a login.
fn not_taken(error: &Error) -> Failure {
    const LOGIN_WANTED: [u16; 4] = [530, 534, 535, 538];
    let reason = said(error, "did not take the mail");
    let status = error.status().map(u16::from);
    match error.is_permanent() && status.is_none_or(|status| !LOGIN_WANTED.contains(&status)) {
        true => Failure::permanent(reason),
        false => Failure::temporary(reason),
    }
}

/// Whether the time ran out, in either of the words that systems have for it.
fn is_timeout(error: &Error) -> bool {
    let words = [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock];
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| words.contains(&cause.kind()))
}

/// Whether TLS failed because of who the server says it is.
fn is_certificate(error: &Error) -> bool {
    causes(error).any(|cause| cause.to_string().contains("certificate"))
}

/// What an error has for its cause, the cause of that, and so on.
fn causes(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
}
