//! A site as its owner has it: a home folder with a document root, real WordPress in it, a database, WP Fusion's settings.
//!
//! WordPress is installed once for each test process, by its own installer; every shop gets a copy of its tables and of its
//! top-level files. The folders `wp-includes` and `wp-admin` are shared, they hold nothing of a site.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use mysql::prelude::Queryable as _;
use serde_json::json;

use super::guard::free_port;
use super::user::User;
use crate::support::database::{Database, Server};
use crate::support::php::serialize;
use crate::support::recording::Base;
use crate::wordpress::{Release, WordPress, check, config, php};

/// WP Fusion's access key of every shop.
pub const KEY: &str = "a1b2c3d4";
/// Path of the second site of a network.
pub const SECOND: &str = "/second/";
/// Its access key.
pub const SECOND_KEY: &str = "z9y8x7w6";
/// What the home page says when WordPress made it.
pub const HOME_PAGE: &str = "This page was made by WordPress.";
/// The release that the shops run.
const RELEASE: Release = Release {
    suite: "trixie",
    version: (6, 8),
};
/// A theme as small as can be; Debian packs none with WordPress.
const THEME: &str = "<?php header( 'X-Made-By: WordPress' ); ?>
<!DOCTYPE html>
<title><?php bloginfo( 'name' ); ?></title>
<p>This page was made by WordPress.</p>
<p><?php echo esc_html( $_SERVER['REQUEST_METHOD'] . ' ' . strlen( file_get_contents( 'php://input' ) ) ); ?></p>
";

/// What WordPress tells the owner of a network in folders to put into `.htaccess`; it does not do so itself.
const NETWORK_RULES: &str = "# BEGIN WordPress
RewriteEngine On
RewriteBase /
RewriteRule ^index\\.php$ - [L]
RewriteRule ^([_0-9a-zA-Z-]+/)?wp-admin$ $1wp-admin/ [R=301,L]
RewriteCond %{REQUEST_FILENAME} -f [OR]
RewriteCond %{REQUEST_FILENAME} -d
RewriteRule ^ - [L]
RewriteRule ^([_0-9a-zA-Z-]+/)?(wp-(content|admin|includes).*) $2 [L]
RewriteRule ^([_0-9a-zA-Z-]+/)?(.*\\.php)$ $2 [L]
RewriteRule . index.php [L]
# END WordPress
";

/// Requests of the site to itself would wait for a worker of a small test server; those to others must not leave.
const QUIET: &str = "<?php
defined( 'DISABLE_WP_CRON' ) || define( 'DISABLE_WP_CRON', true );
defined( 'WP_HTTP_BLOCK_EXTERNAL' ) || define( 'WP_HTTP_BLOCK_EXTERNAL', true );
";

/// Where WordPress is, seen from the document root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In the document root, at `/`.
    Root,
    /// In `blog/`, at `/blog/`.
    Folder,
    /// Files in `wp/`, home at `/`.
    OwnFolder,
}

/// A site that a web server may serve; database and folders go when dropped.
pub struct Shop {
    pub database: Database<'static>,
    /// Holds everything, and what the server needs.
    pub root: PathBuf,
    /// The owner's home.
    pub home: PathBuf,
    /// The document root.
    pub public: PathBuf,
    /// The folder of WordPress: `ABSPATH`.
    pub wordpress: PathBuf,
    /// The folder that the home address leads to.
    pub front: PathBuf,
    pub port: u16,
    /// The home address, without a slash at its end.
    pub address: String,
    pub owner: User,
    constants: Vec<(String, String)>,
}

impl Shop {
    /// A shop under the temporary folder; `None` where WordPress is missing and this is not CI.
    pub fn new(layout: Layout) -> Option<Shop> {
        Shop::under(&std::env::temp_dir(), layout)
    }

