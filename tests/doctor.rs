//! `doctor` on real servers: a site that is whole, and sites that are broken in one way each, of which it names the break.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "helpers of tests stop at the first surprise"
)]

#[path = "support/hosting/mod.rs"]
mod hosting;
mod support;
#[path = "support/wordpress.rs"]
mod wordpress;

#[path = "doctor/patient.rs"]
mod patient;

use patient::Patient;

#[test]
fn a_whole_site_is_eight_lines() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let said = patient.doctor(&[]);
    eprintln!("{said}");
    eprintln!("{}", patient.doctor(&["-v"]));
    eprintln!("{}", patient.doctor(&["--json"]));
    eprintln!("{}", patient.doctor(&["--report"]));
    assert_eq!(said.code, 0, "{said}");
}
