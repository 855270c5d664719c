//! Keeps secrets off the screen: whatever a check wrote, no text leaves the doctor that still holds one. Pure.

use crate::secret::Secret;

/// Shorter texts are no secrets, and would blot out ordinary words.
const SHORTEST: usize = 6;

/// A secret as it may be shown, to see whether two are the same: `a1…d4`.
pub(super) fn masked(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    match letters.as_slice() {
        [a, b, middle @ .., y, z] if middle.len() >= 4 => format!("{a}{b}…{y}{z}"),
        _ => "…".to_owned(),
    }
}

/// `text` with every secret in it masked, as it is and as an address would hold it.
pub(super) fn scrubbed(text: &str, secrets: &[Secret]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        let secret = secret.expose_str();
        if secret.len() < SHORTEST {
            continue;
        }
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        text = text.replace(secret, "…").replace(&encoded, "…");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_survives() {
        let secrets = [Secret::new("s3cret/key"), Secret::new("a"), Secret::new("")];
        assert_eq!(
            scrubbed("a s3cret/key at ?k=s3cret%2Fkey&a", &secrets),
            "a … at ?k=…&a"
        );
        assert_eq!(masked("a1b2c3d4"), "a1…d4");
        assert_eq!(masked("a1b2c3d"), "…");
        assert_eq!(masked(""), "…");
    }
}
