//! Requests made to do harm: what they must not reach, change or show.
//!
//! Each test runs the real program on real rows. "Nothing happened" always means: equal rows, and nobody was asked.
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

use std::net::TcpListener;
use std::time::Duration;

use mysql::prelude::Queryable as _;
use serde_json::{Value, json};
use stage::{KEY, NORA, SUE, Stage, stage, stage_with, target, webhook};
use support::bento::{Fault, Script, Subscriber, World};
use support::cgi::{Answer, Body, Request};
use support::database::{PASSWORD, Statement};
use support::inbox;
use support::php;
use support::recording::Base;
use support::state::{self, State};

const MEBIBYTE: usize = 1 << 20;

impl Stage {
    fn assert_idle(&self, answer: &Answer) {
        assert_eq!(self.difference(), "", "{answer}");
        assert!(self.bento.calls().is_empty(), "Bento was asked\n{answer}");
    }
}

fn sue_tags() -> Request {
    webhook("update_tags", SUE)
}

/// Web servers hand a query without `=` to CGI programs as arguments.
#[test]
fn a_query_never_becomes_an_argument() {
    let queries = [
        "--version",
        "--help",
        "-h",
        "-V",
        "version",
        "help",
        "doctor",
        "work",
        "queue",
        "retry+all",
        "explain",
        "--",
        "-",
        "+",
        "--version+--help",
        "%2d%2dversion",
        "-%20-",
        "--config%3D/etc/passwd",
        "@/etc/passwd",
        "%00--version",
    ];
    let stage = stage();
    for query in queries {
        let words = query.split('+').map(|word| percent_decoded(word).into());
        let mut request = Request::get(&format!("/?{query}"));
        request.arguments = words.collect();
        let answer = stage.program.run(&request);
        assert_eq!(answer.status, 403, "no key, no answer\n{answer}");
        let with_key = request.header("X-Bento-Webhooks-Key", KEY);
        let answer = stage.program.run(&with_key);
        assert_eq!(answer.status, 400, "no action\n{answer}");
        stage.assert_idle(&answer);
    }
}

/// As Apache does before it splits a query into arguments; NUL cannot be in one.
fn percent_decoded(word: &str) -> String {
    let pair = format!("x={word}");
    let (_, value) = url::form_urlencoded::parse(pair.as_bytes()).next().unwrap();
    value.replace('\0', "")
}

#[test]
fn a_proxy_header_leads_nowhere() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", trap.local_addr().unwrap());
    let stage = stage();
    let mut request = sue_tags().header("Proxy", &proxy);
    for name in [
        "http_proxy",
        "https_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        request.environment.push((name.to_string(), proxy.clone()));
    }
    let answer = stage.program.run(&request);
    assert_eq!(answer.result(), "applied", "{answer}");
    assert_eq!(stage.bento.calls().len(), 1);
    let caught = trap.accept().map(|(_, address)| address);
    assert!(caught.is_err(), "the trap was called: {caught:?}");
}

#[test]
fn a_body_is_read_as_far_as_it_comes_whatever_its_length_claims() {
    let body = json!({"id": SUE}).to_string();
    let length = body.len().to_string();
    let lengths: [(Option<&str>, u16); 9] = [
        (Some(&length), 200),
        (None, 200),
        (Some(""), 200),
        (Some("-1"), 200),
        (Some("many"), 200),
        (Some("4294967296"), 200),
        (Some("18446744073709551616"), 200),
        (Some("7"), 400),
        (Some("0"), 400),
    ];
    for (length, status) in lengths {
        let stage = stage();
        let announced = Body::Announced {
            bytes: body.clone().into_bytes(),
            length: length.map(str::to_string),
        };
        let answer = stage.program.run(&sue_tags().body(announced));
        assert_eq!(answer.status, status, "CONTENT_LENGTH {length:?}\n{answer}");
        if status == 400 {
            stage.assert_idle(&answer);
        } else {
            assert_eq!(
                answer.result(),
                "applied",
                "CONTENT_LENGTH {length:?}\n{answer}"
            );
        }
    }
}

