//! Tokens to a tree. A statement that is not understood becomes [`Kind::Lost`](super::syntax::Kind::Lost) and the next one is
//! read as if nothing had happened; nesting beyond a fixed depth counts as not understood.

mod expressions;
mod statements;

use super::lexer::{self, Token};
use super::syntax::{Node, Statement};

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
}
