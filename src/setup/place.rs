//! The places where a host may run programs, from the best to the last. Pure but for a look at which folders exist.

use std::path::{Path, PathBuf};

/// A rung of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Rung {
    /// Our own folder with all of its rules.
    FullRules,
    /// Our own folder that only names the handler.
    HandlerOnly,
    /// Our own folder without rules, and a name with `.cgi`.
    Suffix,
    /// `cgi-bin/` in the document root.
    CgiBin,
    /// The same, and a name with `.cgi`.
    CgiBinSuffix,
    /// `cgi-bin/` beside the document root.
    CgiBinBeside,
}

impl Rung {
    /// All, from the best to the last.
    pub(super) const ALL: [Rung; 6] = [
        Rung::FullRules,
        Rung::HandlerOnly,
        Rung::Suffix,
        Rung::CgiBin,
        Rung::CgiBinSuffix,
        Rung::CgiBinBeside,
    ];

    /// Its number, from 1.
    pub(super) fn number(self) -> u8 {
        match self {
            Rung::FullRules => 1,
            Rung::HandlerOnly => 2,
            Rung::Suffix => 3,
            Rung::CgiBin => 4,
            Rung::CgiBinSuffix => 5,
            Rung::CgiBinBeside => 6,
        }
    }

    /// What it is, in a few words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Rung::FullRules => "own folder with full rules",
            Rung::HandlerOnly => "own folder, handler only",
            Rung::Suffix => "own folder, a .cgi name",
            Rung::CgiBin => "cgi-bin",
            Rung::CgiBinSuffix => "cgi-bin, a .cgi name",
            Rung::CgiBinBeside => "cgi-bin beside the site",
        }
    }

    /// What its folder says to the web server.
    pub(super) fn rules(self) -> Rules {
        match self {
            Rung::FullRules => Rules::Full,
            Rung::HandlerOnly => Rules::Handler,
            _ => Rules::None,
        }
    }

    /// Whether the folder is one of our own.
    pub(super) fn is_own_folder(self) -> bool {
        matches!(self, Rung::FullRules | Rung::HandlerOnly | Rung::Suffix)
    }

    fn suffix(self) -> &'static str {
        match self {
            Rung::Suffix | Rung::CgiBinSuffix => ".cgi",
            _ => "",
        }
    }
}

/// What the `.htaccess` of the program's folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    Full,
    Handler,
    None,
}

/// The document root and our way in it.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    /// The folder that the home address leads to: its `.htaccess` gets our lines.
    pub(super) front: PathBuf,
    /// The path of the home address, with a slash at both ends.
    pub(super) path: String,
}

impl Ground {
    /// The document root, if the home address leads as many folders deep as its path is long.
    fn root(&self) -> Option<&Path> {
        let path = self.path.trim_matches('/');
        if path.is_empty() {
            return Some(&self.front);
        }
        let root = self.front.ancestors().nth(path.split('/').count())?;
        (root.join(path) == self.front).then_some(root)
    }

    /// The place of a rung for a program of this name: a folder or, in a `cgi-bin`, a file. None where there is no `cgi-bin`.
    pub(super) fn place(&self, rung: Rung, name: &str) -> Option<Place> {
        let suffix = rung.suffix();
        if rung.is_own_folder() {
            let file = format!("receive{suffix}");
            let folder = self.front.join(name);
            return Some(Place {
                rung,
                stub: folder.join(&file),
                folder_path: format!("{}{name}", self.path),
                target: format!("{}{name}/{file}", self.path),
                folder: Some(folder),
            });
        }
        let root = self.root()?;
        let cgi_bin = match rung {
            Rung::CgiBinBeside => root.parent()?.join("cgi-bin"),
            _ => root.join("cgi-bin"),
        };
        let file = format!("{name}{suffix}");
        cgi_bin.is_dir().then(|| Place {
            rung,
            stub: cgi_bin.join(&file),
            folder_path: String::new(),
            target: format!("/cgi-bin/{file}"),
            folder: None,
        })
    }
}

/// Where the stub goes, and the address that leads to it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) rung: Rung,
    /// The folder that is ours, if there is one.
    pub(super) folder: Option<PathBuf>,
    /// Its address.
    pub(super) folder_path: String,
    /// The file that the web server starts.
    pub(super) stub: PathBuf,
    /// Its address.
    pub(super) target: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_root_is_found_where_folders_follow_the_address() {
        for (front, path, root) in [
            ("/h/public_html", "/", Some("/h/public_html")),
            ("/h/public_html/blog", "/blog/", Some("/h/public_html")),
            ("/h/www/a/b", "/a/b/", Some("/h/www")),
            ("/h/elsewhere", "/blog/", None),
        ] {
            let ground = Ground {
                front: PathBuf::from(front),
                path: path.to_owned(),
            };
            assert_eq!(ground.root(), root.map(Path::new), "{front} {path}");
        }
    }
}