#[test]
fn one_mebibyte_is_kept_and_one_byte_more_is_drained() {
    let padded = |size: usize| {
        let body = json!({"id": SUE}).to_string();
        format!("{body}{}", " ".repeat(size - body.len())).into_bytes()
    };
    let stage = stage();
    for (size, without_length) in [
        (MEBIBYTE + 1, false),
        (MEBIBYTE + 1, true),
        (5 * MEBIBYTE, false),
    ] {
        let bytes = padded(size);
        let length = (!without_length).then(|| size.to_string());
        let answer = stage
            .program
            .run(&sue_tags().body(Body::Announced { bytes, length }));
        assert_eq!(
            (answer.status, answer.unread),
            (413, 0),
            "{size} bytes\n{answer}"
        );
        stage.assert_idle(&answer);
    }
    let answer = stage
        .program
        .run(&sue_tags().body(Body::Exact(padded(MEBIBYTE))));
    assert_eq!(answer.result(), "applied", "{}", answer.status);
}

#[test]
fn a_slow_body_is_waited_for() {
    let body = json!({"id": SUE}).to_string().into_bytes();
    let pieces = body.chunks(10).map(<[u8]>::to_vec).collect();
    let answer = stage().program.run(&sue_tags().body(Body::Slow {
        pieces,
        pause: Duration::from_millis(150),
    }));
    assert_eq!(answer.result(), "applied", "{answer}");
}

#[test]
fn a_body_that_never_ends_is_given_up() {
    let stage = stage();
    let bytes = br#"{"id": "c0ffee00"#.to_vec();
    let answer = stage.program.run(&sue_tags().body(Body::Unfinished {
        bytes,
        length: "4294967296".to_string(),
    }));
    assert!(answer.status >= 400, "{answer}");
    assert!(
        answer.elapsed < Duration::from_secs(30),
        "{:?}",
        answer.elapsed
    );
    stage.assert_idle(&answer);
}

#[test]
fn line_breaks_reach_no_header_and_no_second_log_line() {
    const SPLIT: &str = "x\r\nX-Injected: 1\r\n\r\n<html>";
    let encoded: String = url::form_urlencoded::byte_serialize(SPLIT.as_bytes()).collect();
    let json = json!({"id": SPLIT, "email": SPLIT}).to_string();
    let requests = [
        Request::post(&format!("/?wpf_action={encoded}&access_key={KEY}"), &json),
        Request::post(&format!("/?wpf_action=update&access_key={encoded}"), &json),
        Request::post(
            &format!("{}&role={encoded}&tags={encoded}", target("update")),
            &json,
        ),
        Request::post(
            &format!("{}&contact_id={encoded}&email={encoded}", target("add")),
            "",
        ),
        Request::post(&target("add"), &json),
        sue_tags()
            .header("User-Agent", SPLIT)
            .header("Accept", SPLIT)
            .header("Host", SPLIT)
            .header("Referer", SPLIT),
        sue_tags()
            .header("X-Bento-Webhooks-Key", SPLIT)
            .header("Authorization", &format!("Bearer {SPLIT}")),
        sue_tags().header("Content-Type", SPLIT),
    ];
    let split_person = |world: &mut World| {
        let mut person = Subscriber::new(
            SPLIT,
            "split@example.test\r\nBcc: victim@example.test",
            &["13"],
        );
        person.fields = json!({"first_name": SPLIT, "wp_role": SPLIT});
        world.subscribers.push(person);
    };
    let stage = stage_with(&json!({}), split_person);
    for request in requests {
        let answer = stage.program.run(&request);
        assert!(
            answer.headers.iter().all(|(name, _)| name != "X-Injected"),
            "{answer}"
        );
        assert_eq!(
            answer.stderr.lines().count(),
            1,
            "one line per request\n{answer}"
        );
        assert!(!answer.stderr.contains('\r'), "{answer}");
    }
    for call in stage.bento.calls() {
        assert_eq!(call.header("x-injected"), None, "{call:?}");
    }
    for row in state::log(&stage.site.database) {
        assert!(!row.message.contains("\r\nX-Injected"), "{row:?}");
    }
}

