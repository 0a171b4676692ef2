//! kill -9 and restart of Redis: how soon afterwards a task is accepted, and how soon one has come through a worker.

use crate::backfill::{START, request};
use crate::figures::{Latencies, figure};
use anyhow::{Context as _, Result, ensure};
use candlemill_devkit::Stack;
use candlemill_shared::task::TaskState;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};

/// Candles of one task: a page.
const CANDLES: i64 = 10;
/// Redis is away for up to this long.
const AWAY_MS: u64 = 3_000;
const MAX_WAIT: Duration = Duration::from_secs(60);

pub(crate) async fn measure(restarts: u32, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stack = Stack::builder().without_ledger_check().start().await?;
    let client = stack.client("enterprise").await?;
    let (mut accepted, mut consumed) = (Latencies::default(), Latencies::default());
    let mut redis = stack.redis.take().context("the stack's own Redis")?;
    for restart in 0..restarts {
        redis.kill9().await?;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..AWAY_MS))).await;
        redis.restart().await?;
        let back = Instant::now();
        let wanted = request(START + i64::from(restart) * CANDLES * 60_000, CANDLES)?;
        let task = loop {
            match client.fetch(&wanted, None).await {
                Ok(task) => break task.task_id,
                Err(error) => ensure!(back.elapsed() < MAX_WAIT, "restart {restart}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        accepted.0.push(back.elapsed());
        loop {
            match client.task(&task).await {
                Ok(now) if now.state.is_end() => {
                    ensure!(now.state == TaskState::Succeeded, "restart {restart}: ended as {}", now.state);
                    break;
                }
                _ => ensure!(back.elapsed() < MAX_WAIT, "restart {restart}: the task does not end"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        consumed.0.push(back.elapsed());
    }
    figure("restarts of Redis after kill -9", restarts);
    accepted.print("Redis answers to a task accepted")?;
    consumed.print("Redis answers to that task's end")?;
    stack.stop().await?;
    redis.stop().await
}
