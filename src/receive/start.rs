//! Starts the program a second time, as the worker of a site.
//!
//! It must happen before the answer: a web server may end the first process the moment the answer is out. The second one
//! holds none of its pipes, nor anything else that was open, and leaves its process group, so no server waits for it or ends
//! it.

use crate::inbox::Token;
use crate::site::{Place, SOON, Site};
use crate::wp_config::{Config, Worker};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What the worker must not inherit: the first two would make it answer a request, the others may hold keys.
const REQUEST: [&str; 16] = [
    "GATEWAY_INTERFACE",
    "REQUEST_METHOD",
    "QUERY_STRING",
    "REQUEST_URI",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "HTTP_AUTHORIZATION",
    "HTTP_COOKIE",
    "HTTP_PROXY",
    "HTTP_REFERER",
    "HTTP_X_BENTO_WEBHOOKS_KEY",
    "PATH_TRANSLATED",
    "REDIRECT_HTTP_AUTHORIZATION",
    "REDIRECT_QUERY_STRING",
    "REDIRECT_URL",
    "UNIQUE_ID",
];

/// Starts the worker if its place is free and there is something to do soon. An account that has reached its process limit
/// is normal: then the next webhook tries again.
pub(super) fn worker(site: &mut Site<'_>, config: &Config, place: &Place) {
    if config.own().worker() != Worker::Cron {
        worker_anyway(site, config, place);
    }
}

/// The same where cron is to do the work, for an owner who asks for it.
pub fn worker_anyway(site: &mut Site<'_>, config: &Config, place: &Place) {
    let token = super::token();
    if site.hire(token, SOON).unwrap_or(false) {
        start(site, config, place, token, &[]);
    }
}

/// Starts a worker that waits until the answer is out, so that doctor and setup can see whether work goes on then. A
/// failure is for them to see.
pub(super) fn proof(site: &mut Site<'_>, config: &Config, place: &Place) {
    if config.own().worker() == Worker::Cron {
        return;
    }
    let token = super::token();
    if site.hire_for_proof(token).unwrap_or(false) {
        start(site, config, place, token, &["--after-answer"]);
    }
}

fn start(site: &mut Site<'_>, config: &Config, place: &Place, token: Token, more: &[&str]) {
    let arguments = [
        "work".to_owned(),
        "--place".to_owned(),
        token.hex(),
        "--site".to_owned(),
        place.number().to_string(),
    ];
    close_fds::set_fds_cloexec(3, &[]);
    let started = program().is_some_and(|program| {
        let mut command = Command::new(program);
        for name in REQUEST {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .args(more)
            .env("BENTO_WEBHOOKS_WORDPRESS", config.wordpress())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .is_ok()
    });
    if !started {
        // The place falls free by itself, only later.
        let _ = site.dismiss(token);
    }
}

/// This very program; by the web server's word where there is no /proc.
fn program() -> Option<PathBuf> {
    let script = || std::env::var_os("SCRIPT_FILENAME").map(PathBuf::from);
    std::env::current_exe()
        .ok()
        .or_else(script)
        .filter(|path| path.is_file())
}
