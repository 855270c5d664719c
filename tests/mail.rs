//! Mails and what becomes of them: handed to a sendmail command and to a real mail server, refused, left hanging, and
//! made for hostile people.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test stops at the first surprise and says so"
)]

#[path = "mail/hostile.rs"]
mod hostile;
#[path = "mail/real.rs"]
mod real;
#[path = "support/stage.rs"]
mod stage;
mod support;
#[path = "support/wordpress.rs"]
mod wordpress;

use serde_json::{Value, json};
use stage::{NORA, SUE, Stage, stage_with, target, webhook};
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use support::bento::{Fault, Script, Subscriber, World};
use support::cgi::{Answer, Request};
use support::database::{Network, Server};
use support::inbox;
use support::mail::{Mail, MailServer, Outbox, lend_words};
use support::state::{self, LogRow};

/// The variables that the sendmail command may see; the shell that runs the stand-in adds the last three.
const VARIABLES: [&str; 10] = [
    "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "PWD", "SHLVL", "_",
];

/// A stage with WordPress's words and an outbox.
fn stage_with_outbox(given: &Value, change: impl FnOnce(&mut World)) -> (Stage, Outbox) {
    let mut stage = stage_with(given, change);
    let outbox = Outbox::new(stage.site.folder().join("outbox"));
    stage
        .site
        .define("BENTO_WEBHOOKS_SENDMAIL", &outbox.command());
    lend_words(&stage.site, "6.8", env!("CARGO_TARGET_TMPDIR"));
    (stage, outbox)
}

/// Leads the site's mails to this port, `PORT` in the address.
fn lead_mails_to(stage: &mut Stage, url: &str, port: u16) {
    let url = url.replace("PORT", &port.to_string());
    stage.site.define("BENTO_WEBHOOKS_SMTP", &url);
}

/// Lets the site trust whom the database server trusts.
fn trust(stage: &mut Stage, server: &Server) {
    let authority = server.authority().display().to_string();
    stage.site.define("BENTO_WEBHOOKS_CA_FILE", &authority);
}

/// An add that asks for the welcome.
fn welcoming(person: &str) -> Request {
    let target = format!("{}&send_notification=true", target("add"));
    Request::post(&target, &json!({ "id": person }).to_string())
}

