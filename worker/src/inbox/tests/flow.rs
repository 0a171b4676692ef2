//! Messages that come in, come again, and go.

use super::harness::{Inbox, request};
use crate::inbox::handler::Verdict;
use crate::inbox::message::Message;
use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use redis::cmd;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_before_the_start_and_one_while_it_runs_are_handled() {
    let inbox = Inbox::new().await;
    let mut storage = inbox.storage().await;
    for chunk in 0..20 {
        storage.push_bulk((chunk * 1_000..(chunk + 1) * 1_000).map(request).collect()).await.unwrap();
    }
    let consumer = inbox.consume_all().await;
    inbox.until_seen(20_000).await;
    inbox.until_empty().await;
    let again = u64::from(inbox.seen.tries()) - 20_000;
    assert_eq!(inbox.seen.count(), 20_000);
    assert!(again <= inbox.counters.returned.get(), "only what a worker held at its end is seen again: {again}");
    // In one script: apalis meets them all at once and ends; the next worker finds them moved.
    storage.push_bulk((20_000..32_000).map(request).collect()).await.unwrap();
    inbox.until_seen(32_000).await;
    inbox.until_empty().await;
    drop(consumer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_come_again_comes_again_and_a_panic_loses_nothing() {
    let inbox = Inbox::new().await;
    let mut storage = inbox.storage().await;
    for id in ["later", "panics", "fine"] {
        storage.push_task(TaskBuilder::new(request(1)).task_id(TaskId::from_string(id)).build()).await.unwrap();
    }
    let seen = inbox.seen.clone();
    let consumer = inbox
        .consume(move |message: Message| {
            let times = seen.note(&message.id);
            async move {
                match message.id.as_str() {
                    "later" if times < 3 => Verdict::Later("not now".to_owned()),
                    "panics" if times == 1 => panic!("on purpose"),
                    _ => Verdict::Done("task".to_owned()),
                }
            }
        })
        .await;
    inbox.until_seen(3).await;
    inbox.until_empty().await;
    let times = ["later", "panics", "fine"].map(|id| inbox.seen.times(id));
    assert_eq!((times, inbox.counters.restarts.get()), ([3, 2, 1], 0));
    drop(consumer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_read_as_apalis_writes_them_and_leave_nothing_behind() {
    let inbox = Inbox::new().await;
    let mut storage = inbox.storage().await;
    storage.push_bulk((0..3_000).map(request).collect()).await.unwrap();
    let seen = inbox.seen.clone();
    let consumer = inbox
        .consume(move |message: Message| {
            let (opened, _) = message.open().unwrap();
            assert_eq!((opened.kind.as_str(), opened.idempotency_key.as_ref()), ("probe", Some(&message.id)));
            seen.note(&message.id);
            std::future::ready(Verdict::Done("task".to_owned()))
        })
        .await;
    inbox.until_seen(3_000).await;
    inbox.until_empty().await;
    let mut connection = inbox.connection().await;
    let kept: u64 = cmd("HLEN").arg("in:data").query_async(&mut connection).await.unwrap();
    assert_eq!(kept, 3_000, "producers may ask for the results of what has just been done");
    let (store, mut from, mut removed) = (inbox.store(connection.clone()), 0, 0);
    loop {
        let (next, some) = store.purge(from, Duration::ZERO, 10_000).await.unwrap();
        (from, removed) = (next, removed + some);
        if from == 0 {
            break;
        }
    }
    let kept: Vec<String> = cmd("KEYS").arg("in:meta:*").query_async(&mut connection).await.unwrap();
    let texts: u64 = cmd("HLEN").arg("in:data").query_async(&mut connection).await.unwrap();
    assert_eq!((removed, kept.len(), texts), (3_000, 0, 0));
    drop(consumer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inbox_that_closes_leaves_nothing_behind() {
    let inbox = Inbox::new().await;
    let mut storage = inbox.storage().await;
    storage.push_bulk((0..200).map(request).collect()).await.unwrap();
    let (seen, closed) = (inbox.seen.clone(), CancellationToken::new());
    let consumer = inbox
        .consume_until(closed.clone(), move |message: Message| {
            seen.note(&message.id);
            std::future::pending::<Verdict>()
        })
        .await;
    inbox.until_seen(64).await;
    closed.cancel();
    consumer.await.unwrap();
    let mut connection = inbox.connection().await;
    let waiting: u64 = cmd("LLEN").arg("in:active").query_async(&mut connection).await.unwrap();
    assert_eq!((waiting, inbox.left().await.unwrap()), (200, 200), "what was held waits again");
    let left: Vec<String> = cmd("KEYS").arg("*worker*").query_async(&mut connection).await.unwrap();
    assert_eq!(left, Vec::<String>::new());
    let consumer = inbox.consume_all().await;
    inbox.until_seen(200).await;
    inbox.until_empty().await;
    drop(consumer);
}
