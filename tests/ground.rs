//! The test ground itself: a stand-in that is too kind, or a database that is not there, would prove nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise and says so"
)]

mod support;

use std::time::Duration;

use mysql::prelude::Queryable as _;
use serde_json::{Value, json};
use support::bento::{Account, Bento, Fault, Script, Subscriber, Unknown, World};
use support::database::{Network, Server};
use support::proxy::{Mishap, Plan, Proxy};
use support::recording::Base;
use support::site::Site;
use support::state::State;

const MERGED: &str = "11111111-0000-4000-8000-000000000001";
const OLDEST: &str = "00000000-0000-4000-8000-000000000001";

fn world() -> World {
    let key = |text: &str| text.to_string();
    let account = Account {
        publishable_key: key("pk"),
        secret_key: key("sk"),
        site_uuid: key("site"),
    };
    let mut world = World::new(account, &[("11", "Customer")]);
    let mut person = Subscriber::new(OLDEST, "Ada@example.test", &["11"]);
    person.merged_uuids.push(MERGED.to_string());
    world.subscribers.push(person);
    world
}

/// Status and body of a call; 0 when no whole answer came.
fn call(bento: &Bento, path: &str, body: Option<&Value>) -> (u16, String) {
    send(bento, path, body, "test", "Basic cGs6c2s=")
}

fn send(bento: &Bento, path: &str, body: Option<&Value>, agent: &str, key: &str) -> (u16, String) {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(agent)
        .timeout_global(Some(Duration::from_secs(2)));
    let client = ureq::Agent::from(config.build());
    let url = format!("{}{path}", bento.api_url());
    let answer = match body {
        None => client.get(&url).header("Authorization", key).call(),
        Some(body) => {
            let request = client.post(&url).header("Authorization", key);
            request
                .header("Content-Type", "application/json")
                .send(body.to_string())
        }
    };
    let Ok(mut answer) = answer else {
        return (0, String::new());
    };
    match answer.body_mut().read_to_string() {
        Ok(body) => (answer.status().as_u16(), body),
        Err(_) => (0, String::new()),
    }
}

const ADA: &str = "/fetch/subscribers?site_uuid=site&email=ada@example.test";

#[test]
fn bento_answers_only_a_named_caller_with_key_and_site() {
    let bento = Bento::start(world());
    let basic = "Basic cGs6c2s=";
    assert_eq!(send(&bento, ADA, None, "test", basic).0, 200);
    let (status, page) = send(&bento, ADA, None, "", basic);
    assert!(
        status == 403 && page.contains("Cloudflare"),
        "{status} {page}"
    );
    let unauthorized = (401, r#"{"error":"Unauthorized"}"#.to_string());
    assert_eq!(send(&bento, ADA, None, "test", "Basic eDp5"), unauthorized);
    assert_eq!(
        call(
            &bento,
            "/fetch/subscribers?site_uuid=other&email=ada@example.test",
            None
        ),
        unauthorized
    );
    assert_eq!(
        call(&bento, "/fetch/subscribers/?site_uuid=site", None).0,
        404,
        "a trailing slash"
    );
    assert_eq!(bento.calls().len(), 5);
}

#[test]
fn a_merged_visitor_answers_with_the_oldest_uuid() {
    let bento = Bento::start(world());
    let (_, body) = call(
        &bento,
        &format!("/fetch/subscribers?site_uuid=site&uuid={MERGED}"),
        None,
    );
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["data"]["attributes"]["uuid"], OLDEST);
}

