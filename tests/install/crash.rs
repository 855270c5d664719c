//! Killed at every step, and undone to the byte.
//!
//! strace kills the program as it enters a system call: each call that changes a file or a folder is a step, and every one of
//! them is cut once. Nothing in the program knows of this.

use std::process::Stdio;

use crate::hosting::{Apache, Ended, Gateway, Hosting, Layout, Php, Shop, Tree, archive};
use crate::watch::{home_is_up, program_answers};

/// The calls that change files and folders.
const CALLS: [&str; 9] = [
    "mkdir",
    "rename",
    "unlink",
    "unlinkat",
    "rmdir",
    "chmod",
    "fchmod",
    "fdatasync",
    "ftruncate",
];

/// Runs `setup` and kills it as it enters this call for the `count`th time; `None` when it came to its end.
fn cut(shop: &Shop, call: &str, count: usize, arguments: &[&str]) -> Option<Ended> {
    let mut command = shop.command("strace");
    command.args(["-f", "-qq", "-o", "/dev/null"]);
    command.arg(format!("--trace={call}"));
    command.arg(format!("--inject={call}:signal=KILL:when={count}"));
    command
        .arg(archive().join("bento-webhooks"))
        .arg("setup")
        .args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let ended = Ended::of(&output);
    match ended.code {
        // strace ends as its program does, and nothing was said about an error.
        None => Some(ended),
        Some(0) => None,
        Some(_) => panic!("{call} {count}: {ended:?}"),
    }
}

fn shop() -> Option<Apache> {
    let hosting = Hosting::everything(Php::Module, Gateway::Cgi);
    let mut apache = Apache::serve(hosting, Layout::Root)?;
    // Files are what counts here; waiting for a worker each time would take minutes.
    apache.shop.define("BENTO_WEBHOOKS_WORKER", "'cron'");
    Some(apache)
}

/// Takes away whatever is there: every file must be as before.
fn uninstalled(shop: &Shop, before: &Tree, name: &str) {
    let undone = shop.install(&["--uninstall"]);
    assert_eq!(undone.code, Some(0), "{name}: {undone:?}");
    assert_eq!(
        shop.tree().difference(before),
        [""; 0],
        "{name}: {undone:?}"
    );
}

#[test]
fn an_installation_that_is_killed_at_any_step_is_undone_to_the_byte() {
    let Some(apache) = shop() else { return };
    let shop = &apache.shop;
    let before = shop.tree();
    let mut cuts = 0;
    for call in CALLS {
        for count in 1.. {
            let Some(_) = cut(shop, call, count, &["--yes", "--recipe", "1"]) else {
                break;
            };
            cuts += 1;
            home_is_up(shop);
            uninstalled(shop, &before, &format!("{call} {count}"));
        }
        // The last round of each call was not cut.
        program_answers(shop);
        uninstalled(shop, &before, call);
    }
    assert!(cuts > 30, "only {cuts} steps were seen");
}

#[test]
fn a_removal_that_is_killed_at_any_step_is_finished_by_the_next() {
    let Some(apache) = shop() else { return };
    let shop = &apache.shop;
    let before = shop.tree();
    let mut cuts = 0;
    for call in [
        "rename",
        "unlink",
        "rmdir",
        "fchmod",
        "fdatasync",
        "ftruncate",
    ] {
        for count in 1.. {
            let installed = shop.install(&["--yes", "--recipe", "1"]);
            assert_eq!(installed.code, Some(0), "{call} {count}: {installed:?}");
            let was_cut = cut(shop, call, count, &["--uninstall"]).is_some();
            home_is_up(shop);
            uninstalled(shop, &before, &format!("{call} {count}"));
            if !was_cut {
                break;
            }
            cuts += 1;
        }
    }
    assert!(cuts > 5, "only {cuts} steps were seen");
}

#[test]
fn a_killed_installation_is_put_right_by_the_next() {
    let Some(apache) = shop() else { return };
    let shop = &apache.shop;
    for count in [4, 5] {
        assert!(cut(shop, "rename", count, &["--yes"]).is_some(), "{count}");
    }
    let ended = shop.install(&["--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.said.contains("an earlier run was interrupted"),
        "{ended:?}"
    );
    program_answers(shop);
}

/// install.sh outlives its program, whose end by Ctrl-C, by a lost line or by anything else is put back at once.
#[test]
fn an_interruption_is_put_back_at_once() {
    let Some(apache) = shop() else { return };
    let shop = &apache.shop;
    let before = shop.tree();
    for signal in ["INT", "HUP", "TERM", "KILL"] {
        // Who runs the tests in the background may have them ignore signals.
        let mut command = shop.command("env");
        command.args(["--default-signal", "strace"]);
        command.args(["-f", "-qq", "-o", "/dev/null", "--trace=rename"]);
        // The last of them puts our lines into the .htaccess.
        command.arg(format!("--inject=rename:signal={signal}:when=5"));
        command
            .arg("sh")
            .arg(archive().join("install.sh"))
            .arg("--yes");
        let ended = Ended::of(&command.stdin(Stdio::null()).output().unwrap());
        assert_eq!(ended.code, Some(1), "{signal} {ended:?}");
        assert!(
            ended.said.contains("Everything is put back as it was."),
            "{signal} {ended:?}"
        );
        assert_eq!(
            shop.tree().difference(&before),
            [""; 0],
            "{signal} {ended:?}"
        );
        home_is_up(shop);
    }
}
