//! Exchange clients: history over REST, and the pure arithmetic around it (page checks, gaps, retries).
//!
//! Nothing here stores anything. What a client needs from outside is passed in: the rate budget that all workers share
//! ([`WeightBudget`]), the clock, and the counters of the job on whose behalf it calls ([`CallCounters`]).

pub mod backoff;
pub mod binance;
pub mod budget;
pub mod clients;
pub mod config;
pub mod counters;
pub mod error;
pub mod gaps;
pub mod historical;
mod http_date;
pub mod market;
pub mod page;
pub mod server_time;

pub use binance::{BinanceClient, BinanceConfig};
pub use budget::{BudgetError, Grant, Unlimited, WeightBudget};
pub use clients::{ExchangeClient, ExchangeClients};
pub use config::ExchangesConfig;
pub use counters::{CallCounters, CallStats};
pub use error::{Answer, Disposition, ExchangeError, Fault, Refusal};
pub use gaps::{MarketFacts, explain};
pub use historical::HistoricalMarketData;
pub use market::{Market, MarketStatus, Markets};
pub use page::{CheckedPage, FINAL_AFTER_MS, PageFault, RawPage, check_page};
pub use server_time::{ClockFault, ServerTime};
