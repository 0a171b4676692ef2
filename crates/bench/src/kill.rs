//! kill -9 of the worker at random moments of a backfill.

use crate::backfill::request;
use crate::figures::figure;
use anyhow::{Result, ensure};
use candlemill_client::Api;
use candlemill_devkit::Stack;
use candlemill_shared::task::{TaskId, TaskState};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::time::{Duration, Instant};

/// 2020-01-01, UTC ms: far enough back for three hundred backfills, one after the other.
const START: i64 = 1_577_836_800_000;
/// Candles of one backfill: long enough that a kill meets every stage.
const CANDLES: i64 = 12_000;
const MINUTE: i64 = 60_000;
/// A kill comes within so many ms of the start: shorter than an undisturbed backfill takes.
const WITHIN_MS: u64 = 350;
/// Length of a page that is compared, ms.
const PAGE: i64 = 1_000 * MINUTE;
/// The killed worker's successor must end the task within this.
const MAX_WAIT: Duration = Duration::from_secs(60);

pub(crate) async fn measure(kills: u32, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stack = Stack::builder()
        .without_ledger_check()
        .simulator_env("SIMULATOR_LATENCY_MS", "60")
        .simulator_env("SIMULATOR_WEIGHT_LIMIT", "10000000")
        .worker_env("BACKFILL_PAGE_CONCURRENCY", "2")
        .start()
        .await?;
    let client = stack.client("enterprise").await?;
    let mut recoveries = crate::figures::Latencies::default();
    let mut met_running = 0;
    for kill in 0..kills {
        let start = START + i64::from(kill) * CANDLES * MINUTE;
        let accepted = client.fetch(&request(start, CANDLES)?, None).await?;
        started(&client, accepted.task_id).await?;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..WITHIN_MS))).await;
        stack.workers[0].kill9().await?;
        let killed = Instant::now();
        let before = client.task(accepted.task_id).await?;
        met_running += u32::from(before.state == TaskState::Running);
        stack.workers[0].restart().await?;
        let end = tokio::time::timeout(MAX_WAIT, client.follow(accepted.task_id, |_| {})).await??;
        ensure!(end.state == TaskState::Succeeded, "kill {kill}: ended as {}", end.state);
        if before.state == TaskState::Running {
            recoveries.0.push(killed.elapsed());
        }
        check(&stack, &client, start, kill).await?;
    }
    figure("kills, collections unequal to the source", format!("{kills}, 0"));
    figure("kills that met the task running", met_running);
    recoveries.print("kill to end of the task")?;
    stack.stop().await
}

/// Every candle of the range is stored once, with the figures that the exchange gives when it is asked past the product.
async fn check(stack: &Stack, client: &Api, start: i64, kill: u32) -> Result<()> {
    let end = start + CANDLES * MINUTE;
    for page in (start..end).step_by(usize::try_from(PAGE)?) {
        let until = (page + PAGE).min(end);
        let query =
            [("symbol", "GENUSDT"), ("interval", "1m"), ("limit", "1000")].map(|(name, text)| (name, text.to_owned()));
        let query = [query.as_slice(), &[("start", page.to_string()), ("end", until.to_string())]].concat();
        let stored: Value = client.get("/api/market-data/klines", &query).await?;
        let asked =
            format!("/api/v3/klines?symbol=GENUSDT&interval=1m&startTime={page}&endTime={}&limit=1000", until - 1);
        let given = stack.simulator.get(&asked).await?;
        ensure!(stored == given, "kill {kill}: the candles from {page} on differ from the source");
    }
    Ok(())
}

/// Waits until the task runs, or has ended.
async fn started(client: &Api, task: TaskId) -> Result<()> {
    let waiting = async {
        while client.progress(task).await?.state == TaskState::Queued {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(MAX_WAIT, waiting).await?
}
