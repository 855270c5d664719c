//! PHP's string functions, as far as they occur in settings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::functions::os_path;
use super::value::Val;
use crate::php::Key;

/// What PHP's `trim` cuts by default.
const BLANKS: &[u8] = b" \t\n\r\0\x0B";

/// Calls a function. None: there is none of this name here; some none: its result is not known.
pub(super) fn call(name: &str, values: &[Val]) -> Option<Option<Val>> {
    let text = |at: usize| values.get(at).and_then(Val::to_text);
    let number = |at: usize| values.get(at).and_then(Val::to_int);
    let letters = |change: fn(&mut [u8])| {
        text(0).map(|text| {
            let mut text = text.to_vec();
            change(&mut text);
            Val::text(text)
        })
    };
    Some(match name {
        "trim" => trim(values, true, true),
        "ltrim" => trim(values, true, false),
        "rtrim" | "chop" => trim(values, false, true),
        "strtolower" | "mb_strtolower" => letters(<[u8]>::make_ascii_lowercase),
        "strtoupper" | "mb_strtoupper" => letters(<[u8]>::make_ascii_uppercase),
        "ucfirst" => letters(|text| {
            if let Some(first) = text.first_mut() {
                first.make_ascii_uppercase();
            }
        }),
        "strlen" => text(0).and_then(|text| i64::try_from(text.len()).ok().map(Val::Int)),
        "substr" => text(0).and_then(|text| substr(&text, number(1)?, values.get(2))),
        "strpos" | "stripos" | "strrpos" if values.len() == 2 => position(name, values),
        "str_contains" | "str_starts_with" | "str_ends_with" => {
            text(0).zip(text(1)).map(|(text, part)| {
                Val::Bool(match name {
                    "str_contains" => find(&text, &part, false).is_some(),
                    "str_starts_with" => text.starts_with(&part),
                    _ => text.ends_with(&part),
                })
            })
        }
        "strcmp" => text(0)
            .zip(text(1))
            .map(|(one, two)| Val::Int(one.cmp(&two) as i64)),
        "strcasecmp" => text(0).zip(text(1)).map(|(one, two)| {
            Val::Int(one.to_ascii_lowercase().cmp(&two.to_ascii_lowercase()) as i64)
        }),
        "strstr" if values.len() == 2 => text(0).zip(text(1)).and_then(|(text, part)| {
            Some(match find(&text, &part, false) {
                Some(at) => Val::text(text.get(at..)?),
                None => Val::Bool(false),
            })
        }),
        "str_replace" if values.len() == 3 => replace(values),
        "explode" => explode(values),
        "implode" | "join" => implode(values),
        "sprintf" => sprintf(values),
        "dirname" => text(0).and_then(|path| dirname(&path, values.get(1))),
        "basename" if values.len() == 1 => text(0).map(|path| {
            let name = os_path(&path).file_name().unwrap_or_default();
            Val::text(name.as_encoded_bytes())
        }),
        "parse_url" => text(0).and_then(|url| parse_url(&url, values.get(1))),
        "urldecode" => text(0).map(|text| {
            let spaced: Vec<u8> = text
                .iter()
                .map(|byte| if *byte == b'+' { b' ' } else { *byte })
                .collect();
            Val::text(percent_decode(&spaced))
        }),
        "rawurldecode" => text(0).map(|text| Val::text(percent_decode(&text))),
        "base64_decode" if values.len() == 1 => {
            text(0).and_then(|text| STANDARD.decode(&*text).ok().map(Val::text))
        }
        _ => return None,
    })
}

fn trim(values: &[Val], left: bool, right: bool) -> Option<Val> {
    let text = values.first()?.to_text()?;
    let set = match values.get(1) {
        None => BLANKS.to_vec(),
        Some(set) => letter_set(&set.to_text()?),
    };
    let cut = |byte: &&u8| set.contains(byte);
    let start = if left {
        text.iter().take_while(cut).count()
    } else {
        0
    };
    let rest = text.get(start..)?;
    let end = if right {
        rest.iter().rev().take_while(cut).count()
    } else {
        0
    };
    rest.get(..rest.len() - end).map(Val::text)
}

