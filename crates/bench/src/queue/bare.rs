//! The same with apalis-redis alone, for comparison: no record, no lease to lose, no turns.

use crate::figures::per_second;
use anyhow::{Result, ensure};
use apalis_core::backend::TaskSink;
use apalis_core::backend::ext::BackendExt;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::ext::parallelize::ParallelizeExt;
use apalis_redis::{Config, RedisStorage};
use candlemill_devkit::Redis;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Tasks that may be due at once: above some 8,000 its promotion fails for good.
const AHEAD: u64 = 4_000;
const CHUNK: u64 = 500;
const MAX_WAIT: Duration = Duration::from_secs(300);

pub(super) async fn measure(tasks: u64) -> Result<()> {
    let redis = Redis::throwaway().await?;
    let connection = redis::Client::open(redis.url())?.get_connection_manager().await?;
    let config = Config::default().queue("bare").batch_size(1);
    let storage = RedisStorage::<u64, _>::new(connection).with_config(config);
    let done = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&done);
    let handler = move |_: u64| {
        let counted = Arc::clone(&counted);
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    };
    let worker = WorkerBuilder::new("bare")
        .backend(storage.clone().poll_with_interval(Duration::from_millis(1)))
        .parallelize(tokio::spawn)
        .build(handler);
    let running = tokio::spawn(worker.run());
    let started = Instant::now();
    let (mut sink, mut pushed) = (storage, 0);
    while pushed < tasks {
        if pushed - done.load(Ordering::Relaxed) < AHEAD {
            let chunk: Vec<u64> = (pushed..tasks.min(pushed + CHUNK)).collect();
            pushed += chunk.len() as u64;
            sink.push_bulk(chunk).await.map_err(|error| anyhow::anyhow!("pushing: {error}"))?;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ensure!(started.elapsed() < MAX_WAIT, "apalis-redis alone stands still");
    }
    while done.load(Ordering::Relaxed) < tasks {
        ensure!(started.elapsed() < MAX_WAIT, "apalis-redis alone stands still");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    per_second("apalis-redis alone, batch 1, one worker", u32::try_from(tasks)?, started.elapsed());
    running.abort();
    Ok(())
}
