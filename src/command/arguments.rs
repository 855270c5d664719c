//! Options behind a command, and the site it is about.

use crate::cgi::Environment;
use std::ffi::OsString;

/// What stands behind a command.
pub(super) struct Arguments {
    /// `--path DIR`.
    path: Option<String>,
    /// `--site NUMBER`.
    pub(super) site: Option<u64>,
    /// Options without a value.
    flags: Vec<String>,
    /// Options of the command with a value.
    values: Vec<(String, String)>,
    /// Everything else.
    pub(super) rest: Vec<String>,
}

impl Arguments {
    /// Reads `--path`, `--site`, and the options that the command knows. Errs with what is wrong.
    pub(super) fn read(
        arguments: Vec<OsString>,
        flags: &[&str],
        values: &[&str],
    ) -> Result<Arguments, String> {
        let mut read = Arguments {
            path: None,
            site: None,
            flags: Vec::new(),
            values: Vec::new(),
            rest: Vec::new(),
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            let name = match argument {
                lexopt::Arg::Long(name) => format!("--{name}"),
                lexopt::Arg::Short(letter) => format!("-{letter}"),
                lexopt::Arg::Value(text) => {
                    read.rest.push(text.to_string_lossy().into_owned());
                    continue;
                }
            };
            if flags.contains(&name.as_str()) {
                read.flags.push(name);
                continue;
            }
            if !["--path", "--site"].contains(&name.as_str()) && !values.contains(&name.as_str()) {
                return Err(format!("unknown option {name}"));
            }
            let value = parser.value().map_err(|error| error.to_string())?;
            let value = value.to_string_lossy().into_owned();
            match name.as_str() {
                "--path" => read.path = Some(value),
                "--site" => {
                    let number = value.parse();
                    read.site = Some(number.map_err(|_| "--site needs a number".to_owned())?);
                }
                _ => read.values.push((name, value)),
            }
        }
        Ok(read)
    }

    /// Whether an option was given.
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own == flag)
    }

    /// The value of an option.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().rfind(|(own, _)| own == name)?;
        Some(&found.1)
    }

    /// The environment, with the WordPress folder that was named; without one it is looked for from here upward.
    pub(super) fn with_environment<T>(&self, work: impl FnOnce(Environment<'_>) -> T) -> T {
        let here = std::env::current_dir().ok();
        let here = here.map(|folder| folder.join("-").to_string_lossy().into_owned());
        work(&|name| match name {
            "BENTO_WEBHOOKS_WORDPRESS" if self.path.is_some() => self.path.clone(),
            "SCRIPT_FILENAME" => std::env::var(name).ok().or_else(|| here.clone()),
            _ => std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
        })
    }
}