fn applied(answer: &Answer) -> String {
    assert_eq!(
        (answer.status, answer.result().as_str()),
        (200, "applied"),
        "{answer}"
    );
    answer.json()["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Log rows above `info`.
fn complaints(stage: &Stage) -> Vec<LogRow> {
    let mut rows = state::log(&stage.site.database);
    rows.retain(|row| row.level > 200);
    rows
}

/// The reset key that Nora's row has.
fn stored_key(stage: &Stage) -> String {
    let query = "SELECT user_activation_key FROM wp_users WHERE user_email = 'nora@example.test'";
    stage.site.column(query).remove(0)
}

fn key_of(mail: &Mail) -> &str {
    let (_, key) = mail.link().split_once("key=").unwrap();
    key.split('&').next().unwrap()
}

/// Lets everything in the inbox be tried now, and Bento be asked.
fn make_due(stage: &Stage) {
    stage.site.sql(&[
        "UPDATE wp_bento_webhooks_inbox SET due = 0",
        "UPDATE wp_bento_webhooks_state SET paused = 0, calls = ''",
    ]);
}

#[test]
fn the_welcome_leaves_once_and_when_the_user_is_committed() {
    let (mut stage, _) = stage_with_outbox(&json!({}), |_| {});
    // Another connection sees the user only after the commit.
    let query = "SELECT COUNT(*) FROM wp_users WHERE user_email = 'nora@example.test'";
    let folder = stage.site.folder().join("outbox");
    let database = &stage.site.database;
    let script = format!(
        "mariadb --no-defaults -N -S {} -u {name} -p{} {name} -e \"{query}\" >{}/seen",
        database.server().socket().display(),
        support::database::PASSWORD,
        folder.display(),
        name = database.name(),
    );
    let outbox = Outbox::then(folder.clone(), &script);
    stage
        .site
        .define("BENTO_WEBHOOKS_SENDMAIL", &outbox.command());

    assert_eq!(applied(&stage.program.run(&welcoming(NORA))), "");

    assert_eq!(fs::read_to_string(folder.join("seen")).unwrap(), "1\n");
    let mails = outbox.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("To"), "nora@example.test");
    let again = stage.program.run(&welcoming(NORA));
    assert_eq!(again.result(), "unchanged", "{again}");
    assert_eq!(outbox.mails().len(), 1);
    assert!(complaints(&stage).is_empty());
}

#[test]
fn nobody_is_welcomed_who_was_there_before() {
    let given = json!({"changed_settings": {"send_welcome_email": ["0", 1]}});
    let (stage, outbox) = stage_with_outbox(&given, |_| {});
    for request in [welcoming(SUE), webhook("update", SUE), webhook("add", SUE)] {
        let answer = stage.program.run(&request);
        assert_eq!(answer.status, 200, "{answer}");
    }
    assert_eq!(outbox.mails().len(), 0);
    applied(&stage.program.run(&webhook("add", NORA)));
    assert_eq!(outbox.mails().len(), 1, "the setting asks for it");
}

#[test]
fn the_command_sees_neither_the_request_nor_the_key_and_says_nothing() {
    let (mut stage, _) = stage_with_outbox(&json!({}), |_| {});
    let folder = stage.site.folder().join("outbox");
    let outbox = Outbox::then(folder, "echo SHOUT; echo SHOUT >&2");
    stage
        .site
        .define("BENTO_WEBHOOKS_SENDMAIL", &outbox.command());

    let answer = stage.program.run(&welcoming(NORA));

    applied(&answer);
    assert!(!format!("{answer}").contains("SHOUT"), "{answer}");
    let mails = outbox.mails();
    assert_eq!(mails[0].arguments, "-t -i");
    for variable in &mails[0].environment {
        let name = variable.split('=').next().unwrap();
        assert!(VARIABLES.contains(&name), "{variable}");
    }
    let key = key_of(&mails[0]);
    assert_eq!(key.len(), 20);
    assert!(
        !answer.body.contains(key) && !answer.stderr.contains(key),
        "{answer}"
    );
    let log = state::log(&stage.site.database);
    assert!(
        !log.iter()
            .any(|row| row.message.contains(key) || row.context.contains(key))
    );
    assert!(!stored_key(&stage).contains(key));
}

#[test]
fn a_server_without_path_and_home_can_send() {
    let (stage, outbox) = stage_with_outbox(&json!({}), |_| {});
    let mut request = welcoming(NORA);
    request.environment.push(("PATH".into(), "".into()));
    assert_eq!(applied(&stage.program.run(&request)), "");
    assert_eq!(outbox.mails().len(), 1);
}

/// A command, and what the log says about it.
const FAILURES: [(&str, &str); 6] = [
    ("exit 75", "failed with status 75"),
    ("exit 67", "refused the mail with status 67"),
    ("kill -9 $$", "was killed"),
    ("echo $$ >FOLDER/pid; exec sleep 600", "did not end in time"),
    (
        "sleep 600 & echo $! >FOLDER/pid; wait",
        "did not end in time",
    ),
    ("", "does not exist"),
];

/// Whether a process ends; whose child it is may be slow to ask for its status.
fn ends(pid: &str) -> bool {
    let status = Path::new("/proc").join(pid).join("status");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        match fs::read_to_string(&status) {
            Ok(status) if !status.contains("State:\tZ") => thread::yield_now(),
            _ => return true,
        }
    }
    false
}

