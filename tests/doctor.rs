//! `doctor` on real servers: a site that is whole, and sites that are broken in one way each, of which it names the break.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/golden.rs"]
mod golden;
#[path = "support/hosting/mod.rs"]
mod hosting;
#[path = "doctor/patient.rs"]
mod patient;
mod support;
#[path = "support/wordpress.rs"]
mod wordpress;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use certificate::Certificate;
use hosting::{Gateway, Hosting, Php};
use mysql::prelude::Queryable as _;
use patient::{Install, KEY, Patient};
use serde_json::json;
use support::bento::{Fault, Script};

/// Breaks a whole site and has doctor name the break.
fn breaks(name: &str, ids: &str, code: i32, harm: impl FnOnce(&mut Patient)) {
    if let Some(mut patient) = Patient::new() {
        harm(&mut patient);
        patient.is_broken_at(ids, code, name);
    }
}

/// The same with an Apache that was set up otherwise.
fn breaks_behind(name: &str, ids: &str, code: i32, change: impl FnOnce(&mut Hosting)) {
    let mut hosting = Hosting::everything(Php::Fpm, Gateway::Cgid);
    change(&mut hosting);
    if let Some(patient) = Patient::behind(hosting) {
        patient.is_broken_at(ids, code, name);
    }
}

fn sql(patient: &Patient, statement: &str) {
    patient.shop().sql(&[statement]);
}

#[test]
fn a_whole_site_is_eight_lines() {
    for gateway in [Gateway::Cgi, Gateway::Cgid, Gateway::Suexec] {
        let php = if gateway == Gateway::Cgi {
            Php::Module
        } else {
            Php::Fpm
        };
        if let Some(patient) = Patient::with(Hosting::everything(php, gateway), Install::Proven) {
            let said = patient.doctor(&[]);
            assert_eq!((said.code, said.text.lines().count()), (0, 8), "{said}");
            patient.says(&[], "whole");
            patient.says(&["-v"], "whole-verbose");
        }
    }
}

#[test]
fn a_broken_database_is_named() {
    breaks("password", "db.connect", 1, |patient| {
        let config = patient.shop().wordpress.join("wp-config.php");
        let text = fs::read_to_string(&config).unwrap();
        patient.write(
            &config,
            &text.replace(support::database::PASSWORD, "changed-in-the-panel"),
        );
    });
    breaks("rights", "db.rights", 1, |patient| {
        let user = patient.shop().database.name().to_owned();
        sql(
            patient,
            &format!("REVOKE ALL ON *.* FROM '{user}'@'localhost'"),
        );
        sql(
            patient,
            &format!("REVOKE ALL ON `{user}`.* FROM '{user}'@'localhost'"),
        );
        sql(
            patient,
            &format!("GRANT SELECT, INSERT, CREATE ON `{user}`.* TO '{user}'@'localhost'"),
        );
    });
    breaks("prefix", "db.tables", 1, |patient| {
        let config = patient.shop().wordpress.join("wp-config.php");
        let text = fs::read_to_string(&config).unwrap();
        patient.write(&config, &text.replace("'wp_'", "'shop_'"));
    });
    breaks("engine", "db.tables", 0, |patient| {
        sql(patient, "ALTER TABLE wp_usermeta ENGINE=MyISAM");
    });
    breaks("twins", "db.users", 0, |patient| {
        sql(
            patient,
            "INSERT INTO wp_users (user_login, user_email) VALUES ('a', 'A@example.test'), ('b', 'a@example.test'), ('c', 'c@example.test')",
        );
    });
    breaks("large", "db.index", 0, |patient| {
        sql(
            patient,
            "INSERT INTO wp_usermeta (user_id, meta_key, meta_value) SELECT seq, 'bento_contact_id', UUID() FROM seq_1001_to_7000",
        );
    });
}

