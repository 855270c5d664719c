//! Builds the programs, starts the servers, and lines the contenders up.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::contender::{Contender, Way};
use crate::ground::{Action, Ground};
use crate::hosting::{Apache, Gateway, Hosting, KEY, Layout, Nginx, Php, Shop};
use crate::support::cgi::Program;
use crate::support::database::Server;

/// The lines of recipe B in WordPress's `.htaccess`.
const HTACCESS: &str = r"RewriteEngine On
RewriteCond %{QUERY_STRING} (?:^|&)wpf(?:_|%5[Ff])action=(?i:add|update|update(?:_|%5f)tags|test)(?:%20|\+)*(?:&|$)
RewriteRule ^(?:index\.php)?$ /bento-webhooks/receive [END]
";
const OWN_HTACCESS: &str =
    "Options +ExecCGI\n<Files \"receive\">\nSetHandler cgi-script\n</Files>\n";
const NGINX_MAP: &str = "map $arg_wpf_action $bento_webhook { default 0; ~. 1; }\n";
/// A slow machine needs a moment to take a new configuration up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is run.
pub(crate) struct Programs {
    pub(crate) ours: PathBuf,
    pub(crate) floor: PathBuf,
}

impl Programs {
    /// Builds what is measured as this benchmark was built, so that nothing old is measured.
    pub(crate) fn build() -> Result<Programs> {
        let own = env::current_exe()?;
        let folder = own
            .parent()
            .and_then(Path::parent)
            .context("this program is in no folder")?;
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([
            "build",
            "--quiet",
            "--locked",
            "--bins",
            "--example",
            "floor",
        ]);
        // What cargo tells the programs that it starts would make another cargo build everything anew.
        let is_told =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST");
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(is_told) {
                cargo.env_remove(name);
            }
        }
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        if cfg!(target_env = "musl") {
            cargo.args(["--target", "x86_64-unknown-linux-musl"]);
        }
        ensure!(cargo.status()?.success(), "cargo build failed");
        Ok(Programs {
            ours: folder.join("bento-webhooks"),
            floor: folder.join("examples/floor"),
        })
    }
}

/// Bento, shops and servers.
pub(crate) struct Stage {
    pub(crate) ground: Ground,
    scripts: PathBuf,
    /// The floor's own: it leaves things half done.
    floor: Shop,
    bare: Option<Shop>,
    nginx: Option<Nginx>,
    apache: Option<Apache>,
}

const NO_WORDPRESS: &str = "WordPress is missing: tests/wordpress/unpack trixie";

impl Stage {
    /// Without web servers.
    pub(crate) fn bare(programs: &Programs, users: u64) -> Result<Stage> {
        let mut stage = Stage::empty(programs, users)?;
        let mut shop = Shop::new(Layout::Root).context(NO_WORDPRESS)?;
        stage.ground.equip(&mut shop, &programs.ours, users)?;
        stage.bare = Some(shop);
        Ok(stage)
    }

    /// With Apache, nginx and PHP.
    pub(crate) fn full(programs: &Programs, users: u64) -> Result<Stage> {
        let mut stage = Stage::empty(programs, users)?;
        let mut shop = Shop::new(Layout::Root).context(NO_WORDPRESS)?;
        let program = stage.ground.equip(&mut shop, &programs.ours, users)?;
        stage.nginx = Some(nginx(shop, &program)?);
        let mut shop = Shop::new(Layout::Root).context(NO_WORDPRESS)?;
        let program = stage.ground.equip(&mut shop, &programs.ours, users)?;
        write_recipe(&shop, &program)?;
        let apache = Apache::start(shop, Hosting::everything(Php::Fpm, Gateway::Cgid));
        await_program(&apache.shop.address)?;
        stage.apache = Some(apache);
        Ok(stage)
    }

    fn empty(programs: &Programs, users: u64) -> Result<Stage> {
        let scripts = Server::shared().new_folder();
        let ground = Ground::start(&scripts)?;
        let mut floor = Shop::new(Layout::Root).context(NO_WORDPRESS)?;
        ground.equip(&mut floor, &programs.ours, users)?;
        Ok(Stage {
            ground,
            scripts,
            floor,
            bare: None,
            nginx: None,
            apache: None,
        })
    }

    /// The shop that the program works on when it is started without a web server.
    pub(crate) fn shop(&self) -> Option<&Shop> {
        self.bare
            .as_ref()
            .or(self.nginx.as_ref().map(|nginx| &nginx.shop))
    }

    /// Defines a constant in the shops behind the web servers; the value is PHP.
    pub(crate) fn define(&mut self, name: &str, value: &str) {
        let nginx = self.nginx.as_mut().map(|nginx| &mut nginx.shop);
        let apache = self.apache.as_mut().map(|apache| &mut apache.shop);
        for shop in nginx.into_iter().chain(apache) {
            shop.define(name, value);
        }
    }

