//! Checks WordPress password hashes by the published definitions, without the program's own code.

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use sha2::Sha384;

/// How a release stores passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `$P$B`, before WordPress 6.8.
    Phpass,
    /// `$wp$2y$` and a cost, from WordPress 6.8.
    Bcrypt,
}

impl Form {
    /// The form of a release such as `6.1.9`.
    pub fn of_release(release: &str) -> Form {
        let mut parts = release
            .split('.')
            .map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if version < (6, 8) {
            Form::Phpass
        } else {
            Form::Bcrypt
        }
    }

    /// Whether the hash looks exactly as this form does, with the cost that the test sites use.
    pub fn fits(self, hash: &str) -> bool {
        match self {
            Form::Phpass => hash.len() == 34 && hash.starts_with("$P$B"),
            Form::Bcrypt => hash.len() == 63 && hash.starts_with("$wp$2y$10$"),
        }
    }
}

/// Whether the password opens the hash. WordPress trims before it hashes.
pub fn verifies(password: &str, hash: &str) -> bool {
    let password = password.trim_matches([' ', '\t', '\n', '\r', '\0', '\x0b']);
    if let Some(bcrypt) = hash.strip_prefix("$wp") {
        let mut mac = Hmac::<Sha384>::new_from_slice(b"wp-sha384").unwrap();
        mac.update(password.as_bytes());
        let digest = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        return bcrypt::verify(digest, bcrypt).unwrap_or(false);
    }
    hash.starts_with("$P$") && phpass(password, hash) == hash
}

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn phpass(password: &str, setting: &str) -> String {
    let rounds = ALPHABET
        .iter()
        .position(|letter| *letter == setting.as_bytes()[3])
        .unwrap();
    let salt = &setting[4..12];
    let mut digest = Md5::digest([salt.as_bytes(), password.as_bytes()].concat());
    for _ in 0..1_u32 << rounds {
        digest = Md5::digest([digest.as_slice(), password.as_bytes()].concat());
    }
    let mut encoded = setting[..12].to_string();
    for group in digest.chunks(3) {
        let bits = group
            .iter()
            .rev()
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for place in 0..=group.len() {
            encoded.push(char::from(ALPHABET[bits >> (6 * place) & 63]));
        }
    }
    encoded
}
