//! A site with the program in place, behind a real web server, and doctor at its owner's terminal.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::golden;
use crate::hosting::start_fcgiwrap;
use crate::hosting::{Apache, Gateway, Guarded, Hosting, Layout, Nginx, Php, Shop, is_root};
use crate::support::bento::{Bento, Subscriber, World};
use crate::support::database::PASSWORD;
use crate::support::recording::Base;

/// An access key that nobody guesses.
pub(crate) const KEY: &str = "k7Qw2mZx9Lr4Tb6Vn1Ys8Pd3Hf5Jg0Ac";
/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_bento-webhooks");

/// A site, its web server and its Bento.
pub(crate) struct Patient {
    server: Server,
    pub(crate) bento: Option<Bento>,
    others: Vec<Shop>,
}

/// How setup ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Install {
    /// It tries and proves everything.
    Proven,
    /// It is told to ask nobody, as the host would not let it end well.
    Unproven,
}

/// The web server in front.
enum Server {
    Apache(Apache),
    Nginx {
        nginx: Nginx,
        program: Option<Guarded>,
    },
}

/// What doctor said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) text: String,
    pub(crate) errors: String,
}

impl Said {
    /// Ids of what is not fine, each once, in order.
    pub(crate) fn problems(&self) -> Vec<String> {
        let json: Value = serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{self}"));
        let findings = json["findings"].as_array().unwrap();
        let mut ids: Vec<String> = findings
            .iter()
            .filter(|finding| finding["level"] == "failure" || finding["level"] == "warning")
            .map(|finding| finding["id"].as_str().unwrap().to_owned())
            .collect();
        ids.dedup();
        ids
    }
}

impl fmt::Display for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}\n{}\nexit {}",
            self.text, self.errors, self.code
        )
    }
}

impl Patient {
    /// A whole site behind Apache with php-fpm and mod_cgid.
    pub(crate) fn new() -> Option<Patient> {
        Patient::behind(Hosting::everything(Php::Fpm, Gateway::Cgid))
    }

    /// A whole site, but for what this Apache forbids.
    pub(crate) fn behind(hosting: Hosting) -> Option<Patient> {
        Patient::with(hosting, Install::Unproven)
    }

    /// A site behind this Apache.
    pub(crate) fn with(hosting: Hosting, install: Install) -> Option<Patient> {
        let apache = Apache::serve(hosting, Layout::Root)?;
        let patient = Patient::fused(Server::Apache(apache));
        patient.install(install);
        let shop = patient.shop();
        // Not one of WordPress's tables.
        shop.sql(&["CREATE TABLE kept AS SELECT * FROM wp_options"]);
        Some(patient)
    }

    /// A network of two sites behind Apache, of which the second has the first one's settings of WP Fusion.
    pub(crate) fn on_network() -> Option<Patient> {
        let hosting = Hosting::everything(Php::Fpm, Gateway::Cgid);
        let apache = Apache::start(Shop::network()?, hosting);
        let patient = Patient::fused(Server::Apache(apache));
        patient.install(Install::Unproven);
        patient.shop().sql(&[
            "REPLACE INTO wp_2_options (option_name, option_value, autoload) \
             SELECT option_name, option_value, autoload FROM wp_options WHERE option_name IN ('wpf_options', 'active_plugins')",
        ]);
        Some(patient)
    }

