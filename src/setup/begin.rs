//! For whom and where the work is: the account, its home folder, the one WordPress that is meant.

use super::known;
use super::look::{self, Account};
use super::options::{Options, Task};
use super::screen::Screen;
use super::{Owner, Setup, Stop, config_file};
use std::env;
use std::path::{Path, PathBuf};

/// The home folder of who runs this: the environment's, or where a cron job or a panel has none, that of the account.
pub(super) fn own_home() -> Option<PathBuf> {
    let named = env::var_os("HOME").filter(|home| !home.is_empty());
    named.map(PathBuf::from).or_else(|| {
        let account = look::account(look::own_uid()?)?;
        Some(account.home)
    })
}

impl<'o> Setup<'o> {
    /// Finds out for whom and where the work is.
    pub(super) fn begin(
        options: &'o Options,
        screen: &mut Screen,
        home: Option<PathBuf>,
    ) -> Result<Setup<'o>, Stop> {
        let is_root = look::own_uid() == Some(0);
        if is_root && !options.for_owner {
            return Err(Stop::wrong_use(
                "This is root, and the site's files would be root's. Run it as the site's own user, or add --owner.",
            ));
        }
        let looks = is_root || matches!(options.task, Task::Install | Task::DryRun);
        let wordpress = match looks {
            true => Some(choose(options, screen, home.as_deref())?),
            false => None,
        };
        let account = match (&wordpress, is_root) {
            (Some(wordpress), true) => Some(owner_account(wordpress)?),
            _ => None,
        };
        let home = account
            .as_ref()
            .map(|account| account.home.clone())
            .or(home);
        let prefix = match (&options.prefix, home) {
            (Some(prefix), _) => prefix.clone(),
            (None, Some(home)) => prefix(&home, options, wordpress.as_deref(), screen)?,
            (None, None) => {
                return Err(Stop::wrong_use(
                    "There is no home folder here; say with --prefix where the program may live.",
                ));
            }
        };
        let here = env::current_dir().unwrap_or_default();
        Ok(Setup {
            options,
            wordpress,
            prefix: here.join(prefix),
            owner: account.map(|account| Owner {
                uid: account.uid,
                gid: account.gid,
            }),
        })
    }
}

/// The folder of program and journal: each WordPress has its own, so that each can be undone alone.
fn prefix(
    home: &Path,
    options: &Options,
    wordpress: Option<&Path>,
    screen: &Screen,
) -> Result<PathBuf, Stop> {
    if let (Task::Install | Task::DryRun, Some(wordpress)) = (options.task, wordpress) {
        return Ok(known::place_for(home, wordpress));
    }
    let named = options.path.as_deref();
    let named = named.map(|path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
    let places = known::places_of(home, wordpress.or(named.as_deref()));
    match places.as_slice() {
        [] => Ok(known::unused(home)),
        [place] => Ok(place.clone()),
        several => {
            let mut list = String::from("There are several:\n");
            for wordpress in several
                .iter()
                .filter_map(|place| known::wordpress_of(place))
            {
                list += &format!("  {}\n", screen.path(&wordpress));
            }
            Err(Stop::wrong_use(format!("{list}Name one with --path.")))
        }
    }
}

/// The one WordPress that is meant.
fn choose(options: &Options, screen: &mut Screen, home: Option<&Path>) -> Result<PathBuf, Stop> {
    let mut found = look::find(options.path.as_deref(), home);
    match (found.len(), &options.path) {
        (1, _) => Ok(found.remove(0)),
        (0, Some(path)) => Err(Stop::wrong_use(format!(
            "There is no WordPress in {}.",
            path.display()
        ))),
        (0, None) => Err(Stop::wrong_use(
            "No WordPress found from here; name its folder with --path.",
        )),
        (count, _) => {
            let mut list = String::from("There are several:\n");
            for (number, folder) in found.iter().enumerate() {
                list += &format!("  {}  {}\n", number + 1, screen.path(folder));
            }
            let several = || Stop::wrong_use(format!("{list}Name one with --path."));
            if options.yes {
                return Err(several());
            }
            screen.plain(list.trim_end());
            let answer = screen
                .ask(&format!("Which one? [1-{count}]"))
                .map_err(|_| several())?;
            let number = answer
                .parse::<usize>()
                .ok()
                .and_then(|number| number.checked_sub(1));
            number
                .and_then(|number| found.get(number).cloned())
                .ok_or_else(several)
        }
    }
}

/// Who owns WordPress's files.
fn owner_account(wordpress: &Path) -> Result<Account, Stop> {
    let uid = look::owner_of(&config_file(wordpress)).or_else(|| look::owner_of(wordpress));
    uid.filter(|uid| *uid != 0)
        .and_then(look::account)
        .ok_or_else(|| {
            Stop::wrong_use("WordPress's files belong to nobody that --owner could work for.")
        })
}
