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

use std::fs;
use std::path::Path;
use std::time::Duration;

use mysql::prelude::Queryable as _;
use serde_json::{Value, json};
use support::bento::{Bento, Fault, Script, Subscriber, Tag, World};
use support::cgi::{Answer, Body, Program, Request};
use support::php;
use support::recording::Base;
use support::site::Site;
use support::state::{self, State};

const SUE: &str = "c0ffee00-0000-4000-8000-000000000003";
const NORA: &str = "deadbeef-0000-4000-8000-000000000009";
const KEY: &str = "a1b2c3d4";

struct Stage {
    site: Site<'static>,
    bento: Bento,
    program: Program,
    before: State,
}

/// A site on which Sue is linked, and a Bento that knows her and Nora, who is no user yet.
fn stage() -> Stage {
    stage_with(&json!({}), |_| {})
}

fn stage_with(given: &Value, change: impl FnOnce(&mut World)) -> Stage {
    let base = Base::load("");
    let mut site = Site::new(&base, given);
    let mut world = World::new(base.account(), &base.tags());
    world
        .subscribers
        .push(Subscriber::new(SUE, "sue@example.test", &["13"]));
    world
        .subscribers
        .push(Subscriber::new(NORA, "nora@example.test", &["11"]));
    change(&mut world);
    let bento = Bento::start(world);
    site.define("BENTO_WEBHOOKS_API_URL", &bento.api_url());
    let program = Program::new(env!("CARGO_BIN_EXE_bento-webhooks"), site.folder());
    let before = State::read(&site.database);
    Stage {
        site,
        bento,
        program,
        before,
    }
}

impl Stage {
    fn now(&self) -> State {
        State::read(&self.site.database)
    }

    fn difference(&self) -> String {
        self.before.difference(&self.now())
    }

    fn send(&self, action: &str, id: &str) -> Answer {
        self.program.run(&Request::post(
            &target(action),
            &json!({"id": id}).to_string(),
        ))
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

fn target(action: &str) -> String {
    format!("/?wpf_action={action}&access_key={KEY}")
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
    for action in ["update_tags", "update"] {
        let stage = stage_with(&json!({}), party);
        for table in ["wp_usermeta", "wp_options", "wp_users", "wp_wpf_logging"] {
            stage.sql(&format!(
                "ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb3 COLLATE utf8mb3_unicode_ci"
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
            assert_eq!(stage.meta(3, "company").as_deref(), Some("Ü GmbH €"));
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
        assert_eq!(answer.status, 503, "{what}\n{answer}");
        assert!(answer.header("Retry-After").is_some(), "{what}\n{answer}");
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
    let line = format!("failed update contact={SUE}");
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
