//! Everything that an installation consists of, compared with what is there: what will change, to the line.

use super::htaccess;
use super::journal::{Journal, Routing};
use super::ladder::OWN_NAME;
use super::look::Sight;
use super::place::Place;
use super::recipe;
use super::screen::Screen;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file that is ours alone.
struct Own {
    path: PathBuf,
    content: Vec<u8>,
    mode: u32,
}

/// Pairs of lines beyond which two texts are not compared line by line.
const MOST_COMPARED: usize = 1 << 22;

/// What becomes of a text.
type Edit = dyn Fn(&[u8]) -> Vec<u8>;

/// A file that others write too, and how it changes.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) change: Box<Edit>,
}

/// What shall be there in the end.
pub(super) struct Plan {
    /// Folders that are ours alone, with their modes.
    folders: Vec<(PathBuf, u32)>,
    own: Vec<Own>,
    pub(super) shared: Vec<Shared>,
    pub(super) route: Routing,
}

/// Who must be able to start the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    /// The owner of the files.
    Owner,
    /// Somebody else.
    Other,
}

impl Runner {
    /// Modes of our folder outside of the web root, and of the program in it.
    pub(super) fn modes(self) -> (u32, u32) {
        match self {
            Runner::Owner => (0o700, 0o700),
            // They may pass and start the program; they see no list of files, no backup and no log.
            Runner::Other => (0o711, 0o755),
        }
    }
}

/// Where the program is under the prefix.
pub(super) fn program_in(prefix: &Path) -> PathBuf {
    prefix.join("bin").join(OWN_NAME)
}

impl Plan {
    /// Our folders outside of the web root.
    fn outside(prefix: &Path, runner: Runner, route: Routing) -> Plan {
        let (mode, _) = runner.modes();
        Plan {
            folders: vec![(prefix.to_owned(), mode), (prefix.join("bin"), mode)],
            own: Vec::new(),
            shared: Vec::new(),
            route,
        }
    }

    fn executable(prefix: &Path, program: Vec<u8>, runner: Runner) -> Own {
        Own {
            path: program_in(prefix),
            content: program,
            mode: runner.modes().1,
        }
    }

    /// A stub at this place, and our lines in WordPress's `.htaccess`.
    pub(super) fn htaccess(
        sight: &Sight,
        place: &Place,
        prefix: &Path,
        program: Vec<u8>,
        runner: Runner,
    ) -> Plan {
        let block = recipe::block(&place.target);
        let htaccess = sight.htaccess();
        let mut plan = Plan::with_block(&sight.wordpress, &htaccess, block, place, prefix, runner);
        plan.own
            .insert(0, Plan::executable(prefix, program, runner));
        plan
    }

    /// The same without the program itself, which is there.
    pub(super) fn with_block(
        wordpress: &Path,
        htaccess: &Path,
        block: String,
        place: &Place,
        prefix: &Path,
        runner: Runner,
    ) -> Plan {
        let route = Routing::Htaccess {
            rung: place.rung,
            file: htaccess.to_owned(),
            block: block.clone(),
            stub: place.stub.clone(),
        };
        let mut plan = Plan::outside(prefix, runner, route);
        if let Some(folder) = &place.folder {
            plan.folders.push((folder.clone(), 0o755));
            let rules = recipe::folder_rules(place.rung.rules(), &place.folder_path, "receive");
            plan.own.extend(rules.map(|rules| Own {
                path: folder.join(".htaccess"),
                content: rules.into_bytes(),
                mode: 0o644,
            }));
        }
        plan.own.push(Own {
            path: place.stub.clone(),
            content: recipe::stub(wordpress, &program_in(prefix)).into_bytes(),
            mode: 0o755,
        });
        plan.shared.push(Shared {
            path: htaccess.to_owned(),
            change: Box::new(move |text| match htaccess::state(text, &block) {
                htaccess::State::First => text.to_vec(),
                _ => htaccess::with_block(text, &block),
            }),
        });
        plan
    }

