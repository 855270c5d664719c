//! A real Apache with a configuration of its own, as different hosting companies set it up.
//!
//! As root the server changes to a user of its own, as in real life; without root everything runs as one user, and what
//! needs several (suEXEC) says so.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::guard::{Guarded, listens, listens_at};
use super::shop::{Layout, Shop};
use super::user::{User, is_root};

/// Where Debian's suEXEC lets programs run.
const SUEXEC_ROOT: &str = "/var/www";
const MODULES: &str = "/usr/lib/apache2/modules";

/// How PHP runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Php {
    /// Inside a prefork Apache, as its user.
    Module,
    /// Beside a threaded Apache, as the owner.
    Fpm,
}

/// How programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    None,
    Cgi,
    Cgid,
    /// mod_cgid, as the owner.
    Suexec,
}

/// Where a `cgi-bin` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgiBin {
    None,
    /// In the document root.
    Inside,
    /// Beside the document root.
    Beside,
}

/// What a hosting company set in Apache.
#[derive(Clone, Debug)]
pub struct Hosting {
    pub php: Php,
    pub gateway: Gateway,
    pub cgi_bin: CgiBin,
    /// Arguments of `AllowOverride`.
    pub allow: &'static str,
    /// Further lines for the document root.
    pub lines: &'static str,
    /// Lines outside of any folder.
    pub server_lines: String,
    /// Whether Apache runs as another user than the owner (only as root).
    pub server_user: User,
}

/// The hosts that are imitated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Everything allowed, programs run as the owner.
    Cpanel,
    /// Programs run, `Options` is not the owner's to set.
    Plesk,
    /// As Plesk, but CGI is switched off.
    PleskWithoutCgi,
    /// Programs run as the server's user; `Options` is limited to a list without ExecCGI.
    Hestia,
    /// Only names with `.cgi` run; of `.htaccess`, only rewriting counts.
    DotCgi,
    /// Only `cgi-bin/` in the document root runs.
    CgiBinInside,
    /// Only `cgi-bin/` beside the document root runs.
    CgiBinBeside,
    /// `.htaccess` is not read.
    HtaccessIgnored,
    /// No module for programs, as a distribution delivers Apache.
    NoModule,
}

impl Host {
    /// All nine.
    pub const ALL: [Host; 9] = [
        Host::Cpanel,
        Host::Plesk,
        Host::PleskWithoutCgi,
        Host::Hestia,
        Host::DotCgi,
        Host::CgiBinInside,
        Host::CgiBinBeside,
        Host::HtaccessIgnored,
        Host::NoModule,
    ];

    /// Its configuration.
    pub fn hosting(self) -> Hosting {
        let base = Hosting::everything(Php::Fpm, Gateway::Cgid);
        // What a rewrite needs and nothing else: neither handlers nor Options.
        let only_rewriting =
            "Limit\nAllowOverrideList RewriteEngine RewriteCond RewriteRule RewriteBase";
        match self {
            Host::Cpanel => Hosting::everything(Php::Fpm, Gateway::Suexec),
            Host::Plesk => Hosting {
                allow: "AuthConfig FileInfo Indexes Limit",
                lines: "Options +ExecCGI",
                ..base
            },
            Host::PleskWithoutCgi => Hosting {
                allow: "AuthConfig FileInfo Indexes Limit",
                ..base
            },
            Host::Hestia => Hosting {
                php: Php::Module,
                gateway: Gateway::Cgi,
                allow: "AuthConfig FileInfo Indexes Limit Options=FollowSymLinks,Indexes,MultiViews",
                lines: "Options +ExecCGI",
                server_user: User::server(),
                ..base
            },
            Host::DotCgi => Hosting {
                php: Php::Module,
                gateway: Gateway::Cgi,
                allow: only_rewriting,
                lines: "Options +ExecCGI\nAddHandler cgi-script .cgi",
                ..base
            },
            Host::CgiBinInside => Hosting {
                cgi_bin: CgiBin::Inside,
                allow: "AuthConfig FileInfo Indexes Limit",
                ..base
            },
            Host::CgiBinBeside => Hosting {
                php: Php::Module,
                cgi_bin: CgiBin::Beside,
                allow: "AuthConfig FileInfo Indexes Limit",
                ..base
            },
            Host::HtaccessIgnored => Hosting {
                allow: "None",
                lines: "Options +ExecCGI\nFallbackResource /index.php",
                ..base
            },
            Host::NoModule => Hosting {
                php: Php::Module,
                gateway: Gateway::None,
                ..base
            },
        }
    }
}