#[test]
fn a_mail_that_does_not_leave_is_told_and_does_not_undo_the_user() {
    for (script, reason) in FAILURES {
        let (mut stage, _) = stage_with_outbox(&json!({}), |_| {});
        let folder = stage.site.folder().join("outbox");
        let script = script.replace("FOLDER", &folder.display().to_string());
        let outbox = Outbox::then(folder.clone(), &script);
        stage
            .site
            .define("BENTO_WEBHOOKS_SENDMAIL", &outbox.command());
        if script.is_empty() {
            stage
                .site
                .define("BENTO_WEBHOOKS_SENDMAIL", "/nowhere/sendmail -t");
        }

        let answer = stage.program.run(&welcoming(NORA));

        let remark = applied(&answer);
        assert!(
            remark.contains("the welcome mail could not be handed over"),
            "{answer}"
        );
        let complaints = complaints(&stage);
        assert_eq!(complaints.len(), 1, "{script}: {complaints:?}");
        assert!(complaints[0].message.contains(reason), "{complaints:?}");
        assert_eq!(complaints[0].level, 500);
        assert!(stored_key(&stage).contains(":$generic$"));
        if let Ok(pid) = fs::read_to_string(folder.join("pid")) {
            assert!(ends(pid.trim()), "it still hangs");
        }
    }
}

#[test]
fn a_mail_that_did_not_leave_is_sent_again_as_the_same_mail() {
    let (mut stage, _) = stage_with_outbox(&json!({}), |_| {});
    let folder = stage.site.folder().join("outbox");
    let outbox = Outbox::then(folder.clone(), "exit 75");
    let remark = applied(&stage.program.run(&welcoming(NORA)));
    assert!(remark.contains("it will be tried again"), "{remark}");
    let rows = "SELECT COUNT(*) FROM wp_bento_webhooks_inbox";
    assert_eq!(stage.site.column(rows), ["1"]);

    let due = "UPDATE wp_bento_webhooks_inbox SET due = 0";
    stage.site.sql(&[due]);
    let again = Outbox::new(folder);
    stage
        .site
        .define("BENTO_WEBHOOKS_SENDMAIL", &again.command());
    stage.program.work();

    let mails = outbox.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].text, mails[1].text);
    assert_eq!(stage.site.column(rows), ["0"]);
    assert_eq!(complaints(&stage).len(), 1, "success says nothing");
}

/// Whether the program lives to hear what the command says makes no difference to the user.
#[test]
fn a_mail_that_left_before_its_sender_was_killed_is_not_sent_again() {
    let given = json!({"changed_settings": {"wp_options.WPLANG": "fr_FR"}});
    // The second is longer than a pipe holds.
    for lines in [1, 20_000] {
        let (stage, outbox) = stage_with_outbox(&given, |_| {});
        greet_at_length(&stage, lines);
        let folder = stage.site.folder().join("outbox");
        let gate = folder.join("gate");
        let made = Command::new("mkfifo").arg(&gate).status().unwrap();
        assert!(made.success());
        // The mail is kept, but nobody hears so before somebody comes through the gate.
        Outbox::then(folder.clone(), &format!("read line <{}", gate.display()));
        let mut child = stage.program.start(&welcoming(NORA));
        await_mails(&outbox, 1);
        child.kill().unwrap();
        child.wait().unwrap();
        fs::write(&gate, "\n").unwrap();
        assert_eq!(inbox::rows(&stage.site.database), (1, 0));

        Outbox::new(folder);
        inbox::let_an_hour_pass(&stage.site.database);
        stage.program.work();

        assert_eq!(outbox.mails().len(), 1, "{lines} lines");
        assert_eq!(inbox::rows(&stage.site.database), (0, 0));
        let complaints = complaints(&stage);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert_eq!(complaints[0].level, 300);
        assert!(complaints[0].message.contains("not sent a second time"));
    }
}