#[test]
fn a_broken_configuration_is_named() {
    let Some(mut patient) = Patient::new() else {
        return;
    };
    patient.breaks("constant", "wp.constants", 0, |patient| {
        patient.define("BENTO_WEBHOOKS_ALLOWED_ROLES", "editor");
    });
    patient.breaks("value", "wp.config", 3, |patient| {
        patient.define("BENTO_WEBHOOKS_API_URL", "http://app.bentonow.com/api/v1");
    });
    patient.breaks("object-cache", "wp.cache", 0, |patient| {
        // WordPress itself runs without one that says nothing.
        let file = patient.shop().wordpress.join("wp-content/object-cache.php");
        patient.write(
            &file,
            "<?php\nrequire_once ABSPATH . WPINC . '/cache.php';\n",
        );
    });
    patient.breaks("key-weak", "wpf.settings", 0, |patient| {
        patient.settings(&[("access_key", json!("a1b2c3d4"))]);
    });
    patient.breaks("key-missing", "wpf.settings", 1, |patient| {
        patient.settings(&[("access_key", json!(""))]);
    });
    patient.breaks("other-crm", "wpf.settings", 1, |patient| {
        patient.settings(&[("crm", json!("mailchimp"))]);
    });
    patient.breaks("staging", "wpf.settings", 0, |patient| {
        patient.settings(&[("staging_mode", json!("1"))]);
    });
    patient.breaks("never-set-up", "wpf.settings", 1, |patient| {
        sql(
            patient,
            "DELETE FROM wp_options WHERE option_name = 'wpf_options'",
        );
    });
    patient.breaks("role-administrator", "wpf.role", 1, |patient| {
        patient
            .shop()
            .set_option("default_role", &json!("administrator"));
    });
    patient.breaks("role-editor", "wpf.role", 0, |patient| {
        patient.shop().set_option("default_role", &json!("editor"));
    });
    patient.breaks("role-unknown", "wpf.role", 1, |patient| {
        patient.shop().set_option("default_role", &json!("member"));
    });
    patient.breaks("no-email", "wpf.fields", 1, |patient| {
        let mut fields = patient.shop().wp_fusion()["contact_fields"].clone();
        fields.as_object_mut().unwrap().remove("user_email");
        patient.settings(&[("contact_fields", fields)]);
    });
    patient.breaks("tags", "wpf.tags", 0, |patient| {
        patient.bento.as_ref().unwrap().world().tags[1].name = json!("VIP");
        patient.settings(&[(
            "bento_tag_ids",
            json!({"11": "Customer", "12": "VIP", "13": "VIP", "14": "Lapsed", "15": "Course"}),
        )]);
    });
    patient.breaks("plugin-inactive", "wpf.plugin", 1, |patient| {
        patient.shop().set_option("active_plugins", &json!([]));
    });
    patient.breaks("plugin-missing", "wpf.plugin", 1, |patient| {
        fs::remove_dir_all(
            patient
                .shop()
                .wordpress
                .join("wp-content/plugins/wp-fusion"),
        )
        .unwrap();
    });
}

#[test]
fn a_broken_bento_is_named() {
    let Some(mut patient) = Patient::new() else {
        return;
    };
    patient.breaks("bento-gone", "bento.reach", 1, |patient| {
        patient.bento = None;
    });
    patient.breaks("bento-down", "bento.reach", 1, |patient| {
        let mut world = patient.bento.as_ref().unwrap().world();
        world
            .scripts
            .push(Script::always(Fault::status(502, "Bad Gateway")));
    });
    patient.breaks("bento-keys", "bento.auth", 1, |patient| {
        patient.settings(&[("bento_api_key", json!("pk_other:sk_other"))]);
    });
    patient.breaks("bento-field", "bento.lists", 0, |patient| {
        let mut fields = patient.shop().wp_fusion()["contact_fields"].clone();
        fields["company"]["crm_field"] = json!("compnay");
        patient.settings(&[("contact_fields", fields)]);
    });
}

