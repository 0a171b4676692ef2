//! kill -9 of the worker at random moments of a backfill.

use crate::backfill::{collection, request};
use crate::figures::figure;
use anyhow::{Result, ensure};
use candlemill_devkit::Stack;
use candlemill_shared::task::TaskState;
use futures::TryStreamExt;
use mongodb::bson::{RawDocumentBuf, doc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};

/// 2020-01-01, UTC ms: far enough back for a hundred backfills, one after the other.
const START: i64 = 1_577_836_800_000;
/// Candles of one backfill: long enough that a kill meets every stage.
const CANDLES: i64 = 30_000;
const MINUTE: i64 = 60_000;
/// A kill comes within so many ms of the submission.
const WITHIN_MS: u64 = 900;
/// The killed worker's successor must end the task within this.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn measure(kills: u32, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stack = Stack::builder()
        .simulator_env("SIMULATOR_LATENCY_MS", "5")
        .simulator_env("SIMULATOR_WEIGHT_LIMIT", "10000000")
        .worker_env("BACKFILL_PAGE_CONCURRENCY", "2")
        .start()
        .await?;
    let client = stack.client("enterprise").await?;
    let candles = collection(stack.mongo_uri(), stack.database()).await?;
    let mut recoveries = crate::figures::Latencies::default();
    let mut met_running = 0;
    for kill in 0..kills {
        let start = START + i64::from(kill) * CANDLES * MINUTE;
        let accepted = client.fetch(&request(start, CANDLES)?, None).await?;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..WITHIN_MS))).await;
        stack.workers[0].kill9().await?;
        let killed = Instant::now();
        let before = client.task(&accepted.task_id).await?;
        met_running += u32::from(before.state == TaskState::Running);
        stack.workers[0].restart().await?;
        let end = tokio::time::timeout(PATIENCE, client.follow(&accepted.task_id, |_| {})).await??;
        ensure!(end.state == TaskState::Succeeded, "kill {kill}: ended as {}", end.state);
        if before.state == TaskState::Running {
            recoveries.0.push(killed.elapsed());
        }
        check(&candles, start, kill).await?;
    }
    figure("kills, collections unequal to the source", format!("{kills}, 0"));
    figure("kills that met the task running", met_running);
    recoveries.print("kill to end of the task")?;
    stack.stop().await
}

/// Every minute of the range is there once. (What the candles hold is compared in the system tests.)
async fn check(candles: &mongodb::Collection<RawDocumentBuf>, start: i64, kill: u32) -> Result<()> {
    let id = |ms: i64| format!("GENUSDT_{ms:013}");
    let range = doc! { "_id": { "$gte": id(start), "$lt": id(start + CANDLES * MINUTE) } };
    let found: Vec<RawDocumentBuf> = candles.find(range).sort(doc! { "_id": 1 }).await?.try_collect().await?;
    for (index, document) in found.iter().enumerate() {
        let expected = id(start + i64::try_from(index)? * MINUTE);
        ensure!(document.get_str("_id")? == expected, "kill {kill}: {expected} is missing");
    }
    ensure!(i64::try_from(found.len())? == CANDLES, "kill {kill}: {} of {CANDLES} candles", found.len());
    Ok(())
}
