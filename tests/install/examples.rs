//! The files in `examples/`, as an owner would copy them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::hosting::{Layout, Other, Shop, archive};
use crate::support::cgi::{Program, Request};
use crate::watch::{addresses_are_told_apart, home_is_up, program_answers};

/// Puts the program where the examples say it is.
fn put_program(shop: &Shop) {
    let folder = shop.prefix().join("bin");
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join("bento-webhooks");
    fs::copy(archive().join("bento-webhooks"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    shop.owner.own(&shop.prefix());
}

fn webhooks_and_pages_are_told_apart(server: &Other) {
    put_program(&server.shop);
    home_is_up(&server.shop);
    program_answers(&server.shop);
    addresses_are_told_apart(&server.shop, &server.shop.address);
}

#[test]
fn lighttpd_tells_webhooks_and_pages_apart() {
    let Some(server) = Other::lighttpd() else {
        return;
    };
    webhooks_and_pages_are_told_apart(&server);
}

#[test]
fn caddy_tells_webhooks_and_pages_apart() {
    let Some(server) = Other::caddy() else { return };
    webhooks_and_pages_are_told_apart(&server);
}

/// Values that people really have.
const PEOPLE: [(&str, &str); 4] = [
    ("c0ffee00-0000-4000-8000-000000000003", "sue@example.test"),
    (
        "deadbeef-0000-4000-8000-000000000009",
        "o'brien+x@example.test",
    ),
    ("c0ffee00-0000-4000-8000-000000000003", ""),
    ("", "sue@example.test"),
];

fn body(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bento");
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn the_bodies_for_bento_are_json_before_and_after_they_are_filled_in() {
    for name in ["webhook.json", "webhook-id-only.json"] {
        let template = body(name);
        let _: Value = serde_json::from_str(&template).unwrap();
        for (uuid, email) in PEOPLE {
            let filled = template
                .replace("{{visitor.uuid}}", uuid)
                .replace("{{visitor.email}}", email);
            assert!(!filled.contains("{{"), "{filled}");
            let filled: Value = serde_json::from_str(&filled).unwrap();
            assert_eq!(filled["id"], json!(uuid));
        }
    }
    let _: Value = serde_json::from_str(&body("headers.json")).unwrap();
}

/// The header opens as the address does, and a template that was not filled in is answered with what to do.
#[test]
fn the_bodies_for_bento_are_understood() {
    let Some(shop) = Shop::new(Layout::Root) else {
        return;
    };
    let program = Program::new(env!("CARGO_BIN_EXE_bento-webhooks"), &shop.wordpress);
    let headers = body("headers.json").replace("YOUR_ACCESS_KEY", crate::hosting::KEY);
    let headers: Value = serde_json::from_str(&headers).unwrap();
    for name in ["webhook.json", "webhook-id-only.json"] {
        let template = body(name);
        let filled = template
            .replace("{{visitor.uuid}}", "c0ffee00-0000-4000-8000-00000000ffff")
            .replace("{{visitor.email}}", "nobody@example.test");
        for (body, status, result) in [(&filled, 200, "ignored"), (&template, 400, "refused")] {
            let mut request = Request::post("/?wpf_action=update", body);
            for (name, value) in headers.as_object().unwrap() {
                request = request.header(name, value.as_str().unwrap());
            }
            let answer = program.run(&request);
            assert_eq!(
                (answer.status, answer.result().as_str()),
                (status, result),
                "{name} {answer}"
            );
        }
    }
}
