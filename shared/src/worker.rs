//! Workers, as everybody sees them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a worker does with tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// It claims tasks.
    Running,
    /// It claims none; those under way end or are handed back.
    Draining,
    /// It claims none and has none.
    Drained,
}

impl WorkerState {
    /// The state's name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Drained => "drained",
        }
    }
}
