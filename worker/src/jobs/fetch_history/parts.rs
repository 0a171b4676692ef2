//! Whether a fetch is too large for one task, and how it is cut.

use super::plan::Plan;
use super::windows::PER_PAGE;
use candlemill_shared::Interval;
use candlemill_shared::children::Children;
use candlemill_shared::job::cut;
use candlemill_shared::task::TaskRecord;

/// Most parts of one fetch.
const MAX_PARTS: u64 = 64;

/// The parts of a fetch with more than `split_pages` pages, each about half as large; `None` when one task does it all: it is
/// small, its owner may run only one at once, or it has been cut before.
pub(super) fn of(record: &TaskRecord, plan: &Plan, interval: Interval, split_pages: u64) -> Option<Children> {
    if plan.pages <= split_pages || record.running_at_once < 2 || record.children.is_some() {
        return None;
    }
    let parts = cut(&plan.missing, interval, (split_pages / 2).max(1) * u64::from(PER_PAGE), MAX_PARTS);
    Some(Children {
        total: u32::try_from(parts.len()).unwrap_or(u32::MAX),
        generation: record.dead_letter.replays,
        parts: serde_json::json!(parts),
        ..Children::default()
    })
}
