//! What tests of the whole product share.

use candlemill_client::forms::FetchRequest;
use candlemill_client::{Api, fetch_request};
use candlemill_devkit::Stack;
use mongodb::bson::{Document, doc};
use redis::aio::MultiplexedConnection;
use serde_json::Value;
use std::time::Duration;

/// 2023-01-01, UTC ms.
const START: i64 = 1_672_531_200_000;
const MINUTE: i64 = 60_000;
/// Candles of one page.
const PAGE: i64 = 1_000;

/// A connection to the stack's Redis, past the product.
pub(crate) async fn redis_of(stack: &Stack) -> MultiplexedConnection {
    redis::Client::open(stack.redis_url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// The stack's database, past the product.
pub(crate) async fn database_of(stack: &Stack) -> mongodb::Database {
    mongodb::Client::with_uri_str(stack.mongo_uri()).await.unwrap().database(stack.database())
}

/// Waits until a worker has stored which markets there are: before that nobody knows what is unknown.
pub(crate) async fn wait_for_markets(stack: &Stack) {
    let markets = database_of(stack).await.collection::<Document>("markets");
    let waiting = async {
        while markets.find_one(doc! { "_id": "binance" }).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("a worker brings the list of markets");
}

/// Generated minutes: what the exchange has is asked of it directly, past the product.
pub(crate) struct Source {
    candles: i64,
}

impl Source {
    pub(crate) async fn minutes(stack: &Stack, candles: i64) -> Self {
        let range = serde_json::json!({ "symbol": "GENUSDT", "interval": "1m", "start": START, "end": START + candles * MINUTE });
        stack.simulator.post("/_simulator/warm", &range).await.unwrap();
        Self { candles }
    }

    pub(crate) fn request(&self) -> FetchRequest {
        let end = (START + self.candles * MINUTE).to_string();
        fetch_request("GENUSDT", "1m", &START.to_string(), Some(&end)).unwrap()
    }

    /// Compares every stored candle, digit by digit, with what the exchange answers.
    pub(crate) async fn check_stored(&self, stack: &Stack, name: &str) {
        let api = stack.client("enterprise").await.unwrap();
        for page in 0..(self.candles + PAGE - 1) / PAGE {
            let start = START + page * PAGE * MINUTE;
            let end = (start + PAGE * MINUTE).min(START + self.candles * MINUTE);
            let query = [
                ("symbol", "GENUSDT".to_owned()),
                ("interval", "1m".to_owned()),
                ("start", start.to_string()),
                ("end", end.to_string()),
            ];
            let stored: Value = api.get("/api/market-data/klines", &query).await.unwrap();
            let asked = format!(
                "{}/api/v3/klines?symbol=GENUSDT&interval=1m&startTime={start}&endTime={}&limit=1000",
                stack.simulator.url(),
                end - 1
            );
            let given: Value = reqwest::get(asked).await.unwrap().json().await.unwrap();
            assert!(stored == given, "{name}: page {page} differs from the source");
            assert_eq!(stored.as_array().unwrap().len() as i64, (end - start) / MINUTE, "{name}: page {page}");
        }
    }
}

/// Waits until a task has stored so many pages.
pub(crate) async fn wait_for_pages(api: &Api, task: &str, pages: u64) {
    let waiting = async {
        while api.progress(task).await.unwrap().done < pages {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the task gets under way");
}
