//! Terminal output that is kept: compared with a file under `tests/golden/`, after what differs from run to run is made equal.
//!
//! With `UPDATE_GOLDEN=1` in the environment the files are written instead; look at the difference before it is kept.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test that includes this file uses another part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ground stops at the first surprise and says so"
)]

use std::fs;
use std::path::Path;

/// Compares `text` with the file `name`.
///
/// # Panics
/// When they differ.
pub fn compare(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        return;
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        golden == text,
        "{name} differs; it should be\n{golden}\nbut is\n{text}\nUPDATE_GOLDEN=1 writes it anew"
    );
}

/// `text` with every number in front of one of the units made `N`.
pub fn without_numbers(text: &str, units: &str) -> String {
    let pattern = regex_lite::Regex::new(&format!(r"\b\d+(?:\.\d+)? ({units})")).unwrap();
    pattern.replace_all(text, "N $1").into_owned()
}
