//! A site with the program in place, behind a real web server, and doctor at its owner's terminal.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::hosting::{Apache, Gateway, Hosting, Layout, Php};
use crate::support::bento::{Bento, Subscriber, World};
use crate::support::recording::Base;

/// An access key that nobody guesses.
pub(crate) const KEY: &str = "k7Qw2mZx9Lr4Tb6Vn1Ys8Pd3Hf5Jg0Ac";

/// A site, its web server and its Bento.
pub(crate) struct Patient {
    pub(crate) apache: Apache,
    pub(crate) bento: Bento,
}

/// What doctor said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) text: String,
    pub(crate) errors: String,
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

    /// A site behind an Apache set up like this.
    pub(crate) fn behind(hosting: Hosting) -> Option<Patient> {
        let mut apache = Apache::serve(hosting, Layout::Root)?;
        let base = Base::load("newest");
        let mut world = World::new(base.account(), &base.tags());
        let mut known = Subscriber::new(
            "c0ffee00-0000-4000-8000-000000000003",
            "sue@example.test",
            &["13"],
        );
        known.fields = fields(&base);
        world.subscribers.push(known);
        let bento = Bento::start(world);
        let shop = &mut apache.shop;
        shop.define("BENTO_WEBHOOKS_API_URL", &format!("'{}'", bento.api_url()));
        let plugin = shop.wordpress.join("wp-content/plugins/wp-fusion");
        fs::create_dir_all(&plugin).unwrap();
        fs::write(
            plugin.join("wp-fusion.php"),
            "<?php\n/* Plugin Name: WP Fusion */\n",
        )
        .unwrap();
        shop.owner.own(&plugin);
        shop.set_option("active_plugins", &json!(["wp-fusion/wp-fusion.php"]));
        let patient = Patient { apache, bento };
        patient.settings(&[("access_key", json!(KEY))]);
        patient.install();
        Some(patient)
    }

    /// WP Fusion's settings with some of them changed.
    pub(crate) fn settings(&self, changes: &[(&str, Value)]) {
        let shop = &self.apache.shop;
        let mut settings = shop.wp_fusion();
        settings["access_key"] = json!(KEY);
        for (name, value) in changes {
            settings[*name] = value.clone();
        }
        shop.set_option("wpf_options", &settings);
    }

    /// The folder of the program.
    pub(crate) fn prefix(&self) -> PathBuf {
        self.apache.shop.home.join(".bento-webhooks")
    }

    fn install(&self) {
        let shop = &self.apache.shop;
        let bin = self.prefix().join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::copy(
            env!("CARGO_BIN_EXE_bento-webhooks"),
            bin.join("bento-webhooks"),
        )
        .unwrap();
        let folder = shop.front.join("bento-webhooks");
        fs::create_dir_all(&folder).unwrap();
        let stub = format!(
            "#!/bin/sh\nBENTO_WEBHOOKS_WORDPRESS='{}'\nexport BENTO_WEBHOOKS_WORDPRESS\nexec '{}'\n",
            shop.wordpress.display(),
            bin.join("bento-webhooks").display()
        );
        fs::write(folder.join("receive"), stub).unwrap();
        fs::set_permissions(folder.join("receive"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(
            folder.join(".htaccess"),
            "Options +ExecCGI -Indexes\nRequire all denied\n<Files \"receive\">\nSetHandler cgi-script\nRequire all granted\n</Files>\nRewriteEngine On\nRewriteCond %{THE_REQUEST} \"^[A-Z]+ [^ ?]*/bento-webhooks/\"\nRewriteRule ^ - [F]\n",
        )
        .unwrap();
        let block = "# BEGIN Bento Webhooks\nRewriteEngine On\nRewriteCond %{QUERY_STRING} (?:^|&)wpf(?:_|%5[Ff])action=(?i:add|update|update(?:_|%5f)tags|test)(?:%20|\\+)*(?:&|$)\nRewriteRule ^(?:index\\.php)?$ /bento-webhooks/receive [END]\n# END Bento Webhooks\n\n";
        let old = fs::read_to_string(shop.htaccess()).unwrap();
        fs::write(shop.htaccess(), format!("{block}{old}")).unwrap();
        for path in [self.prefix(), folder, shop.htaccess()] {
            shop.owner.own(&path);
        }
    }

    /// Runs doctor as the owner of the site, in the folder of WordPress.
    pub(crate) fn doctor(&self, arguments: &[&str]) -> Said {
        let shop = &self.apache.shop;
        let mut command = shop.owner.command(self.prefix().join("bin/bento-webhooks"));
        command
            .arg("doctor")
            .args(arguments)
            .env("HOME", &shop.home);
        let output = command.current_dir(&shop.wordpress).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            text: text(output.stdout),
            errors: text(output.stderr),
        }
    }
}

/// A value for every field of Bento that is mapped.
fn fields(base: &Base) -> Value {
    let mapped = base.json["wpf_options"]["contact_fields"]
        .as_object()
        .unwrap();
    let names = mapped.values().filter_map(|row| row["crm_field"].as_str());
    names.map(|name| (name.to_owned(), json!("x"))).collect()
}
