//! What a tier's limits are applied to, besides the job itself.

use crate::interval::Interval;
use crate::symbol::{Exchange, Symbol};
use crate::tier::{Tier, TierTable};
use std::collections::HashMap;

/// By what a job is admitted.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// What tiers allow.
    pub tiers: &'a TierTable,
    /// The owner's tier.
    pub tier: Tier,
    /// Where series begin.
    pub listings: &'a Listings,
    /// When the job runs, UTC ms.
    pub now_ms: i64,
}

/// First open times of series, UTC ms: only such as are recorded in the store, by which workers fetch. What lies before one
/// counts against no tier, so no caller's word ever stands here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listings(HashMap<(Exchange, Symbol, Interval), i64>);

impl Listings {
    /// Open time of the first candle of a series, UTC ms; `None`: it is not known.
    #[must_use]
    pub fn first_open(&self, exchange: Exchange, symbol: &Symbol, interval: Interval) -> Option<i64> {
        self.0.get(&(exchange, symbol.clone(), interval)).copied()
    }
}

impl FromIterator<((Exchange, Symbol, Interval), i64)> for Listings {
    fn from_iter<I: IntoIterator<Item = ((Exchange, Symbol, Interval), i64)>>(known: I) -> Self {
        Self(known.into_iter().collect())
    }
}