/// Waits for so many mails.
fn await_mails(outbox: &Outbox, count: usize) {
    let begun = Instant::now();
    while outbox.mails().len() < count {
        assert!(begun.elapsed() < Duration::from_secs(20), "no mail came");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Makes the welcome of a French site long.
fn greet_at_length(stage: &Stage, lines: usize) {
    let languages = stage.site.folder().join("wp-content/languages");
    fs::create_dir_all(&languages).unwrap();
    let file = format!(
        "<?php return ['messages'=>['Username: %s'=>'{}%s']];",
        "Prénom\n".repeat(lines)
    );
    fs::write(languages.join("fr_FR.l10n.php"), file).unwrap();
}

#[test]
fn a_welcome_whose_link_has_died_is_not_sent() {
    let (stage, outbox) = stage_with_outbox(&json!({}), |_| {});
    let folder = stage.site.folder().join("outbox");
    let failing = Outbox::then(folder.clone(), "exit 75");
    applied(&stage.program.run(&welcoming(NORA)));
    // A day has passed.
    stage
        .site
        .sql(&["UPDATE wp_bento_webhooks_inbox SET due = 0, \
         body = REGEXP_REPLACE(body, '\"until\":[0-9]+', '\"until\":1700000000')"]);
    drop(failing);
    Outbox::new(folder);
    stage.program.work();
    assert_eq!(outbox.mails().len(), 1, "only the one that failed");
    let buried = "SELECT reason FROM wp_bento_webhooks_inbox WHERE buried > 0";
    assert_eq!(
        stage.site.column(buried),
        ["its set-password link is too old by now"]
    );
}

#[test]
fn a_webhook_in_the_background_welcomes_too_and_its_links_stay_safe() {
    let (stage, outbox) = stage_with_outbox(&json!({}), |_| {});
    let target = format!("{}&send_notification=true&async=true", target("add"));
    let mut request = Request::post(&target, &json!({ "id": NORA }).to_string());
    request.environment.push(("HTTPS".into(), "on".into()));
    let answer = stage.program.run(&request);
    assert_eq!(answer.result(), "queued", "{answer}");
    assert_eq!(outbox.mails().len(), 0);
    stage.program.work();
    let mails = outbox.mails();
    assert_eq!(mails.len(), 1);
    let link = mails[0].link();
    assert!(
        link.starts_with("https://shop.example.test/wp-login.php?"),
        "{link}"
    );
}

#[test]
fn an_owner_who_changed_wordpress_gets_words_of_ours_and_is_told() {
    let (stage, outbox) = stage_with_outbox(&json!({}), |_| {});
    let file = stage.site.folder().join("wp-includes/pluggable.php");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "<?php __( 'Welcome aboard' );").unwrap();

    applied(&stage.program.run(&welcoming(NORA)));

    let mails = outbox.mails();
    assert!(
        mails[0]
            .link()
            .starts_with("http://shop.example.test/wp-login.php?login=nora%40example.test&key=")
    );
    let complaints = complaints(&stage);
    assert_eq!(
        (complaints.len(), complaints[0].level),
        (1, 300),
        "{complaints:?}"
    );
    assert!(complaints[0].message.contains("words of bento-webhooks"));
}

/// Sue's address becomes another one in Bento.
fn sue_moves(email: &'static str) -> impl FnOnce(&mut World) {
    move |world| world.subscribers[0] = Subscriber::new(SUE, email, &["13"])
}

#[test]
fn the_old_address_is_told_in_the_users_language_and_links_are_as_safe_as_the_request() {
    let given = json!({"changed_settings": {"wp_options.WPLANG": "fr_FR"}});
    let (stage, outbox) = stage_with_outbox(&given, sue_moves("susan@new.test"));
    let folder = stage.site.folder().join("wp-content/languages");
    fs::create_dir_all(&folder).unwrap();
    for (locale, word) in [("fr_FR", "Adresse modifiée"), ("de_DE", "Adresse geändert")] {
        let file = format!("<?php return ['messages'=>['[%s] Email Changed'=>'[%s] {word}']];");
        fs::write(folder.join(format!("{locale}.l10n.php")), file).unwrap();
    }
    stage.site.sql(&[
        "UPDATE wp_usermeta SET meta_value = 'de_DE' WHERE user_id = 3 AND meta_key = 'locale'",
    ]);
    let mut request = webhook("update", SUE);
    request.environment.push(("HTTPS".into(), "on".into()));

    applied(&stage.program.run(&request));

    let mails = outbox.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("To"), "sue@example.test");
    assert_eq!(
        mails[0].header("Subject"),
        "=?UTF-8?Q?[Bob's_Shop_&_Co]_Adresse_ge=C3=A4ndert?="
    );
    assert!(mails[0].body().contains("susan@new.test"));
    assert!(
        mails[0].body().contains("\nhttps://shop.example.test\n"),
        "{}",
        mails[0].text
    );
    assert!(
        mails[0]
            .head()
            .contains(&"Content-Type: text/plain; charset=UTF-8")
    );
}

