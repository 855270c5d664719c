//! Follows the tree as PHP would, as far as that can be known without PHP.
//!
//! Nothing is executed: no class, no network, no program, no write. What is not followed becomes an
//! unknown value that carries its line; where a condition is unknown both ways are followed and
//! joined. Fuel and depth are limited, so every file comes to an end.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Surroundings;
use super::functions;
use super::state::{Constant, Frame, Source, State, is_superglobal, join_values};
use super::syntax::{Arm, Case, Expr, Inclusion, Item, Kind, Node, Statement};
use super::value::{Place, Unknown, Val};
use super::{lexer, parser};
use crate::php::Key;

/// Steps until a file counts as endless; a usual wp-config.php takes some hundred.
const FUEL: usize = 300_000;

/// What a value costs that is too large to be followed.
const HEAVY: usize = 5_000;

/// Nesting of expressions, blocks, calls and files together.
const MAX_DEPTH: u32 = 200;

/// Larger files are not read, in bytes.
const MAX_FILE: usize = 1024 * 1024;

/// Why a file is left early.
#[derive(Debug, Clone)]
pub(super) enum Halt {
    /// `wp-settings.php` is about to be loaded: the configuration is complete.
    Settings,
    /// `exit`, a missing required file.
    Exit(Rc<Unknown>),
    Thrown(Rc<Unknown>),
    /// Out of fuel.
    Endless(Rc<Unknown>),
}

/// How a statement ends.
#[derive(Debug, Clone)]
enum Flow {
    Next,
    Break(u32),
    Continue(u32),
    Return(Val),
}

type Evaluated = Result<Val, Halt>;
type Executed = Result<Flow, Halt>;

/// One run through a file and all it includes.
pub(super) struct Machine<'a> {
    pub(super) surroundings: &'a Surroundings<'a>,
    wordpress: &'a Path,
    pub(super) state: State,
    /// Where `$table_prefix` was last assigned.
    pub(super) prefix_place: Option<Place>,
    source: Source,
    fuel: usize,
    depth: u32,
}

impl<'a> Machine<'a> {
    pub(super) fn new(wordpress: &'a Path, surroundings: &'a Surroundings<'a>) -> Self {
        Self {
            surroundings,
            wordpress,
            state: State::default(),
            prefix_place: None,
            source: Source {
                path: wordpress.into(),
                name: "".into(),
            },
            fuel: FUEL,
            depth: 0,
        }
    }

    /// Follows a file from its start; tells why it was left early, if it was.
    pub(super) fn run(&mut self, path: &Path, text: &[u8]) -> Option<Halt> {
        self.file(path, text).err()
    }

    /// The name of a file in messages: from the WordPress folder on where it lies inside.
    pub(super) fn name_of(&self, path: &Path) -> String {
        let inside = path.strip_prefix(self.wordpress).unwrap_or(path);
        inside.display().to_string()
    }

    pub(super) fn place(&self, line: u32) -> Place {
        Place {
            file: self.source.name.clone(),
            line,
        }
    }

    pub(super) fn why(&self, line: u32, what: impl Into<String>) -> Rc<Unknown> {
        Rc::new(Unknown {
            place: self.place(line),
            what: what.into(),
        })
    }

    fn unknown(&self, line: u32, what: impl Into<String>) -> Val {
        Val::Unknown(self.why(line, what))
    }

