//! A year of minutes, its repeat, and the bare driver with the same documents.

use crate::figures::{figure, mebibytes};
use anyhow::{Result, ensure};
use candlemill_client::forms::FetchRequest;
use candlemill_client::{fetch_request, fetch_result};
use candlemill_devkit::{MongoServer, Stack};
use candlemill_shared::task::TaskState;
use futures::{StreamExt, TryStreamExt};
use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::options::{Acknowledgment, ClientOptions, WriteConcern};
use mongodb::{Client, Collection};
use std::time::{Duration, Instant};

/// 2023-01-01, UTC ms: the first candle.
pub(crate) const START: i64 = 1_672_531_200_000;
const MINUTE: i64 = 60_000;
/// Documents of one insert and inserts under way: as the worker has them at their most.
const BATCH: usize = 8_000;
const INSERTS: usize = 2;

/// The request for `candles` minutes from `from` on.
pub(crate) fn request(from: i64, candles: i64) -> Result<FetchRequest> {
    Ok(fetch_request("GENUSDT", "1m", &from.to_string(), Some(&(from + candles * MINUTE).to_string()))?)
}

/// Lets the simulator make its candles before the clock runs.
pub(crate) async fn warm(stack: &Stack, candles: i64) -> Result<()> {
    let (start, end) = (START, START + candles * MINUTE);
    let body = serde_json::json!({ "symbol": "GENUSDT", "interval": "1m", "start": start, "end": end });
    stack.simulator.post("/_simulator/warm", &body).await?;
    stack.simulator.post("/_simulator/reset-counters", &serde_json::json!({})).await?;
    Ok(())
}

pub(crate) async fn measure(latency: u64, candles: u64, beside: i64) -> Result<()> {
    let candles = i64::try_from(candles)?;
    let stack = Stack::builder()
        .without_ledger_check()
        .simulator_env("SIMULATOR_LATENCY_MS", &latency.to_string())
        .start()
        .await?;
    warm(&stack, candles).await?;
    let client = stack.client("enterprise").await?;
    // The first request of a token asks Supabase, and the market list must be there: neither belongs to the figure.
    client.fetch_and_wait(&fetch_request("BTCUSDT", "1d", "2020-01-01", Some("2020-01-02"))?).await?;

    let started = Instant::now();
    let mut others = Vec::new();
    for number in 1..=beside {
        // Before the first one's range, so that all lie in the past.
        others.push(client.fetch(&request(START - number * candles * MINUTE, candles)?, None).await?.task_id);
    }
    let task = client.fetch_and_wait(&request(START, candles)?).await?;
    let took = started.elapsed();
    ensure!(task.state == TaskState::Succeeded, "the backfill ended as {}: {:?}", task.state, task.error);
    let rate = per_second(candles, took);
    figure(
        &format!("{candles} candles at {latency} ms latency"),
        format!("{:.2} s, {rate:.0} candles/s", took.as_secs_f64()),
    );

    for other in &others {
        let end = client.follow(other, |_| {}).await?;
        ensure!(end.state == TaskState::Succeeded, "a backfill beside it ended as {}", end.state);
    }
    let started = Instant::now();
    let again = client.fetch_and_wait(&request(START, candles)?).await?;
    figure(
        "the same again",
        format!(
            "{:.1} ms, {} calls",
            started.elapsed().as_secs_f64() * 1e3,
            fetch_result(&again).map_or(0, |found| found.result.calls)
        ),
    );
    for worker in &stack.workers {
        figure("worker, peak resident memory", mebibytes(worker.peak_memory()?));
    }
    figure("API, peak resident memory", mebibytes(stack.api.peak_memory()?));

    let bare = bare_driver(&stack).await?;
    figure(
        "bare driver, same documents, fresh server",
        format!("{:.2} s, {:.0} candles/s", bare.as_secs_f64(), per_second(candles, bare)),
    );
    figure("ratio to the bare driver", format!("{:.2}", took.as_secs_f64() / bare.as_secs_f64()));
    stack.stop().await
}

/// Inserts the stored candles into a fresh server of the same kind, with the worker's batches and write concern.
async fn bare_driver(stack: &Stack) -> Result<Duration> {
    let from = collection(stack.mongo_uri(), stack.database()).await?;
    let range = doc! { "_id": { "$gte": "GENUSDT_", "$lt": "GENUSDT`" } };
    let documents: Vec<RawDocumentBuf> = from.find(range).await?.try_collect().await?;
    let fresh = MongoServer::throwaway().await?;
    let to = collection(&fresh.uri(), "bare").await?;
    let batches: Vec<Vec<RawDocumentBuf>> = documents.chunks(BATCH).map(<[_]>::to_vec).collect();
    drop(documents);
    let started = Instant::now();
    futures::stream::iter(batches)
        .map(|batch| {
            let to = to.clone();
            async move { to.insert_many(&batch).ordered(false).await }
        })
        .buffered(INSERTS)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    Ok(started.elapsed())
}

pub(crate) async fn collection(uri: &str, database: &str) -> Result<Collection<RawDocumentBuf>> {
    let mut options = ClientOptions::parse(uri).await?;
    options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
    Ok(Client::with_options(options)?.database(database).collection("klines.binance.1m"))
}

#[expect(clippy::cast_precision_loss, reason = "counts lie far below 2^52")]
fn per_second(count: i64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
