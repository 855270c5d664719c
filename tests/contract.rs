//! The contract as an outsider reads it: forms of requests, places of WordPress, answers of Bento and odd values.
//!
//! Each test runs the real program on real rows, with cases that no recording has.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise and says so"
)]

mod support;

#[path = "support/stage.rs"]
mod stage;

use std::fs;
use std::path::Path;
use std::time::Duration;

use mysql::prelude::Queryable as _;
use serde_json::{Value, json};
use stage::{KEY, NORA, SUE, Stage, stage, stage_with, target, webhook};
use support::bento::{Fault, Script, Subscriber, Tag, World};
use support::cgi::{Answer, Body, Request};
use support::php;
use support::state;

impl Stage {
    fn send(&self, action: &str, id: &str) -> Answer {
        self.program.run(&webhook(action, id))
    }

    /// The value of a usermeta row as it is now.
    fn meta(&self, user: u64, key: &str) -> Option<String> {
        let rows = self.now().meta.remove(&user)?;
        rows.into_iter().find(|(own, _)| own == key)?.1
    }

    fn sql(&self, statement: &str) {
        self.site.database.root().query_drop(statement).unwrap();
    }
}

fn bento_tags(names: &[&str]) -> Option<String> {
    Some(php::serialize(&json!(names)))
}

#[test]
fn a_multipart_form_is_read_as_php_reads_it() {
    let part = |name: &str, value: &str| {
        format!("--aXbY\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n")
    };
    let whole = |parts: &[String]| format!("{}--aXbY--\r\n", parts.concat());
    let key = part("name=\"access_key\"", KEY);
    let action = part("name=\"wpf_action\"", "update_tags");
    let contact = part("name=\"contact_id\"", SUE);
    let kind = "multipart/form-data; boundary=aXbY";
    let taken = [
        (kind, whole(&[key.clone(), action.clone(), contact.clone()])),
        (
            "Multipart/Form-Data; charset=utf-8; Boundary=\"aXbY\"",
            whole(&[key.clone(), action.clone(), contact.clone()]),
        ),
        (
            kind,
            format!(
                "a preamble\r\n{}",
                whole(&[
                    key.clone(),
                    part("name=wpf_action", "update_tags"),
                    contact.clone()
                ])
            ),
        ),
        (
            kind,
            whole(&[
                key.clone(),
                action.clone(),
                part("name=\"contact_id\"", "somebody else"),
                contact.clone(),
                part("name=\"contact_id\"; filename=\"a.txt\"", "a file"),
            ]),
        ),
    ];
    for (kind, body) in taken {
        let stage = stage();
        let request = Request::post("/", &body).header("Content-Type", kind);
        let answer = stage.program.run(&request);
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(answer.result(), "applied", "{answer}");
    }
    let refused = [
        ("multipart/form-data", whole(&[key.clone(), action.clone()])),
        (
            "multipart/form-data; boundary=other",
            whole(&[key.clone(), action.clone()]),
        ),
        (
            kind,
            whole(&[part("name=\"access_key[]\"", KEY), action.clone()]),
        ),
        (
            kind,
            whole(&[
                part("name=\"access_key\"; filename=\"key\"", KEY),
                action.clone(),
            ]),
        ),
    ];
    let stage = stage();
    for (kind, body) in refused {
        let request = Request::post("/", &body).header("Content-Type", kind);
        let answer = stage.program.run(&request);
        assert_eq!(answer.status, 403, "{answer}");
    }
}

#[test]
fn the_person_is_found_in_every_form_of_request() {
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    let id = format!("{{\"id\":\"{SUE}\"}}");
    let t = target("update_tags");
    let found = [
        (t.clone(), form, id.clone()),
        (t.clone(), "Application/JSON ; charset=UTF-8", id.clone()),
        (t.clone(), "", format!("\r\n\t{id}\n")),
        (
            t.clone(),
            json,
            r#"{"email":"SUE@example.TEST"}"#.to_owned(),
        ),
        (
            t.clone(),
            json,
            r#"{"id":null,"email":" sue@example.test\n"}"#.to_owned(),
        ),
        (t.clone(), form, "email=sue%40example.test".to_owned()),
        (format!("{t}&email=sue%40example.test"), json, String::new()),
        (
            format!("{t}&email=nobody&email=sue@example.test"),
            json,
            "{}".to_owned(),
        ),
        (format!("{t}&contact.id={SUE}"), json, String::new()),
        (format!("{t}&contact%20id=+{SUE}+"), form, String::new()),
        (
            format!("{t}&contact_id=wrong"),
            form,
            format!("contact_id={SUE}"),
        ),
        (
            format!("{t}&contact_id[]=x&contact_id={SUE}"),
            json,
            "[]".to_owned(),
        ),
        (
            format!("/?access_key={KEY}&wpf_action=test&wpf_action=%09UpDaTe_TaGs%0a"),
            json,
            id.clone(),
        ),
        (
            format!("/?&&wpf_action=update_tags&=&x&access_key={KEY}&"),
            json,
            id.clone(),
        ),
    ];
    for (target, kind, body) in found {
        let stage = stage();
        let answer = stage
            .program
            .run(&Request::post(&target, &body).header("Content-Type", kind));
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(answer.result(), "applied", "{answer}");
        assert_eq!(
            stage.meta(3, "bento_tags"),
            bento_tags(&["VIP"]),
            "{answer}"
        );
    }
}

#[test]
fn a_number_is_an_id() {
    let number = |world: &mut World| {
        world.subscribers[0].uuid = "9007199254740993".to_owned();
    };
    for body in [
        r#"{"id":9007199254740993}"#,
        r#"{"id":"9007199254740993"}"#,
        r#"{"id": 9007199254740993 , "email":null}"#,
    ] {
        let stage = stage_with(&json!({}), number);
        stage.sql("UPDATE wp_usermeta SET meta_value = '9007199254740993' WHERE user_id = 3 AND meta_key = 'bento_contact_id'");
        let answer = stage
            .program
            .run(&Request::post(&target("update_tags"), body));
        assert_eq!(answer.result(), "applied", "{answer}");
    }
}

