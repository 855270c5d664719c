//! Those whom the storm is about: what Bento knows of them, how it changes, and what their users must be in the end.

use crate::dice::Dice;
use crate::mails::Delivered;
use crate::stage::Stage;
use crate::support::bento::{Bento, Subscriber};
use crate::support::php;
use crate::support::state::{State, User};
use serde_json::{Value, json};
use std::sync::Mutex;

/// Names of the account's tags by id, as in the recorded base.
const TAGS: [(&str, &str); 4] = [
    ("11", "Customer"),
    ("12", "Newsletter"),
    ("13", "VIP"),
    ("14", "Lapsed"),
];
/// What new people become: those with an odd number by the address of their webhooks, the others by default.
const ROLES: [&str; 2] = ["subscriber", "contributor"];
/// Users before the first of ours.
const FIRST_ID: usize = 1000;

/// What a webhook tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Add,
    Update,
    UpdateTags,
}

/// Persons 0, 2, 4 … are users from the start, linked; the others become users by their first `add`.
pub(crate) struct People {
    count: usize,
    /// Who was added.
    added: Mutex<Vec<bool>>,
}

impl People {
    pub(crate) fn new(count: usize) -> People {
        let added = Mutex::new(vec![false; count]);
        People { count, added }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn subscribers(&self) -> Vec<Subscriber> {
        let subscriber = |person| Subscriber::new(&uuid(person), &email(person), &["11"]);
        (0..self.count).map(subscriber).collect()
    }

    /// Makes the users who are there from the start.
    pub(crate) fn insert_users(&self, stage: &Stage) {
        let last = self.count - 1;
        let users = format!(
            "INSERT INTO wp_users (ID, user_login, user_nicename, user_email, user_registered, display_name) \
             SELECT {FIRST_ID} + seq, CONCAT('person', seq), CONCAT('person', seq), CONCAT('person', seq, '@example.test'), \
             '2024-01-01', CONCAT('person', seq) FROM seq_0_to_{last}_step_2"
        );
        let meta = |key: &str, value: &str| {
            format!(
                "INSERT INTO wp_usermeta (user_id, meta_key, meta_value) \
                 SELECT {FIRST_ID} + seq, '{key}', {value} FROM seq_0_to_{last}_step_2"
            )
        };
        let uuid = "CONCAT('57000000-0000-4000-8000-', LPAD(seq, 12, '0'))";
        stage.site.sql(&[
            &users,
            &meta("nickname", "CONCAT('person', seq)"),
            &meta("wp_capabilities", "'a:1:{s:10:\"subscriber\";b:1;}'"),
            &meta("wp_user_level", "'0'"),
            &meta("bento_contact_id", uuid),
            &meta("bento_tags", "'a:1:{i:0;s:8:\"Customer\";}'"),
            "UPDATE wp_options SET option_value = (SELECT COUNT(*) FROM wp_users) WHERE option_name = 'user_count'",
        ]);
    }

    /// Changes what Bento knows of a person, in a way that a webhook of this action tells of.
    pub(crate) fn change(&self, bento: &Bento, person: usize, action: Action, dice: &mut Dice) {
        let tags: Vec<&str> = loop {
            let held = dice.below(1 << TAGS.len());
            let tags = (0..TAGS.len()).filter(|bit| held >> bit & 1 == 1);
            let tags: Vec<&str> = tags.map(|bit| TAGS[bit].0).collect();
            if !tags.is_empty() {
                break tags;
            }
        };
        let number = dice.below(1_000_000_000);
        let mut world = bento.world();
        let subscriber = &mut world.subscribers[person];
        subscriber.cached_tag_ids = json!(tags);
        if action != Action::UpdateTags {
            subscriber.fields = json!({
                "first_name": format!("First {number}"), "last_name": format!("Last {number}"),
                "phone": format!("{number}"), "company": format!("Company {number}"),
            });
        }
        if action == Action::Add {
            self.added.lock().unwrap()[person] = true;
        }
    }

    /// What comes behind the key in the address.
    pub(crate) fn role(person: usize) -> String {
        match person % 4 {
            3 => format!("&role={}", ROLES[1]),
            _ => String::new(),
        }
    }

    /// Everybody has one user who is as Bento has them, or none if they were never added.
    pub(crate) fn check(&self, stage: &Stage) {
        let state = stage.now();
        let mut wrong: Vec<String> = Vec::new();
        let added = self.added.lock().unwrap();
        let world = stage.bento.world();
        for (person, was_added) in added.iter().enumerate() {
            let email = email(person);
            let users: Vec<(&u64, &User)> = state
                .users
                .iter()
                .filter(|(_, user)| user["user_email"] == email)
                .collect();
            let wanted = usize::from(person.is_multiple_of(2) || *was_added);
            if users.len() != wanted {
                wrong.push(format!("{email}: {} users, not {wanted}", users.len()));
                continue;
            }
            for (id, _) in users {
                wrong.extend(differences(&state, *id, person, &world.subscribers[person]));
            }
        }
        let users = &state.users;
        for id in state.meta.keys().filter(|id| !users.contains_key(id)) {
            wrong.push(format!("rows in usermeta of user {id}, who is not there"));
        }
        let count = state.options["user_count"].0.clone();
        if count != state.users.len().to_string() {
            wrong.push(format!(
                "user_count is {count}, there are {}",
                state.users.len()
            ));
        }
        let shown = wrong
            .iter()
            .take(20)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            wrong.is_empty(),
            "{} of {} are wrong:\n{shown}",
            wrong.len(),
            self.count
        );
    }

