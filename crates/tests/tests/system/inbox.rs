//! The apalis inbox over the whole engine: every message that a program of apalis pushes becomes exactly one task, or one dead
//! letter that says why not.

use crate::harness::{Harness, recorded};
use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId as MessageId;
use apalis_redis::{Config, RedisStorage};
use candlemill_devkit::Stack;
use candlemill_shared::job::{Job, Probe};
use candlemill_shared::request::TaskRequest;
use candlemill_shared::task::TaskRecord;
use futures::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use ulid::Ulid;

const OWNER: &str = "apalis-user";
const INBOX: [(&str, &str); 3] =
    [("APALIS_INBOX", "candles"), ("APALIS_INBOX_OWNER", OWNER), ("APALIS_INBOX_TIER", "enterprise")];
/// Longest wait for the end of all tasks.
const PATIENCE: Duration = Duration::from_secs(200);

/// The queue as a program that uses apalis-redis has it.
async fn storage<T: Serialize + DeserializeOwned + Send + Unpin + 'static>(url: &str) -> RedisStorage<T> {
    RedisStorage::new(connection(url).await.unwrap()).with_config(Config::default().queue("candles"))
}

async fn connection(url: &str) -> redis::RedisResult<ConnectionManager> {
    // Its own half a second is less than a push of thousands takes.
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
    redis::Client::open(url)?.get_connection_manager_with_config(config).await
}

fn probe(number: u64) -> TaskRequest {
    TaskRequest::of(&Probe { number }).unwrap()
}

