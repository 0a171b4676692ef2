//! Where tasks stand, and which ways lead on from there.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Accepted and durable; waits for a worker.
    Queued,
    /// A worker runs it.
    Running,
    /// The last attempt failed for a passing reason; the next one has its time.
    Retrying,
    /// Ended: done.
    Succeeded,
    /// Ended: a permanent error.
    Failed,
    /// Ended: cancelled by its owner.
    Cancelled,
    /// Ended: every attempt was used up, or the payload was poisonous. Kept for a look and a replay.
    Dead,
}

impl TaskState {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Retrying, Self::Succeeded, Self::Failed, Self::Cancelled, Self::Dead];

    /// The state's name in answers, records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    /// Whether nothing more happens to the task.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Dead)
    }

    /// Whether the task's owner may have it tried again. This alone leads out of an end state.
    #[must_use]
    pub const fn is_replayable(self) -> bool {
        matches!(self, Self::Failed | Self::Dead)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TaskState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|state| state.as_str()).collect();
            format!("{text:?} is no task state; one of {}", all.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for state in TaskState::ALL {
            assert_eq!(state.as_str().parse::<TaskState>(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
