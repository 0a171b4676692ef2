//! Stored market data: candles and which of them are complete, markets, the request budget, who fetches which page.
//!
//! MongoDB is the truth; what lies in Redis saves calls to exchanges and keeps their limits. Knows nothing of tasks but their
//! ids as names of those who hold a lease.

mod budget;
mod candle_id;
mod candles;
mod coverage;
mod history;
mod load;
mod market_store;
mod markets;
mod pages;
mod series;
mod studies;

pub use budget::{BudgetAnswer, WeightLedger};
pub use candles::{Candles, Correction, Inserted};
pub use coverage::{Audited, Coverage, Known, Observation, SeriesPage, SeriesSelection, SeriesSummary};
pub use history::History;
pub use market_store::MarketStore;
pub use markets::{ListRenewal, Market, MarketLookup, MarketPage, MarketSelection, Markets};
pub use pages::{PageLease, Pages, Taken};
pub use series::Series;
pub use studies::{Studies, StudyContents, StudyFile, StudyHead, StudySelection};
