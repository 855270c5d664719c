//! lighttpd and Caddy, with the files from `examples/` that an owner would take.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::apache::{fpm_socket, start_fpm};
use super::guard::{Guarded, listens};
use super::nginx::start_fcgiwrap;
use super::shop::{Layout, Shop};
use super::user::{User, is_root};

/// A running server of another kind, and the shop that it serves.
pub struct Other {
    pub shop: Shop,
    log: PathBuf,
    servers: Vec<Guarded>,
}

/// A file of `examples/` with an owner's own paths in it.
fn example(shop: &Shop, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains("/home/USER/public_html"), "{name}");
    let socket = shop
        .root
        .join("run/bento-webhooks.sock")
        .display()
        .to_string();
    text.replace("/home/USER", &shop.home.display().to_string())
        .replace("/run/bento-webhooks.sock", &socket)
}

impl Other {
    /// lighttpd with mod_cgi.
    pub fn lighttpd() -> Option<Other> {
        let shop = Shop::new(Layout::Root)?;
        let run = folder(&shop);
        fs::write(
            run.join("bento-webhooks.conf"),
            example(&shop, "lighttpd/bento-webhooks.conf"),
        )
        .unwrap();
        let user = match is_root() {
            true => format!(
                "server.username = \"{}\"\nserver.groupname = \"{}\"\n",
                shop.owner.name, shop.owner.group
            ),
            false => String::new(),
        };
        let text = format!(
            "server.document-root = \"{root}\"
server.bind = \"127.0.0.1\"
server.port = {port}
{user}server.errorlog = \"{run}/error.log\"
server.upload-dirs = ( \"{run}\" )
server.modules += ( \"mod_fastcgi\" )
index-file.names = ( \"index.php\" )
include \"{run}/bento-webhooks.conf\"
url.rewrite-if-not-file = ( \"^/([^?]*)(\\?.*)?$\" => \"/index.php$2\" )
fastcgi.server = ( \".php\" => (( \"socket\" => \"{fpm}\" )) )
",
            root = shop.public.display(),
            port = shop.port,
            run = run.display(),
            fpm = fpm_socket(&run).display()
        );
        let file = run.join("lighttpd.conf");
        fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        Some(Other::start(
            shop,
            &run,
            &["lighttpd", "-D", "-f", &file],
            Vec::new(),
        ))
    }

    /// Caddy with fcgiwrap.
    pub fn caddy() -> Option<Other> {
        let shop = Shop::new(Layout::Root)?;
        let run = folder(&shop);
        fs::write(
            run.join("bento-webhooks.caddy"),
            example(&shop, "caddy/bento-webhooks.caddy"),
        )
        .unwrap();
        let text = format!(
            "{{
  admin off
  auto_https off
  storage file_system {run}/caddy
}}
http://127.0.0.1:{port} {{
  import {run}/bento-webhooks.caddy
  root * {root}
  php_fastcgi unix/{fpm}
  file_server
}}
",
            run = run.display(),
            port = shop.port,
            root = shop.public.display(),
            fpm = fpm_socket(&run).display()
        );
        let file = run.join("Caddyfile");
        fs::write(&file, text).unwrap();
        let program = shop.prefix().join("bin/bento-webhooks");
        let wrap = start_fcgiwrap(&shop.owner, &program, &run.join("bento-webhooks.sock"));
        let file = file.display().to_string();
        let home = format!("HOME={}", run.display());
        let command = [
            "env",
            &home,
            "caddy",
            "run",
            "--adapter",
            "caddyfile",
            "--config",
            &file,
        ];
        Some(Other::start(shop, &run, &command, vec![wrap]))
    }

    fn start(shop: Shop, run: &Path, command: &[&str], mut servers: Vec<Guarded>) -> Other {
        servers.push(start_fpm(run, &shop.owner));
        let log = run.join("server.out");
        let mut server = Guarded::start(command, &log);
        server.wait(&|| listens(shop.port), &[&log, &run.join("error.log")]);
        servers.push(server);
        Other { shop, log, servers }
    }

    /// What the server says.
    pub fn errors(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.servers.clear();
    }
}

fn folder(shop: &Shop) -> PathBuf {
    let run = shop.root.join("run");
    fs::create_dir_all(&run).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).unwrap();
    run
}
