//! What a batch holds is read when it is worked on, not by those who look at many tasks.

use crate::whole::redis_of;
use candlemill_devkit::Stack;
use candlemill_shared::{Clock, SystemClock};
use redis::aio::MultiplexedConnection;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Batches, each of so many fetches: read whole they are hundreds of MiB in memory.
const BATCHES: u32 = 40;
const FETCHES: u32 = 5_000;
/// Most memory that looking at them may take, bytes.
const MOST: u64 = 50 * 1024 * 1024;

fn batch(number: u32, run_at: i64) -> Value {
    let fetch = |minute: u32| {
        let start = 1_672_531_200_000 + i64::from(number * FETCHES + minute) * 60_000;
        json!({"symbol": "GENUSDT", "interval": "1m", "start": start, "end": start + 60_000})
    };
    json!({"fetches": (0..FETCHES).map(fetch).collect::<Vec<_>>(), "run_at": run_at})
}

/// Tasks that Redis keeps for later.
async fn delayed(redis: &mut MultiplexedConnection) -> u64 {
    let keys: Vec<String> = redis::cmd("KEYS").arg("cm:*delayed*").query_async(redis).await.unwrap();
    let mut all = 0;
    for key in keys {
        all += redis::cmd("ZCARD").arg(key).query_async::<u64>(redis).await.unwrap();
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_sweepers_do_not_read_what_batches_hold() {
    let mut stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("enterprise").await.unwrap();
    // They wait, so that nobody works on them.
    let run_at = SystemClock.now_ms() + 86_400_000;
    for number in 0..BATCHES {
        let request = api.request(Method::POST, "/api/market-data/fetch/batch").json(&batch(number, run_at));
        assert_eq!(request.send().await.unwrap().status().as_u16(), 202);
    }
    // Its peak until now is of accepting them.
    stack.api.kill9().await.unwrap();
    stack.api.restart().await.unwrap();
    let api = stack.client("enterprise").await.unwrap();
    api.get::<Value>("/api/tasks", &[("limit", "1".to_owned())]).await.unwrap();
    let before = stack.api.child().memory().unwrap();
    let page: Value = api.get("/api/tasks", &[("limit", "200".to_owned())]).await.unwrap();
    let tasks = page["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), BATCHES as usize);
    assert!(tasks.iter().all(|task| task["request"]["fetches"] == FETCHES), "{}", tasks[0]);
    let grown = stack.api.child().peak_memory().unwrap().saturating_sub(before);
    assert!(grown < MOST, "the list took {} MiB", grown >> 20);

    // The sweeper finds that Redis lost them all, and puts them back.
    let mut redis = redis_of(&stack).await;
    stack.add_worker().await.unwrap();
    let before = stack.workers[0].child().memory().unwrap();
    redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await.unwrap();
    let waiting = async {
        while delayed(&mut redis).await < u64::from(BATCHES) {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), waiting).await.expect("they wait in Redis again");
    let grown = stack.workers[0].child().peak_memory().unwrap().saturating_sub(before);
    assert!(grown < MOST, "the sweeper took {} MiB", grown >> 20);
    stack.stop().await.unwrap();
}
