//! `install.sh` on imitated hosts: it ends as the host allows, the home page answers throughout, and all of it can be undone
//! to the byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "support/certificate.rs"]
mod certificate;
#[path = "install/crash.rs"]
mod crash;
#[path = "install/examples.rs"]
mod examples;
#[path = "support/golden.rs"]
mod golden;
#[path = "support/hosting/mod.rs"]
mod hosting;
#[path = "install/hosts.rs"]
mod hosts;
#[path = "install/lies.rs"]
mod lies;
#[path = "install/networks.rs"]
mod networks;
#[path = "install/nginx.rs"]
mod nginx;
#[path = "install/sites.rs"]
mod sites;
mod support;
#[path = "install/tls.rs"]
mod tls;
#[path = "install/watch.rs"]
mod watch;
#[path = "install/ways.rs"]
mod ways;
#[path = "support/wordpress.rs"]
mod wordpress;

use hosting::{Ended, Shop, User};

/// Compares what a run said with a file in `tests/golden/`, after names and numbers of this run are made equal.
fn compare(name: &str, ended: &Ended, shop: &Shop) {
    let mut text = format!("{}{}exit {:?}\n", ended.said, ended.errors, ended.code);
    for (from, to) in [
        (shop.address.as_str(), "http://shop.example"),
        (&shop.root.display().to_string(), "/srv/shop"),
        (shop.database.name(), "shop_wp"),
        (env!("CARGO_PKG_VERSION"), "VERSION"),
        (std::env::consts::ARCH, "x86_64"),
    ] {
        text = text.replace(from, to);
    }
    for user in [&shop.owner, &User::server()] {
        let name = if *user == shop.owner {
            "shop"
        } else {
            "www-data"
        };
        text = text.replace(&format!("user {}\n", user.name), &format!("user {name}\n"));
    }
    golden::compare(name, &golden::without_numbers(&text, "ms"));
}
