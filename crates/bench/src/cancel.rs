//! From DELETE, at an API process that did not accept the task, to the stopped work of a running backfill.

use crate::backfill::request;
use crate::figures::{Latencies, figure};
use anyhow::{Context as _, Result, ensure};
use candlemill_client::Api;
use candlemill_devkit::Stack;
use candlemill_shared::task::{TaskId, TaskState};
use std::time::{Duration, Instant};

/// 2020-01-01, UTC ms.
const START: i64 = 1_577_836_800_000;
/// Candles of one backfill: far more than are fetched before it is cancelled.
const CANDLES: i64 = 400_000;
const MAX_WAIT: Duration = Duration::from_secs(30);

pub(crate) async fn measure(tasks: u32) -> Result<()> {
    let mut stack = Stack::builder()
        .without_ledger_check()
        .simulator_env("SIMULATOR_LATENCY_MS", "100")
        .simulator_env("SIMULATOR_WEIGHT_LIMIT", "100000000")
        .start()
        .await?;
    let accepting = stack.client("enterprise").await?;
    let other = Api::new(stack.add_api().await?.url(), accepting.token());
    let mut latencies = Latencies::default();
    let mut late = 0;
    for number in 0..tasks {
        let start = START + i64::from(number % 4) * CANDLES * 60_000;
        let task = accepting.fetch(&request(start, CANDLES)?, None).await?.task_id;
        until(&accepting, task, |state, pages| state == TaskState::Running && pages > 0 || state.is_end()).await?;
        let began = Instant::now();
        if other.cancel(task).await.is_err() {
            late += 1;
            continue;
        }
        until(&other, task, |state, _| state.is_end()).await?;
        latencies.0.push(began.elapsed());
    }
    figure("backfills that had ended before", late);
    ensure!(late < tasks / 2, "too few were still running");
    latencies.print("DELETE to stopped work, running backfills")?;
    stack.stop().await
}

async fn until(api: &Api, task: TaskId, fits: impl Fn(TaskState, u64) -> bool) -> Result<()> {
    let waiting = async {
        loop {
            let shown = api.progress(task).await?;
            if fits(shown.state, shown.done) {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(MAX_WAIT, waiting).await.context("in vain")?
}
