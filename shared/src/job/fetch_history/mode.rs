//! What a fetch does about candles that are stored already.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a fetch does about candles that are stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FetchMode {
    /// It asks only for what the ledger lacks.
    #[default]
    Fetch,
    /// It asks for everything again and compares: restated candles are recorded, holes filled.
    Verify,
}

impl FetchMode {
    /// Whether only what is lacking is asked for.
    #[must_use]
    pub const fn is_fetch(&self) -> bool {
        matches!(self, Self::Fetch)
    }
}
