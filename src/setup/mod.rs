//! Installing and taking away: `bento-webhooks setup`, which install.sh calls.
//!
//! ```text
//!   look ── ladder ── plan ── (one question) ── journal ── prove ──▶ installed
//!                                                  │         │
//!                                                  ◀─────────┘ anything off: back to the byte
//! ```
//!
//! WordPress's own files are never touched but for our lines in its `.htaccess`, and those only after the throw-away folder
//! has shown that they will work. An access key is sent to the site itself, never shown and never written.

mod apply;
mod back;
mod begin;
mod files;
mod htaccess;
mod journal;
mod keep;
mod known;
mod ladder;
mod look;
mod nginx;
mod options;
mod place;
mod plan;
mod prove;
mod recipe;
mod refusal;
mod repair;
mod screen;
mod undo;

pub use htaccess::{State, state, with_block, without_block};
pub use journal::{Installed, Routing};
pub use keep::keep_first;
pub use known::installations;
pub use nginx::{socket_in, without_ours};
pub use place::Rung;
pub use recipe::{block, target};
pub use repair::{Fault, Repair};

use crate::command;
use crate::http::{Route, Trust};
use crate::web::Web;
use journal::{Journal, Owner};
use ladder::{Ladder, NoRules, Trial};
use look::Sight;
use options::{Asked, Options, Recipe, Task};
use plan::{Plan, Runner};
use prove::Front;
use refusal::{Missing, refusal};
use screen::{Consent, Mark, Screen};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// An end before the end.
struct Stop {
    code: u8,
    text: String,
}

impl Stop {
    fn failed(text: impl Into<String>) -> Stop {
        Stop {
            code: 1,
            text: text.into(),
        }
    }

    fn wrong_use(text: impl Into<String>) -> Stop {
        Stop {
            code: command::WRONG_USE,
            text: text.into(),
        }
    }

    fn impossible(text: impl Into<String>) -> Stop {
        Stop {
            code: 3,
            text: text.into(),
        }
    }
}

/// Exit code of an installation that could not be proven.
const UNPROVEN: u8 = 4;

/// Runs `bento-webhooks setup` with what stands behind it.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let options = match Options::read(arguments) {
        Ok(Asked::Work(options)) => options,
        Ok(Asked::Help) => {
            command::say(options::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Version) => {
            command::say(&format!("bento-webhooks {}\n", env!("CARGO_PKG_VERSION")));
            return ExitCode::SUCCESS;
        }
        Err(why) => return command::wrong_use(&why, options::HELP),
    };
    let home = begin::own_home();
    let mut screen = Screen::new(options.voice, options.color, home.clone());
    let result = Setup::begin(&options, &mut screen, home).and_then(|setup| match options.task {
        Task::Install | Task::DryRun => setup.install(&mut screen),
        Task::Undo | Task::Uninstall | Task::Purge => setup.take_away(&mut screen),
        Task::Recover => setup.recover(&mut screen),
    });
    match result {
        Ok(code) => ExitCode::from(code),
        Err(stop) => {
            screen.failure(&stop.text);
            ExitCode::from(stop.code)
        }
    }
}

/// The file with WordPress's settings: in its folder or, as WordPress allows, in the one above.
fn config_file(wordpress: &Path) -> PathBuf {
    let own = wordpress.join("wp-config.php");
    match wordpress.parent() {
        Some(above) if !own.is_file() => above.join("wp-config.php"),
        _ => own,
    }
}

/// One run.
struct Setup<'o> {
    options: &'o Options,
    /// Where WordPress is; needed for everything but taking away.
    wordpress: Option<PathBuf>,
    prefix: PathBuf,
    owner: Option<Owner>,
}

/// What the world outside says about the site.
enum View {
    /// It answers over this way, so.
    Seen {
        web: Web,
        front: Front,
        server: String,
    },
    /// It does not, or nobody may ask.
    Unseen,
}

impl<'o> Setup<'o> {
    fn install(self, screen: &mut Screen) -> Result<u8, Stop> {
        let was_there = self.prefix.is_dir();
        let mut journal = self.open_journal()?;
        if self.options.task == Task::Install {
            screen.keep(&self.prefix.join("install.log"));
        }
        if journal.is_open() {
            report_failures(self.roll_back(&mut journal))?;
            screen.line(
                Mark::Warn,
                "an earlier run was interrupted; what it had changed is put back",
            );
        }
        let result = self.install_with(&mut journal, screen);
        if journal.is_empty() {
            self.clear_away(&journal, was_there);
        }
        result
    }

