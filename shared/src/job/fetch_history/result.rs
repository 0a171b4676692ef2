//! What a fetch did, and how those of its parts add up.

use crate::coverage::Gap;
use crate::job::definition::PartResult;
use crate::range::{TimeRange, normalise};
use crate::task::TaskState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a fetch did, over all of its attempts unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct FetchResult {
    /// Candles that were not stored before.
    pub inserted: u64,
    /// Candles that were stored already, by an earlier attempt or an overlapping task.
    pub duplicate: u64,
    /// Stored candles of which the exchange now gives other figures; see the corrections of the symbol.
    pub restated: u64,
    /// Rows that failed the checks and were not stored; their buckets stand in `gaps` as `fetch_failed`.
    pub rejected: u64,
    /// Pages fetched.
    pub pages: u64,
    /// Pages of the whole task, as it was last planned; 0 before that.
    pub pages_total: u64,
    /// Calls to the exchange, retries included.
    pub calls: u64,
    /// Request weight spent.
    pub weight: u64,
    /// Calls that had to be repeated.
    pub retries: u64,
    /// What was asked for, resolved to times.
    #[schema(deprecated)]
    pub range: Option<TimeRange>,
    /// What had to be fetched: the asked range without what the ledger already held.
    #[schema(deprecated)]
    pub ranges: Vec<TimeRange>,
    /// Of a fetch that did not succeed: whether `ranges` have been fetched, rather than were to be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ranges_are_fetched: bool,
    /// Absent buckets of the asked range with their reason; at most [`MAX_RESULT_GAPS`], the rest in the coverage call.
    #[schema(deprecated)]
    pub gaps: Vec<Gap>,
    /// Number of all gaps, listed or not.
    pub gaps_total: u64,
    /// From the first attempt's start to the end, ms.
    pub duration_ms: u64,
    /// Of a verification: buckets that the ledger had called complete, and that had neither candle nor gap.
    #[serde(skip_serializing_if = "is_zero")]
    pub reopened: u64,
    /// Of a verification: open time up to which it has compared, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(deprecated)]
    pub checked_until: Option<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Most gaps that a result lists.
pub const MAX_RESULT_GAPS: usize = 1_000;

impl FetchResult {
    /// Members that those of parts add up to.
    pub(in crate::job) const SUMMED: &'static [&'static str] = &[
        "inserted",
        "duplicate",
        "restated",
        "rejected",
        "pages",
        "pages_total",
        "calls",
        "weight",
        "retries",
        "gaps_total",
        "ranges",
        "ranges_are_fetched",
    ];

    /// Adds what parts did. Returns the ranges that they have fetched, ascending and joined.
    pub(in crate::job) fn add_all(&mut self, parts: &[PartResult]) -> Vec<TimeRange> {
        let mut fetched = Vec::new();
        let read = parts.iter().filter_map(|part| Some((part.state, Self::deserialize(part.result.as_ref()?).ok()?)));
        for (state, part) in read {
            self.inserted += part.inserted;
            self.duplicate += part.duplicate;
            self.restated += part.restated;
            self.rejected += part.rejected;
            self.pages += part.pages;
            self.calls += part.calls;
            self.weight += part.weight;
            self.retries += part.retries;
            self.gaps_total += part.gaps_total;
            // Of one that ended otherwise they may still be what was to be fetched.
            if state == TaskState::Succeeded || part.ranges_are_fetched {
                fetched.extend(part.ranges);
            }
        }
        // How many there are in all only an attempt that plans the rest can tell.
        self.pages_total = 0;
        normalise(fetched)
    }
}
