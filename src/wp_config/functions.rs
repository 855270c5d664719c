//! PHP operators and functions that depend on nothing but their arguments.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::patterns;
use super::text_functions;
use super::value::{Unknown, Val};
use crate::php::Key;

pub(super) use super::patterns::preg_match;

/// Functions whose result is not known but which change nothing that settings depend on.
const HARMLESS: [&str; 40] = [
    "apache_getenv",
    "assert",
    "class_exists",
    "date",
    "date_default_timezone_set",
    "debug_backtrace",
    "error_log",
    "error_reporting",
    "extension_loaded",
    "fclose",
    "fopen",
    "gethostname",
    "getmypid",
    "header",
    "header_remove",
    "headers_sent",
    "hash",
    "http_response_code",
    "ignore_user_abort",
    "ini_set",
    "is_callable",
    "is_object",
    "is_ssl",
    "mb_internal_encoding",
    "md5",
    "microtime",
    "mt_rand",
    "ob_start",
    "php_sapi_name",
    "php_uname",
    "phpversion",
    "rand",
    "register_shutdown_function",
    "set_error_handler",
    "set_time_limit",
    "setcookie",
    "setlocale",
    "sha1",
    "time",
    "umask",
];

/// Functions that write to the variables they are given.
const CHANGE_ARGUMENTS: [&str; 18] = [
    "array_multisort",
    "array_pop",
    "array_push",
    "array_shift",
    "array_splice",
    "array_unshift",
    "array_walk",
    "asort",
    "exec",
    "ksort",
    "parse_str",
    "preg_match_all",
    "rsort",
    "settype",
    "shuffle",
    "sort",
    "sscanf",
    "usort",
];

pub(super) fn is_harmless(name: &str) -> bool {
    HARMLESS.contains(&name)
}

/// Whether this is a function of PHP that is known here.
pub(super) fn is_known(name: &str) -> bool {
    let worldly = [
        "define",
        "defined",
        "constant",
        "getenv",
        "file_exists",
        "file_get_contents",
    ];
    is_harmless(name) || worldly.contains(&name) || call(name, &[Val::Null]).is_some()
}

pub(super) fn changes_arguments(name: &str) -> bool {
    CHANGE_ARGUMENTS.contains(&name)
}

/// PHP's own constants that occur in settings.
pub(super) fn constant(name: &str) -> Option<Val> {
    Some(match name {
        "DIRECTORY_SEPARATOR" => Val::text("/"),
        "PATH_SEPARATOR" => Val::text(":"),
        "PHP_EOL" => Val::text("\n"),
        "PHP_OS" | "PHP_OS_FAMILY" => Val::text("Linux"),
        "PHP_INT_MAX" => Val::Int(i64::MAX),
        "PHP_INT_SIZE" => Val::Int(8),
        "MYSQLI_CLIENT_COMPRESS" => Val::Int(32),
        "MYSQLI_CLIENT_FOUND_ROWS" => Val::Int(2),
        "MYSQLI_CLIENT_IGNORE_SPACE" => Val::Int(256),
        "MYSQLI_CLIENT_INTERACTIVE" => Val::Int(1024),
        "MYSQLI_CLIENT_SSL" => Val::Int(2048),
        "MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT" => Val::Int(64),
        "FILTER_DEFAULT" | "FILTER_UNSAFE_RAW" => Val::Int(516),
        "FILTER_VALIDATE_BOOL" | "FILTER_VALIDATE_BOOLEAN" => Val::Int(258),
        "FILTER_VALIDATE_INT" => Val::Int(257),
        "FILTER_NULL_ON_FAILURE" => Val::Int(134_217_728),
        "PHP_URL_SCHEME" => Val::Int(0),
        "PHP_URL_HOST" => Val::Int(1),
        "PHP_URL_PORT" => Val::Int(2),
        "PHP_URL_USER" => Val::Int(3),
        "PHP_URL_PASS" => Val::Int(4),
        "PHP_URL_PATH" => Val::Int(5),
        "PHP_URL_QUERY" => Val::Int(6),
        "PHP_URL_FRAGMENT" => Val::Int(7),
        "E_ALL" => Val::Int(32767),
        "E_ERROR" => Val::Int(1),
        "E_WARNING" => Val::Int(2),
        "E_PARSE" => Val::Int(4),
        "E_NOTICE" => Val::Int(8),
        "E_STRICT" => Val::Int(2048),
        "E_DEPRECATED" => Val::Int(8192),
        _ => return None,
    })
}

// Operators. Each gives none when the result cannot be known.

pub(super) fn loosely_equal(one: &Val, two: &Val) -> Option<bool> {
    one.compare(two).map(|order| order == Ordering::Equal)
}

