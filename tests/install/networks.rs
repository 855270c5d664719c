//! A network of sites: one installation serves all of them, each with its own settings.

use crate::hosting::{Apache, Gateway, Hosting, KEY, Php, SECOND, SECOND_KEY, Shop};
use crate::watch::{fetch, while_home_is_up};

fn network() -> Option<Apache> {
    let shop = Shop::network()?;
    let hosting = Hosting::everything(Php::Fpm, Gateway::Cgid);
    Some(Apache::start(shop, hosting))
}

/// Each site takes its own key, and none takes another's.
fn each_site_has_its_own_key(shop: &Shop) {
    for (path, key, status) in [
        ("/", KEY, 200),
        ("/", SECOND_KEY, 403),
        (SECOND, SECOND_KEY, 200),
        (SECOND, KEY, 403),
    ] {
        let address = format!("{}{path}?wpf_action=test&access_key={key}", shop.address);
        for json in [None, Some("{}")] {
            let answer = fetch(&address, json);
            assert_eq!(answer.status, status, "{path} {key} {answer:?}");
            assert!(answer.signature.is_some(), "{path} {key} {answer:?}");
        }
    }
    for path in ["/", SECOND, "/second/?wpf_action=thrivecart"] {
        let answer = fetch(&format!("{}{path}", shop.address), None);
        assert_eq!(answer.status, 200, "{path} {answer:?}");
        assert!(answer.signature.is_none(), "{path} {answer:?}");
    }
}

#[test]
fn one_installation_serves_all_sites_of_a_network() {
    let Some(apache) = network() else { return };
    let shop = &apache.shop;
    let before = shop.tree();
    let second = format!("{}{SECOND}", shop.address);
    // Whichever site is named, the rules are those of the one folder that serves them all.
    for arguments in [&["--yes"][..], &["--yes", "--url", &second]] {
        let ended = while_home_is_up(shop, || shop.install(arguments));
        assert_eq!(ended.code, Some(0), "{ended:?}\n{}", apache.errors());
        let named = arguments.last().map(|last| last.trim_end_matches('/'));
        let named = named
            .filter(|last| last.starts_with("http"))
            .unwrap_or(&shop.address);
        assert!(ended.said.contains(&format!(", {named}\n")), "{ended:?}");
        each_site_has_its_own_key(shop);
        let ended = shop.install(&["--undo"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(shop.tree().difference(&before), [""; 0], "{ended:?}");
    }
}

/// WP Fusion may be used on one site of a network only.
#[test]
fn a_site_of_a_network_without_wp_fusion_is_told_to_name_another() {
    let Some(apache) = network() else { return };
    let shop = &apache.shop;
    let mut settings = shop.wp_fusion();
    settings["crm"] = serde_json::json!("");
    shop.set_option("wpf_options", &settings);
    let before = shop.tree();
    let ended = shop.install(&["--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .errors
            .contains("another site of the network with --url"),
        "{ended:?}"
    );
    assert_eq!(shop.tree().difference(&before), [""; 0], "{ended:?}");
    let ended = shop.install(&["--yes", "--url", &format!("{}{SECOND}", shop.address)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// What was installed for a site below a path is known again, and repaired.
#[test]
fn a_network_is_installed_once() {
    let Some(apache) = network() else { return };
    let shop = &apache.shop;
    let second = format!("{}{SECOND}", shop.address);
    assert_eq!(shop.install(&["--yes", "--url", &second]).code, Some(0));
    let again = shop.install(&["--yes"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.said.contains("Already installed, all "), "{again:?}");
}
