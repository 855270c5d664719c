//! What a `test` webhook says back, so that the sender can prove who answered and what arrived. Pure.
//!
//! Only a sender with the right key gets it. The nonce in it is the sender's own and fresh: a page of WordPress or a
//! copy out of a cache cannot hold it in this shape.

use crate::cgi::{Body, Request};
use crate::text::hex;
use crate::webhook::Parameters;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest nonce that is said back, in characters.
const LONGEST_NONCE: usize = 64;

/// The signature of this program in an echo.
pub const PROGRAM: &str = concat!("bento-webhooks/", env!("CARGO_PKG_VERSION"));

/// What was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Name and version of the program that answers.
    pub program: String,
    /// The sender's nonce.
    pub nonce: String,
    /// Bytes of the body.
    pub length: usize,
    /// SHA-256 of the body, in hexadecimal digits.
    pub sha256: String,
    /// Where the access key came.
    pub key: KeyPlace,
}

/// Where the access key of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPlace {
    /// In the query or a form body: access logs keep it.
    Address,
    /// In a header only.
    Header,
}

impl KeyPlace {
    /// Where it was in a request whose key was right.
    pub fn of(parameters: &Parameters) -> KeyPlace {
        match parameters.get("access_key") {
            Some(_) => KeyPlace::Address,
            None => KeyPlace::Header,
        }
    }
}

impl Echo {
    /// The echo of a request whose key was right; none without a nonce of letters, digits, `-` and `_`.
    pub fn of(request: &Request, parameters: &Parameters) -> Option<Echo> {
        let nonce = parameters.get("nonce").filter(|nonce| is_nonce(nonce))?;
        let Body::Kept(body) = &request.body else {
            return None;
        };
        Some(Echo {
            program: PROGRAM.to_owned(),
            nonce: nonce.to_owned(),
            length: body.len(),
            sha256: digest(body),
            key: KeyPlace::of(parameters),
        })
    }
}

/// SHA-256 of a body as an echo gives it.
pub fn digest(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

fn is_nonce(text: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=LONGEST_NONCE).contains(&text.len()) && text.bytes().all(is_safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_short_text_is_said_back() {
        for (text, is) in [
            ("a-B_9", true),
            ("", false),
            ("a b", false),
            ("<b>", false),
            ("é", false),
            (&"x".repeat(64), true),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(is_nonce(text), is, "{text}");
        }
    }
}
