//! What dies, what is lost, and what apalis cannot read.

use super::harness::{Inbox, PATIENCE, Seen, request};
use crate::inbox::generation::Beat;
use crate::inbox::handler::{Running, Verdict};
use crate::inbox::message::Message;
use crate::inbox::store::Depth;
use crate::inbox::watch::Watched;
use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use candlemill_shared::{Clock, SystemClock};
use redis::cmd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ulid::Ulid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_consumers_die_and_redis_restarts() {
    let mut inbox = Inbox::new().await;
    inbox.write_through().await;
    let mut consumers = Vec::new();
    let mut ids = Vec::new();
    let slow = |seen: Seen| {
        move |message: Message| {
            let seen = seen.clone();
            async move {
                // Long enough that some are under way whenever something dies.
                tokio::time::sleep(Duration::from_millis(20)).await;
                seen.note(&message.id);
                Verdict::Done("task".to_owned())
            }
        }
    };
    for _ in 0..2 {
        consumers.push(inbox.consume(slow(inbox.seen.clone())).await);
    }
    for number in 0..1_000 {
        match number % 100 {
            20 => {
                drop(consumers.remove(0));
                consumers.push(inbox.consume(slow(inbox.seen.clone())).await);
            }
            50 => inbox.redis.kill9().await.unwrap(),
            60 => {
                inbox.redis.restart().await.unwrap();
                inbox.write_through().await;
            }
            _ => {}
        }
        let id = Ulid::generate().to_string();
        ids.push(id.clone());
        if (50..60).contains(&(number % 100)) {
            // Redis is away: what would be pushed now comes after it is back.
            continue;
        }
        push(&inbox, &id, number).await;
    }
    for (number, id) in ids.iter().enumerate().filter(|(number, _)| (50..60).contains(&(number % 100))) {
        push(&inbox, id, number).await;
    }
    let began = Instant::now();
    inbox.until_seen(1_000).await;
    assert!(began.elapsed() < Duration::from_secs(20), "what the dead held is taken over within seconds");
    inbox.until_empty().await;
    let missing = ids.iter().filter(|id| inbox.seen.times(id) == 0).count();
    assert_eq!((missing, inbox.seen.count()), (0, 1_000));
}

