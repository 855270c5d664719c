//! What becomes of punctuation in a slug, in the percent-encoded form in which slugs are compared.
//!
//! Never applied to letters: those keep their encoded form.

/// Blanks and dashes, and references to them, that become a hyphen.
pub(in crate::clean) static HYPHENS: &[&str] = &[
    "%c2%a0",
    "%e2%80%93",
    "%e2%80%94",
    "&nbsp;",
    "&#160;",
    "&ndash;",
    "&#8211;",
    "&mdash;",
    "&#8212;",
];

/// The same for the non-breaking hyphen, from 6.9.
pub(in crate::clean) static HYPHENS_6_9: &[&str] = &["%e2%80%91", "&#8209;"];

/// Marks and invisible characters that vanish.
pub(in crate::clean) static DROPPED: &[&str] = &[
    "%c2%a1",
    "%c2%a9",
    "%c2%ab",
    "%c2%ad",
    "%c2%ae",
    "%c2%b0",
    "%c2%b4",
    "%c2%bb",
    "%c2%bf",
    "%cb%8a",
    "%cc%80",
    "%cc%81",
    "%cc%84",
    "%cc%8c",
    "%cd%81",
    "%e2%80%8b",
    "%e2%80%8c",
    "%e2%80%8d",
    "%e2%80%8e",
    "%e2%80%8f",
    "%e2%80%98",
    "%e2%80%99",
    "%e2%80%9a",
    "%e2%80%9b",
    "%e2%80%9c",
    "%e2%80%9d",
    "%e2%80%9e",
    "%e2%80%9f",
    "%e2%80%a2",
    "%e2%80%a6",
    "%e2%80%aa",
    "%e2%80%ab",
    "%e2%80%ac",
    "%e2%80%ad",
    "%e2%80%ae",
    "%e2%80%b9",
    "%e2%80%ba",
    "%e2%84%a2",
    "%ef%bb%bf",
    "%ef%bf%bc",
];

/// Further blanks that become a hyphen, after [`DROPPED`].
pub(in crate::clean) static BLANKS: &[&str] = &[
    "%e2%80%80",
    "%e2%80%81",
    "%e2%80%82",
    "%e2%80%83",
    "%e2%80%84",
    "%e2%80%85",
    "%e2%80%86",
    "%e2%80%87",
    "%e2%80%88",
    "%e2%80%89",
    "%e2%80%8a",
    "%e2%80%a8",
    "%e2%80%a9",
    "%e2%80%af",
];
