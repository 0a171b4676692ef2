//! Fires of schedules: how soon after their time, very many at once, and a minute of many symbols.

use crate::crowd::owner;
use crate::figures::{Latencies, figure};
use crate::queue::connect;
use anyhow::{Context as _, Result, ensure};
use candlemill_devkit::Stack;
use candlemill_shared::schedule::{
    BatchTemplate, FailurePolicy, FireRange, Misfire, Overlap, ScheduleId, ScheduleRecord, ScheduleSpec,
    SeriesTemplate, Template, Timing, When,
};
use candlemill_shared::{Exchange, Interval, Symbol};
use candlemill_tasks::TaskEngine;
use futures::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Document, doc};
use std::time::{Duration, Instant};

/// Schedules that fire every second, and for how long.
const A_SECOND: u64 = 200;
const SECONDS: u64 = 20;
/// Time to store all schedules before they are due.
const AHEAD_MS: i64 = 15_000;
const MAX_WAIT: Duration = Duration::from_secs(120);

pub(crate) async fn measure(crowd: u64, symbols: u64, latency: u64) -> Result<()> {
    at_once(crowd).await?;
    steadily().await?;
    a_minute(symbols, latency).await
}

/// Very many that are due in the same second. No worker runs their tasks: what counts is their submission.
async fn at_once(crowd: u64) -> Result<()> {
    let stack = Stack::builder().without_ledger_check().worker_env("WORKER_ROLES", "scheduler").start().await?;
    let engine = connect(&stack).await?;
    let due = engine.clock().now_ms() / 1_000 * 1_000 + AHEAD_MS;
    let each = When::Every { every_seconds: 86_400, anchor: due };
    create(&stack, &engine, crowd, &each, &series(0)).await?;
    ensure!(engine.clock().now_ms() < due, "storing the schedules took longer than {AHEAD_MS} ms");
    let mut lags = lags(&stack, &engine, crowd).await?;
    lags.print(&format!("{crowd} schedules due in one second: submitted after"))?;
    stack.stop().await
}

/// Some hundred a second.
async fn steadily() -> Result<()> {
    let stack = Stack::builder().without_ledger_check().worker_env("WORKER_ROLES", "scheduler").start().await?;
    let engine = connect(&stack).await?;
    let first = engine.clock().now_ms() / 1_000 * 1_000 + AHEAD_MS / 3;
    create(&stack, &engine, A_SECOND, &When::Every { every_seconds: 1, anchor: first }, &series(0)).await?;
    let mut lags = lags(&stack, &engine, A_SECOND * SECONDS).await?;
    lags.print(&format!("{A_SECOND} fires a second: submitted after"))?;
    stack.stop().await
}

/// The minute just closed of many symbols, from when the fire is to be made to the last candle stored.
async fn a_minute(symbols: u64, latency: u64) -> Result<()> {
    let names: Vec<String> = (0..symbols).map(|number| format!("G{number}USDT")).collect();
    let stack = Stack::builder()
        .without_ledger_check()
        .simulator_env("SIMULATOR_WEIGHT_LIMIT", "10000000")
        .simulator_env("SIMULATOR_GENERATED", &names.join(","))
        .simulator_env("SIMULATOR_LATENCY_MS", &latency.to_string())
        .start()
        .await?;
    let engine = connect(&stack).await?;
    let symbols = names.iter().map(|name| name.parse().map_err(anyhow::Error::msg)).collect::<Result<Vec<Symbol>>>()?;
    let template = Template::Batch(BatchTemplate {
        exchange: Exchange::default(),
        symbols: Some(symbols),
        quote_asset: None,
        interval: Interval::Minute1,
        range: FireRange::JustClosed(true),
    });
    create(&stack, &engine, 1, &When::Every { every_seconds: 60, anchor: 0 }, &template).await?;
    // The first one meets symbols that nobody has asked for before; the others are what every minute costs.
    let fires = engine.db().database().collection::<Document>("fires");
    let started = Instant::now();
    let mut took = Vec::new();
    let mut seen = 0;
    while took.len() < 3 {
        ensure!(started.elapsed() < 3 * MAX_WAIT, "the batches do not end");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let ended = doc! { "task": { "$exists": true }, "due_at": { "$gt": seen } };
        let Some(fire) = fires.find_one(ended).sort(doc! { "due_at": 1 }).await? else { continue };
        let task = fire.get_str("task")?.parse()?;
        let Some(record) = engine.records().get(task).await? else { continue };
        if let Some(ended) = record.ended_at {
            seen = fire.get_i64("due_at")?;
            took.push(ended - fire.get_i64("fire_at")?);
        }
    }
    let told = took.iter().map(|ms| format!("{ms} ms")).collect::<Vec<_>>().join(", ");
    figure(&format!("{} symbols × 1 minute at {latency} ms: stored after", names.len()), told);
    stack.stop().await
}

