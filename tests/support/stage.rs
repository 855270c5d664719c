//! The usual cast: Sue, who is linked, and Nora, whom only Bento knows.
//!
//! Not a part of `support` itself, which the demo shares: the program's name is known to tests only.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test that includes this file uses another part of it"
)]

use crate::support::bento::{Bento, Subscriber, World};
use crate::support::cgi::{Program, Request};
use crate::support::database::Server;
use crate::support::inbox;
use crate::support::recording::Base;
use crate::support::site::Site;
use crate::support::state::State;
use serde_json::{Value, json};

pub const SUE: &str = "c0ffee00-0000-4000-8000-000000000003";
pub const NORA: &str = "deadbeef-0000-4000-8000-000000000009";
/// The access key of the recorded sites.
pub const KEY: &str = "a1b2c3d4";

/// A site, its Bento and the program; and the rows from before anything was sent.
pub struct Stage {
    pub site: Site<'static>,
    pub bento: Bento,
    pub program: Program,
    pub before: State,
}

impl Stage {
    /// On a database server of its own choice, from a recorded base (`""` is the usual one) changed by what is `given`.
    pub fn on(
        server: &'static Server,
        base: &str,
        given: &Value,
        change: impl FnOnce(&mut World),
    ) -> Stage {
        let base = Base::load(base);
        let mut site = Site::on(server, &base, given);
        let mut world = World::new(base.account(), &base.tags());
        world
            .subscribers
            .push(Subscriber::new(SUE, "sue@example.test", &["13"]));
        world
            .subscribers
            .push(Subscriber::new(NORA, "nora@example.test", &["11"]));
        change(&mut world);
        let bento = Bento::start(world);
        site.define("BENTO_WEBHOOKS_API_URL", &bento.api_url());
        let program = Program::new(env!("CARGO_BIN_EXE_bento-webhooks"), site.folder());
        let before = State::read(&site.database);
        Stage {
            site,
            bento,
            program,
            before,
        }
    }

    /// The rows as they are now.
    pub fn now(&self) -> State {
        State::read(&self.site.database)
    }

    /// Lets time pass and the worker work until nothing waits any more.
    pub fn settle(&self) {
        for _ in 0..20 {
            let (waiting, buried) = inbox::rows(&self.site.database);
            assert_eq!(buried, 0, "something was given up");
            if waiting == 0 {
                return;
            }
            inbox::let_an_hour_pass(&self.site.database);
            self.program.work();
        }
        let shown = self.program.command(&["queue"]);
        panic!("something waits in the inbox for ever: {shown:?}");
    }

    /// What has changed since the start; empty when nothing has.
    pub fn difference(&self) -> String {
        self.before.difference(&self.now())
    }
}

/// The usual one on the server that all tests share.
pub fn stage() -> Stage {
    stage_with(&json!({}), |_| {})
}

/// The same with other settings or another Bento.
pub fn stage_with(given: &Value, change: impl FnOnce(&mut World)) -> Stage {
    Stage::on(Server::shared(), "", given, change)
}

/// The address of an action with the right key.
pub fn target(action: &str) -> String {
    format!("/?wpf_action={action}&access_key={KEY}")
}

/// A webhook about a person.
pub fn webhook(action: &str, person: &str) -> Request {
    Request::post(&target(action), &json!({"id": person}).to_string())
}
