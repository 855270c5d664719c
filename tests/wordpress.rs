//! The program against real WordPress: what it writes must be what WordPress itself would have written, and
//! WordPress must accept it.
//!
//! Every test runs on three releases, each with tables made by its own installer. There is no WP Fusion here:
//! its settings are put where it stores them, and `tests/wordpress/ask.php` adds a person as the recordings show.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests stop at the first surprise"
)]

mod support;
#[path = "support/wordpress.rs"]
mod wordpress;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bento_webhooks::php;
use serde_json::{Value, json};

use support::bento::{Bento, Subscriber, World};
use support::cgi::{Answer, Program, Request};
use support::recording::Base;
use wordpress::{ADMIN, ADMIN_EMAIL, ADMIN_PASSWORD, Release, SECOND, WordPress};

const BINARY: &str = env!("CARGO_BIN_EXE_bento-webhooks");
const UUID: &str = "deadbeef-0000-4000-8000-000000000009";
const EMAIL: &str = "new.person@example.test";

macro_rules! on_every_release {
    ($($test:ident)*) => {
        on_every_release! { @ wordpress_6_1 "bookworm" (6, 1) [$($test)*] }
        on_every_release! { @ wordpress_6_8 "trixie" (6, 8) [$($test)*] }
        on_every_release! { @ wordpress_7_1 "sid" (7, 1) [$($test)*] }
    };
    (@ $module:ident $suite:literal $version:tt [$($test:ident)*]) => {
        mod $module {
            $(#[test] fn $test() {
                super::$test(super::Release { suite: $suite, version: $version });
            })*
        }
    };
}

on_every_release! {
    a_new_user_logs_in_with_the_mapped_password
    a_new_user_logs_in_with_the_password_that_bento_was_told
    a_changed_password_logs_in_and_the_old_one_does_not
    options_stay_readable_when_tag_names_are_refreshed
    an_add_leaves_the_rows_that_wordpress_leaves
    a_network_gets_users_on_each_of_its_sites
    an_existing_user_of_the_network_is_put_onto_the_site
    a_super_admin_is_left_alone
}

/// A site with WP Fusion's settings, and the Bento that they lead to.
struct Stage {
    site: WordPress,
    bento: Bento,
    base: Base,
}

impl Stage {
    fn single(release: Release) -> Option<Stage> {
        let stage = Stage::around(WordPress::single(release)?);
        stage.set_up("/", &json!({}));
        Some(stage)
    }

    fn network(release: Release) -> Option<Stage> {
        let stage = Stage::around(WordPress::network(release)?);
        stage.set_up("/", &json!({}));
        stage.set_up(SECOND, &json!({}));
        Some(stage)
    }

    fn around(mut site: WordPress) -> Stage {
        let base = Base::load("newest");
        let bento = Bento::start(World::new(base.account(), &base.tags()));
        site.define("BENTO_WEBHOOKS_API_URL", &format!("'{}'", bento.api_url()));
        Stage { site, bento, base }
    }

    /// Puts the settings where the plugin of the site at this path keeps them, changed as given.
    fn set_up(&self, path: &str, changes: &Value) -> Value {
        let mut settings = self.settings(changes);
        settings["site_url"] = json!(own_address(path));
        let names: Value = self
            .base
            .tags()
            .iter()
            .map(|(_, name)| (name.to_string(), json!(name)))
            .collect();
        self.site.ask(
            path,
            "set_options",
            json!([{"wpf_options": settings, "wpf_available_tags": names}]),
        );
        settings
    }

    /// The settings of the recordings with login and password mapped.
    fn settings(&self, changes: &Value) -> Value {
        let mut settings = self.base.json["wpf_options"].clone();
        for (key, field) in [("user_login", "username"), ("user_pass", "password")] {
            settings["contact_fields"][key] =
                json!({"active": "1", "type": "text", "crm_field": field});
        }
        for (name, value) in changes.as_object().unwrap() {
            settings[name] = value.clone();
        }
        settings
    }

