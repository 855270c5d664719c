//! Why the configuration cannot be used: one sentence with file, line and the next step, no secrets.

use std::fmt;
use std::path::PathBuf;

use super::value::Place;

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Reason);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is no wp-config.php, and the environment does not make up for it.
    NoFile { folder: PathBuf },
    /// A file is there but cannot be read.
    Unreadable {
        file: PathBuf,
        kind: std::io::ErrorKind,
    },
    /// The folder holds no WordPress.
    NoRelease { file: PathBuf },
    /// A setting is never defined; perhaps because of what stands at a place.
    Missing {
        name: &'static str,
        because: Option<(Place, String)>,
    },
    /// A setting depends on something that is not followed.
    NotUnderstood {
        name: &'static str,
        place: Place,
        what: String,
    },
    /// A setting has a value that cannot be right; without a place it comes from the environment.
    Invalid {
        name: &'static str,
        place: Option<Place>,
        need: &'static str,
    },
}

impl From<Reason> for ConfigError {
    fn from(reason: Reason) -> Self {
        Self(reason)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::NoFile { folder } => write!(
                f,
                "no wp-config.php in {} or above it; name the WordPress folder in \
                 BENTO_WEBHOOKS_WORDPRESS",
                folder.display()
            ),
            Reason::Unreadable { file, kind } => write!(
                f,
                "cannot read {} ({kind}); let the account that runs this program read it",
                file.display()
            ),
            Reason::NoRelease { file } => write!(
                f,
                "no $wp_version in {}; name the folder of WordPress itself in \
                 BENTO_WEBHOOKS_WORDPRESS",
                file.display()
            ),
            Reason::Missing { name, because } => {
                write!(f, "wp-config.php does not give {name}")?;
                if let Some((place, what)) = because {
                    write!(
                        f,
                        " (perhaps because of {what} in {place}, which is not followed)"
                    )?;
                }
                write!(f, "; {}", remedy(name))
            }
            Reason::NotUnderstood { name, place, what } => write!(
                f,
                "{name} depends on {what} in {place}, which is not followed; {}",
                remedy(name)
            ),
            Reason::Invalid {
                name,
                place: Some(place),
                need,
            } => write!(
                f,
                "{name} in {place} {need}; correct it there or {}",
                remedy(name)
            ),
            Reason::Invalid {
                name,
                place: None,
                need,
            } => write!(
                f,
                "{} in the environment {need}; correct it there",
                variable(name)
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}", self.file, self.line)
    }
}

/// What to do about a setting that is not known.
fn remedy(name: &str) -> String {
    match variable(name) {
        variable if variable.starts_with("BENTO_WEBHOOKS_") => {
            format!("set {variable} in the environment of this program")
        }
        name => format!("write {name} as a plain value"),
    }
}

/// The environment variable that stands in for a setting, where there is one.
fn variable(name: &str) -> String {
    match name {
        "DB_NAME" | "DB_USER" | "DB_PASSWORD" | "DB_HOST" => format!("BENTO_WEBHOOKS_{name}"),
        "$table_prefix" => "BENTO_WEBHOOKS_TABLE_PREFIX".to_owned(),
        name => name.to_owned(),
    }
}