/// As a producer that cannot know whether a push that failed was carried out: again, under the same id.
async fn push(inbox: &Inbox, id: &str, number: usize) {
    let began = Instant::now();
    loop {
        let mut storage = inbox.storage().await;
        let task = TaskBuilder::new(request(number)).task_id(TaskId::from_string(id)).build();
        match storage.push_task(task).await {
            Ok(()) => return,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_apalis_cannot_read_stops_no_other_message() {
    let inbox = Inbox::new().await;
    let mut connection = inbox.connection().await;
    let mut raw = redis::pipe();
    // An id without a message; texts that are no JSON; metadata that apalis cannot read; ids that it spells otherwise.
    raw.cmd("RPUSH").arg("in:active").arg("ghost");
    let odd = ["no JSON", "broken", "007", "01jc5y7v9n8b3m2k1h0g9f8e7d", ""];
    for id in odd {
        raw.cmd("HSET").arg("in:data").arg(id).arg(b"\xff{");
        let status = if id == "broken" { "my own" } else { "Pending" };
        let meta = format!("in:meta:{id}");
        raw.cmd("HSET").arg(meta).arg(&["attempts", "0", "max_attempts", "25", "status", status]);
        raw.cmd("RPUSH").arg("in:active").arg(id);
    }
    raw.query_async::<()>(&mut connection).await.unwrap();
    // A hundred that end a worker each would take longer one by one.
    for number in 0..100 {
        let mut ghost = redis::pipe();
        ghost.cmd("RPUSH").arg("in:active").arg(format!("ghost-{number}"));
        ghost.query_async::<()>(&mut connection).await.unwrap();
    }
    inbox.storage().await.push_bulk((0..1_000).map(request).collect()).await.unwrap();
    let consumer = inbox.consume_all().await;
    inbox.until_seen(1_005).await;
    inbox.until_empty().await;
    assert_eq!(inbox.counters.ghosts.get(), 101);
    for id in ["no JSON", "broken", "7", "01JC5Y7V9N8B3M2K1H0G9F8E7D"] {
        assert!(inbox.seen.times(id) >= 1, "{id}");
    }
    // The same while a worker runs: it ends, what it met is set right, and the next one goes on.
    for id in ["ghost", "008"] {
        let mut raw = redis::pipe();
        if id == "008" {
            raw.cmd("HSET").arg("in:data").arg(id).arg(b"{}");
            raw.cmd("HSET").arg("in:meta:008").arg(&["attempts", "0", "max_attempts", "25", "status", "Pending"]);
        }
        raw.cmd("RPUSH").arg("in:active").arg(id);
        raw.query_async::<()>(&mut connection).await.unwrap();
    }
    let began = Instant::now();
    inbox.storage().await.push(request(1_001)).await.unwrap();
    inbox.until_seen(1_007).await;
    inbox.until_empty().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(inbox.counters.restarts.get() > 0);
    drop(consumer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_never_reached_its_handler_is_given_back() {
    let inbox = Inbox::new().await;
    let consumer = inbox.consume_all().await;
    let mut storage = inbox.storage().await;
    storage.push(request(1)).await.unwrap();
    inbox.until_seen(1).await;
    // As if the answer to its fetch had been lost on a connection that lives on.
    let mut connection = inbox.connection().await;
    let workers: Vec<String> =
        cmd("ZRANGE").arg("in:workers").arg(0).arg(-1).query_async(&mut connection).await.unwrap();
    let mut lost = redis::pipe();
    lost.cmd("HSET").arg("in:data").arg("lost").arg(b"{}");
    lost.cmd("HSET").arg("in:meta:lost").arg(&["attempts", "0", "max_attempts", "25", "status", "Pending"]);
    lost.cmd("SADD").arg(format!("in:inflight:{}", workers[0])).arg("lost");
    lost.query_async::<()>(&mut connection).await.unwrap();
    let began = Instant::now();
    inbox.until_seen(2).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    inbox.until_empty().await;
    drop(consumer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_and_a_forgotten_worker_end_nothing_for_long() {
    let mut inbox = Inbox::new().await;
    let consumer = inbox.consume_all().await;
    let mut storage = inbox.storage().await;
    storage.push(request(1)).await.unwrap();
    inbox.until_seen(1).await;
    // Longer than the worker waits for an answer.
    inbox.redis.child().freeze().unwrap();
    let restarts = inbox.counters.restarts.clone();
    let began = Instant::now();
    while restarts.get() == 0 {
        assert!(began.elapsed() < PATIENCE, "the worker still waits for an answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    inbox.redis.child().thaw().unwrap();
    let began = Instant::now();
    inbox.storage().await.push(request(2)).await.unwrap();
    inbox.until_seen(2).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // Its registration is gone, as after other workers had missed its heartbeats.
    cmd("DEL").arg("in:workers").query_async::<()>(&mut inbox.connection().await).await.unwrap();
    let began = Instant::now();
    inbox.storage().await.push(request(3)).await.unwrap();
    inbox.until_seen(3).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(consumer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_without_heartbeats_is_ended_while_redis_answers() {
    let inbox = Inbox::new().await;
    let store = inbox.store(inbox.connection().await);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let watched = Watched { store: &store, counters: &inbox.counters, clock: &clock, name: "hangs" };
    let began = Instant::now();
    let why = watched.until_it_hangs(&Beat::now(), &Running::default()).await;
    assert!(why.starts_with("no heartbeat") && began.elapsed() < Duration::from_secs(9), "{why} {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_apalis_gave_up_and_what_lost_workers_left_comes_back() {
    let inbox = Inbox::new().await;
    let mut connection = inbox.connection().await;
    let store = inbox.store(connection.clone());
    let mut left = redis::pipe();
    for id in ["given up", "held"] {
        left.cmd("HSET").arg("in:data").arg(id).arg(b"{}");
        let meta = format!("in:meta:{id}");
        left.cmd("HSET").arg(meta).arg(&["attempts", "0", "max_attempts", "25", "status", "Running"]);
    }
    left.cmd("SADD").arg("in:dead").arg("given up");
    left.cmd("SADD").arg("in:inflight:gone").arg("held");
    left.query_async::<()>(&mut connection).await.unwrap();
    store.start("gone", 0).await.unwrap();
    store.start("lives", 0).await.unwrap();
    cmd("ZADD").arg("in:workers").arg(0).arg("lives").query_async::<()>(&mut connection).await.unwrap();
    assert_eq!(store.lost_workers(1).await.unwrap(), ["gone"]);
    assert_eq!(store.leave("gone").await.unwrap(), 1);
    assert_eq!((store.revive(0).await.unwrap(), store.revive(0).await.unwrap()), ((0, 1), (0, 0)));
    assert_eq!(store.depth().await.unwrap(), Depth { waiting: 1, postponed: 1 });
    let due = "cm:inbox:in:postponed";
    cmd("ZADD").arg(due).arg(0).arg("given up").query_async::<()>(&mut connection).await.unwrap();
    assert_eq!(store.move_due().await.unwrap(), (1, false));
    assert_eq!(store.depth().await.unwrap(), Depth { waiting: 2, postponed: 0 });
    let consumer = inbox.consume_all().await;
    inbox.until_seen(2).await;
    inbox.until_empty().await;
    drop(consumer);
}
