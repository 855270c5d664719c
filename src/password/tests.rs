//! Hashes against those WordPress has made.

use std::convert::Infallible;

use base64::Engine as _;
use serde_json::Value as Json;

use super::*;

const OLD: Release = Release::new(6, 7, 7);
const NEW: Release = Release::new(6, 8, 0);

/// Repeatable bytes in place of the operating system's.
struct Dice(u64);

impl rand::TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|number| (number >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        Ok(mixed ^ mixed >> 31)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = (self.try_next_u64()? >> 56) as u8;
        }
        Ok(())
    }
}

impl rand::TryCryptoRng for Dice {}

fn vectors(name: &str) -> Json {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn password(case: &Json) -> Vec<u8> {
    let password = match (case["password"].as_str(), case["password_b64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => STANDARD.decode(text).unwrap(),
        (None, None) => {
            let repeat = &case["password_repeat"];
            let times = repeat["times"].as_u64().unwrap() as usize;
            repeat["byte"].as_str().unwrap().repeat(times).into_bytes()
        }
    };
    let length = case["len"]
        .as_u64()
        .map_or(password.len(), |len| len as usize);
    assert_eq!(password.len(), length, "{case}");
    password
}

/// Hashes of one cost are slow in a build without optimization, so only every n-th is checked.
fn check(list: &str, release: Release, form: Form, every: usize) {
    let cases = vectors("passwords")[list].as_array().unwrap().clone();
    assert_eq!(cases.len(), 36);
    for case in cases.iter().step_by(every) {
        let (password, stored) = (password(case), case["hash"].as_str().unwrap());
        let expected = |name: &str| case[name].as_bool().unwrap();
        assert_eq!(
            verify(&password, stored, release),
            expected("check"),
            "{case}"
        );
        assert_eq!(
            verify(trim(&password), stored, release),
            expected("check_after_trim"),
            "{case}"
        );
        let ours = hash(&password, form, &mut Dice(password.len() as u64));
        assert_eq!(ours.len(), stored.len(), "{case}");
        assert_eq!(
            verify(trim(&password), &ours, release),
            stored != "*",
            "{case}"
        );
        assert!(!verify(b"another", &ours, release), "{case}");
    }
}

#[test]
fn phpass_is_that_of_wordpress_before_6_8() {
    check("phpass_wp_6.1_to_6.7", OLD, Form::Phpass, 1);
}

#[test]
fn bcrypt_is_that_of_wordpress_from_6_8_on() {
    check(
        "bcrypt_wp_6.8_up_php_below_8.4",
        NEW,
        Form::Bcrypt { cost: 4 },
        1,
    );
}

#[test]
fn bcrypt_of_php_8_4_costs_12() {
    check(
        "bcrypt_wp_6.8_up_php_8.4_up",
        NEW,
        Form::Bcrypt { cost: 4 },
        12,
    );
}

#[test]
fn legacy_forms_count_where_the_release_takes_them() {
    let vectors = vectors("passwords_legacy");
    for (index, case) in vectors["cases"].as_array().unwrap().iter().enumerate() {
        let password = password(case);
        for (form, old, new) in [
            ("md5", true, true),
            ("phpass_H", true, false),
            ("phpass_512_rounds", true, true),
            ("plain_bcrypt", true, true),
        ] {
            let slow = form == "plain_bcrypt" && index > 1;
            let Some(stored) = case[form].as_str().filter(|_| !slow) else {
                continue;
            };
            assert_eq!(verify(&password, stored, OLD), old, "{form} {case}");
            assert_eq!(verify(&password, stored, NEW), new, "{form} {case}");
            assert!(!verify(b"another", stored, OLD), "{form} {case}");
        }
    }
}

#[test]
fn hashes_have_the_form_of_the_release() {
    let random = &mut Dice(1);
    assert_eq!(Form::for_release(OLD, Some(12)), Form::Phpass);
    assert_eq!(Form::for_release(NEW, None), Form::Bcrypt { cost: 10 });
    assert_eq!(Form::for_release(NEW, Some(12)), Form::Bcrypt { cost: 12 });
    let bcrypt = hash(b"a", Form::Bcrypt { cost: 5 }, random);
    assert!(
        bcrypt.starts_with("$wp$2y$05$") && bcrypt.len() == 63,
        "{bcrypt}"
    );
    assert!(!verify(b"a", &bcrypt, OLD));
    let phpass = hash(b"a", Form::Phpass, random);
    assert!(phpass.starts_with("$P$B") && phpass.len() == 34, "{phpass}");
    assert_ne!(
        phpass,
        hash(b"a", Form::Phpass, random),
        "the salt is fresh"
    );
}

#[test]
fn length_is_measured_before_the_cut_for_bcrypt_and_after_it_for_phpass() {
    let padded = [b"y".repeat(4096), b" ".to_vec()].concat();
    assert_eq!(hash(&padded, Form::Bcrypt { cost: 4 }, &mut Dice(1)), "*");
    assert_eq!(hash(&padded, Form::Phpass, &mut Dice(1)).len(), 34);
}

#[test]
fn cost_is_read_from_hashes_of_wordpress_only() {
    assert_eq!(cost_of("$wp$2y$12$uUCxJcsib1MKh1zi92dV7"), Some(12));
    assert_eq!(cost_of("$wp$2y$99$x"), None);
    assert_eq!(cost_of("$2y$12$x"), None);
    assert_eq!(cost_of("$P$Bxxxx"), None);
    assert_eq!(cost_of("$wp$2y$"), None);
}

#[test]
fn a_hash_that_would_take_minutes_is_not_tried() {
    let bcrypt = "$wp$2y$10$4b1eTPee2EUjZCZYaO5fQeS2Qx29CQ79q6Sdkd55VeuNGnKmz623W";
    assert!(verify(b"password", bcrypt, NEW));
    assert!(!verify(b"password", &bcrypt.replace("$10$", "$31$"), NEW));
    assert!(!verify(
        b"password",
        "$P$SncvJCxHv/3JVzNsf9WqV3xB1.1I100",
        OLD
    ));
}

#[test]
fn junk_in_the_column_verifies_nothing() {
    for stored in [
        "",
        "*",
        "$",
        "$P$",
        "$P$B",
        "$wp",
        "$wp$2y$10$short",
        "é".repeat(20).as_str(),
    ] {
        let padded = format!("{stored:é<40}");
        for stored in [stored, padded.as_str()] {
            assert!(
                !verify(b"", stored, OLD) && !verify(b"", stored, NEW),
                "{stored}"
            );
        }
    }
}

#[test]
fn keys_are_hashed_as_wordpress_does() {
    let vectors = vectors("reset_keys");
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let key = case["key"].as_str().unwrap();
        let random = &mut Dice(7);
        assert_eq!(fast_hash(key), case["generic_wp_6.8_up"].as_str().unwrap());
        assert_eq!(
            hash_key(key, Form::Bcrypt { cost: 4 }, random),
            fast_hash(key)
        );
        let phpass = case["phpass_wp_6.1_to_6.7"].as_str().unwrap();
        assert!(verify(key.as_bytes(), phpass, OLD));
        assert!(verify(
            key.as_bytes(),
            &hash_key(key, Form::Phpass, random),
            OLD
        ));
    }
}

#[test]
fn generated_passwords_use_all_62_characters_evenly() {
    let text = generate(62_000, &mut Dice(3));
    assert_eq!(text.len(), 62_000);
    let mut counts = [0; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    for letter in LETTERS_AND_DIGITS {
        let count: i32 = counts[usize::from(*letter)];
        // A byte taken modulo 62 would give the first 8 letters 1211 instead of 1000.
        assert!((count - 1000).abs() < 150, "{letter} {count}");
    }
    assert_eq!(generate(0, &mut Dice(3)), "");
    assert_eq!(generate(20, &mut Dice(3)).len(), 20);
}
