//! Our mails beside those of real WordPress, and our links in its hands.

use crate::support::bento::{Bento, Subscriber, World};
use crate::support::cgi::{Answer, Request};
use crate::support::database::Server;
use crate::support::mail::{Mail, Outbox};
use crate::support::recording::Base;
use crate::wordpress::{Release, SECOND, WordPress};
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use url::Url;

const BINARY: &str = env!("CARGO_BIN_EXE_bento-webhooks");
const UUID: &str = "deadbeef-0000-4000-8000-000000000009";

const RELEASES: [(&str, (u32, u32)); 3] =
    [("bookworm", (6, 1)), ("trixie", (6, 8)), ("sid", (7, 1))];

macro_rules! on_every_release {
    ($($test:ident)*) => {
        on_every_release! { @ wordpress_6_1 0 [$($test)*] }
        on_every_release! { @ wordpress_6_8 1 [$($test)*] }
        on_every_release! { @ wordpress_7_1 2 [$($test)*] }
    };
    (@ $module:ident $index:literal [$($test:ident)*]) => {
        mod $module {
            $(#[test] fn $test() {
                let (suite, version) = super::RELEASES[$index];
                super::$test(super::Release { suite, version });
            })*
        }
    };
}

on_every_release! {
    our_mails_are_those_of_wordpress
    a_german_site_speaks_german_and_spells_names_so
    a_network_sends_people_to_its_own_page
    a_network_speaks_its_language_unless_a_site_has_its_own
    links_and_sender_follow_the_sites_addresses
    the_link_lets_a_new_user_in
}

/// Real WordPress, the program, and where their mails end up.
struct Side {
    site: WordPress,
    bento: Bento,
    base: Base,
    ours: Outbox,
    theirs: Outbox,
}

impl Side {
    fn by_side(mut site: WordPress, paths: &[&str]) -> Side {
        let base = Base::load("newest");
        let bento = Bento::start(World::new(base.account(), &base.tags()));
        let outbox = || Outbox::new(Server::shared().new_folder());
        let (ours, theirs) = (outbox(), outbox());
        site.define("BENTO_WEBHOOKS_API_URL", &format!("'{}'", bento.api_url()));
        site.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "6000");
        site.define("BENTO_WEBHOOKS_SENDMAIL", &format!("'{}'", ours.command()));
        let mut settings = base.json["wpf_options"].clone();
        // No note of the site's address: the site may move.
        settings["site_url"] = json!("");
        for (key, field) in [("user_login", "username"), ("locale", "locale")] {
            settings["contact_fields"][key] =
                json!({"active": "1", "type": "text", "crm_field": field});
        }
        for path in paths {
            site.ask(path, "set_options", json!([{"wpf_options": settings}]));
        }
        Side {
            site,
            bento,
            base,
            ours,
            theirs,
        }
    }

    fn send(&self, path: &str, action: &str, email: &str, fields: Value) -> Answer {
        self.bento.world().subscribers =
            vec![Subscriber::new(UUID, email, &["11"]).with_fields(fields)];
        let key = self.base.access_key();
        let target = format!("{path}?wpf_action={action}&access_key={key}&send_notification=true");
        let request = Request::post(&target, &json!({ "id": UUID }).to_string());
        let answer = self.site.program(BINARY).run(&request);
        assert_eq!(
            (answer.status, answer.result().as_str()),
            (200, "applied"),
            "{answer}"
        );
        if !answer.json()["reason"].is_null() {
            // On a busy machine the command may be too slow for a sender who waits.
            self.site
                .sql(&["UPDATE wp_bento_webhooks_inbox SET due = 0"]);
            self.site.program(BINARY).work();
        }
        answer
    }

    /// The same cases through both, mail by mail.
    fn compare(&self, path: &str, cases: &[Value]) {
        let (our_first, their_first) = (self.ours.mails().len(), self.theirs.mails().len());
        let made = self.site.send_mails(path, &self.theirs.command(), cases);
        for (case, made) in cases.iter().zip(made.as_array().unwrap()) {
            let text = |name: &str| case[name].as_str().unwrap();
            let of = |name: &str| made[name].as_str().unwrap();
            self.site
                .set_option(of("options"), "blogname", of("blogname"));
            let fields = json!({"username": case["login"], "locale": case["locale"]});
            self.send(path, "add", text("email"), fields.clone());
            for column in ["user_login", "user_nicename"] {
                let ours = self.site.user_column(text("email"), column);
                assert_eq!(ours, of(column), "{case}");
            }
            self.send(path, "update", text("new_email"), fields);
            self.site.sql(&[
                "DELETE FROM wp_usermeta WHERE user_id > 1",
                "DELETE FROM wp_users WHERE ID > 1",
            ]);
        }
        let mut ours = self.ours.mails().split_off(our_first);
        // A command that was killed may have kept the mail all the same.
        ours.dedup_by(|again, mail| again.text == mail.text);
        let theirs = self.theirs.mails().split_off(their_first);
        assert_eq!(theirs.len(), cases.len() * 2);
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(
                masked(ours),
                masked(theirs),
                "\n{}\n{}",
                ours.text,
                theirs.text
            );
        }
    }
}

