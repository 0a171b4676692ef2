//! What was accepted is done, and what was not leaves nothing: stores, queue and API break off while tasks come in.

use crate::harness::{Harness, fetch};
use crate::whole::redis_of;
use candlemill_client::forms::FetchRequest;
use candlemill_client::{Api, fetch_request, fetch_result};
use candlemill_devkit::Stack;
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use candlemill_shared::{Clock, Interval, SystemClock};
use candlemill_simulator::SimulatorConfig;
use candlemill_tasks::SubmitError;
use futures::future::join_all;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Longest time in which a request is answered while a store is away.
const ANSWER: Duration = Duration::from_secs(15);

/// An hour of generated minutes; every number is another request.
fn hour(number: i64) -> FetchRequest {
    let start = 1_672_531_200_000 + number * 3_600_000;
    fetch_request("GENUSDT", "1m", &start.to_string(), Some(&(start + 3_600_000).to_string())).unwrap()
}

async fn tasks(api: &Api) -> Vec<String> {
    let page: Value = api.get("/api/tasks", &[("limit", "200".to_owned())]).await.unwrap();
    page["tasks"].as_array().unwrap().iter().map(|task| task["task_id"].as_str().unwrap().to_owned()).collect()
}

/// Breaks a store, posts both tasks that the free tier may have, mends the store: nothing is left of what was refused, not
/// even its places, and the same requests are accepted.
async fn check(name: &str, breaks: impl AsyncFnOnce(&Stack), mends: impl AsyncFnOnce(&Stack)) {
    let stack = Stack::builder().through_proxies().workers(0).start().await.unwrap();
    let api = stack.client("free").await.unwrap();
    assert_eq!(tasks(&api).await, [] as [String; 0]);
    breaks(&stack).await;
    let began = Instant::now();
    for number in 0..2 {
        let refused = api.fetch(&hour(number), Some(&format!("key-{number}"))).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (Some(503), Some("store_unavailable")), "{name}: {refused}");
    }
    assert!(began.elapsed() < 2 * ANSWER, "{name}: answered only after {:?}", began.elapsed());
    mends(&stack).await;
    // The API's own connections come back by themselves.
    let back = async {
        while api.get::<Value>("/api/tasks", &[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.unwrap_or_else(|_| panic!("{name}: reads stay away"));
    assert_eq!(tasks(&api).await, [] as [String; 0], "{name}: a refused task was written");
    for number in 0..2 {
        let accepted = async {
            loop {
                match api.fetch(&hour(number), Some(&format!("key-{number}"))).await {
                    Ok(accepted) => return accepted,
                    Err(error) if error.status() == Some(503) => tokio::time::sleep(Duration::from_millis(50)).await,
                    Err(error) => panic!("{name}: {error}"),
                }
            }
        };
        let accepted = tokio::time::timeout(Duration::from_secs(30), accepted).await;
        assert_eq!(accepted.unwrap_or_else(|_| panic!("{name}: refused for ever")).status, TaskState::Queued, "{name}");
    }
    assert_eq!(tasks(&api).await.len(), 2, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_refuses() {
    check(
        "Redis refuses",
        async |stack| stack.links().redis.cut().await,
        async |stack| stack.links().redis.restore().await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_silent() {
    check(
        "Redis is silent",
        async |stack| stack.links().redis.half_open(),
        async |stack| stack.links().redis.restore().await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_refuses() {
    check(
        "MongoDB refuses",
        async |stack| stack.links().mongo.cut().await,
        async |stack| stack.links().mongo.restore().await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_never_reached_the_queue_are_swept_up() {
    let mut stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("enterprise").await.unwrap();
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(api.fetch(&hour(number), None).await.unwrap().task_id.to_string());
    }
    // As if Redis had been lost between record and queue.
    let mut connection = redis_of(&stack).await;
    redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.unwrap();
    stack.add_worker().await.unwrap();
    let ends = join_all(ids.iter().map(|id| api.follow(id, |_| {}))).await;
    for end in ends {
        let end = end.unwrap();
        assert_eq!((end.state, end.attempt, end.detail("candles_stored")), (TaskState::Succeeded, 1, 60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_task_is_done_once_while_api_and_workers_are_killed() {
    let mut stack = Stack::builder().workers(2).simulator_env("SIMULATOR_LATENCY_MS", "20").start().await.unwrap();
    let api = stack.client("enterprise").await.unwrap();
    let mut accepted = Vec::new();
    for round in 0..4 {
        let posts = join_all((0..25).map(|number| {
            let api = api.clone();
            async move { api.fetch(&hour(round * 25 + number), None).await }
        }));
        let (posted, ()) = tokio::join!(posts, async {
            let worker = usize::try_from(round % 2).unwrap();
            stack.workers[worker].kill9().await.unwrap();
            stack.workers[worker].restart().await.unwrap();
        });
        accepted.extend(posted.into_iter().map(|answer| answer.unwrap().task_id.to_string()));
        stack.api.kill9().await.unwrap();
        stack.api.restart().await.unwrap();
    }
    let mut inserted = 0;
    for id in &accepted {
        let end = tokio::time::timeout(Duration::from_secs(90), api.follow(id, |_| {})).await;
        assert_eq!(
            end.unwrap_or_else(|_| panic!("task {id} does not end")).unwrap().state,
            TaskState::Succeeded,
            "{id}"
        );
        let result = fetch_result(&api.task(id).await.unwrap()).unwrap().result;
        assert_eq!(result.inserted + result.duplicate, 60, "{id}: {result:?}");
        inserted += result.inserted;
    }
    assert!(inserted <= 100 * 60);
    let query = [("symbol", "GENUSDT"), ("interval", "1m"), ("start", "1672531200000"), ("limit", "100000")];
    let query = query.map(|(name, value)| (name, value.to_owned()));
    let stored: Vec<Vec<Value>> = api.get("/api/market-data/klines", &query).await.unwrap();
    assert_eq!(stored.len(), 100 * 60);
    let opens = stored.iter().map(|row| row[0].as_i64().unwrap());
    assert!(opens.eq((0..6_000).map(|minute| 1_672_531_200_000 + minute * 60_000)), "every minute once, in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_with_open_streams_stops_in_order_and_clients_come_back() {
    let mut stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let task = api.fetch(&hour(0), None).await.unwrap().task_id.to_string();
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = api.stream(&format!("/api/task/{task}/events"), &[]).await.unwrap();
        // The first event: the stream is under way.
        assert!(stream.chunk().await.unwrap().is_some());
        streams.push(stream);
    }
    let following = tokio::spawn({
        let (api, task) = (api.clone(), task.clone());
        async move { api.follow(&task, |_| {}).await }
    });
    // Fails unless the process ends with status 0 within its grace time.
    stack.api.stop().await.unwrap();
    for mut stream in streams {
        while let Ok(Some(_)) = stream.chunk().await {}
    }
    stack.api.restart().await.unwrap();
    stack.add_worker().await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(30), following).await.expect("the client comes back");
    assert_eq!(end.unwrap().unwrap().state, TaskState::Succeeded);
}

const RESERVING: &str = "cm:reserving";

async fn nothing_stands_in(redis: &mut MultiplexedConnection, key: &str) {
    let emptied = async {
        while redis.zcard::<_, u64>(key).await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), emptied).await.expect("somebody sees after it");
}

/// An API process that dies between reserving a place and storing the task leaves a place that nobody uses.
#[tokio::test(flavor = "multi_thread")]
async fn places_of_tasks_that_were_never_stored_come_back() {
    const PLACES: &str = "cm:{owner:u}:tasks";
    let harness = Harness::start(SimulatorConfig::default()).await;
    let now = SystemClock.now_ms();
    let waits = TaskRecord {
        run_at: Some(now + 3_600_000),
        ..harness.record("u", &fetch("BTCUSDT", Interval::Minute1, 0, 60_000))
    };
    let stored = harness.accept(waits).await.record.id.to_string();
    let mut redis = harness.redis().await;
    nothing_stands_in(&mut redis, RESERVING).await;
    let never = TaskId::new(now).to_string();
    let left = json!([["u", never], ["u", stored]]).to_string();
    redis.zadd::<_, _, _, ()>(PLACES, &never, now).await.unwrap();
    redis.zadd::<_, _, _, ()>(RESERVING, left, now - 11_000).await.unwrap();
    let _worker = harness.worker().await;
    nothing_stands_in(&mut redis, RESERVING).await;
    assert_eq!(
        redis.zrange::<_, Vec<String>>(PLACES, 0, -1).await.unwrap(),
        [stored],
        "that of the task that waits stays"
    );
}

/// An owner is refused for tasks that are under way or being stored, not for what Redis remembers of others.
#[tokio::test(flavor = "multi_thread")]
async fn places_of_ended_tasks_keep_nobody_out() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let mut redis = harness.redis().await;
    let now = SystemClock.now_ms();
    let mut taken = HashMap::new();
    for owner in ["remembered", "reserving"] {
        let ids = [TaskId::new(now), TaskId::new(now)].map(|id| id.to_string());
        for id in &ids {
            redis.zadd::<_, _, _, ()>(format!("cm:{{owner:{owner}}}:tasks"), id, now).await.unwrap();
        }
        taken.insert(owner, ids);
    }
    let post = async |owner: &str| {
        harness.try_accept_within(2, harness.record(owner, &fetch("BTCUSDT", Interval::Minute1, 0, 60_000))).await
    };
    let accepted = post("remembered").await.unwrap().record.id.to_string();
    let left = redis.zrange::<_, Vec<String>>("cm:{owner:remembered}:tasks", 0, -1).await.unwrap();
    assert_eq!(left, [accepted], "the others have gone");

    let reservation = json!(taken["reserving"].each_ref().map(|id| ("reserving", id))).to_string();
    redis.zadd::<_, _, _, ()>(RESERVING, &reservation, now).await.unwrap();
    let refused = post("reserving").await.unwrap_err();
    assert!(matches!(refused, SubmitError::TooManyTasks), "they are on their way: {refused}");
    redis.zadd::<_, _, _, ()>(RESERVING, &reservation, now - 11_000).await.unwrap();
    let accepted = async {
        while post("reserving").await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), accepted).await.expect("after so long they do not come");
}
