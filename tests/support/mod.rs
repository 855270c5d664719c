//! The ground the tests stand on: a stand-in Bento, a private MariaDB, a WordPress site made of rows and the
//! program run as a web server would run it.
//!
//! Several test binaries, the demo and the benchmark share these files, each using a part. Nothing here knows
//! the program's own code: what the program is measured by must not be made by it.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each binary that includes this folder uses another part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test ground stops at the first surprise and says so"
)]

pub mod bento;
pub mod cgi;
pub mod database;
pub mod mail;
pub mod password;
pub mod php;
pub mod recording;
pub mod site;
pub mod state;
