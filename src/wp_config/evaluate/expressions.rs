//! Expressions: operators, and the sides of them that are only followed if they count.

use std::rc::Rc;

use super::{Evaluated, Halt, Machine};
use crate::wp_config::functions;
use crate::wp_config::syntax::{Arm, Expr, Item, Node};
use crate::wp_config::value::{Unknown, Val};

impl Machine<'_> {
    pub(super) fn eval(&mut self, node: &Node) -> Evaluated {
        self.burn(1, node.line)?;
        let value = self.nested(node.line, |machine| machine.expression(node))?;
        self.weighed(value, node.line)
    }

    pub(super) fn expression(&mut self, node: &Node) -> Evaluated {
        let line = node.line;
        match &node.expr {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::Concat(nodes) => self.concat(nodes, line),
            Expr::Variable(name) => Ok(self.variable(name, line)),
            Expr::Constant(name) => Ok(self.constant(name, line)),
            Expr::Array(items) => self.array(items, line),
            Expr::Index(..) => self.index(node),
            Expr::Call(name, arguments) => self.call(name, arguments, line),
            Expr::Foreign(what, parts) => self.foreign(what, parts, line),
            Expr::Not(inner) => Ok(match self.condition(inner)? {
                Ok(truth) => Val::Bool(!truth),
                Err(why) => Val::Unknown(why),
            }),
            Expr::Unary(op, inner) => {
                let value = self.eval(inner)?;
                let result = functions::unary(op, &value);
                Ok(result.unwrap_or_else(|| Val::Unknown(self.reason(&[value], line))))
            }
            Expr::Binary(op, left, right) => {
                let values = [self.eval(left)?, self.eval(right)?];
                Ok(self.binary(op, values, line))
            }
            Expr::And(left, right) => self.short_circuit(left, right, false),
            Expr::Or(left, right) => self.short_circuit(left, right, true),
            Expr::Coalesce(left, right) => match self.eval(left)? {
                Val::Null => self.eval(right),
                Val::Unknown(why) => self.either(&why, Some(Val::Unknown(why.clone())), right),
                value => Ok(value),
            },
            Expr::Ternary(condition, then, otherwise) => {
                self.ternary(condition, then.as_deref(), otherwise)
            }
            Expr::Assign(target, op, value) => self.assignment(target, *op, value),
            Expr::Isset(nodes) => self.isset(nodes),
            Expr::Empty(inner) => Ok(match self.condition(inner)? {
                Ok(truth) => Val::Bool(!truth),
                Err(why) => Val::Unknown(why),
            }),
            Expr::Cast(cast, inner) => {
                let value = self.eval(inner)?;
                let result = functions::cast(cast, &value);
                Ok(result.unwrap_or_else(|| Val::Unknown(self.reason(&[value], line))))
            }
            Expr::Include(how, path) => self.include(*how, path),
            Expr::Eval(code) => self.eval_code(code),
            Expr::Match(subject, arms) => {
                let subject = self.eval(subject)?;
                self.match_arms(&subject, arms, line)
            }
            Expr::Exit => Err(Halt::Exit(self.why(line, "exit"))),
            Expr::Throw => Err(Halt::Thrown(self.why(line, "throw"))),
        }
    }

    /// The truth of an expression, or why it is not known.
    pub(super) fn condition(&mut self, node: &Node) -> Result<Result<bool, Rc<Unknown>>, Halt> {
        let value = self.eval(node)?;
        Ok(match value.truthy() {
            Some(truth) => Ok(truth),
            None => Err(self.reason(&[value], node.line)),
        })
    }

    /// Why a result of these values is not known: the first of them that is not, or this line.
    pub(super) fn reason(&self, values: &[Val], line: u32) -> Rc<Unknown> {
        let found = values.iter().find_map(Val::unknown);
        found
            .cloned()
            .unwrap_or_else(|| self.why(line, "an operation"))
    }

    pub(super) fn concat(&mut self, nodes: &[Node], line: u32) -> Evaluated {
        let mut text = Vec::new();
        let mut missing = None;
        for node in nodes {
            let value = self.eval(node)?;
            match value.to_text() {
                Some(part) => text.extend_from_slice(&part),
                None => missing = missing.or(Some(self.reason(&[value], line))),
            }
            self.burn(text.len() / 256, line)?;
        }
        Ok(missing.map_or_else(|| Val::text(text), Val::Unknown))
    }

    pub(super) fn array(&mut self, items: &[Item], line: u32) -> Evaluated {
        let mut entries = Vec::new();
        for item in items {
            let Some(value) = &item.value else { continue };
            let key = match &item.key {
                Some(key) => Some(self.eval(key)?),
                None => None,
            };
            let value = self.eval(value)?;
            let key = match key {
                None => functions::next_key(&entries),
                Some(key) => match key.to_key() {
                    Some(key) => key,
                    None => return Ok(Val::Unknown(self.reason(&[key], line))),
                },
            };
            self.burn(entries.len() / 16, line)?;
            functions::put(&mut entries, key, value);
        }
        Ok(Val::array(entries))
    }

    pub(super) fn binary(&mut self, op: &str, values: [Val; 2], line: u32) -> Val {
        let [left, right] = &values;
        match functions::binary(op, left, right) {
            Some(value) => value,
            None => Val::Unknown(self.reason(&values, line)),
        }
    }

    /// `&&` and `||`: the right side is followed only if the left does not decide.
    pub(super) fn short_circuit(&mut self, left: &Node, right: &Node, decides: bool) -> Evaluated {
        match self.condition(left)? {
            Ok(truth) if truth == decides => Ok(Val::Bool(decides)),
            Ok(_) => Ok(match self.condition(right)? {
                Ok(truth) => Val::Bool(truth),
                Err(why) => Val::Unknown(why),
            }),
            Err(why) => self.fork(
                &why,
                |machine| {
                    Ok(match machine.condition(right)? {
                        Ok(truth) => Val::Bool(truth),
                        Err(why) => Val::Unknown(why),
                    })
                },
                |_| Ok(Val::Bool(decides)),
            ),
        }
    }

    /// Either a value that is there already, or that of an expression.
    pub(super) fn either(
        &mut self,
        why: &Rc<Unknown>,
        value: Option<Val>,
        node: &Node,
    ) -> Evaluated {
        self.fork(
            why,
            |machine| machine.eval(node),
            |_| Ok(value.unwrap_or(Val::Null)),
        )
    }

    pub(super) fn ternary(
        &mut self,
        condition: &Node,
        then: Option<&Node>,
        otherwise: &Node,
    ) -> Evaluated {
        let value = self.eval(condition)?;
        let then_value = |machine: &mut Self| match then {
            Some(then) => machine.eval(then),
            None => Ok(value.clone()),
        };
        match value.truthy() {
            Some(true) => then_value(self),
            Some(false) => self.eval(otherwise),
            None => {
                let why = self.reason(std::slice::from_ref(&value), condition.line);
                self.fork(&why, then_value, |machine| machine.eval(otherwise))
            }
        }
    }

    pub(super) fn match_arms(&mut self, subject: &Val, arms: &[Arm], line: u32) -> Evaluated {
        for arm in arms.iter().filter(|arm| !arm.conditions.is_empty()) {
            for condition in &arm.conditions {
                let value = self.eval(condition)?;
                match subject.identical(&value) {
                    Some(true) => return self.eval(&arm.value),
                    Some(false) => {}
                    None => return Ok(Val::Unknown(self.reason(&[subject.clone(), value], line))),
                }
            }
        }
        match arms.iter().find(|arm| arm.conditions.is_empty()) {
            Some(arm) => self.eval(&arm.value),
            None => Err(Halt::Thrown(self.why(line, "match without a matching arm"))),
        }
    }

    pub(super) fn isset(&mut self, nodes: &[Node]) -> Evaluated {
        for node in nodes {
            match self.eval(node)? {
                Val::Null => return Ok(Val::Bool(false)),
                Val::Unknown(why) => return Ok(Val::Unknown(why)),
                _ => {}
            }
        }
        Ok(Val::Bool(true))
    }

    /// Code that is not followed: it may define the constants whose names it is given.
    pub(super) fn foreign(&mut self, what: &str, parts: &[Node], line: u32) -> Evaluated {
        let why = self.why(line, what);
        for part in parts {
            if let Val::Text(text) = self.eval(part)? {
                self.suspect(&text, &why);
            }
        }
        if what.ends_with("()") {
            self.state.env_haze.get_or_insert_with(|| why.clone());
        }
        Ok(Val::Unknown(why))
    }

    pub(super) fn suspect(&mut self, text: &[u8], why: &Rc<Unknown>) {
        let like_a_constant = text
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
        if like_a_constant && text.len() < 100 {
            let name = String::from_utf8_lossy(text).into();
            self.state
                .suspects
                .entry(name)
                .or_insert_with(|| why.clone());
        }
    }
}