    /// Files of nginx, and a line in the site's own.
    pub(super) fn nginx(
        prefix: &Path,
        program: Vec<u8>,
        own: Vec<(PathBuf, String)>,
        shared: Vec<Shared>,
    ) -> Plan {
        let mut files: Vec<PathBuf> = own.iter().map(|(path, _)| path.clone()).collect();
        files.extend(shared.iter().map(|shared| shared.path.clone()));
        let mut plan = Plan::outside(prefix, Runner::Owner, Routing::Nginx { files });
        plan.own
            .push(Plan::executable(prefix, program, Runner::Owner));
        plan.own.extend(own.into_iter().map(|(path, text)| Own {
            path,
            content: text.into_bytes(),
            mode: 0o644,
        }));
        plan.shared = shared;
        plan
    }

    /// Folders with their modes.
    pub(super) fn folders(&self) -> impl Iterator<Item = (&Path, u32)> {
        self.folders
            .iter()
            .map(|(path, mode)| (path.as_path(), *mode))
    }

    /// Files that are ours alone, with their modes.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, &[u8], u32)> {
        let files = self.own.iter();
        files.map(|own| (own.path.as_path(), own.content.as_slice(), own.mode))
    }

    /// Files that will change, each with the lines that go and come.
    pub(super) fn differences(&self) -> Vec<(PathBuf, Vec<String>)> {
        let own = self.own.iter().map(|own| {
            let old = fs::read(&own.path).unwrap_or_default();
            (own.path.clone(), difference(&old, &own.content))
        });
        let shared = self.shared.iter().map(|shared| {
            let old = fs::read(&shared.path).unwrap_or_default();
            (
                shared.path.clone(),
                difference(&old, &(shared.change)(&old)),
            )
        });
        own.chain(shared)
            .filter(|(_, lines)| !lines.is_empty())
            .collect()
    }

    /// Whether all of it is there already.
    pub(super) fn is_in_place(&self) -> bool {
        let own = self
            .own
            .iter()
            .all(|own| fs::read(&own.path).is_ok_and(|now| now == own.content));
        let shared = self.shared.iter().all(|shared| {
            let now = fs::read(&shared.path).unwrap_or_default();
            (shared.change)(&now) == now
        });
        own && shared
    }

    /// Shows what will change.
    pub(super) fn show(&self, screen: &mut Screen, prefix: &Path) {
        screen.heading("Will change");
        let new_or_not = |path: &Path| if path.exists() { '~' } else { '+' };
        let program = program_in(prefix);
        let name = format!("{}/", screen.path(prefix));
        screen.change(new_or_not(&program), &name, "program and backups");
        for (path, files) in self.own_places(prefix) {
            let name = screen.path(path);
            match files {
                0 => screen.change(new_or_not(path), &name, "a small file"),
                files => screen.change(
                    new_or_not(path),
                    &format!("{name}/"),
                    &format!("{files} small files"),
                ),
            }
        }
        for shared in &self.shared {
            let old = fs::read(&shared.path).unwrap_or_default();
            let new = (shared.change)(&old);
            if new == old {
                continue;
            }
            let name = screen.path(&shared.path);
            screen.change(new_or_not(&shared.path), &name, "these lines, backup kept:");
            for line in difference(&old, &new) {
                screen.plain(&format!("       {line}"));
            }
        }
        screen.plain("  Nothing else. Undo any time: sh install.sh --undo");
    }

    /// Our folders in the web root with the number of their files, and our single files elsewhere with 0.
    fn own_places(&self, prefix: &Path) -> Vec<(&Path, usize)> {
        let folders = self.folders.iter().map(|(path, _)| path.as_path());
        let folders = folders.filter(|path| !path.starts_with(prefix));
        let mut places: Vec<(&Path, usize)> = folders
            .map(|folder| {
                let files = self.own.iter().filter(|own| own.path.starts_with(folder));
                (folder, files.count())
            })
            .collect();
        let alone = self
            .own
            .iter()
            .map(|own| own.path.as_path())
            .filter(|path| {
                !path.starts_with(prefix)
                    && !places.iter().any(|(folder, _)| path.starts_with(folder))
            });
        let alone: Vec<(&Path, usize)> = alone.map(|path| (path, 0)).collect();
        places.extend(alone);
        places
    }

    /// Writes what is ours alone.
    pub(super) fn write_own(&self, journal: &mut Journal) -> io::Result<()> {
        for (path, mode) in &self.folders {
            journal.folder(path, *mode)?;
        }
        self.own
            .iter()
            .try_for_each(|own| journal.file(&own.path, &own.content, own.mode))
    }

    /// Writes into the files that others write too.
    pub(super) fn write_shared(&self, journal: &mut Journal) -> io::Result<()> {
        self.shared
            .iter()
            .try_for_each(|shared| journal.edit(&shared.path, &shared.change))
    }
}

