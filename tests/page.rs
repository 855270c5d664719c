//! The page that an owner sees who opens a webhook's address: in real Chromium, as wide as a phone and as a desktop,
//! light and dark, for every way in which a webhook ends.
//!
//! With `BENTO_WEBHOOKS_PICTURES` set to a folder, the pages are drawn into it, for people to look at.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise and says so"
)]

mod support;

#[path = "support/browser.rs"]
mod browser;
#[path = "support/stage.rs"]
mod stage;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use browser::{Browser, Look};
use serde_json::{Value, json};
use stage::{KEY, SUE, Stage, stage, stage_with, target};
use support::bento::{Fault, Script, Subscriber, Tag};
use support::cgi::{Program, Request};

const LOOKS: [Look; 4] = [
    Look {
        width: 360,
        scheme: "light",
    },
    Look {
        width: 360,
        scheme: "dark",
    },
    Look {
        width: 1280,
        scheme: "light",
    },
    Look {
        width: 1280,
        scheme: "dark",
    },
];

/// One ending as an owner meets it, and what the page must say.
struct Scene {
    name: &'static str,
    stage: Stage,
    target: String,
    /// In this order; the first is the heading.
    words: &'static [&'static str],
}

/// The heading over what the owner can do.
const NEXT: &str = "What to do next";
/// The access key of somebody who has mistyped it.
const WRONG_KEY: &str = "a1b2c3d5";
/// Only a browser breaks a name like this one.
const LONG: &str = "Came_by_the_summer_newsletter_and_stayed_for_more_than_one_season_of_the_year";

fn scenes() -> Vec<Scene> {
    let about = |person: &str| format!("{}&contact_id={person}", target("update_tags"));
    let scene = |name, stage, target, words| Scene {
        name,
        stage,
        target,
        words,
    };
    let tagged = stage_with(&json!({}), |world| {
        for (id, name) in [("90", LONG), ("91", "A & B \"VIP\"")] {
            world.tags.push(Tag {
                id: json!(id),
                name: json!(name),
                discarded_at: Value::Null,
            });
        }
        world.subscribers = vec![Subscriber::new(SUE, "sue@example.test", &["90", "91"])];
    });
    // Every visit finds something to do; the first one makes the inbox.
    tagged.program.run(&Request::get(&about(SUE)));
    tagged.site.sql(&[
        "CREATE TRIGGER forget AFTER INSERT ON wp_bento_webhooks_inbox FOR EACH ROW DELETE FROM wp_usermeta WHERE meta_key = 'bento_tags'",
    ]);
    let settled = stage();
    settled.program.run(&Request::get(&about(SUE)));
    let failing = stage_with(&json!({}), |world| {
        world.scripts = vec![Script::always(Fault::status(503, "{}"))];
    });
    let mut broken = stage();
    broken.site.define("DB_NAME", "nowhere");
    vec![
        scene(
            "tested",
            stage(),
            target("test"),
            &["This address works", "key is right", NEXT, "Bento workflow"],
        ),
        scene(
            "applied",
            tagged,
            about(SUE),
            &[
                "WordPress is up to date",
                "has been written",
                NEXT,
                "You are done",
                "applied",
                SUE,
                "#3",
                LONG,
                "A & B \"VIP\"",
            ],
        ),
        scene(
            "unchanged",
            settled,
            about(SUE),
            &[
                "Nothing had to change",
                "already has",
                NEXT,
                "unchanged",
                SUE,
            ],
        ),
        scene(
            "ignored",
            stage(),
            about("00000000-0000-4000-8000-00000000abcd"),
            &[
                "Nothing was changed",
                "No user of this site",
                "wpf_action=add",
                NEXT,
                "ignored",
            ],
        ),
        scene(
            "queued",
            failing,
            about(SUE),
            &[
                "Stored, to be done soon",
                "safe in the site’s queue",
                NEXT,
                "need not be sent again",
                "queued",
                SUE,
            ],
        ),
        scene(
            "refused",
            stage(),
            about(SUE).replace(KEY, WRONG_KEY),
            &[
                "Access refused",
                "missing or wrong",
                NEXT,
                "Copy the webhook address",
            ],
        ),
        scene(
            "unusable",
            stage(),
            target("update"),
            &[
                "This request cannot be used",
                "No contact was named",
                NEXT,
                "&email=",
            ],
        ),
        scene(
            "broken",
            broken,
            about(SUE),
            &[
                "Not done yet",
                "database cannot be used",
                NEXT,
                "~/.bento-webhooks/bin/bento-webhooks doctor",
            ],
        ),
    ]
}