fn series(number: u64) -> Template {
    Template::Fetch(SeriesTemplate {
        exchange: Exchange::default(),
        symbol: format!("GEN{number}USDT").parse().unwrap_or_else(|_| unreachable!("letters and digits")),
        interval: Interval::Minute1,
        range: FireRange::JustClosed(true),
    })
}

async fn create(stack: &Stack, engine: &TaskEngine, count: u64, when: &When, template: &Template) -> Result<()> {
    let owner = owner(engine, &stack.client("enterprise").await?).await?;
    let confirmed = candlemill_tasks::OwnerRecord {
        id: owner.clone(),
        tier: candlemill_shared::tier::Tier::Enterprise,
        state: candlemill_tasks::OwnerState::Active,
        confirmed_at: engine.clock().now_ms(),
    };
    engine.owners().confirm(&confirmed).await?;
    let now = engine.clock().now_ms();
    stream::iter(0..count)
        .map(|number| {
            let mut schedule = ScheduleRecord {
                id: ScheduleId::new(now),
                owner: owner.clone(),
                revision: 1,
                spec: ScheduleSpec {
                    name: format!("{number}"),
                    note: None,
                    timing: Timing { delay_seconds: 0, ..Timing::from(when.clone()) },
                    template: template.clone(),
                    misfire: Misfire::Once,
                    overlap: Overlap::Allow,
                    webhook: None,
                    failures: FailurePolicy::default(),
                },
                paused: None,
                fired_until: now,
                next_at: None,
                covered_until: None,
                failed_in_a_row: 0,
                deleted_at: None,
                created_at: now,
                updated_at: now,
                events: Vec::new(),
            };
            schedule.next_at = schedule.next_fire_at();
            async move { engine.schedules().create(&schedule).await }
        })
        .buffer_unordered(64)
        .try_collect::<()>()
        .await
        .context("storing the schedules")
}

/// Of the first `count` fires that were submitted: how long after their time their tasks were stored.
async fn lags(stack: &Stack, engine: &TaskEngine, count: u64) -> Result<Latencies> {
    let tasks = engine.db().database().collection::<Document>("tasks");
    let started = Instant::now();
    let submitted = doc! { "schedule": { "$exists": true } };
    while tasks.count_documents(submitted.clone()).await? < count {
        ensure!(started.elapsed() < MAX_WAIT, "not all fires were submitted; the log: {}", stack.workers[0].url());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let fires = engine.db().database().collection::<Document>("fires");
    let mut due: std::collections::HashMap<String, i64> = std::collections::HashMap::new();
    let mut found =
        fires.find(doc! { "task": { "$exists": true } }).projection(doc! { "task": 1, "fire_at": 1 }).await?;
    while let Some(fire) = found.try_next().await? {
        due.insert(fire.get_str("task")?.to_owned(), fire.get_i64("fire_at")?);
    }
    let mut lags = Latencies::default();
    let mut found = tasks.find(submitted).projection(doc! { "created_at": 1 }).await?;
    while let Some(task) = found.try_next().await? {
        if let Some(fire_at) = due.get(task.get_str("_id")?) {
            let lag = task.get_i64("created_at")? - fire_at;
            lags.0.push(Duration::from_millis(u64::try_from(lag).unwrap_or(0)));
        }
    }
    Ok(lags)
}
