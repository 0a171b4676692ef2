//! How far a task is.

use crate::figures::Figures;
use crate::percent::PER_MILLE;
use crate::progress::Progress;
use crate::task::{TaskError, TaskId, TaskState};
use crate::timestamp::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProgressView {
    /// The task's id.
    pub task_id: TaskId,
    /// Where the task stands.
    pub state: TaskState,
    /// Share done, one decimal; 100 only at the end.
    #[schema(minimum = 0, maximum = 100, example = 42.5)]
    pub percent: f64,
    /// Units done.
    #[serde(default)]
    pub done: u64,
    /// Units in all; 0 before the task is planned.
    #[serde(default)]
    pub total: u64,
    /// What the units are: `pages` of a fetch. Empty for a kind that this API does not know.
    #[serde(default)]
    #[schema(example = "pages")]
    pub unit: String,
    /// What is being done; null where the kind has no stages.
    #[serde(default)]
    pub stage: Option<String>,
    /// Counts of the kind, each a member. Of a fetch: `pages_done` and `pages_total`, as `done` and `total`; `candles_stored`:
    /// candles newly stored; `duplicates`: candles that were stored before.
    #[serde(flatten, deserialize_with = "counts")]
    pub details: BTreeMap<String, u64>,
    /// What the kind counts (of a fetch: candles) per second since this attempt began; at the end on average over the whole task.
    #[schema(minimum = 0)]
    pub rate: f64,
    /// Seconds left at that rate; null while unknown and at the end.
    #[schema(minimum = 0)]
    pub eta_seconds: Option<f64>,
    /// Number of the attempt.
    pub attempt: u32,
    /// Start of the first attempt; null before it.
    pub started_at: Option<Timestamp>,
    /// Of this snapshot.
    pub updated_at: Timestamp,
    /// Why the last attempt failed; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskError>,
}

/// Members that are no counts belong to a newer API, and are passed over.
fn counts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, u64>, D::Error> {
    let members = BTreeMap::<String, Value>::deserialize(deserializer)?;
    Ok(members.into_iter().filter_map(|(name, value)| Some((name, value.as_u64()?))).collect())
}

impl ProgressView {
    /// A count of the kind; 0 where it has none of this name.
    #[must_use]
    pub fn detail(&self, name: &str) -> u64 {
        self.details.get(name).copied().unwrap_or(0)
    }

    /// Whether `done` and `total` count things that the reader knows. Otherwise `percent` and `stage` tell all that there is.
    #[must_use]
    pub fn counts_units(&self) -> bool {
        self.total > 0 && !self.unit.is_empty() && self.unit != PER_MILLE
    }
}

/// Unit of fetches, which have had members of their own since before there were units.
const PAGES: &str = "pages";

impl From<Progress> for ProgressView {
    fn from(progress: Progress) -> Self {
        let Figures { done, total, mut details } = progress.figures;
        if progress.unit == PAGES {
            details.insert("pages_done".to_owned(), done);
            details.insert("pages_total".to_owned(), total);
            for name in ["candles_stored", "duplicates"] {
                details.entry(name.to_owned()).or_default();
            }
        }
        Self {
            task_id: progress.task_id,
            state: progress.state,
            percent: progress.percent,
            done,
            total,
            unit: progress.unit,
            stage: progress.stage,
            details,
            rate: progress.rate,
            eta_seconds: progress.eta_seconds,
            attempt: progress.attempt,
            started_at: progress.started_at.map(Timestamp::from),
            updated_at: progress.updated_at.into(),
            error: progress.error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_of_a_newer_api_are_passed_over() {
        let sent = json!({
            "task_id": "01JC5Y7V9N8B3M2K1H0G9F8E7D", "state": "running", "percent": 12.5, "done": 3, "total": 8, "unit": "pages",
            "stage": null, "pages_done": 3, "candles_stored": 2_000, "rate": 9.5, "eta_seconds": null, "attempt": 1,
            "started_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:01Z", "mood": "good",
        });
        let read: ProgressView = serde_json::from_value(sent).unwrap();
        assert_eq!((read.detail("candles_stored"), read.detail("mood"), read.done), (2_000, 0, 3));
    }
}