    /// Makes this the only person that Bento knows.
    fn bento_knows(&self, email: &str, tags: &[&str], fields: Value) {
        self.bento.world().subscribers =
            vec![Subscriber::new(UUID, email, tags).with_fields(fields)];
    }

    /// What Bento sends at this path of the site.
    fn send(&self, path: &str, action: &str) -> Answer {
        let program: Program = self.site.program(BINARY);
        let target = format!(
            "{path}?wpf_action={action}&access_key={}",
            self.base.access_key()
        );
        program.run(&Request::post(&target, &json!({"id": UUID}).to_string()))
    }

    /// The same, which must change something.
    fn apply(&self, path: &str, action: &str) -> Answer {
        let answer = self.send(path, action);
        assert_eq!(
            (answer.status, answer.result().as_str()),
            (200, "applied"),
            "{answer}"
        );
        answer
    }

    fn user(&self, path: &str, email: &str) -> Value {
        self.site.ask(path, "user", json!([email]))
    }

    fn login(&self, path: &str, name: &str, password: &str) -> Value {
        self.site.ask(path, "login", json!([name, password]))
    }
}

/// The address of the site at this path as the plugin remembers it, to know a copy of the site: with a mark at two
/// thirds of it, which no search and replace hits.
fn own_address(path: &str) -> String {
    let address = format!("{}{}", wordpress::ADDRESS, path.trim_end_matches('/'));
    let (start, end) = address.split_at(address.len() * 2 / 3);
    format!("{start}_[wpf_siteurl]_{end}")
}

fn a_new_user_logs_in_with_the_mapped_password(release: Release) {
    let Some(stage) = Stage::single(release) else {
        return;
    };
    let password = "Größe 42 & mehr ✓";
    stage.bento_knows(EMAIL, &["11", "13"], json!({
        "first_name": "Zoë", "last_name": "O'Neill & Söhne", "username": "zoe_o", "password": password,
    }));

    stage.apply("/", "add");

    let user = stage.user("/", EMAIL);
    assert_eq!(user["login"], "zoe_o");
    assert_eq!(user["email"], EMAIL);
    assert_eq!(user["first_name"], "Zoë");
    assert_eq!(user["last_name"], "O'Neill & Söhne");
    assert_eq!(user["nickname"], "zoe_o");
    assert_eq!(user["roles"], json!(["subscriber"]));
    assert_eq!(user["can_read"], true);
    assert_eq!(user["tags"], json!(["Customer", "VIP"]));
    assert_eq!(user["contact_id"], UUID);
    assert_eq!(stage.login("/", "zoe_o", password), user["id"]);
    assert_eq!(
        stage.login("/", EMAIL, password),
        user["id"],
        "with the address"
    );
    assert_eq!(stage.login("/", "zoe_o", "Größe 42"), "incorrect_password");
}

fn a_new_user_logs_in_with_the_password_that_bento_was_told(release: Release) {
    let Some(stage) = Stage::single(release) else {
        return;
    };
    stage.set_up(
        "/",
        &json!({"return_password": 1, "return_password_field": "generated_password"}),
    );
    stage.bento_knows(EMAIL, &["11"], json!({"first_name": "Nora"}));

    stage.apply("/", "add");

    let user = stage.user("/", EMAIL);
    let fields = stage.bento.world().subscribers[0].fields.clone();
    let password = fields["generated_password"]
        .as_str()
        .expect("Bento was told a password");
    assert_eq!(stage.login("/", EMAIL, password), user["id"]);
    assert_eq!(fields["username"], EMAIL, "the mapped login goes along");
    assert_eq!(
        stage
            .site
            .ask("/", "meta", json!([user["id"], "wp_default_password_nag"])),
        "1"
    );
    let posts = stage
        .bento
        .calls()
        .iter()
        .filter(|call| call.method == "POST")
        .count();
    assert_eq!(posts, 1);
}

