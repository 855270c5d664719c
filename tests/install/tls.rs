//! A site that is on https only, with a certificate that nobody but its owner has signed.

use std::fs;
use std::net::TcpListener;

use serde_json::json;

use crate::certificate::Certificate;
use crate::hosting::{Apache, Gateway, Hosting, KEY, Layout, Php, Shop};
use crate::watch::{fetch, home_is_up, program_answers, while_home_is_up};

/// Sends whoever comes by plain http to https: as the server itself does, or as plugins write it into `.htaccess`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Redirect {
    Server,
    Htaccess,
}

/// The site, and its address by plain http.
fn on_https(redirect: Redirect) -> Option<(Apache, String)> {
    let mut shop = Shop::new(Layout::Root)?;
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let plain = shop.address.clone();
    shop.address = format!("https://localhost:{port}");
    shop.set_option("home", &json!(shop.address));
    shop.set_option("siteurl", &json!(shop.address));
    let rules = format!(
        "RewriteEngine On
RewriteCond %{{HTTPS}} !=on
RewriteRule ^ {}%{{REQUEST_URI}} [R=301,L]
",
        shop.address
    );
    let certificate = Certificate::new("localhost", "+90 days");
    let mut hosting = Hosting::everything(Php::Fpm, Gateway::Cgid);
    hosting.server_lines = certificate.lines(port);
    match redirect {
        Redirect::Server => hosting.server_lines += &rules,
        Redirect::Htaccess => {
            let own = fs::read_to_string(shop.htaccess()).unwrap();
            fs::write(shop.htaccess(), rules + &own).unwrap();
        }
    }
    Some((Apache::start(shop, hosting), plain))
}

#[test]
fn a_site_on_https_only_is_installed_and_proven() {
    for redirect in [Redirect::Server, Redirect::Htaccess] {
        let Some((apache, plain)) = on_https(redirect) else {
            return;
        };
        let shop = &apache.shop;
        let before = shop.tree();
        let ended = while_home_is_up(shop, || shop.install(&["--yes"]));
        assert_eq!(
            ended.code,
            Some(0),
            "{redirect:?} {ended:?}\n{}",
            apache.errors()
        );
        // Bento may not accept what nobody has signed.
        assert!(
            ended
                .said
                .contains("warn  reached only through 127.0.0.1: the certificate is not accepted"),
            "{redirect:?} {ended:?}"
        );
        program_answers(shop);
        home_is_up(shop);
        // A rule in .htaccess comes after ours; one in the server itself cannot be outrun.
        let answer = fetch(
            &format!("{plain}/?wpf_action=test&access_key={KEY}"),
            Some("{}"),
        );
        let expected = match redirect {
            Redirect::Server => (301, false),
            Redirect::Htaccess => (200, true),
        };
        assert_eq!(
            (answer.status, answer.signature.is_some()),
            expected,
            "{redirect:?} {answer:?}"
        );
        assert_eq!(fetch(&format!("{plain}/"), None).status, 301);
        let ended = shop.install(&["--undo"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(shop.tree().difference(&before), [""; 0], "{ended:?}");
    }
}

/// The address that WordPress has is plain http and redirected: setup says which one to use, and nothing stays.
#[test]
fn an_address_that_redirects_every_post_is_not_installed() {
    let Some((apache, plain)) = on_https(Redirect::Server) else {
        return;
    };
    let shop = &apache.shop;
    let before = shop.tree();
    let ended = shop.install(&["--yes", "--url", &plain]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let next = format!("again with  --url {}\n", shop.address);
    assert!(ended.errors.contains(&next), "{next} {ended:?}");
    assert_eq!(shop.tree().difference(&before), [""; 0], "{ended:?}");
    let ended = shop.install(&["--yes", "--url", &shop.address]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