#[test]
fn what_names_nobody_is_400_and_says_what_to_put_into_bento() {
    let stage = stage();
    let bodies = [
        "null",
        "true",
        "5",
        "\"\"",
        "[]",
        "[{}]",
        "{",
        "{}}",
        "{'id':'x'}",
        "{\"id\":}",
        r#"{"id":"{{ visitor.uuid }}"}"#,
        r#"{"id":"{{visitor.uuid}}","email":"{{visitor.email}}"}"#,
        r#"{"id":"{% if x %}"}"#,
        r#"{"id":"","email":""}"#,
        r#"{"id":null,"email":null}"#,
        r#"{"id":" \t\r\n "}"#,
        r#"{"id":1e3}"#,
        r#"{"id":99999999999999999999}"#,
        r#"{"id":false}"#,
        r#"{"id":[]}"#,
        r#"{"email":{"a":"sue@example.test"}}"#,
        r#"{"email":"sue@example"}"#,
        r#"{"email":"sue@example.test\r\nBcc: x@y.zz"}"#,
        "{\"id\":\"\u{fffe}\\u0000\"}",
        r#"{"ID":"c0ffee00-0000-4000-8000-000000000003"}"#,
        r#"{"visitor":{"id":"c0ffee00-0000-4000-8000-000000000003"}}"#,
        "\u{feff}\u{feff}{\"id\":\"x\"}",
    ];
    for body in bodies {
        for action in ["update_tags", "update", "add"] {
            let answer = stage.program.run(&Request::post(&target(action), body));
            assert_eq!(answer.status, 400, "{answer}");
            let reason = answer.json()["reason"].as_str().unwrap().to_owned();
            assert!(reason.contains("\"JSON Payload\""), "{reason}");
        }
    }
    let bytes = [&b"\xff\xfe{\x00}\x00"[..], b"{\"id\":\"\xff\"}", b"\x00"];
    for bytes in bytes {
        let request = Request::post(&target("add"), "").body(Body::Exact(bytes.to_vec()));
        let answer = stage.program.run(&request);
        assert_eq!(answer.status, 400, "{answer}");
    }
    assert_eq!(stage.difference(), "");
    assert!(stage.bento.calls().is_empty());
}

#[test]
fn bytes_that_are_no_utf_8_do_not_hide_the_other_parameters() {
    use std::os::unix::ffi::OsStringExt as _;
    use std::process::Command;
    let stage = stage();
    let mut query = format!("x=\u{0}&wpf_action=test&access_key={KEY}").into_bytes();
    query[2] = 0xff;
    let output = Command::new(env!("CARGO_BIN_EXE_bento-webhooks"))
        .env_clear()
        .env("GATEWAY_INTERFACE", "CGI/1.1")
        .env("REQUEST_METHOD", "GET")
        .env("BENTO_WEBHOOKS_WORDPRESS", stage.site.folder())
        .env("QUERY_STRING", std::ffi::OsString::from_vec(query))
        .output()
        .unwrap();
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.starts_with("Status: 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("{\"success\":true}"), "{answer}");
}

#[test]
fn a_browser_gets_a_page_and_everybody_else_json() {
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
    let table = [
        (browser, true),
        ("text/html", true),
        ("TEXT/HTML", true),
        ("application/xml, text/html;level=1 , */*", true),
        ("text/html;q=0.1,application/json", true),
        ("", false),
        ("*/*", false),
        ("application/json", false),
        ("Application/JSON, text/html", false),
        ("application/json, text/html", false),
        ("*/*;q=0.1, text/html", false),
        ("text/*", false),
        ("text/plain, image/png", false),
    ];
    let stage = stage();
    let huge = Body::Exact(vec![b' '; (1 << 20) + 1]);
    let put = Request {
        method: "PUT".to_owned(),
        ..Request::post(&target("add"), "{}")
    };
    let requests = [
        (Request::get(&target("test")), 200),
        (Request::get(&target("nonsense")), 400),
        (Request::get("/?wpf_action=test"), 403),
        (put, 405),
        (Request::post(&target("add"), "").body(huge), 413),
    ];
    for (accept, is_page) in table {
        for (request, status) in &requests {
            let answer = stage.program.run(&request.clone().header("Accept", accept));
            check_answer(&answer, *status, is_page);
        }
    }
    stage.sql("DROP TABLE wp_options");
    for (accept, is_page) in table {
        let answer = stage
            .program
            .run(&Request::get(&target("test")).header("Accept", accept));
        check_answer(&answer, 503, is_page);
    }
}

fn check_answer(answer: &Answer, status: u16, is_page: bool) {
    assert_eq!(answer.status, status, "{answer}");
    let kind = answer.header("Content-Type").unwrap();
    assert_eq!(kind.starts_with("text/html"), is_page, "{answer}");
    let name = answer.header("X-Bento-Webhooks").unwrap();
    assert!(name.contains(env!("CARGO_PKG_VERSION")), "{answer}");
    if !is_page {
        answer.json();
        return;
    }
    assert!(answer.body.starts_with("<!DOCTYPE html>"), "{answer}");
    for other in ["http://", "https://", "<script", "<img", "<link"] {
        assert!(!answer.body.contains(other), "{other}\n{answer}");
    }
}

#[test]
fn head_and_options_change_nothing() {
    let stage = stage();
    for (method, action, status) in [
        ("HEAD", "add", 200),
        ("HEAD", "test", 200),
        ("head", "update", 200),
        ("OPTIONS", "add", 405),
        ("PUT", "add", 405),
    ] {
        let request = Request {
            method: method.to_owned(),
            ..Request::post(&target(action), &json!({"id": NORA}).to_string())
        };
        // The test's own reader wants HEAD in capitals; a server always sends it so.
        let request = Request {
            method: request.method.to_ascii_uppercase(),
            ..request
        };
        let answer = stage.program.run(&request);
        assert_eq!(answer.status, status, "{answer}");
    }
    assert_eq!(stage.difference(), "");
    assert!(stage.bento.calls().is_empty());
}