pub(super) fn unary(op: &str, value: &Val) -> Option<Val> {
    match op {
        "-" => binary("*", value, &Val::Int(-1)),
        "+" => binary("*", value, &Val::Int(1)),
        _ => match value {
            Val::Int(number) => Some(Val::Int(!number)),
            _ => None,
        },
    }
}

pub(super) fn binary(op: &str, one: &Val, two: &Val) -> Option<Val> {
    let order = |wanted: &[Ordering]| {
        let order = one.compare(two)?;
        Some(Val::Bool(wanted.contains(&order)))
    };
    match op {
        "==" => loosely_equal(one, two).map(Val::Bool),
        "!=" | "<>" => loosely_equal(one, two).map(|equal| Val::Bool(!equal)),
        "===" => one.identical(two).map(Val::Bool),
        "!==" => one.identical(two).map(|same| Val::Bool(!same)),
        "<" => order(&[Ordering::Less]),
        "<=" => order(&[Ordering::Less, Ordering::Equal]),
        ">" => order(&[Ordering::Greater]),
        ">=" => order(&[Ordering::Greater, Ordering::Equal]),
        "<=>" => one.compare(two).map(|order| Val::Int(order as i64)),
        "." => {
            let text = [one.to_text()?, two.to_text()?].concat();
            Some(Val::text(text))
        }
        "xor" => Some(Val::Bool(one.truthy()? != two.truthy()?)),
        "|" => Some(Val::Int(integer(one)? | integer(two)?)),
        "&" => Some(Val::Int(integer(one)? & integer(two)?)),
        "^" => Some(Val::Int(integer(one)? ^ integer(two)?)),
        "<<" => shift(one, two, i64::checked_shl),
        ">>" => shift(one, two, i64::checked_shr),
        "+" if matches!((one, two), (Val::Array(_), Val::Array(_))) => union(one, two),
        "+" | "-" | "*" | "/" | "%" | "**" => arithmetic(op, one, two),
        _ => None,
    }
}

fn shift(one: &Val, two: &Val, by: impl Fn(i64, u32) -> Option<i64>) -> Option<Val> {
    by(integer(one)?, u32::try_from(integer(two)?).ok()?).map(Val::Int)
}

/// A whole number as arithmetic takes it; bits of strings are another matter.
fn integer(value: &Val) -> Option<i64> {
    match value {
        Val::Text(_) => {
            let number = value.numeric()?;
            (number.fract() == 0.0).then(|| value.to_int()).flatten()
        }
        Val::Float(_) | Val::Array(_) => None,
        _ => value.to_int(),
    }
}

fn arithmetic(op: &str, one: &Val, two: &Val) -> Option<Val> {
    if let (Some(left), Some(right)) = (integer(one), integer(two)) {
        let exact = match op {
            "+" => left.checked_add(right),
            "-" => left.checked_sub(right),
            "*" => left.checked_mul(right),
            "%" => return left.checked_rem(right).map(Val::Int),
            "/" if right != 0 && left.checked_rem(right) == Some(0) => left.checked_div(right),
            "**" => u32::try_from(right)
                .ok()
                .and_then(|right| left.checked_pow(right)),
            _ => None,
        };
        if let Some(number) = exact {
            return Some(Val::Int(number));
        }
    }
    let number = |value: &Val| match value {
        Val::Text(_) => value.numeric(),
        Val::Array(_) => None,
        _ => value.to_float(),
    };
    let (left, right) = (number(one)?, number(two)?);
    let result = match op {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" if right != 0.0 => left / right,
        // Powers of anything but whole numbers would need the C library of mathematics, which every start would load.
        _ => return None,
    };
    Some(Val::Float(result))
}

fn union(one: &Val, two: &Val) -> Option<Val> {
    let (Val::Array(one), Val::Array(two)) = (one, two) else {
        return None;
    };
    let mut entries = one.to_vec();
    for (key, value) in two.iter() {
        if !entries.iter().any(|(other, _)| other == key) {
            entries.push((key.clone(), value.clone()));
        }
    }
    Some(Val::array(entries))
}

pub(super) fn cast(cast: &str, value: &Val) -> Option<Val> {
    Some(match cast {
        "int" | "integer" => Val::Int(value.to_int()?),
        "bool" | "boolean" => Val::Bool(value.truthy()?),
        "float" | "double" => Val::Float(value.to_float()?),
        "string" | "binary" => Val::Text(value.to_text()?),
        "array" => match value {
            Val::Array(_) => value.clone(),
            Val::Null => Val::array(Vec::new()),
            Val::Unknown(_) => return None,
            scalar => Val::list([scalar.clone()]),
        },
        _ => return None,
    })
}

