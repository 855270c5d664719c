//! Taking it away again: the last change, or everything.

use super::journal::{Installed, Journal, Routing};
use super::options::Task;
use super::prove::Front;
use super::screen::{Consent, Mark, Screen};
use super::{Setup, Stop, nginx, report_failures};
use crate::http::{Route, Trust};
use crate::web::Web;
use std::fs;

impl Setup<'_> {
    /// Puts back what is asked for, and watches the home page.
    pub(super) fn take_away(self, screen: &mut Screen) -> Result<u8, Stop> {
        if !self.prefix.join("journal").is_file() {
            screen.result("Nothing is installed here.");
            return Ok(0);
        }
        let mut journal = self.open_journal()?;
        screen.keep(&self.prefix.join("install.log"));
        let installed = journal.installed().cloned();
        if !self.options.yes && self.options.task == Task::Purge {
            self.agree_to_purge(screen)?;
        }
        let web = installed
            .as_ref()
            .filter(|_| self.options.web_test)
            .and_then(home_page);
        if journal.is_open() {
            report_failures(self.roll_back(&mut journal))?;
            screen.line(Mark::Ok, "what an interrupted run had changed is put back");
        }
        let failures = match self.options.task {
            Task::Undo => journal.undo_last(),
            _ => journal.undo_all(),
        };
        report_failures(failures)?;
        if let Some(Installed {
            route: Routing::Nginx { .. },
            ..
        }) = installed
        {
            nginx::reload(self.options, None).map_err(Stop::failed)?;
        }
        screen.line(Mark::Ok, "every file is as it was before");
        if let Some((web, before)) = web {
            let text = before.check(&web).map_err(|why| {
                Stop::failed(format!("Every file is as it was before, but {why}."))
            })?;
            screen.line(Mark::Ok, &text);
        }
        self.finish(&journal, screen)
    }

    /// Puts back what an interrupted run has left behind, and nothing else.
    pub(super) fn recover(self, screen: &mut Screen) -> Result<u8, Stop> {
        if !self.prefix.join("journal").is_file() {
            return Ok(0);
        }
        let mut journal = self.open_journal()?;
        if journal.is_open() {
            screen.keep(&self.prefix.join("install.log"));
            report_failures(self.roll_back(&mut journal))?;
            screen.result("Interrupted. Everything is put back as it was.");
        }
        if journal.is_empty() {
            let _ = fs::remove_file(self.prefix.join("journal"));
        }
        Ok(0)
    }

    fn agree_to_purge(&self, screen: &mut Screen) -> Result<(), Stop> {
        match screen.consent("Remove backups and log too?") {
            Consent::Given => Ok(()),
            Consent::Refused => Err(Stop::failed("Nothing was changed.")),
            Consent::NobodyThere => Err(Stop::wrong_use(
                "There is no terminal to ask at; add --yes. Nothing was changed.",
            )),
        }
    }

    fn finish(&self, journal: &Journal, screen: &mut Screen) -> Result<u8, Stop> {
        if self.options.task == Task::Purge {
            fs::remove_dir_all(&self.prefix)
                .map_err(|error| Stop::failed(format!("{}: {error}", self.prefix.display())))?;
            screen.result("Removed. WP Fusion answers webhooks again.");
            return Ok(0);
        }
        if let Some(installed) = journal.installed() {
            screen.result(&format!(
                "Undone. Version {} is in place again.",
                installed.version
            ));
            return Ok(0);
        }
        let _ = fs::remove_file(self.prefix.join("journal"));
        let kept = screen.path(&self.prefix);
        screen.result(&format!(
            "Removed. WP Fusion answers webhooks again. Backups and log are in {kept}."
        ));
        Ok(0)
    }
}

/// The home page before anything is changed.
pub(super) fn home_page(installed: &Installed) -> Option<(Web, Front)> {
    for (route, trust) in [(Route::Dns, Trust::Public), (Route::Here, Trust::Any)] {
        let web = Web::new(&installed.home, trust, route)?;
        if let Ok((front, _)) = Front::fetch(&web) {
            return Some((web, front));
        }
    }
    None
}
