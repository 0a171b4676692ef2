//! The whole product, started as its users start it: one backfill from the call to the stored candles.

use candlemill_client::{fetch_request, fetch_result};
use candlemill_devkit::Stack;
use candlemill_shared::task::TaskState;

#[tokio::test]
async fn a_backfill_passes_through_every_program_and_its_repeat_costs_nothing() {
    let mut stack = Stack::builder().through_proxies().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let request = fetch_request("BTCUSDT", "1m", "2020-01-01", Some("2020-01-04")).unwrap();
    let first = api.fetch_and_wait(&request).await.unwrap();
    assert_eq!(first.state, TaskState::Succeeded, "{first:?}");
    assert_eq!(fetch_result(&first).unwrap().result.inserted, 4_320);

    // A second worker has nothing to do either.
    stack.add_worker().await.unwrap();
    let second = api.fetch_and_wait(&request).await.unwrap();
    let result = fetch_result(&second).unwrap().result;
    assert_eq!((second.state, result.inserted, result.pages), (TaskState::Succeeded, 0, 0), "{result:?}");
    assert_ne!(first.task_id, second.task_id);

    let query = [("symbol", "BTCUSDT"), ("interval", "1m"), ("start", "2020-01-01T00:00:00Z"), ("format", "csv")];
    let query = query.map(|(name, value)| (name, value.to_owned()));
    let rows = api.stream("/api/market-data/klines", &query).await.unwrap().text().await.unwrap();
    assert!(rows.contains("7195.24000000"), "the candles come back in the source's precision");

    assert!(stack.links().redis.connections() > 0 && stack.links().exchange.connections() > 0);
    for worker in &stack.workers {
        assert!(worker.peak_memory().unwrap() < 256 << 20);
    }
    let pids: Vec<_> = stack.children().map(|child| child.pid()).collect();
    assert_eq!(pids.len(), 6, "two workers, API, simulator, Redis, MongoDB");
    stack.stop().await.unwrap();
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is gone");
    }
}
