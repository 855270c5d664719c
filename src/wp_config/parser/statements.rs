//! Statements and blocks, also in the form `if ( … ): … endif;`.

use std::rc::Rc;

use super::{Parsed, Parser};
use crate::wp_config::lexer;
use crate::wp_config::syntax::{Case, Function, Kind, Lost, Node, Parameter, Statement};

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Statement {
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
    pub(super) fn lost(&mut self, what: String) -> Lost {
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

    pub(super) fn statement_kind(&mut self) -> Parsed<Kind> {
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

    pub(super) fn expression_statement(&mut self) -> Parsed<Kind> {
        let node = self.expr(0)?;
        self.ended(Kind::Expr(node))
    }

    /// Takes the `;` of a statement; the last one of a file needs none.
    pub(super) fn ended(&mut self, kind: Kind) -> Parsed<Kind> {
        if !self.at_end() {
            self.expect(";")?;
        }
        Ok(kind)
    }

    pub(super) fn braced(&mut self) -> Parsed<Vec<Statement>> {
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
    pub(super) fn body(&mut self, ends: &[&str]) -> Parsed<Vec<Statement>> {
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

    pub(super) fn condition(&mut self) -> Parsed<Node> {
        self.expect("(")?;
        let node = self.expr(0)?;
        self.expect(")")?;
        Ok(node)
    }

    pub(super) fn if_statement(&mut self) -> Parsed<Kind> {
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

    pub(super) fn switch(&mut self) -> Parsed<Kind> {
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

    pub(super) fn foreach(&mut self) -> Parsed<Kind> {
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

    pub(super) fn for_loop(&mut self) -> Parsed<Kind> {
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

    pub(super) fn while_loop(&mut self) -> Parsed<Kind> {
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

    pub(super) fn do_loop(&mut self) -> Parsed<Kind> {
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

    pub(super) fn try_statement(&mut self) -> Parsed<Kind> {
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

    pub(super) fn function(&mut self) -> Parsed<Kind> {
        let lexer::Kind::Name(name) = self.kind(0) else {
            return Err("a function without a name".to_owned());
        };
        self.at += 1;
        self.expect("(")?;
        let mut parameters = Vec::new();
        let mut by_reference = false;
        while !self.eat(")") {
            match self.kind(0) {
                lexer::Kind::Variable(name) => {
                    self.at += 1;
                    let default = match self.eat("=") {
                        true => Some(self.expr(0)?),
                        false => None,
                    };
                    parameters.push(Parameter {
                        name: name.clone(),
                        default,
                        by_reference: std::mem::take(&mut by_reference),
                    });
                }
                lexer::Kind::Op("&") => {
                    self.at += 1;
                    by_reference = true;
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

    pub(super) fn constants(&mut self) -> Parsed<Kind> {
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

    pub(super) fn global(&mut self) -> Parsed<Kind> {
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

    pub(super) fn levels(&mut self) -> Parsed<u32> {
        let lexer::Kind::Int(levels) = self.kind(0) else {
            return Ok(1);
        };
        self.at += 1;
        u32::try_from(*levels).map_err(|_| "a number of loops".to_owned())
    }

    pub(super) fn echo(&mut self) -> Parsed<Kind> {
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

    pub(super) fn skip_to_semicolon(&mut self) -> Parsed<Kind> {
        while !(self.eat(";") || self.at_end()) {
            self.at += 1;
        }
        Ok(Kind::Nothing)
    }

    pub(super) fn namespace(&mut self) -> Parsed<Kind> {
        if self.word(0).is_some() {
            self.at += 1;
        }
        if self.is_op("{") {
            return self.braced().map(Kind::Block);
        }
        self.ended(Kind::Nothing)
    }

    pub(super) fn class(&mut self) -> Parsed<Kind> {
        while !(self.is_op("{") || self.at_end()) {
            self.at += 1;
        }
        self.skip_braces();
        Ok(Kind::Nothing)
    }
}
