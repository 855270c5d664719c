//! `web.get` to `web.keylog`: what the site answers to webhooks, and to what is none.
//!
//! Only an answer of ours with the nonce of the very request counts as success.

use super::finding::Finding;
use super::panel;
use super::patient::Patient;
use super::program::host as ask_host;
use super::queue;
use crate::echo::{KeyPlace, digest};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::setup::{self, Routing};
use crate::text::one_line;
use crate::web::{Ask, Failure, Reply, Verdict, Web, nonce, redacted};
use serde_json::json;
use url::Url;

/// Bytes of the body that must arrive whole.
const BODY: usize = 2048;
/// What the page of a firewall may be triggered by, and an owner's payload may hold.
const HTML: &str =
    "<p onclick=\"go()\">Hello <b>you</b>, <script>select * from users where 1=1</script></p>";

/// What a check of this file works with; none when there is no way to the site or no key.
fn at_hand(patient: &Patient) -> Option<(&Web, &Settings)> {
    let settings = patient.settings.get()?;
    let has_key = !settings.access_key.expose_str().trim().is_empty();
    patient
        .web
        .get()
        .filter(|_| has_key)
        .map(|web| (web, settings))
}

/// `web.get`
pub(super) fn get(patient: &Patient) -> Vec<Finding> {
    let Some((web, settings)) = at_hand(patient) else {
        return vec![Finding::skipped("needs wpf.settings")];
    };
    let nonce = nonce();
    let ask = Ask::test(&settings.access_key, &nonce);
    let (reply, verdict) = match judged(web, &ask, &nonce) {
        Ok(answer) => answer,
        Err(failure) => return vec![no_answer("GET", failure)],
    };
    match verdict {
        Verdict::Ours(echo) if echo.program != crate::echo::PROGRAM => vec![Finding::warning(
            format!("the web server runs {}", one_line(&echo.program)),
            "What is examined here is not what answers webhooks.",
            match newer(&echo.program, crate::echo::PROGRAM) {
                true => {
                    "run that program's own doctor:  ~/.bento-webhooks/bin/bento-webhooks doctor"
                }
                false => "install this version: sh install.sh",
            },
        )],
        Verdict::Ours(_) => vec![Finding::ok(format!(
            "program answers in {} ms",
            reply.took.as_millis().max(1)
        ))],
        // Bento sends POST, so that one decides.
        Verdict::Redirect { status, to } => {
            vec![Finding::info(format!(
                "GET is redirected: http {status} -> {}",
                without_query(&to)
            ))]
        }
        verdict => vec![wrong("GET", &verdict, web)],
    }
}

/// Whether the first of two programs, `bento-webhooks/1.2.3`, is of a later version.
fn newer(one: &str, other: &str) -> bool {
    let numbers = |name: &str| -> Vec<u32> {
        let version = name.rsplit('/').next().unwrap_or_default();
        version
            .split('.')
            .map_while(|part| part.parse().ok())
            .collect()
    };
    numbers(one) > numbers(other)
}

/// `web.post`
pub(super) fn post(patient: &Patient) -> Vec<Finding> {
    let body = json!({ "id": "doctor", "filler": "x".repeat(BODY) }).to_string();
    let body = body.as_bytes();
    match tested_with(patient, body) {
        Err(finding) => vec![finding],
        Ok((verdict, web)) => match verdict {
            Verdict::Ours(echo) if echo.length == body.len() && echo.sha256 == digest(body) => {
                vec![Finding::info(format!(
                    "POST of {} bytes arrived whole",
                    body.len()
                ))]
            }
            Verdict::Ours(echo) => vec![Finding::failure(
                format!(
                    "of a POST with {} bytes, {} arrived",
                    body.len(),
                    echo.length
                ),
                "Without the body nobody knows whom a webhook is about.",
                ask_host("Please let POST bodies through to CGI programs unchanged."),
            )],
            verdict => vec![wrong("POST", &verdict, web)],
        },
    }
}

