//! Requests to a site, and a watch on its home page while something else happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ureq::tls::TlsConfig;

use crate::hosting::{HOME_PAGE, KEY, Shop};

/// An answer of the site.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// The header by which our program signs.
    pub(crate) signature: Option<String>,
}

/// A GET, or a POST of JSON; no redirect is followed, and whoever has signed a certificate is believed.
pub(crate) fn fetch(address: &str, json: Option<&str>) -> Answer {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(TlsConfig::builder().disable_verification(true).build())
        .build()
        .new_agent();
    let answer = match json {
        None => agent.get(address).call(),
        Some(json) => agent
            .post(address)
            .content_type("application/json")
            .send(json),
    };
    let mut answer = answer.unwrap_or_else(|error| panic!("{address}: {error}"));
    let signature = answer.headers().get("x-bento-webhooks");
    Answer {
        status: answer.status().as_u16(),
        signature: signature.map(|value| value.to_str().unwrap().to_owned()),
        body: answer.body_mut().read_to_string().unwrap(),
    }
}

/// Whether the program answers a webhook, GET and POST.
pub(crate) fn program_answers(shop: &Shop) {
    for json in [None, Some(r#"{"id":"x"}"#)] {
        let answer = fetch(
            &format!("{}/?wpf_action=test&access_key={KEY}", shop.address),
            json,
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.signature.is_some(), "{answer:?}");
    }
}

/// Addresses that are WordPress's own before and after.
const WORDPRESS: [&str; 12] = [
    "/",
    "/?x=1",
    "/no-such-page/",
    "/?wpf_action=thrivecart",
    "/?wpf_action=adder",
    "/?wpf_action=updatetags",
    "/?wpf_action=",
    "/?WPF_ACTION=add",
    "/?xwpf_action=add",
    "/?go=/?wpf_action=add",
    "/?p=1&wpf_action[]=add",
    "/wp-login.php?wpf_action=add",
];
/// Addresses that are ours.
const OURS: [&str; 9] = [
    "/?wpf_action=add",
    "/index.php?wpf_action=add",
    "/en/?wpf_action=update",
    "/any-page/?x=1&wpf_action=update_tags&y=2",
    "/?wpf%5Faction=ADD",
    "/?wpf_action=Update%5FTags",
    "/?wpf_action=test+",
    "/?wpf_action=add%20&access_key=wrong",
    "/?a=b&wpf_action=update",
];

/// Whether each address goes where it should: ours are refused by us, as they carry no key.
pub(crate) fn addresses_are_told_apart(shop: &Shop, site: &str) {
    for path in OURS {
        let answer = fetch(&format!("{}{path}", shop.address), Some("{}"));
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
        assert!(answer.signature.is_some(), "{path}: {answer:?}");
    }
    for path in WORDPRESS {
        let base = if path.starts_with("/wp-") {
            site
        } else {
            &shop.address
        };
        let answer = fetch(&format!("{base}{path}"), None);
        assert!(answer.signature.is_none(), "{path}: {answer:?}");
    }
}

/// Whether WordPress answers the home page.
pub(crate) fn home_is_up(shop: &Shop) {
    let answer = fetch(&format!("{}/", shop.address), None);
    assert!(
        answer.status == 200 && answer.body.contains(HOME_PAGE),
        "the home page is down: {answer:?}"
    );
}

/// Does the work while somebody asks for the home page all the time: it must always be there.
pub(crate) fn while_home_is_up<T: Send>(shop: &Shop, work: impl FnOnce() -> T + Send) -> T {
    let done = AtomicBool::new(false);
    let address = shop.address.clone();
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut count = 0;
            while !done.load(Ordering::SeqCst) {
                let answer = fetch(&format!("{address}/"), None);
                let is_up = answer.status == 200 && answer.body.contains(HOME_PAGE);
                assert!(is_up, "the home page was down: {answer:?}");
                count += 1;
            }
            count
        });
        let work = scope.spawn(work).join();
        done.store(true, Ordering::SeqCst);
        let count = watch.join().unwrap();
        assert!(count > 0, "nobody looked at the home page");
        work.unwrap()
    })
}
