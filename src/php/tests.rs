//! Serialization against values made by PHP, and against text nobody should send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::*;
use crate::dice::Dice;

fn vectors() -> Json {
    serde_json::from_str(include_str!("../../tests/vectors/serialize.json")).unwrap()
}

fn bytes(json: &Json) -> Vec<u8> {
    json.as_str().unwrap().as_bytes().to_vec()
}

fn key(tree: &Json) -> Key {
    match tree[0].as_str().unwrap() {
        "i" => Key::Int(tree[1].as_i64().unwrap()),
        "s64" => Key::Str(STANDARD.decode(tree[1].as_str().unwrap()).unwrap()),
        _ => Key::Str(
            tree[1]
                .as_str()
                .map_or(b"\xff\xfe".to_vec(), |text| text.into()),
        ),
    }
}

/// The value a typed tree describes; none when it holds an object, which only the reader can make.
fn value(tree: &Json) -> Option<Value> {
    Some(match tree[0].as_str().unwrap() {
        "N" => Value::Null,
        "b" => Value::Bool(tree[1].as_bool().unwrap()),
        "i" => Value::Int(tree[1].as_i64().unwrap()),
        "d" => Value::float(match tree[1].as_str() {
            Some("INF") => f64::INFINITY,
            Some("-INF") => f64::NEG_INFINITY,
            Some(_) => f64::NAN,
            None => tree[1].as_f64().unwrap(),
        }),
        "s" => Value::Str(bytes(&tree[1])),
        "s64" => Value::Str(STANDARD.decode(tree[1].as_str().unwrap()).unwrap()),
        "a" => Value::Array(
            tree[1]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| Some((key(&entry[0]), value(&entry[1])?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

#[test]
fn every_value_of_php_is_read_and_written_byte_for_byte() {
    let vectors = vectors();
    let (mut seen, mut closed) = (0, 0);
    for case in vectors["serialize"].as_array().unwrap() {
        let php = STANDARD.decode(case["php_b64"].as_str().unwrap()).unwrap();
        let read = unserialize(&php).unwrap();
        assert_eq!(read.serialize(), php, "{case}");
        match value(&case["tree"]) {
            Some(made) => {
                assert_eq!(made, read, "{case}");
                assert_eq!(made.serialize(), php, "{case}");
            }
            None => {
                assert!(matches!(read, Value::Opaque(_)), "{case}");
                closed += 1;
            }
        }
        if let Some(text) = case["to_string"].as_str() {
            assert_eq!(read.as_text().unwrap(), text.as_bytes(), "{case}");
        }
        seen += 1;
    }
    assert_eq!((seen, closed), (42, 2));
}

#[test]
fn real_option_rows_survive() {
    for (name, option) in vectors()["options"].as_object().unwrap() {
        let raw = bytes(&option["raw"]);
        assert_eq!(unserialize(&raw).unwrap().serialize(), raw, "{name}");
    }
}

#[test]
fn stored_forms_are_those_of_wordpress() {
    let vectors = vectors();
    for case in vectors["is_serialized"].as_array().unwrap() {
        let text = bytes(&case["in"]);
        assert_eq!(
            is_serialized(&text),
            case["loose"].as_bool().unwrap(),
            "{case}"
        );
        assert_eq!(
            maybe_serialize(&Value::Str(text.clone())).unwrap(),
            bytes(&case["maybe_serialize"]),
            "{case}"
        );
        let back = maybe_unserialize(&text);
        match value(&case["maybe_unserialize"]) {
            Some(expected) => assert_eq!(back, expected, "{case}"),
            None => assert!(matches!(back, Value::Opaque(_)), "{case}"),
        }
    }
}

#[test]
fn scalars_are_stored_as_text_and_null_as_null() {
    let stored =
        |value: Value| maybe_serialize(&value).map(|text| String::from_utf8(text).unwrap());
    assert_eq!(stored(Value::Null), None);
    assert_eq!(stored(true.into()).unwrap(), "1");
    assert_eq!(stored(false.into()).unwrap(), "");
    assert_eq!(stored("".into()).unwrap(), "");
    assert_eq!(stored((-7).into()).unwrap(), "-7");
    assert_eq!(stored(Value::float(0.1 + 0.2)).unwrap(), "0.3");
    assert_eq!(stored(Value::float(2.0)).unwrap(), "2");
    assert_eq!(
        stored(Value::list(vec![Value::float(0.1 + 0.2)])).unwrap(),
        "a:1:{i:0;d:0.30000000000000004;}"
    );
}

#[test]
fn floats_switch_to_exponents_where_php_does() {
    let table = [
        (0.0001, "0.0001", "0.0001"),
        (0.00001, "1.0E-5", "1.0E-5"),
        (-0.000012345, "-1.2345E-5", "-1.2345E-5"),
        (0.5, "0.5", "0.5"),
        (99_999_999_999_999.0, "99999999999999", "99999999999999"),
        (100_000_000_000_000.0, "100000000000000", "1.0E+14"),
        (1e16, "10000000000000000", "1.0E+16"),
        (1e17, "1.0E+17", "1.0E+17"),
        (1.25e100, "1.25E+100", "1.25E+100"),
        (5e-324, "5.0E-324", "4.9406564584125E-324"),
    ];
    for (number, written, cast) in table {
        let value = Value::float(number);
        assert_eq!(value.serialize(), format!("d:{written};").into_bytes());
        assert_eq!(value.as_text().unwrap(), cast.as_bytes());
    }
}

#[test]
fn objects_and_references_stay_closed_and_unchanged() {
    let texts = [
        r#"O:8:"stdClass":1:{s:1:"a";a:1:{i:0;N;}}"#,
        r#"C:3:"Foo":3:{a;}}"#,
        r#"E:5:"A:One";"#,
        "r:1;",
        "R:2;",
    ];
    for inner in texts {
        let text = format!("a:2:{{s:1:\"o\";{inner}s:1:\"k\";i:1;}}").into_bytes();
        let read = unserialize(&text).unwrap();
        assert!(matches!(read.get("o"), Some(Value::Opaque(_))), "{inner}");
        assert_eq!(read.serialize(), text);
    }
}

#[test]
fn keys_follow_php() {
    let same = |text: &str| Key::Str(text.as_bytes().to_vec());
    for (text, expected) in [
        ("5", Key::Int(5)),
        ("-5", Key::Int(-5)),
        ("0", Key::Int(0)),
        ("9223372036854775807", Key::Int(i64::MAX)),
        ("9223372036854775808", same("9223372036854775808")),
        ("05", same("05")),
        ("-0", same("-0")),
        ("+5", same("+5")),
        ("1e3", same("1e3")),
        ("", same("")),
        (" 5", same(" 5")),
    ] {
        assert_eq!(Key::from_bytes(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn a_later_entry_of_the_same_key_counts() {
    let read = unserialize(b"a:3:{i:5;i:1;s:1:\"5\";i:2;s:1:\"x\";i:3;}").unwrap();
    assert_eq!(read.get("5"), Some(&Value::Int(2)));
    assert_eq!(read.get("y"), None);
    assert_eq!(Value::from("text").get("5"), None);
}

#[test]
fn truth_is_that_of_php() {
    let table = [
        (Value::Null, false),
        (false.into(), false),
        (0.into(), false),
        (Value::float(-0.0), false),
        ("".into(), false),
        ("0".into(), false),
        (Value::list(vec![]), false),
        ("0.0".into(), true),
        (" ".into(), true),
        (Value::float(f64::NAN), true),
        (Value::list(vec![Value::Null]), true),
    ];
    for (value, expected) in table {
        assert_eq!(value.truthy(), expected, "{value:?}");
    }
}

#[test]
fn what_follows_a_value_is_ignored_and_what_precedes_it_is_not() {
    assert_eq!(unserialize(b"i:5;junk"), Ok(Value::Int(5)));
    assert!(unserialize(b" i:5;").is_err());
}

#[test]
fn malformed_text_is_refused() {
    for text in [
        "",
        "i:",
        "i:5",
        "i:;",
        "i:99999999999999999999;",
        "b:2;",
        "b:;",
        "d:;",
        "d:inf;",
        "d:nan;",
        "d:1,5;",
        "d:infinity;",
        "s:3:\"ab\";",
        "s:2:\"abc\";",
        "s:-1:\"\";",
        "s:1:a;",
        "S:1:\"a\";",
        "a:1:{}",
        "a:0:{",
        "a:-1:{}",
        "a:1:{N;N;}",
        "a:1:{i:0;}",
        "a:2:{i:0;N;}",
        "N",
        "x:1;",
        "O:8:\"stdClass\":1:{}",
        "C:3:\"Foo\":9:{abc}",
        "E:3:\"A:b\"",
        "r:;",
        "r:x;",
        "s:99999999999999:\"a\";",
        "s:18446744073709551616:\"a\";",
        "s:18446744073709551615:\"a\";",
        "a:99999999999999:{i:0;N;}",
        "a:4294967295:{}",
        "C:3:\"Foo\":18446744073709551615:{}",
    ] {
        assert!(unserialize(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    for (open, close) in [("a:1:{i:0;", "}"), ("O:1:\"A\":1:{i:0;", "}")] {
        let deep = |depth: usize| [&open.repeat(depth), "N;", &close.repeat(depth)].concat();
        assert!(unserialize(deep(50_000).as_bytes()).is_err());
        assert!(unserialize(deep(257).as_bytes()).is_err());
        assert!(unserialize(deep(200).as_bytes()).is_ok());
    }
}

/// Keys that arrays of the vectors have.
const SOME: [&str; 5] = ["a", "nested", "editor", "it's", ""];

/// Of an array what has one of the keys.
fn of_some(value: Value) -> Value {
    let wanted = |key: &Key| matches!(key, Key::Str(text) if SOME.iter().any(|name| name.as_bytes() == *text));
    match value {
        Value::Array(entries) => {
            Value::Array(entries.into_iter().filter(|(key, _)| wanted(key)).collect())
        }
        value => value,
    }
}

#[test]
fn some_entries_are_those_of_the_whole() {
    let rows = vectors();
    let mut found = 0;
    for case in rows["serialize"].as_array().unwrap() {
        let php = STANDARD.decode(case["php_b64"].as_str().unwrap()).unwrap();
        let some = unserialize_some(&php, &SOME);
        assert_eq!(some, unserialize(&php).map(of_some), "{case}");
        found += usize::from(matches!(some, Ok(Value::Array(entries)) if !entries.is_empty()));
    }
    assert!(found > 3, "{found}");
}

#[test]
fn mutated_and_cut_text_never_panics_and_stays_stable() {
    let vectors = vectors();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut good, mut bad) = (0, 0);
    for case in vectors["serialize"].as_array().unwrap() {
        let php = STANDARD.decode(case["php_b64"].as_str().unwrap()).unwrap();
        for length in 0..php.len().min(300) {
            assert!(unserialize(&php[..length]).is_err(), "{case}");
        }
        for _ in 0..400 {
            let mut text = php.clone();
            for _ in 0..=dice.below(3) {
                let at = dice.below(text.len());
                text[at] = b"0123456789:;{}\"aOCEbidsNrR.+-\xff"[dice.below(30)];
            }
            let _ = maybe_unserialize(&text);
            let _ = splice(&text, "k", &Value::Null);
            assert_eq!(
                unserialize_some(&text, &SOME),
                unserialize(&text).map(of_some)
            );
            let Ok(read) = unserialize(&text) else {
                bad += 1;
                continue;
            };
            good += 1;
            let written = read.serialize();
            assert_eq!(unserialize(&written).unwrap().serialize(), written);
        }
    }
    assert!(good > 500 && bad > 5000, "{good} {bad}");
}

#[test]
fn splice_replaces_one_value_and_nothing_else() {
    let text = br#"a:3:{s:1:"a";O:1:"X":1:{s:1:"k";i:1;}s:1:"k";s:3:"old";i:7;d:1.50;};tail"#;
    assert_eq!(
        splice(text, "k", &"newer".into()).unwrap(),
        br#"a:3:{s:1:"a";O:1:"X":1:{s:1:"k";i:1;}s:1:"k";s:5:"newer";i:7;d:1.50;};tail"#
    );
    assert_eq!(
        splice(text, "7", &Value::list(vec![])).unwrap(),
        br#"a:3:{s:1:"a";O:1:"X":1:{s:1:"k";i:1;}s:1:"k";s:3:"old";i:7;a:0:{}};tail"#
    );
}

#[test]
fn splice_appends_and_counts() {
    let nine: Vec<_> = (0..9).map(Value::Int).collect();
    let text = Value::list(nine).serialize();
    let longer = splice(&text, "new", &true.into()).unwrap();
    let read = unserialize(&longer).unwrap();
    assert!(longer.starts_with(b"a:10:{i:0;i:0;"));
    assert!(longer.ends_with(b"i:8;i:8;s:3:\"new\";b:1;}"));
    assert_eq!(read.serialize(), longer);
    assert_eq!(
        splice(b"a:0:{}", "12", &Value::Null).unwrap(),
        b"a:1:{i:12;N;}"
    );
}

#[test]
fn splice_does_not_shift_references() {
    let text = br#"a:3:{s:1:"o";O:1:"X":0:{}s:1:"k";s:1:"v";s:1:"r";r:2;}"#;
    assert!(splice(text, "k", &"w".into()).is_ok());
    assert!(splice(text, "k", &Value::list(vec![])).is_err());
    assert!(splice(text, "new", &"w".into()).is_err());
    assert!(splice(text, "r", &"w".into()).is_err());
    let foreign = unserialize(b"a:1:{i:0;r:1;}").unwrap();
    assert!(splice(b"a:0:{}", "k", &foreign).is_err());
    for text in ["s:1:\"a\";", "N;", "a:1:{s:1:\"k\";i:1;", ""] {
        assert!(
            splice(text.as_bytes(), "k", &Value::Null).is_err(),
            "{text}"
        );
    }
}

#[test]
fn of_two_nearest_forms_the_even_one_is_written() {
    for (number, text) in [
        ("-615490157041563.25", "d:-615490157041563.2;"),
        ("615490157041563.75", "d:615490157041563.8;"),
        ("0.1", "d:0.1;"),
    ] {
        let number = number.parse().unwrap();
        assert_eq!(Value::float(number).serialize(), text.as_bytes());
    }
}