/// `web.html`
pub(super) fn html(patient: &Patient) -> Vec<Finding> {
    let body = json!({ "id": "doctor", "note": HTML }).to_string();
    let (verdict, web) = match tested_with(patient, body.as_bytes()) {
        Err(finding) => return vec![finding],
        Ok(answer) => answer,
    };
    match verdict {
        Verdict::Ours(echo) if echo.sha256 == digest(body.as_bytes()) => {
            vec![Finding::info("JSON with HTML in it gets through")]
        }
        Verdict::Blocked { .. } => vec![Finding::warning(
            format!("a body with HTML in it: {verdict}"),
            "A webhook whose payload holds more than an id, such as a note or a bio, is lost.",
            ask_host(&format!(
                "Please exempt {}?wpf_action=… from the web application firewall.",
                web.home()
            )),
        )],
        verdict => vec![wrong("POST with HTML in it", &verdict, web)],
    }
}

/// `web.key`
pub(super) fn key(patient: &Patient) -> Vec<Finding> {
    let Some((web, _)) = at_hand(patient) else {
        return vec![Finding::skipped("needs web.reach")];
    };
    let (nonce, wrong_key) = (nonce(), Secret::new(nonce()));
    match judged(web, &Ask::test(&wrong_key, &nonce), &nonce) {
        Err(failure) => vec![no_answer("GET with a wrong key", failure)],
        Ok((_, Verdict::Refused { status: 403, .. })) => {
            vec![Finding::info("a wrong key is refused")]
        }
        Ok((_, verdict)) => vec![Finding::failure(
            format!("a wrong key is not refused: {verdict}"),
            "Either anybody can change users, or something else answers in the program's place.",
            "install the program again: sh install.sh",
        )],
    }
}

/// `web.pass`
pub(super) fn pass(patient: &Patient) -> Vec<Finding> {
    let Some(web) = patient.web.get() else {
        return vec![Finding::skipped("needs web.reach")];
    };
    let pages = [
        ("the home page", Ask::get("")),
        (
            "?wpf_action=thrivecart",
            Ask::get("").with("wpf_action", "thrivecart"),
        ),
    ];
    let problems: Vec<Finding> = pages
        .iter()
        .filter_map(|(name, ask)| passed_on(name, ask, web))
        .collect();
    match problems.is_empty() {
        true => vec![Finding::ok("WordPress untouched")],
        false => problems,
    }
}

/// What is wrong with an address that is WordPress's own.
fn passed_on(name: &str, ask: &Ask<'_>, web: &Web) -> Option<Finding> {
    const WHY: &str = "Only webhooks may go to the program; everything else is WordPress's.";
    let next = "put our lines back as they were: bento-webhooks doctor --fix";
    match judged(web, ask, &nonce()) {
        Err(failure) => Some(no_answer(name, failure)),
        Ok((_, verdict)) if verdict.is_from_us() => Some(Finding::failure(
            format!("{name} goes to bento-webhooks instead of WordPress"),
            WHY,
            next,
        )),
        Ok((_, Verdict::Failed { status })) => Some(Finding::failure(
            format!("{name} answers {status}"),
            "Visitors see an error page.",
            panel::error_log(),
        )),
        Ok((
            _,
            Verdict::WordPress {
                status: status @ 500..=599,
            },
        )) => Some(Finding::failure(
            format!("{name}: WordPress answers {status}"),
            "Visitors see an error page.",
            panel::error_log(),
        )),
        Ok(_) => None,
    }
}

/// `web.leak`
pub(super) fn leak(patient: &Patient) -> Vec<Finding> {
    let Some(web) = patient.web.get() else {
        return vec![Finding::skipped("needs web.reach")];
    };
    let root = web.at("/");
    let leaks: Vec<Finding> = not_to_be_read(patient, web)
        .iter()
        .filter_map(|(path, mark, why)| {
            let path = path.trim_start_matches('/');
            let reply = root.send(&Ask::get(path)).ok()?;
            let leaks = reply.status == 200 && contains(&reply, mark);
            leaks.then(|| {
                Finding::failure(
                    format!("{}{path} can be read by anybody", root.home()),
                    *why,
                    ask_host(&format!(
                        "Please let {} read .htaccess files (AllowOverride All) and run PHP and CGI.",
                        web.home().host_str().unwrap_or_default()
                    )),
                )
            })
        })
        .collect();
    match leaks.is_empty() {
        true => vec![Finding::ok("nothing leaks")],
        false => leaks,
    }
}

