//! What the contenders work on: one Bento behind TLS, and shops with real WordPress and as many users as wanted.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use mysql::prelude::Queryable as _;
use serde_json::{Value, json};

use crate::front::Front;
use crate::hosting::{KEY, Shop};
use crate::support::bento::{Bento, Subscriber, World};
use crate::support::cgi::Request;
use crate::support::recording::Base;

/// Number of the first generated user.
pub(crate) const FIRST: u64 = 1001;
/// Users that each contender has for itself, so that what one writes is no news to another.
pub(crate) const EACH: u64 = 20;
/// Webhooks in one burst, and users that it is about.
pub(crate) const CROWD: u64 = 200;
/// Users that are made in one statement.
const PIECE: u64 = 20_000;
/// Fields that Bento knows of a person, with the two values between which they go back and forth.
const FIELDS: [(&str, &str, &str); 11] = [
    ("first_name", "Ada", "Augusta"),
    ("last_name", "Lovelace", "King"),
    ("display_name", "Ada Lovelace", "Augusta King"),
    ("nickname", "ada", "augusta"),
    (
        "bio",
        "Wrote the first program.",
        "Wrote notes on an engine.",
    ),
    (
        "website",
        "https://ada.example.test",
        "https://king.example.test",
    ),
    ("phone", "+44 20 7946 0001", "+44 20 7946 0002"),
    ("company", "Analytical Engines", "Difference Engines"),
    ("notes", "Ring twice.", "Leave with the neighbour."),
    ("points", "1815", "1852"),
    ("raw_status", "active", "away"),
];
/// Rows of every generated user: key and SQL for the value. WordPress's own, those of a shop, and WP Fusion's.
const META: [(&str, &str); 20] = [
    ("nickname", "CONCAT('person', s.seq)"),
    ("first_name", "'First'"),
    ("last_name", "CONCAT('Last', s.seq)"),
    ("description", "''"),
    ("rich_editing", "'true'"),
    ("syntax_highlighting", "'true'"),
    ("comment_shortcuts", "'false'"),
    ("admin_color", "'fresh'"),
    ("use_ssl", "'0'"),
    ("show_admin_bar_front", "'true'"),
    ("locale", "''"),
    ("wp_capabilities", "'a:1:{s:10:\"subscriber\";b:1;}'"),
    ("wp_user_level", "'0'"),
    ("billing_first_name", "'First'"),
    ("billing_last_name", "CONCAT('Last', s.seq)"),
    ("billing_address_1", "CONCAT(s.seq, ' Main Street')"),
    ("billing_city", "'Springfield'"),
    ("billing_country", "'US'"),
    (
        "bento_contact_id",
        "CONCAT(LPAD(LOWER(HEX(s.seq)), 8, '0'), '-0000-4000-8000-000000000000')",
    ),
    ("bento_tags", "'a:1:{i:0;s:8:\"Customer\";}'"),
];

/// What a webhook asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    RefusedKey,
    Test,
    TagsChanged,
    TagsUnchanged,
    Update,
    Add,
    AddExisting,
}

impl Action {
    /// All of them, those that write nothing new after those that write.
    pub(crate) const ALL: [Action; 7] = [
        Action::RefusedKey,
        Action::Test,
        Action::TagsChanged,
        Action::TagsUnchanged,
        Action::Update,
        Action::Add,
        Action::AddExisting,
    ];

    /// As the tables name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Action::RefusedKey => "refused key",
            Action::Test => "test",
            Action::TagsChanged => "update_tags, changed",
            Action::TagsUnchanged => "update_tags, nothing new",
            Action::Update => "update, 11 fields",
            Action::Add => "add, new user",
            Action::AddExisting => "add, user is there",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Action::RefusedKey | Action::TagsChanged | Action::TagsUnchanged => "update_tags",
            Action::Test => "test",
            Action::Update => "update",
            Action::Add | Action::AddExisting => "add",
        }
    }

    /// Whether an answer is the right one.
    pub(crate) fn is_right(self, status: u16, body: &Value) -> bool {
        let result = match self {
            Action::RefusedKey => return status == 403,
            Action::Test => return status == 200 && body["success"] == true,
            Action::TagsChanged | Action::Update | Action::Add => "applied",
            Action::TagsUnchanged | Action::AddExisting => "unchanged",
        };
        status == 200 && body["result"] == result
    }
}

/// Bento behind TLS.
pub(crate) struct Ground {
    pub(crate) bento: Bento,
    pub(crate) front: Front,
    pub(crate) authority: PathBuf,
    new_people: AtomicU64,
}

