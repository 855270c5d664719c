//! Each imitated host, and each way in which Apache runs PHP and programs.

use crate::compare;
use crate::hosting::{Apache, Gateway, Host, Hosting, Layout, Php, is_root};
use crate::watch::{addresses_are_told_apart, home_is_up, program_answers, while_home_is_up};

/// How the installation must end on a host.
fn expected(host: Host) -> i32 {
    match host {
        Host::PleskWithoutCgi | Host::HtaccessIgnored | Host::NoModule => 3,
        _ => 0,
    }
}

/// Installs, looks, and takes it away again.
fn install_and_undo(apache: &Apache, code: i32, name: &str) {
    let shop = &apache.shop;
    let before = shop.tree();
    let path = shop.public.display().to_string();
    let ended = while_home_is_up(shop, || shop.install(&["--yes", "--path", &path]));
    assert_eq!(ended.code, Some(code), "{ended:?}\n{}", apache.errors());
    // Only root can give the server a user of its own, whom this output names.
    if is_root() || name != "Hestia" {
        compare(&format!("install_{name}.txt"), &ended, shop);
    }
    if code != 0 {
        assert_eq!(shop.tree().difference(&before), [""; 0], "{ended:?}");
        return;
    }
    program_answers(shop);
    home_is_up(shop);
    let again = shop.install(&["--yes", "--path", &path]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.said.contains("Already installed, all "), "{again:?}");
    let ended = while_home_is_up(shop, || shop.install(&["--uninstall"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(shop.tree().difference(&before), [""; 0], "{ended:?}");
}

fn on(host: Host, name: &str) {
    if let Some(apache) = Apache::host(host, Layout::Root) {
        install_and_undo(&apache, expected(host), name);
    }
}

macro_rules! hosts {
    ($($name:ident $host:ident)*) => {
        $(#[test] fn $name() { on(Host::$host, stringify!($host)); })*
        #[test]
        fn none_of_the_nine_is_left_out() {
            let here = [$(Host::$host),*];
            assert!(Host::ALL.iter().all(|host| here.contains(host)), "{here:?}");
        }
    };
}

hosts! {
    full_rules_are_taken_where_the_owner_may_do_everything Cpanel
    the_handler_alone_is_taken_where_options_are_forbidden Plesk
    nothing_changes_where_cgi_is_switched_off PleskWithoutCgi
    programs_may_run_as_the_user_of_the_server Hestia
    a_cgi_name_is_taken_where_nothing_else_runs DotCgi
    a_cgi_bin_in_the_document_root_is_taken CgiBinInside
    a_cgi_bin_beside_the_document_root_is_taken CgiBinBeside
    nothing_changes_where_htaccess_is_not_read HtaccessIgnored
    nothing_changes_where_apache_has_no_module NoModule
}

/// Modules of Apache for PHP and for programs, in all their pairs.
#[test]
fn every_pair_of_php_and_cgi_modules_tells_addresses_apart() {
    for (php, gateway) in [
        (Php::Module, Gateway::Cgi),
        (Php::Module, Gateway::Cgid),
        (Php::Fpm, Gateway::Cgi),
        (Php::Fpm, Gateway::Suexec),
    ] {
        let hosting = Hosting::everything(php, gateway);
        let Some(apache) = Apache::serve(hosting, Layout::Root) else {
            continue;
        };
        let ended = apache.shop.install(&["--yes"]);
        assert_eq!(ended.code, Some(0), "{ended:?}\n{}", apache.errors());
        addresses_are_told_apart(&apache.shop, &apache.shop.address);
    }
}

/// As an Apache 2.2 does, which has no `[END]`: a rule that it does not know makes everything below it fail.
#[test]
fn nothing_changes_where_the_server_does_not_know_our_rules() {
    let hosting = Hosting {
        allow: "None\nAllowOverrideList RewriteEngine",
        lines: "Options +ExecCGI\nFallbackResource /index.php",
        ..Hosting::everything(Php::Fpm, Gateway::Cgid)
    };
    let Some(apache) = Apache::serve(hosting, Layout::Root) else {
        return;
    };
    let shop = &apache.shop;
    // WordPress's own rules would fail as well.
    std::fs::remove_file(shop.htaccess()).unwrap();
    let before = shop.tree();
    let ended = while_home_is_up(shop, || shop.install(&["--yes"]));
    assert_eq!(ended.code, Some(3), "{ended:?}\n{}", apache.errors());
    assert!(
        ended
            .said
            .contains("500, this server does not take the rules"),
        "{ended:?}"
    );
    assert_eq!(shop.tree().difference(&before), [""; 0], "{ended:?}");
}
