//! A typed client of the Candlemill API: one method for every call, over the request and answer forms of
//! [`candlemill_shared::forms`].
//!
//! ```no_run
//! use candlemill_client::{Api, fetch_request, fetch_result};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let api = Api::new("http://127.0.0.1:8080", "the access token of a Supabase session");
//! let request = fetch_request("BTCUSDT", "1h", "2020-01-01", Some("2020-02-01"))?;
//! let accepted = api.fetch(&request, Some("my-key-1")).await?;
//! api.follow(accepted.task_id, |progress| println!("{} %", progress.percent)).await?;
//! let task = api.task(accepted.task_id).await?;
//! if let Some(found) = fetch_result(&task) {
//!     println!("{} new candles, {} gaps", found.result.inserted, found.result.gaps_total);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Stored candles come page by page, however many there are:
//!
//! ```no_run
//! use candlemill_client::{Api, klines_query};
//! use futures::TryStreamExt as _;
//!
//! # async fn example(api: Api) -> Result<(), Box<dyn std::error::Error>> {
//! let query = klines_query("BTCUSDT".parse()?, "1m".parse()?);
//! let mut candles = std::pin::pin!(api.candles(query));
//! while let Some(candle) = candles.try_next().await? {
//!     println!("{} {}", candle.open_time, candle.close);
//! }
//! # Ok(())
//! # }
//! ```

mod api;
mod backfills;
mod dead_letters;
mod error;
mod events;
mod follow;
mod klines;
mod market_data;
mod open;
mod operations;
mod operators;
mod pages;
mod results;
mod schedules;
mod seasonality;
mod tasks;
mod words;

pub use api::Api;
pub use candlemill_shared::forms;
pub use error::ApiError;
pub use events::{Event, EventParser, EventReader};
pub use klines::Klines;
pub use operations::OPERATIONS;
pub use results::{fetch_request_of, fetch_result};
pub use words::{InvalidRequest, fetch_request, klines_query, parse_start, parse_time};
