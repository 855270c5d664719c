//! A network of sites: which one a webhook is for, whose tables and keys are written, and who is protected.

use super::{Answer, KEY, NORA, Request, SUE, Stage, Value, json, stage};
use crate::support::bento::{Fault, Script};

/// Key of the second site, as long as that of the first, so that the counts in the settings stay right.
const SECOND_KEY: &str = "b2b2b2b2";
/// Key of the third site.
const THIRD_KEY: &str = "c3c3c3c3";

/// What makes a network of a single site: sites 2 in a directory, 3 on a host of its own.
const NETWORK: [&str; 11] = [
    "ALTER TABLE wp_users ADD spam TINYINT NOT NULL DEFAULT 0, ADD deleted TINYINT NOT NULL DEFAULT 0",
    "CREATE TABLE wp_blogs (blog_id BIGINT PRIMARY KEY, site_id BIGINT NOT NULL DEFAULT 1, domain VARCHAR(200), path VARCHAR(100))",
    "INSERT INTO wp_blogs VALUES (1, 1, 'shop.example.test', '/'), (2, 1, 'shop.example.test', '/second/'), \
     (3, 1, 'www.third.example.test', '/')",
    "CREATE TABLE wp_sitemeta (meta_id BIGINT AUTO_INCREMENT PRIMARY KEY, site_id BIGINT, meta_key VARCHAR(255), meta_value LONGTEXT)",
    r#"INSERT INTO wp_sitemeta (site_id, meta_key, meta_value) VALUES (1, 'site_admins', 'a:1:{i:0;s:3:"sue";}'), (1, 'user_count', '6'), (2, 'user_count', '99')"#,
    "CREATE TABLE wp_2_options AS SELECT * FROM wp_options",
    "CREATE TABLE wp_3_options AS SELECT * FROM wp_options",
    "UPDATE wp_2_options SET option_name = 'wp_2_user_roles' WHERE option_name = 'wp_user_roles'",
    "UPDATE wp_3_options SET option_name = 'wp_3_user_roles' WHERE option_name = 'wp_user_roles'",
    "CREATE TABLE wp_2_wpf_logging LIKE wp_wpf_logging",
    "DELETE FROM wp_options WHERE option_name = 'user_count'",
];

fn network() -> Stage {
    let mut stage = stage();
    stage.site.sql(&NETWORK);
    for (site, key) in [(2, SECOND_KEY), (3, THIRD_KEY)] {
        stage.site.sql(&[&format!(
            "UPDATE wp_{site}_options SET option_value = REPLACE(option_value, '{KEY}', '{key}')"
        )]);
    }
    stage.site.define_php("MULTISITE", "true");
    stage.site.define_php("SUBDOMAIN_INSTALL", "false");
    stage
        .site
        .define("DOMAIN_CURRENT_SITE", "shop.example.test");
    stage.site.define("PATH_CURRENT_SITE", "/");
    stage.site.define_php("SITE_ID_CURRENT_SITE", "1");
    stage.site.define_php("BLOG_ID_CURRENT_SITE", "1");
    stage
}

fn ask(stage: &Stage, address: &str, action: &str, key: &str, person: &str) -> Answer {
    let (host, path) = address.split_at(address.find('/').unwrap());
    let target = format!("{path}?wpf_action={action}&access_key={key}");
    let request = Request::post(&target, &json!({"id": person}).to_string());
    stage.program.run(&request.header("Host", host))
}

/// The keys of the sites differ, so that the one which is right tells which site was meant.
#[test]
fn the_address_tells_the_site() {
    let stage = network();
    stage.site.sql(&[
        "INSERT INTO wp_blogs VALUES (4, 1, 'third.example.test', '/none/'), (5, 1, 'www.shop.example.test', '/own/')",
    ]);
    let table = [
        ("shop.example.test/", Some(KEY)),
        ("SHOP.example.test:80/", Some(KEY)),
        ("shop.example.test:443/index.php", Some(KEY)),
        ("www.shop.example.test/", Some(KEY)),
        ("www.shop.example.test/second/", Some(SECOND_KEY)),
        ("shop.example.test/second/", Some(SECOND_KEY)),
        ("shop.example.test/second", Some(SECOND_KEY)),
        ("shop.example.test/second/wp-json/x/", Some(SECOND_KEY)),
        ("shop.example.test/secondary/", Some(KEY)),
        ("www.third.example.test/", Some(THIRD_KEY)),
        ("other.example.test/", None),
        ("shop.example.test:8080/", None),
    ];
    for (address, key) in table {
        for tried in [KEY, SECOND_KEY, THIRD_KEY] {
            let answer = ask(&stage, address, "test", tried, SUE);
            let status = match key {
                None => 503,
                Some(key) if key == tried => 200,
                Some(_) => 403,
            };
            assert_eq!(answer.status, status, "{address} {tried}\n{answer}");
        }
    }
    let answer = ask(&stage, "other.example.test/", "test", KEY, SUE);
    assert!(
        answer
            .stderr
            .contains("no site of the network has this host name and path"),
        "{answer}"
    );
}

