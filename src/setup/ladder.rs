//! Where this host runs programs: tried over real HTTP in a throw-away folder, from the best place to the last.
//!
//! Each trial takes the whole way that a webhook will take: an address, rules in a `.htaccess`, a file. The program prints
//! something computed with a nonce, so neither its source nor a page of WordPress passes for a run. No file of WordPress is
//! touched.

use super::journal::Journal;
use super::look::Sight;
use super::place::{Ground, Place, Rung};
use super::recipe;
use crate::text::one_line;
use crate::web::{Ask, Reply, Web, nonce};
use std::io;
use std::time::Duration;
use url::Url;

/// Name of the throw-away folder, without its random end.
const NAME: &str = "bw-probe-";
/// Name of the folder or program that is installed.
pub(super) const OWN_NAME: &str = "bento-webhooks";

/// Who ran a program, and what that user may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) uid: u32,
    pub(super) user: String,
    pub(super) took: Duration,
    enters_home: bool,
    reads_config: bool,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trial {
    Ran(Run),
    /// It did not; what was seen.
    No(String),
}

/// Why rules in `.htaccess` do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoRules {
    /// Whoever asks is sent to this address first, and a POST would lose its body.
    Elsewhere(String),
    /// Something else; what was seen.
    Seen(String),
}

/// The throw-away folder, in place.
pub(super) struct Ladder<'a> {
    sight: &'a Sight,
    /// The way to the folder that the throw-away folder is in.
    web: Web,
    nonce: String,
    /// Name of the folder.
    name: String,
    rungs: Vec<(Rung, Option<Place>)>,
}

