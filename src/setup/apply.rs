//! Writing, proving, and giving up: everything from the owner's yes to the journal's last word.

use super::journal::{Journal, Routing};
use super::look::Sight;
use super::plan::{self, Plan};
use super::prove::{Afterwards, Prover};
use super::screen::{Mark, Screen};
use super::{Setup, Stop, View, nginx, recipe, view_web};
use std::process::Command;

impl Setup<'_> {
    /// Writes and proves, step by step; errs with what is off.
    pub(super) fn apply(
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
    pub(super) fn prove(
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
    pub(super) fn start_program(&self) -> Result<(), String> {
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
    pub(super) fn confirm(
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
    pub(super) fn give_up(
        &self,
        why: &str,
        view: &View,
        journal: &mut Journal,
        screen: &mut Screen,
    ) -> Stop {
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
    pub(super) fn roll_back(&self, journal: &mut Journal) -> Vec<String> {
        let is_nginx = journal.touches(&self.options.nginx);
        let mut failures = journal.roll_back();
        if is_nginx {
            failures.extend(nginx::reload(self.options, None).err());
        }
        failures
    }
}