/// A mail without what is dated, random or the mailer's own name.
fn masked(mail: &Mail) -> Vec<String> {
    let line = |line: &str| match line.split_once(": ") {
        Some((name @ ("Date" | "Message-ID" | "X-Mailer"), _)) => name.to_owned(),
        _ => match line.split_once("key=") {
            Some((start, rest)) => {
                let end = rest.split_once('&').map_or("", |(_, end)| end);
                format!("{start}key=KEY&{end}")
            }
            None => line.to_owned(),
        },
    };
    let text = match mail.text.split_once("quoted-printable\n\n") {
        Some((head, body)) => format!("{head}quoted-printable\n\n{}", unquoted(body)),
        None => mail.text.clone(),
    };
    [mail.arguments.clone()]
        .into_iter()
        .chain(text.split('\n').map(line))
        .collect()
}

/// A quoted-printable body as it was: WordPress's mailer quotes line breaks too.
fn unquoted(body: &str) -> String {
    let body = body.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = body.trim_end().as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'=', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap();
                (u8::from_str_radix(digits, 16).unwrap(), after)
            }
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).unwrap()
}

fn case(index: usize, site_name: &str, login: &str, locale: &str) -> Value {
    json!({
        "site_name": site_name, "login": login, "locale": locale,
        "email": format!("new.person{index}@example.test"),
        "new_email": format!("moved{index}@example.test"),
    })
}

/// Names of sites, among them those whose subject is just at a limit of the mailer.
fn site_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "Test & Co",
        "Bob's \"Shop\" <b> &amp;",
        "100% Site %s %1$s",
        "[Brackets] = ? _ ,;:()<>@",
        "A rather long plain name that goes on and on = and on for the shop in _Berlin_ which has more of it?",
        "Zoë's Café 🎉 & a rather long name that makes the subject line wrap somewhere",
        "日本語 サイト",
        "とても長い日本語のサイトの名前、本当に長くて件名が何行にもなります",
        "Ελληνικά και English μαζί σε έναν τίτλο",
        "🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉",
    ]
    .map(str::to_owned)
    .into();
    names.extend([30, 31, 32, 990, 1000].map(|length| "a".repeat(length)));
    names.extend(["long name, ", "é und ü = ", "🎉日 "].map(|part| part.repeat(120)));
    names.extend(
        [
            "Tab\there",
            "  blanks  ",
            "=?UTF-8?Q?x=0D=0ABcc:_eve@evil.test?=",
            "a\r\nBcc: eve@evil.test",
            "a\u{7f}b\u{1}c",
            "\"Eve, <eve@evil.test>\", 'x'",
        ]
        .map(str::to_owned),
    );
    names.extend(
        (45..50).map(|length| format!("{}é🎉é{}", "a".repeat(length - 12), "b".repeat(60))),
    );
    names
}

