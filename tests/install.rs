//! `install.sh` on imitated hosts: it ends as the host allows, the home page answers throughout, and all of it can be undone
//! to the byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "install/crash.rs"]
mod crash;
#[path = "support/hosting/mod.rs"]
mod hosting;
#[path = "install/hosts.rs"]
mod hosts;
mod support;
#[path = "install/watch.rs"]
mod watch;
#[path = "support/wordpress.rs"]
mod wordpress;

use std::path::Path;

/// Compares with a file in `tests/golden/`; with `UPDATE_GOLDEN` set, writes it.
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{}", path.display());
}