#[test]
fn what_does_not_reach_the_program_is_named() {
    breaks_behind("htaccess-ignored", "web.get web.leak", 1, |hosting| {
        hosting.allow = "None";
        hosting.lines = "FallbackResource /index.php";
    });
    breaks_behind("cgi-off", "web.get", 1, |hosting| {
        hosting.gateway = Gateway::None;
    });
    breaks_behind("options-forbidden", "web.get", 1, |hosting| {
        hosting.allow = "FileInfo AuthConfig Limit";
    });
    // What a page cache that looks at the path alone hands out: an answer of ours, but an old one.
    let mut hosting = Hosting::everything(Php::Fpm, Gateway::Cgid);
    hosting.server_lines = "RewriteEngine On
RewriteCond %{QUERY_STRING} wpf_action=test
RewriteRule ^/$ /cached.json [END]
"
    .to_owned();
    if let Some(patient) = Patient::behind(hosting) {
        let old = json!({
            "success": true, "result": "tested", "program": "bento-webhooks/0.1.0", "nonce": "0123456789abcdef",
            "length": 0, "sha256": "", "key": "address",
        });
        patient.write(&patient.shop().public.join("cached.json"), &old.to_string());
        patient.is_broken_at("web.get", 1, "cache");
    }
    breaks_behind("firewall", "web.get", 1, |hosting| {
        hosting.server_lines = "RewriteEngine On
RewriteCond %{QUERY_STRING} access_key
RewriteRule ^ - [F]
ErrorDocument 403 \"<title>Access denied</title><p>This page was generated by Imunify360.\"
"
        .to_owned();
    });
    breaks_behind("redirect", "web.post", 1, |hosting| {
        hosting.server_lines = "RewriteEngine On
RewriteCond %{REQUEST_METHOD} POST
RewriteRule ^/$ https://www.shop.example/ [R=301,L]
"
        .to_owned();
    });
    breaks_behind("redirect-all", "web.post", 1, |hosting| {
        hosting.server_lines = "RewriteEngine On
RewriteCond %{QUERY_STRING} wpf_action
RewriteRule ^/(.*)$ https://www.shop.example/$1 [R=302,L]
"
        .to_owned();
    });
    breaks_behind("body-blocked", "web.post", 1, |hosting| {
        hosting.lines = "LimitRequestBody 1000";
    });
    breaks_behind("body-html", "web.html", 0, |hosting| {
        hosting.server_lines = "LoadModule unique_id_module /usr/lib/apache2/modules/mod_unique_id.so
LoadModule security2_module /usr/lib/apache2/modules/mod_security2.so
SecRuleEngine On
SecRequestBodyAccess On
SecTmpDir /tmp
SecDataDir /tmp
SecRule REQUEST_HEADERS:Content-Type \"^application/json\" \"id:1,phase:1,pass,nolog,ctl:forceRequestBodyVariable=On\"
SecRule REQUEST_BODY \"<script\" \"id:2,phase:2,deny,status:403\"
".to_owned();
    });
}

#[test]
fn a_broken_installation_is_named() {
    let mode = |path: PathBuf, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    breaks("stub-mode", "web.folder", 1, |patient| {
        mode(patient.stub(), 0o644);
    });
    breaks("stub-line-ends", "web.folder", 1, |patient| {
        let text = fs::read_to_string(patient.stub()).unwrap();
        fs::write(patient.stub(), text.replace('\n', "\r\n")).unwrap();
    });
    breaks("stub-of-another", "web.folder web.get", 1, |patient| {
        // A second WordPress of the same owner, with a key of its own.
        let other = hosting::Shop::new(hosting::Layout::Root).unwrap();
        let text = fs::read_to_string(patient.stub()).unwrap();
        let (from, to) = (&patient.shop().wordpress, &other.wordpress);
        let text = text.replace(&from.display().to_string(), &to.display().to_string());
        fs::write(patient.stub(), text).unwrap();
        patient.keep(other);
    });
    breaks("program-gone", "prog.files", 1, |patient| {
        fs::remove_file(patient.prefix().join("bin/bento-webhooks")).unwrap();
    });
    breaks("program-open", "prog.files", 0, |patient| {
        mode(patient.prefix(), 0o777);
    });
    breaks("folder-rules", "web.folder web.leak", 1, |patient| {
        fs::remove_file(patient.stub().with_file_name(".htaccess")).unwrap();
    });
    breaks("block-gone", "web.block", 1, |patient| {
        fs::remove_file(patient.shop().htaccess()).unwrap();
        patient.shop().save_permalinks();
    });
    breaks("block-below", "web.block", 0, |patient| {
        patient.put_first("# A cache plugin came by.");
    });
    breaks("others", "web.others web.get", 1, |patient| {
        patient.append("RedirectMatch 403 (?i)^/no-such-folder/|^/bento-webhooks/recieve?");
        patient.append("RedirectMatch 410 ^/bento-webhooks/receive/?$");
    });
    breaks("block-wide", "web.pass", 1, |patient| {
        patient.append("RewriteEngine On\nRewriteRule ^$ /bento-webhooks/receive [END]");
    });
    breaks("leak", "web.leak", 1, |patient| {
        patient.append("<Files wp-config.php>\nSetHandler none\nForceType text/plain\n</Files>");
    });
}

#[test]
fn an_unreachable_site_is_named() {
    breaks("no-name", "web.dns", 1, |patient| {
        patient
            .shop()
            .set_option("home", &json!("https://no-such-host.invalid"));
    });
    breaks("home-broken", "wp.home", 1, |patient| {
        patient.shop().set_option("home", &json!("shop.example"));
    });
}

#[test]
fn nothing_secret_is_said_in_any_form() {
    let Some(patient) = Patient::new() else {
        return;
    };
    patient.settings(&[("crm", json!(KEY))]);
    // Every run looks for secrets.
    for form in [&["-v"][..], &["--json"], &["--report"], &[]] {
        patient.doctor(form);
    }
    let report = patient.doctor(&["--report"]).text;
    let home = patient.shop().home.display().to_string();
    assert!(!report.contains(&home), "{report}");
}

