//! Many one-page tasks.

use crate::backfill::{START, collection, warm};
use crate::figures::{figure, mebibytes};
use crate::http::{Connection, post};
use anyhow::{Result, ensure};
use candlemill_devkit::Stack;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use std::time::{Duration, Instant};

const MINUTE: i64 = 60_000;
/// Longest wait for the last task.
const MAX_WAIT: Duration = Duration::from_secs(300);
const CONNECTIONS: i64 = 64;

pub(crate) async fn measure(tasks: u64, candles: u64) -> Result<()> {
    let (tasks, candles) = (i64::try_from(tasks)?, i64::try_from(candles)?);
    let stack = Stack::builder()
        .without_ledger_check()
        .simulator_env("SIMULATOR_WEIGHT_LIMIT", "10000000")
        .worker_env("WORKER_CONCURRENCY", "32")
        .start()
        .await?;
    warm(&stack, tasks * candles).await?;
    let token = stack.token("enterprise").await?;
    let started = Instant::now();
    let mut posting = Vec::new();
    for first in 0..CONNECTIONS {
        let (url, token) = (stack.api_url().to_owned(), token.clone());
        posting.push(tokio::spawn(async move {
            let mut connection = Connection::open(&url).await?;
            for task in (first..tasks).step_by(usize::try_from(CONNECTIONS)?) {
                // Every other page, so that no task's range touches another's.
                let start = START + task * candles * MINUTE;
                let end = start + candles * MINUTE;
                let body = format!(r#"{{"symbol":"GENUSDT","interval":"1m","start":{start},"end":{end}}}"#);
                let answer = connection.call(&post("/api/market-data/fetch", &token, &body)).await?;
                ensure!(answer.status == 202, "answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
            }
            Ok::<_, anyhow::Error>(())
        }));
    }
    for connection in posting {
        connection.await??;
    }
    figure("all posted after", format!("{:.2} s", started.elapsed().as_secs_f64()));
    let records = collection(stack.mongo_uri(), stack.database()).await?;
    let records = records.client().database(stack.database()).collection::<Document>("tasks");
    while under_way(&records).await? > 0 {
        ensure!(started.elapsed() < MAX_WAIT, "tasks are still under way after {MAX_WAIT:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = started.elapsed();
    let succeeded = records.count_documents(doc! { "state": "succeeded" }).await?;
    ensure!(i64::try_from(succeeded)? == tasks, "{succeeded} of {tasks} succeeded");
    let count = u32::try_from(tasks)?;
    figure(
        &format!("{tasks} one-page tasks of {candles} candles"),
        format!("{:.2} s, {:.0} tasks/s", took.as_secs_f64(), f64::from(count) / took.as_secs_f64()),
    );
    figure("worker, peak resident memory", mebibytes(stack.workers[0].peak_memory()?));
    stack.stop().await
}

/// Tasks that wait or have begun, by the two indexes of those.
async fn under_way(records: &Collection<Document>) -> Result<u64> {
    let (waiting, begun) = (doc! { "queued_at": { "$gte": 0 } }, doc! { "begun_at": { "$gte": 0 } });
    Ok(records.count_documents(waiting).await? + records.count_documents(begun).await?)
}
