//! Function calls: the file's own, PHP's, and those that are not followed.

use std::rc::Rc;

use super::{Evaluated, Halt, Machine};
use crate::wp_config::functions;
use crate::wp_config::state::{Frame, Source, is_superglobal};
use crate::wp_config::syntax::{Expr, Function, Node};
use crate::wp_config::value::Val;

impl Machine<'_> {
    pub(super) fn call(&mut self, name: &Rc<str>, arguments: &[Node], line: u32) -> Evaluated {
        let lower: Rc<str> = name.to_ascii_lowercase().into();
        if matches!(&*lower, "array_key_exists" | "key_exists")
            && let Some(found) = self.superglobal_has(arguments)?
        {
            return Ok(found);
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.eval(argument)?);
        }
        if let Some((function, source)) = self.state.functions.get(&lower).cloned() {
            return self.call_own(&function, source, (arguments, values), line);
        }
        if let Some(value) = self.worldly(&lower, &values, line) {
            return Ok(value);
        }
        if &*lower == "preg_match" {
            return Ok(self.preg_match(arguments, &values, line));
        }
        if let Some(result) = functions::call(&lower, &values) {
            return Ok(
                result.unwrap_or_else(|| match values.iter().find_map(Val::unknown) {
                    Some(why) => Val::Unknown(why.clone()),
                    None => self.unknown(line, format!("{name}()")),
                }),
            );
        }
        self.unread_call(name, &lower, arguments, &values, line)
    }

    pub(super) fn unread_call(
        &mut self,
        name: &str,
        lower: &str,
        arguments: &[Node],
        values: &[Val],
        line: u32,
    ) -> Evaluated {
        let why = self.why(line, format!("{name}()"));
        if functions::is_harmless(lower) {
            return Ok(Val::Unknown(why));
        }
        for value in values {
            if let Val::Text(text) = value {
                self.suspect(text, &why);
            }
        }
        if functions::changes_arguments(lower) {
            for argument in arguments {
                self.assign(argument, Val::Unknown(why.clone()))?;
            }
        }
        self.state.env_haze.get_or_insert_with(|| why.clone());
        Ok(Val::Unknown(why))
    }

    pub(super) fn superglobal_has(&mut self, arguments: &[Node]) -> Result<Option<Val>, Halt> {
        let [key, list] = arguments else {
            return Ok(None);
        };
        let Expr::Variable(name) = &list.expr else {
            return Ok(None);
        };
        if !is_superglobal(name) {
            return Ok(None);
        }
        let key_value = self.eval(key)?;
        Ok(Some(match self.superglobal(name, &key_value, key.line) {
            Val::Null => Val::Bool(false),
            Val::Unknown(why) => Val::Unknown(why),
            _ => Val::Bool(true),
        }))
    }

    pub(super) fn preg_match(&mut self, arguments: &[Node], values: &[Val], line: u32) -> Val {
        let found = functions::preg_match(values);
        let (result, groups) = match found {
            Some((matched, groups)) => (Val::Int(matched.into()), groups),
            None => {
                let why = Val::Unknown(self.reason(values, line));
                (why.clone(), why)
            }
        };
        if let Some(Node {
            expr: Expr::Variable(name),
            ..
        }) = arguments.get(2)
        {
            self.set_variable(name, groups);
        }
        result
    }

    pub(super) fn call_own(
        &mut self,
        function: &Rc<Function>,
        source: Source,
        (arguments, values): (&[Node], Vec<Val>),
        line: u32,
    ) -> Evaluated {
        let mut frame = Frame::default();
        let mut values = values.into_iter();
        for parameter in &function.parameters {
            let value = match (values.next(), &parameter.default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.eval(default)?,
                (None, None) => self.unknown(line, format!("{}()", function.name)),
            };
            frame.variables.insert(parameter.name.clone(), value);
        }
        self.state.inner.push(frame);
        let before = std::mem::replace(&mut self.source, source);
        let value = self.nested(line, |machine| machine.body(&function.body, Val::Null));
        self.source = before;
        let frame = self.state.inner.pop().unwrap_or_default();
        for (parameter, argument) in function.parameters.iter().zip(arguments) {
            if parameter.by_reference {
                let value = frame.variables.get(&parameter.name).cloned();
                self.assign(argument, value.unwrap_or(Val::Null))?;
            }
        }
        value
    }
}
