//! A site that can be put back to its first rows again and again, with a proxy before its database; and what counts as
//! the same rows.

use crate::scenarios::PASSWORD;
use crate::stage::Stage;
use crate::support::bento::World;
use crate::support::cgi::{Answer, Request};
use crate::support::database::Server;
use crate::support::inbox;
use crate::support::mail::Outbox;
use crate::support::password::{Form, verifies};
use crate::support::proxy::{Plan, Proxy, Way};
use crate::support::state::{self, State};
use mysql::prelude::Queryable as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Child;
use std::time::Duration;

/// The release before bcrypt: its passwords cost little.
const BASE: &str = "wp61";
/// Row numbers of new users begin here once masked.
const NEW_USERS: u64 = 1_000_000;

/// The engine of WordPress's own tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    InnoDb,
    /// Knows no transaction: what is written stays, whatever happens afterwards.
    MyIsam,
}

/// The tables that are the program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnTables {
    Made,
    /// As when the first webhook of all comes.
    Missing,
}

/// What is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// The one that answers the webhook.
    Answering,
    /// The worker, to whom the webhook was left.
    Worker,
}

/// One webhook on one site.
pub(crate) struct Scenario {
    pub(crate) process: Process,
    pub(crate) request: Request,
    pub(crate) engine: Engine,
    pub(crate) own_tables: OwnTables,
    /// Settings that differ from the base.
    pub(crate) given: Value,
    pub(crate) world: crate::scenarios::Change,
}

pub(crate) struct Ground {
    pub(crate) stage: Stage,
    pub(crate) proxy: Proxy,
    request: Request,
    pub(crate) process: Process,
    world: World,
    tables: Vec<String>,
    own_tables: OwnTables,
}

/// What a run leaves that nothing disturbs, and how it went.
pub(crate) struct Undisturbed {
    pub(crate) rows: State,
    pub(crate) messages: Vec<String>,
    pub(crate) packets: Vec<Way>,
    pub(crate) statements: Vec<String>,
}

/// How far a run came that was to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Stopped,
    /// It ended before it came to the packet.
    Ended,
}

impl Ground {
    pub(crate) fn new(scenario: &Scenario) -> Ground {
        let mut stage = Stage::on(Server::shared(), BASE, &scenario.given, scenario.world);
        let server = stage.site.database.server().socket();
        let proxy = Proxy::start(stage.site.folder(), &server);
        stage.site.define("DB_HOST", &proxy.db_host());
        let outbox = Outbox::new(stage.site.folder().join("mails"));
        stage
            .site
            .define("BENTO_WEBHOOKS_SENDMAIL", &outbox.command());
        let tables = stage.site.column("SHOW TABLES");
        if scenario.engine == Engine::MyIsam {
            for table in &tables {
                stage
                    .site
                    .sql(&[&format!("ALTER TABLE {table} ENGINE=MyISAM")]);
            }
        }
        let world = stage.bento.world().clone();
        let mut ground = Ground {
            stage,
            proxy,
            request: scenario.request.clone(),
            process: scenario.process,
            world,
            tables: Vec::new(),
            own_tables: scenario.own_tables,
        };
        ground.keep(tables);
        if scenario.own_tables == OwnTables::Made {
            ground.deliver();
            inbox::let_an_hour_pass(&ground.stage.site.database);
            ground.keep(ground.own_tables());
        }
        ground
    }

    /// Keeps the rows of tables as those to begin with.
    fn keep(&mut self, tables: Vec<String>) {
        for table in &tables {
            self.stage.site.sql(&[
                &format!("CREATE TABLE first_{table} LIKE {table}"),
                &format!("INSERT INTO first_{table} SELECT * FROM {table}"),
            ]);
        }
        self.tables.extend(tables);
    }

    fn own_tables(&self) -> Vec<String> {
        self.stage
            .site
            .column("SHOW TABLES LIKE 'wp\\_bento\\_webhooks%'")
    }

    /// Puts everything back to how it was, with the webhook in the inbox if it is the worker who matters.
    pub(crate) fn reset(&self) {
        let mut root = self.stage.site.database.root();
        if self.own_tables == OwnTables::Missing {
            for table in self.own_tables() {
                root.query_drop(format!("DROP TABLE {table}")).unwrap();
            }
        }
        for table in &self.tables {
            root.query_drop(format!("DELETE FROM {table}")).unwrap();
            root.query_drop(format!("INSERT INTO {table} SELECT * FROM first_{table}"))
                .unwrap();
        }
        *self.stage.bento.world() = self.world.clone();
        if self.process == Process::Worker {
            self.proxy.begin(Plan::Pass);
            let mut later = self.request.clone();
            later.target += "&async=true";
            let answer = self.stage.program.run(&later);
            assert_eq!(answer.result(), "queued", "{answer}");
        }
    }

