//! nginx on a server of one's own: two files of ours, one line in the site's, and a program started by fcgiwrap.
//!
//! nginx reads no `.htaccess` and starts no programs, so this is for root. Its own test judges every change before it
//! counts, and a reload drops no request.

use super::look::Sight;
use super::options::Options;
use super::plan::{Plan, Shared, program_in};
use super::recipe;
use crate::secret::Secret;
use crate::web::{Ask, Verdict, Web, nonce};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The line for the site's own server block, but for its indentation.
pub(super) const INCLUDE: &str = "include snippets/bento-webhooks.conf; # bento-webhooks";
/// Time for old workers of nginx to go.
const RELOAD_TIME: Duration = Duration::from_secs(10);

/// Finds the site's server block, and says what is to be written.
pub(super) fn plan(
    sight: &Sight,
    options: &Options,
    prefix: &Path,
    program: Vec<u8>,
) -> Result<Plan, String> {
    check(options).map_err(|why| format!("{why}. Nothing was changed."))?;
    let folder = &options.nginx;
    let root = document_root(sight);
    let sites = sites(folder, &root);
    if sites.is_empty() {
        return Err(format!(
            "no file under {} has the line  root {};  Nothing was changed.",
            folder.display(),
            root.display()
        ));
    }
    let own = vec![
        (
            folder.join("conf.d/bento-webhooks.conf"),
            recipe::nginx_map(&sight.ground.path),
        ),
        (
            folder.join("snippets/bento-webhooks.conf"),
            recipe::nginx_location(&sight.wordpress, &program_in(prefix), &options.socket),
        ),
    ];
    let shared = sites.into_iter().map(|path| {
        let root = root.clone();
        Shared {
            path,
            change: Box::new(move |text| with_include(text, &root)),
        }
    });
    Ok(Plan::nginx(prefix, program, own, shared.collect()))
}

/// Judges what nginx has now, and whether somebody would start the program.
fn check(options: &Options) -> Result<(), String> {
    if UnixStream::connect(&options.socket).is_err() {
        return Err(format!(
            "nobody listens at {}; start fcgiwrap there as the site's user, as examples/ shows",
            options.socket.display()
        ));
    }
    test(options)
}

/// Tests the new configuration, has nginx take it, and waits until it counts.
pub(super) fn reload(options: &Options, site: Option<(&Web, &Secret)>) -> Result<(), String> {
    test(options)?;
    nginx(options, &["-s", "reload"])?;
    let Some((web, key)) = site else {
        return Ok(());
    };
    let begun = Instant::now();
    while begun.elapsed() < RELOAD_TIME {
        let nonce = nonce();
        let reply = web.send(&Ask::test(key, &nonce));
        if reply.is_ok_and(|reply| Verdict::of(&reply, &nonce).is_from_us()) {
            return Ok(());
        }
        // nginx does not say when its new workers have taken over.
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("nginx does not hand webhooks on, although it took the new files".to_owned())
}

/// nginx's own judgement.
fn test(options: &Options) -> Result<(), String> {
    nginx(options, &["-t", "-q"])
}

fn nginx(options: &Options, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("nginx");
    command
        .arg("-c")
        .arg(options.nginx.join("nginx.conf"))
        .args(arguments);
    let output = command
        .output()
        .map_err(|error| format!("nginx: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "nginx: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// The first of these files that has nothing of ours any more: neither is it our own, nor does it include that.
pub fn without_ours(files: &[PathBuf]) -> Option<&PathBuf> {
    let has_ours = |path: &&PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        lines.any(|line| line == INCLUDE || line.contains("$bento_webhook"))
    };
    files.iter().find(|path| !has_ours(path))
}

/// Where fcgiwrap listens, according to our file with the site's part.
pub fn socket_in(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let socket = text.split("fastcgi_pass \"unix:").nth(1)?;
    Some(socket.split('"').next()?.to_owned())
}

/// The folder that the server block names.
fn document_root(sight: &Sight) -> PathBuf {
    let deep = sight.ground.path.trim_matches('/');
    let deep = if deep.is_empty() {
        0
    } else {
        deep.split('/').count()
    };
    sight
        .ground
        .front
        .ancestors()
        .nth(deep)
        .unwrap_or(&sight.ground.front)
        .to_owned()
}

/// The files that have a server block for this root.
fn sites(folder: &Path, root: &Path) -> Vec<PathBuf> {
    let folders = ["sites-enabled", "conf.d", "vhosts.d"].map(|name| folder.join(name));
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let files = files
        .map(|entry| entry.path())
        .chain([folder.join("nginx.conf")]);
    files
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.lines().any(|line| is_root(line, root))
        })
        .collect()
}

/// Whether the line names this folder as the root of a server.
fn is_root(line: &str, root: &Path) -> bool {
    let value = line
        .trim()
        .strip_prefix("root")
        .filter(|rest| rest.starts_with([' ', '\t']));
    let value = value.and_then(|rest| rest.split(';').next());
    value.is_some_and(|value| Path::new(value.trim().trim_matches(['"', '\''])) == root)
}

/// The text with our line behind each line that names the root.
fn with_include(text: &[u8], root: &Path) -> Vec<u8> {
    let text = String::from_utf8_lossy(&without_include(text)).into_owned();
    let mut new = String::with_capacity(text.len() + 80);
    for line in text.split_inclusive('\n') {
        new.push_str(line);
        if is_root(line, root) {
            let indent: String = line
                .chars()
                .take_while(|letter| letter.is_whitespace())
                .collect();
            new.push_str(&format!("{indent}{INCLUDE}\n"));
        }
    }
    new.into_bytes()
}

/// The text without our line.
pub(super) fn without_include(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter(|line| line.trim_ascii() != INCLUDE.as_bytes())
        .flatten()
        .copied()
        .collect()
}
