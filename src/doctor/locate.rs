//! Where WordPress is, for somebody at a terminal: where `--path` says, where the environment says, from here upward, or
//! where the journal of an installation says.

use crate::setup::{self, Installed};
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The folder of WordPress and the installation for it, if there are any.
pub(super) struct Located {
    folder: Option<PathBuf>,
    installation: Option<Installation>,
}

/// What setup has written down.
pub(super) struct Installation {
    /// The folder of program, journal and backups.
    pub(super) prefix: PathBuf,
    /// What the journal says.
    pub(super) installed: Installed,
}

impl Located {
    /// Looks for WordPress; `path` is what `--path` says, and then nothing else counts.
    pub(super) fn find(path: Option<&Path>) -> Located {
        let installations = setup::installations().into_iter();
        let mut installations: Vec<Installation> = installations
            .map(|(prefix, installed)| Installation { prefix, installed })
            .collect();
        let folder = match path {
            Some(path) => upward(&absolute(path)),
            None => env::var_os("BENTO_WEBHOOKS_WORDPRESS")
                .filter(|path| !path.is_empty())
                .map(|path| absolute(Path::new(&path)))
                .or_else(|| upward(&env::current_dir().ok()?))
                .or_else(|| Some(installations.first()?.installed.wordpress.clone())),
        };
        let is_for = |own: &Installation| Some(&own.installed.wordpress) == folder.as_ref();
        let at = installations.iter().position(is_for);
        Located {
            installation: at.map(|at| installations.swap_remove(at)),
            folder,
        }
    }

    /// The folder of WordPress.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The installation for this WordPress.
    pub(super) fn installation(&self) -> Option<&Installation> {
        self.installation.as_ref()
    }

    /// Who owns it: wp-config.php, because a system's package may own the rest.
    pub(super) fn owner(&self) -> Option<u32> {
        let folder = self.folder()?;
        let files = [folder.join("wp-config.php"), folder.to_owned()];
        files
            .iter()
            .find_map(|file| fs::metadata(file).ok())
            .map(|data| data.uid())
    }
}

/// The nearest folder with WordPress in it, from this one upward.
fn upward(folder: &Path) -> Option<PathBuf> {
    let is_wordpress = |folder: &&Path| folder.join("wp-includes/version.php").is_file();
    folder.ancestors().find(is_wordpress).map(Path::to_path_buf)
}

fn absolute(path: &Path) -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    let path = here.join(path);
    path.canonicalize().unwrap_or(path)
}
