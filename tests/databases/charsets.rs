//! Charsets and modes of the server: what is read, planned and written stays the same text.

use super::{
    Answer, KEY, NORA, Request, SUE, Server, Stage, json, stage, stage_on, stage_with, tag, webhook,
};
use crate::support::database::Network;
use crate::support::php;
use crate::support::state;
use mysql::prelude::Queryable as _;
use serde_json::Value;

const TABLES: [&str; 4] = ["wp_users", "wp_usermeta", "wp_options", "wp_wpf_logging"];

impl Stage {
    /// Turns all tables into another charset.
    fn convert(&self, charset: &str) {
        for table in TABLES {
            self.site.sql(&[&format!(
                "ALTER TABLE {table} CONVERT TO CHARACTER SET {charset}"
            )]);
        }
    }

    /// What a connection in this charset reads, as bytes that are UTF-8 by agreement.
    fn read(&self, charset: &str, sql: &str) -> String {
        let mut root = self.site.database.root();
        root.query_drop(format!("SET NAMES {charset}")).unwrap();
        let bytes: Vec<u8> = root.query_first(sql).unwrap().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Writes bytes as a connection in this charset would.
    fn write(&self, charset: &str, sql: &str, text: &str) {
        let mut root = self.site.database.root();
        let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        root.query_drop(sql.replace('?', &format!("_{charset} X'{hex}'")))
            .unwrap();
    }
}

const SETTINGS: &str = "SELECT option_value FROM wp_options WHERE option_name = 'wpf_options'";

/// A key, a tag and names beyond ASCII go in and out, and the settings keep their form.
fn assert_round_trip(stage: &Stage, charset: &str) {
    let old = stage.now().options["wpf_options"].0.clone();
    let key = "schlüssel-ключ";
    let note = php::serialize(&Value::from("Grüße, мир, €"));
    let new = old.replace(
        &php::serialize(&Value::from(KEY)),
        &php::serialize(&Value::from(key)),
    );
    let new = with_message(&new, &note);
    let set = "UPDATE wp_options SET option_value = ? WHERE option_name = 'wpf_options'";
    stage.write(charset, set, &new);
    let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let run = |action: &str, person: &str| -> Answer {
        let target = format!("/?wpf_action={action}&access_key={encoded}");
        stage
            .program
            .run(&Request::post(&target, &json!({"id": person}).to_string()))
    };
    assert_eq!(run("update", SUE).result(), "applied");
    let stored = stage.read(charset, SETTINGS);
    assert!(stored.contains(&note), "the owner's text is changed");
    let tag = r#"i:77;s:12:"Müller-Tür";"#;
    assert!(stored.contains(tag), "the tag is saved: {stored}");
    assert_eq!(
        stored.len(),
        without_tag_growth(&new, &stored),
        "nothing else changes"
    );
    let meta = |key: &str| {
        let sql =
            format!("SELECT meta_value FROM wp_usermeta WHERE user_id = 3 AND meta_key = '{key}'");
        stage.read(charset, &sql)
    };
    assert_eq!(meta("company"), "Größe & Söhne");
    assert_eq!(meta("bento_tags"), r#"a:1:{i:0;s:12:"Müller-Tür";}"#);
    assert_eq!(
        run("update", SUE).result(),
        "unchanged",
        "what was written is read alike"
    );
    assert_eq!(run("add", NORA).result(), "applied");
    let name = "SELECT display_name FROM wp_users WHERE user_email = 'nora@example.test'";
    assert_eq!(stage.read(charset, name), "Nörä Ünal");
    assert_eq!(run("add", NORA).result(), "unchanged");
}

/// The settings with a text of the owner's for the message about restricted content.
fn with_message(settings: &str, text: &str) -> String {
    let start = settings.find("\"restricted_message\";").unwrap() + "\"restricted_message\";".len();
    let end = start + settings[start..].find("\";").unwrap() + 2;
    format!("{}{text}{}", &settings[..start], &settings[end..])
}

/// The length that the settings have when only the list of tags has grown.
fn without_tag_growth(before: &str, after: &str) -> usize {
    let list = |text: &str| {
        let start = text.find("\"bento_tag_ids\";").unwrap();
        let end = start + text[start..].find('}').unwrap();
        end - start
    };
    before.len() - list(before) + list(after)
}

fn foreign_stage() -> Stage {
    stage_with(&json!({}), |world| {
        world.tags.push(tag("77", "Müller-Tür"));
        world.subscribers[0].cached_tag_ids = json!(["77"]);
        world.subscribers[0].fields = json!({"company": "Größe & Söhne"});
        world.subscribers[1].fields = json!({"first_name": "Nörä", "last_name": "Ünal"});
    })
}

/// Old sites keep UTF-8 in columns that say latin1.
#[test]
fn a_site_in_latin1_keeps_its_bytes() {
    for tables in ["latin1", "utf8mb4"] {
        let mut stage = foreign_stage();
        stage.convert(tables);
        stage.site.define("DB_CHARSET", "latin1");
        assert_round_trip(&stage, "latin1");
    }
}

#[test]
fn every_spelling_of_unicode_is_taken() {
    for (charset, collate, tables) in [
        ("utf8mb4", "", "utf8mb4"),
        ("utf8", "utf8_general_ci", "utf8mb3"),
        ("UTF8", "", "utf8mb4"),
        ("", "", "utf8mb4"),
    ] {
        let mut stage = foreign_stage();
        stage.convert(tables);
        stage.site.define("DB_CHARSET", charset);
        stage.site.define("DB_COLLATE", collate);
        assert_round_trip(&stage, "utf8mb4");
    }
}

/// A server may set another charset for everybody who comes in; WordPress sets its own, and so do we.
#[test]
fn what_the_server_presets_does_not_count() {
    let server: &'static Server = Box::leak(Box::new(Server::start(Network::None)));
    for preset in [
        "SET GLOBAL init_connect = 'SET NAMES latin1'",
        "SET GLOBAL init_connect = 'SET NAMES utf8mb4, character_set_results = NULL'",
    ] {
        let stage = stage_on(server, &json!({}), |world| {
            world.tags.push(tag("77", "Müller-Tür"));
            world.subscribers[0].cached_tag_ids = json!(["77"]);
            world.subscribers[0].fields = json!({"company": "Größe & Söhne"});
            world.subscribers[1].fields = json!({"first_name": "Nörä", "last_name": "Ünal"});
        });
        stage.site.sql(&[preset]);
        assert_round_trip(&stage, "utf8mb4");
        stage.site.sql(&["SET GLOBAL init_connect = ''"]);
    }
}

/// What the columns cannot hold is left out with a row in the log, and the rest goes on.
#[test]
fn characters_that_the_columns_cannot_hold_stay_out() {
    let beyond: [(&str, &str, &str); 2] = [("utf8mb3", "utf8", "🎉"), ("latin1", "utf8mb4", "Ж")];
    for (tables, charset, odd) in beyond {
        let fields = json!({
            "first_name": format!("Sue {odd}"), "last_name": "Ünal", "company": "Größe",
            "interests": ["a", odd], "nickname": format!("{odd}{odd}"),
        });
        let mut stage = stage_with(&json!({}), |world| {
            world.tags.push(tag("77", &format!("Party {odd}")));
            world.tags.push(tag("78", "Tür"));
            for person in &mut world.subscribers {
                person.cached_tag_ids = json!(["77", "78"]);
                person.fields = fields.clone();
            }
        });
        stage.convert(tables);
        stage.site.define("DB_CHARSET", charset);
        let settings = stage.now().options["wpf_options"].0.clone();
        let answer = stage.run("update", SUE);
        assert_eq!(answer.result(), "applied", "{answer}");
        assert_eq!(
            stage.meta(3, "first_name").as_deref(),
            Some("Sue"),
            "{tables}"
        );
        assert_eq!(
            stage.meta(3, "last_name").as_deref(),
            Some("Ünal"),
            "{tables}"
        );
        assert_eq!(
            stage.meta(3, "company").as_deref(),
            Some("Größe"),
            "{tables}"
        );
        assert_eq!(stage.meta(3, "interests"), None, "{tables}");
        let tags = stage.tags(3).unwrap();
        assert!(
            tags.contains(r#"s:4:"Tür""#) && !tags.contains("Party"),
            "{tables}: {tags}"
        );
        // The settings can still be read: a question mark in a counted text would break them all.
        let new = stage.now().options["wpf_options"].0.clone();
        assert_eq!(new.len(), without_tag_growth(&settings, &new), "{tables}");
        assert!(
            new.contains(r#"i:78;s:4:"Tür";"#) && !new.contains("Party"),
            "{tables}"
        );
        assert_eq!(stage.run("update", SUE).result(), "unchanged", "{tables}");

        let answer = stage.run("add", NORA);
        assert_eq!(answer.result(), "applied", "{answer}");
        let state = stage.now();
        let nora = state.users.values().last().unwrap();
        assert_eq!(nora["display_name"], "Ünal", "{tables}");
        let log = state::log(&stage.site.database);
        let says = |words: &str| log.iter().filter(|row| row.message.contains(words)).count();
        assert!(
            says("first_name") >= 3 && says("Tag <strong>Party</strong> was left out") >= 3,
            "{tables}: {log:?}"
        );
        let broken = log
            .iter()
            .filter(|row| format!("{}{}", row.message, row.context).contains('?'));
        assert_eq!(broken.count(), 0, "{tables}: {log:?}");
    }
}

/// No table can hold such an id; nobody has it, and that is the answer.
#[test]
fn an_id_in_another_script_is_nobody() {
    for tables in ["latin1", "utf8mb3", "utf8mb4"] {
        let stage = stage();
        stage.convert(tables);
        for id in ["Жук", "🎉", "'; DROP TABLE wp_users; -- \\\""] {
            let answer = stage.run("update", id);
            assert_eq!(answer.result(), "ignored", "{tables}\n{answer}");
        }
    }
}

#[test]
fn no_sql_mode_changes_anything() {
    let server: &'static Server = Box::leak(Box::new(Server::start(Network::None)));
    for mode in [
        "STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO",
        "ANSI,ANSI_QUOTES,PIPES_AS_CONCAT,IGNORE_SPACE,ONLY_FULL_GROUP_BY",
        "NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,NO_AUTO_VALUE_ON_ZERO",
        "TRADITIONAL,EMPTY_STRING_IS_NULL",
        "ORACLE",
    ] {
        let given = json!({"changed_settings": {"username_format": ["email", "flname"]}});
        let stage = stage_on(server, &given, |world| {
            let fields =
                json!({"first_name": "O'Hara\\ \"x\"", "last_name": "50% a_b", "company": "\\'\""});
            world.subscribers[0].fields = fields.clone();
            world.subscribers[1].fields = fields;
        });
        // Old users have no date of registration.
        stage.site.sql(&[
            "SET SESSION sql_mode = ''",
            "UPDATE wp_users SET user_registered = '0000-00-00 00:00:00'",
        ]);
        let zero = stage.now().users[&3]["user_registered"].clone();
        stage
            .site
            .sql(&[&format!("SET GLOBAL sql_mode = '{mode}'")]);
        let first = stage.run("update", SUE);
        let (again, add) = (stage.run("update", SUE), stage.run("add", NORA));
        let unknown = stage.program.run(&webhook("update", "nobody"));
        stage.site.sql(&["SET GLOBAL sql_mode = ''"]);
        for (answer, result) in [
            (first, "applied"),
            (again, "unchanged"),
            (add, "applied"),
            (unknown, "ignored"),
        ] {
            assert_eq!(answer.result(), result, "{mode}\n{answer}");
        }
        assert_eq!(stage.meta(3, "company").as_deref(), Some("\\'\""), "{mode}");
        assert_eq!(stage.now().users[&3]["user_registered"], zero, "{mode}");
        let nora = stage.now().users.values().last().unwrap().clone();
        assert_eq!(nora["display_name"], "O'Hara\\ \"x\" 50% a_b", "{mode}");
        let nobody = state::log(&stage.site.database);
        assert!(nobody.last().unwrap().message.contains("nobody"), "{mode}");
    }
}
