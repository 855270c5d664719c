//! The imitated hosts themselves: real servers, each with a real WordPress that answers, before anything is installed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "support/hosting/mod.rs"]
mod hosting;
mod support;
#[path = "support/wordpress.rs"]
mod wordpress;

use hosting::{Apache, HOME_PAGE, Host, KEY, Layout, Nginx, Shop};

/// The status and body of a GET.
fn get(address: &str) -> (u16, String) {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .new_agent();
    let mut answer = agent.get(address).call().unwrap();
    if answer.status().is_redirection() {
        return (answer.status().as_u16(), format!("{:?}", answer.headers()));
    }
    (
        answer.status().as_u16(),
        answer.body_mut().read_to_string().unwrap(),
    )
}

/// Home page, permalinks and webhook addresses are all WordPress's own.
fn wordpress_answers(shop: &Shop, errors: &dyn Fn() -> String) {
    for address in [
        "/",
        "/no-such-page/",
        &format!("/?wpf_action=test&access_key={KEY}"),
    ] {
        let (status, body) = get(&format!("{}{address}", shop.address));
        let expected = if address.contains("no-such") {
            404
        } else {
            200
        };
        assert!(
            body.contains(HOME_PAGE),
            "{address}: {status} {body}\n{}",
            errors()
        );
        assert_eq!(status, expected, "{address}");
    }
}

#[test]
fn every_imitated_host_serves_wordpress() {
    for host in Host::ALL {
        eprintln!("{host:?}");
        if let Some(apache) = Apache::host(host, Layout::Root) {
            wordpress_answers(&apache.shop, &|| apache.errors());
        }
    }
}

#[test]
fn wordpress_answers_wherever_it_lives() {
    for layout in [Layout::Folder, Layout::OwnFolder] {
        if let Some(apache) = Apache::host(Host::Plesk, layout) {
            wordpress_answers(&apache.shop, &|| apache.errors());
        }
        if let Some(nginx) = Nginx::serve(layout) {
            wordpress_answers(&nginx.shop, &|| nginx.errors());
        }
    }
}