#[test]
fn an_add_that_moves_a_user_tells_the_old_address_too() {
    let (stage, outbox) = stage_with_outbox(&json!({}), sue_moves("susan@new.test"));
    applied(&stage.program.run(&welcoming(SUE)));
    let mails = outbox.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("To"), "sue@example.test");
    assert_eq!(
        mails[0].header("Subject"),
        "[Bob's Shop & Co] Email Changed"
    );
}

#[test]
fn an_address_that_stays_or_is_refused_is_not_told() {
    for email in ["SUE@example.test", "taken@example.test", "no address", ""] {
        let (stage, outbox) = stage_with_outbox(&json!({}), sue_moves(email));
        stage
            .site
            .sql(&["UPDATE wp_users SET user_email = 'taken@example.test' WHERE ID = 4"]);
        let answer = stage.program.run(&webhook("update", SUE));
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(outbox.mails().len(), 0, "{email}");
    }
}

#[test]
fn a_real_mail_server_gets_the_mail_over_every_kind_of_line() {
    let server = Server::start(Network::Tls);
    let folder = server.authority().parent().unwrap().to_path_buf();
    let file = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = (file("cert.pem"), file("key.pem"));
    let login = ["--login", "shop@example.test", "p:/ä&=%"];
    let in_url = "shop%40example.test:p%3A%2F%C3%A4&%3D%25";
    let lines = [
        (
            "STARTTLS and login",
            vec!["--tls", &certificate, &key],
            true,
            format!("smtp://{in_url}@localhost:PORT"),
            true,
        ),
        (
            "TLS and login",
            vec!["--tls", &certificate, &key, "--implicit"],
            true,
            format!("smtps://{in_url}@localhost:PORT"),
            true,
        ),
        (
            "an address for a name",
            vec!["--tls", &certificate, &key],
            true,
            format!("smtp://{in_url}@127.0.0.1:PORT/"),
            true,
        ),
        (
            "login on this machine",
            vec![],
            true,
            format!("smtp://{in_url}@localhost:PORT"),
            false,
        ),
        (
            "nothing",
            vec![],
            false,
            "smtp://127.0.0.1:PORT".to_owned(),
            false,
        ),
        (
            "IPv6",
            vec!["--host", "::1"],
            false,
            "smtp://[::1]:PORT".to_owned(),
            false,
        ),
        (
            "only ASCII",
            vec!["--no-8bit"],
            false,
            "smtp://localhost:PORT".to_owned(),
            false,
        ),
    ];
    for (about, mut arguments, has_login, url, tls) in lines {
        if has_login {
            arguments.extend(login);
        }
        let mail_server = MailServer::start(&arguments);
        let given = json!({"changed_settings": {"wp_options.WPLANG": "fr_FR"}});
        let (mut stage, outbox) = stage_with_outbox(&given, |_| {});
        let languages = stage.site.folder().join("wp-content/languages");
        fs::create_dir_all(&languages).unwrap();
        let french = "<?php return ['messages'=>['Username: %s'=>'Prénom: %s']];";
        fs::write(languages.join("fr_FR.l10n.php"), french).unwrap();
        stage.site.sql(&[
            "UPDATE wp_options SET option_value = 'Zoë&#039;s' WHERE option_name = 'blogname'",
        ]);
        trust(&mut stage, &server);
        lead_mails_to(&mut stage, &url, mail_server.port);

        assert_eq!(
            applied(&stage.program.run(&welcoming(NORA))),
            "",
            "{about}: {:?}",
            complaints(&stage)
        );

        let mails = mail_server.finish();
        assert_eq!(mails.len(), 1, "{about}");
        let mail = &mails[0];
        assert_eq!(mail["from"], "wordpress@shop.example.test", "{about}");
        assert_eq!(mail["to"], json!(["nora@example.test"]), "{about}");
        assert_eq!(mail["tls"], tls, "{about}");
        let user = if has_login {
            json!(login[1])
        } else {
            Value::Null
        };
        assert_eq!(mail["login"], user, "{about}");
        let text = mail["text"].as_str().unwrap();
        assert!(
            text.contains("\nSubject: =?UTF-8?Q?[Zo=C3=AB's]_Login_Details?=\n"),
            "{text}"
        );
        let lines = match about {
            "only ASCII" => [
                "\n\nPr=C3=A9nom: nora@example.test\n",
                "login=3Dnora%40example.test",
            ],
            _ => [
                "\n\nPrénom: nora@example.test\n",
                "?login=nora%40example.test&key=",
            ],
        };
        for line in lines {
            assert!(text.contains(line), "{about}: {text}");
        }
        assert_eq!(
            outbox.mails().len(),
            0,
            "{about}: the server goes before the command"
        );
    }
}

