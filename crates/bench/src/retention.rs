//! Whether Redis is back at its plateau after very many finished tasks.
//!
//! Ended tasks show their last snapshot for 15 minutes. A measurement does not wait that long: the snapshots of a wave are
//! let expire after its figure "with snapshots" was taken, and what is left is what Redis would be left with.

use crate::figures::{figure, mebibytes};
use crate::queue::{AT_ONCE, PATIENCE, connect, per_second, probe};
use anyhow::{Context as _, Result, ensure};
use candlemill_devkit::Stack;
use candlemill_shared::job::{Job, Probe};
use candlemill_store::{Store, Submissions};
use futures::{StreamExt, TryStreamExt, stream};
use redis::aio::MultiplexedConnection;
use std::time::{Duration, Instant};

/// Tasks that are submitted before the worker is waited for.
const WAVE: u64 = 10_000;
/// Tasks between two figures.
const STEP: u64 = 100_000;

pub(crate) async fn measure(tasks: u64) -> Result<()> {
    let stack = Stack::builder().worker_env("MAINTENANCE_CONCURRENCY", "512").start().await?;
    let store = connect(&stack).await?;
    let submissions = Submissions::start(&store);
    let client = redis::Client::open(stack.redis_url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    // The first wave loads scripts and grows buffers: the plateau begins behind it.
    let warm = WAVE.min(tasks);
    wave(&store, &submissions, 0..warm).await?;
    forget_snapshots(&mut connection).await?;
    let before = used_memory(&mut connection).await?;
    figure(&format!("Redis before, {warm} tasks behind it"), told(&mut connection, before).await?);
    let started = Instant::now();
    let (mut done, mut with_snapshots) = (0, 0);
    while done < tasks {
        let next = (done + WAVE).min(tasks);
        wave(&store, &submissions, warm + done..warm + next).await?;
        with_snapshots = with_snapshots.max(used_memory(&mut connection).await?);
        forget_snapshots(&mut connection).await?;
        done = next;
        if done % STEP == 0 || done == tasks {
            let used = used_memory(&mut connection).await?;
            figure(&format!("Redis after {done} tasks"), told(&mut connection, used).await?);
        }
    }
    per_second("tasks, stored to settled, in waves", u32::try_from(tasks)?, started.elapsed());
    figure(&format!("Redis at most, with the snapshots of {WAVE}"), mebibytes(with_snapshots));
    let after = used_memory(&mut connection).await?;
    let more = i128::from(after) - i128::from(before);
    figure("Redis after all, beside before", format!("{more:+} bytes"));
    stack.stop().await
}

/// Submits tasks and waits until the queue has forgotten all of them.
async fn wave(store: &Store, submissions: &Submissions, numbers: std::ops::Range<u64>) -> Result<()> {
    stream::iter(numbers)
        .map(|number| async move { anyhow::Ok(submissions.submit(probe(number)?, u32::MAX).await?) })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    let (queue, started) = (store.queue(Probe::POOL), Instant::now());
    loop {
        let depth = queue.depth().await?;
        if depth.waiting + depth.delayed + depth.held == 0 {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "{depth:?} after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Takes away, in place of the quarter of an hour, the snapshots; only those that would go by themselves.
async fn forget_snapshots(connection: &mut MultiplexedConnection) -> Result<()> {
    let mut from = "0".to_owned();
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(&from).arg(&["MATCH", "cm:*:progress", "COUNT", "2000"]);
        let (next, keys): (String, Vec<String>) = scan.query_async(connection).await?;
        if !keys.is_empty() {
            let mut look = redis::pipe();
            keys.iter().for_each(|key| {
                look.pttl(key);
            });
            let lives: Vec<i64> = look.query_async(connection).await?;
            ensure!(lives.iter().all(|life| *life != -1), "a snapshot would stay for ever: {keys:?} {lives:?}");
            redis::cmd("DEL").arg(&keys).query_async::<()>(connection).await?;
        }
        if next == "0" {
            return Ok(());
        }
        from = next;
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
