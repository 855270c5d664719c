//! Puts results into README.md, between the marks that are there for them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Replaces what stands between the marks of this name.
pub(crate) fn fill(name: &str, text: &str) -> Result<()> {
    let file = place("README.md");
    let whole = fs::read_to_string(&file)?;
    let (start, end) = (
        format!("<!-- bench: {name} -->\n"),
        format!("<!-- end: {name} -->"),
    );
    let (before, rest) = whole
        .split_once(&start)
        .with_context(|| format!("README.md has no mark for {name}"))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("README.md has no end mark for {name}"))?;
    let text = text.trim();
    Ok(fs::write(
        file,
        format!("{before}{start}\n{text}\n\n{end}{after}"),
    )?)
}

/// Writes the chart.
pub(crate) fn draw(chart: &str) -> Result<()> {
    Ok(fs::write(place("examples/bench/cost.svg"), chart)?)
}