#[test]
fn markup_is_text_on_the_page() {
    const MARKUP: &str = r#""><script>alert(1)</script><img src=x onerror=alert(2)>'&"#;
    let encoded: String = url::form_urlencoded::byte_serialize(MARKUP.as_bytes()).collect();
    let given = json!({"changed_settings": {
        format!("contact_fields.{MARKUP}"): {"active": "1", "type": "text", "crm_field": "company"},
    }});
    let named = |world: &mut World| {
        world.tags.push(support::bento::Tag {
            id: json!("666"),
            name: json!(MARKUP),
            discarded_at: Value::Null,
        });
        world.tags.push(support::bento::Tag {
            id: json!("667"),
            name: json!("&lt;script&gt;alert(1)&lt;/script&gt;"),
            discarded_at: Value::Null,
        });
        world.subscribers[0].cached_tag_ids = json!(["666", "667"]);
        world.subscribers[0].fields = json!({"company": MARKUP, "first_name": MARKUP});
        world
            .subscribers
            .push(Subscriber::new(MARKUP, "markup@example.test", &["13"]));
    };
    let stage = stage_with(&given, named);
    let targets = [
        format!("/?wpf_action={encoded}&access_key={KEY}&contact_id={SUE}"),
        format!("/?wpf_action=update&access_key={encoded}&contact_id={SUE}"),
        format!("{}&contact_id={encoded}", target("update")),
        format!("{}&contact_id={encoded}", target("add")),
        format!("{}&email={encoded}", target("update")),
        format!("{}&contact_id={SUE}&role={encoded}", target("update")),
        format!("{}&contact_id={SUE}", target("update")),
        target("update"),
        target("test"),
    ];
    for target in targets {
        let request =
            Request::get(&target).header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let answer = stage.program.run(&request);
        let page = &answer.body;
        assert!(
            answer
                .header("Content-Type")
                .is_some_and(|value| value.starts_with("text/html")),
            "{answer}"
        );
        assert!(
            page.contains("<html") && page.contains("viewport"),
            "a page for a phone\n{answer}"
        );
        for forbidden in ["<script>alert", "<img src=x", "onerror=alert(2)>"] {
            assert!(!page.contains(forbidden), "{forbidden}\n{answer}");
        }
        for outside in ["src=\"http", "href=\"http", "url(http", "@import"] {
            assert!(
                !page.contains(outside),
                "self-contained, but {outside}\n{answer}"
            );
        }
    }
    // The last update wrote the tags, so the page had markup to show.
    let tags = State::read(&stage.site.database).meta[&3]
        .iter()
        .find(|(key, _)| key == "bento_tags")
        .cloned();
    assert!(
        tags.unwrap().1.unwrap().contains("alert"),
        "the markup got there"
    );
}

/// Texts that would do harm as SQL or as a PHP value.
const PAYLOADS: [&str; 8] = [
    "'; DROP TABLE wp_users; -- ",
    "x' OR '1'='1",
    "\\'; UPDATE wp_users SET user_pass=''; #",
    "1) UNION SELECT user_pass FROM wp_users -- ",
    r#"O:8:"stdClass":1:{s:1:"a";i:1;}"#,
    r#"a:1:{s:13:"administrator";b:1;}"#,
    r#"s:5:"quote";"#,
    "b:1;",
];

#[test]
fn payloads_in_the_request_change_nothing() {
    let unchanged = |world: &mut World| world.subscribers[0].cached_tag_ids = json!(["11", "12"]);
    let stage = stage_with(&json!({}), unchanged);
    for payload in PAYLOADS {
        let encoded: String = url::form_urlencoded::byte_serialize(payload.as_bytes()).collect();
        let unlinked = json!({"id": payload, "email": payload}).to_string();
        let requests = [
            Request::post(&target("update"), &unlinked),
            Request::post(&target("update_tags"), &unlinked),
            Request::post(
                &format!("/?wpf_action={encoded}&access_key={KEY}"),
                &unlinked,
            ),
            Request::post(
                &format!("/?wpf_action=update&access_key={encoded}"),
                &unlinked,
            ),
            Request::post(
                &format!("{}&{encoded}={encoded}", target("update")),
                &unlinked,
            ),
            Request::get(&format!(
                "{}&contact_id={encoded}&email={encoded}",
                target("update")
            )),
            Request::post(&target("update"), &unlinked).header("Host", payload),
            Request::get(&format!(
                "{}&contact_id={SUE}&role={encoded}",
                target("update")
            )),
        ];
        for request in requests {
            let answer = stage.program.run(&request);
            assert!([200, 400, 403].contains(&answer.status), "{answer}");
            assert_eq!(stage.difference(), "", "{answer}");
        }
    }
}

