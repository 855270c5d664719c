//! HTTPS to Bento: a real TLS handshake with a certificate that is trusted, one that is not, and one for another host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise and says so"
)]

mod support;

#[path = "support/front.rs"]
mod front;

use front::Front;
use serde_json::json;
use support::bento::{Bento, Subscriber, World};
use support::cgi::{Program, Request};
use support::database::{Network, Server};
use support::recording::Base;
use support::site::Site;

const SUE: &str = "c0ffee00-0000-4000-8000-000000000003";

#[test]
fn bento_is_asked_over_tls_only_when_its_certificate_is_right() {
    let server = Server::start(Network::Tls);
    let base = Base::load("");
    let mut world = World::new(base.account(), &base.tags());
    world
        .subscribers
        .push(Subscriber::new(SUE, "sue@example.test", &["13"]));
    let bento = Bento::start(world);
    let behind = bento
        .api_url()
        .replace("http://", "")
        .replace("/api/v1", "");
    let front = Front::start(server.authority().parent().unwrap(), &behind);
    let port = front.port();
    let mut site = Site::on(&server, &base, &json!({}));
    let program = Program::new(env!("CARGO_BIN_EXE_bento-webhooks"), site.folder());
    let target = "/?wpf_action=update_tags&access_key=a1b2c3d4";
    let request = Request::post(target, &json!({ "id": SUE }).to_string());

    site.define(
        "BENTO_WEBHOOKS_API_URL",
        &format!("https://localhost:{port}/api/v1"),
    );
    let untrusted = program.run(&request);
    assert_eq!(untrusted.result(), "queued", "{untrusted:?}");
    assert_eq!(bento.calls().len(), 0);

    let authority = server.authority().display().to_string();
    site.define("BENTO_WEBHOOKS_CA_FILE", &authority);
    let trusted = program.run(&request);
    assert_eq!(trusted.result(), "applied", "{trusted:?}");
    assert_eq!(bento.calls().len(), 1);

    site.define(
        "BENTO_WEBHOOKS_API_URL",
        &format!("https://127.0.0.2:{port}/api/v1"),
    );
    let other_host = program.run(&request);
    assert_eq!(other_host.result(), "queued", "{other_host:?}");
    assert_eq!(bento.calls().len(), 1);
}
