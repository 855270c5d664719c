//! Variables, elements of arrays, what surrounds us, and constants.

use std::path::Path;
use std::rc::Rc;

use super::{Evaluated, Halt, Machine};
use crate::php::Key;
use crate::wp_config::functions;
use crate::wp_config::state::{Constant, is_superglobal};
use crate::wp_config::syntax::{Expr, Node};
use crate::wp_config::value::Val;

impl Machine<'_> {
    pub(super) fn variable(&self, name: &str, line: u32) -> Val {
        if let Some(value) = self.state.variable(name).filter(|_| !is_superglobal(name)) {
            return value.clone();
        }
        if is_superglobal(name) || name == "this" {
            return self.unknown(line, format!("${name}"));
        }
        match &self.state.haze {
            Some(why) => Val::Unknown(why.clone()),
            None => Val::Null,
        }
    }

    pub(super) fn set_variable(&mut self, name: &Rc<str>, value: Val) {
        self.state.variables_with(name).insert(name.clone(), value);
    }

    /// `$base[a][b]…` as its innermost expression and its keys, outermost first.
    pub(super) fn path<'n>(
        &mut self,
        node: &'n Node,
    ) -> Result<(&'n Node, Vec<Option<Val>>), Halt> {
        let (mut node, mut keys) = (node, Vec::new());
        while let Expr::Index(base, key) = &node.expr {
            keys.push(match key {
                Some(key) => Some(self.eval(key)?),
                None => None,
            });
            node = base;
        }
        keys.reverse();
        Ok((node, keys))
    }

    pub(super) fn index(&mut self, node: &Node) -> Evaluated {
        let (base, keys) = self.path(node)?;
        let line = node.line;
        let mut keys = keys.into_iter();
        let superglobal = match &base.expr {
            Expr::Variable(name) if is_superglobal(name) => Some(name),
            _ => None,
        };
        let mut value = match superglobal {
            Some(name) => {
                let key = keys.next().flatten().unwrap_or(Val::Null);
                self.superglobal(name, &key, line)
            }
            None => self.eval(base)?,
        };
        for key in keys {
            let key = key.unwrap_or(Val::Null);
            value = match (&value, key.to_key()) {
                (Val::Unknown(_), _) => value,
                (_, None) => Val::Unknown(self.reason(&[key], line)),
                (Val::Array(_), Some(key)) => value.get(&key).cloned().unwrap_or(Val::Null),
                (Val::Text(text), Some(key)) => functions::letter(text, &key),
                _ => Val::Null,
            };
        }
        Ok(value)
    }

    /// `$_SERVER['key']` and its kind: what the file itself has set, else what surrounds us.
    pub(super) fn superglobal(&mut self, name: &str, key: &Val, line: u32) -> Val {
        let Some(key) = key.to_key() else {
            return Val::Unknown(self.reason(std::slice::from_ref(key), line));
        };
        match self.state.outer.variables.get(name) {
            Some(unknown @ Val::Unknown(_)) => return unknown.clone(),
            Some(own) if own.get(&key).is_some() => {
                return own.get(&key).cloned().unwrap_or(Val::Null);
            }
            _ => {}
        }
        let text = match &key {
            Key::Str(text) => String::from_utf8_lossy(text).into_owned(),
            Key::Int(number) => number.to_string(),
        };
        match name {
            "GLOBALS" => match self.state.outer.variables.get(text.as_str()) {
                Some(value) => value.clone(),
                None => Val::Null,
            },
            "_ENV" => self.inherited(&text).unwrap_or(Val::Null),
            "_SERVER" => match (self.surroundings.server)(&text) {
                Some(value) => Val::text(value),
                // Headers come with the request; nothing in a file sets them behind our back.
                None if text.starts_with("HTTP") => Val::Null,
                None => self.inherited(&text).unwrap_or(Val::Null),
            },
            _ => self.unknown(line, format!("${name}")),
        }
    }

    /// What `getenv` gives, including what `putenv` has set.
    pub(super) fn environment(&self, name: &str) -> Option<Val> {
        let set = self.state.environment.get(name).cloned();
        set.or_else(|| self.inherited(name))
    }

    /// An environment variable; unknown if it is not set here but unread code may have set it.
    fn inherited(&self, name: &str) -> Option<Val> {
        match (self.surroundings.env)(name) {
            Some(value) => Some(Val::text(value)),
            None => self.state.env_haze.clone().map(Val::Unknown),
        }
    }

    pub(super) fn assignment(
        &mut self,
        target: &Node,
        op: Option<&str>,
        value: &Node,
    ) -> Evaluated {
        let line = target.line;
        let value = match op {
            None => self.eval(value)?,
            Some("??") => match self.eval(target)? {
                Val::Null => self.eval(value)?,
                Val::Unknown(why) => self.either(&why, Some(Val::Unknown(why.clone())), value)?,
                present => return Ok(present),
            },
            Some(op) => {
                let values = [self.eval(target)?, self.eval(value)?];
                self.binary(op, values, line)
            }
        };
        self.assign(target, value.clone())?;
        Ok(value)
    }

    pub(super) fn assign(&mut self, target: &Node, value: Val) -> Result<(), Halt> {
        let line = target.line;
        match &target.expr {
            Expr::Variable(name) => {
                if &**name == "table_prefix" {
                    self.prefix_place = Some(self.place(line));
                }
                self.set_variable(name, value);
            }
            Expr::Array(items) => {
                for (position, item) in items.iter().enumerate() {
                    let Some(inner) = &item.value else { continue };
                    let key = match &item.key {
                        Some(key) => self.eval(key)?,
                        None => Val::Int(i64::try_from(position).unwrap_or(i64::MAX)),
                    };
                    let part = match (&value, key.to_key()) {
                        (Val::Array(_), Some(key)) => value.get(&key).cloned().unwrap_or(Val::Null),
                        (Val::Unknown(_), _) | (_, None) => {
                            Val::Unknown(self.reason(&[value.clone(), key], line))
                        }
                        _ => Val::Null,
                    };
                    self.nested(line, |machine| machine.assign(inner, part))?;
                }
            }
            Expr::Index(..) => {
                let (base, keys) = self.path(target)?;
                if let Expr::Variable(name) = &base.expr {
                    self.assign_element(name, &keys, value, line)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// `$name[key]… = value`, also where `$name` is `$GLOBALS`.
    pub(super) fn assign_element(
        &mut self,
        name: &Rc<str>,
        keys: &[Option<Val>],
        value: Val,
        line: u32,
    ) -> Result<(), Halt> {
        if &**name != "GLOBALS" {
            let old = self.state.variables_with(name).remove(name);
            let new = self.changed(old, keys, value, line)?;
            self.state.variables_with(name).insert(name.clone(), new);
        } else if let Some((Some(Val::Text(global)), keys)) = keys.split_first() {
            let global: Rc<str> = String::from_utf8_lossy(global).into();
            let old = self.state.outer.variables.remove(&global);
            let new = self.changed(old, keys, value, line)?;
            self.state.outer.variables.insert(global, new);
        }
        Ok(())
    }

    pub(super) fn changed(
        &mut self,
        old: Option<Val>,
        keys: &[Option<Val>],
        value: Val,
        line: u32,
    ) -> Evaluated {
        let why = self.why(line, "an assignment");
        let mut new = old.unwrap_or(Val::Null);
        functions::put_deep(&mut new, keys, value, &why);
        self.weighed(new, line)
    }

    pub(super) fn unset(&mut self, node: &Node) -> Result<(), Halt> {
        match &node.expr {
            Expr::Variable(name) => {
                self.state.variables_with(name).remove(name);
            }
            Expr::Index(..) => {
                let (base, keys) = self.path(node)?;
                let why = self.why(node.line, "unset");
                let Expr::Variable(name) = &base.expr else {
                    return Ok(());
                };
                // What surrounds us stays; only a null of our own can hide it.
                if is_superglobal(name) {
                    return self.assign(node, Val::Null);
                }
                if let Some(slot) = self.state.variables_with(name).get_mut(name) {
                    functions::remove_deep(slot, &keys, &why);
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(in crate::wp_config) fn define(&mut self, name: &str, value: Val, line: u32) {
        let place = self.place(line);
        let constant = Constant {
            value,
            place,
            certain: true,
        };
        let first = self.state.constants.entry(name.into()).or_insert(constant);
        first.certain = true;
    }

    pub(super) fn constant(&self, name: &str, line: u32) -> Val {
        match name.to_ascii_lowercase().as_str() {
            "true" => return Val::Bool(true),
            "false" => return Val::Bool(false),
            "null" => return Val::Null,
            "__line__" => return Val::Int(line.into()),
            "__file__" => return functions::path(&self.source.path),
            "__dir__" => return functions::path(self.folder()),
            "__namespace__" => return Val::text(""),
            _ => {}
        }
        if let Some(constant) = self.state.constants.get(name) {
            return constant.value.clone();
        }
        functions::constant(name)
            .unwrap_or_else(|| self.unknown(line, format!("the constant {name}")))
    }

    /// Whether a constant is defined, as far as can be known.
    pub(super) fn is_defined(&self, name: &str) -> Val {
        let constants = &self.state.constants;
        let doubt = self.state.suspects.get(name).or(self.state.haze.as_ref());
        match (constants.get(name), doubt) {
            (Some(constant), _) if constant.certain => Val::Bool(true),
            (Some(constant), _) => constant.value.clone(),
            (None, _) if functions::constant(name).is_some() => Val::Bool(true),
            (None, Some(why)) => Val::Unknown(why.clone()),
            (None, None) => Val::Bool(false),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.source.path.parent().unwrap_or(Path::new("/"))
    }
}