    /// A network of two sites in one folder: this one, and one below [`SECOND`] with an access key of its own.
    pub fn network() -> Option<Shop> {
        let mut shop = Shop::new(Layout::Root)?;
        let folder = shop.wordpress.display().to_string();
        let made = php(
            "network.php",
            &[&folder, "http://127.0.0.1", "boss@example.test"],
            Vec::new(),
        );
        check(&made, "network.php");
        for (name, value) in [
            ("MULTISITE", "true"),
            ("SUBDOMAIN_INSTALL", "false"),
            ("DOMAIN_CURRENT_SITE", "'127.0.0.1'"),
            ("PATH_CURRENT_SITE", "'/'"),
            ("SITE_ID_CURRENT_SITE", "1"),
            ("BLOG_ID_CURRENT_SITE", "1"),
        ] {
            shop.define(name, value);
        }
        let question = json!([["make_site", SECOND, "Second"]]);
        let made = php(
            "ask.php",
            &[&folder, "http://127.0.0.1/"],
            question.to_string().into_bytes(),
        );
        assert_eq!(check(&made, "make_site"), "[2]");
        // WordPress makes networks at the usual ports alone.
        let host = format!("127.0.0.1:{}", shop.port);
        shop.define("DOMAIN_CURRENT_SITE", &format!("'{host}'"));
        let second = format!("{}{SECOND}", shop.address);
        shop.sql(&[
            &format!("UPDATE wp_blogs SET domain = '{host}'"),
            &format!("UPDATE wp_site SET domain = '{host}'"),
            &format!("UPDATE wp_sitemeta SET meta_value = '{}/' WHERE meta_key = 'siteurl'", shop.address),
            &format!("UPDATE wp_2_options SET option_value = '{}' WHERE option_name IN ('home', 'siteurl')", second.trim_end_matches('/')),
            "UPDATE wp_2_options SET option_value = 'plain' WHERE option_name IN ('template', 'stylesheet')",
        ]);
        let mut settings = shop.wp_fusion();
        settings["access_key"] = json!(SECOND_KEY);
        shop.sql(&[&format!(
            "INSERT INTO wp_2_options (option_name, option_value, autoload) VALUES ('wpf_options', '{}', 'on')",
            serialize(&settings).replace('\\', "\\\\").replace('\'', "\\'")
        )]);
        fs::write(shop.htaccess(), NETWORK_RULES).unwrap();
        shop.owner.own(&shop.home);
        Some(shop)
    }

