//! Batches through the API: fetches that are durable when their batch is accepted.

use crate::figures::{figure, per_second};
use anyhow::{Context as _, Result, ensure};
use candlemill_client::Api;
use candlemill_devkit::Stack;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Instant;

/// Fetches of one batch.
const BATCH: u64 = 1_000;
/// Batches under way at once.
const AT_ONCE: usize = 8;
/// 2020-01-01, UTC ms.
const START: u64 = 1_577_836_800_000;

pub(crate) async fn measure(fetches: u64) -> Result<()> {
    let stack = Stack::builder().without_ledger_check().workers(0).start().await?;
    let api = stack.client("enterprise").await?;
    let batches = fetches.div_ceil(BATCH);
    let began = Instant::now();
    stream::iter(0..batches)
        .map(|number| post(&api, number))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    per_second("fetches in batches of 1,000, durable at the answer", u32::try_from(batches * BATCH)?, began.elapsed());
    figure("API, peak resident memory", crate::figures::mebibytes(stack.api.peak_memory()?));
    stack.stop().await
}

async fn post(api: &Api, number: u64) -> Result<()> {
    let fetch = |index: u64| {
        let start = START + (number * BATCH + index) * 60_000;
        json!({"symbol": "GENUSDT", "interval": "1m", "start": start, "end": start + 60_000})
    };
    let body = json!({ "fetches": (0..BATCH).map(fetch).collect::<Vec<_>>() });
    let answer = api.request(Method::POST, "/api/market-data/fetch/batch").json(&body).send().await?;
    let status = answer.status();
    let told: Value = answer.json().await.context("the answer")?;
    ensure!(status == 202, "{status}: {told}");
    Ok(())
}
