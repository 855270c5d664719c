//! Sites of different shape, and other plugins that write the same `.htaccess`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::process::Command;

use serde_json::json;

use crate::hosting::{Apache, Gateway, Host, Hosting, KEY, Layout, Php, Shop, Tree, User, is_root};
use crate::watch::{
    addresses_are_told_apart, fetch, home_is_up, program_answers, while_home_is_up,
};

fn everything(layout: Layout) -> Option<Apache> {
    Apache::serve(Hosting::everything(Php::Fpm, Gateway::Cgid), layout)
}

#[test]
fn wordpress_may_live_in_a_folder_or_have_its_own() {
    for layout in [Layout::Folder, Layout::OwnFolder] {
        for host in [
            Host::Cpanel,
            Host::DotCgi,
            Host::CgiBinInside,
            Host::CgiBinBeside,
        ] {
            let Some(apache) = Apache::host(host, layout) else {
                continue;
            };
            let shop = &apache.shop;
            let before = shop.tree();
            let path = shop.public.display().to_string();
            let ended = while_home_is_up(shop, || shop.install(&["--yes", "--path", &path]));
            assert_eq!(
                ended.code,
                Some(0),
                "{layout:?} {host:?} {ended:?}\n{}",
                apache.errors()
            );
            let site = match layout {
                Layout::OwnFolder => format!("{}/wp", shop.address),
                _ => shop.address.clone(),
            };
            addresses_are_told_apart(shop, &site);
            let ended = shop.install(&["--undo"]);
            assert_eq!(
                shop.tree().difference(&before),
                [""; 0],
                "{layout:?} {host:?} {ended:?}"
            );
        }
    }
}

#[test]
fn saving_permalinks_leaves_our_lines_in_place() {
    let Some(apache) = everything(Layout::Root) else {
        return;
    };
    let shop = &apache.shop;
    assert_eq!(shop.install(&["--yes"]).code, Some(0));
    let with = fs::read_to_string(shop.htaccess()).unwrap();
    shop.save_permalinks();
    assert_eq!(fs::read_to_string(shop.htaccess()).unwrap(), with);
    program_answers(shop);
}

/// What other plugins do to the file: lines above, all lines trimmed, a block inside of WordPress's own markers.
#[test]
fn lines_that_others_pushed_down_or_trimmed_come_first_again() {
    let Some(apache) = everything(Layout::Root) else {
        return;
    };
    let shop = &apache.shop;
    let original = fs::read_to_string(shop.htaccess()).unwrap();
    assert_eq!(shop.install(&["--yes"]).code, Some(0));
    let ours = fs::read_to_string(shop.htaccess()).unwrap();
    let cache =
        "# BEGIN LSCACHE\n<IfModule LiteSpeed>\nCacheLookup on\n</IfModule>\n# END LSCACHE\n";
    let trimmed = |text: &str| -> String {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| format!("{line}\n"))
            .collect()
    };
    for (changed, is_first) in [
        (format!("{cache}{ours}"), false),
        (format!("{cache}{}", trimmed(&ours)), false),
        (trimmed(&ours), true),
        (format!("\n\n{ours}"), true),
        (original.clone(), false),
        (ours.replace("thrive", "x").replace("[END]", "[L]"), false),
    ] {
        fs::write(shop.htaccess(), &changed).unwrap();
        let ended = shop.install(&["--yes"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(
            ended.said.contains("Already installed"),
            is_first,
            "{changed}\n{ended:?}"
        );
        let now = fs::read_to_string(shop.htaccess()).unwrap();
        assert!(
            now.trim_start().starts_with("# BEGIN Bento Webhooks\n"),
            "{now}"
        );
        assert_eq!(now.matches("# BEGIN Bento Webhooks").count(), 1, "{now}");
        program_answers(shop);
    }
    // What others wrote after us stays when we go.
    let with_cache = format!("{cache}{ours}");
    fs::write(shop.htaccess(), &with_cache).unwrap();
    let ended = shop.install(&["--uninstall"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        fs::read_to_string(shop.htaccess()).unwrap(),
        format!("{cache}{original}")
    );
    assert!(!shop.public.join("bento-webhooks").exists());
    home_is_up(shop);
}

#[test]
fn mode_owner_and_link_of_htaccess_stay_as_they_are() {
    let Some(apache) = everything(Layout::Root) else {
        return;
    };
    let shop = &apache.shop;
    let real = shop.home.join("the-real-htaccess");
    fs::rename(shop.htaccess(), &real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o664)).unwrap();
    symlink(&real, shop.htaccess()).unwrap();
    shop.owner.own(&shop.htaccess());
    let before = shop.tree();
    assert_eq!(shop.install(&["--yes"]).code, Some(0));
    assert!(shop.htaccess().is_symlink());
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o7777,
        0o664
    );
    program_answers(shop);
    assert_eq!(shop.install(&["--undo"]).code, Some(0));
    assert_eq!(shop.tree().difference(&before), [""; 0]);
}

#[test]
fn a_site_without_htaccess_gets_one_and_loses_it_again() {
    let Some(apache) = everything(Layout::Root) else {
        return;
    };
    let shop = &apache.shop;
    fs::remove_file(shop.htaccess()).unwrap();
    let before = shop.tree();
    assert_eq!(shop.install(&["--yes"]).code, Some(0));
    program_answers(shop);
    assert_eq!(shop.install(&["--undo"]).code, Some(0));
    assert_eq!(shop.tree().difference(&before), [""; 0]);
}

