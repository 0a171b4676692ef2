//! Empty tasks: how many a second come through one worker, and how soon after its enqueuing one starts.

mod bare;

use crate::figures::{Latencies, figure, mebibytes, per_second};
use anyhow::{Context as _, Result, ensure};
use candlemill_db::{Db, DbConfig};
use candlemill_devkit::Stack;
use candlemill_shared::env::Env;
use candlemill_shared::job::{Envelope, Job, Probe};
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use candlemill_shared::tier::Tier;
use candlemill_shared::{Clock, SystemClock};
use candlemill_tasks::{Submissions, TaskEngine, TasksConfig};
use futures::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Owners of the tasks: turns between them are part of what is measured.
const OWNERS: u64 = 100;
/// Submissions that wait at once.
pub(crate) const AT_ONCE: usize = 2_048;
/// Longest wait for the last task.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(600);
/// Tasks that are enqueued one by one into an idle queue.
const SINGLES: u64 = 500;

pub(crate) async fn measure(tasks: u64) -> Result<()> {
    let mut stack = Stack::builder()
        .without_ledger_check()
        .workers(0)
        .worker_env("MAINTENANCE_CONCURRENCY", "1024")
        .start()
        .await?;
    let engine = connect(&stack).await?;
    let submissions = Submissions::start(&engine);
    let empty = used_memory(stack.redis_url()).await?;
    let started = Instant::now();
    stream::iter(0..tasks)
        .map(|number| {
            let submissions = &submissions;
            async move { anyhow::Ok(submissions.submit(probe(number)?, u32::MAX).await?) }
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    let count = u32::try_from(tasks)?;
    per_second("tasks stored and enqueued, in groups", count, started.elapsed());
    let waiting = used_memory(stack.redis_url()).await?.saturating_sub(empty);
    figure("memory of a waiting task in Redis", format!("{} bytes", waiting / tasks));

    let started = Instant::now();
    stack.add_worker().await?;
    let begun = started.elapsed();
    let queue = engine.queue(Probe::POOL);
    loop {
        let depth = queue.depth().await?;
        if depth.waiting + depth.held == 0 {
            break;
        }
        ensure!(started.elapsed() < MAX_WAIT, "{} tasks still wait after {MAX_WAIT:?}", depth.waiting);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    per_second("empty tasks, claimed to settled, one worker", count, started.elapsed().saturating_sub(begun));
    figure("worker, peak resident memory", mebibytes(stack.workers[0].peak_memory()?));
    let mut latencies = Latencies::default();
    for number in tasks..tasks + SINGLES {
        latencies.0.push(single(&engine, &submissions, number).await?);
    }
    latencies.print("enqueue to start, idle (whole ms)")?;
    let after = used_memory(stack.redis_url()).await?.saturating_sub(empty);
    figure("memory that Redis keeps after all have ended", mebibytes(after));
    bare::measure(tasks.min(20_000)).await?;
    stack.stop().await
}

/// The stores of `stack`, past its API.
pub(crate) async fn connect(stack: &Stack) -> Result<TaskEngine> {
    let env = Env::of([
        ("REDIS_URL", stack.redis_url()),
        ("MONGODB_URI", stack.mongo_uri()),
        ("MONGODB_DATABASE", stack.database()),
    ]);
    let db = Db::connect(&DbConfig::from_env(&env)?, Arc::new(SystemClock)).await?;
    let tasks = TaskEngine::new(&db, TasksConfig::from_env(&env)?)?;
    tasks.prepare().await?;
    Ok(tasks)
}

pub(crate) fn probe(number: u64) -> Result<TaskRecord> {
    let now = SystemClock.now_ms();
    Ok(TaskRecord {
        id: TaskId::new(now),
        owner: format!("owner-{}", number % OWNERS),
        tier: Tier::Enterprise,
        pool: Probe::POOL,
        priority: 5,
        running_at_once: 1_000,
        fingerprint: format!("{number:064}"),
        job: Envelope::of(&Probe { number })?,
        request: None,
        idempotency: None,
        state: TaskState::Queued,
        attempt: 0,
        attempts: Vec::new(),
        cancel_requested: false,
        created_at: now,
        updated_at: now,
        started_at: None,
        ended_at: None,
        run_at: None,
        result: None,
        error: None,
        dead_letter: Default::default(),
        parent: None,
        share: None,
        schedule: None,
        children: None,
        webhook: None,
        trace_id: "0".repeat(32),
    })
}

/// Stores a task while the queue is paused, then enqueues it anew: the time from there to the start of its attempt, in
/// whole milliseconds as the record keeps it.
async fn single(engine: &TaskEngine, submissions: &Submissions, number: u64) -> Result<Duration> {
    let queue = engine.queue(Probe::POOL);
    queue.pause(true).await?;
    let record = submissions.submit(probe(number)?, u32::MAX).await?.record;
    queue.remove(&record).await?;
    queue.pause(false).await?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let enqueued = SystemClock.now_ms();
    queue.enqueue(&[&record]).await?;
    loop {
        let now = engine.records().get(record.id).await?.context("the record")?;
        if now.state.is_end() {
            let began = now.started_at.context("a start")?;
            return Ok(Duration::from_millis(u64::try_from(began - enqueued).unwrap_or(0)));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) async fn used_memory(url: &str) -> Result<u64> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await?;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(used.context("used_memory")?.trim().parse()?)
}