/// What the log says of a certificate that nobody vouches for.
const UNTRUSTED: &str = "certificate is not trusted";

/// Why a mail server does not get a mail: its options, the address for it, the person's address, and what the log says.
type Broken<'a> = (&'a [&'a str], &'a str, &'a str, &'a str);

#[test]
fn a_mail_server_that_cannot_be_used_is_told_and_learns_no_password() {
    let server = Server::start(Network::Tls);
    let folder = server.authority().parent().unwrap().to_path_buf();
    let file = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = (file("cert.pem"), file("key.pem"));
    let tls = ["--tls", &certificate, &key];
    let implicit = [tls.as_slice(), &["--implicit"]].concat();
    let secure = [tls.as_slice(), &["--login", "u", "right"]].concat();
    let open = ["--login", "u", "hush hush"];
    let cases: [Broken<'_>; 7] = [
        (
            &[],
            "smtp://localhost:PORT",
            "nobody@example.test",
            "did not take the mail (status 550)",
        ),
        (
            &[],
            "smtp://localhost:PORT",
            "later@example.test",
            "did not take the mail (status 451)",
        ),
        (
            &secure,
            "smtp://u:hush%20hush@localhost:PORT",
            "nora@example.test",
            "did not accept the login (status 535)",
        ),
        (
            &secure,
            "smtp://localhost:PORT",
            "nora@example.test",
            "did not take the mail (status 530)",
        ),
        // The same machine under a name that says nothing: to the program it is another one.
        (
            &open,
            "smtp://u:hush%20hush@127.1:PORT",
            "nora@example.test",
            "offers no STARTTLS",
        ),
        (
            &implicit,
            "smtps://u:hush%20hush@localhost:PORT",
            "nora@example.test",
            UNTRUSTED,
        ),
        (
            &tls,
            "smtp://u:hush%20hush@localhost:PORT",
            "nora@example.test",
            UNTRUSTED,
        ),
    ];
    for (arguments, url, email, reason) in cases {
        let mail_server = MailServer::start(arguments);
        let (mut stage, _outbox) = stage_with_outbox(&json!({}), |world| {
            world.subscribers[1] = Subscriber::new(NORA, email, &["11"]);
        });
        if reason != UNTRUSTED {
            trust(&mut stage, &server);
        }
        lead_mails_to(&mut stage, url, mail_server.port);

        let answer = stage.program.run(&welcoming(NORA));

        assert!(
            applied(&answer).contains("could not be handed over"),
            "{answer}"
        );
        let complaints = complaints(&stage);
        assert_eq!(complaints.len(), 1, "{url}: {complaints:?}");
        assert!(
            complaints[0].message.contains(reason),
            "{url}: {complaints:?}"
        );
        let said = format!("{answer} {complaints:?}");
        assert!(!said.contains("hush"), "{said}");
        assert_eq!(mail_server.finish().len(), 0, "{url}");
    }
}