    /// A site behind nginx and fcgiwrap; `None` where this is not root, who alone may set nginx up.
    pub(crate) fn behind_nginx() -> Option<Patient> {
        if !is_root() {
            eprintln!("not tested: nginx is set up by root");
            return None;
        }
        let nginx = Nginx::serve(Layout::Root)?;
        let mut patient = Patient::fused(Server::Nginx {
            nginx,
            program: None,
        });
        let (shop, prefix) = (patient.shop(), patient.prefix());
        let socket = patient.socket();
        let started = start_fcgiwrap(&shop.owner, &prefix.join("bin/bento-webhooks"), &socket);
        copy_program(shop);
        let mut command = Command::new(shop.home.join("bento-webhooks"));
        command.args(["setup", "--yes", "--owner", "--recipe", "nginx"]);
        for (option, path) in [
            ("--path", &shop.wordpress),
            ("--prefix", &prefix),
            ("--nginx", &patient.nginx_folder()),
            ("--socket", &socket),
        ] {
            command.arg(option).arg(path);
        }
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}\n{}", patient.errors());
        if let Server::Nginx { program, .. } = &mut patient.server {
            *program = Some(started);
        }
        Some(patient)
    }

    /// A site with WP Fusion and a Bento.
    fn fused(server: Server) -> Patient {
        let mut patient = Patient {
            server,
            bento: None,
            others: Vec::new(),
        };
        let plugins = json!(["wp-fusion/wp-fusion.php"]);
        patient.shop().set_option("active_plugins", &plugins);
        patient.put_plugin();
        patient.start_bento();
        patient.settings(&[]);
        patient
    }

    /// The owner's side.
    pub(crate) fn shop(&self) -> &Shop {
        match &self.server {
            Server::Apache(apache) => &apache.shop,
            Server::Nginx { nginx, .. } => &nginx.shop,
        }
    }

    /// The same, to change wp-config.php.
    pub(crate) fn shop_mut(&mut self) -> &mut Shop {
        match &mut self.server {
            Server::Apache(apache) => &mut apache.shop,
            Server::Nginx { nginx, .. } => &mut nginx.shop,
        }
    }

    /// Where nginx has its files.
    pub(crate) fn nginx_folder(&self) -> PathBuf {
        match &self.server {
            Server::Apache(_) => panic!("this is Apache"),
            Server::Nginx { nginx, .. } => nginx.folder.clone(),
        }
    }

    /// Stops what starts the program for nginx.
    pub(crate) fn stop_program(&mut self) {
        if let Server::Nginx { program, .. } = &mut self.server {
            *program = None;
        }
    }

    /// Where that listens.
    fn socket(&self) -> PathBuf {
        self.shop().root.join("run/bento-webhooks.sock")
    }

    /// Starts it again.
    pub(crate) fn start_program(&mut self) {
        let (owner, socket) = (self.shop().owner.clone(), self.socket());
        drop(fs::remove_file(&socket));
        let started = start_fcgiwrap(&owner, &self.prefix().join("bin/bento-webhooks"), &socket);
        if let Server::Nginx { program, .. } = &mut self.server {
            *program = Some(started);
        }
    }

    fn errors(&self) -> String {
        match &self.server {
            Server::Apache(apache) => apache.errors(),
            Server::Nginx { nginx, .. } => nginx.errors(),
        }
    }

    /// A Bento that knows everything that is mapped, at an address that wp-config.php names.
    fn start_bento(&mut self) {
        let base = Base::load("newest");
        let mut world = World::new(base.account(), &base.tags());
        let sue = "c0ffee00-0000-4000-8000-000000000003";
        let sue = Subscriber::new(sue, "sue@example.test", &["13"]).with_fields(fields(&base));
        world.subscribers.push(sue);
        let bento = Bento::start(world);
        let address = format!("'{}'", bento.api_url());
        self.shop_mut().define("BENTO_WEBHOOKS_API_URL", &address);
        self.bento = Some(bento);
    }

    fn put_plugin(&self) {
        let shop = self.shop();
        let plugin = shop.wordpress.join("wp-content/plugins/wp-fusion");
        fs::create_dir_all(&plugin).unwrap();
        let header = "<?php\n/* Plugin Name: WP Fusion */\n";
        fs::write(plugin.join("wp-fusion.php"), header).unwrap();
        shop.owner.own(&plugin);
    }

    /// Keeps another site as long as this one.
    pub(crate) fn keep(&mut self, other: Shop) {
        self.others.push(other);
    }

    /// WP Fusion's settings with some of them changed.
    pub(crate) fn settings(&self, changes: &[(&str, Value)]) {
        let shop = self.shop();
        let mut settings = shop.wp_fusion();
        settings["access_key"] = json!(KEY);
        for (name, value) in changes {
            settings[*name] = value.clone();
        }
        shop.set_option("wpf_options", &settings);
    }

    /// Defines a constant before all others, until Bento is started anew.
    pub(crate) fn define(&self, name: &str, value: &str) {
        let file = self.shop().wordpress.join("wp-config.php");
        let text = fs::read_to_string(&file).unwrap();
        let text = text.replacen(
            "<?php",
            &format!("<?php\ndefine( '{name}', '{value}' );"),
            1,
        );
        self.write(&file, &text);
    }

    /// The folder of the program.
    pub(crate) fn prefix(&self) -> PathBuf {
        self.shop().home.join(".bento-webhooks")
    }

    /// The file that the web server starts.
    pub(crate) fn stub(&self) -> PathBuf {
        self.shop().front.join("bento-webhooks/receive")
    }

    /// Writes a file of the site as its owner.
    pub(crate) fn write(&self, path: &std::path::Path, text: &str) {
        fs::write(path, text).unwrap();
        self.shop().owner.own(path);
    }

    /// Puts lines before everything else in the `.htaccess` of the home address.
    pub(crate) fn put_first(&self, lines: &str) {
        let path = self.shop().htaccess();
        let old = fs::read_to_string(&path).unwrap();
        self.write(&path, &format!("{lines}\n{old}"));
    }

    /// Appends lines to the `.htaccess` of the home address.
    pub(crate) fn append(&self, lines: &str) {
        let path = self.shop().htaccess();
        let old = fs::read_to_string(&path).unwrap();
        self.write(&path, &format!("{old}\n{lines}\n"));
    }

    /// Installs the program as its owner would.
    fn install(&self, install: Install) {
        let shop = self.shop();
        let copy = copy_program(shop);
        let mut command = shop.owner.command(&copy);
        command
            .args(["setup", "--yes", "--path"])
            .arg(&shop.wordpress);
        let code = match install {
            Install::Proven => 0,
            Install::Unproven => {
                command.args(["--no-web-test", "--recipe", "1"]);
                4
            }
        };
        let output = command.env("HOME", &shop.home).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{text}\n{errors}\n{}",
            self.errors()
        );
    }

    /// Runs doctor as the owner of the site, in the folder of WordPress.
    pub(crate) fn doctor(&self, arguments: &[&str]) -> Said {
        let arguments = [&["doctor"], arguments].concat();
        self.run(&self.shop().home.join("bento-webhooks"), &arguments, b"")
    }

    /// The same at a terminal, where somebody types this.
    pub(crate) fn doctor_at_terminal(&self, arguments: &[&str], typed: &str) -> Said {
        let program = self.shop().home.join("bento-webhooks");
        let line = format!("{} doctor {}", program.display(), arguments.join(" "));
        let arguments = ["-qec", &line, "/dev/null"];
        self.run(std::path::Path::new("script"), &arguments, typed.as_bytes())
    }

    /// The same below a limit that prlimit(1) knows.
    pub(crate) fn doctor_within(&self, limit: &str, arguments: &[&str]) -> Said {
        let program = self.shop().home.join("bento-webhooks");
        let program = program.display().to_string();
        let arguments = [&[limit, program.as_str(), "doctor"], arguments].concat();
        self.run(std::path::Path::new("prlimit"), &arguments, b"")
    }

    /// Does what waits, as the cron job does.
    pub(crate) fn work(&self) -> Said {
        let folder = self.shop().wordpress.display().to_string();
        let program = self.prefix().join("bin/bento-webhooks");
        self.run(&program, &["work", "--now", "--path", &folder], b"")
    }

    /// Whether the program answers a POST to the webhook address.
    pub(crate) fn answers(&self) -> bool {
        let address = format!("{}/?wpf_action=test&access_key={KEY}", self.shop().address);
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .new_agent();
        let answer = agent.post(address).send("{}").unwrap();
        answer.headers().contains_key("x-bento-webhooks")
    }

    /// The same as root, who alone may set nginx up.
    pub(crate) fn doctor_as_root(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(self.shop().home.join("bento-webhooks"));
        command.arg("doctor").args(arguments);
        self.run_as(command, b"")
    }

    /// Runs a command as the owner of the site. The program is not the installed one, which may be what is broken.
    fn run(&self, program: &std::path::Path, arguments: &[&str], typed: &[u8]) -> Said {
        let mut command = self.shop().owner.command(program);
        command.args(arguments);
        self.run_as(command, typed)
    }

    /// Runs a command in the folder of WordPress.
    fn run_as(&self, mut command: Command, typed: &[u8]) -> Said {
        let shop = self.shop();
        command
            .env("HOME", &shop.home)
            .env("TERM", "xterm")
            .current_dir(&shop.wordpress)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let said = Said {
            code: output.status.code().unwrap_or(-1),
            text: text(output.stdout),
            errors: text(output.stderr),
        };
        self.nothing_secret_in(&said);
        said
    }

    /// Breaks the site, has doctor name the break, and makes the site whole again: settings, plugins, wp-config.php, Bento.
    pub(crate) fn breaks(
        &mut self,
        name: &str,
        ids: &str,
        code: i32,
        harm: impl FnOnce(&mut Patient),
    ) {
        harm(self);
        self.is_broken_at(ids, code, name);
        let shop = self.shop();
        shop.sql(&[
            "DELETE FROM wp_options",
            "INSERT INTO wp_options SELECT * FROM kept",
        ]);
        let content = shop.wordpress.join("wp-content");
        drop(fs::remove_file(content.join("object-cache.php")));
        self.put_plugin();
        self.start_bento();
    }

    /// Doctor names these checks and no other, with this exit code; what it says is kept under this name.
    pub(crate) fn is_broken_at(&self, ids: &str, code: i32, name: &str) {
        let (json, said) = (self.doctor(&["--json"]), self.doctor(&[]));
        let errors = self.errors();
        assert_eq!(
            json.problems().join(" "),
            ids,
            "{name}
{said}
{errors}"
        );
        assert_eq!(said.code, code, "{name}\n{said}");
        self.says(&[], name);
    }

    /// What doctor says is what is kept under this name.
    pub(crate) fn says(&self, arguments: &[&str], name: &str) {
        let said = self.doctor(arguments);
        golden::compare(&format!("doctor/{name}.txt"), &self.evened(&said.text));
    }

    /// What differs from run to run, made equal.
    pub(crate) fn evened(&self, text: &str) -> String {
        let shop = self.shop();
        let version = env!("CARGO_PKG_VERSION");
        let text = text
            .replace(&format!("127.0.0.1:{}", shop.port), "127.0.0.1:PORT")
            .replace(&shop.home.display().to_string(), "~")
            .replace(&shop.root.display().to_string(), "ROOT")
            .replace(shop.database.name(), "DATABASE")
            .replace(&format!("runs as {}", shop.owner.name), "runs as OWNER")
            .replace(version, "VERSION");
        let port = regex_lite::Regex::new(r"(localhost|\.invalid):\d+").unwrap();
        let text = port.replace_all(&text, "$1:PORT");
        let text = golden::without_numbers(&text, "ms|s\\.|s ago|s off|GB disk|MB disk|bytes|days");
        text.replace("N GB disk", "N MB disk")
    }

    fn nothing_secret_in(&self, said: &Said) {
        let account = Base::load("newest").account();
        for secret in [
            KEY,
            PASSWORD,
            &account.secret_key,
            &account.publishable_key,
            &account.site_uuid,
        ] {
            assert!(
                !said.text.contains(secret) && !said.errors.contains(secret),
                "{said}"
            );
        }
    }
}

/// Puts the program where the owner can start it. Not by this process: while another thread starts something, the file would
/// count as open for writing.
fn copy_program(shop: &Shop) -> PathBuf {
    let copy = shop.home.join("bento-webhooks");
    let copied = Command::new("cp").arg(PROGRAM).arg(&copy).status();
    assert!(copied.unwrap().success());
    copy
}

/// A value for every field of Bento that is mapped.
fn fields(base: &Base) -> Value {
    let mapped = base.json["wpf_options"]["contact_fields"]
        .as_object()
        .unwrap();
    let names = mapped.values().filter_map(|row| row["crm_field"].as_str());
    names.map(|name| (name.to_owned(), json!("x"))).collect()
}
