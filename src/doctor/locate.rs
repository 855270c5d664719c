//! Where WordPress is, for somebody at a terminal: where `--path` says, where the environment says, from here upward, or
//! where an installation says.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The folder of WordPress, if there is one, and what was tried.
pub(super) struct Located {
    folder: Option<PathBuf>,
}

impl Located {
    /// Looks for WordPress; `path` is what `--path` says, and then nothing else counts.
    pub(super) fn find(path: Option<&Path>) -> Located {
        let named = |path: &Path| upward(&absolute(path));
        let folder = match path {
            Some(path) => named(path),
            None => env::var_os("BENTO_WEBHOOKS_WORDPRESS")
                .filter(|path| !path.is_empty())
                .map(|path| absolute(Path::new(&path)))
                .or_else(|| upward(&env::current_dir().ok()?)),
        };
        Located { folder }
    }

    /// The folder of WordPress.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Who owns it.
    pub(super) fn owner(&self) -> Option<u32> {
        fs::metadata(self.folder()?).ok().map(|data| data.uid())
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