#[test]
fn payloads_from_bento_are_stored_as_text() {
    for payload in PAYLOADS {
        let hostile = |world: &mut World| {
            world.tags.push(support::bento::Tag {
                id: json!("666"),
                name: json!(payload),
                discarded_at: Value::Null,
            });
            world.subscribers[0].cached_tag_ids = json!(["666"]);
            world.subscribers[0].fields =
                json!({"company": payload, "interests": [payload], "phone": payload});
        };
        let stage = stage_with(&json!({}), hostile);
        let answer = stage.program.run(&Request::post(
            &target("update"),
            &json!({"id": SUE}).to_string(),
        ));
        assert_eq!(answer.result(), "applied", "{answer}");
        let mut wanted = stage.before.clone();
        let stored = stored_text(payload);
        let rows = wanted.meta.get_mut(&3).unwrap();
        for (key, value) in rows.iter_mut() {
            match key.as_str() {
                "company" => *value = Some(stored.clone()),
                "bento_tags" => *value = Some(php::serialize(&json!([payload.trim()]))),
                _ => {}
            }
        }
        rows.push(("phone_number".to_string(), Some(stored)));
        rows.push((
            "interests".to_string(),
            Some(php::serialize(&json!([payload]))),
        ));
        let actual = State::read(&stage.site.database);
        // The list of tags grew by the new name; that is all that may differ there.
        for option in ["wpf_options", "wpf_available_tags"] {
            let (value, _) = &actual.options[option];
            assert!(
                value.contains(&php::serialize(&json!(payload.trim()))),
                "{option}: {value}"
            );
            wanted
                .options
                .insert(option.to_string(), actual.options[option].clone());
        }
        assert_eq!(wanted.difference(&actual), "", "{answer}");
    }
}

/// WordPress serializes a text once more when it looks like a serialized value, so that it comes back as text.
fn stored_text(text: &str) -> String {
    let looks_serialized = ["O:", "a:", "s:", "b:"]
        .iter()
        .any(|start| text.starts_with(start));
    if looks_serialized {
        php::serialize(&json!(text))
    } else {
        text.to_string()
    }
}

#[test]
fn an_id_or_address_stays_one_parameter() {
    let names = [
        "x&email=admin@example.test",
        "x&site_uuid=evil",
        "x#fragment",
        "x?site_uuid=evil",
        "../../batch/events",
        "x%26email=admin@example.test",
        "x;email=admin@example.test",
        "x y+z",
        "zoë",
        "@evil.test/",
    ];
    for name in names {
        check_parameter("uuid", &json!({"id": name}), name);
    }
    let addresses = [
        "a&uuid=1@example.test",
        "a&site_uuid=evil@example.test",
        "a+b@example.test",
        "a%26uuid=1@example.test",
        "a#b?c/d@example.test",
    ];
    let mut asked = 0;
    for address in addresses {
        asked += check_parameter("email", &json!({"email": address}), address);
    }
    assert_eq!(
        asked,
        addresses.len(),
        "all of these are e-mail addresses to WordPress"
    );
}

/// How often Bento was asked for this person.
fn check_parameter(parameter: &str, body: &Value, sent: &str) -> usize {
    let stage = stage();
    let answer = stage
        .program
        .run(&Request::post(&target("add"), &body.to_string()));
    assert!([200, 400].contains(&answer.status), "{answer}");
    let calls = stage.bento.calls();
    for call in &calls {
        assert_eq!(
            (call.method.as_str(), call.path.as_str()),
            ("GET", "/api/v1/fetch/subscribers"),
            "{answer}"
        );
        let names: Vec<&str> = call.query.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), 2, "{names:?}\n{answer}");
        assert_eq!(
            call.parameters("site_uuid"),
            [Base::load("").account().site_uuid.as_str()],
            "{answer}"
        );
        let value = call.parameters(parameter);
        assert!(
            value.len() == 1 && value[0].eq_ignore_ascii_case(sent),
            "{value:?} for {sent}\n{answer}"
        );
    }
    assert_eq!(stage.difference(), "", "{answer}");
    calls.len()
}