/// What is planted into every setting that could hold a secret.
const PLANTED: &str = "PlantedSecret7391";

/// Settings of wp-config.php with a secret in each: such as are in use, and such as are wrong, whose words are told.
const SETTINGS: [(&str, &str); 14] = [
    ("AUTH_KEY", "PlantedSecret7391"),
    (
        "BENTO_WEBHOOKS_SMTP",
        "smtp://user:PlantedSecret7391@mail.example",
    ),
    (
        "BENTO_WEBHOOKS_SMTP",
        "smtp//user:PlantedSecret7391@mail.example",
    ),
    (
        "BENTO_WEBHOOKS_SENDMAIL",
        "/usr/bin/mailer --password=PlantedSecret7391",
    ),
    (
        "BENTO_WEBHOOKS_SENDMAIL",
        "/usr/bin/mailer --password=PlantedSecret7391 | cat",
    ),
    (
        "BENTO_WEBHOOKS_API_URL",
        "https://user:PlantedSecret7391@127.0.0.1/api",
    ),
    (
        "BENTO_WEBHOOKS_API_URL",
        "https://127.0.0.1/api?token=PlantedSecret7391",
    ),
    ("BENTO_WEBHOOKS_WORKER", "PlantedSecret7391"),
    ("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "PlantedSecret7391"),
    ("BENTO_WEBHOOKS_CA_FILE", "PlantedSecret7391"),
    ("BENTO_WEBHOOKS_DB_PASSWORD", "PlantedSecret7391"),
    ("DB_PASSWORD", "PlantedSecret7391"),
    ("DB_USER", "root:PlantedSecret7391"),
    ("WP_HOME", "https://user:PlantedSecret7391@localhost:1/"),
];

#[test]
fn no_setting_gives_its_secret_away() {
    let Some(mut patient) = Patient::new() else {
        return;
    };
    let config = patient.shop().wordpress.join("wp-config.php");
    let tells = |patient: &Patient, what: &str| {
        let said = patient.doctor(&["--report"]);
        let text = format!("{}{}", said.text, said.errors);
        assert!(!text.contains(PLANTED), "{what}: {said}");
    };
    // Nothing is to be learnt from waiting for a worker each time.
    patient.shop_mut().define("BENTO_WEBHOOKS_WORKER", "'cron'");
    let good = fs::read_to_string(&config).unwrap();
    for (name, value) in SETTINGS {
        patient.define(name, value);
        tells(&patient, name);
        patient.write(&config, &good);
    }
    // What is not followed is named by its kind, not by what stands there.
    for php in [
        "define( 'DB_PASSWORD', decrypt( 'PlantedSecret7391' ) );",
        "define( 'DB_PASSWORD', getenv( 'PlantedSecret7391' ) . $x );",
        "$key = 'PlantedSecret7391'; define( 'DB_HOST', $$key );",
        "define( 'BENTO_WEBHOOKS_SMTP', vault( 'PlantedSecret7391' ) );",
    ] {
        patient.write(
            &config,
            &good.replacen("<?php", &format!("<?php\n{php}"), 1),
        );
        tells(&patient, php);
    }
    patient.write(&config, &good);
    for (name, value) in [
        ("access_key", json!(PLANTED)),
        ("bento_api_key", json!("PlantedSecret7391")),
        ("bento_api_key", json!("PlantedSecret7391:sk")),
        ("bento_api_key", json!("pk:PlantedSecret7391")),
        ("site_uuid", json!(PLANTED)),
        ("license_key", json!(PLANTED)),
        ("bento_site_uuid", json!(PLANTED)),
    ] {
        patient.settings(&[(name, value)]);
        tells(&patient, name);
    }
    // Bento's own words about a key, and people in the queue.
    patient.settings(&[]);
    patient
        .bento
        .as_ref()
        .unwrap()
        .world()
        .scripts
        .push(Script::always(Fault::status(
            400,
            "{\"error\":\"bad key PlantedSecret7391\"}",
        )));
    sql(
        &patient,
        "INSERT INTO wp_bento_webhooks_inbox SET kind = 0, person = UNHEX(SHA2('u-1', 256)), action = 1, \
         contact = 'PlantedSecret7391@example.test', came = 1, due = UNIX_TIMESTAMP(NOW() + INTERVAL 1 DAY) * 1000, \
         attempts = 3, reason = 'Bento: status 500'",
    );
    tells(&patient, "Bento and the queue");
    patient.bento = None;
    // Every address that is sent away shows where to, and not with what.
    patient.append("RewriteEngine On\nRewriteRule ^x$ /?token=PlantedSecret7391 [R]");
    tells(&patient, ".htaccess");
}

/// A site on https with a certificate for this name up to this moment, and whether its authority is trusted.
fn on_https(
    host: &str,
    end: &str,
    trust: impl FnOnce(&Certificate, &mut Patient),
) -> Option<Patient> {
    let certificate = Certificate::new(host, end);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let hosting = Hosting {
        server_lines: certificate.lines(port),
        ..Hosting::everything(Php::Fpm, Gateway::Cgid)
    };
    let mut patient = Patient::behind(hosting)?;
    patient
        .shop()
        .set_option("home", &json!(format!("https://localhost:{port}")));
    trust(&certificate, &mut patient);
    Some(patient)
}

#[test]
fn a_bad_certificate_is_named() {
    let trusted = |certificate: &Certificate, patient: &mut Patient| {
        let file = certificate.authority();
        // As long as the shop, and readable to its owner.
        let copy = patient.prefix().join("authority.pem");
        fs::copy(file, &copy).unwrap();
        patient.shop().owner.own(&copy);
        patient
            .shop_mut()
            .define("BENTO_WEBHOOKS_CA_FILE", &format!("'{}'", copy.display()));
    };
    for (name, host, end, ids, code) in [
        ("tls-fine", "localhost", "+90 days", "", 0),
        ("tls-ends", "localhost", "+5 days 1 hour", "web.tls", 0),
        ("tls-ended", "localhost", "-1 day", "web.tls", 1),
        ("tls-name", "www.example.test", "+90 days", "web.tls", 1),
    ] {
        if let Some(patient) = on_https(host, end, trusted) {
            patient.is_broken_at(ids, code, name);
        }
    }
    if let Some(patient) = on_https("localhost", "+90 days", |_, _| {}) {
        patient.is_broken_at("web.tls", 1, "tls-unknown");
    }
}

#[test]
fn fix_puts_our_own_things_back_and_nothing_else() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let shop = patient.shop();
    let whole = fs::read_to_string(shop.htaccess()).unwrap();
    let stub = fs::read_to_string(patient.stub()).unwrap();
    let rules = patient.stub().with_file_name(".htaccess");

    fs::remove_file(shop.htaccess()).unwrap();
    shop.save_permalinks();
    patient.put_first("# A cache plugin came by.");
    fs::remove_file(&rules).unwrap();
    fs::write(patient.stub(), stub.replace('\n', "\r\n")).unwrap();
    fs::set_permissions(patient.stub(), fs::Permissions::from_mode(0o644)).unwrap();
    let unasked = patient.doctor(&["--fix"]);
    assert_eq!(unasked.code, 1, "{unasked}");
    assert!(rules.metadata().is_err(), "{unasked}");

    patient.says(&["--fix", "--yes"], "fix");
    let after = fs::read_to_string(shop.htaccess()).unwrap();
    let block = &whole[..whole.find("# END Bento Webhooks\n").unwrap()];
    assert!(
        after.starts_with(block) && after.contains("# A cache plugin came by."),
        "{after}"
    );
    assert_eq!(fs::read_to_string(patient.stub()).unwrap(), stub);
    let said = patient.doctor(&["--json"]);
    assert_eq!((said.code, said.problems()), (0, vec![]), "{said}");
    let again = patient.doctor(&["--fix", "--yes"]);
    assert!(
        again.text.contains("Nothing of ours to put back."),
        "{again}"
    );
}