#[test]
fn an_owner_reads_what_happened_and_what_to_do_next_on_any_screen() {
    let mut browser = Browser::start();
    for scene in scenes() {
        let server = Front::start(scene.stage.program.clone());
        for look in LOOKS {
            browser.open(&server.address(&scene.target), look);
            let seen = browser.ask(include_str!("support/look.js"));
            let whole = format!("{} {look:?}: {seen:#}", scene.name);
            reads(&seen, scene.words, &whole);
            fits(&seen, look, &whole);
            is_readable(&seen, look, &whole);
            for secret in [KEY, WRONG_KEY, support::database::PASSWORD] {
                let source = seen["source"].as_str().unwrap();
                assert!(!source.contains(secret), "{secret} is on the page\n{whole}");
            }
            if let Some(folder) = std::env::var_os("BENTO_WEBHOOKS_PICTURES") {
                let name = format!("{}-{}-{}.png", scene.name, look.width, look.scheme);
                browser.photograph(&Path::new(&folder).join(name));
            }
        }
        let asked = server.asked();
        assert_eq!(
            asked,
            vec![scene.target.clone(); LOOKS.len()],
            "{}",
            scene.name
        );
    }
}

/// The words stand there in this order, under one heading that also names the tab.
fn reads(seen: &Value, words: &[&str], whole: &str) {
    let mut rest = seen["text"].as_str().unwrap();
    for word in words {
        let at = rest
            .find(word)
            .unwrap_or_else(|| panic!("{word} is missing\n{whole}"));
        rest = &rest[at + word.len()..];
    }
    assert_eq!(seen["headings"], json!([words[0]]), "{whole}");
    let title = seen["title"].as_str().unwrap();
    assert!(title.starts_with(words[0]), "{whole}");
}

/// Nobody has to scroll sideways, nothing sticks out, and a first look shows what happened.
fn fits(seen: &Value, look: Look, whole: &str) {
    let number = |name: &str| seen[name].as_f64().unwrap();
    assert_eq!(number("window"), f64::from(look.width), "{whole}");
    assert!(
        number("content") <= number("window"),
        "scrolls sideways\n{whole}"
    );
    assert_eq!(seen["sticking_out"], json!([]), "{whole}");
    assert!(number("heading_ends") < 400.0, "{whole}");
}

/// WCAG's contrast for normal text, letters that need no glasses, and the scheme that the person chose.
fn is_readable(seen: &Value, look: Look, whole: &str) {
    let texts = seen["texts"].as_array().unwrap();
    assert!(texts.len() > 5, "{whole}");
    for text in texts {
        assert!(text["contrast"].as_f64().unwrap() >= 4.5, "{text}\n{whole}");
        assert!(text["size"].as_f64().unwrap() >= 14.0, "{text}\n{whole}");
    }
    let light = seen["background"].as_f64().unwrap();
    let right = if look.scheme == "dark" {
        light < 0.05
    } else {
        light > 0.8
    };
    assert!(right, "a background of {light} in {}\n{whole}", look.scheme);
}

/// A web server with nothing behind it but the program; it keeps what it was asked for and ends with the process.
struct Front {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Front {
    fn start(program: Program) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming() {
                // A browser may open connections that it does not use.
                let Some(target) = serve(client.unwrap(), &program) else {
                    continue;
                };
                log.lock().unwrap().push(target);
            }
        });
        Front { port, asked }
    }

    fn address(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers one request and hangs up; the address that was asked for.
fn serve(client: TcpStream, program: &Program) -> Option<String> {
    let mut lines = BufReader::new(&client).lines().map(Result::unwrap);
    let first = lines.next()?;
    let target = first.split(' ').nth(1)?.to_owned();
    let mut request = Request::get(&target);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        request = request.header(name, value);
    }
    let answer = program.run(&request);
    let mut head = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    (&client)
        .write_all(format!("{head}\r\n{}", answer.body).as_bytes())
        .unwrap();
    Some(target)
}