// Arrays.

pub(super) fn key_value(key: &Key) -> Val {
    match key {
        Key::Int(number) => Val::Int(*number),
        Key::Str(text) => Val::text(text),
    }
}

pub(super) fn next_key(entries: &[(Key, Val)]) -> Key {
    let numbers = entries.iter().filter_map(|(key, _)| match key {
        Key::Int(number) => Some(*number),
        Key::Str(_) => None,
    });
    Key::Int(numbers.max().map_or(0, |last| last.saturating_add(1)))
}

/// Sets an entry; one that is there keeps its place.
pub(super) fn put(entries: &mut Vec<(Key, Val)>, key: Key, value: Val) {
    match entries.iter_mut().find(|(other, _)| *other == key) {
        Some((_, old)) => *old = value,
        None => entries.push((key, value)),
    }
}

/// Sets `slot[key][key]…`, making arrays on the way; a key of none appends.
pub(super) fn put_deep(slot: &mut Val, keys: &[Option<Val>], value: Val, why: &Rc<Unknown>) {
    let mut slot = slot;
    for key in keys {
        if matches!(slot, Val::Null) {
            *slot = Val::array(Vec::new());
        }
        let known = match key {
            Some(key) => key.to_key().map(Some),
            None => Some(None),
        };
        if known.is_none() || !matches!(slot, Val::Array(_)) {
            *slot = Val::Unknown(why.clone());
        }
        let (Val::Array(entries), Some(key)) = (slot, known) else {
            return;
        };
        let entries = Rc::make_mut(entries);
        let key = key.unwrap_or_else(|| next_key(entries));
        if !entries.iter().any(|(other, _)| *other == key) {
            entries.push((key.clone(), Val::Null));
        }
        let Some((_, inner)) = entries.iter_mut().find(|(other, _)| *other == key) else {
            return;
        };
        slot = inner;
    }
    *slot = value;
}

/// Removes `slot[key][key]…`.
pub(super) fn remove_deep(slot: &mut Val, keys: &[Option<Val>], why: &Rc<Unknown>) {
    let Some((key, inner_keys)) = keys.split_first() else {
        return;
    };
    let Some(key) = key.as_ref().and_then(Val::to_key) else {
        *slot = Val::Unknown(why.clone());
        return;
    };
    let Val::Array(entries) = slot else {
        return;
    };
    let entries = Rc::make_mut(entries);
    if inner_keys.is_empty() {
        entries.retain(|(other, _)| *other != key);
    } else if let Some((_, inner)) = entries.iter_mut().find(|(other, _)| *other == key) {
        remove_deep(inner, inner_keys, why);
    }
}

/// `$text[n]`.
pub(super) fn letter(text: &[u8], key: &Key) -> Val {
    let Key::Int(at) = key else {
        return Val::Null;
    };
    let at = if *at < 0 {
        usize::try_from(at.unsigned_abs())
            .ok()
            .and_then(|back| text.len().checked_sub(back))
    } else {
        usize::try_from(*at).ok()
    };
    match at.and_then(|at| text.get(at)) {
        Some(byte) => Val::text([*byte]),
        None => Val::Null,
    }
}

// Paths.

pub(super) fn path(path: &Path) -> Val {
    Val::text(path.as_os_str().as_bytes())
}

pub(super) fn os_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// Takes `.` and `..` out of an absolute path.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// Calls a function. None: there is none of this name here; some none: its result is not known.
pub(super) fn call(name: &str, values: &[Val]) -> Option<Option<Val>> {
    let known = array_function(name, values)
        .or_else(|| type_function(name, values))
        .or_else(|| text_functions::call(name, values))
        .or_else(|| patterns::call(name, values))?;
    let has_unknown = values.iter().any(|value| value.unknown().is_some());
    Some(known.filter(|_| !has_unknown))
}

