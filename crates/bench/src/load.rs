//! Authorised POSTs and progress reads with a warm token cache.

use crate::backfill::START;
use crate::figures::{Latencies, figure, mebibytes};
use crate::http::{Connection, get, post};
use anyhow::{Context as _, Result, ensure};
use candlemill_devkit::Stack;
use candlemill_shared::tier::TierTable;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Requests per second of the measurement at a fixed rate.
const RATE: u32 = 1_000;
const MINUTE: i64 = 60_000;

/// The next request of a connection.
type Requests = Arc<dyn Fn() -> Vec<u8> + Send + Sync>;

pub(crate) async fn measure(seconds: u64, connections: usize) -> Result<()> {
    // Without workers: what is measured is accepting, not fetching. So nothing ends, and there must be room for all.
    let mut tiers = TierTable::default();
    tiers.enterprise.jobs_at_once = u32::MAX;
    let stack = Stack::builder().without_ledger_check().workers(0).tiers(tiers).start().await?;
    let token = stack.token("enterprise").await?;
    let url = stack.api_url().to_owned();
    let mut first = Connection::open(&url).await?;
    let body = r#"{"symbol":"GENUSDT","interval":"1m","start":1,"end":60001}"#;
    let answer = first.call(&post("/api/market-data/fetch", &token, body)).await?;
    ensure!(
        answer.status == 202,
        "the first POST was answered {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    let accepted: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let id = accepted["task_id"].as_str().context("a task id")?.to_owned();

    let next = Arc::new(AtomicI64::new(0));
    let posts: Requests = {
        let (token, next) = (token.clone(), Arc::clone(&next));
        Arc::new(move || {
            let start = START + next.fetch_add(1, Ordering::Relaxed) * MINUTE;
            let end = start + MINUTE;
            let body = format!(r#"{{"symbol":"GENUSDT","interval":"1m","start":{start},"end":{end}}}"#);
            post("/api/market-data/fetch", &token, &body)
        })
    };
    let read = get(&format!("/api/task/{id}/progress"), &token);
    let reads: Requests = Arc::new(move || read.clone());
    let both: Requests = {
        let (posts, reads, turn) = (Arc::clone(&posts), Arc::clone(&reads), AtomicI64::new(0));
        Arc::new(move || if turn.fetch_add(1, Ordering::Relaxed) % 2 == 0 { posts() } else { reads() })
    };
    let span = Duration::from_secs(seconds);
    let mut at_rate = run(&url, both, connections, span, Some(RATE), 202).await?;
    at_rate.print(&format!("POST and progress at {RATE}/s"))?;
    figure("API, peak resident memory at that load", mebibytes(stack.api.peak_memory()?));
    let read_fast = run(&url, reads, connections, span, None, 200).await?;
    most("progress reads", read_fast, span)?;
    let posted = run(&url, posts, connections * 8, span, None, 202).await?;
    most("accepted POSTs", posted, span)?;

    let counters = stack.simulator.get("/_simulator/counters").await?;
    figure("calls to Supabase", counters["paths"].to_string());
    figure("API, peak resident memory at the most", mebibytes(stack.api.peak_memory()?));
    stack.stop().await
}

fn most(name: &str, mut latencies: Latencies, span: Duration) -> Result<()> {
    let count = u32::try_from(latencies.0.len())?;
    figure(&format!("{name}, most"), format!("{:.0}/s", f64::from(count) / span.as_secs_f64()));
    latencies.print(&format!("{name}, latency at that rate"))
}

/// Sends requests for `span` and measures each; at `rate` per second, or as fast as answers come. With a rate, latency
/// counts from when the request was due: a stall is not hidden by the requests that it keeps back.
async fn run(
    url: &str,
    requests: Requests,
    connections: usize,
    span: Duration,
    rate: Option<u32>,
    status: u16,
) -> Result<Latencies> {
    let started = Instant::now();
    let ticket = Arc::new(AtomicI64::new(0));
    let mut drivers = Vec::new();
    for _ in 0..connections {
        let (url, requests, ticket) = (url.to_owned(), Arc::clone(&requests), Arc::clone(&ticket));
        drivers.push(tokio::spawn(async move {
            let mut connection = Connection::open(&url).await?;
            let mut latencies = Vec::new();
            while started.elapsed() < span {
                let request = requests();
                let due = match rate {
                    None => Instant::now(),
                    Some(rate) => {
                        let number = u32::try_from(ticket.fetch_add(1, Ordering::Relaxed))?;
                        let due = started + Duration::from_secs(1) * number / rate;
                        tokio::time::sleep_until(due.into()).await;
                        due
                    }
                };
                let answer = connection.call(&request).await?;
                let expected = answer.status == status || (rate.is_some() && answer.status == 200);
                ensure!(expected, "answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
                latencies.push(due.elapsed());
            }
            Ok::<_, anyhow::Error>(latencies)
        }));
    }
    let mut all = Latencies::default();
    for driver in drivers {
        all.0.extend(driver.await??);
    }
    Ok(all)
}