/// The lines that go and the lines that come, in the order of the file; as few as can be.
fn difference(old: &[u8], new: &[u8]) -> Vec<String> {
    let lines = |text: &[u8]| -> Vec<String> {
        let text = String::from_utf8_lossy(text).into_owned();
        text.lines().map(str::to_owned).collect()
    };
    let (old, new) = (lines(old), lines(new));
    let both = old.iter().rev().zip(new.iter().rev());
    let end = both.take_while(|(line, other)| line == other).count();
    let without_end =
        |lines: &[String]| lines.get(..lines.len() - end).unwrap_or_default().to_vec();
    let (old, new) = (without_end(&old), without_end(&new));
    let common = in_common(&old, &new);
    let kept = |one: usize, other: usize| {
        let row = common.get(one).and_then(|row| row.get(other));
        row.copied().unwrap_or_default()
    };
    let mut changes = Vec::new();
    let (mut one, mut other) = (0, 0);
    loop {
        match (old.get(one), new.get(other)) {
            (None, None) => break,
            (Some(line), Some(same)) if line == same => (one, other) = (one + 1, other + 1),
            (Some(line), come) if come.is_none() || kept(one + 1, other) > kept(one, other + 1) => {
                changes.push(format!("- {line}"));
                one += 1;
            }
            (_, Some(line)) => {
                changes.push(format!("+ {line}"));
                other += 1;
            }
            (Some(_), None) => break,
        }
    }
    // An empty line is not worth showing.
    changes.retain(|line| line.len() > 2);
    changes
}

/// How many lines two texts have in common, in their order, from a line of the one and a line of the other on; nothing
/// for texts too long to be compared so.
fn in_common(old: &[String], new: &[String]) -> Vec<Vec<u32>> {
    if old.len().saturating_mul(new.len()) > MOST_COMPARED {
        return Vec::new();
    }
    let mut table = vec![vec![0; new.len() + 1]];
    for line in old.iter().rev() {
        let below = table.last().cloned().unwrap_or_default();
        let mut row = vec![0];
        for (other, pair) in new.iter().rev().zip(below.windows(2).rev()) {
            let &[down, across] = pair else { continue };
            let right = row.last().copied().unwrap_or_default();
            row.push(if line == other {
                across + 1
            } else {
                right.max(down)
            });
        }
        row.reverse();
        table.push(row);
    }
    table.reverse();
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_names_the_lines_that_go_and_come() {
        let table = [
            ("a\nb\n", "x\na\nb\n", "+ x"),
            ("a\nx\nb\n", "x\na\nb\n", "+ x,- x"),
            ("a\n", "a\n", ""),
            ("", "a\nb\n", "+ a,+ b"),
            ("a\nb\n", "b\n", "- a"),
            // A block that moves to the top shows as that, whatever else is the same in both.
            (
                "1\n2\n3\n<\nx\n2\n>\nend\n",
                "<\nx\n2\n>\n1\n2\n3\nend\n",
                "- 1,- 2,- 3,+ 1,+ 2,+ 3",
            ),
        ];
        for (old, new, expected) in table {
            assert_eq!(
                difference(old.as_bytes(), new.as_bytes()).join(","),
                expected,
                "{old:?} {new:?}"
            );
        }
    }
}