fn our_mails_are_those_of_wordpress(release: Release) {
    let Some(site) = WordPress::single(release) else {
        return;
    };
    let side = Side::by_side(site, &["/"]);
    let logins = [
        "zoe & co",
        "jane.doe@example.com",
        "José Müller",
        "bob.",
        "a b_c-d.e",
    ];
    let names = site_names();
    let cases = names.iter().enumerate().map(|(index, name)| {
        let login = logins[index % logins.len()];
        case(index, name, &format!("{login}{index}"), "")
    });
    side.compare("/", &cases.collect::<Vec<_>>());
}

fn a_german_site_speaks_german_and_spells_names_so(release: Release) {
    let Some(site) = WordPress::single(release) else {
        return;
    };
    let kind = if release.version == (6, 1) {
        "mo"
    } else {
        "php"
    };
    let german = json!({
        "[%s] Login Details": "[%s] Deine Zugangsdaten – schön, dass du da bist",
        "Username: %s": "Benutzername: %1$s (100%%)",
        "e1891ac828562f9d72d497cee576c7b75d8100870f8ded0a6df0078ebda364e4": "Wähle hier dein Passwort, 'so' \\ so:",
        "[%s] Email Changed": "[%s] Neue Adresse",
        "a2cd39c4be4a5d1fe3409a634551101b831f1d7d32eaaa35cd6af99307848966":
            "Grüß dich ###USERNAME###,\n\ndeine Adresse auf ###SITENAME### ist jetzt ###NEW_EMAIL###\nstatt ###EMAIL###.\n\n###ADMIN_EMAIL###\n###SITEURL###",
        "Display name based on first name and last name\u{4}%1$s %2$s": "%2$s, %1$s",
    });
    site.install_language("de_DE", kind, &german);
    // Owners do that, too.
    site.install_language(
        "en_US",
        kind,
        &json!({"Username: %s": "Your name here: %s"}),
    );
    let side = Side::by_side(site, &["/"]);
    side.site
        .ask("/", "set_options", json!([{"WPLANG": "de_DE"}]));
    let cases = [
        case(0, "Grüne Bücher", "Jörg Müßig", ""),
        case(1, "Grüne Bücher", "Übel", "en_US"),
        case(2, "Plain Shop", "Ärger", "de_DE"),
        case(3, "Plain Shop", "Öse", "xx_XX"),
    ];
    side.compare("/", &cases);
    let ours = side.ours.mails();
    assert!(
        ours[0].link().contains("?login=Joerg%20Muessig&")
            || ours[0].link().ends_with("&login=Joerg%20Muessig"),
        "{}",
        ours[0].text
    );
    assert!(
        ours[0]
            .body()
            .contains("Wähle hier dein Passwort, 'so' \\ so:"),
        "{}",
        ours[0].text
    );
    assert!(!ours[2].body().contains("Wähle hier"), "{}", ours[2].text);
}

fn a_network_sends_people_to_its_own_page(release: Release) {
    let Some(site) = WordPress::network(release) else {
        return;
    };
    let side = Side::by_side(site, &["/", SECOND]);
    side.compare("/", &[case(0, "First", "nora", "")]);
    side.compare(SECOND, &[case(1, "Second", "Sue.Two", "")]);
    let link = side.ours.mails()[2].link().to_owned();
    assert!(
        link.starts_with("http://shop.example.test/wp-login.php?"),
        "{link}"
    );
}

