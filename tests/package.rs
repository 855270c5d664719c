//! The archive that people download: what is in it, and where its program runs.
//!
//! It is made by `./install.sh package`, as a maintainer makes it. Changing the root folder needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise and says so"
)]

mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::json;
use support::bento::{Bento, Subscriber, World};
use support::cgi::{Answer, Program, Request};
use support::database::{Network, Server};
use support::recording::Base;
use support::site::Site;

const SUE: &str = "c0ffee00-0000-4000-8000-000000000003";
/// CentOS 7 has it, and all that came later.
const OLDEST_GLIBC: (u32, u32) = (2, 17);
/// Releases of Debian, oldest first; the mirrors drop them from this end.
const DEBIANS: [&str; 6] = [
    "wheezy", "jessie", "stretch", "buster", "bullseye", "bookworm",
];

/// The archive, made once, and the folder it was unpacked into.
static UNPACKED: LazyLock<(PathBuf, PathBuf)> = LazyLock::new(|| {
    let mut package = Command::new("sh");
    package
        .arg(root().join("install.sh"))
        .arg("package")
        .env("CARGO_TARGET_DIR", target());
    let printed = run(&mut package);
    let archive = PathBuf::from(printed.lines().last().unwrap());
    let folder = scratch("unpacked");
    run(Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(&folder));
    let name = format!("bento-webhooks-{}-x86_64-linux", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        archive.file_name().unwrap().to_str(),
        Some(format!("{name}.tar.gz").as_str())
    );
    (archive, folder.join(name))
});

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cargo's folder for what it builds.
fn target() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_bento-webhooks"));
    program.ancestors().nth(2).unwrap().to_owned()
}

/// An empty folder of this test's own.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("package")
        .join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn program() -> PathBuf {
    UNPACKED.1.join("bento-webhooks")
}

/// What a command prints; it must end well.
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{printed}\n{errors}");
    printed
}

/// Paths below a folder, with whether anybody may run the file.
fn files(folder: &Path) -> BTreeSet<(String, bool)> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let runs = path.metadata().unwrap().permissions().mode() & 0o111 == 0o111;
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            found.insert((name.to_owned(), runs));
        }
    }
    found
}

#[test]
fn the_archive_holds_what_an_owner_needs_and_the_sums_of_it() {
    let (archive, folder) = &*UNPACKED;
    let found = files(folder);
    let file = |name: &str, runs| (name.to_owned(), runs);
    let own = BTreeSet::from([
        file("LICENSE", false),
        file("README.md", false),
        file("SHA256SUMS", false),
        file("bento-webhooks", true),
        file("install.sh", true),
    ]);
    assert!(found.is_superset(&own), "{found:?}");
    for (name, _) in found.difference(&own) {
        let is_copied = name.starts_with("examples/") && !name.ends_with(".rs");
        assert!(
            is_copied && root().join(name).is_file(),
            "{name} does not belong here"
        );
    }
    let checked = run(Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(folder));
    assert_eq!(checked.lines().count() + 1, found.len(), "{checked}");
    let size = archive.metadata().unwrap().len();
    assert!(size < 4 << 20, "{size} bytes are long to upload");
}

#[test]
fn the_program_needs_no_newer_glibc_than_2_17_or_none_at_all() {
    let headers = run(Command::new("objdump").arg("-p").arg(program()));
    assert!(headers.contains("elf64-x86-64"), "{headers}");
    let needed: Vec<&str> = headers
        .lines()
        .filter_map(|line| line.trim().strip_prefix("NEEDED"))
        .map(str::trim)
        .collect();
    let glibc = [
        "libc.so.6",
        "libm.so.6",
        "libpthread.so.0",
        "libdl.so.2",
        "librt.so.1",
        "ld-linux-x86-64.so.2",
    ];
    assert!(needed.iter().all(|name| glibc.contains(name)), "{needed:?}");
    let versions = headers.split("GLIBC_").skip(1).map(version);
    let newest = versions.max();
    assert!(newest <= Some(OLDEST_GLIBC), "needs glibc {newest:?}");
    assert_eq!(newest.is_none(), needed.is_empty(), "{headers}");
}

