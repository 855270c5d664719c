//! A site that can be put back to its first rows again and again, with a proxy before its database; and what counts as
//! the same rows.

use crate::stage::Stage;
use crate::support::bento::World;
use crate::support::cgi::{Answer, Request};
use crate::support::database::Server;
use crate::support::password::Form;
use crate::support::proxy::{Plan, Proxy};
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

/// One webhook on one site.
pub(crate) struct Scenario {
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
    world: World,
    tables: Vec<String>,
    own_tables: OwnTables,
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
        let tables = stage.site.column("SHOW TABLES");
        for table in &tables {
            if scenario.engine == Engine::MyIsam {
                stage
                    .site
                    .sql(&[&format!("ALTER TABLE {table} ENGINE=MyISAM")]);
            }
            stage.site.sql(&[
                &format!("CREATE TABLE first_{table} LIKE {table}"),
                &format!("INSERT INTO first_{table} SELECT * FROM {table}"),
            ]);
        }
        let world = stage.bento.world().clone();
        Ground {
            stage,
            proxy,
            request: scenario.request.clone(),
            world,
            tables,
            own_tables: scenario.own_tables,
        }
    }

    /// Puts everything back to how it was.
    pub(crate) fn reset(&self) {
        let mut root = self.stage.site.database.root();
        for table in &self.tables {
            root.query_drop(format!("DELETE FROM {table}")).unwrap();
            root.query_drop(format!("INSERT INTO {table} SELECT * FROM first_{table}"))
                .unwrap();
        }
        if self.own_tables == OwnTables::Missing {
            for table in self
                .stage
                .site
                .column("SHOW TABLES LIKE 'wp\\_bento\\_webhooks%'")
            {
                root.query_drop(format!("DROP TABLE {table}")).unwrap();
            }
        }
        *self.stage.bento.world() = self.world.clone();
    }

    /// Runs the webhook whole, as its sender would do again, and says how it was answered.
    pub(crate) fn deliver(&self) -> Answer {
        self.stage.program.run(&self.request)
    }

    /// Runs the program until the plan stops the traffic or it ends; then does what is to be done to it.
    pub(crate) fn run_to(&self, plan: Plan, then: fn(&Ground, Child)) -> Run {
        self.proxy.begin(plan);
        let mut child = self.stage.program.start(&self.request);
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
