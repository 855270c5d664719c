//! The outcome of reading wp-config.php, asked for one setting at a time.

use std::path::Path;

use super::error::Reason;
use super::evaluate::{Halt, Machine};
use super::state::State;
use super::value::{Place, Unknown, Val};
use super::{ConfigError, Surroundings};

/// What the files and the environment say.
pub(super) struct Values<'a> {
    surroundings: &'a Surroundings<'a>,
    state: State,
    prefix_place: Option<Place>,
    halt: Option<Halt>,
    /// Why there is nothing to ask, if wp-config.php could not be read at all.
    no_file: Option<Reason>,
}

/// A value and where it comes from; without a place, from the environment.
pub(super) struct Found {
    pub(super) value: Val,
    pub(super) place: Option<Place>,
}

impl<'a> Values<'a> {
    /// Finds and follows wp-config.php.
    pub(super) fn read(wordpress: &Path, surroundings: &'a Surroundings<'a>) -> Self {
        let mut machine = Machine::new(wordpress, surroundings);
        let mut folder = wordpress.as_os_str().to_owned();
        folder.push("/");
        machine.define("ABSPATH", Val::text(folder.as_encoded_bytes()), 0);
        let (halt, no_file) = match find(wordpress, surroundings) {
            Ok((path, text)) => (machine.run(&path, &text), None),
            Err(reason) => (None, Some(reason)),
        };
        Self {
            surroundings,
            state: machine.state,
            prefix_place: machine.prefix_place,
            halt,
            no_file,
        }
    }

    /// An environment variable that is set and not empty.
    pub(super) fn environment(&self, name: &str) -> Option<Found> {
        let value = (self.surroundings.env)(name).filter(|value| !value.is_empty())?;
        Some(Found {
            value: Val::text(value),
            place: None,
        })
    }

    /// An environment variable that is set, be it empty.
    pub(super) fn environment_or_empty(&self, name: &str) -> Option<Found> {
        (self.surroundings.env)(name).map(|value| Found {
            value: Val::text(value),
            place: None,
        })
    }

    /// A constant; none if it is not defined, an error if it depends on what is not followed.
    pub(super) fn constant(&self, name: &'static str) -> Result<Option<Found>, ConfigError> {
        let Some(constant) = self.state.constants.get(name) else {
            return match self.state.suspects.get(name) {
                Some(why) => Err(not_understood(name, why)),
                None => Ok(None),
            };
        };
        match constant.value.unknown() {
            Some(why) => Err(not_understood(name, why)),
            None => Ok(Some(Found {
                value: constant.value.clone(),
                place: Some(constant.place.clone()),
            })),
        }
    }

    /// A constant that may as well be missing when it is not understood.
    pub(super) fn if_known(&self, name: &'static str) -> Option<Val> {
        self.constant(name).ok().flatten().map(|found| found.value)
    }

    /// A variable of the files; like [`Values::constant`].
    pub(super) fn variable(&self, name: &'static str) -> Result<Option<Found>, ConfigError> {
        let bare = name.trim_start_matches('$');
        if let Some(Halt::Endless(why)) = &self.halt {
            return Err(not_understood(name, why));
        }
        match self.state.outer.variables.get(bare) {
            None | Some(Val::Null) => Ok(None),
            Some(value) => match value.unknown() {
                Some(why) => Err(not_understood(name, why)),
                None => Ok(Some(Found {
                    value: value.clone(),
                    place: self.prefix_place.clone().filter(|_| bare == "table_prefix"),
                })),
            },
        }
    }

    /// The names of all constants that are defined.
    pub(super) fn constants(&self) -> impl Iterator<Item = &str> {
        self.state.constants.keys().map(|name| &**name)
    }

    /// The error for a needed setting that is nowhere.
    pub(super) fn missing(&self, name: &'static str) -> ConfigError {
        if let Some(reason) = &self.no_file {
            return reason.clone().into();
        }
        let halt = match &self.halt {
            Some(Halt::Exit(why) | Halt::Thrown(why) | Halt::Endless(why)) => Some(why),
            Some(Halt::Settings) | None => None,
        };
        let why = halt
            .or(self.state.haze.as_ref())
            .or(self.state.env_haze.as_ref());
        let because = why.map(|why| (why.place.clone(), why.what.clone()));
        Reason::Missing { name, because }.into()
    }
}

fn not_understood(name: &'static str, why: &Unknown) -> ConfigError {
    let Unknown { place, what } = why.clone();
    Reason::NotUnderstood { name, place, what }.into()
}

/// `wp-config.php` in the folder itself, else above it, unless another WordPress is there.
fn find(
    wordpress: &Path,
    surroundings: &Surroundings<'_>,
) -> Result<(std::path::PathBuf, Vec<u8>), Reason> {
    let try_in = |folder: &Path| {
        let file = folder.join("wp-config.php");
        match (surroundings.read)(&file) {
            Ok(text) => Ok(Some((file, text))),
            Err(error) if super::evaluate::is_missing(&error) => Ok(None),
            Err(error) => Err(Reason::Unreadable {
                file,
                kind: error.kind(),
            }),
        }
    };
    if let Some(found) = try_in(wordpress)? {
        return Ok(found);
    }
    let nothing = || Reason::NoFile {
        folder: wordpress.to_owned(),
    };
    let parent = wordpress.parent().ok_or_else(nothing)?;
    if (surroundings.read)(&parent.join("wp-settings.php")).is_ok() {
        return Err(nothing());
    }
    try_in(parent)?.ok_or_else(nothing)
}
