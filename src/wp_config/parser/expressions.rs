//! Expressions, by the tightness of their operators as in PHP 8.

use std::rc::Rc;

use super::{ASSIGNMENT, MAX_HEIGHT, PREFIX, Parsed, Parser};
use crate::wp_config::lexer::{self, Piece};
use crate::wp_config::syntax::{Arm, Expr, Inclusion, Item, Node};
use crate::wp_config::value::Val;

impl Parser<'_> {
    /// Reads an expression whose operators bind at least this tightly.
    pub(super) fn expr(&mut self, tightness: u8) -> Parsed<Node> {
        self.nested(|parser| parser.operators(tightness))
    }

    pub(super) fn operators(&mut self, tightness: u8) -> Parsed<Node> {
        let mut left = self.prefix()?;
        loop {
            let line = left.line;
            if let Some(op) = self.assignment(&left) {
                self.at += 1;
                let right = self.expr(ASSIGNMENT)?;
                left = tree(line, |l, r| Expr::Assign(l, op, r), left, right)?;
                continue;
            }
            let Some((op, left_binding, right_binding)) = self.operator() else {
                return Ok(left);
            };
            if left_binding < tightness {
                return Ok(left);
            }
            self.at += 1;
            if op == "?" {
                left = self.ternary(left)?;
                continue;
            }
            let right = self.expr(right_binding)?;
            left = match op {
                "." => concat(line, left, right)?,
                "&&" | "and" => tree(line, Expr::And, left, right)?,
                "||" | "or" => tree(line, Expr::Or, left, right)?,
                "??" => tree(line, Expr::Coalesce, left, right)?,
                _ => tree(line, |l, r| Expr::Binary(op, l, r), left, right)?,
            };
        }
    }

    /// The operator of an assignment here, if what stands before can be assigned to.
    pub(super) fn assignment(&self, left: &Node) -> Option<Option<&'static str>> {
        if !matches!(
            left.expr,
            Expr::Variable(_) | Expr::Index(..) | Expr::Array(_)
        ) {
            return None;
        }
        let lexer::Kind::Op(op) = self.kind(0) else {
            return None;
        };
        Some(match *op {
            "=" => None,
            ".=" => Some("."),
            "??=" => Some("??"),
            "+=" => Some("+"),
            "-=" => Some("-"),
            "*=" => Some("*"),
            "/=" => Some("/"),
            "%=" => Some("%"),
            "|=" => Some("|"),
            "&=" => Some("&"),
            "^=" => Some("^"),
            _ => return None,
        })
    }

    /// The operator here and how tightly it binds what stands left and right of it.
    pub(super) fn operator(&self) -> Option<(&'static str, u8, u8)> {
        let (op, left): (&'static str, u8) = match self.kind(0) {
            lexer::Kind::Name(name) => match name.to_ascii_lowercase().as_str() {
                "or" => ("or", 1),
                "xor" => ("xor", 2),
                "and" => ("and", 3),
                "instanceof" => ("instanceof", 35),
                _ => return None,
            },
            lexer::Kind::Op(op) => (
                op,
                match *op {
                    "?" => 7,
                    "??" => 9,
                    "||" => 11,
                    "&&" => 13,
                    "|" => 15,
                    "^" => 17,
                    "&" => 19,
                    "==" | "!=" | "===" | "!==" | "<>" | "<=>" => 21,
                    "<" | "<=" | ">" | ">=" => 23,
                    "." => 25,
                    "<<" | ">>" => 27,
                    "+" | "-" => 29,
                    "*" | "/" | "%" => 31,
                    "**" => 39,
                    _ => return None,
                },
            ),
            _ => return None,
        };
        let right_to_left = matches!(op, "??" | "**");
        Some((op, left, if right_to_left { left } else { left + 1 }))
    }

    pub(super) fn ternary(&mut self, condition: Node) -> Parsed<Node> {
        let line = condition.line;
        if self.eat(":") {
            let otherwise = self.expr(8)?;
            return tree(line, |c, o| Expr::Ternary(c, None, o), condition, otherwise);
        }
        let then = self.expr(ASSIGNMENT)?;
        self.expect(":")?;
        let otherwise = self.expr(8)?;
        let height = then.height;
        let then = Box::new(then);
        let mut node = tree(
            line,
            |c, o| Expr::Ternary(c, Some(then), o),
            condition,
            otherwise,
        )?;
        node.height = node.height.max(height + 1);
        Ok(node)
    }

    pub(super) fn prefix(&mut self) -> Parsed<Node> {
        let line = self.line();
        match self.kind(0) {
            lexer::Kind::Op("!") => {
                self.at += 1;
                wrap(line, Expr::Not, self.expr(33)?)
            }
            lexer::Kind::Op("@") => {
                self.at += 1;
                self.expr(PREFIX)
            }
            lexer::Kind::Op(op @ ("-" | "+" | "~")) => {
                self.at += 1;
                wrap(line, |inner| Expr::Unary(op, inner), self.expr(PREFIX)?)
            }
            lexer::Kind::Op(op @ ("++" | "--")) => {
                self.at += 1;
                let target = self.expr(PREFIX)?;
                step(line, if *op == "++" { "+" } else { "-" }, target)
            }
            lexer::Kind::Cast(cast) => {
                self.at += 1;
                wrap(line, |inner| Expr::Cast(cast, inner), self.expr(PREFIX)?)
            }
            lexer::Kind::Name(name) => {
                let word = name.to_ascii_lowercase();
                self.at += 1;
                match self.keyword(&word, line)? {
                    Some(node) => self.suffixes(node),
                    None => {
                        let node = self.named(name.clone(), line)?;
                        self.suffixes(node)
                    }
                }
            }
            _ => {
                let node = self.primary(line)?;
                self.suffixes(node)
            }
        }
    }

    /// Expressions that start with a keyword, which has just been taken.
    pub(super) fn keyword(&mut self, word: &str, line: u32) -> Parsed<Option<Node>> {
        let include = match word {
            "include" => Some(Inclusion::Include),
            "include_once" => Some(Inclusion::IncludeOnce),
            "require" => Some(Inclusion::Require),
            "require_once" => Some(Inclusion::RequireOnce),
            _ => None,
        };
        if let Some(include) = include {
            let path = self.expr(ASSIGNMENT)?;
            return wrap(line, |path| Expr::Include(include, path), path).map(Some);
        }
        Ok(Some(match word {
            "array" if self.eat("(") => self.array(")", line)?,
            "list" if self.eat("(") => self.array(")", line)?,
            "isset" => many(line, Expr::Isset, self.arguments()?)?,
            "empty" => wrap(line, Expr::Empty, self.condition()?)?,
            "eval" => wrap(line, Expr::Eval, self.condition()?)?,
            "print" => self.expr(ASSIGNMENT)?,
            "exit" | "die" => {
                if self.is_op("(") {
                    self.arguments()?;
                }
                leaf(line, Expr::Exit)
            }
            "throw" => {
                self.expr(0)?;
                leaf(line, Expr::Throw)
            }
            "match" if self.is_op("(") => self.match_expression(line)?,
            "new" => self.new_object(line)?,
            "clone" | "yield" => wrap(line, foreign(word), self.expr(PREFIX)?)?,
            "static" => return self.static_expression(line).map(Some),
            "fn" => self.closure(line)?,
            "function" => self.closure(line)?,
            _ => return Ok(None),
        }))
    }

    pub(super) fn static_expression(&mut self, line: u32) -> Parsed<Node> {
        if self.eat_word("fn") || self.eat_word("function") {
            return self.closure(line);
        }
        Ok(leaf(line, Expr::Foreign("static".to_owned(), Vec::new())))
    }

    /// Skips `( … ) => expression` or `( … ) use ( … ) { … }`.
    pub(super) fn closure(&mut self, line: u32) -> Parsed<Node> {
        while !(self.is_op("{") || self.is_op("=>") || self.at_end()) {
            if self.is_op(";") {
                return Err("a closure".to_owned());
            }
            self.at += 1;
        }
        if self.eat("=>") {
            self.expr(ASSIGNMENT)?;
        } else {
            self.skip_braces();
        }
        Ok(leaf(
            line,
            Expr::Foreign("a closure".to_owned(), Vec::new()),
        ))
    }

    pub(super) fn new_object(&mut self, line: u32) -> Parsed<Node> {
        let what = match self.kind(0) {
            lexer::Kind::Name(name) if !name.eq_ignore_ascii_case("class") => format!("new {name}"),
            lexer::Kind::Variable(_) => "new".to_owned(),
            _ => return Err("an anonymous class".to_owned()),
        };
        self.at += 1;
        let arguments = if self.is_op("(") {
            self.arguments()?
        } else {
            Vec::new()
        };
        many(line, |nodes| Expr::Foreign(what, nodes), arguments)
    }

    pub(super) fn match_expression(&mut self, line: u32) -> Parsed<Node> {
        let subject = self.condition()?;
        self.expect("{")?;
        let mut arms = Vec::new();
        while !self.eat("}") {
            let conditions = if self.eat_word("default") {
                self.eat(",");
                self.expect("=>")?;
                Vec::new()
            } else {
                self.expressions("=>")?
            };
            let value = self.expr(0)?;
            arms.push(Arm { conditions, value });
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        let inside = arms
            .iter()
            .flat_map(|arm| arm.conditions.iter().chain([&arm.value]));
        let height = 1 + inside
            .map(|node| node.height)
            .max()
            .unwrap_or(0)
            .max(subject.height);
        node(line, Expr::Match(Box::new(subject), arms), height)
    }

    /// A constant, a function call, or something of a class.
    pub(super) fn named(&mut self, name: Rc<str>, line: u32) -> Parsed<Node> {
        if self.is_op("(") {
            return many(line, |nodes| Expr::Call(name, nodes), self.arguments()?);
        }
        if self.is_op("::") {
            let nothing = Vec::new();
            return Ok(leaf(line, Expr::Foreign(name.to_string(), nothing)));
        }
        Ok(leaf(line, Expr::Constant(name)))
    }

    pub(super) fn primary(&mut self, line: u32) -> Parsed<Node> {
        let expr = match self.kind(0) {
            lexer::Kind::Variable(name) => Expr::Variable(name.clone()),
            lexer::Kind::Int(number) => Expr::Literal(Val::Int(*number)),
            lexer::Kind::Float(number) => Expr::Literal(Val::Float(*number)),
            lexer::Kind::Text(text) => Expr::Literal(Val::Text(text.clone())),
            lexer::Kind::Template(pieces) => {
                self.at += 1;
                return self.template(pieces, line);
            }
            lexer::Kind::Op("(") => return self.condition(),
            lexer::Kind::Op("[") => {
                self.at += 1;
                return self.array("]", line);
            }
            lexer::Kind::Op("&") => return Err("a reference".to_owned()),
            _ => return Err(self.describe()),
        };
        self.at += 1;
        Ok(leaf(line, expr))
    }

    pub(super) fn template(&mut self, pieces: &[Piece], line: u32) -> Parsed<Node> {
        let mut nodes = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    nodes.push(leaf(line, Expr::Literal(Val::text(text))));
                }
                Piece::Code(tokens) => {
                    let mut inner = Parser::new(tokens);
                    inner.depth = self.depth;
                    nodes.push(inner.expr(0)?);
                    if !inner.at_end() {
                        return Err(format!("{} inside a string", inner.describe()));
                    }
                }
            }
        }
        many(line, Expr::Concat, nodes)
    }

    pub(super) fn array(&mut self, close: &str, line: u32) -> Parsed<Node> {
        let mut items = Vec::new();
        let mut height = 0;
        while !self.eat(close) {
            if self.eat(",") {
                items.push(Item {
                    key: None,
                    value: None,
                });
                continue;
            }
            let mut value = self.expr(0)?;
            height = height.max(value.height);
            let mut key = None;
            if self.eat("=>") {
                key = Some(std::mem::replace(&mut value, self.expr(0)?));
                height = height.max(value.height);
            }
            items.push(Item {
                key,
                value: Some(value),
            });
            if !self.eat(",") {
                self.expect(close)?;
                break;
            }
        }
        node(line, Expr::Array(items), height + 1)
    }

    /// `[…]`, `->…`, `::…`, `(…)`, `++` and `--` behind an expression.
    pub(super) fn suffixes(&mut self, mut left: Node) -> Parsed<Node> {
        loop {
            let line = left.line;
            left = match self.kind(0) {
                lexer::Kind::Op("[") => {
                    self.at += 1;
                    if self.eat("]") {
                        wrap(line, |array| Expr::Index(array, None), left)?
                    } else {
                        let key = self.expr(0)?;
                        self.expect("]")?;
                        tree(line, |a, k| Expr::Index(a, Some(k)), left, key)?
                    }
                }
                lexer::Kind::Op(op @ ("->" | "?->" | "::")) => {
                    self.at += 1;
                    self.member(left, op)?
                }
                lexer::Kind::Op("(") => {
                    let mut parts = self.arguments()?;
                    parts.push(left);
                    many(line, foreign_many("a call"), parts)?
                }
                lexer::Kind::Op(op @ ("++" | "--")) => {
                    self.at += 1;
                    let (there, back) = if *op == "++" { ("+", "-") } else { ("-", "+") };
                    // The value is that before the step.
                    let stepped = step(line, there, left)?;
                    tree(line, |l, r| Expr::Binary(back, l, r), stepped, one(line))?
                }
                _ => return Ok(left),
            };
        }
    }

    pub(super) fn member(&mut self, left: Node, op: &str) -> Parsed<Node> {
        let line = left.line;
        let member = match self.kind(0) {
            lexer::Kind::Name(name) => name.to_string(),
            lexer::Kind::Variable(name) => format!("${name}"),
            _ => return Err(format!("{} behind `{op}`", self.describe())),
        };
        self.at += 1;
        let base = match &left.expr {
            Expr::Foreign(name, _) => name.clone(),
            Expr::Variable(name) => format!("${name}"),
            _ => String::new(),
        };
        let called = self.is_op("(");
        let what = format!("{base}{op}{member}{}", if called { "()" } else { "" });
        let mut parts = if called {
            self.arguments()?
        } else {
            Vec::new()
        };
        parts.push(left);
        many(line, |nodes| Expr::Foreign(what, nodes), parts)
    }
}