#[test]
fn each_unknown_form_looks_as_documented() {
    let bento = Bento::start(world());
    let forms = [
        (Unknown::DataNull, 200, r#"{"data":null}"#),
        (Unknown::EmptyObject, 200, "{}"),
        (Unknown::NotFoundJson, 404, r#"{"error":"Not Found"}"#),
        (Unknown::NotFoundHtml, 404, "<h1>Not Found</h1>"),
        (
            Unknown::ServerError,
            500,
            r#"{"status":500,"error":"Internal Server Error"}"#,
        ),
    ];
    for (form, status, body) in forms {
        bento.world().unknown = form;
        let answer = call(
            &bento,
            "/fetch/subscribers?site_uuid=site&uuid=nobody",
            None,
        );
        assert_eq!(answer, (status, body.to_string()), "{form:?}");
    }
}

#[test]
fn commands_change_the_subscriber() {
    let bento = Bento::start(world());
    let command =
        |name: &str, query: Value| json!({"command": name, "uuid": OLDEST, "query": query});
    let body = json!({"command": [
        command("add_field", json!({"key": "username", "value": "ada"})),
        command("add_tag", json!("New")),
        command("remove_tag", json!("Customer")),
        command("nonsense", json!(null)),
    ]});
    let answer = call(&bento, "/fetch/commands?site_uuid=site", Some(&body));
    assert_eq!(answer, (200, r#"{"results":3,"failed":1}"#.to_string()));
    let world = bento.world();
    assert_eq!(world.subscribers[0].fields, json!({"username": "ada"}));
    assert_eq!(
        world.subscribers[0].cached_tag_ids,
        json!([world.tags[1].id])
    );
}

#[test]
fn faults_hit_the_calls_they_are_meant_for() {
    let bento = Bento::start(world());
    bento.world().scripts = vec![Script {
        fault: Fault::too_many(Some(7)),
        skip: 1,
        times: 1,
    }];
    let statuses: Vec<u16> = (0..3).map(|_| call(&bento, ADA, None).0).collect();
    assert_eq!(statuses, [200, 429, 200]);
    for fault in [
        Fault::Truncated,
        Fault::Close,
        Fault::Hang(Duration::from_secs(9)),
        Fault::Drip(Duration::from_millis(200)),
    ] {
        bento.world().scripts = vec![Script::always(fault.clone())];
        assert_eq!(call(&bento, ADA, None).0, 0, "{fault:?}");
    }
    bento.world().scripts = vec![Script::always(Fault::Redirect(
        "http://127.0.0.1:1/".to_string(),
    ))];
    assert_eq!(call(&bento, ADA, None).0, 302);
    bento.world().scripts = vec![Script::always(Fault::Huge(1 << 20))];
    assert!(call(&bento, ADA, None).1.len() > 1 << 20);
}

#[test]
fn a_site_holds_the_rows_it_was_given() {
    let base = Base::load("wp61");
    let given = json!({"changed_settings": {
        "access_key": ["a1b2c3d4", null],
        "contact_fields.user_email": null,
        "wp_options.blogname": "Zoë",
    }});
    let site = Site::new(&base, &given);
    let state = State::read(&site.database);
    assert_eq!(
        state.users.len(),
        base.json["users"].as_array().unwrap().len()
    );
    assert_eq!(
        state.options["blogname"],
        ("Zoë".to_string(), "yes".to_string())
    );
    assert_eq!(
        state.options["user_count"],
        ("6".to_string(), "no".to_string())
    );
    let settings = &state.options["wpf_options"].0;
    assert!(
        !settings.contains("access_key\"") && !settings.contains("s:10:\"user_email\""),
        "{settings}"
    );
    assert!(
        std::fs::read_to_string(site.folder().join("wp-includes/version.php"))
            .unwrap()
            .contains("'6.1.9'")
    );
    assert_eq!(state.difference(&state), "");
}

#[test]
fn a_server_is_reached_by_socket_port_and_tls_and_leaves_nothing() {
    let server = Server::start(Network::Tls);
    let database = server.database();
    let options = mysql::OptsBuilder::new()
        .ip_or_hostname(Some("127.0.0.1"))
        .tcp_port(server.port().unwrap())
        .user(Some(database.name()))
        .pass(Some(support::database::PASSWORD))
        .prefer_socket(false)
        .ssl_opts(mysql::SslOpts::default().with_root_cert_path(Some(server.authority())));
    drop(mysql::Conn::new(options).unwrap());
    let socket = server.socket();
    assert!(socket.exists());
    drop(database);
    drop(server);
    assert!(!socket.parent().unwrap().exists(), "the folder is gone");
}

/// Three statements in one packet, the second of which meets a mishap within a transaction that has written one row.
#[test]
fn a_proxy_lets_single_statements_of_a_packet_fail() {
    let server = Server::shared();
    let database = server.database();
    let proxy = Proxy::start(&server.new_folder(), &server.socket());
    database
        .root()
        .query_drop("CREATE TABLE n (n INT) ENGINE=InnoDB")
        .unwrap();
    let options = mysql::OptsBuilder::new()
        .socket(proxy.db_host().strip_prefix("localhost:"))
        .user(Some("root"))
        .db_name(Some(database.name()))
        .prefer_socket(false);
    drop(mysql::Conn::new(options.clone()).unwrap());
    let of_the_login = proxy.statements().len();
    for (mishap, codes, rows) in [
        (Mishap::Deadlock, vec![None, Some(1213)], "0"),
        (Mishap::LockWait, vec![None, Some(1205)], "1"),
        (Mishap::Loss, vec![Some(0)], "0"),
    ] {
        proxy.begin(Plan::Fail(of_the_login + 4, mishap));
        let mut conn = mysql::Conn::new(options.clone()).unwrap();
        conn.query_drop("BEGIN").unwrap();
        conn.query_drop("INSERT INTO n VALUES (1)").unwrap();
        let packet = "SELECT 'a;b' FROM n; INSERT INTO n VALUES (2); INSERT INTO n VALUES (3)";
        let mut result = conn.query_iter(packet).unwrap();
        let mut found = Vec::new();
        while let Some(mut set) = result.iter() {
            let error = set.find_map(Result::err);
            found.push(error.map(|error| match error {
                mysql::Error::MySqlError(error) => error.code,
                _ => 0,
            }));
        }
        drop(result);
        assert_eq!(found, codes, "{mishap:?}");
        // A connection that is gone has nothing to commit.
        drop(conn.query_drop("COMMIT"));
        proxy.hang_up();
        let count: Option<String> = database
            .root()
            .query_first("SELECT COUNT(*) FROM n")
            .unwrap();
        assert_eq!(count.as_deref(), Some(rows), "{mishap:?}");
        database.root().query_drop("DELETE FROM n").unwrap();
    }
}