/// Paths of files that nobody may read, with what stands in each, and why that matters.
fn not_to_be_read(patient: &Patient, web: &Web) -> [(String, &'static str, &'static str); 4] {
    const SECRETS: &str = "Anybody can read the database password.";
    const PATHS: &str = "It shows where your files are, and that programs may not run.";
    let home = web.home().path();
    let site = patient.settings.get().map(|settings| &settings.site_url);
    let site = site.and_then(|site| Url::parse(site).ok());
    let site = site.as_ref().map_or(home, Url::path);
    let stub = match patient
        .located
        .installation()
        .map(|own| &own.installed.route)
    {
        Some(Routing::Htaccess { block, .. }) => setup::target(block),
        _ => None,
    };
    let by_hand = format!("{home}bento-webhooks/receive");
    let stub = stub.unwrap_or(&by_hand);
    let (folder, _) = stub.rsplit_once('/').unwrap_or_default();
    [
        (
            format!("{}/wp-config.php", site.trim_end_matches('/')),
            "DB_PASSWORD",
            SECRETS,
        ),
        (stub.to_owned(), "BENTO_WEBHOOKS_WORDPRESS", PATHS),
        (format!("{folder}/.htaccess"), "cgi-script", PATHS),
        (format!("{home}.htaccess"), "BEGIN Bento Webhooks", PATHS),
    ]
}

fn contains(reply: &Reply, mark: &str) -> bool {
    String::from_utf8_lossy(&reply.body).contains(mark)
}

/// `web.keylog`
pub(super) fn key_place(patient: &Patient) -> Vec<Finding> {
    let Some((web, settings)) = at_hand(patient) else {
        return vec![Finding::skipped("needs wpf.settings")];
    };
    let nonce = nonce();
    let answer = judged(
        web,
        &Ask::test_by_header(&settings.access_key, &nonce),
        &nonce,
    );
    let arrives = answer.is_ok_and(
        |(_, verdict)| matches!(verdict, Verdict::Ours(echo) if echo.key == KeyPlace::Header),
    );
    let in_use = queue::seen(patient)
        .ok()
        .and_then(|overview| overview.last_key);
    vec![match (arrives, in_use) {
        (false, _) => Finding::info(
            "a key in a header does not arrive; access logs keep the one in the address",
        ),
        (true, None) => Finding::info(
            "a key in the header X-Bento-Webhooks-Key arrives; access logs keep only one in the address",
        ),
        (true, Some(KeyPlace::Header)) => Finding::ok("Bento sends the key in a header"),
        (true, Some(KeyPlace::Address)) => Finding::warning(
            "Bento sends the key in the address",
            "Access logs keep addresses, and whoever reads them can make users.",
            "in Bento, send the key in the header X-Bento-Webhooks-Key and take access_key out of the address",
        ),
    }]
}

/// Sends a `test` that starts work which begins when the answer is out.
pub(super) fn ask_for_work(patient: &Patient) -> Result<(), Finding> {
    let Some((web, settings)) = at_hand(patient) else {
        return Err(Finding::skipped("needs wpf.settings"));
    };
    let nonce = nonce();
    let ask = Ask::test(&settings.access_key, &nonce).with("after", "1");
    match judged(web, &ask, &nonce) {
        Ok((_, Verdict::Ours(_))) => Ok(()),
        Ok((_, verdict)) => Err(wrong("GET", &verdict, web)),
        Err(failure) => Err(no_answer("GET", failure)),
    }
}

/// Sends a `test` with a body.
fn tested_with<'p>(patient: &'p Patient, body: &[u8]) -> Result<(Verdict, &'p Web), Finding> {
    let Some((web, settings)) = at_hand(patient) else {
        return Err(Finding::skipped("needs web.reach"));
    };
    let nonce = nonce();
    let ask = Ask::test(&settings.access_key, &nonce).post(body);
    match judged(web, &ask, &nonce) {
        Ok((_, verdict)) => Ok((verdict, web)),
        Err(failure) => Err(no_answer("POST", failure)),
    }
}

