//! What a task knows of those that it consists of: batches of fetches, and large fetches in parts.
//!
//! A parent's record says what its children are before the first of them is stored, and their ids follow from it: after a crash the
//! same children are stored, none twice. While they run, the parent waits outside of the queue. After the last of them it comes
//! back as any other task and ends by an attempt of its own, which looks for what is missing.

use crate::figures::Figures;
use crate::task::TaskState;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a parent knows of its children.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Children {
    /// How many there are.
    pub total: u32,
    /// Replays of the parent before they were planned: each replay has children of its own.
    pub generation: u32,
    /// How the attempt that left its work to them cut it, where the payload alone does not say so; a document of the kind.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub parts: Value,
    /// How far they were when that was last looked at; absent before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// Looks that were kept in `shown`, each with figures no lower than the one before it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looks: u32,
    /// How they ended; absent until all of them have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<ChildCounts>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
const fn is_zero(looks: &u32) -> bool {
    *looks == 0
}

/// How many children stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChildCounts {
    /// Wait for a worker; those that are still to be stored, too.
    pub queued: u32,
    /// Run, or wait for children of their own.
    pub running: u32,
    /// Wait for another attempt.
    pub retrying: u32,
    /// Ended: done.
    pub succeeded: u32,
    /// Ended: a permanent error.
    pub failed: u32,
    /// Ended: cancelled.
    pub cancelled: u32,
    /// Ended: given up.
    pub dead: u32,
}

impl ChildCounts {
    /// Counts one child.
    pub const fn add(&mut self, state: TaskState) {
        let count = match state {
            TaskState::Queued => &mut self.queued,
            TaskState::Running => &mut self.running,
            TaskState::Retrying => &mut self.retrying,
            TaskState::Succeeded => &mut self.succeeded,
            TaskState::Failed => &mut self.failed,
            TaskState::Cancelled => &mut self.cancelled,
            TaskState::Dead => &mut self.dead,
        };
        *count += 1;
    }

    /// Those to which nothing more happens.
    #[must_use]
    pub const fn ended(&self) -> u32 {
        self.succeeded + self.failed + self.cancelled + self.dead
    }
}

/// How far children are together. No figure of it ever falls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredShown", into = "StoredShown")]
pub struct Shown {
    /// Share done, 0 to 100, one decimal.
    pub percent: f64,
    /// The sums of their figures.
    pub figures: Figures,
}

/// As it is stored: under today's names and, for workers of version 0.1 beside this one, under theirs, which only fetches had.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredShown {
    percent: f64,
    done: u64,
    total: u64,
    details: BTreeMap<String, u64>,
    pages_done: u64,
    pages_total: u64,
    candles_stored: u64,
    duplicates: u64,
}

impl From<StoredShown> for Shown {
    fn from(stored: StoredShown) -> Self {
        let StoredShown { percent, done, total, details, pages_done, pages_total, candles_stored, duplicates } = stored;
        // The higher one: a worker of either version wrote last.
        let earlier = Figures::of_version_0_1(pages_done, pages_total, candles_stored, duplicates);
        Self { percent, figures: Figures { done, total, details }.max(&earlier) }
    }
}

impl From<Shown> for StoredShown {
    fn from(shown: Shown) -> Self {
        let Figures { done, total, details } = shown.figures;
        let of = |name: &str| details.get(name).copied().unwrap_or(0);
        Self {
            percent: shown.percent,
            done,
            total,
            pages_done: done,
            pages_total: total,
            candles_stored: of("candles_stored"),
            duplicates: of("duplicates"),
            details,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_version_0_1_showed_is_read_and_what_is_shown_is_read_by_it() {
        let earlier =
            json!({"percent": 12.5, "pages_done": 3, "pages_total": 8, "candles_stored": 2_000, "duplicates": 5});
        let shown: Shown = serde_json::from_value(earlier.clone()).unwrap();
        assert_eq!((shown.figures.done, shown.figures.total, shown.figures.details["candles_stored"]), (3, 8, 2_000));
        let stored = serde_json::to_value(&shown).unwrap();
        for (name, value) in earlier.as_object().unwrap() {
            assert_eq!(&stored[name], value, "{name}");
        }
        assert_eq!(serde_json::from_value::<Shown>(stored).unwrap(), shown);
        let nothing: Shown = serde_json::from_value(json!({"percent": 0.0, "done": 1, "total": 2})).unwrap();
        assert_eq!(nothing.figures, Figures { done: 1, total: 2, ..Figures::default() });
    }
}
