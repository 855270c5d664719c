//! bento-webhooks answers Bento's webhooks for a WordPress site with WP Fusion, in place of PHP.

pub mod clean;
pub mod password;
pub mod php;
pub mod release;
pub mod wp_config;