fn judged(web: &Web, ask: &Ask<'_>, nonce: &str) -> Result<(Reply, Verdict), Failure> {
    let reply = web.send(ask)?;
    let verdict = Verdict::of(&reply, nonce);
    Ok((reply, verdict))
}

fn no_answer(what: &str, failure: Failure) -> Finding {
    Finding::failure(
        format!("{what}: {failure}"),
        "Bento gives up on a webhook that is not answered.",
        panel::error_log(),
    )
}

/// What it means that something else than our fresh answer came.
fn wrong(what: &str, verdict: &Verdict, web: &Web) -> Finding {
    let host = web.home().host_str().unwrap_or_default();
    let (seen, why, next) = match verdict {
        Verdict::Redirect { status, to } => (
            format!("{what} is redirected: http {status} -> {}", without_query(to)),
            "Bento repeats it without its body, so add and update do nothing.",
            format!("in Bento, use  {}", instead(to, web)),
        ),
        Verdict::WordPress { .. } => (
            format!("{what}: {verdict}"),
            "Webhooks go past the program to PHP: our lines are missing, or .htaccess is not read.",
            "run  sh install.sh : it puts the lines in, or says what to ask your host for".to_owned(),
        ),
        Verdict::Stale => (
            format!("{what}: {verdict}"),
            "Webhooks never reach the program while a cache answers for it.",
            "exclude addresses with wpf_action from the page cache, in its settings or with your host".to_owned(),
        ),
        Verdict::Blocked { .. } => (
            format!("{what}: {verdict}"),
            "Webhooks are turned away before the program sees them.",
            ask_host(&format!(
                "Please exempt {}?wpf_action=… from the firewall.",
                web.home()
            )),
        ),
        Verdict::Source => (
            verdict.to_string(),
            "Webhooks do nothing while the server does not run programs.",
            panel::allow_programs(host),
        ),
        Verdict::Failed { status: 502 | 504 } => (
            format!("{what}: {verdict}"),
            "Every webhook fails while nobody runs the program for the web server.",
            "start what runs it again:  systemctl restart bento-webhooks.socket".to_owned(),
        ),
        Verdict::Failed { .. } => (
            format!("{what}: {verdict}"),
            "Every webhook fails while the server cannot run the program.",
            "run  sh install.sh : it finds out where this host runs programs now".to_owned(),
        ),
        Verdict::Refused { .. } => (
            format!("{what}: {verdict}"),
            "The program that answers does not work with the settings seen here.",
            "install it again for this WordPress: sh install.sh".to_owned(),
        ),
        Verdict::Ours(_) | Verdict::Other { .. } => (
            format!("{what}: {verdict}"),
            "Webhooks do not reach the program.",
            "run  sh install.sh  again".to_owned(),
        ),
    };
    Finding::failure(seen, why, next)
}

/// An address without what we ourselves had put behind it.
fn without_query(address: &str) -> &str {
    address.split('?').next().unwrap_or_default()
}

/// The address to paste into Bento when the one in use is redirected.
fn instead(to: &str, web: &Web) -> String {
    let target = web.home().join(to).unwrap_or_else(|_| web.home().clone());
    let mut address: Url = target;
    address.set_query(Some("access_key=…&wpf_action=update"));
    address.set_fragment(None);
    redacted(address.as_str()).replace("%E2%80%A6", "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        for (one, other, is_newer) in [
            ("bento-webhooks/0.10.0", "bento-webhooks/0.9.9", true),
            ("bento-webhooks/1.0.0", "bento-webhooks/0.9.9", true),
            ("bento-webhooks/0.9.9", "bento-webhooks/0.10.0", false),
            ("bento-webhooks/1.0.0", "bento-webhooks/1.0.0", false),
            ("something", "bento-webhooks/1.0.0", false),
        ] {
            assert_eq!(newer(one, other), is_newer, "{one} {other}");
        }
    }
}