    fn burn(&mut self, amount: usize, line: u32) -> Result<(), Halt> {
        match self.fuel.checked_sub(amount.max(1)) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => Err(Halt::Endless(self.why(line, "a very long computation"))),
        }
    }

    fn file(&mut self, path: &Path, text: &[u8]) -> Evaluated {
        let name = self.name_of(path).into();
        let path: Rc<Path> = path.into();
        let source = Source { path, name };
        let before = std::mem::replace(&mut self.source, source);
        let result = self.tokens(lexer::file(text), text.len());
        self.source = before;
        result
    }

    fn tokens(&mut self, tokens: Vec<lexer::Token>, length: usize) -> Evaluated {
        self.burn(length / 16, 1)?;
        let statements = parser::parse(tokens);
        // PHP knows the functions of a file before it runs the first statement.
        for statement in &statements {
            if let Kind::Function(_) = statement.kind {
                self.statement(statement)?;
            }
        }
        let pending = self.state.frame_mut().pending.take();
        let result = self.block(&statements);
        self.state.frame_mut().pending = pending;
        Ok(match result? {
            Flow::Return(value) => value,
            _ => Val::Int(1),
        })
    }

    // Statements.

    fn block(&mut self, statements: &[Statement]) -> Executed {
        for statement in statements {
            match self.statement(statement)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Statement) -> Executed {
        self.burn(1, statement.line)?;
        if self.depth >= MAX_DEPTH {
            return Err(Halt::Endless(self.why(statement.line, "too much nesting")));
        }
        self.depth += 1;
        let flow = self.statement_kind(statement);
        self.depth -= 1;
        flow
    }

    fn statement_kind(&mut self, statement: &Statement) -> Executed {
        let line = statement.line;
        match &statement.kind {
            Kind::Expr(node) => self.eval(node).map(|_| Flow::Next),
            Kind::Block(body) => self.block(body),
            Kind::If(ways, otherwise) => self.if_statement(ways, otherwise),
            Kind::Switch(subject, cases) => {
                let subject = self.eval(subject)?;
                let flow = self.switch(&subject, cases, 0)?;
                Ok(leave_loop(flow).unwrap_or(Flow::Next))
            }
            Kind::Foreach {
                list,
                key,
                value,
                body,
            } => self.foreach(list, key.as_ref(), value, body),
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
                self.repeat(tests, after, body, *body_first)
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

    fn if_statement(
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
            Err(why) => self.fork(
                &why,
                |machine| machine.block(body),
                |machine| machine.nested(condition.line, |m| m.if_statement(rest, otherwise)),
                join_flows,
            ),
        }
    }

    fn nested<T>(
        &mut self,
        line: u32,
        inner: impl FnOnce(&mut Self) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        if self.depth >= MAX_DEPTH {
            return Err(Halt::Endless(self.why(line, "too much nesting")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn switch(&mut self, subject: &Val, cases: &[Case], from: usize) -> Executed {
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
                    return self.fork(
                        &why,
                        |machine| machine.cases(cases, from - 1),
                        |machine| machine.nested(test.line, |m| m.switch(subject, cases, from)),
                        join_flows,
                    );
                }
            }
        }
        match cases.iter().position(|case| case.test.is_none()) {
            Some(default) => self.cases(cases, default),
            None => Ok(Flow::Next),
        }
    }

    fn cases(&mut self, cases: &[Case], from: usize) -> Executed {
        for case in cases.iter().skip(from) {
            match self.block(&case.body)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn foreach(
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
                return self.fork(
                    &why,
                    |machine| {
                        machine.assign(value, unknown.clone())?;
                        key.map_or(Ok(()), |key| machine.assign(key, unknown))?;
                        Ok(leave_loop(machine.block(body)?).unwrap_or(Flow::Next))
                    },
                    |_| Ok(Flow::Next),
                    join_flows,
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

    fn repeat(
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
                        return self.fork(
                            &why,
                            |machine| Ok(leave_loop(machine.block(body)?).unwrap_or(Flow::Next)),
                            |_| Ok(Flow::Next),
                            join_flows,
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

    fn last_condition(&mut self, tests: &[Node]) -> Result<Result<bool, Rc<Unknown>>, Halt> {
        let mut last = Ok(true);
        for test in tests {
            last = self.condition(test)?;
        }
        Ok(last)
    }

    fn try_statement(
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

    /// Follows two ways of which one is taken, and joins what they lead to. A way that ends the
    /// request is not taken: WordPress does run with this file.
    fn fork<T>(
        &mut self,
        why: &Rc<Unknown>,
        first: impl FnOnce(&mut Self) -> Result<T, Halt>,
        second: impl FnOnce(&mut Self) -> Result<T, Halt>,
        join: impl FnOnce(&mut State, T, T, &Rc<Unknown>) -> T,
    ) -> Result<T, Halt> {
        self.burn(self.state.size(), why.place.line)?;
        let before = self.state.clone();
        let one = first(self);
        let state_one = std::mem::replace(&mut self.state, before);
        let two = second(self);
        let state_two = std::mem::take(&mut self.state);
        match (one, two) {
            (Err(endless @ Halt::Endless(_)), _) | (_, Err(endless @ Halt::Endless(_))) => {
                Err(endless)
            }
            (Ok(one), Ok(two)) => {
                self.state = state_one.join(state_two, why);
                Ok(join(&mut self.state, one, two, why))
            }
            (Err(Halt::Settings), way) | (way, Err(Halt::Settings)) => {
                self.state = state_one.join(state_two, why);
                way
            }
            (Ok(one), Err(_)) => {
                self.state = state_one;
                Ok(one)
            }
            (_, two) => {
                self.state = state_two;
                two
            }
        }
    }

    // Expressions.

    fn eval(&mut self, node: &Node) -> Evaluated {
        self.burn(1, node.line)?;
        if self.depth >= MAX_DEPTH {
            return Err(Halt::Endless(self.why(node.line, "too much nesting")));
        }
        self.depth += 1;
        let value = self.expression(node);
        self.depth -= 1;
        self.weighed(value?, node.line)
    }

    /// Pays for the size of a value, and lets go of one that is too large.
    fn weighed(&mut self, value: Val, line: u32) -> Evaluated {
        match value.weight() {
            Some(weight) => self.burn(weight, line).map(|()| value),
            None => {
                self.burn(HEAVY, line)?;
                Ok(self.unknown(line, "a very large value"))
            }
        }
    }

    fn expression(&mut self, node: &Node) -> Evaluated {
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
    fn condition(&mut self, node: &Node) -> Result<Result<bool, Rc<Unknown>>, Halt> {
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

    fn concat(&mut self, nodes: &[Node], line: u32) -> Evaluated {
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

    fn array(&mut self, items: &[Item], line: u32) -> Evaluated {
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

    fn binary(&mut self, op: &str, values: [Val; 2], line: u32) -> Val {
        let [left, right] = &values;
        match functions::binary(op, left, right) {
            Some(value) => value,
            None => Val::Unknown(self.reason(&values, line)),
        }
    }

    /// `&&` and `||`: the right side is followed only if the left does not decide.
    fn short_circuit(&mut self, left: &Node, right: &Node, decides: bool) -> Evaluated {
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
                |_, one, two, why| join_values(one, &two, why),
            ),
        }
    }

    /// Either a value that is there already, or that of an expression.
    fn either(&mut self, why: &Rc<Unknown>, value: Option<Val>, node: &Node) -> Evaluated {
        self.fork(
            why,
            |machine| machine.eval(node),
            |_| Ok(value.unwrap_or(Val::Null)),
            |_, one, two, why| join_values(one, &two, why),
        )
    }

    fn ternary(&mut self, condition: &Node, then: Option<&Node>, otherwise: &Node) -> Evaluated {
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
                self.fork(
                    &why,
                    then_value,
                    |machine| machine.eval(otherwise),
                    |_, one, two, why| join_values(one, &two, why),
                )
            }
        }
    }

    fn match_arms(&mut self, subject: &Val, arms: &[Arm], line: u32) -> Evaluated {
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

    fn isset(&mut self, nodes: &[Node]) -> Evaluated {
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
    fn foreign(&mut self, what: &str, parts: &[Node], line: u32) -> Evaluated {
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

    // Variables.

    fn variable(&self, name: &str, line: u32) -> Val {
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
    fn path<'n>(&mut self, node: &'n Node) -> Result<(&'n Node, Vec<Option<Val>>), Halt> {
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

    fn index(&mut self, node: &Node) -> Evaluated {
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
    fn superglobal(&mut self, name: &str, key: &Val, line: u32) -> Val {
        let Some(key) = key.to_key() else {
            return Val::Unknown(self.reason(std::slice::from_ref(key), line));
        };
        let own = self.state.outer.variables.get(name);
        if let Some(value) = own.and_then(|own| own.get(&key)) {
            return value.clone();
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
            "_ENV" => self.environment(&text).unwrap_or(Val::Null),
            "_SERVER" => match (self.surroundings.server)(&text) {
                Some(value) => Val::text(value),
                // Headers come with the request; nothing in a file sets them behind our back.
                None if text.starts_with("HTTP") => Val::Null,
                None => self.environment(&text).unwrap_or(Val::Null),
            },
            _ => self.unknown(line, format!("${name}")),
        }
    }

    /// An environment variable; unknown if it is not set here but unread code may have set it.
    pub(super) fn environment(&self, name: &str) -> Option<Val> {
        if let Some(value) = self.state.environment.get(name) {
            return Some(value.clone());
        }
        match (self.surroundings.env)(name) {
            Some(value) => Some(Val::text(value)),
            None => self.state.env_haze.clone().map(Val::Unknown),
        }
    }

    fn assignment(&mut self, target: &Node, op: Option<&str>, value: &Node) -> Evaluated {
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

    fn assign(&mut self, target: &Node, value: Val) -> Result<(), Halt> {
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
    fn assign_element(
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

    fn changed(
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

    fn unset(&mut self, node: &Node) -> Result<(), Halt> {
        match &node.expr {
            Expr::Variable(name) => {
                self.state.variables_with(name).remove(name);
            }
            Expr::Index(..) => self.assign(node, Val::Null)?,
            _ => {}
        }
        Ok(())
    }

    // Constants.

    pub(super) fn define(&mut self, name: &str, value: Val, line: u32) {
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

    fn folder(&self) -> &Path {
        self.source.path.parent().unwrap_or(Path::new("/"))
    }

    // Calls.

    fn call(&mut self, name: &Rc<str>, arguments: &[Node], line: u32) -> Evaluated {
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
            return self.call_own(&function, source, values, line);
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

    fn unread_call(
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

    fn superglobal_has(&mut self, arguments: &[Node]) -> Result<Option<Val>, Halt> {
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

    fn preg_match(&mut self, arguments: &[Node], values: &[Val], line: u32) -> Val {
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

    fn call_own(
        &mut self,
        function: &Rc<super::syntax::Function>,
        source: Source,
        values: Vec<Val>,
        line: u32,
    ) -> Evaluated {
        let mut frame = Frame::default();
        let mut values = values.into_iter();
        for (name, default) in &function.parameters {
            let value = match (values.next(), default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.eval(default)?,
                (None, None) => self.unknown(line, format!("{}()", function.name)),
            };
            frame.variables.insert(name.clone(), value);
        }
        self.state.inner.push(frame);
        let before = std::mem::replace(&mut self.source, source);
        let flow = self.nested(line, |machine| machine.block(&function.body));
        self.source = before;
        let pending = self.state.inner.pop().and_then(|frame| frame.pending);
        let value = match flow? {
            Flow::Return(value) => value,
            _ => Val::Null,
        };
        Ok(match pending {
            Some(pending) => {
                let why = self.why(line, format!("{}()", function.name));
                join_values(value, &pending, &why)
            }
            None => value,
        })
    }

    // Files.

    /// A path as PHP takes it: relative ones start in the WordPress folder.
    pub(super) fn resolve(&self, path: &[u8]) -> PathBuf {
        functions::normal(&self.wordpress.join(functions::os_path(path)))
    }

    fn include(&mut self, how: Inclusion, node: &Node) -> Evaluated {
        let line = node.line;
        let path = match self.eval(node)? {
            Val::Text(path) => path,
            _ if ends_in_settings(node) => return Err(Halt::Settings),
            value => {
                let why = self.reason(&[value], line);
                self.forget(&why);
                return Ok(Val::Unknown(why));
            }
        };
        if path.ends_with(b"wp-settings.php") {
            return Err(Halt::Settings);
        }
        let mut target = self.resolve(&path);
        if !path.starts_with(b"/") && !path.starts_with(b".") && !self.exists(&target) {
            target = functions::normal(&self.folder().join(functions::os_path(&path)));
        }
        let once = matches!(how, Inclusion::IncludeOnce | Inclusion::RequireOnce);
        if once && self.state.included.contains(&target) {
            return Ok(Val::Bool(true));
        }
        match (self.surroundings.read)(&target) {
            Ok(text) if text.len() <= MAX_FILE => {
                self.state.included.insert(target.clone());
                self.nested(line, |machine| machine.file(&target, &text))
            }
            Err(error) if is_missing(&error) => {
                if matches!(how, Inclusion::Include | Inclusion::IncludeOnce) {
                    return Ok(Val::Bool(false));
                }
                let what = format!("the missing file {}", self.name_of(&target));
                Err(Halt::Exit(self.why(line, what)))
            }
            Ok(_) | Err(_) => {
                let what = format!("the unreadable file {}", self.name_of(&target));
                let why = self.why(line, what);
                self.forget(&why);
                Ok(Val::Unknown(why))
            }
        }
    }

    /// Code that cannot be followed may have done anything.
    fn forget(&mut self, why: &Rc<Unknown>) {
        self.state.haze.get_or_insert_with(|| why.clone());
        self.state.env_haze.get_or_insert_with(|| why.clone());
    }

    fn eval_code(&mut self, node: &Node) -> Evaluated {
        let value = self.eval(node)?;
        let Some(code) = value.to_text() else {
            let why = self.reason(&[value], node.line);
            self.forget(&why);
            return Ok(Val::Unknown(why));
        };
        let tokens = lexer::code(&code, node.line);
        let result = self.nested(node.line, |machine| machine.tokens(tokens, code.len()))?;
        Ok(match result {
            // A file gives 1 by itself, `eval` null.
            Val::Int(1) => Val::Null,
            value => value,
        })
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        match (self.surroundings.read)(path) {
            Ok(_) => true,
            Err(error) => !is_missing(&error),
        }
    }
}

pub(super) fn is_missing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Whether an expression plainly ends in `wp-settings.php`, whatever stands before.
fn ends_in_settings(node: &Node) -> bool {
    match &node.expr {
        Expr::Literal(Val::Text(text)) => text.ends_with(b"wp-settings.php"),
        Expr::Concat(nodes) => nodes.last().is_some_and(ends_in_settings),
        _ => false,
    }
}

/// What a loop passes on when its body ends so; none to go on with the loop.
fn leave_loop(flow: Flow) -> Option<Flow> {
    match flow {
        Flow::Next | Flow::Continue(0 | 1) => None,
        Flow::Break(0 | 1) => Some(Flow::Next),
        Flow::Break(levels) => Some(Flow::Break(levels - 1)),
        Flow::Continue(levels) => Some(Flow::Continue(levels - 1)),
        Flow::Return(value) => Some(Flow::Return(value)),
    }
}

fn join_flows(state: &mut State, one: Flow, two: Flow, why: &Rc<Unknown>) -> Flow {
    match (one, two) {
        (Flow::Return(one), Flow::Return(two)) => Flow::Return(join_values(one, &two, why)),
        (Flow::Return(value), _) | (_, Flow::Return(value)) => {
            let frame = state.frame_mut();
            frame.pending = Some(match frame.pending.take() {
                Some(pending) => join_values(value, &pending, why),
                None => value,
            });
            Flow::Next
        }
        (Flow::Break(one), Flow::Break(two)) if one == two => Flow::Break(one),
        (Flow::Continue(one), Flow::Continue(two)) if one == two => Flow::Continue(one),
        _ => Flow::Next,
    }
}
