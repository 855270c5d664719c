//! What a half-read PHP file has done so far, and how two ways through it are joined into one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::syntax::Function;
use super::value::{Place, Unknown, Val};

/// A file being read: its path, and its name for messages.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: Rc<Path>,
    pub(super) name: Rc<str>,
}

/// A defined constant; the first definition wins.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) value: Val,
    pub(super) place: Place,
    /// False when it is defined on one of several ways only.
    pub(super) certain: bool,
}

/// The variables of a function, or of the files themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    pub(super) variables: BTreeMap<Rc<str>, Val>,
    /// Names that `global` ties to the outermost frame.
    pub(super) globals: BTreeSet<Rc<str>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) constants: BTreeMap<Rc<str>, Constant>,
    /// The variables of files, then those of each running function.
    pub(super) outer: Frame,
    pub(super) inner: Vec<Frame>,
    /// Environment variables the files themselves have set.
    pub(super) environment: BTreeMap<Rc<str>, Val>,
    pub(super) functions: BTreeMap<Rc<str>, (Rc<Function>, Source)>,
    pub(super) included: BTreeSet<PathBuf>,
    /// Names that code which is not followed was given: it may have defined them.
    pub(super) suspects: BTreeMap<Rc<str>, Rc<Unknown>>,
    /// Code that is not followed and may have defined any constant.
    pub(super) haze: Option<Rc<Unknown>>,
    /// Code that is not followed and may have set environment variables.
    pub(super) env_haze: Option<Rc<Unknown>>,
}

impl State {
    pub(super) fn frame(&self) -> &Frame {
        self.inner.last().unwrap_or(&self.outer)
    }

    pub(super) fn frame_mut(&mut self) -> &mut Frame {
        self.inner.last_mut().unwrap_or(&mut self.outer)
    }

    fn frame_of(&self, name: &str) -> &Frame {
        let frame = self.frame();
        if frame.globals.contains(name) {
            &self.outer
        } else {
            frame
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&Val> {
        self.frame_of(name).variables.get(name)
    }

    pub(super) fn variables_with(&mut self, name: &str) -> &mut BTreeMap<Rc<str>, Val> {
        if self.frame().globals.contains(name) || is_superglobal(name) {
            return &mut self.outer.variables;
        }
        &mut self.frame_mut().variables
    }

    /// A measure of how long copying takes.
    pub(super) fn size(&self) -> usize {
        let frames = self.inner.iter().map(|frame| frame.variables.len());
        self.constants.len()
            + self.outer.variables.len()
            + self.functions.len()
            + frames.sum::<usize>()
    }

    /// Joins the outcomes of two ways, one of which is taken: what differs is not known.
    pub(super) fn join(self, other: State, why: &Rc<Unknown>) -> State {
        let mut constants = BTreeMap::new();
        for (name, one) in &self.constants {
            let joined = match other.constants.get(name) {
                Some(two) => Constant {
                    value: join_values(one.value.clone(), &two.value, why),
                    place: one.place.clone(),
                    certain: one.certain && two.certain,
                },
                None => uncertain(one, why),
            };
            constants.insert(name.clone(), joined);
        }
        for (name, two) in &other.constants {
            if !self.constants.contains_key(name) {
                constants.insert(name.clone(), uncertain(two, why));
            }
        }
        let inner = self.inner.into_iter().zip(other.inner);
        State {
            constants,
            outer: join_frames(self.outer, other.outer, why),
            inner: inner.map(|(one, two)| join_frames(one, two, why)).collect(),
            environment: join_variables(self.environment, other.environment, why),
            functions: union(self.functions, other.functions),
            included: self.included.into_iter().chain(other.included).collect(),
            suspects: union(self.suspects, other.suspects),
            haze: self.haze.or(other.haze),
            env_haze: self.env_haze.or(other.env_haze),
        }
    }
}

/// Whether a variable is the same one everywhere.
pub(super) fn is_superglobal(name: &str) -> bool {
    matches!(
        name,
        "GLOBALS"
            | "_SERVER"
            | "_ENV"
            | "_GET"
            | "_POST"
            | "_COOKIE"
            | "_REQUEST"
            | "_FILES"
            | "_SESSION"
    )
}

/// The value on both ways if they agree.
pub(super) fn join_values(one: Val, two: &Val, why: &Rc<Unknown>) -> Val {
    if one.agrees(two) {
        one
    } else {
        Val::Unknown(why.clone())
    }
}

fn uncertain(constant: &Constant, why: &Rc<Unknown>) -> Constant {
    Constant {
        value: Val::Unknown(why.clone()),
        place: constant.place.clone(),
        certain: false,
    }
}

fn join_frames(one: Frame, two: Frame, why: &Rc<Unknown>) -> Frame {
    Frame {
        variables: join_variables(one.variables, two.variables, why),
        globals: one.globals.into_iter().chain(two.globals).collect(),
    }
}

fn join_variables(
    one: BTreeMap<Rc<str>, Val>,
    two: BTreeMap<Rc<str>, Val>,
    why: &Rc<Unknown>,
) -> BTreeMap<Rc<str>, Val> {
    let mut variables = BTreeMap::new();
    for (name, value) in one {
        let joined = match two.get(&name) {
            Some(other) => join_values(value, other, why),
            None => Val::Unknown(why.clone()),
        };
        variables.insert(name, joined);
    }
    for name in two.into_keys() {
        let unknown = || Val::Unknown(why.clone());
        variables.entry(name).or_insert_with(unknown);
    }
    variables
}

fn union<K: Ord, V>(mut one: BTreeMap<K, V>, two: BTreeMap<K, V>) -> BTreeMap<K, V> {
    for (key, value) in two {
        one.entry(key).or_insert(value);
    }
    one
}