impl Ground {
    /// Starts Bento; the certificates go into the folder.
    pub(crate) fn start(folder: &Path) -> Result<Ground> {
        certify(folder)?;
        let base = Base::load("newest");
        let bento = Bento::start(World::new(base.account(), &base.tags()));
        let url = bento.api_url();
        let behind = url
            .trim_start_matches("http://")
            .trim_end_matches("/api/v1");
        Ok(Ground {
            front: Front::start(folder, behind),
            bento,
            authority: folder.join("ca.pem"),
            new_people: AtomicU64::new(0),
        })
    }

    /// Sets a shop up for the contenders: settings, tables, users, our least plugin, and the program in its root folder.
    pub(crate) fn equip(&self, shop: &mut Shop, program: &Path, users: u64) -> Result<PathBuf> {
        let port = self.front.port();
        let authority = shop.root.join("ca.pem");
        fs::copy(&self.authority, &authority)?;
        fs::set_permissions(&authority, fs::Permissions::from_mode(0o644))?;
        shop.define(
            "BENTO_WEBHOOKS_API_URL",
            &format!("'https://localhost:{port}/api/v1'"),
        );
        shop.define(
            "BENTO_WEBHOOKS_CA_FILE",
            &format!("'{}'", authority.display()),
        );
        // Everything is to be done at once here, however much there is.
        shop.define("BENTO_WEBHOOKS_CALLS_PER_MINUTE", "6000");
        shop.define("BENTO_WEBHOOKS_CONCURRENCY", "100");
        let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bench/plugin.php");
        fs::copy(
            plugin,
            shop.wordpress.join("wp-content/mu-plugins/least.php"),
        )?;
        let own = shop.root.join("bento-webhooks");
        fs::copy(program, &own)?;
        let base = Base::load("newest");
        let log = base.json["schema"]["wp_wpf_logging"]
            .as_str()
            .unwrap_or_default();
        shop.sql(&[log]);
        populate(shop, users)?;
        Ok(own)
    }

    /// Makes something to do for a contender and returns the webhook about it. `turn` picks one of its people.
    pub(crate) fn request(
        &self,
        action: Action,
        contender: u64,
        turn: u64,
        parameter: &str,
    ) -> Request {
        self.webhook(action, FIRST + contender * EACH + turn % EACH, parameter)
    }

    /// A webhook about user `id`, or about somebody new, who has changed at Bento's if that is what the action is about.
    fn webhook(&self, action: Action, id: u64, parameter: &str) -> Request {
        let (uuid, email) = match action {
            Action::Add => self.newcomer(),
            _ => self.flip(action, id),
        };
        let key = match action {
            Action::RefusedKey => "wrong",
            _ => KEY,
        };
        let target = format!("/?{parameter}={}&access_key={key}", action.word());
        Request::post(&target, &json!({"id": uuid, "email": email}).to_string())
    }

    /// Somebody whom no shop knows.
    fn newcomer(&self) -> (String, String) {
        let (uuid, email) = newcomer(self.new_people.fetch_add(1, Ordering::SeqCst) + 1);
        let person = Subscriber::new(&uuid, &email, &["11"]).with_fields(fields(Side::First));
        self.bento.world().subscribers.push(person);
        (uuid, email)
    }

    /// Changes what Bento knows of a user, if the action is to find something new.
    fn flip(&self, action: Action, id: u64) -> (String, String) {
        let (uuid, email) = person(id);
        let mut world = self.bento.world();
        let at = world
            .subscribers
            .iter()
            .position(|person| person.uuid == uuid);
        let at = at.unwrap_or_else(|| {
            world
                .subscribers
                .push(Subscriber::new(&uuid, &email, &["11"]));
            world.subscribers.len() - 1
        });
        if let Some(person) = world.subscribers.get_mut(at) {
            match action {
                Action::TagsChanged => {
                    let few = person.cached_tag_ids == json!(["11"]);
                    person.cached_tag_ids = if few {
                        json!(["11", "13"])
                    } else {
                        json!(["11"])
                    };
                }
                Action::Update => {
                    let first = person.fields["points"] == FIELDS[9].1;
                    person.fields = fields(if first { Side::Second } else { Side::First });
                }
                _ => {}
            }
        }
        (uuid, email)
    }
}

/// A burst is about people whom nobody else uses, others for each contender: half of them are there and get new fields, the
/// others are new.
impl Ground {
    /// The generated users whom a contender's bursts are about.
    fn crowd(contender: u64) -> std::ops::Range<u64> {
        let first = FIRST + 500 + contender * CROWD;
        first..first + CROWD / 2
    }