    fn install_with(&self, journal: &mut Journal, screen: &mut Screen) -> Result<u8, Stop> {
        screen.heading("Looking around");
        let sight = self.look(screen)?;
        let view = self.go_and_see(&sight, screen);
        let plan = self.plan(&sight, &view, journal, screen)?;
        if plan.is_in_place() && journal.installed().is_some() {
            return self.confirm(&sight, &view, &plan, screen);
        }
        plan.show(screen, &self.prefix);
        if self.options.task == Task::DryRun {
            screen.result("Nothing was changed.");
            return Ok(0);
        }
        self.agree(screen)?;
        let done = self
            .apply(&sight, &view, &plan, journal, screen)
            .and_then(|()| {
                let installed = Installed {
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    wordpress: sight.wordpress.clone(),
                    home: sight.address.clone(),
                    route: plan.route.clone(),
                };
                journal.done(installed).map_err(|error| error.to_string())
            });
        if let Err(why) = done {
            return Err(self.give_up(&why, &view, journal, screen));
        }
        Ok(self.farewell(&sight, &view, screen))
    }

    /// WordPress, its settings, WP Fusion, the database.
    fn look(&self, screen: &mut Screen) -> Result<Sight, Stop> {
        let wordpress = self.wordpress.as_deref().unwrap_or(Path::new("."));
        let sight = Sight::of(wordpress, self.options.url.as_deref()).map_err(|why| {
            Stop::failed(format!(
                "{}: {why}. Nothing was changed.",
                screen.path(wordpress)
            ))
        })?;
        let release = sight.config.release();
        let name = screen.path(wordpress);
        screen.line(
            Mark::Ok,
            &format!("WordPress {release} in {name}, {}", sight.shown()),
        );
        let (tags, fields) = (
            sight.settings.tag_names.iter().count(),
            sight.settings.fields.len(),
        );
        screen.line(
            Mark::Ok,
            &format!(
                "WP Fusion settings found: Bento, access key set, {tags} tags, {fields} fields"
            ),
        );
        screen.line(
            Mark::Ok,
            &format!("database reachable as {}", sight.config.database().user()),
        );
        Ok(sight)
    }

    /// Asks the site's own address.
    fn go_and_see(&self, sight: &Sight, screen: &mut Screen) -> View {
        if !self.options.web_test {
            screen.line(
                Mark::Warn,
                "no request is sent to the site; nothing will be proven",
            );
            return View::Unseen;
        }
        let seen = Self::see(sight, screen);
        match &seen {
            View::Unseen => screen.line(Mark::Warn, "the site cannot be reached from here"),
            View::Seen { front, server, .. } => {
                let rules = fs::read_to_string(sight.htaccess()).unwrap_or_default();
                let permalinks = match rules.contains("# BEGIN WordPress") {
                    true => ", .htaccess with WordPress's own rules",
                    false => "",
                };
                let text = format!("{server}, home page answers {}{permalinks}", front.status);
                screen.line(Mark::Ok, &text);
            }
        }
        seen
    }

    fn see(sight: &Sight, screen: &mut Screen) -> View {
        let trust = Trust::from_file(sight.config.own().ca_file()).unwrap_or(Trust::Public);
        let mut first = None;
        for (route, trust) in [(Route::Dns, trust), (Route::Here, Trust::Any)] {
            let Some(web) = Web::new(&sight.address, trust, route) else {
                continue;
            };
            match Front::fetch(&web) {
                Ok((front, reply)) => {
                    if let Some(why) = first {
                        let text = format!(
                            "reached only through 127.0.0.1: {why}; see in a browser that {} opens",
                            sight.shown()
                        );
                        screen.line(Mark::Warn, &text);
                    }
                    let server = reply.header("server").unwrap_or("a web server");
                    let server = server
                        .split(['/', ' '])
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                    return View::Seen { web, front, server };
                }
                Err(why) => {
                    screen.detail(&format!("{route:?}: {why}"));
                    first = first.or(Some(why));
                }
            }
        }
        View::Unseen
    }

