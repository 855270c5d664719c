//! PHP functions that touch constants, the environment or files.

use std::rc::Rc;

use super::{Machine, is_missing};
use crate::php::Key;
use crate::wp_config::functions;
use crate::wp_config::value::{Unknown, Val};

impl Machine<'_> {
    /// Calls such a function; none if it is another one.
    pub(super) fn worldly(&mut self, name: &str, values: &[Val], line: u32) -> Option<Val> {
        let first = values.first().unwrap_or(&Val::Null);
        let text = first.to_text();
        let doubt = || match first.unknown() {
            Some(why) => why.clone(),
            None => self.why(line, format!("{name}()")),
        };
        Some(match (name, text) {
            ("define", Some(constant)) => {
                let value = values.get(1).cloned().unwrap_or(Val::Null);
                self.define(&String::from_utf8_lossy(&constant), value, line);
                Val::Bool(true)
            }
            ("define", None) => {
                let why = doubt();
                self.state.haze.get_or_insert_with(|| why.clone());
                Val::Unknown(why)
            }
            ("defined", Some(constant)) => self.is_defined(&String::from_utf8_lossy(&constant)),
            ("constant", Some(constant)) => {
                self.constant(&String::from_utf8_lossy(&constant), line)
            }
            ("getenv", Some(variable)) if !values.is_empty() => {
                let variable = String::from_utf8_lossy(&variable);
                self.environment(&variable).unwrap_or(Val::Bool(false))
            }
            ("putenv", Some(setting)) => self.put_environment(&setting),
            ("putenv", None) => {
                let why = doubt();
                self.state.env_haze.get_or_insert_with(|| why.clone());
                Val::Unknown(why)
            }
            ("function_exists", Some(function)) => {
                let function = String::from_utf8_lossy(&function).to_ascii_lowercase();
                let own = self.state.functions.contains_key(function.as_str());
                Val::Bool(own || functions::is_known(&function))
            }
            ("file_exists" | "is_readable" | "is_file" | "is_dir", Some(path)) => {
                self.look_at(name, &path)
            }
            ("file_get_contents", Some(path)) => self.contents(&path, line),
            ("realpath", Some(path)) => {
                let path = self.resolve(&path);
                match self.exists(&path) {
                    true => functions::path(&path),
                    false => Val::Bool(false),
                }
            }
            ("extract", _) => self.extract(first),
            (
                "defined" | "constant" | "getenv" | "function_exists" | "file_exists"
                | "is_readable" | "is_file" | "is_dir" | "file_get_contents" | "realpath",
                None,
            ) => Val::Unknown(doubt()),
            _ => return None,
        })
    }

    fn put_environment(&mut self, setting: &[u8]) -> Val {
        let setting = String::from_utf8_lossy(setting);
        let (name, value) = match setting.split_once('=') {
            Some((name, value)) => (name, Val::text(value)),
            None => (&*setting, Val::Bool(false)),
        };
        self.state.environment.insert(name.into(), value);
        Val::Bool(true)
    }

    fn look_at(&self, name: &str, path: &[u8]) -> Val {
        let read = (self.surroundings.read)(&self.resolve(path));
        let folder =
            matches!(&read, Err(error) if error.kind() == std::io::ErrorKind::IsADirectory);
        Val::Bool(match (name, read) {
            ("is_dir", _) => folder,
            (_, Ok(_)) => true,
            ("is_file", Err(error)) => !is_missing(&error) && !folder,
            // Whether PHP, under its own account, may read what we may not, cannot be told.
            (_, Err(error)) => !is_missing(&error),
        })
    }

    fn contents(&self, path: &[u8], line: u32) -> Val {
        let path = self.resolve(path);
        match (self.surroundings.read)(&path) {
            Ok(text) => Val::text(text),
            Err(error) if is_missing(&error) => Val::Bool(false),
            Err(_) => {
                let what = format!("the unreadable file {}", self.name_of(&path));
                Val::Unknown(Rc::new(Unknown {
                    place: self.place(line),
                    what,
                }))
            }
        }
    }

    fn extract(&mut self, array: &Val) -> Val {
        let Val::Array(entries) = array else {
            return array.clone();
        };
        for (key, value) in entries.iter() {
            if let Key::Str(name) = key {
                let name = String::from_utf8_lossy(name).into();
                self.set_variable(&name, value.clone());
            }
        }
        Val::Int(i64::try_from(entries.len()).unwrap_or(i64::MAX))
    }
}