fn a_changed_password_logs_in_and_the_old_one_does_not(release: Release) {
    let Some(stage) = Stage::single(release) else {
        return;
    };
    stage.bento_knows(EMAIL, &[], json!({"password": "first one"}));
    stage.apply("/", "add");
    let user = stage.user("/", EMAIL);
    assert_eq!(stage.login("/", EMAIL, "first one"), user["id"]);

    stage.bento_knows(
        EMAIL,
        &[],
        json!({"password": "second one", "first_name": "Nora"}),
    );
    stage.apply("/", "update");

    assert_eq!(stage.login("/", EMAIL, "second one"), user["id"]);
    assert_eq!(stage.login("/", EMAIL, "first one"), "incorrect_password");
    assert_eq!(stage.user("/", EMAIL)["first_name"], "Nora");
}

fn options_stay_readable_when_tag_names_are_refreshed(release: Release) {
    let Some(stage) = Stage::single(release) else {
        return;
    };
    let mut wanted = stage.settings(&json!({}));
    stage.bento_knows(EMAIL, &[], json!({}));
    stage.apply("/", "add");
    let fresh = "Frisch & \"neu\" ✓";
    stage.bento.world().tags.push(support::bento::Tag {
        id: json!("16"),
        name: json!(fresh),
        discarded_at: Value::Null,
    });

    stage.bento_knows(EMAIL, &["11", "16"], json!({}));
    stage.apply("/", "update_tags");

    assert_eq!(stage.user("/", EMAIL)["tags"], json!(["Customer", fresh]));
    let settings = stage.site.ask("/", "option", json!(["wpf_options"]));
    wanted["bento_tag_ids"]["16"] = json!(fresh);
    assert_eq!(settings, wanted);
    let names = stage.site.ask("/", "option", json!(["wpf_available_tags"]));
    assert_eq!(names[fresh], fresh);
    assert_eq!(names["Customer"], "Customer");
    // WordPress, given the same values, has nothing to write.
    for name in ["wpf_options", "wpf_available_tags"] {
        assert_eq!(
            stage
                .site
                .ask("/", "is_stored_as_wordpress_does", json!([name])),
            true,
            "{name}"
        );
    }
}

/// A person that both sides add.
struct Person {
    about: &'static str,
    /// What Bento has.
    fields: Value,
    /// What WordPress is given for its own columns and names.
    columns: Value,
    /// What the field map writes after them.
    meta: Value,
    generated: bool,
}

fn people() -> Vec<Person> {
    vec![
        Person {
            about: "an address and nothing else",
            fields: json!({}),
            columns: json!({"user_login": EMAIL, "user_email": EMAIL, "user_pass": "x", "role": "subscriber"}),
            meta: json!({}),
            generated: true,
        },
        Person {
            about: "names alone",
            fields: json!({"first_name": "Tom & Co", "last_name": "d'Arc"}),
            columns: json!({
                "user_login": EMAIL, "user_email": EMAIL, "user_pass": "x", "role": "subscriber",
                "first_name": "Tom & Co", "last_name": "d'Arc",
            }),
            meta: json!({"first_name": "Tom & Co", "last_name": "d'Arc"}),
            generated: true,
        },
        Person {
            about: "every field",
            fields: json!({
                "first_name": "Zoë", "last_name": "Quirk", "display_name": "Zoë Q.", "nickname": "zed",
                "bio": "Line one\nline two", "website": "https://zoe.example.test/",
                "phone": "+49 30 1234567", "company": "Back\\slash & \"Sons\"", "birthday": "1990-01-31",
                "newsletter": "1", "interests": ["art", "Käse ✓"], "notes": "a\nb\\0c", "points": "7",
                "raw_status": "a:1:{i:0;s:1:\"x\";}", "username": "zoe_q", "password": "s3cret pa55",
            }),
            columns: json!({
                "user_login": "zoe_q", "user_email": EMAIL, "user_pass": "s3cret pa55", "role": "subscriber",
                "first_name": "Zoë", "last_name": "Quirk", "display_name": "Zoë Q.", "nickname": "zed",
                "description": "Line one\nline two", "user_url": "https://zoe.example.test/",
            }),
            meta: json!({
                "phone_number": "+49 30 1234567", "company": "Back\\slash & \"Sons\"", "birthday": "1990-01-31",
                "newsletter_optin": "1", "interests": ["art", "Käse ✓"], "delivery_notes": "a\nb\\0c",
                "loyalty_points": "7", "raw_status": "a:1:{i:0;s:1:\"x\";}",
            }),
            generated: false,
        },
    ]
}