impl<'a> Ladder<'a> {
    /// Writes the throw-away folder for these rungs. `prefix` is where the program will be.
    pub(super) fn build(
        sight: &'a Sight,
        web: &Web,
        journal: &mut Journal,
        rungs: &[Rung],
        prefix: &std::path::Path,
    ) -> io::Result<Ladder<'a>> {
        let nonce = nonce();
        let name: String = format!("{NAME}{}", nonce.get(..12).unwrap_or(&nonce));
        let folder = sight.ground.front.join(&name);
        let inner = Ground {
            front: folder.clone(),
            path: format!("{}{name}/", sight.ground.path),
        };
        let place = |rung: Rung| match rung.is_own_folder() {
            true => inner.place(rung, &format!("place-{}", rung.number())),
            false => sight.ground.place(rung, &name),
        };
        let rungs: Vec<(Rung, Option<Place>)> =
            rungs.iter().map(|rung| (*rung, place(*rung))).collect();
        let places: Vec<&Place> = rungs
            .iter()
            .filter_map(|(_, place)| place.as_ref())
            .collect();
        journal.scratch(&folder)?;
        let targets: Vec<(u8, String)> = places
            .iter()
            .map(|place| (place.rung.number(), place.target.clone()))
            .collect();
        let path = inner.path.trim_end_matches('/');
        journal.plain(
            &folder.join("answer.txt"),
            &format!("read-{nonce}\n"),
            0o644,
        )?;
        let rules = recipe::probe_rules(path, &targets);
        journal.plain(&folder.join(".htaccess"), &rules, 0o644)?;
        // The folder that the program's user must be able to enter; the program's own does not exist yet.
        let home = prefix.parent().unwrap_or(prefix);
        let config = super::config_file(&sight.wordpress);
        let program = recipe::probe(&nonce, home, &config);
        for place in places {
            match &place.folder {
                Some(folder) => {
                    journal.plain_folder(folder)?;
                    let rules =
                        recipe::folder_rules(place.rung.rules(), &place.folder_path, "receive");
                    if let Some(rules) = rules {
                        journal.plain(&folder.join(".htaccess"), &rules, 0o644)?;
                    }
                    journal.plain(&place.stub, &program, 0o755)?;
                }
                None => journal.scratch_file(&place.stub, &program, 0o755)?,
            }
        }
        Ok(Ladder {
            sight,
            web: web.at(&sight.ground.path),
            nonce,
            name,
            rungs,
        })
    }

    /// Whether the server reads `.htaccess` and knows the rewriting that is needed.
    pub(super) fn rewriting(&self) -> Result<(), NoRules> {
        let reply = self.fetch(0).map_err(NoRules::Seen)?;
        if reply.body == format!("read-{}\n", self.nonce).as_bytes() {
            return Ok(());
        }
        Err(match (reply.status, reply.header("location")) {
            (300..=399, Some(to)) => NoRules::Elsewhere(origin(to)),
            (500, _) => {
                NoRules::Seen("500, this server does not take the rules that are needed".to_owned())
            }
            (status, _) if reply.body.is_empty() => {
                NoRules::Seen(format!("{status}, an empty answer"))
            }
            (status, _) => NoRules::Seen(format!(
                "{status}, .htaccess is not read or rewriting is off"
            )),
        })
    }

    /// The rungs and how the trial of each ended; ends after the first that can be used.
    pub(super) fn climb(&self, mut tell: impl FnMut(Rung, &Trial)) -> Option<(Place, Run)> {
        for (rung, place) in &self.rungs {
            let trial = match place {
                None => Trial::No("there is none".to_owned()),
                Some(_) => self.try_one(*rung),
            };
            tell(*rung, &trial);
            if let Trial::Ran(run) = trial
                && let Some(place) = self.sight.ground.place(*rung, OWN_NAME)
            {
                return Some((place, run));
            }
        }
        None
    }

    fn try_one(&self, rung: Rung) -> Trial {
        let reply = match self.fetch(rung.number()) {
            Ok(reply) => reply,
            Err(what) => return Trial::No(what),
        };
        match self.read(&reply) {
            None => Trial::No(refusal(rung, &reply)),
            Some(run) if !run.enters_home => Trial::No(format!(
                "runs as {}, who cannot enter the folder above the program",
                run.user
            )),
            Some(run) if !run.reads_config => Trial::No(format!(
                "runs as {}, who cannot read wp-config.php",
                run.user
            )),
            Some(run) => Trial::Ran(run),
        }
    }

    fn fetch(&self, number: u8) -> Result<Reply, String> {
        let path = format!("{}/{number}", self.name);
        // A fresh query keeps caches out of the way.
        let ask = Ask::get(&path).with("probe", &self.nonce);
        self.web.send(&ask).map_err(|failure| failure.to_string())
    }

    /// What the throw-away program printed, if it ran.
    fn read(&self, reply: &Reply) -> Option<Run> {
        let text = std::str::from_utf8(&reply.body).ok()?;
        let text = text
            .trim()
            .strip_prefix(&format!("ran-42-{} ", self.nonce))?;
        let value = |name: &str| {
            let mut words = text.split(' ');
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        Some(Run {
            uid: value("uid")?.parse().ok()?,
            user: value("user")
                .filter(|user| !user.is_empty())
                .unwrap_or("somebody")
                .to_owned(),
            took: reply.took,
            enters_home: value("home") == Some("yes"),
            reads_config: value("config") == Some("yes"),
        })
    }
}

/// Scheme and host of an address; all of it, when it has none.
fn origin(address: &str) -> String {
    let url = Url::parse(address).ok();
    let origin = url.map(|url| url.origin().ascii_serialization());
    one_line(&origin.unwrap_or_else(|| address.to_owned()))
}

/// What an answer says about a host that did not run the program.
fn refusal(rung: Rung, reply: &Reply) -> String {
    if reply.body.starts_with(b"#!") {
        return "your server shows the file instead of running it".to_owned();
    }
    match (reply.status, rung) {
        (500, Rung::FullRules) => "500, host does not allow \"Options\"".to_owned(),
        (500, Rung::HandlerOnly) => "500, host does not allow \"SetHandler\"".to_owned(),
        (500, _) => "500, the server cannot start the program".to_owned(),
        (403, _) => "403, running programs is not allowed there".to_owned(),
        (404, _) => "404, the address leads nowhere".to_owned(),
        (300..=399, _) => format!("{}, redirected elsewhere", reply.status),
        (200, _) => "200, but another page came".to_owned(),
        (status, _) => format!("{status}"),
    }
}
