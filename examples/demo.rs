//! Shows the program at work: four webhooks, the answers, and the rows before and after.
//!
//! `./install.sh demo` builds and runs it. Everything is private and temporary: a MariaDB, a WordPress database
//! with WP Fusion's settings, a stand-in Bento on a loopback port. It never talks to the outside, and it checks
//! what it shows: anything unexpected ends it with a message and a failure.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use mysql::prelude::Queryable as _;
use serde_json::{Value, json};

use support::bento::{Bento, Call, Subscriber, World};
use support::cgi::{Answer, Program, Request};
use support::database::{Network, Server};
use support::recording::Base;
use support::site::{Site, USER_COLUMNS};
use support::state::{self, State};

/// Columns of a terminal that nobody has widened.
const WIDTH: usize = 80;
/// Where the text of a labelled line begins.
const INDENT: usize = 12;
/// The person whom WordPress knows already.
const SUE: (&str, &str) = ("c0ffee00-0000-4000-8000-000000000003", "sue@example.test");
/// The person whom only Bento knows.
const NORA: (&str, &str) = (
    "deadbeef-0000-4000-8000-000000000009",
    "nora.newman@example.test",
);

fn main() -> ExitCode {
    // The parts shared with the tests panic; a person should read what is wrong, not where.
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload().downcast_ref::<String>().map(String::as_str);
        complain(
            text.or(panic.payload().downcast_ref::<&str>().copied())
                .unwrap_or("an unknown failure"),
        );
    }));
    let mut page = Page::new();
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&mut page))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(message: &str) {
    // Nothing is left to do when even this cannot be written.
    drop(writeln!(io::stderr(), "\ndemo: {message}"));
}

fn run(page: &mut Page) -> Result<()> {
    let binary = program()?;
    page.title("bento-webhooks: four webhooks, from Bento to the rows in WordPress")?;

    let begun = Instant::now();
    let server = Server::start(Network::None);
    let version: String = server
        .root()
        .query_first("SELECT VERSION()")?
        .context("MariaDB has no version")?;
    page.line(
        "MariaDB",
        &format!(
            "{version}, private and temporary, up in {}",
            time(begun.elapsed())
        ),
    )?;

    let base = Base::load("newest");
    let field = json!({"return_password_field": ["", "generated_password"]});
    let mut site = Site::on(&server, &base, &json!({"changed_settings": field}));
    let _remover = Remover::of(site.folder())?;
    page.line(
        "WordPress",
        &format!(
            "{}, a shop with its users and WP Fusion's settings",
            base.release()
        ),
    )?;

    let bento = Bento::start(world(&base));
    site.define("BENTO_WEBHOOKS_API_URL", &bento.api_url());
    page.line("Bento", "a stand-in, which knows Sue and Nora")?;

    let demo = Demo {
        program: Program::new(binary, site.folder()),
        key: base.access_key(),
        site: &site,
        bento: &bento,
    };
    let steps = steps();
    for (index, step) in steps.iter().enumerate() {
        page.title(&format!(
            "{} of {}  {}: {}",
            index + 1,
            steps.len(),
            step.action,
            step.about
        ))?;
        demo.show(page, step)
            .with_context(|| format!("{} did not go as it should", step.action))?;
    }

    drop(site);
    drop(server);
    page.title("Done. The database, the folder and the stand-in are gone again.")
}

/// The program stands beside the folder of the examples.
fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own
        .parent()
        .and_then(Path::parent)
        .context("the demo is in no folder")?;
    let binary = folder.join("bento-webhooks");
    ensure!(
        binary.is_file(),
        "{} is missing: ./install.sh demo builds it",
        binary.display()
    );
    Ok(binary)
}