#[test]
fn wrong_use_is_told_apart_from_a_broken_site() {
    let Some(patient) = Patient::new() else {
        return;
    };
    for wrong in [
        &["--only", "nothing"][..],
        &["--url", "x"],
        &["--yes"],
        &["--loud"],
        &["more"],
    ] {
        let said = patient.doctor(wrong);
        assert_eq!((said.code, said.text.as_str()), (2, ""), "{wrong:?} {said}");
    }
    let nowhere = patient.doctor(&["--path", "/usr"]);
    assert_eq!(nowhere.code, 3, "{nowhere}");
    patient.says(&["--path", "/usr"], "nowhere");
    patient.says(&["--list"], "list");
    patient.says(&["--help"], "help");

    let only = patient.doctor(&["--only", "db,wpf.role", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&only.text).unwrap();
    let mut ids: Vec<&str> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|finding| finding["id"].as_str())
        .collect();
    ids.dedup();
    assert_eq!(
        ids,
        [
            "db.connect",
            "db.rights",
            "db.tables",
            "db.users",
            "db.index",
            "wpf.role"
        ],
        "{only}"
    );
}

#[test]
fn doctor_changes_nothing() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let shop = patient.shop();
    // WordPress notes things of its own when a page is opened for the first time.
    for address in ["/", "/?wpf_action=thrivecart"] {
        drop(ureq::get(format!("{}{address}", shop.address)).call());
    }
    let state = || {
        let mut root = shop.database.root();
        let mut tables: Vec<String> = root.query("SHOW TABLES").unwrap();
        // The worker that proves that it can run notes when it did.
        tables.retain(|table| table != "wp_bento_webhooks_state");
        let sums = format!("CHECKSUM TABLE {}", tables.join(", "));
        let sums: Vec<(String, Option<u64>)> = root.query(sums).unwrap();
        let list = std::process::Command::new("sh")
            .args(["-c", "find . -type f -not -name '*.log' -exec sha256sum {} + ; find . -printf '%p %m %u\n'"])
            .current_dir(&shop.home)
            .output()
            .unwrap();
        (sums, String::from_utf8(list.stdout).unwrap())
    };
    let before = state();
    assert_eq!(patient.doctor(&[]).code, 0);
    let after = state();
    assert_eq!(after.0, before.0);
    assert!(after.1 == before.1, "files differ");
}

