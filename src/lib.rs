//! bento-webhooks answers Bento's webhooks for a WordPress site with WP Fusion, in place of PHP.
//!
//! ```text
//!   web server ── cgi ──▶ webhook ──▶ receive ─────────────────────────▶ outcome ── cgi ──▶ web server
//!                                        │                                  ▲
//!                       wp_config, site ─┤ settings: key, field map, tags   │
//!                                 bento ─┤ the person, once                 │
//!                                  plan ─┤ what must change (pure)          │
//!                                  site ─┤ one transaction                  │
//!                                  mail ─┘ what the user is told, after it ─┘
//! ```
//!
//! `receive` tells the story and is the only one to call the stages; a stage may use the types of an earlier one, never
//! its actions.

pub mod bento;
pub mod cgi;
pub mod clean;
pub mod clock;
pub mod command;
#[cfg(test)]
mod dice;
pub mod doctor;
pub mod echo;
pub mod http;
pub mod inbox;
pub mod log;
pub mod mail;
pub mod outcome;
pub mod page;
pub mod password;
pub mod php;
mod php_text;
pub mod plan;
pub mod receive;
pub mod release;
pub mod report;
pub mod roles;
pub mod secret;
pub mod settings;
pub mod setup;
pub mod site;
pub mod text;
pub mod translations;
pub mod web;
pub mod webhook;
pub mod wp_config;
