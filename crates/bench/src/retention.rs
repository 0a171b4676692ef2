//! Whether Redis is back at its plateau after very many finished tasks.
//!
//! No request asks for these tasks, so nothing of them may stay.

use crate::figures::{figure, per_second};
use crate::queue::{AT_ONCE, MAX_WAIT, connect, probe};
use anyhow::{Context as _, Result, ensure};
use candlemill_devkit::Stack;
use candlemill_shared::job::{Job, Probe};
use candlemill_tasks::{Submissions, TaskEngine};
use futures::{StreamExt, TryStreamExt, stream};
use redis::aio::MultiplexedConnection;
use std::time::{Duration, Instant};

/// Tasks that are submitted before the worker is waited for.
const WAVE: u64 = 10_000;
/// Tasks between two figures.
const STEP: u64 = 100_000;

pub(crate) async fn measure(tasks: u64) -> Result<()> {
    let stack = Stack::builder().without_ledger_check().worker_env("MAINTENANCE_CONCURRENCY", "512").start().await?;
    let engine = connect(&stack).await?;
    let submissions = Submissions::start(&engine);
    let client = redis::Client::open(stack.redis_url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    // The first wave loads scripts and grows buffers: the plateau begins behind it.
    let warm = WAVE.min(tasks);
    wave(&engine, &submissions, 0..warm).await?;
    let before = used_memory(&mut connection).await?;
    figure(&format!("Redis before, {warm} tasks behind it"), told(&mut connection, before).await?);
    let started = Instant::now();
    let mut done = 0;
    while done < tasks {
        let next = (done + WAVE).min(tasks);
        wave(&engine, &submissions, warm + done..warm + next).await?;
        done = next;
        if done % STEP == 0 || done == tasks {
            let used = used_memory(&mut connection).await?;
            figure(&format!("Redis after {done} tasks"), told(&mut connection, used).await?);
        }
    }
    per_second("tasks, stored to settled, in waves", u32::try_from(tasks)?, started.elapsed());
    let after = used_memory(&mut connection).await?;
    let more = i128::from(after) - i128::from(before);
    figure("Redis after all, beside before", format!("{more:+} bytes"));
    stack.stop().await
}

/// Submits tasks and waits until the queue has forgotten all of them.
async fn wave(engine: &TaskEngine, submissions: &Submissions, numbers: std::ops::Range<u64>) -> Result<()> {
    stream::iter(numbers)
        .map(|number| async move { anyhow::Ok(submissions.submit(probe(number)?, u32::MAX).await?) })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    let (queue, started) = (engine.queue(Probe::POOL), Instant::now());
    loop {
        let depth = queue.depth().await?;
        if depth.waiting + depth.delayed + depth.held == 0 {
            return Ok(());
        }
        ensure!(started.elapsed() < MAX_WAIT, "{depth:?} after {MAX_WAIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn used_memory(connection: &mut MultiplexedConnection) -> Result<u64> {
    redis::cmd("MEMORY").arg("PURGE").query_async::<()>(connection).await?;
    let told: String = redis::cmd("INFO").arg("memory").query_async(connection).await?;
    let used = told.lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(used.context("used_memory")?.trim().parse()?)
}

async fn told(connection: &mut MultiplexedConnection, used: u64) -> Result<String> {
    let keys: u64 = redis::cmd("DBSIZE").query_async(connection).await?;
    Ok(format!("{used} bytes in {keys} keys"))
}
