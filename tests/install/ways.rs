//! The ways in which install.sh is called: with a terminal and without, by cron, by root, on broken sites.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::compare;
use crate::hosting::{
    Apache, Ended, Gateway, Host, Hosting, KEY, Layout, Php, Shop, archive, is_root,
};
use crate::support::database::PASSWORD;
use crate::watch::{program_answers, while_home_is_up};

fn apache() -> Option<Apache> {
    Apache::serve(
        Hosting::everything(Php::Module, Gateway::Cgid),
        Layout::Root,
    )
}

/// Nothing but the journal's own folder may be new, and none of it when nothing was to be kept.
fn is_untouched(shop: &Shop, before: &crate::hosting::Tree, ended: &Ended) {
    assert_eq!(shop.tree().difference(before), [""; 0], "{ended:?}");
}

/// Runs install.sh at a terminal and types the answer.
fn at_a_terminal(shop: &Shop, arguments: &str, answer: &str) -> Ended {
    let command = format!("sh {}/install.sh {arguments}", archive().display());
    let mut child = shop
        .command("script")
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(answer.as_bytes())
        .unwrap();
    Ended::of(&child.wait_with_output().unwrap())
}

#[test]
fn it_asks_once_and_obeys() {
    let Some(apache) = apache() else { return };
    let shop = &apache.shop;
    let before = shop.tree();
    let ended = at_a_terminal(shop, "", "n\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.said.matches("[Y/n]").count(), 1, "{ended:?}");
    is_untouched(shop, &before, &ended);
    let ended = while_home_is_up(shop, || at_a_terminal(shop, "", "y\n"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.said.contains("\u{1b}[32mok \u{1b}[0m"),
        "no colours at a terminal: {ended:?}"
    );
    program_answers(shop);
    let ended = at_a_terminal(shop, "--no-color", "");
    assert!(!ended.said.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn without_a_terminal_it_needs_to_be_told_yes() {
    let Some(apache) = apache() else { return };
    let shop = &apache.shop;
    let before = shop.tree();
    let ended = shop.install(&[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.errors.contains("add --yes"), "{ended:?}");
    is_untouched(shop, &before, &ended);
}

#[test]
fn a_dry_run_shows_the_change_and_leaves_nothing() {
    let Some(apache) = apache() else { return };
    let shop = &apache.shop;
    let before = shop.tree();
    let ended = while_home_is_up(shop, || shop.install(&["--dry-run"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    compare("install_dry_run.txt", &ended, shop);
    is_untouched(shop, &before, &ended);
    assert!(!shop.prefix().exists(), "{ended:?}");
}

/// Cron gives no terminal, hardly a path and perhaps no home; a web panel gives the variables of a web server.
#[test]
fn a_cron_job_or_a_panel_can_install_it() {
    let Some(apache) = apache() else { return };
    let shop = &apache.shop;
    let mut command = shop.owner.command("setsid");
    let output = command
        .env("PATH", "/usr/bin:/bin")
        .env("GATEWAY_INTERFACE", "CGI/1.1")
        .env("REQUEST_METHOD", "GET")
        .arg("sh")
        .arg(archive().join("install.sh"))
        .args(["--yes", "--path"])
        .arg(&shop.public)
        .arg("--prefix")
        .arg(shop.prefix())
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let ended = Ended::of(&output);
    assert_eq!(ended.code, Some(0), "{ended:?}\n{}", apache.errors());
    program_answers(shop);
    // The result is mailed by cron, and kept.
    let log = fs::read_to_string(shop.prefix().join("install.log")).unwrap();
    for line in ended.said.lines().skip(1) {
        assert!(log.contains(line), "{line:?} is not in {log}");
    }
}

#[test]
fn no_key_and_no_password_is_shown_or_kept() {
    let Some(apache) = apache() else { return };
    let shop = &apache.shop;
    let mut said = String::new();
    for arguments in [
        &["--dry-run", "--verbose"][..],
        &["--yes", "--verbose"],
        &["--yes"],
        &["--undo"],
    ] {
        let ended = shop.install(arguments);
        said += &format!("{}{}", ended.said, ended.errors);
        for name in ["journal", "install.log"] {
            said += &fs::read_to_string(shop.prefix().join(name)).unwrap_or_default();
        }
    }
    assert!(said.contains("test answered by"), "{said}");
    let settings = shop.wp_fusion();
    let keys = settings["bento_api_key"].as_str().unwrap().split(':');
    for secret in keys.chain([KEY, PASSWORD]) {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}

#[test]
fn a_site_that_cannot_be_reached_is_installed_unproven() {
    // Nobody serves it.
    let Some(shop) = Shop::new(Layout::Root) else {
        return;
    };
    let before = shop.tree();
    for arguments in [&["--yes"][..], &["--yes", "--no-web-test"]] {
        let ended = shop.install(arguments);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        let link = format!("{}/?wpf_action=test\n", shop.address);
        assert!(ended.said.contains(&link), "{ended:?}");
        assert!(shop.public.join("bento-webhooks/receive").is_file());
        let ended = shop.install(&["--undo"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        is_untouched(&shop, &before, &ended);
    }
}

#[test]
fn root_works_for_the_owner_or_not_at_all() {
    if !is_root() {
        eprintln!("not tested: only root can be refused as root");
        return;
    }
    let Some(apache) = Apache::host(Host::Cpanel, Layout::Root) else {
        return;
    };
    let shop = &apache.shop;
    let before = shop.tree();
    let as_root = |arguments: &[&str]| {
        let mut command = Command::new("setsid");
        command
            .arg("sh")
            .arg(archive().join("install.sh"))
            .args(["--yes", "--path"])
            .arg(&shop.public);
        command
            .args(["--prefix".as_ref(), shop.prefix().as_os_str()])
            .args(arguments);
        Ended::of(&command.stdin(Stdio::null()).output().unwrap())
    };
    let ended = as_root(&[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.errors.contains("--owner"), "{ended:?}");
    assert!(!shop.prefix().exists());
    // suEXEC starts nothing that is root's.
    let ended = as_root(&["--owner"]);
    assert_eq!(ended.code, Some(0), "{ended:?}\n{}", apache.errors());
    program_answers(shop);
    let folder = shop.public.join("bento-webhooks");
    for path in [
        shop.htaccess(),
        folder.clone(),
        folder.join("receive"),
        folder.join(".htaccess"),
        shop.prefix(),
        shop.prefix().join("bin/bento-webhooks"),
        shop.prefix().join("journal"),
        shop.prefix().join("backup/0001-htaccess"),
    ] {
        assert_eq!(
            fs::metadata(&path).unwrap().uid(),
            shop.owner.uid,
            "{}",
            path.display()
        );
    }
    // What root has installed, the owner can take away.
    let ended = shop.install(&["--uninstall"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    is_untouched(shop, &before, &ended);
}

#[test]
fn of_several_sites_one_must_be_named() {
    let Some(apache) = apache() else { return };
    let shop = &apache.shop;
    let other = shop.home.join("domains/other.example/public_html");
    fs::create_dir_all(other.join("wp-includes")).unwrap();
    fs::copy(
        shop.wordpress.join("wp-includes/version.php"),
        other.join("wp-includes/version.php"),
    )
    .unwrap();
    let ended = shop.install(&["--yes"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.errors.contains("~/domains/other.example/public_html"),
        "{ended:?}"
    );
    assert!(ended.errors.contains("~/public_html"), "{ended:?}");
    let ended = at_a_terminal(shop, "", "2\nn\n");
    assert!(ended.said.contains("in ~/public_html, "), "{ended:?}");
    assert_eq!(
        shop.install(&["--dry-run", "--path", "public_html"]).code,
        Some(0)
    );
}

/// What is broken before anything begins is named, and nothing is changed.
#[test]
fn a_site_that_is_not_ready_is_told_why() {
    let Some(mut shop) = Shop::new(Layout::Root) else {
        return;
    };
    let mut settings = shop.wp_fusion();
    let set = |shop: &Shop, name: &str, value: &str| {
        let mut settings = shop.wp_fusion();
        settings[name] = json!(value);
        shop.set_option("wpf_options", &settings);
    };
    let before = shop.tree();
    let refused = |shop: &Shop, reason: &str| {
        let ended = shop.install(&["--yes"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.errors.contains(reason), "{reason}: {ended:?}");
        assert!(ended.errors.contains("Nothing was changed."), "{ended:?}");
        assert!(!ended.errors.contains(PASSWORD), "{ended:?}");
        is_untouched(shop, &before, &ended);
    };
    set(&shop, "access_key", "");
    refused(&shop, "no access key");
    set(&shop, "crm", "mailchimp");
    refused(&shop, "not connected to Bento");
    shop.sql(&["DELETE FROM wp_options WHERE option_name = 'wpf_options'"]);
    refused(&shop, "wpf_options is missing");
    settings["access_key"] = json!(KEY);
    shop.set_option("wpf_options", &settings);
    let config = shop.wordpress.join("wp-config.php");
    let good = fs::read_to_string(&config).unwrap();
    fs::write(&config, good.replace(PASSWORD, "wrong")).unwrap();
    let before = shop.tree();
    let ended = shop.install(&["--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains("database"), "{ended:?}");
    is_untouched(&shop, &before, &ended);
    shop.define("X", "1");
}

#[test]
fn an_upgrade_can_be_undone_alone_and_with_all_before() {
    let Some(apache) = apache() else { return };
    let shop = &apache.shop;
    let before = shop.tree();
    assert_eq!(shop.install(&["--yes"]).code, Some(0));
    let program = shop.prefix().join("bin/bento-webhooks");
    let old = fs::read(&program).unwrap();
    // Another build of the program, which does the same.
    let newer = shop.home.join("newer");
    fs::write(&newer, [old.as_slice(), b"newer"].concat()).unwrap();
    fs::set_permissions(&newer, fs::Permissions::from_mode(0o755)).unwrap();
    let output = shop
        .command(&newer)
        .args(["setup", "--yes"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_ne!(fs::read(&program).unwrap(), old);
    fs::remove_file(&newer).unwrap();
    program_answers(shop);
    let ended = shop.install(&["--undo"]);
    assert!(ended.said.contains("is in place again"), "{ended:?}");
    assert!(fs::read(&program).unwrap() == old, "{ended:?}");
    program_answers(shop);
    let ended = shop.install(&["--uninstall", "--purge", "--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    is_untouched(shop, &before, &ended);
    assert!(!shop.prefix().exists(), "{ended:?}");
    assert_eq!(
        shop.install(&["--undo"]).code,
        Some(0),
        "nothing is left to undo"
    );
}

#[test]
fn a_damaged_archive_is_refused() {
    let Some(shop) = Shop::new(Layout::Root) else {
        return;
    };
    let folder = shop.home.join("archive");
    fs::create_dir(&folder).unwrap();
    let run = || {
        let output = shop
            .command("sh")
            .arg(folder.join("install.sh"))
            .arg("--version")
            .output();
        Ended::of(&output.unwrap())
    };
    fs::copy(archive().join("install.sh"), folder.join("install.sh")).unwrap();
    let alone = run();
    assert_eq!(alone.code, Some(1), "{alone:?}");
    assert!(alone.errors.contains("/releases"), "{alone:?}");
    let program = folder.join("bento-webhooks");
    fs::copy(archive().join("bento-webhooks"), &program).unwrap();
    shop.owner.own(&folder);
    // Uploaded by a file manager that forgets modes.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
    let sum = Command::new("sha256sum")
        .arg("bento-webhooks")
        .current_dir(&folder)
        .output()
        .unwrap();
    fs::write(folder.join("SHA256SUMS"), &sum.stdout).unwrap();
    let whole = run();
    assert_eq!(
        (whole.code, whole.errors.as_str()),
        (Some(0), ""),
        "{whole:?}"
    );
    let mut bytes = fs::read(&program).unwrap();
    bytes.push(b'\n');
    fs::write(&program, bytes).unwrap();
    let damaged = run();
    assert_eq!(damaged.code, Some(1), "{damaged:?}");
    assert!(damaged.errors.contains("SHA256SUMS"), "{damaged:?}");
}

#[test]
fn wrong_use_is_said_and_changes_nothing() {
    let Some(shop) = Shop::new(Layout::Root) else {
        return;
    };
    for arguments in [
        &["--no-such-option"][..],
        &["install"],
        &["--recipe", "9"],
        &["--path"],
        &["--path", "/nonexistent"],
        &["--url", "nonsense"],
        &["--undo", "--uninstall"],
    ] {
        let ended = shop.install(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?} {ended:?}");
    }
    let help = shop.install(&["--help"]);
    assert_eq!(help.code, Some(0));
    let long = Ended::of(
        &shop
            .command(archive().join("bento-webhooks"))
            .args(["setup", "--help"])
            .output()
            .unwrap(),
    );
    let options = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '-'));
        let mut options: Vec<String> = words
            .filter(|word| word.starts_with("--"))
            .map(str::to_owned)
            .collect();
        options.sort();
        options.dedup();
        options
    };
    assert_eq!(options(&help.said), options(&long.said));
    let explained = long.said.find("  --path DIR").unwrap();
    assert!(help.said.ends_with(&long.said[explained..]), "{help:?}");
    // The script alone names them all the same.
    let folder = shop.home.join("alone");
    fs::create_dir(&folder).unwrap();
    fs::copy(archive().join("install.sh"), folder.join("install.sh")).unwrap();
    let mut alone = shop.command("sh");
    let alone = Ended::of(
        &alone
            .arg(folder.join("install.sh"))
            .arg("--help")
            .output()
            .unwrap(),
    );
    assert_eq!(options(&alone.said), options(&long.said), "{alone:?}");
}

#[test]
fn the_script_is_short_and_any_shell_reads_it() {
    let script = archive().join("install.sh");
    let text = fs::read_to_string(&script).unwrap();
    assert!(text.lines().count() < 400, "{}", text.lines().count());
    assert_eq!(text.lines().last(), Some("main \"$@\""));
    let version = format!("bento-webhooks {}\n", env!("CARGO_PKG_VERSION"));
    for shell in SHELLS {
        let run = |arguments: &[&str]| {
            let mut command = Command::new(shell[0]);
            let command = command.args(&shell[1..]).args(arguments);
            Ended::of(&command.output().unwrap())
        };
        let script = script.display().to_string();
        assert_eq!(run(&["-n", &script]).code, Some(0), "{shell:?}");
        assert_eq!(run(&[&script, "--version"]).said, version, "{shell:?}");
    }
}

/// Those that shared hosts have.
const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "sh"]];

/// Whatever the folder is called, from wherever the script is started, and whatever `cd` would rather do.
#[test]
fn the_script_finds_what_lies_beside_it() {
    let Some(shop) = Shop::new(Layout::Root) else {
        return;
    };
    let name = "-my 'odd' \"folder\" ü";
    let folder = shop.home.join(name);
    fs::create_dir(&folder).unwrap();
    for file in ["install.sh", "bento-webhooks"] {
        fs::copy(archive().join(file), folder.join(file)).unwrap();
    }
    let elsewhere = shop.home.join("elsewhere");
    fs::create_dir_all(elsewhere.join(name)).unwrap();
    let relative = format!("{name}/install.sh");
    let whole = folder.join("install.sh").display().to_string();
    for shell in SHELLS {
        for script in [&relative, &format!("./{relative}"), &whole] {
            let mut command = shop.command(shell[0]);
            let output = command
                .args(&shell[1..])
                .args(["--", script, "--version"])
                .env("CDPATH", format!("{}:.", elsewhere.display()))
                .output()
                .unwrap();
            let ended = Ended::of(&output);
            assert_eq!(
                (ended.code, ended.said.as_str()),
                (
                    Some(0),
                    concat!("bento-webhooks ", env!("CARGO_PKG_VERSION"), "\n")
                ),
                "{shell:?} {script} {ended:?}"
            );
        }
    }
}

/// A site that answers 500 by itself is not for the host to mend.
#[test]
fn a_site_that_is_broken_before_is_told_so() {
    let Some(apache) = apache() else { return };
    let shop = &apache.shop;
    let rules = fs::read_to_string(shop.htaccess()).unwrap();
    fs::write(shop.htaccess(), format!("NoSuchDirective\n{rules}")).unwrap();
    let before = shop.tree();
    let ended = shop.install(&["--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains("answers 500 without me"), "{ended:?}");
    is_untouched(shop, &before, &ended);
    // Pages that only WordPress breaks, or keeps back while it is updated, are in nobody's way.
    fs::write(shop.htaccess(), &rules).unwrap();
    fs::write(
        shop.wordpress.join(".maintenance"),
        "<?php $upgrading = time();",
    )
    .unwrap();
    let ended = shop.install(&["--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.said.contains("home page still answers 503"),
        "{ended:?}"
    );
}

/// WordPress knows another address than the one that leads here from this machine.
#[test]
fn the_address_to_test_with_can_be_named() {
    let Some(apache) = apache() else { return };
    let shop = &apache.shop;
    shop.set_option("home", &json!("http://no-such-host.invalid"));
    shop.set_option("siteurl", &json!("http://no-such-host.invalid"));
    let ended = shop.install(&["--yes", "--quiet", "--url", &shop.address]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Nothing but the result.
    assert_eq!(ended.said.lines().count(), 1, "{ended:?}");
    assert!(ended.said.starts_with("Done."), "{ended:?}");
    program_answers(shop);
}

#[test]
fn the_source_builds_a_program_where_there_is_none() {
    let Some(shop) = Shop::new(Layout::Root) else {
        return;
    };
    let folder = shop.home.join("source");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::copy(archive().join("install.sh"), folder.join("install.sh")).unwrap();
    fs::write(folder.join("Cargo.toml"), "").unwrap();
    // Stands in for a compiler that needs minutes: says what it was asked for and does it.
    let cargo = format!(
        "#!/bin/sh\necho \"cargo $*\"\nmkdir -p {0}/target/release\ncp {1}/bento-webhooks {0}/target/release/\n",
        folder.display(),
        archive().display()
    );
    fs::write(folder.join("bin/cargo"), cargo).unwrap();
    fs::set_permissions(folder.join("bin/cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    shop.owner.own(&folder);
    let mut command = shop.command("sh");
    command.env("PATH", format!("{}/bin:/usr/bin:/bin", folder.display()));
    let output = command
        .arg(folder.join("install.sh"))
        .arg("--version")
        .output()
        .unwrap();
    let ended = Ended::of(&output);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended
            .said
            .contains("cargo build --quiet --release --locked "),
        "{ended:?}"
    );
    assert!(
        ended
            .said
            .ends_with(&format!("bento-webhooks {}\n", env!("CARGO_PKG_VERSION"))),
        "{ended:?}"
    );
}

/// The line that is offered does what waits, as cron would run it.
#[test]
fn the_line_for_cron_works() {
    let Some(apache) = apache() else { return };
    let shop = &apache.shop;
    let ended = shop.install(&["--yes"]);
    let line = ended
        .said
        .lines()
        .find_map(|line| line.trim().strip_prefix("* * * * * "));
    let line = line.unwrap_or_else(|| panic!("no line for cron: {ended:?}"));
    let mut command = shop.owner.command("sh");
    let output = command
        .args(["-c", line])
        .current_dir("/")
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
}

/// Where cron shall do the work, no worker is expected.
#[test]
fn work_may_be_left_to_cron() {
    let Some(mut apache) = apache() else { return };
    apache.shop.define("BENTO_WEBHOOKS_WORKER", "'cron'");
    let ended = apache.shop.install(&["--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.said.contains("work after the answer: left to cron"),
        "{ended:?}"
    );
}

/// Webhooks are answered all the same, and the owner is told.
#[test]
fn a_database_user_who_may_not_make_tables_is_named() {
    let Some(apache) = apache() else { return };
    let shop = &apache.shop;
    let name = shop.database.name();
    let revoke = format!("REVOKE CREATE ON {name}.* FROM '{name}'@'localhost'");
    shop.sql(&[&revoke, "FLUSH PRIVILEGES"]);
    let ended = shop.install(&["--yes"]);
    assert!(ended.said.contains("may not make tables"), "{ended:?}");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    program_answers(shop);
}
