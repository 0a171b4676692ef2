//! Servers and workers die, are cut off and come back in the middle of a backfill: the collection equals the source.

use crate::whole::{Source, redis_of, wait_for_pages};
use candlemill_client::{Api, fetch_request};
use candlemill_devkit::Stack;
use candlemill_shared::task::TaskState;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use std::time::{Duration, Instant};

/// Candles of one backfill; at 5 ms a page and two pages at once it lasts long enough to break something meanwhile.
const CANDLES: i64 = 60_000;
/// How long a connection stays cut.
const OUTAGE: Duration = Duration::from_secs(2);

async fn stack() -> Stack {
    Stack::builder()
        .through_proxies()
        .simulator_env("SIMULATOR_LATENCY_MS", "25")
        .worker_env("BACKFILL_PAGE_CONCURRENCY", "2")
        .start()
        .await
        .unwrap()
}

/// Breaks something after a few pages, and expects everything to be there in the end.
async fn check(name: &str, breaks: impl AsyncFnOnce(&mut Stack)) {
    let mut stack = stack().await;
    let source = Source::minutes(&stack, CANDLES).await;
    let api = stack.client("enterprise").await.unwrap();
    let task = api.fetch(&source.request(), None).await.unwrap().task_id.to_string();
    wait_for_pages(&api, &task, 5).await;
    breaks(&mut stack).await;
    let mut shown = 0.0;
    let ended = tokio::time::timeout(Duration::from_secs(90), async {
        loop {
            // A Redis that is away or empty leaves the record's own figure, which is written less often.
            if let Ok(progress) = api.progress(&task).await
                && !name.starts_with("Redis")
            {
                assert!(progress.percent >= shown, "{name}: from {shown} % back to {} %", progress.percent);
                shown = progress.percent;
            }
            // The API itself may be without its stores for a moment.
            if let Ok(view) = api.task(&task).await
                && view.state.is_end()
            {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let ended = ended.await.unwrap_or_else(|_| panic!("{name}: the task did not end"));
    assert_eq!((ended.state, &ended.error), (TaskState::Succeeded, &None), "{name}");
    source.check_stored(&stack, name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_cut_off() {
    check("MongoDB cut off", async |stack| {
        stack.links().mongo.cut().await;
        tokio::time::sleep(OUTAGE).await;
        stack.links().mongo.restore().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cut_off() {
    check("Redis cut off", async |stack| {
        stack.links().redis.cut().await;
        tokio::time::sleep(OUTAGE).await;
        stack.links().redis.restore().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exchange_cut_off() {
    check("exchange cut off", async |stack| {
        stack.links().exchange.cut().await;
        tokio::time::sleep(OUTAGE).await;
        stack.links().exchange.restore().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_killed_and_restarted() {
    check("MongoDB killed", async |stack| {
        stack.mongo().kill9().await.unwrap();
        stack.mongo().restart().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_and_restarted() {
    check("Redis killed", async |stack| {
        stack.redis().kill9().await.unwrap();
        stack.redis().restart().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_restarted_with_nothing_in_it() {
    check("Redis emptied", async |stack| {
        let mut connection = redis_of(stack).await;
        redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.unwrap();
        redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(&mut connection).await.unwrap();
        stack.workers[0].kill9().await.unwrap();
        stack.workers[0].restart().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_seeded_moments() {
    let mut random = StdRng::seed_from_u64(7);
    check("worker killed", async |stack| {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
            stack.workers[0].kill9().await.unwrap();
            stack.workers[0].restart().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_stop_ends_with_status_0_and_another_finishes() {
    check("worker stopped", async |stack| {
        // `stop` fails unless the process ends with status 0 within its grace time.
        stack.workers[0].stop().await.unwrap();
        stack.add_worker().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_reads_go_on_and_new_tasks_are_refused_whole() {
    let stack = Stack::builder().through_proxies().workers(0).start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let request = fetch_request("BTCUSDT", "1m", "2020-01-01", Some("2020-01-02")).unwrap();
    let known = api.fetch(&request, None).await.unwrap().task_id.to_string();
    stack.links().redis.cut().await;
    let other = fetch_request("BTCUSDT", "1m", "2020-01-02", Some("2020-01-03")).unwrap();
    let refused = api.fetch(&other, None).await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (Some(503), Some("store_unavailable")), "{refused}");
    assert_eq!(api.progress(&known).await.unwrap().state, TaskState::Queued, "progress comes from the record");
    let tasks: serde_json::Value = api.get("/api/tasks", &[]).await.unwrap();
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 1, "nothing of the refused task was written");
    stack.links().redis.restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_room_refuses_new_tasks_for_now() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let mut connection = redis_of(&stack).await;
    let mut room = async |bytes: u32| {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("maxmemory").arg(bytes).exec_async(&mut connection).await.unwrap();
    };
    let request = fetch_request("BTCUSDT", "1m", "2020-01-01T00:00:00Z", Some("2020-01-01T01:00:00Z")).unwrap();
    room(1).await;
    let refused = api.fetch(&request, None).await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (Some(503), Some("store_unavailable")), "{refused}");
    room(0).await;
    let task = api.fetch(&request, None).await.unwrap().task_id.to_string();
    assert_eq!(api.follow(&task, |_| {}).await.unwrap().state, TaskState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_what_is_away() {
    let mut stack = Stack::builder().through_proxies().start().await.unwrap();
    stack.links().mongo.cut().await;
    stack.api.wait_for_readyz(503).await.unwrap();
    let body: serde_json::Value =
        reqwest::get(format!("{}/readyz", stack.api_url())).await.unwrap().json().await.unwrap();
    assert_eq!(
        (&body["dependencies"]["mongodb"]["ready"], &body["dependencies"]["redis"]["ready"]),
        (&false.into(), &true.into())
    );
    stack.links().mongo.restore().await;
    stack.api.wait_for_readyz(200).await.unwrap();
}

/// From the fault to the worker's word that it is not ready.
async fn unready(name: &str, stack: &mut Stack, breaks: impl AsyncFnOnce(&mut Stack)) {
    breaks(stack).await;
    let began = Instant::now();
    stack.workers[0].wait_for_readyz(503).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(15), "{name}: unready after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_claim_is_not_ready() {
    let token = "a-token-of-operators-of-no-real-installation";
    let mut stack = Stack::builder().through_proxies().api_env("ADMIN_TOKEN", token).start().await.unwrap();
    let operator = Api::new(stack.api_url(), token);
    let source = Source::minutes(&stack, 60).await;
    unready("Redis half open", &mut stack, async |stack| stack.links().redis.half_open()).await;
    stack.links().redis.restore().await;
    stack.workers[0].wait_for_readyz(200).await.unwrap();
    // One queue alone cannot be read, the others can, and Redis answers: its line of owners is no such thing.
    let mut connection = redis_of(&stack).await;
    let line = "cm:{backfill}:owners";
    unready("a queue that cannot be read", &mut stack, async |_| {
        redis::cmd("SET").arg(line).arg("x").exec_async(&mut connection).await.unwrap();
    })
    .await;
    let told: serde_json::Value =
        reqwest::get(format!("{}/readyz", stack.workers[0].url())).await.unwrap().json().await.unwrap();
    assert_eq!((&told["redis"]["ready"], &told["queues"]["backfill"]["claiming"]), (&true.into(), &false.into()));
    assert_eq!(told["queues"]["maintenance"]["claiming"], true, "{told}");
    // What nobody wants claimed is not missed. The word is kept, though the call cannot show the queue.
    let word = async |word: &str| {
        operator.request(Method::POST, &format!("/api/admin/queues/backfill/{word}")).send().await.unwrap();
    };
    word("pause").await;
    stack.workers[0].wait_for_readyz(200).await.unwrap();
    word("resume").await;
    redis::cmd("DEL").arg(line).exec_async(&mut connection).await.unwrap();
    stack.workers[0].wait_for_readyz(200).await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let task = api.fetch(&source.request(), None).await.unwrap().task_id.to_string();
    assert_eq!(api.follow(&task, |_| {}).await.unwrap().state, TaskState::Succeeded);
}