fn leaf(line: u32, expr: Expr) -> Node {
    Node {
        expr,
        line,
        height: 1,
    }
}

fn node(line: u32, expr: Expr, height: u32) -> Parsed<Node> {
    if height > MAX_HEIGHT {
        return Err("a very long expression".to_owned());
    }
    Ok(Node { expr, line, height })
}

fn wrap(line: u32, make: impl FnOnce(Box<Node>) -> Expr, inner: Node) -> Parsed<Node> {
    let height = inner.height + 1;
    node(line, make(Box::new(inner)), height)
}

fn tree(
    line: u32,
    make: impl FnOnce(Box<Node>, Box<Node>) -> Expr,
    left: Node,
    right: Node,
) -> Parsed<Node> {
    let height = left.height.max(right.height) + 1;
    node(line, make(Box::new(left), Box::new(right)), height)
}

fn many(line: u32, make: impl FnOnce(Vec<Node>) -> Expr, nodes: Vec<Node>) -> Parsed<Node> {
    let height = 1 + nodes.iter().map(|node| node.height).max().unwrap_or(0);
    node(line, make(nodes), height)
}

/// Long chains of `.` are common, so they become one flat node.
fn concat(line: u32, left: Node, right: Node) -> Parsed<Node> {
    let height = left.height.max(right.height + 1);
    match left.expr {
        Expr::Concat(mut nodes) => {
            nodes.push(right);
            node(line, Expr::Concat(nodes), height)
        }
        _ => many(line, Expr::Concat, vec![left, right]),
    }
}

fn one(line: u32) -> Node {
    leaf(line, Expr::Literal(Val::Int(1)))
}

/// `$target += 1` or `-= 1`.
fn step(line: u32, op: &'static str, target: Node) -> Parsed<Node> {
    tree(line, |l, r| Expr::Assign(l, Some(op), r), target, one(line))
}

fn foreign(what: &str) -> impl FnOnce(Box<Node>) -> Expr {
    let what = what.to_owned();
    |inner| Expr::Foreign(what, vec![*inner])
}

fn foreign_many(what: &str) -> impl FnOnce(Vec<Node>) -> Expr {
    let what = what.to_owned();
    |nodes| Expr::Foreign(what, nodes)
}