#[test]
fn a_broken_nginx_is_named() {
    let Some(mut patient) = Patient::behind_nginx() else {
        return;
    };
    patient.is_broken_at("", 0, "nginx");
    patient.stop_program();
    patient.is_broken_at("web.get", 1, "nginx-program-gone");
    let site = patient.nginx_folder().join("sites-enabled/shop.conf");
    let text = fs::read_to_string(&site).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.ends_with("# bento-webhooks"));
    fs::write(
        &site,
        lines.map(|line| format!("{line}\n")).collect::<String>(),
    )
    .unwrap();
    patient.is_broken_at("web.block", 1, "nginx-line-gone");
    let refused = patient.doctor(&["--fix", "--yes"]);
    assert!(refused.text.contains("as root"), "{refused}");
    patient.start_program();
    let said = patient.doctor_as_root(&["--fix", "--yes"]);
    assert_eq!(said.code, 0, "{said}");
    assert_eq!(fs::read_to_string(&site).unwrap(), text);
    patient.is_broken_at("", 0, "nginx");
}

#[test]
fn a_queue_that_stands_still_is_named() {
    let Some(mut patient) = Patient::new() else {
        return;
    };
    let row = |person: &str, age: &str, more: &str| {
        format!(
            "INSERT INTO wp_bento_webhooks_inbox SET kind = 0, person = UNHEX(SHA2('{person}', 256)), action = 1, \
             contact = '{person}', came = UNIX_TIMESTAMP(NOW() - INTERVAL {age}) * 1000, \
             due = UNIX_TIMESTAMP(NOW() + INTERVAL 1 DAY) * 1000, attempts = 3, reason = 'Bento: status 500'{more}"
        )
    };
    let empty = "DELETE FROM wp_bento_webhooks_inbox";
    sql(&patient, &row("u-1", "10 MINUTE", ""));
    sql(
        &patient,
        "UPDATE wp_bento_webhooks_state SET heard = UNIX_TIMESTAMP(NOW() - INTERVAL 4 MINUTE) * 1000",
    );
    patient.is_broken_at("", 0, "queue-short");
    sql(&patient, &row("u-2", "3 HOUR", ""));
    patient.is_broken_at("queue.state", 0, "queue-long");
    sql(&patient, empty);
    sql(&patient, &row("u-3", "9 DAY", ", buried = 1"));
    patient.is_broken_at("queue.state", 0, "queue-buried");
    sql(&patient, empty);
    // Cron was promised, and never came.
    patient.shop_mut().define("BENTO_WEBHOOKS_WORKER", "'cron'");
    sql(&patient, &row("u-4", "30 MINUTE", ""));
    sql(&patient, "UPDATE wp_bento_webhooks_inbox SET due = 1");
    sql(
        &patient,
        "UPDATE wp_bento_webhooks_state SET worked = 0, worker = 0",
    );
    patient.is_broken_at("queue.worker", 1, "queue-nobody");
}

#[test]
fn a_key_that_logs_keep_is_named() {
    let Some(patient) = Patient::new() else {
        return;
    };
    sql(&patient, "UPDATE wp_bento_webhooks_state SET keyed = 1");
    patient.is_broken_at("web.keylog", 0, "key-in-address");
    sql(&patient, "UPDATE wp_bento_webhooks_state SET keyed = 2");
    patient.is_broken_at("", 0, "key-in-header");
}