/// Spells out `a..z`.
fn letter_set(set: &[u8]) -> Vec<u8> {
    let mut letters = Vec::new();
    let mut rest = set;
    while let Some((first, tail)) = rest.split_first() {
        rest = match tail {
            [b'.', b'.', to, after @ ..] if first <= to => {
                letters.extend(*first..=*to);
                after
            }
            _ => {
                letters.push(*first);
                tail
            }
        };
    }
    letters
}

fn substr(text: &[u8], from: i64, length: Option<&Val>) -> Option<Val> {
    let total = i64::try_from(text.len()).ok()?;
    let from = if from < 0 {
        (total + from.max(-total)).max(0)
    } else {
        from.min(total)
    };
    let end = match length {
        None | Some(Val::Null) => total,
        Some(length) => match length.to_int()? {
            length if length < 0 => total.saturating_add(length),
            length => from.saturating_add(length).min(total),
        },
    };
    let range = usize::try_from(from).ok()?..usize::try_from(end.max(from)).ok()?;
    text.get(range).map(Val::text)
}

fn position(name: &str, values: &[Val]) -> Option<Val> {
    let [text, part] = values else { return None };
    let (text, part) = (text.to_text()?, part.to_text()?);
    let at = match name {
        "stripos" => find(
            &text.to_ascii_lowercase(),
            &part.to_ascii_lowercase(),
            false,
        ),
        "strrpos" => find(&text, &part, true),
        _ => find(&text, &part, false),
    };
    Some(match at {
        Some(at) => Val::Int(i64::try_from(at).ok()?),
        None => Val::Bool(false),
    })
}

fn find(text: &[u8], part: &[u8], last: bool) -> Option<usize> {
    if part.is_empty() {
        return Some(if last { text.len() } else { 0 });
    }
    let mut windows = text.windows(part.len());
    if last {
        windows.rposition(|window| window == part)
    } else {
        windows.position(|window| window == part)
    }
}

fn replace(values: &[Val]) -> Option<Val> {
    let [search, replacement, subject] = values else {
        return None;
    };
    let subject = subject.to_text()?;
    let Val::Array(searches) = search else {
        let replaced = replace_one(&subject, &search.to_text()?, &replacement.to_text()?);
        return Some(Val::text(replaced));
    };
    let mut text = subject.to_vec();
    for (index, (_, search)) in searches.iter().enumerate() {
        let by = match replacement {
            Val::Array(list) => match list.get(index) {
                Some((_, by)) => by.to_text()?,
                None => Default::default(),
            },
            by => by.to_text()?,
        };
        text = replace_one(&text, &search.to_text()?, &by);
    }
    Some(Val::text(text))
}

fn replace_one(text: &[u8], search: &[u8], by: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = find(rest, search, false).filter(|_| !search.is_empty()) {
        out.extend(rest.get(..at).unwrap_or_default());
        out.extend(by);
        rest = rest.get(at + search.len()..).unwrap_or_default();
    }
    out.extend(rest);
    out
}

fn explode(values: &[Val]) -> Option<Val> {
    let separator = values.first()?.to_text()?;
    let text = values.get(1)?.to_text()?;
    let limit = match values.get(2) {
        None => usize::MAX,
        Some(limit) => usize::try_from(limit.to_int()?).ok()?.max(1),
    };
    if separator.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    let mut rest = &*text;
    while let Some(at) = find(rest, &separator, false).filter(|_| parts.len() + 1 < limit) {
        parts.push(Val::text(rest.get(..at)?));
        rest = rest.get(at + separator.len()..)?;
    }
    parts.push(Val::text(rest));
    Some(Val::list(parts))
}

fn implode(values: &[Val]) -> Option<Val> {
    let (glue, list) = match values {
        [Val::Array(list)] => (Default::default(), list),
        [glue, Val::Array(list)] | [Val::Array(list), glue] => (glue.to_text()?, list),
        _ => return None,
    };
    let parts: Option<Vec<_>> = list.iter().map(|(_, value)| value.to_text()).collect();
    Some(Val::text(parts?.join(&*glue)))
}

