//! phpass's portable hash: `$P$`, one character for the rounds, 8 of salt, 22 of digest.

use md5::{Digest as _, Md5};
use rand::CryptoRng;

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// WordPress hashes with 2^13 rounds, which this character says.
const ROUNDS: char = 'B';

/// The most rounds worked through, 2^20: about a tenth of a second.
const MAX_ROUNDS_LOG2: usize = 20;

/// Hashes with a fresh salt; 34 characters.
pub(super) fn hash(password: &[u8], random: &mut dyn CryptoRng) -> String {
    let mut salt = [0; 6];
    random.fill_bytes(&mut salt);
    let setting = format!("$P${ROUNDS}{}", encode(&salt));
    rehash(password, &setting).unwrap_or_default()
}

/// Whether the password gives this hash; `$H$` is phpBB's name of the same form.
pub(super) fn verify(password: &[u8], stored: &str) -> bool {
    rehash(password, stored).is_some_and(|again| again == stored)
}

/// Hashes with the rounds and the salt at the start of another hash.
fn rehash(password: &[u8], setting: &str) -> Option<String> {
    let setting = setting.get(..12)?;
    let (rounds, salt) = setting.get(3..)?.split_at_checked(1)?;
    let rounds_log2 = ALPHABET
        .iter()
        .position(|letter| [*letter] == *rounds.as_bytes())?;
    if !(7..=MAX_ROUNDS_LOG2).contains(&rounds_log2) {
        return None;
    }
    let mut digest = Md5::new()
        .chain_update(salt)
        .chain_update(password)
        .finalize();
    for _ in 0..1_u32 << rounds_log2 {
        digest = Md5::new()
            .chain_update(digest)
            .chain_update(password)
            .finalize();
    }
    Some(format!("{setting}{}", encode(&digest)))
}

/// Writes every 3 bytes, lowest first, as 4 characters; 1 byte left over gives 2.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk
            .iter()
            .rev()
            .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let letters =
            (0..=chunk.len()).filter_map(|place| ALPHABET.get(number >> (6 * place) & 63));
        text.extend(letters.map(|letter| char::from(*letter)));
    }
    text
}