/// Where a network has a site with `www.` and one without, each is itself.
#[test]
fn a_site_with_www_is_not_the_one_without() {
    let stage = network();
    stage
        .site
        .sql(&["UPDATE wp_blogs SET domain = 'www.shop.example.test' WHERE blog_id = 3"]);
    assert_eq!(
        ask(&stage, "shop.example.test/", "test", KEY, SUE).status,
        200
    );
    assert_eq!(
        ask(&stage, "www.shop.example.test/", "test", THIRD_KEY, SUE).status,
        200
    );
}

#[test]
fn a_new_user_belongs_to_the_site_that_was_asked() {
    let stage = network();
    stage.bento.world().subscribers[1].email = json!("Nora@Example.test");
    let before = stage.now();
    let options = stage
        .site
        .column("SELECT option_value FROM wp_2_options WHERE option_name = 'user_count'");
    let answer = ask(&stage, "shop.example.test/second/", "add", SECOND_KEY, NORA);
    assert_eq!(answer.result(), "applied", "{answer}");
    let state = stage.now();
    let (id, nora) = state.users.last_key_value().unwrap();
    assert_eq!(
        nora["user_login"], "nora@example.test",
        "logins are lower case"
    );
    let keys: Vec<&str> = state.meta[id].iter().map(|(key, _)| key.as_str()).collect();
    for key in [
        "wp_2_capabilities",
        "wp_2_user_level",
        "wp_2_default_password_nag",
    ] {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
    assert!(!keys.contains(&"wp_capabilities"), "{keys:?}");
    assert_eq!(
        before.options, state.options,
        "the options of the main site"
    );
    let second = stage
        .site
        .column("SELECT option_value FROM wp_2_options WHERE option_name = 'user_count'");
    assert_eq!(options, second, "a network counts in sitemeta");
    let counts =
        "SELECT meta_value FROM wp_sitemeta WHERE meta_key = 'user_count' ORDER BY site_id";
    assert_eq!(stage.site.column(counts), ["7", "99"]);
    assert_ne!(
        stage.site.column("SELECT COUNT(*) FROM wp_2_wpf_logging"),
        ["0"]
    );
    assert_eq!(
        stage.site.column("SELECT COUNT(*) FROM wp_wpf_logging"),
        ["0"]
    );
    assert_eq!(
        stage.site.column("SHOW TABLES LIKE '%bento%'"),
        [
            "wp_2_bento_webhooks_inbox",
            "wp_2_bento_webhooks_state",
            "wp_bento_webhooks_lock"
        ]
    );

    let answer = ask(&stage, "shop.example.test/", "add", KEY, NORA);
    assert_eq!(
        answer.result(),
        "applied",
        "put onto the main site\n{answer}"
    );
    assert!(stage.meta(*id, "wp_capabilities").is_some());
    assert_eq!(stage.site.column(counts), ["7", "99"]);
}

#[test]
fn many_at_once_on_two_sites_are_counted_once() {
    for statement in [
        "DO 0",
        "DELETE FROM wp_sitemeta WHERE meta_key = 'user_count' AND site_id = 1",
    ] {
        let stage = network();
        let mut people = Vec::new();
        for n in 0..24 {
            let id = format!("{NORA}-{n}");
            let email = format!("nora{n}@example.test");
            let person = crate::support::bento::Subscriber::new(&id, &email, &["11"]);
            stage.bento.world().subscribers.push(person);
            people.push(id);
        }
        stage.with_all_locks();
        stage.site.sql(&[statement]);
        let requests: Vec<Request> = people
            .iter()
            .enumerate()
            .map(|(n, id)| {
                let (path, key) = [("/", KEY), ("/second/", SECOND_KEY)][n % 2];
                let target = format!("{path}?wpf_action=add&access_key={key}");
                Request::post(&target, &json!({"id": id}).to_string())
            })
            .collect();
        for answer in stage.run_at_once(&requests) {
            assert_eq!(answer.status, 200, "{answer}");
        }
        let counts =
            "SELECT meta_value FROM wp_sitemeta WHERE meta_key = 'user_count' AND site_id = 1";
        assert_eq!(stage.site.column(counts), ["30"], "{statement}");
        assert_eq!(stage.site.column("SELECT COUNT(*) FROM wp_users"), ["30"]);
    }
}

/// A super admin keeps the address, whichever list names him.
#[test]
fn super_admins_come_from_the_network_or_from_the_file() {
    let site = "shop.example.test/second/";
    let assert_address = |stage: &Stage, address: &str| {
        let answer = ask(stage, site, "update", SECOND_KEY, SUE);
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(stage.now().users[&3]["user_email"], address, "{answer}");
    };
    let mut stage = network();
    stage.bento.world().subscribers[0].email = json!("new@example.test");
    assert_address(&stage, "sue@example.test");
    stage.site.add_line("$super_admins = array( 'boss' );");
    assert_address(&stage, "new@example.test");
    stage.site.add_line("$super_admins = [ 'boss', 'sue' ];");
    stage.bento.world().subscribers[0].email = json!("newer@example.test");
    assert_address(&stage, "new@example.test");
}

#[test]
fn users_may_live_in_tables_of_another_name() {
    let mut stage = stage();
    stage.site.sql(&[
        "CREATE TABLE people LIKE wp_users",
        "CREATE TABLE peoplemeta LIKE wp_usermeta",
    ]);
    stage.site.sql(&[
        "INSERT INTO people SELECT * FROM wp_users",
        "INSERT INTO peoplemeta SELECT * FROM wp_usermeta",
    ]);
    stage.site.define("CUSTOM_USER_TABLE", "people");
    stage.site.define("CUSTOM_USER_META_TABLE", "peoplemeta");
    let before = stage.now();
    assert_eq!(stage.run("add", NORA).result(), "applied");
    assert_eq!(stage.run("update", SUE).result(), "applied");
    let after = stage.now();
    assert_eq!((&before.users, &before.meta), (&after.users, &after.meta));
    let found = stage
        .site
        .column("SELECT user_login FROM people WHERE user_email = 'nora@example.test'");
    assert_eq!(found, ["nora@example.test"]);
    let company = "SELECT meta_value FROM peoplemeta WHERE user_id = 3 AND meta_key = 'company'";
    assert_eq!(stage.site.column(company), ["Future Foundation"]);
    assert_eq!(after.options["user_count"].0, "7");
}

/// Each site has an inbox of its own, and counts its rows for itself.
#[test]
fn the_queue_of_each_site_is_its_own() {
    let stage = network();
    let broken = Script::always(Fault::status(500, "{}"));
    stage.bento.world().scripts.push(broken);
    for (path, key) in [("/", KEY), ("/second/", SECOND_KEY)] {
        let address = format!("shop.example.test{path}");
        let answer = ask(&stage, &address, "update_tags", key, SUE);
        assert_eq!(answer.result(), "queued", "{answer}");
    }
    let told = |arguments: &[&str]| {
        let output = stage.program.command(arguments);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (
            output.status.code().unwrap(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    let (code, shown) = told(&["queue"]);
    let has = |text: &str| shown.contains(text);
    assert!(code == 0 && has("Site 1\n") && has("Site 2\n"), "{shown}");
    let (_, shown) = told(&["queue", "--site", "2", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["sites"][0]["site"], 2, "{shown}");
    assert_eq!(shown["sites"][1], Value::Null, "{shown}");

    let both = "SELECT COUNT(*) FROM (SELECT id FROM wp_bento_webhooks_inbox UNION ALL SELECT id FROM wp_2_bento_webhooks_inbox) AS i WHERE id = 1";
    assert_eq!(stage.site.column(both), ["2"]);
    for command in ["retry", "drop"] {
        let (code, said) = told(&[command, "1"]);
        assert!(code == 1 && said.contains("name one with --site"), "{said}");
        assert_eq!(stage.site.column(both), ["2"]);
    }
    assert_eq!(told(&["drop", "1", "--site", "2"]).0, 0);
    assert_eq!(
        stage.site.column("SELECT id FROM wp_bento_webhooks_inbox"),
        ["1"]
    );
    assert_eq!(stage.site.column(both), ["1"]);
    assert_eq!(told(&["retry", "1", "--site", "1"]).0, 0);
    assert_eq!(
        told(&["retry", "--all"]),
        (0, "1 row to be tried again.\n".to_owned())
    );
    stage.bento.world().scripts.clear();
    stage.program.work();
    assert_eq!(stage.site.column(both), ["0"]);
}