/// A user can be deleted while Bento is asked; that must not bring them back.
#[test]
fn a_user_who_vanishes_while_bento_is_asked_is_not_made_again() {
    for (action, users) in [("update_tags", 0), ("update", 0), ("add", 1)] {
        let later = |world: &mut World| world.latency = Duration::from_millis(700);
        let stage = stage_with(&json!({}), later);
        let answer = std::thread::scope(|scope| {
            let run = scope.spawn(|| stage.send(action, SUE));
            while stage.bento.calls().is_empty() {
                std::thread::yield_now();
            }
            stage.sql("DELETE FROM wp_users WHERE ID = 3");
            stage.sql("DELETE FROM wp_usermeta WHERE user_id = 3");
            run.join().unwrap()
        });
        assert_eq!(answer.status, 200, "{answer}");
        let left = stage.now().users;
        let sues = left
            .values()
            .filter(|user| user["user_email"] == "sue@example.test");
        assert_eq!(sues.count(), users, "{action}\n{answer}");
    }
}

#[test]
fn an_emoji_in_the_name_of_a_member_breaks_nothing() {
    let stage = stage_with(&json!({}), |world| {
        world.subscribers[0].fields = json!({"notes": {"🎉": "x"}, "company": "New"});
    });
    stage.sql("ALTER TABLE wp_usermeta CONVERT TO CHARACTER SET utf8mb3");
    let answer = stage.send("update", SUE);
    assert_eq!(answer.result(), "applied", "{answer}");
    assert_eq!(stage.meta(3, "company").as_deref(), Some("New"));
    assert_eq!(stage.meta(3, "delivery_notes"), None);
}

/// Old sites have tables in `utf8`, which hold no emoji; MariaDB would store `?` and break the lengths in serialized text.
#[test]
fn emoji_in_a_table_without_them_break_nothing() {
    let party = |world: &mut World| {
        world.tags.push(Tag {
            id: json!("77"),
            name: json!("Party 🎉"),
            discarded_at: Value::Null,
        });
        world.subscribers[0].cached_tag_ids = json!(["13", "77"]);
        world.subscribers[0].fields = json!({"company": "Ü GmbH €", "phone": "☎ 🎉"});
    };
    let runs = [
        ("update_tags", "utf8mb3"),
        ("update", "utf8mb3"),
        ("update", "latin1"),
    ];
    for (action, charset) in runs {
        let stage = stage_with(&json!({}), party);
        for table in ["wp_usermeta", "wp_options", "wp_users", "wp_wpf_logging"] {
            stage.sql(&format!(
                "ALTER TABLE {table} CONVERT TO CHARACTER SET {charset}"
            ));
        }
        let answer = stage.send(action, SUE);
        assert_eq!(answer.status, 200, "{answer}");
        let now = stage.now();
        assert_eq!(
            now.options["wpf_options"], stage.before.options["wpf_options"],
            "the one new tag cannot be stored"
        );
        let tags = &now.options["wpf_available_tags"].0;
        assert!(tags.contains("VIP") && !tags.contains("Party"), "{tags}");
        assert_eq!(stage.meta(3, "bento_tags"), bento_tags(&["VIP"]));
        let told = state::log(&stage.site.database);
        assert!(
            told.iter().any(|row| row.message.contains("Party")),
            "{told:?}"
        );
        for (key, value) in &now.meta[&3] {
            let value = value.clone().unwrap_or_default();
            assert!(!value.contains('?'), "{key}: {value}\n{answer}");
        }
        if action == "update" {
            let company = stage.meta(3, "company");
            assert_eq!(company.as_deref(), Some("Ü GmbH €"), "{charset}");
        }
    }
}

#[test]
fn a_log_that_is_off_is_left_alone() {
    let off = json!({"changed_settings": {"enable_logging": [1, "0"]}});
    let stage = stage_with(&off, |_| {});
    let row = "('2024-01-01 00:00:00',200,0,'api','old')";
    let rows = vec![row; 10_050].join(",");
    stage.sql(&format!(
        "INSERT INTO wp_wpf_logging (timestamp,level,user,source,message) VALUES {rows}"
    ));
    for (action, id) in [("update_tags", SUE), ("add", NORA), ("update", "nobody")] {
        let answer = stage.send(action, id);
        assert_eq!(answer.status, 200, "{answer}");
    }
    let answer = stage.program.run(&Request::post(&target("nonsense"), ""));
    assert_eq!(answer.status, 400, "{answer}");
    assert_eq!(state::log(&stage.site.database).len(), 10_050);
}

/// A password that is mapped to a second field is still a password.
#[test]
fn no_log_row_shows_a_password_under_another_name() {
    let given = json!({"changed_settings": {
        "return_password_field": ["", "generated_password"],
        "contact_fields.user_pass": {"active": "1", "type": "text", "crm_field": "password"},
        "contact_fields.pass_copy": {"active": "1", "type": "text", "crm_field": "password"},
        "contact_fields.first_pass": {"active": "1", "type": "text", "crm_field": "generated_password"},
    }});
    let known = |world: &mut World| {
        for person in &mut world.subscribers {
            person.fields = json!({"password": "s3cret-one", "generated_password": "s3cret-two"});
        }
    };
    let stage = stage_with(&given, known);
    for (action, id) in [("update", SUE), ("add", NORA)] {
        let answer = stage.send(action, id);
        assert_eq!(answer.result(), "applied", "{answer}");
        assert!(!answer.stderr.contains("s3cret"), "{answer}");
    }
    for row in state::log(&stage.site.database) {
        assert!(!row.message.contains("s3cret"), "{row:?}");
        assert!(!row.context.contains("s3cret"), "{row:?}");
    }
}