#[test]
fn a_refused_key_costs_one_statement_and_says_nothing() {
    let body = json!({"id": SUE, "access_key": KEY}).to_string();
    let refused = [
        Request::post("/?wpf_action=update_tags", &body),
        Request::post("/?wpf_action=update_tags&access_key=", &body),
        Request::post("/?wpf_action=update_tags&access_key=0", &body),
        Request::post("/?wpf_action=update_tags&access_key=a1b2c3d", &body),
        Request::post("/?wpf_action=update_tags&access_key=a1b2c3d4x", &body),
        Request::post("/?wpf_action=update_tags&access_key=A1B2C3D4", &body),
        Request::post("/?wpf_action=update_tags&access_key[]=a1b2c3d4", &body),
        Request::post(
            "/?wpf_action=update_tags&access_key=a1b2c3d4&access_key=wrong",
            &body,
        ),
        Request::post("/?wpf_action=test&access_key=wrong", ""),
        Request::post("/?wpf_action=nonsense&access_key=wrong", "not JSON"),
        Request::post("/?wpf_action=update_tags", &body).header("X-Bento-Webhooks-Key", "wrong"),
        Request::post("/?wpf_action=update_tags", &body).header("Authorization", "Bearer wrong"),
        Request::post("/?wpf_action=update_tags", &body)
            .header("Authorization", "Basic YTFiMmMzZDQ6"),
    ];
    let stage = stage();
    stage.site.database.record_statements();
    let mut texts = Vec::new();
    for request in &refused {
        let seen = stage.site.database.statements().len();
        let answer = stage.program.run(request);
        assert_eq!(answer.status, 403, "{answer}");
        let statements = stage.site.database.statements().split_off(seen);
        let connections = statements
            .iter()
            .filter(|statement| statement.command == "Connect")
            .count();
        let packets = statements
            .iter()
            .filter(|statement| statement.is_round_trip())
            .count();
        assert_eq!((connections, packets), (1, 1), "{statements:?}\n{answer}");
        assert!(!statements.iter().any(Statement::writes), "{statements:?}");
        texts.push(answer.body.clone());
        stage.assert_idle(&answer);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "one fixed text: {texts:?}");
    assert!(state::log(&stage.site.database).is_empty());
}

#[test]
fn the_key_is_taken_in_every_documented_form() {
    let body = json!({"id": SUE}).to_string();
    let form = "application/x-www-form-urlencoded";
    let accepted = [
        Request::post("/?wpf_action=update_tags&access_key=a1b2c3d4", &body),
        Request::post(
            "/?access_key=%20a1b2c3d4%20&wpf_action=%20UPDATE_Tags",
            &body,
        ),
        Request::post(
            "/?wpf_action=update_tags&access_key=wrong&access_key=a1b2c3d4",
            &body,
        ),
        Request::post("/?wpf_action=update_tags", &body).header("X-Bento-Webhooks-Key", KEY),
        Request::post("/?wpf_action=update_tags", &body).header("Authorization", "Bearer a1b2c3d4"),
        Request::post(
            "/",
            &format!("wpf_action=update_tags&access_key={KEY}&contact_id={SUE}"),
        )
        .header("Content-Type", form),
        Request::get(&format!(
            "/?wpf_action=update_tags&access_key={KEY}&contact_id={SUE}"
        )),
        Request::post(
            "/?wpf_action=update_tags&access_key=a1b2c3d4",
            &format!("\u{feff}{body}"),
        ),
    ];
    for request in accepted {
        let stage = stage();
        let answer = stage.program.run(&request);
        assert_eq!(answer.result(), "applied", "{answer}");
    }
}

#[test]
fn only_get_post_and_head_are_answered() {
    let stage = stage();
    for method in [
        "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get;", "",
    ] {
        let mut request = sue_tags();
        request.method = method.to_string();
        let answer = stage.program.run(&request);
        assert_eq!(answer.status, 405, "{method}\n{answer}");
        let allowed = answer.header("Allow").unwrap_or_default();
        assert!(
            ["GET", "HEAD", "POST"]
                .iter()
                .all(|method| allowed.contains(method)),
            "{answer}"
        );
        stage.assert_idle(&answer);
    }
}

