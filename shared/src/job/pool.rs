//! Pools of workers.

use serde::{Deserialize, Serialize};

/// Where a kind of job waits and runs: every pool has its own queue, concurrency and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// History from exchanges.
    Backfill,
    /// Analytics over stored candles: busy processors, no exchange.
    Seasonality,
    /// Short work of the service itself.
    Maintenance,
}

impl Pool {
    /// Every pool.
    pub const ALL: [Self; 3] = [Self::Backfill, Self::Seasonality, Self::Maintenance];

    /// The pool's name in keys, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Seasonality => "seasonality",
            Self::Maintenance => "maintenance",
        }
    }

    /// The pool of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pool| pool.as_str() == name)
    }
}
