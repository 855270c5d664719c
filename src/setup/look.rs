//! Looking around: WordPress, its wp-config.php, WP Fusion's settings, the database. Reads only.

use super::place::Ground;
use crate::settings::Settings;
use crate::site::{Site, Whereabouts};
use crate::web::redacted;
use crate::wp_config::{self, Config, Network, Surroundings};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use url::Url;

/// How deep below the owner's home WordPress is looked for, and in how many folders.
const DEPTH: usize = 4;
const MOST_FOLDERS: usize = 5_000;

/// The site, as its own files and tables describe it.
pub(super) struct Sight {
    /// The folder of WordPress.
    pub(super) wordpress: PathBuf,
    pub(super) config: Config,
    pub(super) settings: Settings,
    /// The home address, without a slash at its end.
    pub(super) address: String,
    pub(super) ground: Ground,
}

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
    pub(super) home: PathBuf,
}

/// Who this process is.
pub(super) fn own_uid() -> Option<u32> {
    // In a cage without /proc, a folder that we may enter and write says it too.
    let data = fs::metadata("/proc/self").or_else(|_| fs::metadata("."));
    data.ok().map(|data| data.uid())
}

/// The account with this number, out of /etc/passwd.
pub(super) fn account(uid: u32) -> Option<Account> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, own, gid, _, home, ..] = fields.as_slice() else {
            return None;
        };
        (own.parse() == Ok(uid)).then_some(Account {
            uid,
            gid: gid.parse().ok()?,
            name: (*name).to_owned(),
            home: PathBuf::from(home),
        })
    })
}

/// Who owns a file.
pub(super) fn owner_of(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|data| data.uid())
}

/// The folders of WordPress that are meant: the one at `path` or in a folder of it; else the one from here upward; else all
/// below the owner's home.
pub(super) fn find(path: Option<&Path>, home: Option<&Path>) -> Vec<PathBuf> {
    if let Some(path) = path {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if is_wordpress(&path) {
            return vec![path];
        }
        return below(&path, 2);
    }
    let here = std::env::current_dir().unwrap_or_default();
    if let Some(folder) = here.ancestors().find(|folder| is_wordpress(folder)) {
        return vec![folder.to_owned()];
    }
    home.map(|home| below(home, DEPTH)).unwrap_or_default()
}

fn is_wordpress(folder: &Path) -> bool {
    folder.join("wp-includes/version.php").is_file()
}

/// All folders of WordPress down to this depth.
fn below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut level = vec![folder.to_owned()];
    let mut seen = 0;
    for _ in 0..=depth {
        let mut next = Vec::new();
        for folder in level {
            if is_wordpress(&folder) {
                found.push(folder.clone());
            }
            seen += 1;
            if seen > MOST_FOLDERS {
                return found;
            }
            next.extend(folders_in(&folder));
        }
        level = next;
    }
    found.sort();
    found
}

/// The folders in a folder that may hold a site.
fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // A link may lead in circles.
        entry.file_type().is_ok_and(|kind| kind.is_dir())
            && !name.starts_with('.')
            && ![
                "wp-admin",
                "wp-content",
                "wp-includes",
                "node_modules",
                "mail",
            ]
            .contains(&&*name)
    });
    folders.map(|entry| entry.path()).collect()
}

impl Sight {
    /// Looks at the WordPress in this folder; errs with one sentence.
    pub(super) fn of(wordpress: &Path, url: Option<&str>) -> Result<Sight, String> {
        let env = |name: &str| std::env::var(name).ok();
        let surroundings = Surroundings {
            env: &env,
            server: &env,
            read: &|path| fs::read(path),
        };
        let config =
            wp_config::read(wordpress, &surroundings).map_err(|error| error.to_string())?;
        let settings = settings(&config, url)?;
        let address = url
            .unwrap_or(&settings.home)
            .trim_end_matches('/')
            .to_owned();
        let ground = ground(wordpress, &config, &settings, &address)?;
        Ok(Sight {
            wordpress: wordpress.to_owned(),
            config,
            settings,
            address,
            ground,
        })
    }

