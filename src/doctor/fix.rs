//! `--fix`: puts our own lines, files and modes back, starts a worker where none works, and nothing else. Shows what will
//! change, and asks.

use super::locate::{Installation, Located};
use super::{files, queue};
use crate::command::{ask, is_yes, say};
use crate::receive;
use crate::setup::{self, Repair, Routing};
use crate::site::{Place, Site, Whereabouts};
use crate::text::one_line;
use crate::wp_config::Config;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use url::Url;

/// Whether the owner has agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// Ask at the terminal.
    Ask,
    /// `--yes`.
    Given,
}

/// Webhooks are due, and nobody works on them.
struct Standstill<'c> {
    site: Site<'c>,
    place: Place,
    /// How many wait.
    waiting: u64,
}

/// Repairs what can be; errs with one sentence.
pub(super) fn run(
    located: &Located,
    config: Option<&Config>,
    url: Option<&Url>,
    consent: Consent,
) -> Result<(), String> {
    let installation = located
        .installation()
        .ok_or("there is no journal of an installation here: run  sh install.sh")?;
    let is_mended = match &installation.installed.route {
        Routing::Nginx { files } => nginx(installation, files, consent)?,
        Routing::Htaccess { .. } => false,
    };
    let repair = files::repair(installation);
    let changes = repair.as_ref().map(Repair::changes).unwrap_or_default();
    let standstill = config.and_then(|config| standstill(config, url));
    if changes.is_empty() && standstill.is_none() {
        say(match is_mended {
            true => "\nWhat doctor sees now:\n\n",
            false => "Nothing of ours to put back.\n\n",
        });
        return Ok(());
    }
    show(&changes, standstill.as_ref());
    if consent == Consent::Ask {
        let answer = ask("Go ahead? [Y/n]");
        let answer = answer.map_err(|_| "there is no terminal to ask at; add --yes")?;
        if !is_yes(&answer) {
            return Err("nothing was changed".to_owned());
        }
    }
    if let Some(repair) = repair.filter(|_| !changes.is_empty()) {
        repair
            .apply(&installation.installed)
            .map_err(|error| format!("not everything could be put back: {error}"))?;
    }
    if let (Some(mut stands), Some(config)) = (standstill, config) {
        receive::start_worker(&mut stands.site, config, &stands.place);
    }
    say("Put back. What doctor sees now:\n\n");
    Ok(())
}

fn show(changes: &[(PathBuf, Vec<String>)], standstill: Option<&Standstill<'_>>) {
    say("Will change\n");
    for (path, lines) in changes {
        say(&format!(
            "  ~  {}\n",
            super::short(&one_line(&path.display().to_string()))
        ));
        for line in lines {
            say(&format!("       {}\n", one_line(line)));
        }
    }
    if let Some(stands) = standstill {
        say(&format!(
            "  ~  the queue, where {} waiting and nobody works\n       start a worker\n",
            stands.waiting
        ));
    }
}

/// The queue, if nothing moves in it that is due.
fn standstill<'c>(config: &'c Config, url: Option<&Url>) -> Option<Standstill<'c>> {
    let (host, path) = config.whereabouts(url);
    let whereabouts = Whereabouts::Address {
        host: &host,
        path: &path,
    };
    let mut site = Site::connect(config).ok()?;
    let place = site.place(&whereabouts).ok()?;
    let overview = site.overview(config.own().calls_per_minute()).ok()?;
    queue::stands_still(&overview).then_some(Standstill {
        site,
        place,
        waiting: overview.waiting,
    })
}

/// nginx's files are setup's to write: it shows them, asks, has nginx judge them, and proves that they work. Whether
/// anything was to be done.
fn nginx(installation: &Installation, files: &[PathBuf], consent: Consent) -> Result<bool, String> {
    if setup::without_ours(files).is_none() {
        return Ok(false);
    }
    if !rustix::process::geteuid().is_root() {
        return Err(
            "nginx's files are root's: as root, run  bento-webhooks doctor --fix".to_owned(),
        );
    }
    let mut arguments: Vec<OsString> = vec!["--owner".into(), "--recipe".into(), "nginx".into()];
    let folder = files.first().and_then(|file| file.ancestors().nth(2));
    let socket = files.get(1).and_then(|file| setup::socket_in(file));
    for (option, value) in [
        ("--path", Some(installation.installed.wordpress.as_path())),
        ("--prefix", Some(installation.prefix.as_path())),
        ("--nginx", folder),
        ("--socket", socket.as_deref().map(Path::new)),
    ] {
        if let Some(value) = value {
            arguments.extend([option.into(), value.into()]);
        }
    }
    if consent == Consent::Given {
        arguments.push("--yes".into());
    }
    match setup::run(arguments) == ExitCode::SUCCESS {
        true => Ok(true),
        false => Err("nginx's files are as they were".to_owned()),
    }
}