/// Everybody that Bento knows, with what changed there since WordPress heard of it.
fn world(base: &Base) -> World {
    let mut world = World::new(base.account(), &base.tags());
    let sue = json!({"first_name": "Susan", "last_name": "Storm", "company": "Storm & Daughters", "points": "42"});
    let nora = json!({"first_name": "Nora", "last_name": "Newman", "phone": "+44 20 7946 0000"});
    world.subscribers = vec![
        Subscriber::new(SUE.0, SUE.1, &["11", "12", "13"]).with_fields(sue),
        Subscriber::new(NORA.0, NORA.1, &["11"]).with_fields(nora),
    ];
    world
}

/// One webhook, and what must come of it.
struct Step {
    action: &'static str,
    about: &'static str,
    person: (&'static str, &'static str),
    /// Member of the answer and its value.
    answer: (&'static str, Value),
    /// Methods of the calls to Bento.
    calls: &'static [&'static str],
    /// Name and new value of rows that must be among the changes.
    rows: &'static [(&'static str, &'static str)],
}

fn steps() -> [Step; 4] {
    let applied = || ("result", json!("applied"));
    [
        Step {
            action: "test",
            about: "does the address lead here?",
            person: SUE,
            answer: ("success", json!(true)),
            calls: &[],
            rows: &[],
        },
        Step {
            action: "update_tags",
            about: "Sue became a VIP",
            person: SUE,
            answer: applied(),
            calls: &["GET"],
            rows: &[(
                "bento_tags",
                r#"a:3:{i:0;s:8:"Customer";i:1;s:10:"Newsletter";i:2;s:3:"VIP";}"#,
            )],
        },
        Step {
            action: "update",
            about: "Sue changed her name and her company's",
            person: SUE,
            answer: applied(),
            calls: &["GET"],
            rows: &[
                ("first_name", "Susan"),
                ("company", "Storm & Daughters"),
                ("loyalty_points", "42"),
            ],
        },
        Step {
            action: "add",
            about: "Nora gets an account, Bento her password",
            person: NORA,
            answer: applied(),
            calls: &["GET", "POST"],
            rows: &[
                ("user_email", NORA.1),
                ("display_name", "Nora Newman"),
                ("wp_capabilities", r#"a:1:{s:10:"subscriber";b:1;}"#),
                ("bento_contact_id", NORA.0),
                ("user_count", "7"),
            ],
        },
    ]
}

/// What the steps work on.
struct Demo<'demo> {
    program: Program,
    key: &'demo str,
    site: &'demo Site<'demo>,
    bento: &'demo Bento,
}

impl Demo<'_> {
    /// Sends one webhook, shows everything, and then checks it.
    fn show(&self, page: &mut Page, step: &Step) -> Result<()> {
        let target = format!("/?wpf_action={}&access_key={}", step.action, self.key);
        let body = json!({"id": step.person.0, "email": step.person.1}).to_string();
        let (before, calls_before) = (State::read(&self.site.database), self.bento.calls().len());
        let lines_before = state::log(&self.site.database).len();

        let answer = self.program.run(&Request::post(&target, &body));

        let after = State::read(&self.site.database);
        let calls = self.bento.calls().split_off(calls_before);
        let lines = state::log(&self.site.database).len() - lines_before;
        let sections = sections(&before, &after);
        page.line("Request", &format!("POST {target}\n{body}"))?;
        page.line(
            "Answer",
            &format!(
                "{} in {}\n{}",
                answer.status,
                time(answer.elapsed),
                answer.body.trim_end()
            ),
        )?;
        page.line("Bento", &asked(&calls))?;
        page.rows(&sections)?;
        if lines > 0 {
            page.line("Log", &format!("{lines} more in WP Fusion's log"))?;
        }
        check(step, &answer, &calls, &sections)
    }
}