    /// What a run leaves that nothing disturbs.
    pub(crate) fn undisturbed(&self) -> Undisturbed {
        self.reset();
        self.proxy.begin(Plan::Pass);
        match self.process {
            Process::Answering => {
                let answer = self.deliver();
                assert_eq!(answer.result(), "applied", "{answer}");
            }
            Process::Worker => self.stage.program.work(),
        }
        let undisturbed = Undisturbed {
            rows: self.outcome(),
            messages: self.log(),
            packets: self.proxy.packets(),
            statements: self.proxy.statements(),
        };
        assert_eq!(
            inbox::rows(&self.stage.site.database),
            (0, 0),
            "something is left"
        );
        undisturbed
    }

    /// What the sender of a disturbed webhook does, and then the worker.
    pub(crate) fn make_up_for(&self, place: &str) {
        self.proxy.begin(Plan::Pass);
        if self.process == Process::Answering {
            let answer = self.deliver();
            assert_eq!(answer.status, 200, "{place}\n{answer}");
        }
        self.stage.settle();
    }

    /// Runs the webhook whole, as its sender would do again, and says how it was answered.
    pub(crate) fn deliver(&self) -> Answer {
        self.stage.program.run(&self.request)
    }

    /// Runs the program until the plan stops the traffic or it ends; then does what is to be done to it.
    pub(crate) fn run_to(&self, plan: Plan, then: fn(&Ground, Child)) -> Run {
        self.proxy.begin(plan);
        let mut child = match self.process {
            Process::Answering => self.stage.program.start(&self.request),
            Process::Worker => self.stage.program.start_command(&["work", "--until-empty"]),
        };
        while !self.proxy.has_stopped(Duration::from_millis(1)) {
            if child.try_wait().unwrap().is_some() && !self.proxy.stops_at_last() {
                self.proxy.begin(Plan::Pass);
                return Run::Ended;
            }
        }
        then(self, child);
        Run::Stopped
    }

    /// The rows with all that differs from run to run made equal.
    pub(crate) fn outcome(&self) -> State {
        masked(&self.stage.before, self.stage.now())
    }

    /// A new user's password is the one that Bento was told last.
    pub(crate) fn check_password(&self, place: &str) {
        let world = self.stage.bento.world();
        let told = world
            .subscribers
            .iter()
            .find_map(|person| person.fields[PASSWORD].as_str());
        let state = self.stage.now();
        let mut new = state
            .users
            .iter()
            .filter(|(id, _)| !self.stage.before.users.contains_key(id));
        if let Some((_, user)) = new.next() {
            let told = told.unwrap_or_else(|| panic!("{place}: Bento was told no password"));
            assert!(
                verifies(told, &user["user_pass"]),
                "{place}: Bento was told another password"
            );
        }
    }

    /// The messages in WP Fusion's log.
    pub(crate) fn log(&self) -> Vec<String> {
        state::log(&self.stage.site.database)
            .into_iter()
            .map(|row| row.message)
            .collect()
    }
}

/// New users get numbers of their own in their order; hashes and times are checked and then made equal.
fn masked(before: &State, now: State) -> State {
    let is_new = |id: &u64| !before.users.contains_key(id);
    let new: Vec<u64> = now.users.keys().copied().filter(is_new).collect();
    let number = |id: u64| match (NEW_USERS..).zip(&new).find(|(_, own)| **own == id) {
        Some((number, _)) => number,
        None => id,
    };
    let mut users = BTreeMap::new();
    for (id, mut user) in now.users {
        if is_new(&id) {
            assert!(Form::Phpass.fits(&user["user_pass"]), "{user:?}");
            assert!(user["user_registered"].starts_with("20"), "{user:?}");
            for (column, mask) in [("user_pass", "hash"), ("user_registered", "time")] {
                user.insert(column.to_owned(), mask.to_owned());
            }
            user.insert("ID".to_owned(), number(id).to_string());
        }
        users.insert(number(id), user);
    }
    State {
        users,
        meta: now
            .meta
            .into_iter()
            .map(|(id, rows)| (number(id), rows))
            .collect(),
        options: now.options,
    }
}
