//! `prog.files`, `web.block`, `web.folder`, `web.others`: our files as setup wrote them, and what others have written
//! around them. Local: whether it works is for the checks that ask the server.

use super::finding::Finding;
use super::locate::Installation;
use super::others;
use super::patient::Patient;
use super::program::user_name;
use crate::setup::{self, Fault, Repair, Routing, State};
use crate::text::one_line;
use std::fs;
use std::path::{Path, PathBuf};

const FIX: &str = "put it back:  bento-webhooks doctor --fix";
const BY_HAND: &str = "no journal of an installation here: the routing was set up by hand";

/// `prog.files`
pub(super) fn own(patient: &Patient) -> Vec<Finding> {
    let Some(installation) = patient.located.installation() else {
        return vec![Finding::info(BY_HAND)];
    };
    if let Some(finding) = in_web_root(installation) {
        return vec![finding];
    }
    let Some(repair) = repair(installation) else {
        return vec![Finding::info("the routing is in nginx's own files")];
    };
    let prefix = installation.prefix.display();
    all_named(
        &repair.outside(),
        format!("program and backups in {prefix}"),
    )
}

/// Backups and journal must not lie where the web server hands files out.
fn in_web_root(installation: &Installation) -> Option<Finding> {
    let Routing::Htaccess { file, .. } = &installation.installed.route else {
        return None;
    };
    let root = file.parent()?;
    installation.prefix.starts_with(root).then(|| {
        Finding::failure(
            format!("{} lies in the web root", installation.prefix.display()),
            "Backups of .htaccess and the program could be downloaded.",
            "sh install.sh --uninstall, then sh install.sh --prefix with a folder outside of it",
        )
    })
}

/// `web.block`
pub(super) fn block(patient: &Patient) -> Vec<Finding> {
    const PAST: &str = "Webhooks go past the program to WordPress and its PHP.";
    let Some(installation) = patient.located.installation() else {
        return vec![Finding::info(BY_HAND)];
    };
    if let Routing::Nginx { files } = &installation.installed.route {
        return vec![nginx(files)];
    }
    let repair = repair(installation);
    let Some((file, state)) = repair.as_ref().and_then(Repair::block) else {
        return vec![Finding::info(BY_HAND)];
    };
    let file = file.display();
    vec![match state {
        State::First => Finding::ok("block in place"),
        State::Below => Finding::warning(
            format!("other lines stand above ours in {file}"),
            "A rule above ours may redirect or refuse webhooks before they reach the program.",
            FIX,
        ),
        State::Changed => Finding::warning(
            format!("our lines in {file} were changed"),
            "Webhooks may go past the program, or pages to it.",
            FIX,
        ),
        State::Missing => Finding::failure(format!("our lines are gone from {file}"), PAST, FIX),
    }]
}

/// Our files of nginx, and our line in the site's own.
fn nginx(files: &[PathBuf]) -> Finding {
    match setup::without_ours(files) {
        None => Finding::ok("nginx has our lines"),
        Some(path) => Finding::failure(
            format!("our lines are gone from {}", path.display()),
            "Webhooks go past the program to WordPress and its PHP.",
            "put them back, as root:  bento-webhooks doctor --fix",
        ),
    }
}

/// `web.folder`
pub(super) fn folder(patient: &Patient) -> Vec<Finding> {
    let Some(repair) = patient.located.installation().and_then(repair) else {
        return vec![Finding::info("no folder of ours in the web root")];
    };
    all_named(&repair.in_web_root(), "stub and rules as setup wrote them")
}

/// The files and folders of ours that are not as they were, or that all of them are.
fn all_named(faults: &[(PathBuf, Fault)], fine: impl Into<String>) -> Vec<Finding> {
    match faults {
        [] => vec![Finding::info(fine)],
        faults => faults
            .iter()
            .map(|(path, fault)| named(path, fault))
            .collect(),
    }
}

/// A file or folder of ours that is not as it was.
fn named(path: &Path, fault: &Fault) -> Finding {
    let shown = one_line(&path.display().to_string());
    match fault {
        Fault::Missing => Finding::failure(
            format!("{shown} is missing"),
            "Without it the server cannot start the program.",
            if shown.ends_with("bin/bento-webhooks") {
                "install it again:  sh install.sh"
            } else {
                FIX
            },
        ),
        Fault::Changed => Finding::warning(
            format!("{shown} was changed"),
            "The server may not start the program any more, or show the file instead.",
            FIX,
        ),
        Fault::LineEnds => Finding::failure(
            format!("{shown} has the line ends of Windows"),
            "The server finds no program called \"/bin/sh\\r\" and answers 500.",
            FIX,
        ),
        Fault::Owner(own, owner) => Finding::warning(
            format!(
                "{shown} belongs to {}, not to {}",
                user_name(*own),
                user_name(*owner)
            ),
            "Where programs run as the site's owner (suEXEC), the server answers 500 for what belongs to others.",
            format!("as root:  chown -R {} {shown}", user_name(*owner)),
        ),
        Fault::Mode(own, mode) if own & mode == *mode && own & 0o022 != 0 => Finding::warning(
            format!("others may write {shown} (mode {own:o})"),
            "Anybody on the server could change it, and where programs run as the site's owner (suEXEC), it is not started.",
            format!("chmod {mode:o} {shown}"),
        ),
        Fault::Mode(own, mode) if own & mode == *mode => Finding::warning(
            format!("{shown} is open to more people than it needs (mode {own:o})"),
            "Others on the same server may read it.",
            format!("chmod {mode:o} {shown}"),
        ),
        Fault::Mode(own, mode) => Finding::failure(
            format!("{shown} has mode {own:o}"),
            "The server may not start the program, and answers 500.",
            format!("chmod {mode:o} {shown}"),
        ),
    }
}

/// `web.others`
pub(super) fn others(patient: &Patient) -> Vec<Finding> {
    let Some(installation) = patient.located.installation() else {
        return vec![Finding::info(BY_HAND)];
    };
    let Routing::Htaccess { file, block, .. } = &installation.installed.route else {
        return vec![Finding::info("nginx reads no .htaccess")];
    };
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let catching = others::catching(&text, block);
    if catching.is_empty() {
        return vec![Finding::info("no rule of others meets our address")];
    }
    let finding = |line: &others::Line| {
        Finding::warning(
            format!(
                "line {} of {}: {}",
                line.number,
                file.display(),
                one_line(&line.text)
            ),
            "This rule of a security plugin may refuse or redirect webhooks.",
            "exempt addresses with wpf_action in the plugin that wrote it, or delete the line",
        )
    };
    catching.iter().map(finding).collect()
}

/// The installation, compared with what setup would write.
pub(super) fn repair(installation: &Installation) -> Option<Repair> {
    Repair::of(&installation.prefix, &installation.installed)
}
