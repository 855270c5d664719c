//! The tree the parser makes of a PHP file, as far as settings need it.

use std::rc::Rc;

use super::value::Val;

/// An expression, the line it starts on and how many levels of others it holds.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) expr: Expr,
    pub(super) line: u32,
    pub(super) height: u32,
}

#[derive(Debug)]
pub(super) enum Expr {
    Literal(Val),
    /// `.` and interpolation.
    Concat(Vec<Node>),
    Variable(Rc<str>),
    Constant(Rc<str>),
    /// `[…]`, `array( … )` and, as the target of an assignment, `list( … )`.
    Array(Vec<Item>),
    /// `$a[key]`; without a key `$a[]`.
    Index(Box<Node>, Option<Box<Node>>),
    Call(Rc<str>, Vec<Node>),
    /// Classes, objects, closures: named, with the expressions they are given, but not run.
    Foreign(String, Vec<Node>),
    Not(Box<Node>),
    /// `-`, `+`, `~`.
    Unary(&'static str, Box<Node>),
    Binary(&'static str, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Coalesce(Box<Node>, Box<Node>),
    /// `a ? b : c`; without b `a ?: c`.
    Ternary(Box<Node>, Option<Box<Node>>, Box<Node>),
    /// `=`, or with an operator such as `.` the combined form.
    Assign(Box<Node>, Option<&'static str>, Box<Node>),
    Isset(Vec<Node>),
    Empty(Box<Node>),
    Cast(&'static str, Box<Node>),
    Include(Inclusion, Box<Node>),
    Eval(Box<Node>),
    Match(Box<Node>, Vec<Arm>),
    Exit,
    Throw,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) key: Option<Node>,
    /// Without one, a gap in `list( , $b )`.
    pub(super) value: Option<Node>,
}

/// One arm of `match`; without conditions the default.
#[derive(Debug)]
pub(super) struct Arm {
    pub(super) conditions: Vec<Node>,
    pub(super) value: Node,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Inclusion {
    Include,
    IncludeOnce,
    Require,
    RequireOnce,
}

#[derive(Debug)]
pub(super) struct Statement {
    pub(super) kind: Kind,
    pub(super) line: u32,
}

#[derive(Debug)]
pub(super) enum Kind {
    Expr(Node),
    Block(Vec<Statement>),
    /// Conditions with their blocks, and what `else` holds.
    If(Vec<(Node, Vec<Statement>)>, Vec<Statement>),
    Switch(Node, Vec<Case>),
    Foreach {
        list: Node,
        key: Option<Node>,
        value: Node,
        body: Vec<Statement>,
    },
    /// `for`, `while` and `do`: all of them loops with a test.
    Loop {
        before: Vec<Node>,
        tests: Vec<Node>,
        after: Vec<Node>,
        body: Vec<Statement>,
        body_first: bool,
    },
    Function(Rc<Function>),
    Const(Vec<(Rc<str>, Node)>),
    Global(Vec<Rc<str>>),
    Unset(Vec<Node>),
    Return(Option<Node>),
    Break(u32),
    Continue(u32),
    Try {
        body: Vec<Statement>,
        catch: Vec<Statement>,
        finally: Vec<Statement>,
    },
    /// Does nothing that settings depend on.
    Nothing,
    /// Could not be parsed; whatever it names has to be taken for changed.
    Lost(Lost),
}

#[derive(Debug)]
pub(super) struct Case {
    /// Without one, `default`.
    pub(super) test: Option<Node>,
    pub(super) body: Vec<Statement>,
}

#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: Rc<str>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Vec<Statement>,
}

#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: Rc<str>,
    pub(super) default: Option<Node>,
    /// `&$name`: what it is set to goes back to the caller.
    pub(super) by_reference: bool,
}

/// A piece of source that is not understood.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) what: String,
    pub(super) variables: Vec<Rc<str>>,
    pub(super) texts: Vec<Rc<[u8]>>,
}