type Rows = (Vec<(String, String)>, Vec<(String, Option<String>)>);

impl Stage {
    /// The rows of the person, who is then forgotten as if never added.
    fn take_rows(&self, email: &str) -> Rows {
        let rows = (self.site.user_row(email), self.site.meta_rows(email));
        self.site.sql(&[
            &format!("DELETE wp_usermeta FROM wp_usermeta JOIN wp_users ON ID = user_id WHERE user_email = '{email}'"),
            &format!("DELETE FROM wp_users WHERE user_email = '{email}'"),
        ]);
        rows
    }

    /// Lets WordPress and then the program add a person at a path; the rows must be equal.
    fn compare_add(&self, release: Release, path: &str, person: &Person) {
        let about = person.about;
        let count = || {
            self.site
                .ask("/", "stored_user_count", json!([]))
                .to_string()
        };
        let given = json!({
            "uuid": UUID, "tags": ["Customer"], "columns": person.columns, "meta": person.meta,
            "generated": person.generated,
        });
        let added = self.site.ask(path, "add", json!([given]));
        assert!(added.is_u64(), "{about}: WordPress says {added}");
        let wanted_count = count();
        let wanted_form = self.site.user_column(EMAIL, "user_pass");
        let wanted = self.take_rows(EMAIL);

        self.bento_knows(EMAIL, &["11"], person.fields.clone());
        self.apply(path, "add");
        let form = self.site.user_column(EMAIL, "user_pass");
        // The cost, which follows PHP's release, is part of what must be equal.
        let (start, fixed) = if release.version < (6, 8) {
            ("$P$", 4)
        } else {
            ("$wp$2y$", 10)
        };
        assert!(
            wanted_form.starts_with(start),
            "{about}: WordPress wrote {wanted_form}"
        );
        assert_eq!(
            (form.len(), &form[..fixed]),
            (wanted_form.len(), &wanted_form[..fixed]),
            "{about}"
        );
        let age: i64 = self
            .site
            .user_column(
                EMAIL,
                "TIMESTAMPDIFF(SECOND, user_registered, UTC_TIMESTAMP())",
            )
            .parse()
            .unwrap();
        assert!(
            (0..120).contains(&age),
            "{about}: registered {age} seconds ago"
        );
        assert_eq!(count(), wanted_count, "{about}: user_count");
        let rows = self.take_rows(EMAIL);
        assert_eq!(rows.0, wanted.0, "{about}: wp_users");
        assert_eq!(rows.1, wanted.1, "{about}: wp_usermeta");
    }
}

fn an_add_leaves_the_rows_that_wordpress_leaves(release: Release) {
    let Some(stage) = Stage::single(release) else {
        return;
    };
    for person in people() {
        stage.compare_add(release, "/", &person);
    }
    // A site whose option went missing gets it back.
    stage
        .site
        .sql(&["DELETE FROM wp_options WHERE option_name = 'user_count'"]);
    let person = &people()[0];
    let given =
        json!({"uuid": UUID, "tags": [], "columns": person.columns, "meta": {}, "generated": true});
    stage.site.ask("/", "add", json!([given]));
    let wanted = stage.site.option_row("wp_options", "user_count");
    stage.take_rows(EMAIL);
    stage
        .site
        .sql(&["DELETE FROM wp_options WHERE option_name = 'user_count'"]);
    stage.bento_knows(EMAIL, &[], json!({}));
    stage.apply("/", "add");
    assert_eq!(stage.site.option_row("wp_options", "user_count"), wanted);
}