/// Each site of a network has its own settings, and its own break.
#[test]
fn a_network_is_examined_site_by_site() {
    let Some(patient) = Patient::on_network() else {
        return;
    };
    let second = format!("{}{}", patient.shop().address, hosting::SECOND);
    let problems = |arguments: &[&str]| {
        let said = patient.doctor(&[arguments, &["--json"]].concat());
        (said.problems().join(" "), said.code)
    };
    assert_eq!(
        problems(&[]),
        (String::new(), 0),
        "{}",
        patient.doctor(&["-v"])
    );
    assert_eq!(problems(&["--url", &second]), (String::new(), 0));
    let said = patient.doctor(&["-v", "--url", &second]).text;
    for line in [
        "WordPress answers below /second",
        "a network of sites, told apart by folders",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    sql(
        &patient,
        "UPDATE wp_2_options SET option_value = 'administrator' WHERE option_name = 'default_role'",
    );
    assert_eq!(problems(&[]), (String::new(), 0));
    assert_eq!(problems(&["--url", &second]), ("wpf.role".to_owned(), 1));
    // No site of the network has this address.
    let other = patient.shop().address.replace("127.0.0.1", "localhost");
    assert_eq!(problems(&["--url", &other]), ("db.connect".to_owned(), 1));
}

/// The name leads nowhere from here, but the server behind it is this one.
#[test]
fn a_site_that_is_reached_only_from_here_is_examined_all_the_same() {
    breaks("only-here", "wp.home web.dns web.reach", 1, |patient| {
        let home = format!("http://no-such-host.invalid:{}", patient.shop().port);
        patient.shop().set_option("home", &json!(home));
        patient.shop().set_option("siteurl", &json!(home));
    });
}

#[test]
fn a_clock_that_is_off_is_named() {
    breaks("clock", "prog.clock", 0, |patient| {
        // As a server says that is an hour behind.
        let file = patient
            .shop()
            .wordpress
            .join("wp-content/mu-plugins/clock.php");
        patient.write(
            &file,
            "<?php header( 'Date: ' . gmdate( 'D, d M Y H:i:s', time() - 3600 ) . ' GMT' );",
        );
    });
}

#[test]
fn too_little_memory_is_named() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let said = patient.doctor_within("--as=31000000", &["--only", "prog.limits"]);
    golden::compare("doctor/memory.txt", &patient.evened(&said.text));
    assert_eq!(said.code, 0, "{said}");
    let said = patient.doctor_within("--nproc=1", &["--only", "prog.limits", "-v"]);
    assert!(
        said.text.contains("no second process may be started"),
        "{said}"
    );
}

/// Everything answers, but so slowly that not everything can be asked in time.
#[test]
fn what_is_not_done_in_time_is_named_and_not_waited_for() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let (slow, port) = (
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
        patient.shop().port,
    );
    let home = format!("http://{}", slow.local_addr().unwrap());
    patient.shop().set_option("home", &json!(home));
    patient.shop().set_option("siteurl", &json!(home));
    thread::spawn(move || {
        for client in slow.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut asks, mut hears) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut asks, &mut hears));
            thread::spawn(move || answer_late(client, server));
        }
    });
    let said = patient.doctor(&["--json"]);
    let problems = said.problems();
    assert!(problems.contains(&"web.leak".to_owned()), "{said}");
    assert!(said.text.contains("no result in 19 s"), "{said}");
}

/// Hands answers on, each some seconds late.
fn answer_late(mut client: TcpStream, mut server: TcpStream) -> Option<()> {
    let mut first = [0];
    while server.read(&mut first).ok()? > 0 {
        // Being late is what is tested; by then all of the answer is there.
        thread::sleep(Duration::from_secs(4));
        let mut answer = first.to_vec();
        server.set_nonblocking(true).ok()?;
        drop(server.read_to_end(&mut answer));
        server.set_nonblocking(false).ok()?;
        client.write_all(&answer).ok()?;
    }
    client.shutdown(Shutdown::Write).ok()
}

#[test]
fn colours_and_a_question_are_for_a_terminal() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let green = "\u{1b}[32mok    \u{1b}[0m";
    assert!(!patient.doctor(&[]).text.contains('\u{1b}'));
    assert!(patient.doctor_at_terminal(&[], "").text.contains(green));
    patient.put_first("# A cache plugin came by.");
    let below = fs::read_to_string(patient.shop().htaccess()).unwrap();
    for (typed, code) in [("n\n", 1), ("", 1), ("y\n", 0)] {
        let said = patient.doctor_at_terminal(&["--fix"], typed);
        assert_eq!(said.text.matches("Go ahead? [Y/n]").count(), 1, "{said}");
        assert_eq!(said.code, code, "{typed:?} {said}");
        let now = fs::read_to_string(patient.shop().htaccess()).unwrap();
        assert_eq!(now == below, code == 1, "{typed:?} {said}");
    }
}

