//! A queue with very many tasks of one user: its memory, what lists and operators' looks cost, and how soon another
//! user's task starts.

use crate::figures::{Latencies, figure, per_second};
use crate::queue::{AT_ONCE, connect, probe, used_memory};
use anyhow::{Context as _, Result, ensure};
use candlemill_client::forms::FetchRequest;
use candlemill_client::{Api, fetch_request};
use candlemill_devkit::Stack;
use candlemill_shared::job::Pool;
use candlemill_shared::task::TaskRecord;
use candlemill_tasks::{Submissions, TaskEngine};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Looks at each list.
const LOOKS: u32 = 200;
/// Tasks of the other user, one after the other.
const OTHERS: u32 = 30;
const ADMIN_TOKEN: &str = "a-token-of-operators-for-measurements";
/// Longest wait for a start.
const MAX_WAIT: Duration = Duration::from_secs(60);

pub(crate) async fn measure(tasks: u64) -> Result<()> {
    let mut stack = Stack::builder()
        .without_ledger_check()
        .workers(0)
        .api_env("ADMIN_TOKEN", ADMIN_TOKEN)
        .worker_env("WORKER_CONCURRENCY", "8")
        .start()
        .await?;
    let engine = connect(&stack).await?;
    let (crowd, other) = (stack.client("enterprise").await?, stack.client("pro").await?);
    let owner = owner(&engine, &crowd).await?;
    let submissions = Submissions::start(&engine);
    let empty = used_memory(stack.redis_url()).await?;
    let started = Instant::now();
    stream::iter(0..tasks)
        .map(|number| {
            let (submissions, owner) = (&submissions, owner.clone());
            async move { anyhow::Ok(submissions.submit(waiting(number, owner)?, u32::MAX).await?) }
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    per_second("tasks stored and enqueued, in groups", u32::try_from(tasks)?, started.elapsed());
    let used = used_memory(stack.redis_url()).await?.saturating_sub(empty);
    figure("memory of a waiting task in Redis", format!("{} bytes", used / tasks));

    looks(&crowd, "list of the user with the tasks", "/api/tasks", &[]).await?;
    looks(&crowd, "the same, only queued ones", "/api/tasks", &[("state", "queued")]).await?;
    looks(&crowd, "the same, only running ones (none)", "/api/tasks", &[("state", "running")]).await?;
    looks(&other, "list of another user", "/api/tasks", &[]).await?;
    looks(&Api::new(stack.api_url(), ADMIN_TOKEN), "operators' look at all queues", "/api/admin/queues", &[]).await?;

    stack.add_worker().await?;
    let mut starts = Latencies::default();
    for number in 0..OTHERS {
        starts.0.push(start_of_another(&engine, &other, number).await?);
    }
    starts.print("another user's POST to the start of its task")?;
    let left = engine.queue(Pool::Backfill).depth().await?.waiting;
    figure("tasks of the crowd that still waited then", left);
    ensure!(left > 0, "the crowd was gone before the others had started");
    stack.stop().await
}

/// The owner's id, as the API writes it.
pub(crate) async fn owner(engine: &TaskEngine, api: &Api) -> Result<String> {
    let id = api.fetch(&request(0)?, None).await?.task_id;
    let record = engine.records().get(id).await?.context("the record")?;
    api.cancel(id).await?;
    Ok(record.owner)
}

/// An empty task that waits where backfills do.
fn waiting(number: u64, owner: String) -> Result<TaskRecord> {
    Ok(TaskRecord { owner, pool: Pool::Backfill, running_at_once: 64, ..probe(number)? })
}

async fn looks(api: &Api, name: &str, path: &str, query: &[(&str, &str)]) -> Result<()> {
    let query: Vec<_> = query.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    let mut latencies = Latencies::default();
    for _ in 0..LOOKS {
        let began = Instant::now();
        api.get::<Value>(path, &query).await?;
        latencies.0.push(began.elapsed());
    }
    let (p50, p95) = (latencies.quantile(0.5)?, latencies.quantile(0.95)?);
    figure(name, format!("p50 {p50:.2?}, p95 {p95:.2?} of {LOOKS}"));
    Ok(())
}

fn request(number: u32) -> Result<FetchRequest> {
    let start = 1_577_836_800_000 + i64::from(number) * 60_000;
    Ok(fetch_request("GENUSDT", "1m", &start.to_string(), Some(&(start + 60_000).to_string()))?)
}

async fn start_of_another(engine: &TaskEngine, api: &Api, number: u32) -> Result<Duration> {
    let began = Instant::now();
    let id = api.fetch(&request(number)?, None).await?.task_id;
    loop {
        let record = engine.records().get(id).await?.context("the record")?;
        if record.started_at.is_some() {
            return Ok(began.elapsed());
        }
        ensure!(began.elapsed() < MAX_WAIT, "task {id} has not started within {MAX_WAIT:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
