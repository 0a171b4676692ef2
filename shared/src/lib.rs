//! The vocabulary of Candlemill: what every crate says and none owns.
//!
//! Nothing here knows of MongoDB, Redis, HTTP or Polars. Times are UTC milliseconds since 1970 (`i64`), ranges are
//! half-open, prices and amounts are exact decimals in the precision in which the source printed them.

pub mod candle;
pub mod children;
pub mod clock;
pub mod coverage;
pub mod env;
pub mod figures;
pub mod forms;
pub mod interval;
pub mod job;
pub mod percent;
pub mod progress;
pub mod range;
pub mod request;
pub mod retry;
pub mod schedule;
mod schemas;
mod series_name;
pub mod study;
pub mod symbol;
pub mod task;
pub mod telemetry;
pub mod tier;
pub mod time_zone;
pub mod timestamp;
pub mod webhook;
pub mod worker;

pub use candle::{Candle, CandleFault};
pub use clock::{Clock, ManualClock, SystemClock};
pub use interval::{Interval, PAGE_BUCKETS};
pub use range::TimeRange;
pub use rust_decimal::Decimal;
pub use series_name::{read_series_name, series_name};
pub use symbol::{Assets, Exchange, Symbol};
pub use time_zone::ZoneName;
pub use timestamp::Timestamp;