/// `%s`, `%d`, `%u` and `%%`, also as `%2$s`; other directives are not known.
fn sprintf(values: &[Val]) -> Option<Val> {
    let (format, arguments) = values.split_first()?;
    let format = format.to_text()?;
    let mut out = Vec::new();
    let mut rest = &*format;
    let mut next = 0;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        out.extend(rest.get(..at)?);
        rest = rest.get(at + 1..)?;
        if let Some(after) = rest.strip_prefix(b"%") {
            out.push(b'%');
            rest = after;
            continue;
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let index = match rest.get(digits) {
            Some(b'$') => {
                let number: usize = std::str::from_utf8(rest.get(..digits)?)
                    .ok()?
                    .parse()
                    .ok()?;
                rest = rest.get(digits + 1..)?;
                number.checked_sub(1)?
            }
            _ => {
                next += 1;
                next - 1
            }
        };
        let (directive, after) = rest.split_first()?;
        rest = after;
        let argument = arguments.get(index)?;
        match directive {
            b's' => out.extend_from_slice(&argument.to_text()?),
            b'd' | b'u' => out.extend(argument.to_int()?.to_string().bytes()),
            _ => return None,
        }
    }
    out.extend(rest);
    Some(Val::text(out))
}

fn dirname(path: &[u8], levels: Option<&Val>) -> Option<Val> {
    let levels = match levels {
        None => 1,
        Some(levels) => levels.to_int()?.clamp(1, 100),
    };
    let mut path = os_path(path);
    for _ in 0..levels {
        path = path.parent().unwrap_or(path);
    }
    let path = path.as_os_str().as_encoded_bytes();
    Some(Val::text(if path.is_empty() { b"." } else { path }))
}

fn percent_decode(text: &[u8]) -> Vec<u8> {
    let hex = |byte: &u8| char::from(*byte).to_digit(16);
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let pair = match (first, tail) {
            (b'%', [high, low, after @ ..]) => hex(high)
                .zip(hex(low))
                .and_then(|(high, low)| Some((u8::try_from(high * 16 + low).ok()?, after))),
            _ => None,
        };
        let (byte, after) = pair.unwrap_or((*first, tail));
        out.push(byte);
        rest = after;
    }
    out
}

/// Splits `scheme://user:pass@host:port/path?query#fragment` without decoding anything; other kinds
/// of address are not known.
fn parse_url(url: &[u8], component: Option<&Val>) -> Option<Val> {
    let url = std::str::from_utf8(url).ok()?;
    let (scheme, rest) = url.split_once("://")?;
    let (rest, fragment) = split(rest, '#');
    let (rest, query) = split(rest, '?');
    let (authority, path) = match rest.find('/') {
        Some(at) => (rest.get(..at)?, Some(rest.get(at..)?)),
        None => (rest, None),
    };
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    let (user, pass) = match login {
        Some(login) => {
            let (user, pass) = split(login, ':');
            (Some(user), pass)
        }
        None => (None, None),
    };
    let (host, port) = match host.rfind(':') {
        Some(at) if !host.ends_with(']') => (host.get(..at)?, host.get(at + 1..)),
        _ => (host, None),
    };
    if host.is_empty() {
        return Some(Val::Bool(false));
    }
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(Val::Int(port.parse::<u16>().ok()?.into())),
    };
    let text = |text: Option<&str>| text.map(Val::text);
    let parts = [
        ("scheme", text(Some(scheme))),
        ("host", text(Some(host))),
        ("port", port),
        ("user", text(user)),
        ("pass", text(pass)),
        ("path", text(path)),
        ("query", text(query)),
        ("fragment", text(fragment)),
    ];
    if let Some(component) = component {
        let index = usize::try_from(component.to_int()?).ok()?;
        let (_, part) = parts.get(index)?;
        return Some(part.clone().unwrap_or(Val::Null));
    }
    let present = parts
        .into_iter()
        .filter_map(|(name, part)| Some((Key::from_bytes(name.as_bytes()), part?)));
    Some(Val::array(present.collect()))
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}