    /// The way that works here.
    fn plan(
        &self,
        sight: &Sight,
        view: &View,
        journal: &mut Journal,
        screen: &mut Screen,
    ) -> Result<Plan, Stop> {
        let program = own_program()?;
        if self.options.recipe == Recipe::Nginx {
            return nginx::plan(sight, self.options, &self.prefix, program).map_err(Stop::failed);
        }
        let rungs = match self.options.recipe {
            Recipe::Only(rung) => vec![rung],
            _ => Rung::ALL.to_vec(),
        };
        let View::Seen { web, server, front } = view else {
            // Nothing can be tried: the best place, or the one that was named.
            let rung = rungs.first().copied().unwrap_or(Rung::FullRules);
            let place = sight.ground.place(rung, ladder::OWN_NAME);
            let place = place.ok_or_else(|| {
                Stop::failed("That place does not exist here. Nothing was changed.")
            })?;
            return Ok(Plan::htaccess(
                sight,
                &place,
                &self.prefix,
                program,
                Runner::Other,
            ));
        };
        screen.heading("Trying where this host runs programs (in a throw-away folder)");
        let failed = |error: std::io::Error| {
            Stop::failed(format!(
                "The throw-away folder cannot be written: {error}. Nothing was changed."
            ))
        };
        let ladder = Ladder::build(sight, web, journal, &rungs, &self.prefix).map_err(failed)?;
        let found = match ladder.rewriting() {
            // A file that breaks the site breaks the throw-away folder as well, and no host can help with that.
            Err(NoRules::Seen(_)) if front.status == 500 => Err(Stop::failed(
                "Your home page answers 500 without me; mend that first (the web server's error log names the cause), then run me again. Nothing was changed.",
            )),
            Err(NoRules::Seen(what)) => {
                screen.row(Mark::No, "rules in .htaccess", &what);
                Err(refusal(sight, server, Missing::Rules))
            }
            Err(NoRules::Elsewhere(to)) => Err(Stop::failed(format!(
                "{} is redirected to {to}, where a webhook arrives without its body. Nothing was changed.
Use that address in Bento, and run me again with  --url {to}",
                sight.shown()
            ))),
            Ok(()) => {
                let tell = |rung: Rung, trial: &Trial| match trial {
                    Trial::Ran(run) => {
                        let end =
                            format!("ran in {} ms as user {}", run.took.as_millis(), run.user);
                        screen.row(Mark::Ok, rung.name(), &end);
                    }
                    Trial::No(what) => screen.row(Mark::No, rung.name(), what),
                };
                ladder
                    .climb(tell)
                    .ok_or_else(|| refusal(sight, server, Missing::Programs))
            }
        };
        journal.forget_scratch().map_err(failed)?;
        let (place, run) = found?;
        let own = self.owner.map(|owner| owner.uid).or_else(look::own_uid);
        let runner = match own == Some(run.uid) {
            true => Runner::Owner,
            false => Runner::Other,
        };
        Ok(Plan::htaccess(sight, &place, &self.prefix, program, runner))
    }

    /// The one question.
    fn agree(&self, screen: &mut Screen) -> Result<(), Stop> {
        if self.options.yes {
            return Ok(());
        }
        match screen.consent("Go ahead?") {
            Consent::Given => Ok(()),
            Consent::Refused => Err(Stop::failed("Nothing was changed.")),
            Consent::NobodyThere => Err(Stop::wrong_use(
                "There is no terminal to ask at; add --yes. Nothing was changed.",
            )),
        }
    }

    fn farewell(&self, sight: &Sight, view: &View, screen: &mut Screen) -> u8 {
        let program = plan::program_in(&self.prefix);
        let name = screen.path(&program);
        let code = match view {
            View::Seen { .. } => {
                screen.result(
                    "Done. Webhooks now bypass PHP; the addresses in Bento stay as they are.",
                );
                0
            }
            View::Unseen => {
                screen.result(&format!(
                    "Installed, but not proven: the site was not asked from here. Open this in a browser:
  {}/?wpf_action=test
It works if bento-webhooks answers that the access key is missing. If your home page comes instead:
  sh install.sh --undo",
                    sight.shown()
                ));
                UNPROVEN
            }
        };
        screen.plain(&format!(
            "Next: {name} doctor      (any time, changes nothing)"
        ));
        if let Some(number) = sight.ids_without_index() {
            screen.line(
                Mark::Warn,
                &format!("{number} contact ids and no index on them, so that adds are slow: run  {name} index --make"),
            );
        }
        if has_crontab() {
            let line = recipe::crontab(&sight.wordpress, &program);
            screen.plain(&format!(
                "Safety net, if you like: run  crontab -e  and add\n  {line}"
            ));
        }
        code
    }

    fn open_journal(&self) -> Result<Journal, Stop> {
        Journal::open(&self.prefix, self.owner).map_err(|error| {
            Stop::failed(format!(
                "{}: {error}; --prefix names another place. Nothing was changed.",
                self.prefix.display()
            ))
        })
    }

    /// Leaves no empty journal behind, and no folder that was not there.
    fn clear_away(&self, journal: &Journal, was_there: bool) {
        let _held = journal;
        let _ = fs::remove_file(self.prefix.join("journal"));
        let _ = fs::remove_dir(self.prefix.join("backup"));
        if !was_there {
            let _ = fs::remove_dir(&self.prefix);
        }
    }
}

/// The bytes of this very program.
fn own_program() -> Result<Vec<u8>, Stop> {
    let argument = || env::args_os().next().map(PathBuf::from);
    let path = env::current_exe()
        .ok()
        .or_else(argument)
        .unwrap_or_default();
    fs::read(&path)
        .map_err(|error| Stop::failed(format!("{}: {error}. Nothing was changed.", path.display())))
}

fn view_web(view: &View) -> Option<&Web> {
    match view {
        View::Seen { web, .. } => Some(web),
        View::Unseen => None,
    }
}

fn report_failures(failures: Vec<String>) -> Result<(), Stop> {
    match failures.as_slice() {
        [] => Ok(()),
        failures => Err(Stop::failed(format!(
            "Not everything could be put back; the former content is in backup/. {}",
            failures.join("; ")
        ))),
    }
}

/// Whether this account can have cron jobs.
fn has_crontab() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| {
        let file = fs::metadata(folder.join("crontab"));
        file.is_ok_and(|file| file.permissions().mode() & 0o111 != 0)
    })
}
