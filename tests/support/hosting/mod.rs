//! Web servers as hosting companies run them, each with a real WordPress behind it, private to the test and on loopback.
//!
//! [`Shop`] is the owner's side: home folder, document root, WordPress, database. [`Apache`] and [`Nginx`] serve one.
//! A test binary that wants them says `mod support; #[path = "support/wordpress.rs"] mod wordpress;
//! #[path = "support/hosting/mod.rs"] mod hosting;`.
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

mod apache;
mod guard;
mod installer;
mod nginx;
mod others;
mod shop;
mod user;

pub use apache::{Apache, Gateway, Host, Hosting, Php};
pub use guard::Guarded;
pub use installer::{Ended, Tree, archive};
pub use nginx::{Nginx, start_fcgiwrap};
pub use others::Other;
pub use shop::{HOME_PAGE, KEY, Layout, SECOND, SECOND_KEY, Shop};
pub use user::{User, is_root};