/// What other plugins put above our lines, and whether webhooks still get through.
const ABOVE: [(&str, bool); 2] = [
    (
        "# BEGIN LSCACHE\n<IfModule LiteSpeed>\nCacheLookup on\n</IfModule>\n# END LSCACHE\n",
        true,
    ),
    (
        "# BEGIN rlrssslReallySimpleSSL\nRewriteEngine on\nRewriteRule ^(.*)$ https://www.shop.example/$1 [R=301,L]\n# END rlrssslReallySimpleSSL\n",
        false,
    ),
];

/// WordPress writes its own lines, a plugin puts some above ours, another one writes the whole file anew: webhooks are
/// answered by the program all the same, or doctor names it and mends it; and where cron works, nobody need look.
#[test]
fn our_lines_stay_or_come_back_whatever_other_plugins_write() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let shop = patient.shop();
    let path = shop.htaccess();
    let read = || fs::read_to_string(&path).unwrap();
    let problems = || patient.doctor(&["--json"]).problems().join(" ");
    let whole = read();

    // WordPress, when permalinks are saved.
    shop.save_permalinks();
    assert_eq!((read() == whole, patient.answers()), (true, true));

    for (above, answers) in ABOVE {
        patient.write(&path, &format!("{above}{whole}"));
        assert_eq!(patient.answers(), answers, "{above}");
        assert!(problems().contains("web.block"), "{above}");
        // Cron comes by.
        let said = patient.work();
        assert_eq!((said.code, said.text.as_str()), (0, ""), "{said}");
        let kept = read();
        assert!(
            kept.starts_with("# BEGIN Bento Webhooks\n") && kept.contains(above),
            "{kept}"
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o644
        );
        assert!(patient.answers(), "{kept}");
        assert_eq!(problems(), "", "{above}");
        // Who puts the same above ours again insists on it; doctor still names and mends it.
        patient.write(&path, &format!("{above}{whole}"));
        patient.work();
        assert!(read().starts_with(above), "{above}");
        patient.doctor(&["--fix", "--yes"]);
        assert_eq!((read() == kept, problems().as_str()), (true, ""), "{above}");
        patient.write(&path, &whole);
    }

    // A plugin that trims and sorts the whole file, and one that knows nothing of our lines.
    let trimmed = whole.lines().map(|line| format!("{}\n", line.trim()));
    patient.write(&path, &trimmed.collect::<String>());
    assert_eq!((patient.answers(), problems().as_str()), (true, ""));
    let others = &whole[whole.find("# BEGIN WordPress").unwrap()..];
    let anew = format!(
        "# BEGIN All In One WP Security\nServerSignature Off\n# END All In One WP Security\n{others}"
    );
    patient.write(&path, &anew);
    assert!(!patient.answers());
    assert!(problems().starts_with("web.block"), "{}", problems());
    // Deleting them is how an owner switches the program off, so that is not undone unasked.
    patient.work();
    assert_eq!(read(), anew);
    patient.doctor(&["--fix", "--yes"]);
    assert!(read().ends_with(&anew), "{}", read());
    assert_eq!((patient.answers(), problems().as_str()), (true, ""));
}

#[test]
fn fix_starts_a_worker_where_nobody_works() {
    let Some(mut patient) = Patient::new() else {
        return;
    };
    // Cron was promised, and never came.
    patient.shop_mut().define("BENTO_WEBHOOKS_WORKER", "'cron'");
    sql(
        &patient,
        "INSERT INTO wp_bento_webhooks_inbox SET kind = 0, person = UNHEX(SHA2('u-1', 256)), action = 1, contact = 'u-1', \
         came = UNIX_TIMESTAMP(NOW() - INTERVAL 30 MINUTE) * 1000, due = 1, attempts = 1, reason = ''",
    );
    sql(
        &patient,
        "UPDATE wp_bento_webhooks_state SET worked = 0, worker = 0",
    );
    assert_eq!(patient.doctor(&["--json"]).problems(), ["queue.worker"]);
    let said = patient.doctor(&["--fix", "--yes"]);
    assert!(said.text.contains("1 waiting and nobody works"), "{said}");
    let begun = Instant::now();
    let rows = "SELECT COUNT(*) FROM wp_bento_webhooks_inbox";
    while patient.shop().database.root().query_first(rows).unwrap() != Some(0) {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "nobody works: {said}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_host_that_lets_no_second_process_start_is_named() {
    breaks_behind("no-second-process", "web.after", 0, |hosting| {
        hosting.server_lines = "RLimitNPROC 1 1\n".to_owned();
    });
}
