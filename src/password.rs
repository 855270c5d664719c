//! Passwords as each WordPress release hashes them, and the keys of "set your password" links.
//!
//! Below 6.8 that is phpass (salted MD5, 8192 rounds), from 6.8 on bcrypt over HMAC-SHA-384. Writing
//! the wrong one locks people out: 6.7 rejects `$wp$2y$`. Passwords pass through as bytes, and none
//! is ever logged or kept. Randomness comes from the caller.

mod phpass;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use blake2::Blake2bMac;
use blake2::digest::consts::U30;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use rand::CryptoRng;
use sha2::Sha384;

use crate::php::trim;
use crate::release::Release;
use crate::text::hex;

/// Longer passwords are refused by WordPress, in bytes.
const MAX_LENGTH: usize = 4096;

/// What WordPress stores for a refused password: it never verifies.
const REFUSED: &str = "*";

/// The cost of PHP before 8.4; 8.4 has 12. Any cost verifies.
const DEFAULT_COST: u32 = 10;

/// The highest cost worked with; each step doubles the time, and a webhook has seconds.
const MAX_COST: u32 = 14;

/// The 62 characters of `wp_generate_password` without symbols.
const LETTERS_AND_DIGITS: &[u8; 62] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// How a release of WordPress hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `$P$B…`, up to 6.7.
    Phpass,
    /// `$wp$2y$…`, from 6.8 on.
    Bcrypt {
        /// The base-two logarithm of the rounds; taken up to 14.
        cost: u32,
    },
}

impl Form {
    /// The form of a release; `existing_cost` is the [`cost_of`] some hash the site itself has made.
    pub fn for_release(release: Release, existing_cost: Option<u32>) -> Self {
        if !release.at_least(6, 8) {
            return Self::Phpass;
        }
        Self::Bcrypt {
            cost: existing_cost.unwrap_or(DEFAULT_COST),
        }
    }
}

/// The cost of a hash made by WordPress 6.8 or later: 12 for `$wp$2y$12$…`.
pub fn cost_of(stored: &str) -> Option<u32> {
    let rest = stored.strip_prefix("$wp$2y$")?;
    let (cost, _) = rest.split_once('$')?;
    let cost = cost.parse().ok()?;
    (4..=31).contains(&cost).then_some(cost)
}

/// Hashes as `wp_hash_password`: blanks at both ends are cut, over 4096 bytes give `*`.
pub fn hash(password: &[u8], form: Form, random: &mut dyn CryptoRng) -> String {
    let trimmed = trim(password);
    let measured = match form {
        Form::Phpass => trimmed,
        Form::Bcrypt { .. } => password,
    };
    if measured.len() > MAX_LENGTH {
        return REFUSED.to_owned();
    }
    match form {
        Form::Phpass => phpass::hash(trimmed, random),
        Form::Bcrypt { cost } => bcrypt_hash(trimmed, cost.clamp(4, MAX_COST), random),
    }
}

/// Whether this release's `wp_check_password` accepts the password, uncut as it is; costs beyond
/// what a webhook can wait for, and argon2, count as another password.
pub fn verify(password: &[u8], stored: &str, release: Release) -> bool {
    if stored.len() <= 32 {
        return hex(&Md5::digest(password)) == stored;
    }
    if password.len() > MAX_LENGTH {
        return false;
    }
    let modern = release.at_least(6, 8);
    match stored.as_bytes() {
        [b'$', b'w', b'p', b'$', ..] if modern => stored
            .strip_prefix("$wp")
            .is_some_and(|hash| bcrypt_verify(prehash(password).as_bytes(), hash)),
        [b'$', b'P', b'$', ..] => phpass::verify(password, stored),
        [b'$', b'H', b'$', ..] if !modern => phpass::verify(password, stored),
        _ => bcrypt_verify(password, stored),
    }
}

/// Draws letters and digits, each of the 62 equally likely, as `wp_generate_password( n, false )`.
pub fn generate(length: usize, random: &mut dyn CryptoRng) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut drawn = [0; 32];
        random.fill_bytes(&mut drawn);
        // 248 is the greatest multiple of 62 in a byte: what lies above would favour some letters.
        let fair = drawn.iter().filter(|byte| **byte < 248);
        let picked = fair.filter_map(|byte| LETTERS_AND_DIGITS.get(usize::from(*byte % 62)));
        text.extend(
            picked
                .take(length - text.len())
                .map(|byte| char::from(*byte)),
        );
    }
    text
}

/// Hashes the key of a "set your password" link as a release with this form does.
pub fn hash_key(key: &str, form: Form, random: &mut dyn CryptoRng) -> String {
    match form {
        Form::Phpass => phpass::hash(key.as_bytes(), random),
        Form::Bcrypt { .. } => fast_hash(key),
    }
}

/// `wp_fast_hash` of 6.8 and later: keyed BLAKE2b of 30 bytes, without a salt.
pub fn fast_hash(key: &str) -> String {
    let Ok(mut mac) = Blake2bMac::<U30>::new_from_slice(b"wp_fast_hash_6.8+") else {
        return REFUSED.to_owned();
    };
    blake2::digest::Update::update(&mut mac, key.as_bytes());
    let digest = blake2::digest::FixedOutput::finalize_fixed(mac);
    format!("$generic${}", URL_SAFE_NO_PAD.encode(digest))
}

/// Brings a password of any length into the 72 bytes bcrypt looks at.
fn prehash(password: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha384>::new_from_slice(b"wp-sha384") else {
        return String::new();
    };
    mac.update(password);
    STANDARD.encode(mac.finalize().into_bytes())
}

fn bcrypt_hash(trimmed: &[u8], cost: u32, random: &mut dyn CryptoRng) -> String {
    let mut salt = [0; 16];
    random.fill_bytes(&mut salt);
    match bcrypt::hash_with_salt(prehash(trimmed), cost, salt) {
        // PHP rehashes anything but `$2y$` at the next log-in.
        Ok(parts) => format!("$wp{}", parts.format_for_version(bcrypt::Version::TwoY)),
        Err(_) => REFUSED.to_owned(),
    }
}

fn bcrypt_verify(password: &[u8], stored: &str) -> bool {
    let affordable = stored
        .parse::<bcrypt::HashParts>()
        .is_ok_and(|parts| parts.get_cost() <= MAX_COST);
    affordable && bcrypt::verify(password, stored).unwrap_or(false)
}
