//! Follows the tree as PHP would, as far as that can be known without PHP.
//!
//! Nothing is executed: no class, no network, no program, no write. What is not followed becomes an
//! unknown value that carries its line; where a condition is unknown both ways are followed and
//! joined. Fuel and depth are limited, so every file comes to an end.

mod calls;
mod expressions;
mod statements;
mod variables;
mod ways;
mod world;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use self::ways::Exit;
use super::Surroundings;
use super::functions;
use super::state::{Source, State};
use super::syntax::{Expr, Inclusion, Kind, Node};
use super::value::{Place, Unknown, Val};
use super::{lexer, parser};

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
    /// Not a statement but an expression.
    Value(Val),
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
    /// The loops, functions and files around, outermost first.
    exits: Vec<Exit>,
    /// The ways on which wp-settings.php has been reached, joined into one.
    completed: Option<(State, Rc<Unknown>)>,
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
            exits: Vec::new(),
            completed: None,
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
        let end = self.file(path, text).err();
        self.finish(end)
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
        let result = self.tokens(lexer::file(text), text.len(), Val::Int(1));
        self.source = before;
        result
    }

    /// Follows the tokens of a file or of `eval`, which give `value` unless they return another.
    fn tokens(&mut self, tokens: Vec<lexer::Token>, length: usize, value: Val) -> Evaluated {
        self.burn(length / 16, 1)?;
        let statements = parser::parse(tokens);
        // PHP knows the functions of a file before it runs the first statement.
        for statement in &statements {
            if let Kind::Function(_) = statement.kind {
                self.statement(statement)?;
            }
        }
        self.body(&statements, value)
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
        self.nested(node.line, |machine| {
            machine.tokens(tokens, code.len(), Val::Null)
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
