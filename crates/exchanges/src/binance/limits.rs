//! What one call may ask for, bring back and cost.

/// Most candles that one call returns.
pub const PAGE_CANDLES: u32 = 1_000;

/// Most bytes of an answer. A full page of candles has about 200 kB.
pub(super) const LONGEST_ANSWER: usize = 8 << 20;
/// Most bytes of the list of all markets, which had 2 MB in 2021 and grows with every market and permission.
pub(super) const LONGEST_MARKET_LIST: usize = 64 << 20;

/// Request weight that one IP may use per minute, as long as the exchange has not named another limit.
pub(crate) const USUAL_WEIGHT_LIMIT: u32 = 6_000;

pub(super) const WEIGHT_TIME: u32 = 1;
pub(super) const WEIGHT_KLINES: u32 = 2;
pub(super) const WEIGHT_EXCHANGE_INFO: u32 = 20;