impl Hosting {
    /// An Apache that lets the owner do everything.
    pub fn everything(php: Php, gateway: Gateway) -> Hosting {
        Hosting {
            php,
            gateway,
            cgi_bin: CgiBin::None,
            allow: "All",
            lines: "",
            server_lines: String::new(),
            server_user: User::owner(),
        }
    }
}

/// A running Apache and the shop that it serves.
pub struct Apache {
    pub shop: Shop,
    log: PathBuf,
    // Before the shop's folder goes, nobody may write into it.
    servers: Vec<Guarded>,
}

impl Apache {
    /// An imitated host; `None`, and a line that says why, where it cannot be tested here.
    pub fn host(host: Host, layout: Layout) -> Option<Apache> {
        Apache::serve(host.hosting(), layout)
    }

    /// Makes a shop and serves it.
    pub fn serve(hosting: Hosting, layout: Layout) -> Option<Apache> {
        let folder = if hosting.gateway == Gateway::Suexec {
            if !is_root() {
                eprintln!("not tested: suEXEC needs Apache to be started by root");
                return None;
            }
            PathBuf::from(SUEXEC_ROOT)
        } else {
            std::env::temp_dir()
        };
        Some(Apache::start(Shop::under(&folder, layout)?, hosting))
    }

    /// Serves a shop.
    pub fn start(shop: Shop, hosting: Hosting) -> Apache {
        let run = shop.root.join("run");
        fs::create_dir_all(run.join("tmp")).unwrap();
        for folder in [&run, &run.join("tmp")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let log = run.join("error.log");
        let mut servers = Vec::new();
        if hosting.php == Php::Fpm {
            servers.push(start_fpm(&run, &shop.owner));
        }
        let file = run.join("apache.conf");
        fs::write(&file, configuration(&shop, &hosting, &run)).unwrap();
        let file = file.display().to_string();
        let command = ["apache2", "-f", &file, "-DFOREGROUND"];
        let mut server = Guarded::start(&command, &run.join("apache.out"));
        server.wait(&|| listens(shop.port), &[&log, &run.join("apache.out")]);
        servers.push(server);
        Apache { shop, log, servers }
    }

    /// What the error log says.
    pub fn errors(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        self.servers.clear();
    }
}

/// Starts PHP as the owner.
pub(super) fn start_fpm(run: &Path, owner: &User) -> Guarded {
    let socket = fpm_socket(run);
    let log = run.join("fpm.log");
    let mut text = format!("[global]\nerror_log = {}\n[www]\n", log.display());
    if is_root() {
        let _ = writeln!(text, "user = {}\ngroup = {}", owner.name, owner.group);
    }
    let _ = writeln!(
        text,
        "listen = {}\nlisten.mode = 0666\npm = static\npm.max_children = 3",
        socket.display()
    );
    let file = run.join("fpm.conf");
    fs::write(&file, text).unwrap();
    let program =
        newest("/usr/sbin", "php-fpm").expect("php-fpm is missing: tests/run installs it");
    let file = file.display().to_string();
    let mut server = Guarded::start(&[&program, "-F", "-y", &file], &run.join("fpm.out"));
    server.wait(&|| listens_at(&socket), &[&log, &run.join("fpm.out")]);
    server
}

/// Where PHP listens.
pub(super) fn fpm_socket(run: &Path) -> PathBuf {
    run.join("fpm.sock")
}

/// The last file of the folder whose name begins so and ends with no suffix but `.so` and numbers.
fn newest(folder: &str, begin: &str) -> Option<String> {
    let names = fs::read_dir(folder).ok()?.flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let name = names.filter(|name| name.starts_with(begin)).max()?;
    Some(format!("{folder}/{name}"))
}

fn configuration(shop: &Shop, hosting: &Hosting, run: &Path) -> String {
    let mut text = String::new();
    let mut line = |line: &str| text += &format!("{line}\n");
    line(&format!("ServerRoot {}", run.display()));
    line(&format!("DefaultRuntimeDir {}", run.display()));
    line(&format!("PidFile {}/apache.pid", run.display()));
    line(&format!("Mutex file:{} default", run.display()));
    line(&format!("ErrorLog {}/error.log", run.display()));
    line(&format!("Listen 127.0.0.1:{}", shop.port));
    line("ServerName 127.0.0.1");
    for module in modules(hosting) {
        line(&format!(
            "LoadModule {module}_module {MODULES}/mod_{module}.so"
        ));
    }
    let user = if hosting.gateway == Gateway::Suexec {
        // suEXEC obeys nobody but this user.
        User::server()
    } else {
        hosting.server_user.clone()
    };
    line(&format!("User {}\nGroup {}", user.name, user.group));
    match hosting.php {
        Php::Module => {
            let module =
                newest(MODULES, "libphp").expect("mod_php is missing: tests/run installs it");
            line(&format!("LoadModule php_module {module}"));
            line("StartServers 2\nMinSpareServers 1\nMaxSpareServers 3");
            line("<FilesMatch \\.php$>\nSetHandler application/x-httpd-php\n</FilesMatch>");
        }
        Php::Fpm => {
            line("StartServers 1\nThreadsPerChild 8\nMinSpareThreads 4\nMaxSpareThreads 16");
            line("SetEnvIf Authorization \"(.+)\" HTTP_AUTHORIZATION=$1");
            line(&format!(
                "<FilesMatch \\.php$>\nSetHandler \"proxy:unix:{}|fcgi://localhost\"\n</FilesMatch>",
                fpm_socket(run).display()
            ));
        }
    }
    match hosting.gateway {
        Gateway::Cgid => line(&format!("ScriptSock {}/cgid.sock", run.display())),
        Gateway::Suexec => {
            line(&format!("ScriptSock {}/cgid.sock", run.display()));
            line(&format!(
                "SuexecUserGroup {} {}",
                shop.owner.name, shop.owner.group
            ));
        }
        Gateway::None | Gateway::Cgi => {}
    }
    line("TypesConfig /etc/mime.types\nDirectoryIndex index.php index.html");
    line("<Directory />\nRequire all denied\nAllowOverride None\n</Directory>");
    line("<FilesMatch \"^\\.ht\">\nRequire all denied\n</FilesMatch>");
    line(&format!("DocumentRoot {}", shop.public.display()));
    let options = if hosting.gateway == Gateway::Suexec {
        "+ExecCGI"
    } else {
        ""
    };
    line(&format!(
        "<Directory {}>\nOptions FollowSymLinks {}\nRequire all granted\nAllowOverride {}\n{}\n</Directory>",
        shop.public.display(),
        options.trim_start_matches('+'),
        hosting.allow,
        hosting.lines
    ));
    let cgi_bin = match hosting.cgi_bin {
        CgiBin::None => None,
        CgiBin::Inside => Some(shop.public.join("cgi-bin")),
        CgiBin::Beside => Some(shop.home.join("cgi-bin")),
    };
    if let Some(folder) = cgi_bin {
        fs::create_dir_all(&folder).unwrap();
        shop.owner.own(&folder);
        line(&format!("ScriptAlias /cgi-bin/ {}/", folder.display()));
        line(&format!(
            "<Directory {}>\nAllowOverride None\nOptions +ExecCGI\nRequire all granted\n</Directory>",
            folder.display()
        ));
    }
    line(&hosting.server_lines);
    text
}

fn modules(hosting: &Hosting) -> Vec<&'static str> {
    let mut modules = vec![
        "authz_core",
        "authz_host",
        "authz_user",
        "authn_core",
        "mime",
        "dir",
        "alias",
        "env",
        "setenvif",
        "rewrite",
        "headers",
        "autoindex",
        "negotiation",
    ];
    modules.extend(match hosting.php {
        Php::Module => ["mpm_prefork"].as_slice(),
        Php::Fpm => &["mpm_event", "proxy", "proxy_fcgi"],
    });
    modules.extend(match hosting.gateway {
        Gateway::None => [].as_slice(),
        Gateway::Cgi => &["cgi"],
        Gateway::Cgid => &["cgid"],
        Gateway::Suexec => &["cgid", "suexec"],
    });
    modules
}
