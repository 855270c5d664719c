//! How far it is, on one line of a terminal; nothing where nobody looks.

use std::io::{self, IsTerminal as _, Write as _};

/// A bar that fills.
pub(crate) struct Progress {
    steps: usize,
    done: usize,
}

const WIDTH: usize = 24;

impl Progress {
    /// An empty bar.
    pub(crate) fn new(steps: usize) -> Progress {
        Progress { steps, done: 0 }
    }

    /// One step more; `what` comes next.
    pub(crate) fn step(&mut self, what: &str) {
        let full = WIDTH * self.done / self.steps.max(1);
        self.done += 1;
        let bar = "#".repeat(full) + &"-".repeat(WIDTH.saturating_sub(full));
        draw(&format!("[{bar}] {what}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        draw("");
    }
}

/// Puts the line in place of the one before. A closed terminal is no reason to stop.
fn draw(line: &str) {
    let mut out = io::stderr().lock();
    if out.is_terminal() {
        drop(write!(out, "\r\x1b[K{line}"));
        drop(out.flush());
    }
}
