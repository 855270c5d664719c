//! A real nginx with php-fpm and WordPress behind it, and fcgiwrap for programs, run by the owner of the site.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::apache::{fpm_socket, start_fpm};
use super::guard::{Guarded, listens, listens_at};
use super::shop::{Layout, Shop};
use super::user::{User, is_root};

/// A running nginx and the shop that it serves.
pub struct Nginx {
    pub shop: Shop,
    /// The folder of `nginx.conf`, laid out as in `/etc/nginx`.
    pub folder: PathBuf,
    servers: Vec<Guarded>,
}

impl Nginx {
    /// Makes a shop and serves it; `None` where WordPress is missing and this is not CI.
    pub fn serve(layout: Layout) -> Option<Nginx> {
        Some(Nginx::start(Shop::new(layout)?))
    }

    /// Serves a shop.
    pub fn start(shop: Shop) -> Nginx {
        let run = shop.root.join("run");
        let folder = shop.root.join("nginx");
        for folder in [
            &run,
            &folder,
            &folder.join("conf.d"),
            &folder.join("snippets"),
            &folder.join("sites-enabled"),
        ] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).unwrap();
        fs::copy("/etc/nginx/fastcgi_params", folder.join("fastcgi_params")).unwrap();
        fs::write(folder.join("nginx.conf"), main_file(&run, &folder)).unwrap();
        fs::write(
            folder.join("sites-enabled/shop.conf"),
            site_file(&shop, &run),
        )
        .unwrap();
        let fpm = start_fpm(&run, &shop.owner);
        let file = folder.join("nginx.conf").display().to_string();
        let out = run.join("nginx.out");
        let mut server = Guarded::start(&["nginx", "-c", &file, "-g", "daemon off;"], &out);
        server.wait(&|| listens(shop.port), &[&out, &run.join("error.log")]);
        Nginx {
            shop,
            folder,
            servers: vec![server, fpm],
        }
    }

    /// Starts fcgiwrap as the owner for this one program; where it listens.
    pub fn wrap(&mut self, program: &Path) -> PathBuf {
        let socket = self.shop.root.join("run/bento-webhooks.sock");
        let server = start_fcgiwrap(&self.shop.owner, program, &socket);
        self.servers.push(server);
        socket
    }

    /// What the error log says.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.shop.root.join("run/error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.servers.clear();
    }
}

/// Starts fcgiwrap as this user, four workers, one allowed program, and lets the web server in.
pub fn start_fcgiwrap(user: &User, program: &Path, socket: &Path) -> Guarded {
    let (at, program) = (
        format!("unix:{}", socket.display()),
        program.display().to_string(),
    );
    let mut command = Vec::new();
    let ids = [
        format!("--reuid={}", user.uid),
        format!("--regid={}", user.gid),
    ];
    if is_root() {
        command.extend(["setpriv", &ids[0], &ids[1], "--clear-groups", "--"]);
    }
    command.extend(["fcgiwrap", "-f", "-c", "4", "-s", &at, "-p", &program]);
    let log = socket.with_extension("log");
    let mut server = Guarded::start(&command, &log);
    server.wait(&|| listens_at(socket), &[&log]);
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).unwrap();
    server
}

fn main_file(run: &Path, folder: &Path) -> String {
    let (run, folder) = (run.display(), folder.display());
    let user = if is_root() { "user www-data;" } else { "" };
    format!(
        "{user}
worker_processes 2;
pid {run}/nginx.pid;
error_log {run}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {run}/body;
  proxy_temp_path {run}/proxy;
  fastcgi_temp_path {run}/fastcgi;
  uwsgi_temp_path {run}/uwsgi;
  scgi_temp_path {run}/scgi;
  include /etc/nginx/mime.types;
  include {folder}/conf.d/*.conf;
  include {folder}/sites-enabled/*;
}}
"
    )
}

fn site_file(shop: &Shop, run: &Path) -> String {
    let path = shop
        .address
        .splitn(4, '/')
        .nth(3)
        .map_or(String::new(), |path| format!("/{path}"));
    format!(
        "server {{
  listen 127.0.0.1:{};
  server_name 127.0.0.1;
  root {};
  index index.php;
  location / {{
    try_files $uri $uri/ {path}/index.php?$args;
  }}
  location ~ \\.php$ {{
    try_files $uri =404;
    include fastcgi_params;
    fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
    # The distribution's file leaves the port out.
    fastcgi_param HTTP_HOST $http_host;
    fastcgi_pass unix:{};
  }}
}}
",
        shop.port,
        shop.public.display(),
        fpm_socket(run).display()
    )
}
