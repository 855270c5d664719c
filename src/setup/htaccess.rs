//! Our lines in the `.htaccess` of the home address: where they are, putting them first, taking them away. Pure.
//!
//! Other plugins rewrite that file: some put their own lines above ours, some trim every line. So lines compare without the
//! blanks around them, and ours go to the very top again. Everything else keeps its bytes.

/// First line of our block.
const BEGIN: &str = "# BEGIN Bento Webhooks";
/// Last line of our block.
const END: &str = "# END Bento Webhooks";

/// What is in a `.htaccess` of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Our lines come first and are as we wrote them.
    First,
    /// Our lines are as we wrote them, but others come before.
    Below,
    /// There are lines between our markers, but not those that we would write; or there are two blocks.
    Changed,
    /// There are no lines of ours.
    Missing,
}

/// Looks for `block` in the text.
pub fn state(text: &[u8], block: &str) -> State {
    let Parts { before, ours, .. } = split(text);
    let blank = |lines: &[u8]| lines.trim_ascii().is_empty();
    match ours.as_slice() {
        [] => State::Missing,
        [own] if !same(own, block) => State::Changed,
        [_] if blank(before) => State::First,
        [_] => State::Below,
        _ => State::Changed,
    }
}

/// The text with `block` at its top and nowhere else.
pub fn with_block(text: &[u8], block: &str) -> Vec<u8> {
    let rest = without_block(text);
    let mut new = block.as_bytes().to_vec();
    if !rest.is_empty() {
        new.push(b'\n');
    }
    new.extend(rest);
    new
}

/// The text without our lines and without the empty line behind them.
pub fn without_block(text: &[u8]) -> Vec<u8> {
    let mut rest = text.to_vec();
    loop {
        let Parts {
            before,
            ours,
            after,
        } = split(&rest);
        if ours.is_empty() {
            return rest;
        }
        let after = after
            .strip_prefix(b"\r\n")
            .or_else(|| after.strip_prefix(b"\n"))
            .unwrap_or(after);
        rest = [before, after].concat();
    }
}

/// A text around the first of our blocks.
struct Parts<'a> {
    before: &'a [u8],
    /// All blocks.
    ours: Vec<&'a [u8]>,
    /// What follows the first block.
    after: &'a [u8],
}

fn split(text: &[u8]) -> Parts<'_> {
    let mut ours: Vec<&[u8]> = Vec::new();
    let mut first = None;
    let (mut begun, mut at) = (None, 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = at + line.len();
        let word = line.trim_ascii();
        if word == BEGIN.as_bytes() {
            begun = Some(at);
        } else if word == END.as_bytes()
            && let Some(start) = begun.take()
        {
            ours.extend(text.get(start..end));
            first = first.or(Some((start, end)));
        }
        at = end;
    }
    let (start, end) = first.unwrap_or((text.len(), text.len()));
    Parts {
        before: text.get(..start).unwrap_or_default(),
        ours,
        after: text.get(end..).unwrap_or_default(),
    }
}

/// Whether both have the same lines, but for blanks and empty lines.
fn same(own: &[u8], block: &str) -> bool {
    let lines = |text: &[u8]| -> Vec<Vec<u8>> {
        text.split(|byte| *byte == b'\n')
            .map(|line| line.trim_ascii().to_vec())
            .filter(|line| !line.is_empty())
            .collect()
    };
    lines(own) == lines(block.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "# BEGIN Bento Webhooks\n  RewriteRule x\n# END Bento Webhooks\n";

    #[test]
    fn what_is_put_in_comes_out_to_the_byte() {
        for text in [
            "",
            "\n",
            "\n\nx",
            "# BEGIN WordPress\nx\n# END WordPress",
            "x\r\n\r\n",
            "\u{feff}x\n",
        ] {
            let with = with_block(text.as_bytes(), BLOCK);
            assert!(with.starts_with(BLOCK.as_bytes()), "{text:?}");
            assert_eq!(state(&with, BLOCK), State::First, "{text:?}");
            assert_eq!(without_block(&with), text.as_bytes(), "{text:?}");
            assert_eq!(with_block(&with, BLOCK), with, "{text:?}");
        }
    }

    #[test]
    fn lines_that_others_trimmed_or_pushed_down_are_known_again() {
        let trimmed = BLOCK.replace("  R", "R");
        let table = [
            (BLOCK.to_owned(), State::First),
            (format!("\n\n{trimmed}"), State::First),
            (trimmed.replace('\n', "\r\n"), State::First),
            (format!("# cache\n{trimmed}x\n"), State::Below),
            (BLOCK.replace(" x", " y"), State::Changed),
            (format!("{BLOCK}{BLOCK}"), State::Changed),
            ("# BEGIN Bento Webhooks\nx\n".to_owned(), State::Missing),
            ("x\n".to_owned(), State::Missing),
        ];
        for (text, expected) in table {
            assert_eq!(state(text.as_bytes(), BLOCK), expected, "{text:?}");
        }
        let twice = format!("# cache\n{BLOCK}a\n{BLOCK}b\n");
        assert_eq!(
            with_block(twice.as_bytes(), BLOCK),
            format!("{BLOCK}\n# cache\na\nb\n").as_bytes()
        );
    }

    #[test]
    fn lines_that_never_end_are_left_alone() {
        let open = "# BEGIN Bento Webhooks\nx\n# BEGIN WordPress\ny\n";
        assert_eq!(without_block(open.as_bytes()), open.as_bytes());
    }
}