/// The calls to Bento in words.
fn asked(calls: &[Call]) -> String {
    let line = |call: &Call| {
        let fields: Vec<String> = commands(&call.body);
        let told = if fields.is_empty() {
            String::new()
        } else {
            format!("\nwhich sets {}", fields.join(", "))
        };
        format!("{} {}{told}", call.method, call.path)
    };
    match calls {
        [] => "not asked".to_string(),
        calls => calls.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

/// The fields that a call sets; the values stay hidden, one is a password.
fn commands(body: &str) -> Vec<String> {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let commands = body.get("command").and_then(Value::as_array);
    let name = |command: &Value| {
        command
            .pointer("/query/key")
            .and_then(Value::as_str)
            .map(str::to_string)
    };
    commands.into_iter().flatten().filter_map(name).collect()
}

/// Whether everything that was shown is as it must be.
fn check(step: &Step, answer: &Answer, calls: &[Call], sections: &[Section]) -> Result<()> {
    ensure!(
        answer.status == 200,
        "the answer is {}, not 200",
        answer.status
    );
    let (member, value) = &step.answer;
    ensure!(
        answer.json().get(*member) == Some(value),
        "the answer does not say {member}: {value}"
    );
    let methods: Vec<&str> = calls.iter().map(|call| call.method.as_str()).collect();
    ensure!(
        methods == step.calls,
        "Bento was asked {methods:?}, not {:?}",
        step.calls
    );
    let changes: Vec<&Change> = sections
        .iter()
        .flat_map(|section| &section.changes)
        .collect();
    for (name, value) in step.rows {
        let found = changes
            .iter()
            .any(|change| change.name == *name && change.after.as_deref() == Some(*value));
        ensure!(found, "{name} did not become {value}");
    }
    if step.rows.is_empty() && !changes.is_empty() {
        bail!("rows changed that had to stay");
    }
    Ok(())
}

/// The changes in one table, of one user where the table is about users.
struct Section {
    title: String,
    changes: Vec<Change>,
}

/// A row, or a column, that is not what it was.
struct Change {
    name: String,
    before: Option<String>,
    after: Option<String>,
}

fn sections(before: &State, after: &State) -> Vec<Section> {
    let mut sections = Vec::new();
    let empty = BTreeMap::new();
    for (id, user) in &after.users {
        let login = user.get("user_login").map_or("", String::as_str);
        let columns = |user: &state::User| -> Vec<(String, String)> {
            let value = |name: &&str| Some(((*name).to_string(), user.get(*name)?.clone()));
            USER_COLUMNS.iter().filter_map(value).collect()
        };
        let old = columns(before.users.get(id).unwrap_or(&empty));
        sections.push(Section {
            title: format!("wp_users, {login}"),
            changes: changes(&old, &columns(user)),
        });
        let meta = |state: &State| -> Vec<(String, String)> {
            let rows = state.meta.get(id).into_iter().flatten();
            rows.map(|(key, value)| (key.clone(), value.clone().unwrap_or_default()))
                .collect()
        };
        let title = format!("wp_usermeta, {login}");
        sections.push(Section {
            title,
            changes: changes(&meta(before), &meta(after)),
        });
    }
    let options = |state: &State| -> Vec<(String, String)> {
        state
            .options
            .iter()
            .map(|(name, (value, _))| (name.clone(), value.clone()))
            .collect()
    };
    sections.push(Section {
        title: "wp_options".to_string(),
        changes: changes(&options(before), &options(after)),
    });
    sections.retain(|section| !section.changes.is_empty());
    sections
}

/// What became of each name, in the order of the rows; gone ones last.
fn changes(before: &[(String, String)], after: &[(String, String)]) -> Vec<Change> {
    let value = |rows: &[(String, String)], name: &str| {
        rows.iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    let gone = before
        .iter()
        .filter(|(name, _)| value(after, name).is_none());
    let change = |(name, _): &(String, String)| Change {
        name: name.clone(),
        before: value(before, name),
        after: value(after, name),
    };
    after
        .iter()
        .chain(gone)
        .map(change)
        .filter(|change| change.before != change.after)
        .collect()
}

fn time(time: Duration) -> String {
    match time.as_millis() {
        millis if millis < 1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// Removes a folder when the demo ends, also when it is killed: the pipe to the shell closes either way.
struct Remover(Child);

impl Remover {
    fn of(folder: &Path) -> Result<Remover> {
        let script = r#"trap '' INT TERM HUP; cat >/dev/null; rm -rf -- "$1""#;
        let mut command = Command::new("sh");
        command
            .args(["-c", script, "remover"])
            .arg(folder)
            .stdin(Stdio::piped());
        Ok(Remover(command.spawn()?))
    }
}

impl Drop for Remover {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// The report: calm, aligned, in colour only where a person looks.
struct Page {
    out: io::Stdout,
    colours: bool,
}

/// How a piece of text looks, as the numbers that terminals know.
#[derive(Clone, Copy)]
enum Look {
    Title = 1,
    Label = 2,
    Removed = 31,
    Added = 32,
}

impl Page {
    fn new() -> Page {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let out = io::stdout();
        Page {
            colours: out.is_terminal() && !unwanted && !dumb,
            out,
        }
    }

    fn paint(&self, look: Look, text: &str) -> String {
        if self.colours {
            format!("\x1b[{}m{text}\x1b[0m", look as u8)
        } else {
            text.to_string()
        }
    }

    fn title(&mut self, text: &str) -> Result<()> {
        let text = self.paint(Look::Title, text);
        Ok(writeln!(self.out, "\n{text}\n")?)
    }

    /// A label and its text; each line break in the text begins a line of its own.
    fn line(&mut self, label: &str, text: &str) -> Result<()> {
        let mut label = label;
        for line in text.lines().flat_map(|line| wrap(line, WIDTH - INDENT)) {
            let shown = self.paint(
                Look::Label,
                &format!("  {label:<width$}", width = INDENT - 2),
            );
            writeln!(
                self.out,
                "{}{line}",
                if label.is_empty() {
                    " ".repeat(INDENT)
                } else {
                    shown
                }
            )?;
            label = "";
        }
        Ok(())
    }

    /// The rows before and after.
    fn rows(&mut self, sections: &[Section]) -> Result<()> {
        if sections.is_empty() {
            return self.line("Rows", "unchanged");
        }
        for (index, section) in sections.iter().enumerate() {
            self.line(if index == 0 { "Rows" } else { "" }, &section.title)?;
            let width = section
                .changes
                .iter()
                .map(|change| change.name.len())
                .max()
                .unwrap_or(0);
            for change in &section.changes {
                self.change(change, width)?;
            }
        }
        Ok(())
    }

    fn change(&mut self, change: &Change, width: usize) -> Result<()> {
        let mut name = change.name.as_str();
        for (sign, look, value) in [
            ('-', Look::Removed, &change.before),
            ('+', Look::Added, &change.after),
        ] {
            let Some(value) = value else { continue };
            let mut sign = sign;
            for piece in wrap(&printable(value), WIDTH - INDENT - width - 4) {
                let text = self.paint(look, &format!("{sign} {name:<width$}  {piece}"));
                writeln!(self.out, "{}{}", " ".repeat(INDENT), text.trim_end())?;
                (sign, name) = (' ', "");
            }
        }
        Ok(())
    }
}

/// Control characters as escapes, so that a value stays on its line.
fn printable(value: &str) -> String {
    if value.is_empty() {
        return "(empty)".to_string();
    }
    let mut text = String::new();
    for letter in value.chars() {
        if letter.is_control() {
            text.extend(letter.escape_default());
        } else {
            text.push(letter);
        }
    }
    text
}

/// Pieces of at most this many characters, at least one, broken after a space or comma where there is one.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest: Vec<char> = text.chars().collect();
    while rest.len() > width {
        let end = rest
            .iter()
            .take(width)
            .rposition(|letter| matches!(letter, ' ' | ','));
        let tail = rest.split_off(end.filter(|at| *at > width / 3).map_or(width, |at| at + 1));
        pieces.push(rest.iter().collect());
        rest = tail;
    }
    pieces.push(rest.iter().collect());
    pieces
}