fn a_network_speaks_its_language_unless_a_site_has_its_own(release: Release) {
    let Some(mut site) = WordPress::network(release) else {
        return;
    };
    let folder = site.folder().join("words");
    site.define("WP_LANG_DIR", &format!("'{}'", folder.display()));
    for (locale, word) in [("de_DE_formal", "Ihr Name"), ("fr_FR", "Prénom")] {
        site.install_language(locale, "mo", &json!({"Username: %s": format!("{word}: %s"), "[%s] Login Details": format!("[%s] {word}")}));
    }
    site.sql(&[
        "DELETE FROM wp_sitemeta WHERE meta_key = 'WPLANG'",
        "INSERT INTO wp_sitemeta (site_id, meta_key, meta_value) VALUES (1, 'WPLANG', 'de_DE_formal')",
        "DELETE FROM wp_options WHERE option_name = 'WPLANG'",
        "DELETE FROM wp_2_options WHERE option_name = 'WPLANG'",
    ]);
    let side = Side::by_side(site, &["/", SECOND]);
    side.compare("/", &[case(0, "First", "nora", "")]);
    side.compare(SECOND, &[case(1, "Second", "nora", "")]);
    let subject = |index: usize| side.ours.mails()[index].header("Subject");
    assert_eq!(
        (subject(0), subject(2)),
        (
            "[First] Ihr Name".to_owned(),
            "[Second] Ihr Name".to_owned()
        )
    );
    side.site
        .ask(SECOND, "set_options", json!([{"WPLANG": ""}]));
    side.compare("/", &[case(2, "First", "nora", "fr_FR")]);
    side.compare(SECOND, &[case(3, "Second", "nora", "")]);
    assert_eq!(subject(6), "[Second] Login Details");
    side.site
        .ask(SECOND, "set_options", json!([{"WPLANG": "fr_FR"}]));
    side.compare(
        SECOND,
        &[
            case(4, "Second", "nora", ""),
            case(5, "Second", "sue", "en_US"),
            case(6, "Second", "max", "de_DE_formal"),
        ],
    );
}

fn links_and_sender_follow_the_sites_addresses(release: Release) {
    let Some(site) = WordPress::single(release) else {
        return;
    };
    let mut side = Side::by_side(site, &["/"]);
    let addresses = [
        (
            "http://shop.example.test:8080/wp",
            "http://shop.example.test:8080",
        ),
        (
            "https://www.shop.example.test",
            "https://www.shop.example.test/blog",
        ),
        ("https://a.test/wp", "http://b.test"),
        ("http://a.test", "https://www.b.test:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        (
            "http://Shop.Example.test/WP/",
            "http://WWW.Shop.Example.test/",
        ),
        (
            "http://shop.example.test",
            "http://www.www.shop.example.test",
        ),
    ];
    let compare = |side: &Side, index: usize| {
        let (siteurl, home) = addresses[index % addresses.len()];
        side.site.ask(
            "/",
            "set_options",
            json!([{"siteurl": siteurl, "home": home}]),
        );
        side.compare("/", &[case(index, home, &format!("nora {index}+@"), "")]);
    };
    for index in 0..7 {
        compare(&side, index);
    }
    side.site.define("FORCE_SSL_ADMIN", "true");
    for index in [7, 9, 11] {
        compare(&side, index);
    }
}

/// PHP's own web server in front of a site; it ends when dropped.
struct WebServer {
    process: Child,
    address: String,
}

impl WebServer {
    fn start(site: &WordPress) -> WebServer {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        // The files are links into Debian's package, which has a wp-config.php of its own.
        let home = site.folder().join("home.php");
        std::fs::write(&home, "<?php define( 'ABSPATH', __DIR__ . '/' );").unwrap();
        let process = Command::new("php")
            .args(["-d", "sendmail_path=/bin/true", "-d"])
            .arg(format!("auto_prepend_file={}", home.display()))
            .args(["-S", &format!("127.0.0.1:{port}"), "-t"])
            .arg(site.folder())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "php -S does not come up"
            );
            thread::sleep(Duration::from_millis(10));
        }
        WebServer {
            process,
            address: format!("http://127.0.0.1:{port}"),
        }
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A browser as far as WordPress's log-in page needs one: it keeps cookies and follows where it is told.
struct Browser {
    agent: ureq::Agent,
    cookies: Vec<(String, String)>,
}

/// What a page said.
struct Page {
    status: u16,
    location: String,
    text: String,
}

