//! `web.dns`, `web.tls`, `web.reach`: the way from the world to the site.

use super::finding::Finding;
use super::panel;
use super::patient::Patient;
use super::program::host as ask_host;
use crate::http::{Route, Trust};
use crate::page::WORKS;
use crate::text::one_line;
use crate::web::{self, Ask, Certificate, Failure, Reply, Verdict, Web};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use url::Url;

/// A certificate that will do for fewer days than this should have been renewed already.
const LEAST_DAYS: u64 = 14;

/// `web.dns`
pub(super) fn dns(patient: &Patient) -> Vec<Finding> {
    let Some(url) = home(patient) else {
        return vec![Finding::skipped("needs wp.home")];
    };
    let host = url.host_str().unwrap_or_default();
    let addresses = addresses(&url);
    let list: Vec<String> = addresses
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    if addresses.is_empty() {
        return vec![Finding::failure(
            format!("{} leads nowhere", one_line(host)),
            "Bento cannot find the site, so no webhook arrives.",
            "correct the DNS records of the domain, or WP Admin > Settings > General > Site Address",
        )];
    }
    let where_to = match addresses.iter().any(|address| is_here(address.ip())) {
        true => "this machine",
        false => "another machine or a proxy",
    };
    vec![Finding::info(format!("{} is {where_to}", list.join(", ")))]
}

/// Addresses of the site's host, with its port.
fn addresses(url: &Url) -> Vec<SocketAddr> {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or(443);
    let found = (bare, port).to_socket_addrs();
    let mut addresses: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// Whether the address is one of this machine's own: nothing else can be bound to.
fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn home(patient: &Patient) -> Option<Url> {
    Url::parse(patient.home()?).ok().filter(Url::has_host)
}

fn trust(patient: &Patient) -> Trust {
    let config = patient.config.as_ref().ok().copied();
    let file = config.and_then(|config| config.own().ca_file());
    Trust::from_file(file).unwrap_or(Trust::Public)
}

/// `web.tls`
pub(super) fn tls(patient: &Patient) -> Vec<Finding> {
    const WHY: &str = "Bento does not talk to a site whose certificate it cannot check.";
    let renew = panel::renew_certificate();
    let Some(url) = home(patient) else {
        return vec![Finding::skipped("needs wp.home")];
    };
    if url.scheme() == "http" {
        return vec![Finding::info("no TLS: the home address is plain http")];
    }
    let host = url.host_str().unwrap_or_default();
    let addresses = addresses(&url);
    let Some(address) = addresses.first() else {
        return vec![Finding::skipped("needs web.dns")];
    };
    let certificate = match web::certificate(host, *address, &trust(patient)) {
        Ok(certificate) => certificate,
        // That nobody can be reached is the next check's to say.
        Err(Failure::NoConnection) => return vec![Finding::info("no connection to ask for it")],
        Err(failure) => {
            return vec![Finding::failure(
                failure.to_string(),
                WHY,
                ask_host(&format!("Please make https work for {host}.")),
            )];
        }
    };
    vec![match certificate {
        Certificate::Good(days) if days < LEAST_DAYS => Finding::warning(
            format!("the certificate ends in {days} days"),
            "After that Bento does not talk to the site any more.",
            renew,
        ),
        Certificate::Good(days) => Finding::info(format!("certificate good for {days} days")),
        Certificate::Expired => Finding::failure("the certificate has expired", WHY, renew),
        Certificate::OtherName => Finding::failure(
            format!("the certificate is not for {}", one_line(host)),
            WHY,
            "get a certificate for this name in your host's panel, under SSL",
        ),
        Certificate::Unknown => Finding::failure(
            "the certificate is signed by nobody whom Bento trusts, or an intermediate one is missing",
            WHY,
            renew,
        ),
        Certificate::Bad => Finding::failure("the certificate is not valid", WHY, renew),
    }]
}

/// `web.reach`
pub(super) fn reach(patient: &Patient) -> Vec<Finding> {
    let Some(home) = patient.home() else {
        return vec![Finding::skipped("needs wp.home")];
    };
    let ways = [(Route::Dns, trust(patient)), (Route::Here, Trust::Any)];
    let mut failures = Vec::new();
    for (route, trust) in ways {
        let Some(web) = Web::new(home, trust, route) else {
            return vec![Finding::skipped("needs wp.home")];
        };
        match web.send(&Ask::get("")) {
            Ok(reply) => match usable(&reply, route) {
                true => return reached(patient, web, &reply, route, failures.first()),
                false => failures.push(Failure::NoConnection),
            },
            Err(Failure::Certificate) if route == Route::Dns => {
                return vec![Finding::skipped("needs web.tls")];
            }
            Err(failure) => failures.push(failure),
        }
    }
    if failures.first() == Some(&Failure::NoName) {
        return vec![Finding::skipped("needs web.dns")];
    }
    let why = failures.first().copied().unwrap_or(Failure::NoConnection);
    vec![Finding::failure(
        format!("{} cannot be reached from here: {why}", one_line(home)),
        "What cannot be reached cannot be examined, and perhaps Bento cannot reach it either.",
        format!(
            "open  {home}/?wpf_action=test&access_key=…  in a browser, with your key: it must say \"{WORKS}\""
        ),
    )]
}

/// Whether this is the site: over 127.0.0.1 another one may answer, which must not be sent a key.
fn usable(reply: &Reply, route: Route) -> bool {
    let verdict = Verdict::of(reply, "");
    route == Route::Dns || matches!(verdict, Verdict::WordPress { .. })
}

fn reached(
    patient: &Patient,
    web: Web,
    reply: &Reply,
    route: Route,
    failure: Option<&Failure>,
) -> Vec<Finding> {
    patient.note_clock("the web server", reply.header("date"), reply.took);
    let home = web.home().to_string();
    // Nobody else sets it.
    let _ = patient.web.set(web);
    match (route, failure) {
        (Route::Here, Some(failure)) => vec![Finding::warning(
            format!("reached only through 127.0.0.1: {failure}"),
            "Whether the world reaches the site cannot be seen from here.",
            format!("open  {home}  in a browser: it must show your site"),
        )],
        _ => vec![Finding::info(format!("{home} answers {}", reply.status))],
    }
}