/// suEXEC refuses files and folders that others may write, and everything that root owns.
#[test]
fn modes_are_what_suexec_wants_whatever_the_umask_says() {
    let Some(apache) = Apache::host(Host::Cpanel, Layout::Root) else {
        return;
    };
    let shop = &apache.shop;
    let command = format!(
        "umask 000; sh {}/install.sh --yes --path {}",
        crate::hosting::archive().display(),
        shop.public.display()
    );
    let output = shop.command("sh").args(["-c", &command]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let folder = shop.public.join("bento-webhooks");
    let prefix = shop.prefix();
    for (path, expected) in [
        (folder.clone(), 0o755),
        (folder.join("receive"), 0o755),
        (folder.join(".htaccess"), 0o644),
        (prefix.clone(), 0o700),
        (prefix.join("bin/bento-webhooks"), 0o700),
        (prefix.join("backup"), 0o700),
        (prefix.join("backup/0001-htaccess"), 0o600),
        (prefix.join("journal"), 0o600),
        (prefix.join("install.log"), 0o600),
    ] {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    program_answers(shop);
}

#[test]
fn the_programs_file_is_never_handed_out() {
    for host in [Host::Cpanel, Host::Plesk, Host::DotCgi] {
        let Some(apache) = Apache::host(host, Layout::Root) else {
            continue;
        };
        let shop = &apache.shop;
        assert_eq!(shop.install(&["--yes"]).code, Some(0));
        for file in ["receive", "receive.cgi", ".htaccess", "%72eceive", ""] {
            let answer = fetch(&format!("{}/bento-webhooks/{file}", shop.address), None);
            let shows = ["BENTO_WEBHOOKS_WORDPRESS", "SetHandler", "public_html"];
            assert!(
                !shows.iter().any(|text| answer.body.contains(text)),
                "{host:?} {file} {answer:?}"
            );
        }
    }
}

/// WordPress writes the file as the web server's user, and must still be able to.
#[test]
fn a_file_that_belongs_to_the_web_server_stays_its_own() {
    if !is_root() {
        eprintln!("not tested: only root can give a file away");
        return;
    }
    let mut hosting = Hosting::everything(Php::Module, Gateway::Cgi);
    hosting.server_user = User::server();
    let Some(apache) = Apache::serve(hosting, Layout::Root) else {
        return;
    };
    let shop = &apache.shop;
    // Another's file, which our group may write.
    lchown(
        shop.htaccess(),
        Some(User::server().uid),
        Some(shop.owner.gid),
    )
    .unwrap();
    fs::set_permissions(shop.htaccess(), fs::Permissions::from_mode(0o664)).unwrap();
    let before = shop.tree();
    let ended = shop.install(&["--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        fs::metadata(shop.htaccess()).unwrap().uid(),
        User::server().uid
    );
    program_answers(shop);
    assert_eq!(shop.install(&["--undo"]).code, Some(0));
    assert_eq!(shop.tree().difference(&before), [""; 0]);
    // Another's file, which we may only read.
    fs::set_permissions(shop.htaccess(), fs::Permissions::from_mode(0o644)).unwrap();
    let before = shop.tree();
    let ended = while_home_is_up(shop, || shop.install(&["--yes"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(shop.tree().difference(&before), [""; 0], "{ended:?}");
}

/// Each WordPress has a journal of its own, so one can be taken away without the other.
#[test]
fn two_sites_in_one_home_come_and_go_alone() {
    let Some(apache) = everything(Layout::Root) else {
        return;
    };
    let shop = &apache.shop;
    let Some(second) = Shop::new(Layout::Folder) else {
        return;
    };
    // The second moves in below the first, with its own database.
    let blog = shop.public.join("blog");
    let copied = Command::new("cp")
        .arg("-R")
        .args([&second.wordpress, &blog])
        .status();
    assert!(copied.unwrap().success());
    let address = format!("{}/blog", shop.address);
    for name in ["home", "siteurl"] {
        second.set_option(name, &json!(address));
    }
    shop.owner.own(&shop.home);
    let [all, only_blog] = [&shop.public, &blog].map(|folder| Tree::of(folder));
    let is_answered = |address: &str| {
        let answer = fetch(
            &format!("{address}/?wpf_action=test&access_key={KEY}"),
            None,
        );
        answer.signature.is_some()
    };
    let [first, below] = [&shop.public, &blog].map(|folder| folder.display().to_string());
    for path in [&first, &below] {
        let ended = while_home_is_up(shop, || shop.install(&["--yes", "--path", path]));
        assert_eq!(ended.code, Some(0), "{ended:?}\n{}", apache.errors());
    }
    assert!(is_answered(&shop.address) && is_answered(&address));
    let again = shop.install(&["--yes", "--path", &first]);
    assert!(again.said.contains("Already installed"), "{again:?}");
    let ended = shop.install(&["--undo"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for name in ["~/public_html\n", "~/public_html/blog\n"] {
        assert!(ended.errors.contains(name), "{ended:?}");
    }
    let ended = shop.install(&["--uninstall", "--path", &below]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(Tree::of(&blog).difference(&only_blog), [""; 0], "{ended:?}");
    assert!(is_answered(&shop.address) && !is_answered(&address));
    let ended = shop.install(&["--uninstall", "--path", &below]);
    assert_eq!(
        ended.said.lines().last(),
        Some("Nothing is installed here.")
    );
    // The one that is left need not be named.
    let ended = shop.install(&["--uninstall"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        Tree::of(&shop.public).difference(&all),
        [""; 0],
        "{ended:?}"
    );
}
