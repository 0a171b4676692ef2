//! Pages on their way from the exchange into the ledger.

use super::leases::HeldPage;
use super::windows::Parts;
use candlemill_market_store::Inserted;
use candlemill_shared::coverage::Gap;
use candlemill_shared::{Candle, TimeRange};
use tokio::sync::OwnedSemaphorePermit;

/// A page of the plan.
pub(super) struct Page {
    pub(super) window: TimeRange,
    /// What was fetched of it; `None`: another task had fetched it meanwhile.
    pub(super) seen: Option<Seen>,
    /// Candles of it that another task stored meanwhile.
    pub(super) by_others: u64,
    /// Given back when what was fetched stands in the ledger.
    pub(super) held: HeldPage,
    /// Given back when the candles are stored.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// What the exchange says of a page, with its absences explained.
pub(super) struct Seen {
    /// What was lacking and has been looked at, up to the last bucket that is closed and final.
    pub(super) ranges: Parts,
    pub(super) gaps: Vec<Gap>,
    pub(super) candles: Vec<Candle>,
    pub(super) rejected: u64,
}

/// Pages whose candles are stored.
pub(super) struct Stored {
    pub(super) pages: Vec<Page>,
    pub(super) found: Inserted,
}