    /// Everybody who is measured; the floor follows what the program is seen to do.
    pub(crate) fn contenders(&self, programs: &Programs) -> Result<Vec<Contender<'_>>> {
        let shop = self.shop().context("no shop")?;
        let program = |file: &Path, shop: &Shop| Program::new(file, &shop.wordpress);
        let model = Way::Started(program(&programs.ours, &self.floor));
        self.record(&contender("ours", model, &self.floor, 0))?;
        let floor = Way::Scripted(program(&programs.floor, &self.floor), self.scripts.clone());
        let ours = Way::Started(program(&programs.ours, shop));
        let mut contenders = vec![
            contender("the floor", floor, &self.floor, 1),
            contender("ours", ours, shop, 6),
        ];
        if let (Some(nginx), Some(apache)) = (&self.nginx, &self.apache) {
            let stub = Program::new(
                apache.shop.public.join("bento-webhooks/receive"),
                &apache.shop.wordpress,
            );
            let asked = |shop: &Shop| Way::Asked(shop.address.clone());
            contenders.push(contender(
                "ours, by its stub",
                Way::Started(stub),
                &apache.shop,
                2,
            ));
            contenders.push(contender(
                "ours, Apache",
                asked(&apache.shop),
                &apache.shop,
                3,
            ));
            contenders.push(contender("ours, nginx", asked(&nginx.shop), &nginx.shop, 4));
            let mut wordpress = contender("WordPress", asked(&nginx.shop), &nginx.shop, 5);
            wordpress.parameter = "php_action";
            contenders.push(wordpress);
        }
        Ok(contenders)
    }

    /// Records what the program sends, for the floor to send the same. The second run is the usual one.
    fn record(&self, ours: &Contender<'_>) -> Result<()> {
        for action in Action::ALL {
            ours.webhook(&self.ground, action, 0)?;
            let counts = ours.counts(&self.ground, action, 0)?;
            crate::contender::write_script(
                &self.scripts,
                action,
                ours.shop,
                &self.ground.authority,
                &counts.sent,
            )?;
        }
        Ok(())
    }
}

fn contender<'a>(name: &'static str, way: Way, shop: &'a Shop, number: u64) -> Contender<'a> {
    Contender {
        name,
        way,
        parameter: "wpf_action",
        shop,
        number,
    }
}

/// Recipe B: a folder beside WordPress, and the lines that lead there.
fn write_recipe(shop: &Shop, program: &Path) -> Result<()> {
    let folder = shop.public.join("bento-webhooks");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(".htaccess"), OWN_HTACCESS)?;
    let stub = folder.join("receive");
    let text = format!(
        "#!/bin/sh\nBENTO_WEBHOOKS_WORDPRESS=\"{}\"\nexport BENTO_WEBHOOKS_WORDPRESS\nexec \"{}\"\n",
        shop.wordpress.display(),
        program.display()
    );
    fs::write(&stub, text)?;
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755))?;
    let htaccess = fs::read_to_string(shop.htaccess())?;
    fs::write(shop.htaccess(), format!("{HTACCESS}{htaccess}"))?;
    shop.owner.own(&shop.public);
    Ok(())
}

/// nginx with fcgiwrap for the program.
fn nginx(shop: Shop, program: &Path) -> Result<Nginx> {
    let mut nginx = Nginx::start(shop);
    let socket = nginx.wrap(program);
    fs::write(nginx.folder.join("conf.d/bento-webhooks.conf"), NGINX_MAP)?;
    let site = nginx.folder.join("sites-enabled/shop.conf");
    let text = fs::read_to_string(&site)?;
    let own = format!(
        "if ($bento_webhook) {{ rewrite ^ /.bento-webhooks last; }}
  location = /.bento-webhooks {{
    internal;
    include fastcgi_params;
    fastcgi_param SCRIPT_FILENAME {};
    fastcgi_param BENTO_WEBHOOKS_WORDPRESS {};
    fastcgi_param HTTP_HOST $http_host;
    fastcgi_pass unix:{};
  }}
  location / {{",
        program.display(),
        nginx.shop.wordpress.display(),
        socket.display()
    );
    fs::write(&site, text.replacen("location / {", &own, 1))?;
    // As many as a distribution sets, so that a burst gets in.
    let main = nginx.folder.join("nginx.conf");
    let text = fs::read_to_string(&main)?;
    fs::write(
        &main,
        text.replace("worker_connections 64", "worker_connections 768"),
    )?;
    let pid = fs::read_to_string(nginx.shop.root.join("run/nginx.pid"))?;
    let reload = Command::new("sh")
        .args(["-c", &format!("kill -s HUP {}", pid.trim())])
        .status()?;
    ensure!(
        reload.success(),
        "nginx cannot be told to read its files again"
    );
    await_program(&nginx.shop.address)?;
    Ok(nginx)
}

/// Waits until the program answers at the address.
fn await_program(address: &str) -> Result<()> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent();
    let begun = Instant::now();
    loop {
        let answer = agent
            .get(format!("{address}/?wpf_action=test&access_key={KEY}"))
            .call()?;
        if answer.headers().contains_key("X-Bento-Webhooks") && answer.status() == 200 {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "the web server does not start the program: {}",
            answer.status()
        );
        // Servers do not say when they have read their files.
        thread::sleep(Duration::from_millis(50));
    }
}
