//! Two workers on one weight budget.

use crate::backfill::START;
use crate::figures::figure;
use anyhow::{Context as _, Result, ensure};
use candlemill_client::fetch_request;
use candlemill_devkit::Stack;
use std::time::Duration;

/// Length of one page, ms: a thousand candles of a second, the only ones that a few months have enough of.
const PAGE: i64 = 1_000 * 1_000;
const MINUTE: i64 = 60_000;
const CALL_WEIGHT: i64 = 2;
/// Tasks that share the work: more than one, so that both workers have some.
const TASKS: i64 = 4;

pub(crate) async fn measure(minutes: u64, limit: u32) -> Result<()> {
    let minutes = i64::try_from(minutes)?;
    // More work than the minutes allow, so that some is always waiting.
    let pages = (minutes + 2) * i64::from(limit) / CALL_WEIGHT;
    let each = pages / TASKS * PAGE;
    let stack = Stack::builder()
        .without_ledger_check()
        .workers(2)
        .simulator_env("SIMULATOR_WEIGHT_LIMIT", &limit.to_string())
        .simulator_env("SIMULATOR_LATENCY_MS", "20")
        .start()
        .await?;
    let client = stack.client("enterprise").await?;
    for task in 0..TASKS {
        let (start, end) = ((START + task * each).to_string(), (START + (task + 1) * each).to_string());
        client.fetch(&fetch_request("GENUSDT", "1s", &start, Some(&end))?, None).await?;
    }
    // From the first whole minute on.
    let state = stack.simulator.get("/_simulator/state").await?;
    let now = state["exchange_now_ms"].as_i64().context("the exchange's time")?;
    let first = now / MINUTE + 1;
    let (mut used, mut refused, mut asked_at) = (0, 0, now);
    for number in first..first + minutes {
        // Each minute is read when it is over: the simulator keeps only the last few.
        let over = (number + 1) * MINUTE + 500;
        tokio::time::sleep(Duration::from_millis(u64::try_from(over - asked_at).unwrap_or(0))).await;
        let state = stack.simulator.get("/_simulator/state").await?;
        asked_at = state["exchange_now_ms"].as_i64().context("the exchange's time")?;
        let minutes = state["weights"].as_array().context("weights by minute")?;
        let minute = minutes.iter().find(|minute| minute["start_ms"] == number * MINUTE).context("the minute")?;
        let weight = minute["used"].as_i64().context("a weight")?;
        figure(&format!("weight of minute {}", number - first + 1), weight);
        used += weight;
        refused += minute["refused"].as_i64().context("refused calls")?;
    }
    let share = f64::from(u32::try_from(used)?) / (f64::from(limit) * f64::from(u32::try_from(minutes)?));
    figure("share of the allowed weight", format!("{:.1} %", share * 100.0));
    figure("answers 429", refused);
    ensure!(refused == 0, "the exchange refused {refused} calls");
    for worker in &stack.workers {
        figure("worker, peak resident memory", crate::figures::mebibytes(worker.peak_memory()?));
    }
    Ok(())
}