    /// The webhooks of one burst.
    pub(crate) fn burst(&self, contender: u64, parameter: &str) -> Vec<Request> {
        let pair = |id| [Action::Update, Action::Add].map(|action| (action, id));
        let webhooks = Self::crowd(contender).flat_map(pair);
        webhooks
            .map(|(action, id)| self.webhook(action, id, parameter))
            .collect()
    }

    /// Whom the last burst was about: address and first name as Bento has them.
    pub(crate) fn burst_people(&self, contender: u64) -> Vec<(String, String)> {
        let world = self.bento.world();
        let known: HashSet<String> = Self::crowd(contender).map(|id| person(id).0).collect();
        let new = self.new_people.load(Ordering::SeqCst);
        let new: HashSet<String> = (new - CROWD / 2 + 1..=new)
            .map(|number| newcomer(number).0)
            .collect();
        let people = world.subscribers.iter();
        let people =
            people.filter(|person| known.contains(&person.uuid) || new.contains(&person.uuid));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        people
            .map(|person| (text(&person.email), text(&person.fields["first_name"])))
            .collect()
    }
}

/// The contact id and e-mail address of somebody whom no shop knows.
fn newcomer(number: u64) -> (String, String) {
    (
        format!("{number:08x}-1111-4000-8000-000000000000"),
        format!("new{number}@example.test"),
    )
}

/// Which of a field's two values.
#[derive(Clone, Copy)]
enum Side {
    First,
    Second,
}

fn fields(side: Side) -> Value {
    let pairs = FIELDS.iter().map(|(name, first, second)| {
        let value = match side {
            Side::First => first,
            Side::Second => second,
        };
        ((*name).to_owned(), json!(value))
    });
    Value::Object(pairs.collect())
}

/// The contact id and e-mail address of a generated user.
pub(crate) fn person(id: u64) -> (String, String) {
    (
        format!("{id:08x}-0000-4000-8000-000000000000"),
        format!("person{id}@example.test"),
    )
}

/// Makes an authority and a certificate for `localhost`, on the curve that most services use.
fn certify(folder: &Path) -> Result<()> {
    let openssl = |arguments: &[&str]| -> Result<()> {
        let request = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ];
        let made = Command::new("openssl")
            .args(request)
            .args(arguments)
            .current_dir(folder)
            .output()?;
        ensure!(
            made.status.success(),
            "openssl: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Ok(())
    };
    openssl(&[
        "-subj",
        "/CN=bench authority",
        "-keyout",
        "ca-key.pem",
        "-out",
        "ca.pem",
    ])?;
    openssl(&[
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca-key.pem",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
    ])
}

/// Puts users straight into the tables, as a shop of that size has them.
pub(crate) fn populate(shop: &Shop, users: u64) -> Result<()> {
    let mut root = shop.database.root();
    root.query_drop("SET unique_checks = 0, foreign_key_checks = 0")?;
    let keys: Vec<String> = META
        .iter()
        .map(|(key, _)| format!("SELECT '{key}' AS k"))
        .collect();
    let values: Vec<String> = META
        .iter()
        .map(|(key, value)| format!("WHEN '{key}' THEN {value}"))
        .collect();
    let (keys, values) = (keys.join(" UNION ALL "), values.join(" "));
    let have: Option<u64> = root.query_first("SELECT MAX(ID) FROM wp_users")?;
    let (mut next, end) = (have.unwrap_or(0).max(FIRST - 1) + 1, FIRST + users);
    while next < end {
        let last = (next + PIECE).min(end) - 1;
        root.query_drop(format!(
            "INSERT INTO wp_users (ID, user_login, user_pass, user_nicename, user_email, user_registered, display_name) \
             SELECT seq, CONCAT('person', seq, '@example.test'), '$P$Bxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', CONCAT('person', seq), \
             CONCAT('person', seq, '@example.test'), '2024-01-01 00:00:00', CONCAT('Person ', seq) FROM seq_{next}_to_{last} s"
        ))?;
        root.query_drop(format!(
            "INSERT INTO wp_usermeta (user_id, meta_key, meta_value) \
             SELECT s.seq, k.k, CASE k.k {values} END FROM seq_{next}_to_{last} s CROSS JOIN ({keys}) k ORDER BY s.seq"
        ))?;
        next = last + 1;
    }
    root.query_drop("UPDATE wp_options SET option_value = (SELECT COUNT(*) FROM wp_users) WHERE option_name = 'user_count'")?;
    root.query_drop("ANALYZE TABLE wp_users, wp_usermeta")?;
    Ok(())
}