    /// Everybody who was added has one welcome, however often it was handed over: a mail that is sent again after its sender
    /// was killed is the same mail. Nobody else has any.
    pub(crate) fn check_welcomes(&self, delivered: &Delivered) {
        let mut wrong = Vec::new();
        for (person, was_added) in self.added.lock().unwrap().iter().enumerate() {
            let wanted = usize::from(!person.is_multiple_of(2) && *was_added);
            let found = delivered.get(&email(person)).map_or(0, |ids| ids.len());
            if found != wanted {
                wrong.push(format!("{}: {found} welcomes, not {wanted}", email(person)));
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

/// In what a user differs from what Bento knows of the person.
fn differences(state: &State, id: u64, person: usize, subscriber: &Subscriber) -> Vec<String> {
    let role = match person % 4 {
        3 => ROLES[1],
        _ => ROLES[0],
    };
    let name = |tag: &Value| TAGS.iter().find(|(id, _)| tag == id).unwrap().1;
    let tags: Vec<&str> = subscriber
        .cached_tag_ids
        .as_array()
        .unwrap()
        .iter()
        .map(name)
        .collect();
    let mut wanted = vec![
        ("bento_contact_id", uuid(person)),
        ("wp_capabilities", php::serialize(&json!({ role: true }))),
        ("bento_tags", php::serialize(&json!(tags))),
    ];
    let fields = [
        ("first_name", "first_name"),
        ("last_name", "last_name"),
        ("phone_number", "phone"),
        ("company", "company"),
    ];
    for (key, field) in fields {
        if let Some(value) = subscriber.fields[field].as_str() {
            wanted.push((key, value.to_owned()));
        }
    }
    let mut wrong = Vec::new();
    for (key, value) in wanted {
        let found: Vec<&Option<String>> = state.meta[&id]
            .iter()
            .filter(|(own, _)| own == key)
            .map(|(_, value)| value)
            .collect();
        if found != [&Some(value.clone())] {
            wrong.push(format!(
                "user {id} of person {person}: {key} is {found:?}, not {value}"
            ));
        }
    }
    wrong
}

pub(crate) fn uuid(person: usize) -> String {
    format!("57000000-0000-4000-8000-{person:012}")
}

fn email(person: usize) -> String {
    format!("person{person}@example.test")
}