/// Rule 3 of `recordings/README.md`: Bento says that it does not know the person.
#[test]
fn bento_that_knows_nobody_changes_nothing() {
    let answers = [
        Fault::status(200, "{}"),
        Fault::status(200, r#"{"data":null}"#),
        Fault::status(404, r#"{"error":"Not Found"}"#),
        Fault::status(404, r#"{"success":false,"message":"not found"}"#),
        Fault::status(404, r#"{"errors":[{"field":"uuid","message":"unknown"}]}"#),
    ];
    for fault in answers {
        for (action, id) in [
            ("update_tags", SUE),
            ("update", SUE),
            ("add", SUE),
            ("add", NORA),
        ] {
            let script = Script::always(fault.clone());
            let stage = stage_with(&json!({}), |world| world.scripts.push(script));
            let answer = stage.send(action, id);
            assert_eq!(answer.status, 200, "{fault:?}\n{answer}");
            assert_eq!(answer.result(), "ignored", "{fault:?}\n{answer}");
            assert_eq!(stage.difference(), "", "{fault:?}\n{answer}");
            assert_eq!(stage.bento.calls().len(), 1, "{fault:?}\n{answer}");
        }
    }
}

/// A person as Bento's API shows them, with some members changed.
fn shown(change: impl FnOnce(&mut Value)) -> String {
    let mut person = Subscriber::new(SUE, "sue@example.test", &["13"]).to_json();
    change(&mut person["data"]["attributes"]);
    person.to_string()
}

#[test]
fn odd_answers_about_the_person_change_nothing() {
    let set = |name: &'static str, value: Value| shown(|a| a[name] = value);
    let without = |name: &str| shown(|a| drop(a.as_object_mut().unwrap().shift_remove(name)));
    let bodies = [
        set("cached_tag_ids", json!(null)),
        set("cached_tag_ids", json!("13,11")),
        set("cached_tag_ids", json!({"0": "13"})),
        set("cached_tag_ids", json!([null])),
        set("cached_tag_ids", json!([["13"]])),
        set("cached_tag_ids", json!([13.5])),
        set("cached_tag_ids", json!([true])),
        without("cached_tag_ids"),
        set("uuid", json!(null)),
        set("uuid", json!("")),
        set("uuid", json!(["c0ffee00-0000-4000-8000-000000000003"])),
        without("uuid"),
        set("email", json!({})),
        set("email", json!(5)),
        set("fields", json!("none")),
        set("fields", json!(["a"])),
        shown(|a| {
            a["uuid"] = json!(NORA);
            a["email"] = json!("nora@example.test");
        }),
        shown(|a| {
            a["uuid"] = json!(NORA);
            a["email"] = json!(null);
        }),
        json!({"data": [Subscriber::new(SUE, "sue@example.test", &[]).to_json()["data"]]}).to_string(),
        json!({"data": {"id": "1", "type": "visitors"}}).to_string(),
        json!({"success": false, "data": Subscriber::new(SUE, "sue@example.test", &[]).to_json()["data"]}).to_string(),
        json!({"error": "internal"}).to_string(),
        json!({"data": "sue"}).to_string(),
        json!({"data": false}).to_string(),
        "0".to_owned(),
        "\"\"".to_owned(),
        "[[]]".to_owned(),
    ];
    for body in bodies {
        let stage = stage_with(&json!({}), |world| {
            world
                .scripts
                .push(Script::always(Fault::status(200, &body)));
        });
        for action in ["update_tags", "update", "add"] {
            let answer = stage.send(action, SUE);
            assert_eq!(answer.status, 200, "{body}\n{answer}");
            assert_eq!(answer.result(), "queued", "{body}\n{answer}");
            assert_eq!(stage.difference(), "", "{body}\n{answer}");
        }
    }
}

#[test]
fn harmless_variants_of_the_answer_are_taken() {
    let set = |name: &'static str, value: Value| shown(|a| a[name] = value);
    let bodies = [
        set("cached_tag_ids", json!([13])),
        set("fields", json!(null)),
        set("fields", json!([])),
        set("fields", json!({"fields": {}, "timestamp": null})),
        set("email", json!(null)),
        set("email", json!("SUE@EXAMPLE.TEST")),
        set("uuid", json!(SUE.to_uppercase())),
        // After a merge Bento answers with the oldest uuid; the address tells that it is the same person.
        set("uuid", json!("0ldest00-0000-4000-8000-000000000001")),
        set("navigation_url", json!(null)),
        set("unsubscribed_at", json!("2024-01-01T00:00:00Z")),
        set("surprise", json!([{}])),
    ];
    for body in bodies {
        let stage = stage_with(&json!({}), |world| {
            world
                .scripts
                .push(Script::always(Fault::status(200, &body)));
        });
        let answer = stage.send("update", SUE);
        assert_eq!(answer.result(), "applied", "{body}\n{answer}");
        let mut wanted = stage.before.clone();
        for (key, value) in wanted.meta.get_mut(&3).unwrap() {
            if key == "bento_tags" {
                *value = bento_tags(&["VIP"]);
            }
        }
        assert_eq!(wanted.difference(&stage.now()), "", "{body}\n{answer}");
    }
}

/// A page of the program that finds WordPress by itself.
fn lost(stage: &Stage, variables: &[(&str, &Path)]) -> Answer {
    let mut request = Request::get(&target("test"));
    let unset = ("BENTO_WEBHOOKS_WORDPRESS".to_owned(), String::new());
    request.environment = variables
        .iter()
        .map(|(name, path)| ((*name).to_owned(), path.display().to_string()))
        .chain([unset])
        .collect();
    stage.program.run(&request)
}

#[test]
fn wordpress_is_found_from_the_script_and_from_the_document_root() {
    let stage = stage();
    let home = stage.site.folder().to_path_buf();
    for folder in ["cgi-bin/deep", "public/wp", "elsewhere/wp-content"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    let nowhere = Path::new("/usr/lib/cgi-bin/bento-webhooks");
    let found = |variables: &[(&str, &Path)]| {
        let answer = lost(&stage, variables);
        assert_eq!(answer.status, 200, "{variables:?}\n{answer}");
    };
    let script = "SCRIPT_FILENAME";
    let root = "DOCUMENT_ROOT";
    found(&[(script, &home.join("bento-webhooks"))]);
    found(&[(script, &home.join("cgi-bin/deep/bento-webhooks"))]);
    found(&[(script, nowhere), (root, &home)]);
    found(&[(script, nowhere), (root, &home.join("public"))]);
    found(&[(root, &home.join("public/"))]);
    let answer = lost(
        &stage,
        &[(script, nowhere), (root, &home.join("public/wp"))],
    );
    assert_eq!(answer.status, 503, "two folders up is too far\n{answer}");
    assert!(
        answer.stderr.contains("BENTO_WEBHOOKS_WORDPRESS"),
        "{answer}"
    );
    let answer = lost(&stage, &[]);
    assert_eq!(answer.status, 503, "{answer}");
    // WordPress in a folder of its own, with wp-config.php beside that folder.
    let inner = home.join("public/wp");
    fs::rename(home.join("wp-includes"), inner.join("wp-includes")).unwrap();
    fs::rename(
        home.join("wp-config.php"),
        home.join("public/wp-config.php"),
    )
    .unwrap();
    fs::remove_file(home.join("wp-settings.php")).unwrap();
    found(&[(script, nowhere), (root, &inner)]);
    found(&[(script, &inner.join("bento-webhooks"))]);
    found(&[("BENTO_WEBHOOKS_WORDPRESS_", &inner), (root, &inner)]);
    // The script lies beside wp-config.php, outside of WordPress.
    found(&[
        (script, &home.join("public/cgi/bento-webhooks")),
        (root, &inner),
    ]);
}

/// The site under another table prefix.
fn with_prefix(stage: &Stage, prefix: &str) {
    for table in ["users", "usermeta", "options", "wpf_logging"] {
        stage.sql(&format!("RENAME TABLE wp_{table} TO {prefix}{table}"));
    }
    for key in ["capabilities", "user_level"] {
        stage.sql(&format!(
            "UPDATE {prefix}usermeta SET meta_key = '{prefix}{key}' WHERE meta_key = 'wp_{key}'"
        ));
    }
    stage.sql(&format!("UPDATE {prefix}options SET option_name = '{prefix}user_roles' WHERE option_name = 'wp_user_roles'"));
}

#[test]
fn the_capabilities_field_follows_the_table_prefix() {
    let given = json!({"changed_settings": {
        "contact_fields.x9_capabilities": {"active": "1", "type": "text", "crm_field": "caps"},
        "contact_fields.wp_capabilities": {"active": "1", "type": "text", "crm_field": "caps"},
        "contact_fields.x9_user_level": {"active": "1", "type": "text", "crm_field": "level"},
    }});
    let stage = stage_with(&given, |world| {
        world.subscribers[0].fields = json!({"caps": "author,administrator", "level": "10"});
        world.subscribers[1].fields = json!({"caps": ["contributor", "editor"], "level": "10"});
    });
    with_prefix(&stage, "x9_");
    let mut request = Request::post(&target("update"), &json!({"id": SUE}).to_string());
    request.environment = vec![("BENTO_WEBHOOKS_TABLE_PREFIX".to_owned(), "x9_".to_owned())];
    let answer = stage.program.run(&request);
    assert_eq!(answer.result(), "applied", "{answer}");
    request.target = target("add");
    request.body = Body::Exact(json!({"id": NORA}).to_string().into_bytes());
    let answer = stage.program.run(&request);
    assert_eq!(answer.result(), "applied", "{answer}");
    let mut root = stage.site.database.root();
    let rows = state::rows(
        &mut root,
        "SELECT user_id, meta_key, meta_value FROM x9_usermeta WHERE user_id IN (3, 7) AND meta_key LIKE '%capabilities' OR meta_key LIKE '%user_level' AND user_id IN (3, 7) ORDER BY umeta_id",
    );
    let found: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| row.into_iter().flatten().collect())
        .collect();
    let row = |user: &str, key: &str, value: &str| {
        vec![user.to_owned(), key.to_owned(), value.to_owned()]
    };
    let caps = |role: &str| php::serialize(&json!({role: true}));
    assert_eq!(
        found,
        [
            row("3", "x9_capabilities", &caps("author")),
            row("3", "x9_user_level", "0"),
            row("7", "x9_capabilities", &caps("contributor")),
            row("7", "x9_user_level", "0"),
        ]
    );
}

#[test]
fn values_of_every_kind_are_stored_as_wordpress_would() {
    let table: [(Value, Option<&str>); 26] = [
        (json!("0"), Some("0")),
        (json!(0), Some("0")),
        (json!(false), None),
        (json!(null), None),
        (json!(""), None),
        (json!([]), None),
        (json!({}), None),
        (json!(true), Some("1")),
        (json!(-17), Some("-17")),
        (json!(1.5), Some("1.5")),
        (json!(2.0), Some("2")),
        (json!(9007199254740993_i64), Some("9007199254740993")),
        (json!(18446744073709551615_u64), Some("1.844674407371E+19")),
        (json!(1e300), Some("1.0E+300")),
        (json!("i:5;"), Some("s:4:\"i:5;\";")),
        (json!("a:0:{}"), Some("s:6:\"a:0:{}\";")),
        (json!("b:1;"), Some("s:4:\"b:1;\";")),
        (json!("C:\\new\\'q'"), Some("C:\\new\\'q'")),
        (json!("100%ab %2E a%0Ab"), Some("100%ab %2E a%0Ab")),
        (json!("one\r\ntwo\n\tthree"), Some("one\r\ntwo\n\tthree")),
        (json!("🎉 Zoë & Söhne \"x\""), Some("🎉 Zoë & Söhne \"x\"")),
        (json!("&lt;b&gt; &amp;amp;"), Some("&lt;b&gt; &amp;amp;")),
        (
            json!("<b>bold</b><script>x()</script>"),
            Some("<b>bold</b>x()"),
        ),
        (
            json!(["a", 2, null, true]),
            Some("a:4:{i:0;s:1:\"a\";i:1;s:1:\"2\";i:2;N;i:3;b:1;}"),
        ),
        (
            json!({"b": "é", "5": [1.5]}),
            Some("a:2:{s:1:\"b\";s:2:\"é\";i:5;a:1:{i:0;s:3:\"1.5\";}}"),
        ),
        (json!("  kept  "), Some("  kept  ")),
    ];
    let fields: serde_json::Map<String, Value> = table
        .iter()
        .enumerate()
        .map(|(place, (value, _))| (format!("crm{place}"), value.clone()))
        .collect();
    let mut changed = serde_json::Map::new();
    for place in 0..table.len() {
        let row = json!({"active": "1", "type": "text", "crm_field": format!("crm{place}")});
        changed.insert(format!("contact_fields.own{place}"), row);
    }
    let stage = stage_with(&json!({"changed_settings": changed}), |world| {
        world.subscribers[0].fields = Value::Object(fields);
    });
    let answer = stage.send("update", SUE);
    assert_eq!(answer.result(), "applied", "{answer}");
    let rows = stage.now().meta.remove(&3).unwrap();
    let mut wrong = String::new();
    for (place, (value, wanted)) in table.iter().enumerate() {
        let key = format!("own{place}");
        let found = rows.iter().find(|(own, _)| *own == key);
        let found = found.map(|(_, value)| value.as_deref());
        if found != wanted.map(Some) {
            wrong += &format!("{value}: wanted {wanted:?}, found {found:?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let again = stage.send("update", SUE);
    assert_eq!(again.result(), "unchanged", "{again}");
}

#[test]
fn the_environment_wins_over_constants() {
    let given = json!({"changed_settings": {
        "contact_fields.role": {"active": "1", "type": "text", "crm_field": "wp_role"},
    }});
    let run = |environment: &[(&str, &str)], roles: Option<&str>| {
        let mut stage = stage_with(&given, |world| {
            world.subscribers[0].fields = json!({"wp_role": "editor"});
        });
        if let Some(roles) = roles {
            stage.site.define("BENTO_WEBHOOKS_ALLOW_ROLES", roles);
        }
        let mut request = Request::post(&target("update"), &json!({"id": SUE}).to_string());
        let variables = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        request.environment = variables.collect();
        let answer = stage.program.run(&request);
        (answer.status, stage.meta(3, "wp_capabilities").unwrap())
    };
    let subscriber = php::serialize(&json!({"subscriber": true}));
    let editor = php::serialize(&json!({"editor": true}));
    let roles = "BENTO_WEBHOOKS_ALLOW_ROLES";
    assert_eq!(run(&[], None), (200, subscriber.clone()));
    assert_eq!(run(&[], Some("author , editor,")), (200, editor.clone()));
    assert_eq!(run(&[], Some("Editor,EDITOR")), (200, subscriber.clone()));
    assert_eq!(run(&[(roles, "editor")], None), (200, editor));
    assert_eq!(
        run(&[(roles, "author")], Some("editor")),
        (200, subscriber.clone())
    );
    for url in ["http://192.0.2.1/api", "ftp://127.0.0.1/", "nonsense"] {
        let answer = run(&[("BENTO_WEBHOOKS_API_URL", url)], None);
        assert_eq!(answer, (503, subscriber.clone()), "{url}");
    }
    for (name, value) in [
        ("BENTO_WEBHOOKS_DB_NAME", "nothing_here"),
        ("BENTO_WEBHOOKS_DB_PASSWORD", "wrong"),
        ("BENTO_WEBHOOKS_DB_USER", "nobody"),
        ("BENTO_WEBHOOKS_DB_HOST", "localhost:/nowhere.sock"),
        ("BENTO_WEBHOOKS_TABLE_PREFIX", "x_"),
        ("BENTO_WEBHOOKS_TABLE_PREFIX", "`; DROP"),
    ] {
        assert_eq!(
            run(&[(name, value)], None),
            (503, subscriber.clone()),
            "{name}"
        );
    }
}

/// Rule 5 of `recordings/README.md`, with the odd lists that Bento may give.
#[test]
fn a_tag_that_bento_does_not_name_takes_none_away() {
    let tag = |id: Value, name: Value| Tag {
        id,
        name,
        discarded_at: Value::Null,
    };
    let lists: [(&str, Vec<Tag>); 4] = [
        ("missing", vec![tag(json!("13"), json!("VIP"))]),
        (
            "without a name",
            vec![tag(json!(13), json!("VIP")), tag(json!(66), Value::Null)],
        ),
        ("empty", Vec::new()),
        (
            "with odd entries",
            vec![
                tag(json!("x"), json!("X")),
                tag(json!(null), json!({})),
                tag(json!(13), json!("VIP")),
            ],
        ),
    ];
    for (what, tags) in lists {
        let stage = stage_with(&json!({}), |world| {
            world.tags = tags;
            world.subscribers[0].cached_tag_ids = json!([66, "13"]);
        });
        let answer = stage.send("update_tags", SUE);
        assert_eq!(answer.result(), "queued", "{what}\n{answer}");
        assert_eq!(
            stage.meta(3, "bento_tags"),
            bento_tags(&["Customer", "Newsletter", "VIP"]),
            "{what}\n{answer}"
        );
        let available = &stage.now().options["wpf_available_tags"].0;
        assert!(available.contains("VIP"), "{what}: {available}");
        assert_eq!(stage.bento.calls().len(), 2, "{what}\n{answer}");
        // The name appears: nothing needs to be mended by hand.
        stage.bento.world().tags = vec![
            tag(json!("66"), json!("Late")),
            tag(json!("13"), json!("VIP")),
        ];
        stage
            .site
            .sql(&["UPDATE wp_bento_webhooks_state SET tags = 0"]);
        let answer = stage.send("update_tags", SUE);
        assert_eq!(answer.result(), "applied", "{what}\n{answer}");
        assert_eq!(
            stage.meta(3, "bento_tags"),
            bento_tags(&["Late", "VIP"]),
            "{what}"
        );
    }
    let discarded = |world: &mut World| {
        world.tags.push(Tag {
            id: json!(66),
            name: json!("Old"),
            discarded_at: json!("2024-01-01T00:00:00Z"),
        });
        world.subscribers[0].cached_tag_ids = json!([66, 13]);
    };
    let stage = stage_with(&json!({}), discarded);
    assert_eq!(stage.send("update_tags", SUE).result(), "applied");
    assert_eq!(stage.meta(3, "bento_tags"), bento_tags(&["Old", "VIP"]));
}

/// What the POST after an add carried: Bento field and value.
fn sent_back(stage: &Stage) -> Vec<(String, String)> {
    let calls = stage.bento.calls();
    let posts: Vec<_> = calls.iter().filter(|call| call.method == "POST").collect();
    assert!(posts.len() <= 1, "{posts:?}");
    let Some(post) = posts.first() else {
        return Vec::new();
    };
    assert_eq!(post.path, "/api/v1/fetch/commands");
    let body: Value = serde_json::from_str(&post.body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let commands = body["command"].as_array().unwrap().iter();
    commands
        .map(|command| {
            assert_eq!(command["command"], "add_field");
            (
                text(&command["query"]["key"]),
                text(&command["query"]["value"]),
            )
        })
        .collect()
}

#[test]
fn the_password_goes_back_in_one_call_in_both_forms_of_the_setting() {
    let chosen = [json!("secret_field"), json!({"crm_field": "secret_field"})];
    for setting in &chosen {
        for push in ["1", "0"] {
            let given = json!({"changed_settings": {
                "push": [1, push],
                "return_password": [1, 1],
                "return_password_field": ["", setting],
                "contact_fields.user_login": {"active": "1", "type": "text", "crm_field": "login"},
                "contact_fields.user_id": {"active": "1", "type": "int", "crm_field": "number"},
                "contact_fields.user_registered": {"active": "1", "type": "date", "crm_field": "since"},
            }});
            let stage = stage_with(&given, |_| {});
            let answer = stage.send("add", NORA);
            assert_eq!(answer.result(), "applied", "{answer}");
            let sent = sent_back(&stage);
            let names: Vec<&str> = sent.iter().map(|(name, _)| name.as_str()).collect();
            let wanted: &[&str] = match push {
                "1" => &["secret_field", "login", "number", "since"],
                _ => &["secret_field"],
            };
            assert_eq!(names, wanted, "{setting} {push}");
            let hash = &stage.now().users[&7]["user_pass"];
            assert!(support::password::verifies(&sent[0].1, hash), "{setting}");
            let again = stage.send("add", NORA);
            assert_eq!(again.result(), "unchanged", "{again}");
            assert_eq!(sent_back(&stage).len(), sent.len(), "not a second time");
        }
    }
    let off = json!({"changed_settings": {
        "return_password": [1, "0"], "return_password_field": ["", "secret_field"],
    }});
    let stage = stage_with(&off, |_| {});
    assert_eq!(stage.send("add", NORA).result(), "applied");
    assert_eq!(sent_back(&stage), []);
}

#[test]
fn a_password_that_bento_does_not_take_is_told() {
    let given = json!({"changed_settings": {"return_password_field": ["", "secret_field"]}});
    let refusals = [
        Fault::status(500, "{}"),
        Fault::status(401, r#"{"error":"Unauthorized"}"#),
        Fault::status(200, r#"{"results":0,"failed":1}"#),
        Fault::status(200, r#"{"success":false}"#),
        Fault::html(200, "<p>Checking your browser</p>"),
        Fault::Close,
        Fault::Redirect("http://127.0.0.1:1/".to_owned()),
    ];
    for fault in refusals {
        let script = Script {
            fault: fault.clone(),
            skip: 1,
            times: usize::MAX,
        };
        let stage = stage_with(&given, |world| world.scripts.push(script));
        let answer = stage.send("add", NORA);
        assert_eq!(answer.result(), "applied", "{fault:?}\n{answer}");
        let reason = answer.json()["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(reason.contains("password"), "{fault:?}\n{answer}");
        let errors = state::log(&stage.site.database);
        assert!(errors.iter().any(|row| row.level == 500), "{fault:?}");
        let calls = stage.bento.calls();
        let post: Value = serde_json::from_str(&calls[1].body).unwrap();
        let password = post["command"][0]["query"]["value"].as_str().unwrap();
        for row in &errors {
            assert!(!row.message.contains(password) && !row.context.contains(password));
        }
        assert!(!answer.body.contains(password) && !answer.stderr.contains(password));
    }
}

#[test]
fn a_failure_says_which_webhook_failed() {
    let broken = |world: &mut World| {
        world.scripts.push(Script::always(Fault::status(500, "{}")));
    };
    let stage = stage_with(&json!({}), broken);
    let answer = stage.send("update", SUE);
    let told = answer.json();
    assert_eq!(told["action"], "update", "{answer}");
    assert_eq!(told["contact_id"], SUE, "{answer}");
    let line = format!("queued update contact={SUE}");
    assert!(answer.stderr.contains(&line), "{answer}");
    assert_eq!(answer.stderr.lines().count(), 1, "{answer}");
}

#[test]
fn the_log_follows_its_settings() {
    let rows = |errors_only: &str, badge: &str, id: &str| {
        let given = json!({"changed_settings": {
            "logging_errors_only": ["0", errors_only], "logging_badge": ["0", badge],
        }});
        let stage = stage_with(&given, |_| {});
        stage.send("add", id);
        let count = stage.now().options.get("wpf_logs_unseen_errors").cloned();
        let levels = state::log(&stage.site.database)
            .into_iter()
            .map(|row| row.level);
        (levels.collect::<Vec<u32>>(), count.map(|(value, _)| value))
    };
    let (levels, count) = rows("1", "1", NORA);
    assert_eq!((levels, count), (vec![], None));
    let (levels, count) = rows("1", "1", "nobody");
    assert_eq!(levels, [500, 500]);
    assert_eq!(count.as_deref(), Some("2"));
    let (levels, count) = rows("1", "0", "nobody");
    assert_eq!((levels, count), (vec![500, 500], None));
    let (levels, _) = rows("0", "1", NORA);
    assert!(levels.len() > 1 && !levels.contains(&500), "{levels:?}");
}

#[test]
fn an_answer_names_the_contact_that_bento_found() {
    let stage = stage();
    for email in ["sue@example.test", "nora@example.test"] {
        let body = json!({"email": email}).to_string();
        let answer = stage.program.run(&Request::post(&target("add"), &body));
        let id = if email.starts_with("sue") { SUE } else { NORA };
        assert_eq!(answer.json()["contact_id"], id, "{answer}");
    }
}

#[test]
fn staging_and_copied_sites_ask_nobody() {
    let settings = [
        json!({"staging_mode": ["0", 1]}),
        json!({"staging_mode": ["0", "1"]}),
        json!({"staging_mode": ["0", true]}),
        json!({"wp_options.siteurl": "http://staging.example.test"}),
        json!({"wp_options.siteurl": "http://shop.example.test/copy"}),
        json!({"wp_options.siteurl": "http://shop.example.test:8080.evil.test"}),
    ];
    for changed in settings {
        let stage = stage_with(&json!({"changed_settings": changed}), |_| {});
        for (action, id) in [
            ("add", NORA),
            ("add", SUE),
            ("update", SUE),
            ("update_tags", SUE),
        ] {
            let answer = stage.send(action, id);
            assert_eq!(answer.result(), "ignored", "{changed}\n{answer}");
        }
        let answer = stage.program.run(&Request::get(&target("test")));
        assert_eq!(answer.json(), json!({"success": true}), "{answer}");
        assert_eq!(stage.difference(), "", "{changed}");
        assert!(stage.bento.calls().is_empty(), "{changed}");
    }
    for same in ["https://shop.example.test/", "HTTP://SHOP.example.test"] {
        let changed = json!({"changed_settings": {"wp_options.siteurl": same}});
        let stage = stage_with(&changed, |_| {});
        assert_eq!(stage.send("update_tags", SUE).result(), "applied", "{same}");
    }
}

#[test]
fn roles_are_resolved_and_guarded_everywhere() {
    let given = json!({"changed_settings": {
        "contact_fields.role": {"active": "1", "type": "text", "crm_field": "wp_role"},
    }});
    // Action, role in the URL, role field; role afterwards.
    let table = [
        ("add", "", json!(null), "subscriber"),
        ("add", "Author", json!(null), "author"),
        ("add", "author", json!("contributor"), "contributor"),
        ("add", "Author", json!("contributor"), "author"),
        ("add", "+author+", json!(null), "author"),
        ("add", "AUTHOR", json!(null), "subscriber"),
        ("add", "Administrator", json!(null), "subscriber"),
        ("add", "editor", json!(null), "subscriber"),
        ("add", "", json!("Administrator"), "subscriber"),
        ("add", "", json!(["author", "editor"]), "author"),
        ("add", "administrator,author", json!(null), "subscriber"),
        ("update", "author", json!(null), "author"),
        ("update", "Author", json!(null), "subscriber"),
        ("update", "administrator", json!(null), "subscriber"),
        ("update", "", json!("Author"), "author"),
        ("update", "", json!("author"), "author"),
        ("update", "", json!("Administrator"), "subscriber"),
        ("update", "", json!("nonsense"), "subscriber"),
        ("update", "contributor", json!("author"), "contributor"),
        ("update_tags", "author", json!("author"), "subscriber"),
    ];
    for (action, role, field, wanted) in table {
        let stage = stage_with(&given, |world| {
            for person in &mut world.subscribers {
                person.fields = json!({"wp_role": field});
            }
        });
        let (user, id) = if action == "add" { (7, NORA) } else { (3, SUE) };
        let url = format!("{}&role={role}", target(action));
        let answer = stage
            .program
            .run(&Request::post(&url, &json!({"id": id}).to_string()));
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(
            stage.meta(user, "wp_capabilities"),
            Some(php::serialize(&json!({wanted: true}))),
            "{action} {role} {field}\n{answer}"
        );
    }
}

#[test]
fn a_test_with_a_nonce_proves_what_arrived() {
    let stage = stage();
    let asked = format!("{}&nonce=fresh-1", target("test"));
    let answer = stage.program.run(&Request::get(&asked));
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let program = format!("bento-webhooks/{}", env!("CARGO_PKG_VERSION"));
    let echo = |length: usize, sha256: &str, key: &str| {
        json!({
            "success": true, "result": "tested", "program": program, "nonce": "fresh-1",
            "length": length, "sha256": sha256, "key": key,
        })
    };
    assert_eq!(answer.json(), echo(0, empty, "address"), "{answer}");
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let answer = stage.program.run(&Request::post(&asked, "abc"));
    assert_eq!(answer.json(), echo(3, abc, "address"), "{answer}");
    let by_header =
        Request::get("/?wpf_action=test&nonce=fresh-1").header("X-Bento-Webhooks-Key", KEY);
    let answer = stage.program.run(&by_header);
    assert_eq!(answer.json(), echo(0, empty, "header"), "{answer}");
    for (target, status, has_nonce) in [
        (
            "/?wpf_action=test&nonce=fresh-1&access_key=wrong".to_owned(),
            403,
            false,
        ),
        ("/?wpf_action=test&nonce=fresh-1".to_owned(), 403, false),
        (format!("{}&nonce=%3Cb%3E", target("test")), 200, false),
    ] {
        let answer = stage.program.run(&Request::get(&target));
        assert_eq!(answer.status, status, "{answer}");
        assert_eq!(answer.json().get("nonce").is_some(), has_nonce, "{answer}");
    }
    assert_eq!(stage.difference(), "");
}
