//! Tokens to a tree. A statement that is not understood becomes [`Kind::Lost`] and the next one is
//! read as if nothing had happened; nesting beyond a fixed depth counts as not understood.

use std::rc::Rc;

use super::lexer::{self, Piece, Token};
use super::syntax::{Arm, Case, Expr, Function, Inclusion, Item, Kind, Lost, Node, Statement};
use super::value::Val;

/// Statements and expressions nested deeper are not followed.
const MAX_DEPTH: u32 = 60;

/// Operators in a row wrap each other; higher trees are not followed.
const MAX_HEIGHT: u32 = 100;

/// How tightly assignments bind; what is looser are `and`, `xor` and `or`.
const ASSIGNMENT: u8 = 5;
const PREFIX: u8 = 37;

/// Reads all statements.
pub(super) fn parse(tokens: Vec<Token>) -> Vec<Statement> {
    let mut parser = Parser::new(&tokens);
    let mut statements = Vec::new();
    while !parser.at_end() {
        statements.push(parser.statement());
    }
    statements
}

/// What stood where something else was needed, in words.
type Parsed<T> = Result<T, String>;

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: u32,
}

impl<'a> Parser<'a> {
    fn new(tokens: &'a [Token]) -> Self {
        Self {
            tokens,
            at: 0,
            depth: 0,
        }
    }

