//! Statements: branches, loops and what they define.

use std::rc::Rc;

use super::ways::Bound;
use super::{Evaluated, Executed, Flow, Halt, Machine};
use crate::wp_config::functions;
use crate::wp_config::syntax::{Case, Kind, Node, Statement};
use crate::wp_config::value::{Unknown, Val};

impl Machine<'_> {
    /// Follows the statements of a function or a file, which give a value even without `return`.
    pub(super) fn body(&mut self, statements: &[Statement], value: Val) -> Evaluated {
        let flow = self.bounded(Bound::Body, |machine| {
            Ok(match machine.block(statements)? {
                Flow::Return(value) => Flow::Return(value),
                _ => Flow::Return(value),
            })
        });
        Ok(match flow? {
            Flow::Return(value) | Flow::Value(value) => value,
            _ => Val::Null,
        })
    }

    pub(super) fn block(&mut self, statements: &[Statement]) -> Executed {
        for statement in statements {
            match self.statement(statement)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    pub(super) fn statement(&mut self, statement: &Statement) -> Executed {
        self.burn(1, statement.line)?;
        self.nested(statement.line, |machine| machine.statement_kind(statement))
    }

    pub(super) fn statement_kind(&mut self, statement: &Statement) -> Executed {
        let line = statement.line;
        match &statement.kind {
            Kind::Expr(node) => self.eval(node).map(|_| Flow::Next),
            Kind::Block(body) => self.block(body),
            Kind::If(ways, otherwise) => self.if_statement(ways, otherwise),
            Kind::Switch(subject, cases) => {
                let subject = self.eval(subject)?;
                self.bounded(Bound::Loop, |machine| {
                    let flow = machine.switch(&subject, cases, 0)?;
                    Ok(leave_loop(flow).unwrap_or(Flow::Next))
                })
            }
            Kind::Foreach {
                list,
                key,
                value,
                body,
            } => self.bounded(Bound::Loop, |machine| {
                machine.foreach(list, key.as_ref(), value, body)
            }),
            Kind::Loop {
                before,
                tests,
                after,
                body,
                body_first,
            } => {
                for node in before {
                    self.eval(node)?;
                }
                self.bounded(Bound::Loop, |machine| {
                    machine.repeat(tests, after, body, *body_first)
                })
            }
            Kind::Function(function) => {
                let entry = (function.clone(), self.source.clone());
                self.state
                    .functions
                    .entry(function.name.clone())
                    .or_insert(entry);
                Ok(Flow::Next)
            }
            Kind::Const(constants) => {
                for (name, value) in constants {
                    let value = self.eval(value)?;
                    self.define(name, value, line);
                }
                Ok(Flow::Next)
            }
            Kind::Global(names) => {
                if let Some(frame) = self.state.inner.last_mut() {
                    frame.globals.extend(names.iter().cloned());
                }
                Ok(Flow::Next)
            }
            Kind::Unset(nodes) => {
                for node in nodes {
                    self.unset(node)?;
                }
                Ok(Flow::Next)
            }
            Kind::Return(None) => Ok(Flow::Return(Val::Null)),
            Kind::Return(Some(value)) => self.eval(value).map(Flow::Return),
            Kind::Break(levels) => Ok(Flow::Break(*levels)),
            Kind::Continue(levels) => Ok(Flow::Continue(*levels)),
            Kind::Try {
                body,
                catch,
                finally,
            } => self.try_statement(body, catch, finally),
            Kind::Nothing => Ok(Flow::Next),
            Kind::Lost(lost) => {
                let why = self.why(line, lost.what.clone());
                for name in &lost.variables {
                    self.set_variable(name, Val::Unknown(why.clone()));
                }
                for text in &lost.texts {
                    self.suspect(text, &why);
                }
                Ok(Flow::Next)
            }
        }
    }

    pub(super) fn if_statement(
        &mut self,
        ways: &[(Node, Vec<Statement>)],
        otherwise: &[Statement],
    ) -> Executed {
        let Some(((condition, body), rest)) = ways.split_first() else {
            return self.block(otherwise);
        };
        self.burn(1, condition.line)?;
        match self.condition(condition)? {
            Ok(true) => self.block(body),
            Ok(false) => self.if_statement(rest, otherwise),
            Err(why) => self.fork_flows(
                &why,
                |machine| machine.block(body),
                |machine| machine.nested(condition.line, |m| m.if_statement(rest, otherwise)),
            ),
        }
    }

    pub(super) fn switch(&mut self, subject: &Val, cases: &[Case], from: usize) -> Executed {
        let mut from = from;
        while let Some(case) = cases.get(from) {
            from += 1;
            let Some(test) = &case.test else { continue };
            let value = self.eval(test)?;
            match functions::loosely_equal(subject, &value) {
                Some(true) => return self.cases(cases, from - 1),
                Some(false) => {}
                None => {
                    let why = self.reason(&[subject.clone(), value], test.line);
                    return self.fork_flows(
                        &why,
                        |machine| machine.cases(cases, from - 1),
                        |machine| machine.nested(test.line, |m| m.switch(subject, cases, from)),
                    );
                }
            }
        }
        match cases.iter().position(|case| case.test.is_none()) {
            Some(default) => self.cases(cases, default),
            None => Ok(Flow::Next),
        }
    }

    pub(super) fn cases(&mut self, cases: &[Case], from: usize) -> Executed {
        for case in cases.iter().skip(from) {
            match self.block(&case.body)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    pub(super) fn foreach(
        &mut self,
        list: &Node,
        key: Option<&Node>,
        value: &Node,
        body: &[Statement],
    ) -> Executed {
        let line = list.line;
        let entries = match self.eval(list)? {
            Val::Array(entries) => entries,
            Val::Unknown(why) => {
                let unknown = Val::Unknown(why.clone());
                return self.fork_flows(
                    &why,
                    |machine| {
                        machine.assign(value, unknown.clone())?;
                        key.map_or(Ok(()), |key| machine.assign(key, unknown))?;
                        Ok(leave_loop(machine.block(body)?).unwrap_or(Flow::Next))
                    },
                    |_| Ok(Flow::Next),
                );
            }
            _ => return Ok(Flow::Next),
        };
        for (entry_key, entry) in entries.iter() {
            self.burn(1, line)?;
            self.assign(value, entry.clone())?;
            if let Some(key) = key {
                self.assign(key, functions::key_value(entry_key))?;
            }
            if let Some(flow) = leave_loop(self.block(body)?) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    pub(super) fn repeat(
        &mut self,
        tests: &[Node],
        after: &[Node],
        body: &[Statement],
        body_first: bool,
    ) -> Executed {
        let mut skip_test = body_first;
        loop {
            self.burn(1, 1)?;
            if !std::mem::take(&mut skip_test) {
                match self.last_condition(tests)? {
                    Ok(true) => {}
                    Ok(false) => return Ok(Flow::Next),
                    Err(why) => {
                        return self.fork_flows(
                            &why,
                            |machine| Ok(leave_loop(machine.block(body)?).unwrap_or(Flow::Next)),
                            |_| Ok(Flow::Next),
                        );
                    }
                }
            }
            if let Some(flow) = leave_loop(self.block(body)?) {
                return Ok(flow);
            }
            for node in after {
                self.eval(node)?;
            }
        }
    }

    pub(super) fn last_condition(
        &mut self,
        tests: &[Node],
    ) -> Result<Result<bool, Rc<Unknown>>, Halt> {
        let mut last = Ok(true);
        for test in tests {
            last = self.condition(test)?;
        }
        Ok(last)
    }

    pub(super) fn try_statement(
        &mut self,
        body: &[Statement],
        catch: &[Statement],
        finally: &[Statement],
    ) -> Executed {
        let flow = match self.block(body) {
            Err(Halt::Thrown(_)) if !catch.is_empty() => self.block(catch),
            flow => flow,
        }?;
        match self.block(finally)? {
            Flow::Next => Ok(flow),
            finally => Ok(finally),
        }
    }
}

/// What a loop passes on when its body ends so; none to go on with the loop.
fn leave_loop(flow: Flow) -> Option<Flow> {
    match flow {
        Flow::Next | Flow::Continue(0 | 1) => None,
        Flow::Break(0 | 1) => Some(Flow::Next),
        Flow::Break(levels) => Some(Flow::Break(levels - 1)),
        Flow::Continue(levels) => Some(Flow::Continue(levels - 1)),
        flow @ (Flow::Return(_) | Flow::Value(_)) => Some(flow),
    }
}
