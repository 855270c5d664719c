//! `queue.*` and `hook.last`: what waits, who works on it, and when a webhook last came.

use super::finding::Finding;
use super::patient::Patient;

const NONE: &str = "this version keeps no queue";

/// `queue.state`
pub(super) fn state(_: &Patient) -> Vec<Finding> {
    vec![Finding::skipped(NONE)]
}

/// `queue.worker`
pub(super) fn worker(_: &Patient) -> Vec<Finding> {
    vec![Finding::skipped(NONE)]
}

/// `hook.last`
pub(super) fn last(_: &Patient) -> Vec<Finding> {
    vec![Finding::skipped(NONE)]
}
