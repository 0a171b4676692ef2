//! The next due instants, shown before they come.

use super::timing::Timing;
use super::wall::Wall;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Largest number of due instants that one preview shows.
pub const MAX_PREVIEWED: usize = 1_000;

/// A due instant to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewedFire {
    /// The due instant, UTC ms.
    pub due_at: i64,
    /// What the zone's wall clock shows then, with offset: `2026-03-29T03:00:00+02:00`.
    pub local: String,
    /// Whether the wall time that the pattern asks for does not exist that day, or comes twice.
    pub moved_by_daylight_saving: bool,
}

impl Timing {
    /// The next `count` due instants after `after_ms`, at most [`MAX_PREVIEWED`]; fewer when there are no more.
    #[must_use]
    pub fn preview(&self, after_ms: i64, count: usize) -> Vec<PreviewedFire> {
        let zone = self.when.zone();
        let mut after = after_ms;
        let next = || {
            let (due_at, moved_by_daylight_saving) = self.next_with_shift(after)?;
            after = due_at;
            let local = Wall::of(due_at.div_euclid(1_000), zone.zone())?.rfc3339();
            Some(PreviewedFire { due_at, local, moved_by_daylight_saving })
        };
        std::iter::from_fn(next).take(count.min(MAX_PREVIEWED)).collect()
    }
}

#[cfg(test)]
mod tests;