fn array_function(name: &str, values: &[Val]) -> Option<Option<Val>> {
    let first = values.first();
    let array = match first {
        Some(Val::Array(entries)) => Some(entries),
        _ => None,
    };
    Some(match (name, values) {
        ("in_array", [needle, Val::Array(list), strict @ ..]) => {
            let strict = strict.first().and_then(Val::truthy) == Some(true);
            let mut same = list.iter().map(|(_, value)| match strict {
                true => needle.identical(value),
                false => loosely_equal(needle, value),
            });
            let found = same.try_fold(false, |found, same| Some(found || same?));
            found.map(Val::Bool)
        }
        ("array_key_exists" | "key_exists", [key, list @ Val::Array(_)]) => {
            key.to_key().map(|key| Val::Bool(list.get(&key).is_some()))
        }
        ("count" | "sizeof", [Val::Array(list)]) => i64::try_from(list.len()).ok().map(Val::Int),
        ("array_merge", _) => merge(values),
        ("array_keys", [_]) => {
            array.map(|list| Val::list(list.iter().map(|(key, _)| key_value(key))))
        }
        ("array_values", [_]) => {
            array.map(|list| Val::list(list.iter().map(|(_, value)| value.clone())))
        }
        ("end" | "array_pop", [_]) => array.map(|list| match list.last() {
            Some((_, value)) => value.clone(),
            None => Val::Bool(false),
        }),
        ("reset" | "current", [_]) => array.map(|list| match list.first() {
            Some((_, value)) => value.clone(),
            None => Val::Bool(false),
        }),
        (
            "in_array" | "array_key_exists" | "key_exists" | "count" | "sizeof" | "end" | "reset",
            _,
        ) => None,
        _ => return None,
    })
}

fn merge(values: &[Val]) -> Option<Val> {
    let mut entries = Vec::new();
    for value in values {
        let Val::Array(list) = value else { return None };
        for (key, value) in list.iter() {
            let key = match key {
                Key::Int(_) => next_key(&entries),
                Key::Str(_) => key.clone(),
            };
            put(&mut entries, key, value.clone());
        }
    }
    Some(Val::array(entries))
}

fn type_function(name: &str, values: &[Val]) -> Option<Option<Val>> {
    let value = values.first()?;
    let is = |truth: bool| Some(Val::Bool(truth));
    Some(match name {
        "is_array" => is(matches!(value, Val::Array(_))),
        "is_string" => is(matches!(value, Val::Text(_))),
        "is_null" => is(matches!(value, Val::Null)),
        "is_bool" => is(matches!(value, Val::Bool(_))),
        "is_int" | "is_integer" => is(matches!(value, Val::Int(_))),
        "is_numeric" => is(value.numeric().is_some()),
        "intval" if values.len() == 1 => cast("int", value),
        "boolval" => cast("bool", value),
        "floatval" => cast("float", value),
        "strval" => cast("string", value),
        "filter_var" => filter(value, values.get(1), values.get(2)),
        "ini_get" => match value.to_text()?.as_ref() {
            b"mysqli.default_host" | b"mysqli.default_user" => Some(Val::text("")),
            _ => None,
        },
        "json_decode" => {
            let text = value.to_text()?;
            let assoc = values.get(1).and_then(Val::truthy) == Some(true);
            serde_json::from_slice(&text)
                .ok()
                .and_then(|json| from_json(&json, assoc))
        }
        _ => return None,
    })
}

fn filter(value: &Val, filter: Option<&Val>, flags: Option<&Val>) -> Option<Val> {
    let text = value.to_text()?;
    let null_on_failure = match flags {
        None => false,
        Some(Val::Int(flags)) => flags & 134_217_728 != 0,
        Some(_) => return None,
    };
    let failed = if null_on_failure {
        Val::Null
    } else {
        Val::Bool(false)
    };
    match filter {
        None | Some(Val::Int(516)) => Some(Val::Text(text)),
        Some(Val::Int(258)) => {
            let word = text.trim_ascii().to_ascii_lowercase();
            Some(match word.as_slice() {
                b"1" | b"true" | b"on" | b"yes" => Val::Bool(true),
                b"0" | b"false" | b"off" | b"no" | b"" => Val::Bool(false),
                _ => failed,
            })
        }
        Some(Val::Int(257)) => {
            let text = std::str::from_utf8(text.trim_ascii()).ok()?;
            let canonical = |number: &i64| number.to_string() == text.trim_start_matches('+');
            let number = text.parse().ok().filter(canonical);
            Some(number.map_or(failed, Val::Int))
        }
        Some(_) => None,
    }
}

fn from_json(json: &serde_json::Value, assoc: bool) -> Option<Val> {
    use serde_json::Value as Json;
    Some(match json {
        Json::Null => Val::Null,
        Json::Bool(flag) => Val::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Val::Int(number),
            None => Val::Float(number.as_f64()?),
        },
        Json::String(text) => Val::text(text),
        Json::Array(items) => {
            let values: Option<Vec<_>> = items.iter().map(|item| from_json(item, assoc)).collect();
            Val::list(values?)
        }
        Json::Object(members) if assoc => {
            let entry = |(key, value): (&String, &Json)| {
                Some((Key::from_bytes(key.as_bytes()), from_json(value, assoc)?))
            };
            Val::array(members.iter().map(entry).collect::<Option<_>>()?)
        }
        Json::Object(_) => return None,
    })
}