    /// A shop under another folder.
    pub fn under(folder: &Path, layout: Layout) -> Option<Shop> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let template = Template::shared()?;
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let root = folder.join(format!(
            "bento-webhooks-shop-{}-{number}",
            std::process::id()
        ));
        drop(fs::remove_dir_all(&root));
        let home = root.join("home");
        let public = home.join("public_html");
        let (wordpress, front) = match layout {
            Layout::Root => (public.clone(), public.clone()),
            Layout::Folder => (public.join("blog"), public.join("blog")),
            Layout::OwnFolder => (public.join("wp"), public.clone()),
        };
        fs::create_dir_all(&wordpress).unwrap();
        for folder in [&root, &home, &public, &wordpress] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let port = free_port();
        let path = if layout == Layout::Folder {
            "/blog"
        } else {
            ""
        };
        let shop = Shop {
            database: Server::shared().database(),
            address: format!("http://127.0.0.1:{port}{path}"),
            root,
            home,
            public,
            wordpress,
            front,
            port,
            owner: User::owner(),
            constants: Vec::new(),
        };
        shop.copy_files(template, layout);
        template.copy_tables(&shop.database);
        shop.set_up(layout);
        shop.write_config();
        shop.save_permalinks();
        shop.owner.own(&shop.home.clone());
        Some(shop)
    }

    /// Defines a constant in `wp-config.php`; the value is PHP.
    pub fn define(&mut self, name: &str, value: &str) {
        self.constants.retain(|(known, _)| known != name);
        self.constants.push((name.to_owned(), value.to_owned()));
        self.write_config();
        self.owner.own(&self.wordpress.join("wp-config.php"));
    }

    /// Has WordPress write its own block into the `.htaccess` of the home address, as saving permalinks does.
    pub fn save_permalinks(&self) {
        let folder = self.wordpress.display().to_string();
        let file = self.htaccess().display().to_string();
        let output = php(
            "permalinks.php",
            &[&folder, &self.address, &file],
            Vec::new(),
        );
        check(&output, "permalinks.php");
        self.owner.own(&self.htaccess());
    }

    /// The `.htaccess` of the home address.
    pub fn htaccess(&self) -> PathBuf {
        self.front.join(".htaccess")
    }

    /// Runs statements with all rights.
    pub fn sql(&self, statements: &[&str]) {
        let mut root = self.database.root();
        for statement in statements {
            root.query_drop(statement).unwrap();
        }
    }

    /// Stores an option; the value is a text or becomes PHP's serialized form.
    pub fn set_option(&self, name: &str, value: &serde_json::Value) {
        let text = value
            .as_str()
            .map_or_else(|| serialize(value), str::to_owned);
        let sql =
            "REPLACE INTO wp_options (option_name, option_value, autoload) VALUES (?, ?, 'on')";
        self.database.root().exec_drop(sql, (name, text)).unwrap();
    }

    /// WP Fusion's settings as every shop begins with them.
    pub fn wp_fusion(&self) -> serde_json::Value {
        let mut settings = Base::load("newest").json["wpf_options"].clone();
        settings["access_key"] = json!(KEY);
        settings["site_url"] = json!("");
        settings
    }

    fn copy_files(&self, template: &Template, layout: Layout) {
        for entry in fs::read_dir(&template.tree).unwrap() {
            let path = entry.unwrap().path();
            let to = self.wordpress.join(path.file_name().unwrap());
            if path.is_dir() {
                symlink(&path, to).unwrap();
            } else {
                fs::copy(&path, to).unwrap();
            }
        }
        if layout == Layout::OwnFolder {
            let index = fs::read_to_string(self.wordpress.join("index.php")).unwrap();
            let index = index.replace("'/wp-blog-header.php'", "'/wp/wp-blog-header.php'");
            assert!(index.contains("/wp/wp-"), "{index}");
            fs::write(self.public.join("index.php"), index).unwrap();
        }
        let theme = self.wordpress.join("wp-content/themes/plain");
        fs::create_dir_all(&theme).unwrap();
        fs::create_dir_all(self.wordpress.join("wp-content/plugins")).unwrap();
        fs::write(theme.join("index.php"), THEME).unwrap();
        let always = self.wordpress.join("wp-content/mu-plugins");
        fs::create_dir_all(&always).unwrap();
        fs::write(always.join("quiet.php"), QUIET).unwrap();
        fs::write(theme.join("style.css"), "/*\nTheme Name: Plain\n*/\n").unwrap();
    }

    fn set_up(&self, layout: Layout) {
        let site = match layout {
            Layout::OwnFolder => format!("{}/wp", self.address),
            _ => self.address.clone(),
        };
        for (name, value) in [
            ("home", self.address.as_str()),
            ("siteurl", &site),
            ("template", "plain"),
            ("stylesheet", "plain"),
        ] {
            self.set_option(name, &json!(value));
        }
        self.set_option("wpf_options", &self.wp_fusion());
    }

    fn write_config(&self) {
        let config = config(&self.constants, &self.database);
        fs::write(self.wordpress.join("wp-config.php"), config).unwrap();
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.root));
    }
}

/// WordPress, installed once.
struct Template {
    tree: PathBuf,
    database: Database<'static>,
}

impl Template {
    fn shared() -> Option<&'static Template> {
        static SHARED: OnceLock<Option<Template>> = OnceLock::new();
        SHARED.get_or_init(Template::make).as_ref()
    }

    fn make() -> Option<Template> {
        let tree = RELEASE.tree()?;
        // The folder goes with the database server, however the tests end; the release may lie where no other user may look.
        let copy = Server::shared().new_folder();
        let command = "cp -R \"$1\"/wp-includes \"$1\"/wp-admin \"$1\"/[iwx]*.php \"$2\" && rm \"$2\"/wp-config.php && chmod -R go+rX \"$2\"";
        let copied = Command::new("sh")
            .args(["-c", command, "sh"])
            .args([&tree, &copy])
            .status();
        assert!(copied.unwrap().success());
        let installed = WordPress::single(RELEASE)?;
        let template = Template {
            tree: copy,
            database: Server::shared().database(),
        };
        copy_tables(&installed.database, &template.database);
        Some(template)
    }

    fn copy_tables(&self, to: &Database<'_>) {
        copy_tables(&self.database, to);
    }
}

fn copy_tables(from: &Database<'_>, to: &Database<'_>) {
    let mut root = to.root();
    let tables: Vec<String> = from.root().query("SHOW TABLES").unwrap();
    for table in tables {
        let source = format!("`{}`.`{table}`", from.name());
        root.query_drop(format!("CREATE TABLE `{table}` LIKE {source}"))
            .unwrap();
        root.query_drop(format!("INSERT INTO `{table}` SELECT * FROM {source}"))
            .unwrap();
    }
}