impl Browser {
    fn new() -> Browser {
        let config = ureq::Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false);
        Browser {
            agent: config.build().into(),
            cookies: vec![(
                "wordpress_test_cookie".to_owned(),
                "WP%20Cookie%20check".to_owned(),
            )],
        }
    }

    fn cookies(&self) -> String {
        let pairs = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn get(&mut self, address: &str) -> Page {
        let request = self.agent.get(address).header("Cookie", self.cookies());
        let response = request.call().unwrap();
        self.read(address, response)
    }

    fn post(&mut self, address: &str, form: &[(&str, &str)]) -> Page {
        let request = self.agent.post(address).header("Cookie", self.cookies());
        let response = request.send_form(form.iter().copied()).unwrap();
        self.read(address, response)
    }

    fn read(&mut self, address: &str, mut response: ureq::http::Response<ureq::Body>) -> Page {
        for cookie in response.headers().get_all("set-cookie") {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap().to_owned();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value));
        }
        let location = response.headers().get("location");
        let location = location.map(|place| place.to_str().unwrap());
        let absolute = |place: &str| Url::parse(address).unwrap().join(place).unwrap();
        Page {
            status: response.status().as_u16(),
            location: location.map_or_else(String::new, |place| absolute(place).into()),
            text: response.body_mut().read_to_string().unwrap(),
        }
    }
}

/// The value of a hidden field of a form.
fn hidden<'p>(page: &'p Page, name: &str) -> &'p str {
    let field = page
        .text
        .split("<input")
        .find(|field| field.contains(&format!("name=\"{name}\"")));
    let (_, value) = field
        .unwrap_or_else(|| panic!("no {name} in {}", page.text))
        .split_once("value=\"")
        .unwrap();
    value.split('"').next().unwrap()
}

fn the_link_lets_a_new_user_in(release: Release) {
    let Some(site) = WordPress::single(release) else {
        return;
    };
    let server = WebServer::start(&site);
    let side = Side::by_side(site, &["/"]);
    side.site.ask(
        "/",
        "set_options",
        json!([{"siteurl": server.address, "home": server.address}]),
    );
    side.send(
        "/",
        "add",
        "new.person@example.test",
        json!({"username": "Zoë & Co."}),
    );
    let mails = side.ours.mails();
    let link = mails[0].link();
    assert!(
        link.starts_with(&format!("{}/wp-login.php?", server.address)),
        "{link}"
    );

    let mut stranger = Browser::new();
    let key = link
        .split_once("key=")
        .unwrap()
        .1
        .split('&')
        .next()
        .unwrap();
    let wrong = stranger.get(&link.replace(key, &key.chars().rev().collect::<String>()));
    assert_eq!(wrong.status, 302, "{}", wrong.text);
    let refused = stranger.get(&wrong.location);
    assert!(
        refused.location.contains("error=invalidkey"),
        "{} {}",
        refused.status,
        refused.location
    );

    let mut browser = Browser::new();
    let first = browser.get(link);
    assert_eq!(first.status, 302, "{}", first.text);
    let form = browser.get(&first.location);
    assert_eq!(form.status, 200, "{}", form.location);
    assert!(form.text.contains("resetpassform"), "{}", form.text);
    let login = hidden(&form, "rp_key").to_owned();
    assert_eq!(login, key);
    let password = "Grün 42 und mehr";
    let page = format!("{}/wp-login.php", server.address);
    let done = browser.post(
        &format!("{page}?action=resetpass"),
        &[("pass1", password), ("pass2", password), ("rp_key", &login)],
    );
    assert_eq!(done.status, 200, "{}", done.location);
    assert!(!done.text.contains("resetpassform"), "{}", done.text);

    let inside = browser.post(&page, &[("log", "Zoe Co."), ("pwd", password)]);
    assert_eq!(inside.status, 302, "{}", inside.text);
    assert!(
        browser
            .cookies
            .iter()
            .any(|(name, _)| name.starts_with("wordpress_logged_in_"))
    );
    let profile = browser.get(&format!("{}/wp-admin/profile.php", server.address));
    assert_eq!(profile.status, 200, "{}", profile.location);
    assert!(profile.text.contains("new.person@example.test"));
    let used = browser.get(link);
    let again = browser.get(&used.location);
    assert!(
        again.location.contains("error="),
        "a link works once: {}",
        again.text
    );
}