    /// The home address as it may be shown.
    pub(super) fn shown(&self) -> String {
        redacted(&self.address)
    }

    /// The `.htaccess` of the home address.
    pub(super) fn htaccess(&self) -> PathBuf {
        self.ground.front.join(".htaccess")
    }

    /// Makes the program's own tables; false where the database user may not.
    pub(super) fn prepare_database(&self) -> Result<bool, String> {
        let sentence = |trouble: crate::outcome::Trouble| trouble.to_string();
        let mut site = Site::connect(&self.config).map_err(sentence)?;
        site.prepare().map_err(sentence)
    }

    /// How many contact ids there are, if they are many and have no index.
    pub(super) fn ids_without_index(&self) -> Option<u64> {
        let ids = Site::connect(&self.config).ok()?.contact_ids().ok()?;
        ids.need_index().then_some(ids.number)
    }

    /// How long ago a worker was last seen, in milliseconds.
    pub(super) fn last_worked(&self) -> Result<Option<u64>, String> {
        let sentence = |trouble: crate::outcome::Trouble| trouble.to_string();
        let mut site = Site::connect(&self.config).map_err(sentence)?;
        let overview = site.overview(self.config.own().calls_per_minute());
        overview
            .map(|overview| overview.last_worked)
            .map_err(sentence)
    }
}

/// WP Fusion's settings, of the main site where there are several.
fn settings(config: &Config, url: Option<&str>) -> Result<Settings, String> {
    let sentence = |trouble: crate::outcome::Trouble| trouble.to_string();
    let url = url.and_then(|url| Url::parse(url).ok());
    let (host, path) = config.whereabouts(url.as_ref());
    let mut site = Site::connect(config).map_err(sentence)?;
    let place = site
        .place(&Whereabouts::Address {
            host: &host,
            path: &path,
        })
        .map_err(sentence)?;
    let settings = site.settings(&place).map_err(sentence)?;
    if !settings.uses_bento {
        return Err(match config.network() {
            None => "WP Fusion is not connected to Bento; connect it, then run me again".to_owned(),
            Some(_) => format!(
                "WP Fusion is not connected to Bento at {}; connect it, or name another site of the network with --url",
                settings.home
            ),
        });
    }
    if settings.access_key.expose_str().trim().is_empty() {
        return Err(
            "WP Fusion has no access key; save its settings once, then run me again".to_owned(),
        );
    }
    Ok(settings)
}

/// The folder of the home address, as WordPress's `get_home_path` finds it: that of WordPress without the piece of path by
/// which the site's address is longer than the home address.
fn ground(
    wordpress: &Path,
    config: &Config,
    settings: &Settings,
    address: &str,
) -> Result<Ground, String> {
    let path = |address: &str| -> Option<String> {
        let url = Url::parse(address).ok()?;
        Some(format!("{}/", url.path().trim_end_matches('/')))
    };
    let home = path(&settings.home).ok_or("the home address in WordPress is no web address")?;
    let site = path(&settings.site_url).unwrap_or_else(|| home.clone());
    let asked = path(address).ok_or("--url is no web address")?;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/-_.~".contains(letter);
    if !asked.chars().all(is_plain) {
        return Err(
            "the home address has signs in its path that setup does not write into rules"
                .to_owned(),
        );
    }
    let inner = site
        .strip_prefix(&home)
        .unwrap_or_default()
        .trim_matches('/');
    let front = match inner {
        "" => wordpress.to_owned(),
        inner if wordpress.ends_with(inner) => {
            let deep = inner.split('/').count();
            wordpress
                .ancestors()
                .nth(deep)
                .unwrap_or(wordpress)
                .to_owned()
        }
        _ => wordpress.to_owned(),
    };
    if !front.join("index.php").is_file() {
        return Err(format!(
            "{} has no index.php; which folder serves the home address?",
            front.display()
        ));
    }
    // A network's sites below a path have no folders: all of them are served out of the network's own.
    let network = config.network().filter(|network| !network.subdomains());
    let path = match network.and_then(Network::path) {
        Some(path) if asked.starts_with(path) => path.to_owned(),
        _ => asked,
    };
    Ok(Ground { front, path })
}