/// Answers of Bento that must never take a tag away: the webhook is kept, and done once Bento is well.
#[test]
fn no_doubtful_answer_of_bento_changes_a_row() {
    let page = "<!DOCTYPE html><title>Just a moment...</title>";
    let faults = [
        Fault::too_many(None),
        Fault::too_many(Some(7)),
        Fault::status(500, r#"{"status":500,"error":"Internal Server Error"}"#),
        Fault::html(500, page),
        Fault::html(502, page),
        Fault::html(403, page),
        Fault::html(404, page),
        Fault::status(401, r#"{"error":"Unauthorized"}"#),
        Fault::status(201, "{}"),
        Fault::status(204, ""),
        Fault::html(200, page),
        Fault::status(200, ""),
        Fault::status(200, "null"),
        Fault::status(200, "[]"),
        Fault::status(200, r#"{"data":[]}"#),
        Fault::status(200, r#"{"data":{"attributes":{}}}"#),
        Fault::status(
            200,
            r#"{"data":{"id":"1","type":"visitors","attributes":{"uuid":"c0ffee00-0000-4000-8000-000000000003"}}}"#,
        ),
        Fault::Truncated,
        Fault::Malformed,
        Fault::Close,
        Fault::SuccessFalse("Not allowed".to_string()),
        Fault::Hang(Duration::from_secs(20)),
        Fault::Drip(Duration::from_millis(100)),
        Fault::AnotherPerson,
        Fault::Huge(MEBIBYTE),
        Fault::Redirect("http://127.0.0.1:1/".to_string()),
    ];
    for action in ["update_tags", "update", "add"] {
        let undisturbed = stage();
        let answer = undisturbed.program.run(&webhook(action, SUE));
        assert_eq!(answer.result(), "applied", "{answer}");
        let wanted = undisturbed.now();
        // A few at a time: what the machine cannot do at once would look slow.
        for faults in faults.chunks(6) {
            std::thread::scope(|scope| {
                for fault in faults {
                    let wanted = &wanted;
                    scope.spawn(move || {
                        let stage = no_row_changes_after(fault, action);
                        no_row_changes_to_the_last_attempt(&stage, fault);
                        stage.bento.world().scripts.clear();
                        assert!(stage.program.command(&["retry", "--all"]).status.success());
                        stage.settle();
                        let difference = wanted.difference(&stage.now());
                        assert_eq!(difference, "", "{action} after {fault:?}");
                    });
                }
            });
        }
    }
}

fn no_row_changes_after(fault: &Fault, action: &str) -> Stage {
    let script = Script::always(fault.clone());
    let stage = stage_with(&json!({}), |world| world.scripts.push(script));
    let answer = stage.program.run(&webhook(action, SUE));
    assert_eq!(stage.difference(), "", "{fault:?}\n{answer}");
    assert_eq!(answer.status, 200, "{fault:?}\n{answer}");
    assert_eq!(answer.result(), "queued", "{fault:?}\n{answer}");
    assert!(
        answer.elapsed < Duration::from_secs(5),
        "{fault:?}: {:?}",
        answer.elapsed
    );
    assert!(
        stage.bento.calls().len() <= 1,
        "{fault:?}: {:?}",
        stage.bento.calls()
    );
    stage
}

/// The last attempt is the twelfth; a 429 is none, however often it comes.
fn no_row_changes_to_the_last_attempt(stage: &Stage, fault: &Fault) {
    stage
        .site
        .sql(&["UPDATE wp_bento_webhooks_inbox SET attempts = 11"]);
    inbox::let_an_hour_pass(&stage.site.database);
    stage.program.work();
    let row = "SELECT CONCAT_WS(' ', attempts, buried > 0) FROM wp_bento_webhooks_inbox";
    let wanted = match fault {
        Fault::Status { status: 429, .. } => "11 0",
        _ => "12 1",
    };
    assert_eq!(stage.site.column(row), [wanted], "{fault:?}");
    assert_eq!(stage.difference(), "", "{fault:?}");
}

#[test]
fn a_broken_database_gives_503_and_a_line_without_secrets() {
    let settings = [
        ("DB_PASSWORD", "wr0ng-planted"),
        ("DB_NAME", "no_such_database"),
        ("DB_HOST", "localhost:/nowhere/mysqld.sock"),
    ];
    for (name, value) in settings {
        let mut stage = stage();
        stage.site.define(name, value);
        answers_503(&stage, value);
    }
    for table in ["wp_users", "wp_usermeta", "wp_options"] {
        let stage = stage();
        stage
            .site
            .database
            .root()
            .query_drop(format!("DROP TABLE {table}"))
            .unwrap();
        answers_503(&stage, table);
    }
}

/// The caller learns nothing, the error log gets one line, and nobody sees a secret.
fn answers_503(stage: &Stage, detail: &str) {
    let answer = stage.program.run(&sue_tags());
    assert_eq!(answer.status, 503, "{detail}\n{answer}");
    assert!(answer.header("Retry-After").is_some(), "{detail}\n{answer}");
    assert_eq!(answer.stderr.lines().count(), 1, "{detail}\n{answer}");
    for secret in ["wr0ng-planted", PASSWORD, KEY] {
        assert!(!answer.stderr.contains(secret), "{secret}\n{answer}");
        assert!(!answer.body.contains(secret), "{secret}\n{answer}");
    }
    for told in [detail, "mysql", "Access denied", "1045"] {
        assert!(
            !answer.body.contains(told),
            "the caller learns {told}\n{answer}"
        );
    }
}

/// Secrets are planted everywhere, then every output of every kind of run is searched.
#[test]
fn no_secret_is_ever_shown() {
    const PLANTED_KEY: &str = "pl4nted-access-key";
    const PLANTED_BENTO: &str = "sk_pl4nted_secret";
    const PLANTED_PASSWORD: &str = "pl4nted-user-passw0rd";
    let given = json!({"changed_settings": {
        "access_key": [KEY, PLANTED_KEY],
        "bento_api_key": ["", format!("pk_planted:{PLANTED_BENTO}")],
        "return_password_field": ["", "generated_password"],
        "contact_fields.user_pass": {"active": "1", "type": "text", "crm_field": "password"},
    }});
    let planted = |world: &mut World| {
        world.account.publishable_key = "pk_planted".to_string();
        world.account.secret_key = PLANTED_BENTO.to_string();
        world.subscribers[0].fields = json!({"password": PLANTED_PASSWORD});
    };
    let stage = stage_with(&given, planted);
    let url = |action: &str| format!("/?wpf_action={action}&access_key={PLANTED_KEY}");
    let sue = json!({"id": SUE}).to_string();
    let mut answers = vec![
        stage.program.run(&Request::post(&url("test"), &sue)),
        stage.program.run(&Request::post(&url("update"), &sue)),
        stage.program.run(&Request::post(
            &url("add"),
            &json!({"id": NORA}).to_string(),
        )),
        stage.program.run(&Request::post(&url("nonsense"), &sue)),
        stage
            .program
            .run(&Request::post(&url("update"), "not JSON")),
        stage
            .program
            .run(&Request::post(&url("update"), &sue).header("Accept", "text/html")),
        stage
            .program
            .run(&Request::post(&format!("{}-wrong", url("update")), &sue)),
    ];
    assert_eq!(answers[1].result(), "applied", "{}", answers[1]);
    assert_eq!(answers[2].result(), "applied", "{}", answers[2]);
    let posted = stage
        .bento
        .calls()
        .into_iter()
        .find(|call| call.method == "POST")
        .expect("the password goes back");
    let posted: Value = serde_json::from_str(&posted.body).unwrap();
    let commands = posted["command"].as_array().unwrap();
    let generated = commands
        .iter()
        .find(|command| command["query"]["key"] == "generated_password")
        .unwrap();
    let generated = generated["query"]["value"].as_str().unwrap().to_string();
    assert_eq!(generated.len(), 12, "as WordPress makes them");
    for fault in [
        Fault::status(401, PLANTED_BENTO),
        Fault::html(500, PLANTED_BENTO),
        Fault::SuccessFalse(PLANTED_BENTO.to_string()),
    ] {
        stage.bento.world().scripts = vec![Script::always(fault)];
        answers.push(stage.program.run(&Request::post(&url("update"), &sue)));
    }
    let log = state::log(&stage.site.database);
    let state = State::read(&stage.site.database);
    for secret in [
        PLANTED_KEY,
        PLANTED_BENTO,
        PLANTED_PASSWORD,
        PASSWORD,
        &generated,
    ] {
        for answer in &answers {
            assert!(
                !answer.body.contains(secret),
                "{secret} in the answer\n{answer}"
            );
            assert!(
                !answer.stderr.contains(secret),
                "{secret} in the error log\n{answer}"
            );
            assert!(
                !answer
                    .headers
                    .iter()
                    .any(|(_, value)| value.contains(secret)),
                "{secret} in a header\n{answer}"
            );
        }
        for row in &log {
            assert!(
                !row.message.contains(secret) && !row.context.contains(secret),
                "{secret} in {row:?}"
            );
        }
        let in_meta = state
            .meta
            .values()
            .flatten()
            .any(|(_, value)| value.as_ref().is_some_and(|value| value.contains(secret)));
        assert!(!in_meta, "{secret} in usermeta");
    }
}
