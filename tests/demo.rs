//! The demo as a person sees it, and what it leaves behind: nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "support/golden.rs"]
mod golden;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A temporary folder that the demo may use, and that must be empty again.
struct Playground(PathBuf);

impl Playground {
    fn new(name: &str) -> Playground {
        let folder =
            std::env::temp_dir().join(format!("bento-webhooks-demo-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        Playground(folder)
    }

    fn demo(&self) -> Command {
        let mut command = Command::new(demo());
        command
            .env("TMPDIR", &self.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn leftovers(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The demo beside the program under test. `cargo test` builds both; with `--test demo` alone, name `--examples` too.
fn demo() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_bento-webhooks"))
        .parent()
        .unwrap();
    let demo = folder.join("examples/demo");
    assert!(
        demo.is_file(),
        "the demo is not built: cargo test --examples --test demo"
    );
    demo
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_demo_shows_four_webhooks_and_the_rows_before_and_after() {
    let playground = Playground::new("whole");

    let output = playground.demo().output().unwrap();

    let (page, errors) = text(&output);
    assert!(output.status.success(), "{page}\n{errors}");
    assert_eq!(errors, "");
    assert_eq!(playground.leftovers(), Vec::<String>::new());
    golden::compare("demo.txt", &without_chance(&page));
    assert!(!page.contains('\x1b'), "no terminal, no colours");
    let wide = page.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "a line is wider than a terminal");
}

/// The page without what differs from run to run and from machine to machine.
fn without_chance(page: &str) -> String {
    let page = golden::without_numbers(page, "ms|s\\b");
    [
        (r"MariaDB   \S+,", "MariaDB   VERSION,"),
        (
            r"\$wp\$2y\$10\$[./0-9A-Za-z]+\s+[./0-9A-Za-z]+",
            "HASH OF THE PASSWORD",
        ),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "NOW"),
    ]
    .iter()
    .fold(page, |page, (from, to)| {
        let pattern = regex_lite::Regex::new(from).unwrap();
        pattern.replace_all(&page, *to).into_owned()
    })
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let playground = Playground::new("colours");
    // script(1) gives the demo a terminal.
    let page = |no_color: &str| {
        let mut command = Command::new("script");
        command
            .args(["-qec"])
            .arg(demo())
            .arg("/dev/null")
            .stdin(Stdio::null());
        command
            .env("TMPDIR", &playground.0)
            .env("TERM", "xterm")
            .env("NO_COLOR", no_color);
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("script: {error}"));
        let (page, errors) = text(&output);
        assert!(output.status.success(), "{page}\n{errors}");
        page
    };
    assert!(page("").contains("\x1b[32m+ "));
    assert!(!page("1").contains('\x1b'));
}

#[test]
fn an_interrupted_demo_removes_everything_too() {
    let playground = Playground::new("interrupted");
    // A demo may be done before the signal arrives; then the next one is interrupted.
    let interrupted = (0..10).any(|_| !interrupt(&playground).success());
    assert!(interrupted);

    // The server needs a moment to end, and nobody is left to wait for it.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !playground.leftovers().is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(playground.leftovers(), Vec::<String>::new());
}

/// Runs a demo, ends it from outside once its database is up, and says how it went. SIGTERM, because a shell that runs
/// something in the background lets it ignore SIGINT.
fn interrupt(playground: &Playground) -> ExitStatus {
    let mut child = playground.demo().spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let begun = lines.find(|line| line.as_ref().unwrap().contains("private and temporary"));
    assert!(begun.is_some());
    // Not every system has kill(1), every shell has its own.
    let kill = Command::new("sh")
        .args(["-c", &format!("kill -s TERM {}", child.id())])
        .status()
        .unwrap();
    assert!(kill.success());
    child.wait().unwrap()
}

#[test]
fn the_installer_says_what_it_can_do() {
    let run = |arguments: &[&str]| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
        Command::new("sh")
            .arg(script)
            .args(arguments)
            .output()
            .unwrap()
    };
    let help = run(&["--help"]);
    let (usage, errors) = text(&help);
    assert!(
        help.status.success() && errors.is_empty() && usage.contains("install.sh demo"),
        "{usage}{errors}"
    );
    for arguments in [&["remove"][..], &["demo", "twice"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(
            text(&output),
            (String::new(), usage.clone()),
            "{arguments:?}"
        );
    }
}