fn a_network_gets_users_on_each_of_its_sites(release: Release) {
    let Some(stage) = Stage::network(release) else {
        return;
    };
    let mut people = people();
    people.push(Person {
        about: "a login with capitals",
        fields: json!({"username": "Nora_N", "password": "s3cret pa55"}),
        columns: json!({"user_login": "Nora_N", "user_email": EMAIL, "user_pass": "x", "role": "subscriber"}),
        meta: json!({}),
        generated: false,
    });
    for path in ["/", SECOND] {
        for person in &people {
            stage.compare_add(release, path, person);
        }
    }

    stage.bento_knows(
        EMAIL,
        &["12"],
        json!({"username": "Nora_N", "password": "her own"}),
    );
    stage.apply(SECOND, "add");
    let there = stage.user(SECOND, EMAIL);
    assert_eq!(there["login"], "nora_n");
    assert_eq!(there["roles"], json!(["subscriber"]));
    assert_eq!(there["member"], true);
    assert_eq!(stage.login(SECOND, "nora_n", "her own"), there["id"]);
    let here = stage.user("/", EMAIL);
    assert_eq!(here["roles"], json!([]));
    assert_eq!(here["member"], false);
}

fn an_existing_user_of_the_network_is_put_onto_the_site(release: Release) {
    let Some(stage) = Stage::network(release) else {
        return;
    };
    let make = || {
        stage
            .site
            .ask("/", "make_user", json!(["nora", EMAIL, "author"]))
    };
    let sorted = |rows: Rows| {
        // The role rows keep their order among themselves; nothing says whether they come before the fields.
        let (mut site, mut rest): (Vec<_>, Vec<_>) = rows.1.into_iter().partition(|(key, _)| {
            key.starts_with("wp_2_") || matches!(key.as_str(), "primary_blog" | "source_domain")
        });
        rest.sort();
        site.append(&mut rest);
        (rows.0, site)
    };
    make();
    stage.site.ask(
        SECOND,
        "add_to_site",
        json!([EMAIL, "subscriber", UUID, ["Customer"]]),
    );
    let wanted_count = stage.site.ask("/", "stored_user_count", json!([]));
    let wanted = sorted(stage.take_rows(EMAIL));

    let id = make();
    stage.bento_knows(EMAIL, &["11"], json!({}));
    stage.apply(SECOND, "add");

    let there = stage.user(SECOND, EMAIL);
    assert_eq!(there["id"], id);
    assert_eq!(there["roles"], json!(["subscriber"]));
    assert_eq!(there["member"], true);
    assert_eq!(stage.user("/", EMAIL)["roles"], json!(["author"]));
    assert_eq!(
        stage.site.ask("/", "stored_user_count", json!([])),
        wanted_count
    );
    assert_eq!(sorted(stage.take_rows(EMAIL)), wanted);
}

fn a_super_admin_is_left_alone(release: Release) {
    let Some(stage) = Stage::network(release) else {
        return;
    };
    // On the second site the super admin may have no role at all and is one all the same.
    stage
        .site
        .sql(&["DELETE FROM wp_usermeta WHERE meta_key LIKE 'wp\\_2\\_%'"]);
    let mut fields = stage.settings(&json!({}))["contact_fields"].clone();
    fields["role"] = json!({"active": "1", "type": "text", "crm_field": "role"});
    let before = stage.site.user_row(ADMIN_EMAIL);
    for path in ["/", SECOND] {
        stage.set_up(path, &json!({"contact_fields": fields}));
        // The add links the two; the update then comes with another address.
        stage.bento_knows(
            ADMIN_EMAIL,
            &["11"],
            json!({"password": "taken over", "role": "subscriber"}),
        );
        stage.send(path, "add");
        let attack = json!({"password": "taken over", "role": "subscriber", "first_name": format!("At {path}")});
        stage.bento_knows("thief@example.test", &["11"], attack);
        stage.apply(path, "update");

        let boss = stage.user(path, ADMIN_EMAIL);
        assert_eq!(boss["contact_id"], UUID);
        assert_eq!(
            boss["first_name"],
            format!("At {path}"),
            "the harmless field is written"
        );
        assert_eq!(boss["super_admin"], true);
        assert_eq!(stage.login(path, ADMIN, ADMIN_PASSWORD), boss["id"]);
    }
    assert_eq!(stage.site.user_row(ADMIN_EMAIL), before);
    assert_eq!(
        stage.user("/", ADMIN_EMAIL)["roles"],
        json!(["administrator"])
    );
}

