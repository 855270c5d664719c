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

mod back;
mod files;
mod htaccess;
mod journal;
mod ladder;
mod look;
mod nginx;
mod options;
mod place;
mod plan;
mod prove;
mod recipe;
mod repair;
mod screen;
mod undo;

pub use htaccess::{State, state, with_block, without_block};
pub use journal::{Installed, Routing, installed};
pub use place::Rung;
pub use recipe::block;
pub use repair::{Fault, Repair};

use crate::command;
use crate::http::{Route, Trust};
use crate::web::Web;
use journal::{Journal, Owner};
use ladder::{Ladder, Trial};
use look::{Account, Sight};
use options::{Asked, Options, Recipe, Task};
use plan::{Plan, Runner};
use prove::{Afterwards, Front, Prover};
use screen::{Consent, Mark, Screen};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

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
    let home = own_home();
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

/// The home folder of who runs this: the environment's, or where a cron job or a panel has none, that of the account.
fn own_home() -> Option<PathBuf> {
    let named = env::var_os("HOME").filter(|home| !home.is_empty());
    named.map(PathBuf::from).or_else(|| {
        let account = look::account(look::own_uid()?)?;
        Some(account.home)
    })
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
    /// Finds out for whom and where the work is.
    fn begin(
        options: &'o Options,
        screen: &mut Screen,
        home: Option<PathBuf>,
    ) -> Result<Setup<'o>, Stop> {
        let is_root = look::own_uid() == Some(0);
        if is_root && !options.for_owner {
            return Err(Stop::wrong_use(
                "This is root, and the site's files would be root's. Run it as the site's own user, or add --owner.",
            ));
        }
        let looks = is_root || matches!(options.task, Task::Install | Task::DryRun);
        let wordpress = match looks {
            true => Some(choose(options, screen, home.as_deref())?),
            false => None,
        };
        let account = match (&wordpress, is_root) {
            (Some(wordpress), true) => Some(owner_account(wordpress)?),
            _ => None,
        };
        let home = account
            .as_ref()
            .map(|account| account.home.clone())
            .or(home);
        let prefix = options
            .prefix
            .clone()
            .or_else(|| Some(home?.join(".bento-webhooks")));
        let prefix = prefix.ok_or_else(|| {
            Stop::wrong_use(
                "There is no home folder here; say with --prefix where the program may live.",
            )
        })?;
        let here = env::current_dir().unwrap_or_default();
        Ok(Setup {
            options,
            wordpress,
            prefix: here.join(prefix),
            owner: account.map(|account| Owner {
                uid: account.uid,
                gid: account.gid,
            }),
        })
    }

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
            &format!("WordPress {release} in {name}, {}", sight.address),
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
        let seen = self.see(&sight.address, screen);
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

    fn see(&self, address: &str, screen: &mut Screen) -> View {
        for (route, trust) in [(Route::Dns, Trust::Public), (Route::Here, Trust::Any)] {
            let Some(web) = Web::new(address, trust, route) else {
                continue;
            };
            match Front::fetch(&web) {
                Ok((front, reply)) => {
                    let server = reply.header("server").unwrap_or("a web server");
                    let server = server
                        .split(['/', ' '])
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                    return View::Seen { web, front, server };
                }
                Err(why) => screen.detail(&format!("{route:?}: {why}")),
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
        let View::Seen { web, server, .. } = view else {
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
            Err(what) => {
                screen.row(Mark::No, "rules in .htaccess", &what);
                Err(refusal(sight, server, Missing::Rules))
            }
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

    /// Writes and proves, step by step; errs with what is off.
    fn apply(
        &self,
        sight: &Sight,
        view: &View,
        plan: &Plan,
        journal: &mut Journal,
        screen: &mut Screen,
    ) -> Result<(), String> {
        let sentence = |error: std::io::Error| error.to_string();
        plan.write_own(journal).map_err(sentence)?;
        self.start_program()?;
        sight.prepare_database()?;
        screen.line(
            Mark::Ok,
            "files in place, program starts, database can be used",
        );
        plan.write_shared(journal).map_err(sentence)?;
        if matches!(plan.route, Routing::Nginx { .. }) {
            nginx::reload(
                self.options,
                view_web(view).map(|web| (web, &sight.settings.access_key)),
            )?;
        }
        if let View::Seen { web, front, .. } = view {
            screen.line(Mark::Ok, &format!("routing written, {}", front.check(web)?));
        }
        self.prove(sight, view, plan, screen).map(|_| ())
    }

    /// All proofs; how many there were.
    fn prove(
        &self,
        sight: &Sight,
        view: &View,
        plan: &Plan,
        screen: &mut Screen,
    ) -> Result<usize, String> {
        let View::Seen { web, front, .. } = view else {
            return Ok(0);
        };
        let stub = match &plan.route {
            Routing::Htaccess { stub, .. } => stub.strip_prefix(&sight.ground.front).ok(),
            Routing::Nginx { .. } => None,
        };
        let prover = Prover {
            web,
            sight,
            front,
            stub: stub.map(|stub| stub.display().to_string()),
        };
        let proven = prover.all(|text| screen.line(Mark::Ok, text))?;
        match prover.after()? {
            Afterwards::RanOn => screen.line(Mark::Ok, "work after the answer: worker ran on"),
            Afterwards::NothingKept => {
                screen.line(
                    Mark::Warn,
                    "the database user may not make tables: nothing can be kept for later",
                );
                return Ok(proven);
            }
            Afterwards::Cron => screen.line(Mark::Ok, "work after the answer: left to cron"),
            // Webhooks are answered all the same; only what Bento cannot do at once has to wait.
            Afterwards::Stopped => {
                let line = recipe::crontab(&sight.wordpress, &plan::program_in(&self.prefix));
                screen.line(
                    Mark::Warn,
                    "work after the answer is ended by this host; let cron do it with this line:",
                );
                screen.result(&format!("       {line}"));
                return Ok(proven);
            }
        }
        Ok(proven + 1)
    }

    /// The program in its own place; a folder may be mounted so that nothing in it can be started.
    fn start_program(&self) -> Result<(), String> {
        let program = plan::program_in(&self.prefix);
        let output = Command::new(&program).arg("--version").env_clear().output();
        let is_well = output.is_ok_and(|output| output.status.success());
        is_well.then_some(()).ok_or_else(|| {
            format!(
                "{} cannot be started; name another place with --prefix",
                program.display()
            )
        })
    }

    /// Everything is there already: proves it again.
    fn confirm(
        &self,
        sight: &Sight,
        view: &View,
        plan: &Plan,
        screen: &mut Screen,
    ) -> Result<u8, Stop> {
        screen.heading("Already installed, nothing to change");
        match self.prove(sight, view, plan, screen) {
            Ok(0) => Ok(self.farewell(sight, view, screen)),
            Ok(count) => {
                screen.result(&format!("Already installed, all {count} checks fine."));
                Ok(0)
            }
            Err(why) => Err(Stop::failed(format!(
                "Installed, but {why}. Nothing was changed."
            ))),
        }
    }

    /// Puts everything back and says why.
    fn give_up(&self, why: &str, view: &View, journal: &mut Journal, screen: &mut Screen) -> Stop {
        screen.line(Mark::No, why);
        let mut failures = self.roll_back(journal);
        if let View::Seen { web, front, .. } = view {
            failures.extend(front.check(web).err());
        }
        match failures.as_slice() {
            [] => Stop::failed("That did not work. Everything is put back as it was."),
            failures => Stop::failed(format!(
                "Not everything could be put back: {}",
                failures.join("; ")
            )),
        }
    }

    /// Puts back what the last run left half done. Lists what could not be put back.
    fn roll_back(&self, journal: &mut Journal) -> Vec<String> {
        let is_nginx = journal.touches(&self.options.nginx);
        let mut failures = journal.roll_back();
        if is_nginx {
            failures.extend(nginx::reload(self.options, None).err());
        }
        failures
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
                    sight.address
                ));
                UNPROVEN
            }
        };
        screen.plain(&format!(
            "Next: {name} doctor      (any time, changes nothing)"
        ));
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

/// The one WordPress that is meant.
fn choose(options: &Options, screen: &mut Screen, home: Option<&Path>) -> Result<PathBuf, Stop> {
    let mut found = look::find(options.path.as_deref(), home);
    match (found.len(), &options.path) {
        (1, _) => Ok(found.remove(0)),
        (0, Some(path)) => Err(Stop::wrong_use(format!(
            "There is no WordPress in {}.",
            path.display()
        ))),
        (0, None) => Err(Stop::wrong_use(
            "No WordPress found from here; name its folder with --path.",
        )),
        (count, _) => {
            let mut list = String::from("There are several:\n");
            for (number, folder) in found.iter().enumerate() {
                list += &format!("  {}  {}\n", number + 1, screen.path(folder));
            }
            let several = || Stop::wrong_use(format!("{list}Name one with --path."));
            if options.yes {
                return Err(several());
            }
            screen.plain(list.trim_end());
            let answer = screen
                .ask(&format!("Which one? [1-{count}]"))
                .map_err(|_| several())?;
            let number = answer
                .parse::<usize>()
                .ok()
                .and_then(|number| number.checked_sub(1));
            number
                .and_then(|number| found.get(number).cloned())
                .ok_or_else(several)
        }
    }
}

/// Who owns WordPress's files.
fn owner_account(wordpress: &Path) -> Result<Account, Stop> {
    let uid = look::owner_of(&config_file(wordpress)).or_else(|| look::owner_of(wordpress));
    uid.filter(|uid| *uid != 0)
        .and_then(look::account)
        .ok_or_else(|| {
            Stop::wrong_use("WordPress's files belong to nobody that --owner could work for.")
        })
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

/// What the host does not allow.
enum Missing {
    Rules,
    Programs,
}

/// The end of an owner's road, with the sentence for the host.
fn refusal(sight: &Sight, server: &str, missing: Missing) -> Stop {
    let url = url::Url::parse(&sight.address).ok();
    let host = url
        .as_ref()
        .and_then(url::Url::host_str)
        .unwrap_or("my site");
    let (what, wish) = match missing {
        Missing::Rules => (
            "This host does not follow rules in .htaccess for your site.",
            "AllowOverride All, mod_rewrite, mod_cgid, Options ExecCGI",
        ),
        Missing::Programs => (
            "This host does not run CGI programs for your site.",
            "mod_cgid, Options ExecCGI",
        ),
    };
    let mut text = format!(
        "{what} Nothing was changed.
Ask your host:  \"Please enable CGI ({wish}) for {host}.\"
In Plesk: Websites & Domains > Hosting Settings > CGI support. Then run me again."
    );
    if server.eq_ignore_ascii_case("nginx") {
        text += "\nOn your own nginx, as root: sh install.sh --owner --recipe nginx";
    } else if Path::new("/usr/sbin/a2enmod").exists() {
        text += "\nOn your own Debian or Ubuntu: a2enmod cgid && systemctl restart apache2";
    }
    Stop::impossible(text)
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
