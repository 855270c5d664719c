//! PHP `serialize()` for values that come from JSON files, independent of the program's own module.
//!
//! JSON cannot tell an empty list from an empty map; PHP has one array type, so both become `a:0:{}`.

use serde_json::Value;

/// The stored form of a JSON value, as PHP writes it.
pub fn serialize(value: &Value) -> String {
    match value {
        Value::Null => "N;".to_string(),
        Value::Bool(yes) => format!("b:{};", u8::from(*yes)),
        Value::Number(number) if number.is_f64() => format!("d:{number};"),
        Value::Number(number) => format!("i:{number};"),
        Value::String(text) => string(text),
        Value::Array(list) => {
            let entries = list.iter().enumerate();
            array(
                list.len(),
                entries.map(|(index, entry)| (format!("i:{index};"), entry)),
            )
        }
        Value::Object(map) => array(
            map.len(),
            map.iter().map(|(name, entry)| (key(name), entry)),
        ),
    }
}

fn array<'a>(length: usize, entries: impl Iterator<Item = (String, &'a Value)>) -> String {
    let body: String = entries
        .map(|(key, value)| key + &serialize(value))
        .collect();
    format!("a:{length}:{{{body}}}")
}

/// PHP turns a key that is written like an integer into one.
fn key(name: &str) -> String {
    match name.parse::<i64>() {
        Ok(number) if number.to_string() == name => format!("i:{number};"),
        _ => string(name),
    }
}

fn string(text: &str) -> String {
    format!("s:{}:\"{text}\";", text.len())
}