/// `2.17` and what follows as numbers.
fn version(text: &str) -> (u32, u32) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let mut parts = text[..end].split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn the_program_tells_nothing_of_the_machine_that_built_it() {
    let bytes = fs::read(program()).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let home = env::var("HOME").unwrap();
    let cargo = env::var("CARGO_HOME").unwrap_or(format!("{home}/.cargo"));
    let target = target();
    let places = [
        root().to_str().unwrap(),
        target.to_str().unwrap(),
        &cargo,
        &home,
    ];
    // A home of `/` would be found everywhere.
    for place in places.into_iter().filter(|place| place.len() > 1) {
        let found = text.find(&format!("{place}/"));
        assert_eq!(
            found,
            None,
            "{place}: {:?}",
            found.map(|at| &text[at..at + 80])
        );
    }
    for part in ["/registry/", "index.crates.io", ".rustup", ".cargo"] {
        assert!(!text.contains(part), "{part}");
    }
    // It is the right text that was searched.
    assert!(text.contains("src/") && text.contains("access_key"));
}

#[test]
fn the_program_works_on_the_oldest_debian_to_be_had_and_where_there_is_nothing() {
    let (name, debian) = old_debian();
    let glibc = run(Command::new("chroot")
        .arg(&debian)
        .args(["ldd", "--version"]));
    let answer = answer_inside(&debian);
    assert_eq!(answer.status, 200, "{name}, {glibc}{answer}");
    assert_eq!(answer.result(), "applied", "{name}, {glibc}{answer}");

    let headers = run(Command::new("objdump").arg("-p").arg(program()));
    if !headers.contains("NEEDED") {
        let answer = answer_inside(&scratch("nothing"));
        assert_eq!(
            (answer.status, answer.result().as_str()),
            (200, "applied"),
            "{answer}"
        );
    }
}

/// The answer to a webhook of the archive's program when `tree` is all that it sees; its database and its Bento are outside.
fn answer_inside(tree: &Path) -> Answer {
    let server = Server::start(Network::Tcp);
    let base = Base::load("");
    let mut site = Site::on(&server, &base, &json!({}));
    let mut world = World::new(base.account(), &base.tags());
    world.subscribers = vec![Subscriber::new(SUE, "sue@example.test", &["13"])];
    let bento = Bento::start(world);
    // A name, so that the tree's own way of looking names up is used.
    let api = bento.api_url().replace("127.0.0.1", "localhost");
    site.define("BENTO_WEBHOOKS_API_URL", &api);
    site.define("DB_HOST", &format!("127.0.0.1:{}", server.port().unwrap()));
    for folder in ["etc", "wordpress"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    fs::write(tree.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    run(Command::new("cp")
        .arg("-r")
        .arg(site.folder().join("."))
        .arg(tree.join("wordpress")));
    fs::copy(program(), tree.join("bento-webhooks")).unwrap();
    let mut request = Request::post(
        &format!("/?wpf_action=update_tags&access_key={}", base.access_key()),
        &json!({"id": SUE}).to_string(),
    );
    request.arguments = vec![tree.into(), "/bento-webhooks".into()];
    Program::new("/usr/sbin/chroot", Path::new("/wordpress")).run(&request)
}

/// The oldest Debian that the mirror still has, as a tree; kept for the next run.
fn old_debian() -> (&'static str, PathBuf) {
    let folder = target().join("debian");
    fs::create_dir_all(&folder).unwrap();
    for name in DEBIANS {
        let tree = folder.join(name);
        if tree.join("usr/bin/ldd").exists() {
            return (name, tree);
        }
        let unfinished = folder.join(format!("{name}.unfinished"));
        drop(fs::remove_dir_all(&unfinished));
        let made = Command::new("debootstrap")
            .args(["--variant=minbase", name])
            .arg(&unfinished)
            .output()
            .unwrap();
        if made.status.success() {
            fs::rename(&unfinished, &tree).unwrap();
            return (name, tree);
        }
        drop(fs::remove_dir_all(&unfinished));
    }
    panic!("debootstrap made none of {DEBIANS:?}");
}