/// A server that greets byte by byte and never gets to the end of the line; it stops when the sender is dropped.
fn dripping_server() -> (u16, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (keep, kept) = mpsc::channel();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let pace = Duration::from_millis(100);
        while kept.recv_timeout(pace) == Err(RecvTimeoutError::Timeout)
            && client.write_all(b"2").is_ok()
        {}
    });
    (port, keep)
}

#[test]
fn a_mail_server_that_is_silent_slow_or_away_is_not_waited_for() {
    // Takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let (silent_port, away_port) = (port(&silent), port(&away));
    let (dripping_port, _keep) = dripping_server();
    drop(away);
    for (port, reason) in [
        (silent_port, "did not answer in time"),
        (dripping_port, "did not answer in time"),
        (away_port, "does not answer"),
    ] {
        let (mut stage, _outbox) = stage_with_outbox(&json!({}), |_| {});
        lead_mails_to(&mut stage, "smtp://127.0.0.1:PORT", port);
        let answer = stage.program.run(&welcoming(NORA));
        assert!(
            applied(&answer).contains("could not be handed over"),
            "{answer}"
        );
        let complaints = complaints(&stage);
        assert!(complaints[0].message.contains(reason), "{complaints:?}");
    }
    drop(silent);
}

/// The bodies of the events that Bento got.
fn events(stage: &Stage) -> Vec<Value> {
    let calls = stage.bento.calls();
    let calls = calls
        .iter()
        .filter(|call| call.path == "/api/v1/batch/events");
    calls
        .map(|call| serde_json::from_str(&call.body).unwrap())
        .collect()
}

#[test]
fn an_event_in_bento_can_take_the_place_of_the_welcome_mail() {
    let given = json!({"changed_settings": {"wp_options.blogname": "Zoë&#039;s"}});
    let (mut stage, outbox) = stage_with_outbox(&given, |_| {});
    stage
        .site
        .define("BENTO_WEBHOOKS_WELCOME_EVENT", "$wordpress.account_created");

    applied(&stage.program.run(&webhook("add", SUE)));
    assert_eq!(events(&stage).len(), 0, "nobody asked for it");
    let answer = stage.program.run(&welcoming(NORA));

    assert_eq!(applied(&answer), "");
    assert_eq!(outbox.mails().len(), 0);
    let events = events(&stage);
    assert_eq!(events.len(), 1);
    let event = &events[0]["events"][0];
    assert_eq!(event["type"], "$wordpress.account_created");
    assert_eq!(event["email"], "nora@example.test");
    let details = &event["details"];
    assert_eq!(details["login"], "nora@example.test");
    assert_eq!(details["site_name"], "Zoë's");
    assert_eq!(details["language"], "en_US");
    let link = details["set_password_url"].as_str().unwrap();
    let start = "http://shop.example.test/wp-login.php?login=nora%40example.test&key=";
    assert!(
        link.starts_with(start) && link.ends_with("&action=rp"),
        "{link}"
    );
    assert!(stored_key(&stage).contains(":$generic$"));
    let key = &link[start.len()..start.len() + 20];
    assert!(!format!("{answer}").contains(key), "{answer}");
}

#[test]
fn an_event_that_bento_does_not_take_is_told() {
    let (mut stage, outbox) = stage_with_outbox(&json!({}), |world| {
        let fault = Fault::status(500, "{}");
        world.scripts = vec![Script {
            fault,
            skip: 1,
            times: 1,
        }];
    });
    stage.site.define("BENTO_WEBHOOKS_WELCOME_EVENT", "welcome");
    let remark = applied(&stage.program.run(&welcoming(NORA)));
    assert!(
        remark.contains("the welcome event could not be sent"),
        "{remark}"
    );
    let complaints = complaints(&stage);
    assert_eq!(
        (complaints.len(), complaints[0].level),
        (1, 500),
        "{complaints:?}"
    );
    assert_eq!(outbox.mails().len(), 0);
}

