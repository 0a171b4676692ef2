//! A fetch and its result as their owner sees them.

use super::mode::FetchMode;
use super::result::FetchResult;
use crate::forms::{FetchStart, GapView, TimeSpan};
use crate::interval::Interval;
use crate::symbol::{Exchange, Symbol};
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A fetch as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FetchRequestView {
    /// Where from.
    pub exchange: Exchange,
    /// What.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
    /// First open time, or `listing`.
    pub start: FetchStart,
    /// First open time that is no longer wanted; null: all that is closed when it runs.
    pub end: Option<Timestamp>,
    /// `verify` of a verification; absent of a fetch.
    #[serde(default, skip_serializing_if = "FetchMode::is_fetch")]
    pub mode: FetchMode,
}

/// The result of a fetch as its owner sees it. `range`, `ranges`, `gaps` and `checked_until` have their times in UTC ms and are
/// kept for earlier clients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct FetchResultView {
    /// The counts.
    #[serde(flatten)]
    pub result: FetchResult,
    /// What was asked for, resolved to times; null before that is known.
    pub asked: Option<TimeSpan>,
    /// What had to be fetched: the asked range without what the ledger already held. Absent in lists.
    pub fetched: Vec<TimeSpan>,
    /// Absent buckets of the asked range with their reason; at most 1,000, the rest in the coverage call. Absent in lists.
    pub absent: Vec<GapView>,
    /// Of a verification: open time up to which it has compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_until: Option<Timestamp>,
}

impl From<FetchResult> for FetchResultView {
    fn from(result: FetchResult) -> Self {
        Self {
            asked: result.range.map(TimeSpan::from),
            fetched: result.ranges.iter().copied().map(TimeSpan::from).collect(),
            absent: result.gaps.iter().cloned().map(GapView::from).collect(),
            compared_until: result.checked_until.map(Timestamp::from),
            result,
        }
    }
}