/// Numbers that are the same in every run: a failing value can be looked at again.
struct Dice(u64);

impl Dice {
    /// A number below the limit.
    fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    fn bits(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn int(&mut self) -> i64 {
        match self.below(4) {
            0 => [0, -1, i64::MAX, i64::MIN][usize::try_from(self.below(4)).unwrap()],
            1 => self.bits().cast_signed(),
            _ => self.below(2000).cast_signed() - 1000,
        }
    }

    fn float(&mut self) -> f64 {
        match self.below(4) {
            // Every bit pattern: tiny, huge, infinite, not a number.
            0 => f64::from_bits(self.bits()),
            1 => f64::from(u32::try_from(self.below(100_000)).unwrap()) / 100.0,
            2 => {
                [0.0, -0.0, 1e15, 1e21, -1.5e-7, 0.1 + 0.2][usize::try_from(self.below(6)).unwrap()]
            }
            _ => 10_f64.powi(i32::try_from(self.below(640)).unwrap() - 320),
        }
    }

    fn text(&mut self) -> Vec<u8> {
        const PIECES: [&[u8]; 16] = [
            b"",
            b"a",
            b"\"",
            b"\\",
            b";",
            b"}",
            b"\0",
            b"\n",
            b"5",
            b"-7",
            b"05",
            b"9223372036854775808",
            "K\u{e4}se \u{2713} \u{1f600}".as_bytes(),
            b"\xff\xfe",
            b"a:1:{i:0;O:8:\"stdClass\":0:{}}",
            b"s:1:\"x\";",
        ];
        let count = self.below(4);
        (0..count)
            .flat_map(|_| PIECES[usize::try_from(self.below(16)).unwrap()].to_vec())
            .collect()
    }

    fn value(&mut self, depth: u64) -> php::Value {
        match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => php::Value::Null,
            1 => php::Value::Bool(self.below(2) == 1),
            2 => php::Value::Int(self.int()),
            3 => php::Value::float(self.float()),
            4 => php::Value::Str(self.text()),
            _ => self.array(depth - 1),
        }
    }

    fn array(&mut self, depth: u64) -> php::Value {
        let mut entries: Vec<(php::Key, php::Value)> = Vec::new();
        for _ in 0..self.below(5) {
            let key = if self.below(2) == 0 {
                php::Key::Int(self.int())
            } else {
                php::Key::from_bytes(&self.text())
            };
            // PHP keeps one entry a key.
            if entries.iter().all(|(known, _)| *known != key) {
                entries.push((key, self.value(depth)));
            }
        }
        php::Value::Array(entries)
    }
}

#[test]
fn php_reads_what_we_serialize_and_writes_the_same_bytes() {
    let mut dice = Dice(2026);
    let values: Vec<php::Value> = (0..100_000).map(|_| dice.value(4)).collect();
    let input: String = values
        .iter()
        .map(|value| BASE64.encode(value.serialize()) + "\n")
        .collect();

    let output = wordpress::php("serialize.php", &[], input.into_bytes());

    let output = wordpress::check(&output, "serialize.php");
    assert_eq!(output.lines().count(), values.len());
    for (value, line) in values.iter().zip(output.lines()) {
        let (ours, theirs) = (value.serialize(), BASE64.decode(line).unwrap());
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(show(&ours), show(&theirs));
        assert_eq!(ours, theirs);
        assert_eq!(
            php::unserialize(&theirs).as_ref(),
            Ok(value),
            "{}",
            show(&theirs)
        );
    }
}