#[test]
fn an_event_that_bento_does_not_take_is_sent_again_and_its_link_is_told_to_nobody_else() {
    let (mut stage, outbox) = stage_with_outbox(&json!({}), |_| {});
    stage.site.define("BENTO_WEBHOOKS_WELCOME_EVENT", "welcome");
    let faults = [
        Fault::status(500, "{}"),
        Fault::too_many(Some(7)),
        Fault::status(200, "{\"results\":0,\"failed\":1}"),
        Fault::html(502, "<h1>Bad gateway</h1>"),
    ];
    let mut said = String::new();
    for (index, fault) in faults.iter().enumerate() {
        stage.bento.world().scripts = vec![Script {
            fault: fault.clone(),
            skip: usize::from(index == 0),
            times: 1,
        }];
        if index == 0 {
            let answer = stage.program.run(&welcoming(NORA));
            let remark = applied(&answer);
            assert!(remark.contains("it will be tried again"), "{remark}");
            said += &format!("{answer}");
        } else {
            make_due(&stage);
            stage.program.work();
        }
        for list in [["queue", "--json"].as_slice(), &["queue"]] {
            said += &format!("{:?}", stage.program.command(list));
        }
    }
    make_due(&stage);
    stage.program.work();
    make_due(&stage);
    stage.program.work();

    let events = events(&stage);
    assert_eq!(events.len(), faults.len() + 1, "taken once");
    assert!(events.iter().all(|event| *event == events[0]), "{events:?}");
    let link = events[0]["events"][0]["details"]["set_password_url"]
        .as_str()
        .unwrap();
    let (_, key) = link.split_once("key=").unwrap();
    let key = &key[..20];
    let log = state::log(&stage.site.database);
    said += &format!("{log:?}");
    assert!(!said.contains(key), "{said}");
    assert_eq!(complaints(&stage).len(), 1, "{:?}", complaints(&stage));
    assert_eq!(outbox.mails().len(), 0);
}

#[test]
fn a_mail_server_that_wants_to_be_asked_twice_gets_the_mail_once() {
    let server = MailServer::start(&[]);
    let (mut stage, _outbox) = stage_with_outbox(&json!({}), |world| {
        world.subscribers[1] = Subscriber::new(NORA, "grey@example.test", &["11"]);
    });
    lead_mails_to(&mut stage, "smtp://localhost:PORT", server.port);
    let remark = applied(&stage.program.run(&welcoming(NORA)));
    assert!(remark.contains("it will be tried again"), "{remark}");
    make_due(&stage);
    stage.program.work();
    make_due(&stage);
    stage.program.work();
    assert_eq!(server.finish().len(), 1);
}

#[test]
fn a_command_that_does_not_read_to_the_end_is_judged_by_its_status() {
    let given = json!({"changed_settings": {"wp_options.WPLANG": "fr_FR"}});
    for (command, failure) in [
        ("/bin/true", None),
        ("/usr/bin/head -c 1", None),
        ("/bin/false", Some("failed with status 1")),
    ] {
        for lines in [10, 100_000] {
            let (mut stage, _outbox) = stage_with_outbox(&given, |_| {});
            stage.site.define("BENTO_WEBHOOKS_SENDMAIL", command);
            greet_at_length(&stage, lines);
            applied(&stage.program.run(&welcoming(NORA)));
            let complaints = complaints(&stage);
            let told = complaints.first().map(|row| row.message.as_str());
            match (told, failure) {
                (None, None) => {}
                (Some(told), Some(failure)) => assert!(told.contains(failure), "{told}"),
                _ => panic!("{command} {lines}: {told:?}"),
            }
        }
    }
}