/// Waits until `count` tasks of the inbox have succeeded; then each number has exactly one, and there is no other.
async fn check_each_is_one_task(records: &Collection<Document>, count: u64) {
    let succeeded = doc! { "owner": OWNER, "state": "succeeded" };
    let waiting = async {
        while records.count_documents(succeeded.clone()).await.unwrap() < count {
            sleep(Duration::from_millis(100)).await;
        }
    };
    if timeout(PATIENCE, waiting).await.is_err() {
        panic!("{} of {count} succeeded", records.count_documents(succeeded).await.unwrap());
    }
    let numbers = records.find(doc! { "owner": OWNER }).projection(doc! { "job.payload.number": 1, "state": 1 });
    let numbers: Vec<Document> = numbers.await.unwrap().try_collect().await.unwrap();
    let mut tasks: BTreeMap<i64, u32> = BTreeMap::new();
    for one in &numbers {
        let payload = one.get_document("job").unwrap().get_document("payload").unwrap();
        let number = payload.get_i64("number").or_else(|_| payload.get_i32("number").map(i64::from)).unwrap();
        *tasks.entry(number).or_default() += 1;
    }
    assert_eq!(u64::try_from(numbers.len()).unwrap(), count, "{:?}", tasks.iter().find(|(_, tasks)| **tasks > 1));
    assert!(tasks.keys().copied().eq(0..i64::try_from(count).unwrap()), "every number has its task");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_that_wait_before_a_worker_starts_are_one_task_each() {
    let harness = Harness::start(recorded()).await;
    let mut producer = storage(&harness.redis_url()).await;
    for thousand in 0..20_u64 {
        let requests = (thousand * 1_000..(thousand + 1) * 1_000).map(probe).collect();
        producer.push_bulk(requests).await.unwrap();
    }
    let worker = harness.worker_with(INBOX).await;
    check_each_is_one_task(&harness.documents().await, 20_000).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_while_workers_are_killed_and_redis_restarts_are_one_task_each() {
    let mut builder = Stack::builder().workers(2);
    for (name, value) in INBOX {
        builder = builder.worker_env(name, value);
    }
    let mut stack = builder.start().await.unwrap();
    write_through(&stack).await;
    for number in 0..1_000 {
        match number % 250 {
            100 => {
                let worker = usize::try_from(number / 250 % 2).unwrap();
                stack.workers[worker].kill9().await.unwrap();
                stack.workers[worker].restart().await.unwrap();
            }
            200 => {
                stack.redis().kill9().await.unwrap();
                stack.redis().restart().await.unwrap();
                write_through(&stack).await;
            }
            _ => {}
        }
        push(stack.redis_url(), number).await;
    }
    let client = mongodb::Client::with_uri_str(stack.mongo_uri()).await.unwrap();
    check_each_is_one_task(&client.database(stack.database()).collection("tasks"), 1_000).await;
    stack.stop().await.unwrap();
}

/// Lets Redis answer when a push is on the disk: what it answers before, a kill may make it forget.
async fn write_through(stack: &Stack) {
    let mut set = redis::cmd("CONFIG");
    let set = set.arg("SET").arg("appendfsync").arg("always");
    set.query_async::<()>(&mut connection(stack.redis_url()).await.unwrap()).await.unwrap();
}

/// Pushes until it is carried out, under one id: a producer whose push failed cannot know what became of it.
async fn push(url: &str, number: u64) {
    let (id, began) = (Ulid::generate().to_string(), Instant::now());
    loop {
        let task = TaskBuilder::new(probe(number)).task_id(MessageId::from_string(&id)).build();
        let pushed = storage(url).await.push_task(task).await;
        let Err(error) = pushed else { return };
        assert!(began.elapsed() < PATIENCE, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_accepted_is_a_dead_letter_that_says_why() {
    let harness = Harness::start(recorded()).await;
    let worker = harness.worker_with(INBOX).await;
    let refused = [
        (json!({"kind": "probe", "payload": {"number": 1}, "owner": "somebody"}), "names its owner"),
        (json!({"kind": "probe", "payload": {"number": 1}, "tier": "enterprise"}), "names its tier"),
        (json!({"kind": "dance", "payload": {}}), "no kind of job"),
        (json!({"kind": "probe", "payload": {"number": "one"}}), "number: "),
        (json!({"kind": "probe", "payload": {"number": 1}, "colour": "red"}), "colour"),
        (json!({"kind": "probe", "version": 9, "payload": {"number": 1}}), "version 9"),
        (
            json!({"kind": "fetch_history", "payload": {"symbol": "B!", "interval": "1m", "start": {"at": 0}}}),
            "symbol: ",
        ),
        (json!([]), "a JSON object is expected"),
    ];
    let mut producer = storage::<Value>(&harness.redis_url()).await;
    for (number, (message, _)) in refused.iter().enumerate() {
        // A message that comes twice is one letter.
        for _ in 0..2 {
            let id = format!("refused-{number}");
            let task = TaskBuilder::new(message.clone()).task_id(MessageId::from_string(&id)).build();
            producer.push_task(task).await.unwrap();
        }
    }
    let letters = harness.documents().await;
    let dead = doc! { "owner": OWNER, "state": "dead" };
    let waiting = async {
        while letters.count_documents(dead.clone()).await.unwrap() < refused.len() as u64 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("each becomes a letter");
    let found: Vec<Document> = letters.find(doc! { "owner": OWNER }).await.unwrap().try_collect().await.unwrap();
    assert_eq!(found.len(), refused.len());
    let found: Vec<TaskRecord> =
        found.into_iter().map(|one| mongodb::bson::deserialize_from_document(one).unwrap()).collect();
    for (message, why) in &refused {
        let payload = message.get("payload").unwrap_or(message);
        let of_it = |letter: &&TaskRecord| letter.error.as_ref().is_some_and(|error| error.message.contains(why));
        let letter = found.iter().find(of_it).unwrap_or_else(|| panic!("nothing says {why:?}: {found:#?}"));
        assert_eq!(letter.job.payload, *payload, "it is kept as it came");
    }
    // The inbox goes on: the next message is a task.
    producer.push(json!({"kind": Probe::KIND, "payload": {"number": 7}})).await.unwrap();
    let succeeded = doc! { "owner": OWNER, "state": "succeeded" };
    let waiting = async {
        while letters.count_documents(succeeded.clone()).await.unwrap() == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("what is right is done");
    worker.stop().await;
}
