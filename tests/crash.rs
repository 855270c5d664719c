//! The program dies, the connection breaks, a statement fails: at every single place where that can happen. Then the
//! webhook is sent again, and the rows are those of a run that nothing disturbed.
//!
//! A proxy between program and MariaDB makes the places: before and after each packet, and each statement.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise and says so"
)]

mod support;

#[path = "support/stage.rs"]
mod stage;

#[path = "crash/cuts.rs"]
mod cuts;
#[path = "crash/ground.rs"]
mod ground;
#[path = "crash/scenarios.rs"]
mod scenarios;
#[path = "crash/statements.rs"]
mod statements;