    fn kind(&self, ahead: usize) -> &'a lexer::Kind {
        let token = self.tokens.get(self.at + ahead);
        token.map_or(&lexer::Kind::End, |token| &token.kind)
    }

    fn line(&self) -> u32 {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        token.map_or(1, |token| token.line)
    }

    fn at_end(&self) -> bool {
        matches!(self.kind(0), lexer::Kind::End)
    }

    fn is_op(&self, op: &str) -> bool {
        matches!(self.kind(0), lexer::Kind::Op(here) if *here == op)
    }

    fn eat(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, op: &str) -> Parsed<()> {
        if self.eat(op) {
            return Ok(());
        }
        Err(format!("{} where `{op}` should be", self.describe()))
    }

    /// The keyword or name here in lower case.
    fn word(&self, ahead: usize) -> Option<String> {
        match self.kind(ahead) {
            lexer::Kind::Name(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        }
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.word(0).is_some_and(|here| here == word);
        self.at += usize::from(found);
        found
    }

    /// What stands here, without the words of the file: a misplaced quote turns secrets into code.
    fn describe(&self) -> String {
        match self.kind(0) {
            lexer::Kind::Op(op) => format!("`{op}`"),
            lexer::Kind::Name(_) => "a word".to_owned(),
            lexer::Kind::Variable(_) => "a variable".to_owned(),
            lexer::Kind::Bad(what) => (*what).to_owned(),
            lexer::Kind::End => "the end of the file".to_owned(),
            lexer::Kind::Text(_) | lexer::Kind::Template(_) => "a string".to_owned(),
            lexer::Kind::Int(_) | lexer::Kind::Float(_) => "a number".to_owned(),
            lexer::Kind::Cast(_) => "a cast".to_owned(),
        }
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err("too much nesting".to_owned());
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn statement(&mut self) -> Statement {
        let (start, line) = (self.at, self.line());
        let kind = match self.nested(Self::statement_kind) {
            Ok(kind) => kind,
            Err(what) => {
                self.at = start;
                Kind::Lost(self.lost(what))
            }
        };
        Statement { kind, line }
    }

    /// Skips one statement, up to its `;` or the end of its block.
    fn lost(&mut self, what: String) -> Lost {
        let start = self.at;
        let mut open = 0_u32;
        loop {
            match self.kind(0) {
                lexer::Kind::End => break,
                lexer::Kind::Op(";") if open == 0 => {
                    self.at += 1;
                    break;
                }
                lexer::Kind::Op("{" | "(" | "[") => open += 1,
                lexer::Kind::Op("}" | ")" | "]") if open == 0 && self.at > start => break,
                lexer::Kind::Op("}") if open == 1 => {
                    self.at += 1;
                    break;
                }
                lexer::Kind::Op("}" | ")" | "]") => open = open.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
        let skipped = self.tokens.get(start..self.at).unwrap_or_default();
        let (mut variables, mut texts) = (Vec::new(), Vec::new());
        for token in skipped {
            match &token.kind {
                lexer::Kind::Variable(name) => variables.push(name.clone()),
                lexer::Kind::Text(text) => texts.push(text.clone()),
                lexer::Kind::Name(name) => texts.push(name.as_bytes().into()),
                _ => {}
            }
        }
        Lost {
            what,
            variables,
            texts,
        }
    }

    fn statement_kind(&mut self) -> Parsed<Kind> {
        if self.is_op("{") {
            return self.braced().map(Kind::Block);
        }
        if self.eat(";") {
            return Ok(Kind::Nothing);
        }
        let Some(word) = self.word(0) else {
            return self.expression_statement();
        };
        let named = matches!(self.kind(1), lexer::Kind::Name(_));
        self.at += 1;
        match word.as_str() {
            "if" => self.if_statement(),
            "switch" => self.switch(),
            "foreach" => self.foreach(),
            "for" => self.for_loop(),
            "while" => self.while_loop(),
            "do" => self.do_loop(),
            "try" => self.try_statement(),
            "function" if named => self.function(),
            "const" => self.constants(),
            "global" => self.global(),
            "static" if matches!(self.kind(0), lexer::Kind::Variable(_)) => {
                Err("a static variable".to_owned())
            }
            "unset" => self
                .arguments()
                .and_then(|nodes| self.ended(Kind::Unset(nodes))),
            "return" if self.eat(";") => Ok(Kind::Return(None)),
            "return" if self.at_end() => Ok(Kind::Return(None)),
            "return" => {
                let value = self.expr(0)?;
                self.ended(Kind::Return(Some(value)))
            }
            "break" => self
                .levels()
                .and_then(|levels| self.ended(Kind::Break(levels))),
            "continue" => self
                .levels()
                .and_then(|levels| self.ended(Kind::Continue(levels))),
            "echo" => self.echo(),
            "use" | "declare" => self.skip_to_semicolon(),
            "namespace" if named || self.is_op("{") => self.namespace(),
            "class" | "interface" | "trait" | "abstract" | "final" | "readonly" | "enum"
                if named =>
            {
                self.class()
            }
            "__halt_compiler" => {
                self.at = self.tokens.len();
                Ok(Kind::Nothing)
            }
            _ => {
                self.at -= 1;
                self.expression_statement()
            }
        }
    }

    fn expression_statement(&mut self) -> Parsed<Kind> {
        let node = self.expr(0)?;
        self.ended(Kind::Expr(node))
    }

    /// Takes the `;` of a statement; the last one of a file needs none.
    fn ended(&mut self, kind: Kind) -> Parsed<Kind> {
        if !self.at_end() {
            self.expect(";")?;
        }
        Ok(kind)
    }

    fn braced(&mut self) -> Parsed<Vec<Statement>> {
        self.expect("{")?;
        let mut statements = Vec::new();
        while !self.eat("}") {
            if self.at_end() {
                return Err("a block without an end".to_owned());
            }
            statements.push(self.statement());
        }
        Ok(statements)
    }

    /// The body of a control structure: a block, one statement, or `: … endword;`.
    fn body(&mut self, ends: &[&str]) -> Parsed<Vec<Statement>> {
        if self.is_op("{") {
            return self.braced();
        }
        if !self.eat(":") {
            return Ok(vec![self.statement()]);
        }
        let mut statements = Vec::new();
        while !self
            .word(0)
            .is_some_and(|word| ends.contains(&word.as_str()))
        {
            if self.at_end() {
                return Err("a block without an end".to_owned());
            }
            statements.push(self.statement());
        }
        if self.word(0).is_some_and(|word| word.starts_with("end")) {
            self.at += 1;
            self.expect(";")?;
        }
        Ok(statements)
    }

    fn condition(&mut self) -> Parsed<Node> {
        self.expect("(")?;
        let node = self.expr(0)?;
        self.expect(")")?;
        Ok(node)
    }

    fn if_statement(&mut self) -> Parsed<Kind> {
        const ENDS: [&str; 3] = ["endif", "else", "elseif"];
        let mut ways = vec![(self.condition()?, self.body(&ENDS)?)];
        loop {
            let two_words =
                self.word(0).as_deref() == Some("else") && self.word(1).as_deref() == Some("if");
            if two_words {
                self.at += 2;
            } else if !self.eat_word("elseif") {
                break;
            }
            ways.push((self.condition()?, self.body(&ENDS)?));
        }
        let otherwise = if self.eat_word("else") {
            self.body(&ENDS)?
        } else {
            Vec::new()
        };
        Ok(Kind::If(ways, otherwise))
    }

    fn switch(&mut self) -> Parsed<Kind> {
        let subject = self.condition()?;
        let braced = self.eat("{");
        if !braced {
            self.expect(":")?;
        }
        let mut cases = Vec::new();
        loop {
            if (braced && self.eat("}")) || (!braced && self.eat_word("endswitch")) {
                break;
            }
            let test = if self.eat_word("case") {
                Some(self.expr(0)?)
            } else if self.eat_word("default") {
                None
            } else {
                return Err(format!("{} inside switch", self.describe()));
            };
            if !self.eat(":") {
                self.expect(";")?;
            }
            let mut body = Vec::new();
            while !(self.is_op("}") || self.at_end()) {
                let word = self.word(0).unwrap_or_default();
                if matches!(word.as_str(), "case" | "default" | "endswitch") {
                    break;
                }
                body.push(self.statement());
            }
            cases.push(Case { test, body });
        }
        Ok(Kind::Switch(subject, cases))
    }

    fn foreach(&mut self) -> Parsed<Kind> {
        self.expect("(")?;
        let list = self.expr(0)?;
        if !self.eat_word("as") {
            return Err("foreach without `as`".to_owned());
        }
        let mut value = self.expr(0)?;
        let mut key = None;
        if self.eat("=>") {
            key = Some(std::mem::replace(&mut value, self.expr(0)?));
        }
        self.expect(")")?;
        let body = self.body(&["endforeach"])?;
        Ok(Kind::Foreach {
            list,
            key,
            value,
            body,
        })
    }

    fn for_loop(&mut self) -> Parsed<Kind> {
        self.expect("(")?;
        let before = self.expressions(";")?;
        let tests = self.expressions(";")?;
        let after = self.expressions(")")?;
        let body = self.body(&["endfor"])?;
        Ok(Kind::Loop {
            before,
            tests,
            after,
            body,
            body_first: false,
        })
    }

    fn while_loop(&mut self) -> Parsed<Kind> {
        let tests = vec![self.condition()?];
        let body = self.body(&["endwhile"])?;
        Ok(Kind::Loop {
            before: Vec::new(),
            tests,
            after: Vec::new(),
            body,
            body_first: false,
        })
    }

    fn do_loop(&mut self) -> Parsed<Kind> {
        let body = self.body(&[])?;
        if !self.eat_word("while") {
            return Err("do without `while`".to_owned());
        }
        let tests = vec![self.condition()?];
        self.ended(Kind::Loop {
            before: Vec::new(),
            tests,
            after: Vec::new(),
            body,
            body_first: true,
        })
    }

    fn try_statement(&mut self) -> Parsed<Kind> {
        let body = self.braced()?;
        let (mut catch, mut finally) = (Vec::new(), Vec::new());
        loop {
            if self.eat_word("catch") {
                while !(self.eat(")") || self.at_end()) {
                    self.at += 1;
                }
                let block = self.braced()?;
                if catch.is_empty() {
                    catch = block;
                }
            } else if self.eat_word("finally") {
                finally = self.braced()?;
            } else {
                break;
            }
        }
        Ok(Kind::Try {
            body,
            catch,
            finally,
        })
    }

    fn function(&mut self) -> Parsed<Kind> {
        let lexer::Kind::Name(name) = self.kind(0) else {
            return Err("a function without a name".to_owned());
        };
        self.at += 1;
        self.expect("(")?;
        let mut parameters = Vec::new();
        while !self.eat(")") {
            match self.kind(0) {
                lexer::Kind::Variable(name) => {
                    self.at += 1;
                    let default = if self.eat("=") {
                        Some(self.expr(0)?)
                    } else {
                        None
                    };
                    parameters.push((name.clone(), default));
                }
                // A type.
                lexer::Kind::Name(_) | lexer::Kind::Op("," | "?" | "|") => self.at += 1,
                _ => return Err(format!("{} in the head of a function", self.describe())),
            }
        }
        while !(self.is_op("{") || self.at_end()) {
            self.at += 1;
        }
        Ok(Kind::Function(Rc::new(Function {
            name: name.to_ascii_lowercase().into(),
            parameters,
            body: self.braced()?,
        })))
    }

    fn constants(&mut self) -> Parsed<Kind> {
        let mut constants = Vec::new();
        loop {
            let lexer::Kind::Name(name) = self.kind(0) else {
                return Err("const without a name".to_owned());
            };
            self.at += 1;
            self.expect("=")?;
            constants.push((name.clone(), self.expr(0)?));
            if !self.eat(",") {
                return self.ended(Kind::Const(constants));
            }
        }
    }

    fn global(&mut self) -> Parsed<Kind> {
        let mut names = Vec::new();
        loop {
            let lexer::Kind::Variable(name) = self.kind(0) else {
                return Err("global without a variable".to_owned());
            };
            self.at += 1;
            names.push(name.clone());
            if !self.eat(",") {
                return self.ended(Kind::Global(names));
            }
        }
    }

    fn levels(&mut self) -> Parsed<u32> {
        let lexer::Kind::Int(levels) = self.kind(0) else {
            return Ok(1);
        };
        self.at += 1;
        u32::try_from(*levels).map_err(|_| "a number of loops".to_owned())
    }

    fn echo(&mut self) -> Parsed<Kind> {
        let mut statements = Vec::new();
        loop {
            let line = self.line();
            let kind = Kind::Expr(self.expr(0)?);
            statements.push(Statement { kind, line });
            if !self.eat(",") {
                return self.ended(Kind::Block(statements));
            }
        }
    }

    fn skip_to_semicolon(&mut self) -> Parsed<Kind> {
        while !(self.eat(";") || self.at_end()) {
            self.at += 1;
        }
        Ok(Kind::Nothing)
    }

    fn namespace(&mut self) -> Parsed<Kind> {
        if self.word(0).is_some() {
            self.at += 1;
        }
        if self.is_op("{") {
            return self.braced().map(Kind::Block);
        }
        self.ended(Kind::Nothing)
    }

    fn class(&mut self) -> Parsed<Kind> {
        while !(self.is_op("{") || self.at_end()) {
            self.at += 1;
        }
        self.skip_braces();
        Ok(Kind::Nothing)
    }

    /// Skips a balanced `{ … }`.
    fn skip_braces(&mut self) {
        let mut open = 0_u32;
        while !self.at_end() {
            match self.kind(0) {
                lexer::Kind::Op("{") => open += 1,
                lexer::Kind::Op("}") => open = open.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }

    /// Expressions between commas up to a closing token, which is taken; a comma may end the list.
    fn expressions(&mut self, close: &str) -> Parsed<Vec<Node>> {
        let mut nodes = Vec::new();
        while !self.eat(close) {
            nodes.push(self.expr(0)?);
            if !self.eat(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(nodes)
    }

    fn arguments(&mut self) -> Parsed<Vec<Node>> {
        self.expect("(")?;
        self.expressions(")")
    }

    /// Reads an expression whose operators bind at least this tightly.
    fn expr(&mut self, tightness: u8) -> Parsed<Node> {
        self.nested(|parser| parser.operators(tightness))
    }

    fn operators(&mut self, tightness: u8) -> Parsed<Node> {
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
    fn assignment(&self, left: &Node) -> Option<Option<&'static str>> {
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
    fn operator(&self) -> Option<(&'static str, u8, u8)> {
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

    fn ternary(&mut self, condition: Node) -> Parsed<Node> {
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

    fn prefix(&mut self) -> Parsed<Node> {
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
    fn keyword(&mut self, word: &str, line: u32) -> Parsed<Option<Node>> {
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

    fn static_expression(&mut self, line: u32) -> Parsed<Node> {
        if self.eat_word("fn") || self.eat_word("function") {
            return self.closure(line);
        }
        Ok(leaf(line, Expr::Foreign("static".to_owned(), Vec::new())))
    }

    /// Skips `( … ) => expression` or `( … ) use ( … ) { … }`.
    fn closure(&mut self, line: u32) -> Parsed<Node> {
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

    fn new_object(&mut self, line: u32) -> Parsed<Node> {
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

    fn match_expression(&mut self, line: u32) -> Parsed<Node> {
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
    fn named(&mut self, name: Rc<str>, line: u32) -> Parsed<Node> {
        if self.is_op("(") {
            return many(line, |nodes| Expr::Call(name, nodes), self.arguments()?);
        }
        if self.is_op("::") {
            let nothing = Vec::new();
            return Ok(leaf(line, Expr::Foreign(name.to_string(), nothing)));
        }
        Ok(leaf(line, Expr::Constant(name)))
    }

    fn primary(&mut self, line: u32) -> Parsed<Node> {
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

    fn template(&mut self, pieces: &[Piece], line: u32) -> Parsed<Node> {
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

    fn array(&mut self, close: &str, line: u32) -> Parsed<Node> {
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
    fn suffixes(&mut self, mut left: Node) -> Parsed<Node> {
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

    fn member(&mut self, left: Node, op: &str) -> Parsed<Node> {
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
