//! The webhooks whose every step is disturbed, each with as much to write as its action can have.

use crate::ground::{Engine, OwnTables, Process, Scenario};
use crate::stage::{NORA, SUE, webhook};
use crate::support::bento::{Tag, World};
use serde_json::{Value, json};

/// What Bento knows of the cast.
pub(crate) type Change = fn(&mut World);

/// The one that makes a user, whose password goes back to Bento.
pub(crate) const ADD_NEW: &str = "add, new";

/// All of them, on one engine, done by this process.
pub(crate) fn all(engine: Engine, process: Process) -> Vec<(&'static str, Scenario)> {
    use OwnTables::{Made, Missing};
    let webhooks: [(_, _, _, Change); 5] = [
        (
            "update_tags",
            webhook("update_tags", SUE),
            Made,
            sue_has_new_tags,
        ),
        (
            "update_tags, the first webhook of all",
            webhook("update_tags", SUE),
            Missing,
            sue_has_new_tags,
        ),
        (
            "update",
            webhook("update", SUE),
            Made,
            sue_has_new_everything,
        ),
        (ADD_NEW, webhook("add", NORA), Made, nora_has_everything),
        (
            "add, linked by address",
            webhook("add", NORA),
            Made,
            nora_is_there,
        ),
    ];
    let scenario = |(name, request, own_tables, world)| {
        let scenario = Scenario {
            process,
            request,
            engine,
            own_tables,
            given: given(),
            world,
        };
        (name, scenario)
    };
    let fits = |own_tables| process == Process::Answering || own_tables == Made;
    let webhooks = webhooks.into_iter().filter(|webhook| fits(webhook.2));
    webhooks.map(scenario).collect()
}

/// The Bento field that takes the password of a new user.
pub(crate) const PASSWORD: &str = "secret_field";

fn given() -> Value {
    json!({"changed_settings": {
        "return_password_field": ["", PASSWORD],
        "contact_fields.user_nicename": {"active": "1", "type": "text", "crm_field": "slug"},
    }})
}

/// One tag goes, one comes, and one that the site does not know yet.
fn sue_has_new_tags(world: &mut World) {
    world.tags.push(Tag {
        id: json!("77"),
        name: json!("Fresh"),
        discarded_at: Value::Null,
    });
    world.subscribers[0].cached_tag_ids = json!(["11", "77"]);
}

/// Columns of the user and rows of the metas: some new, some changed.
fn sue_has_new_everything(world: &mut World) {
    sue_has_new_tags(world);
    world.subscribers[0].email = json!("susan@example.test");
    world.subscribers[0].fields = json!({
        "first_name": "Susan", "last_name": "Storm", "display_name": "Susan Storm", "website": "https://sue.example.test",
        "slug": "susan", "phone": "12345", "company": "Future Foundation", "birthday": "2001-02-03", "points": 7,
    });
}

fn nora_has_everything(world: &mut World) {
    world.subscribers[1].cached_tag_ids = json!(["11", "12"]);
    world.subscribers[1].fields = json!({
        "first_name": "Nora", "last_name": "Ny", "nickname": "No", "phone": "54321", "company": "Nordic",
    });
}

/// Bento knows her by the address that one of the users has, who is not linked yet.
fn nora_is_there(world: &mut World) {
    nora_has_everything(world);
    world.subscribers[1].email = json!("taken@example.test");
}
