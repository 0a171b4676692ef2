//! Submits one backfill through the apalis inbox: no HTTP, no token, only Redis and apalis-redis.
//!
//! `APALIS_INBOX=candles cargo run -p candlemill-worker --example submit_by_apalis`, while a worker runs with the same
//! `APALIS_INBOX` and `REDIS_URL`.

use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_redis::{Config, RedisStorage};
use candlemill_shared::Exchange;
use candlemill_shared::env::{Env, Variable};
use candlemill_shared::job::{FetchHistory, FetchMode, Job, Start};
use candlemill_shared::request::TaskRequest;
use std::error::Error;

static REDIS_URL: Variable =
    Variable { name: "REDIS_URL", default: "redis://127.0.0.1:6379", help: "Redis of the worker" };
static APALIS_INBOX: Variable = Variable { name: "APALIS_INBOX", default: "candles", help: "the worker's inbox" };

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for a terminal")]
async fn main() -> Result<(), Box<dyn Error>> {
    let env = Env::from_process();
    let connection = apalis_redis::connect(env.text_or_default(&REDIS_URL)).await?;
    let config = Config::default().queue(env.text_or_default(&APALIS_INBOX));
    let mut inbox = RedisStorage::<TaskRequest>::new(connection).with_config(config);

    let fetch = FetchHistory {
        exchange: Exchange::Binance,
        symbol: "BTCUSDT".parse()?,
        interval: "1m".parse()?,
        start: Start::At(1_577_836_800_000),
        end: Some(1_577_923_200_000),
        mode: FetchMode::Fetch,
    };
    let request = TaskRequest {
        kind: FetchHistory::KIND.to_owned(),
        version: fetch.version(),
        payload: serde_json::to_value(&fetch)?,
        idempotency_key: None,
        run_at: None,
        webhook: None,
        trace_id: None,
    };
    // With an id of its own a push may be repeated, whatever became of it before: it stays one task.
    let id = ulid::Ulid::generate().to_string();
    inbox.push_task(TaskBuilder::new(request).task_id(TaskId::from_string(&id)).build()).await?;
    println!("pushed {id}: one day of BTCUSDT minutes");
    Ok(())
}
