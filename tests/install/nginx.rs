//! nginx with fcgiwrap: its files are written, taken and removed by the program.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::compare;
use crate::hosting::{Ended, Layout, Nginx, Tree, archive, is_root};
use crate::watch::{addresses_are_told_apart, home_is_up, program_answers, while_home_is_up};

/// Runs install.sh as whoever may write nginx's files.
fn install(nginx: &Nginx, socket: &PathBuf, arguments: &[&str]) -> Ended {
    let shop = &nginx.shop;
    let mut command = Command::new("setsid");
    command
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .arg("sh")
        .arg(archive().join("install.sh"))
        .args(["--recipe", "nginx", "--path"])
        .arg(&shop.public)
        .arg("--prefix")
        .arg(shop.prefix())
        .arg("--nginx")
        .arg(&nginx.folder)
        .arg("--socket")
        .arg(socket)
        .args(arguments);
    if is_root() {
        command.arg("--owner");
    }
    Ended::of(
        &command
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .unwrap(),
    )
}

#[test]
fn nginx_hands_webhooks_to_the_program_and_takes_it_back() {
    for layout in [Layout::Root, Layout::Folder, Layout::OwnFolder] {
        let Some(mut nginx) = Nginx::serve(layout) else {
            return;
        };
        let socket = nginx.wrap(&nginx.shop.prefix().join("bin/bento-webhooks"));
        let shop = &nginx.shop;
        let before = (shop.tree(), Tree::of(&nginx.folder));
        let ended = while_home_is_up(shop, || install(&nginx, &socket, &["--yes"]));
        assert_eq!(ended.code, Some(0), "{ended:?}\n{}", nginx.errors());
        if layout == Layout::Root {
            compare("install_nginx.txt", &ended, shop);
        }
        program_answers(shop);
        let site = match layout {
            Layout::OwnFolder => format!("{}/wp", shop.address),
            _ => shop.address.clone(),
        };
        addresses_are_told_apart(shop, &site);
        let again = install(&nginx, &socket, &["--yes"]);
        assert!(again.said.contains("Already installed, all "), "{again:?}");
        let ended = while_home_is_up(shop, || install(&nginx, &socket, &["--undo"]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(shop.tree().difference(&before.0), [""; 0], "{ended:?}");
        assert_eq!(
            Tree::of(&nginx.folder).difference(&before.1),
            [""; 0],
            "{ended:?}"
        );
        home_is_up(shop);
    }
}

#[test]
fn nginx_is_left_alone_where_nobody_starts_the_program() {
    let Some(nginx) = Nginx::serve(Layout::Root) else {
        return;
    };
    let before = Tree::of(&nginx.folder);
    let ended = install(&nginx, &nginx.shop.root.join("run/nobody.sock"), &["--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains("nobody listens at "), "{ended:?}");
    assert_eq!(
        Tree::of(&nginx.folder).difference(&before),
        [""; 0],
        "{ended:?}"
    );
}

/// The program is there, but its requests fail: nginx's own test says nothing of that.
#[test]
fn nginx_gets_its_files_back_when_the_proof_fails() {
    let Some(mut nginx) = Nginx::serve(Layout::Root) else {
        return;
    };
    let socket = nginx.wrap(&PathBuf::from("/bin/false"));
    let before = (nginx.shop.tree(), Tree::of(&nginx.folder));
    let ended = while_home_is_up(&nginx.shop, || install(&nginx, &socket, &["--yes"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        nginx.shop.tree().difference(&before.0),
        [""; 0],
        "{ended:?}"
    );
    assert_eq!(
        Tree::of(&nginx.folder).difference(&before.1),
        [""; 0],
        "{ended:?}"
    );
}

#[test]
fn a_shop_behind_nginx_alone_is_told_of_nginx() {
    let Some(nginx) = Nginx::serve(Layout::Root) else {
        return;
    };
    let before = nginx.shop.tree();
    let ended = nginx.shop.install(&["--yes"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.errors.contains("--recipe nginx"), "{ended:?}");
    assert_eq!(nginx.shop.tree().difference(&before), [""; 0], "{ended:?}");
}
