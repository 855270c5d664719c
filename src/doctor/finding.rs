//! What a check found, in a form that cannot leave the reader alone: whoever reports a problem must also say why it
//! matters and what to do next. Pure.

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Fine; shown in the group's one line.
    Ok,
    /// Fine, and only of interest to who asks for details.
    Info,
    /// Not examined, because something it needs is broken.
    Skipped,
    /// Webhooks work, but the owner should know.
    Warning,
    /// Something is broken.
    Failure,
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// How much it matters.
    pub(super) level: Level,
    /// What was seen.
    pub(super) seen: String,
    /// Why it matters; with every problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// One next step; with every problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

impl Finding {
    /// All is well; `seen` are the few words for the group's line.
    pub(super) fn ok(seen: impl Into<String>) -> Finding {
        Finding::plain(Level::Ok, seen)
    }

    /// All is well, and `seen` is for details only.
    pub(super) fn info(seen: impl Into<String>) -> Finding {
        Finding::plain(Level::Info, seen)
    }

    /// Not examined; `needs` names what is broken, or says why.
    pub(super) fn skipped(needs: impl Into<String>) -> Finding {
        Finding::plain(Level::Skipped, needs)
    }

    /// Webhooks work, but the owner should know.
    pub(super) fn warning(
        seen: impl Into<String>,
        why: impl Into<String>,
        next: impl Into<String>,
    ) -> Finding {
        Finding {
            why: Some(why.into()),
            next: Some(next.into()),
            ..Finding::plain(Level::Warning, seen)
        }
    }

    /// Something is broken.
    pub(super) fn failure(
        seen: impl Into<String>,
        why: impl Into<String>,
        next: impl Into<String>,
    ) -> Finding {
        Finding {
            level: Level::Failure,
            ..Finding::warning(seen, why, next)
        }
    }

    /// All that is said.
    pub(super) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        [&mut self.seen]
            .into_iter()
            .chain(&mut self.why)
            .chain(&mut self.next)
    }

    fn plain(level: Level, seen: impl Into<String>) -> Finding {
        Finding {
            level,
            seen: seen.into(),
            why: None,
            next: None,
        }
    }
}
