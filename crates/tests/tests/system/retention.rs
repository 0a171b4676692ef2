//! Finished tasks leave Redis by themselves.

use crate::harness::{Harness, fetch, recorded};
use candlemill_shared::job::{Envelope, Job, Probe};
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{TaskId, TaskState};
use candlemill_shared::{Clock, Interval, SystemClock};
use candlemill_tasks::queue::Depth;
use futures::future::join_all;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use std::collections::BTreeSet;
use std::time::Duration;

/// 15 minutes, in which those who have asked for the task see its end, and a second of grace.
const SHOWN_MS: i64 = 15 * 60 * 1_000 + 1_000;
const JOBS: u64 = 400;
/// Somebody asks for every fourth task while it waits.
const ASKED: u64 = 4;

async fn keys(connection: &mut MultiplexedConnection) -> BTreeSet<String> {
    let mut all = connection.scan::<String>().await.unwrap();
    let mut keys = BTreeSet::new();
    while let Some(key) = all.next_item().await {
        keys.insert(key.unwrap());
    }
    keys
}

async fn run_probes(harness: &Harness, from: u64) -> Vec<TaskId> {
    let submit = |number: u64| async move {
        let mut record = harness.record(
            &format!("owner-{}", number % 20),
            &fetch("BTCUSDT", Interval::Minute1, 1_577_836_800_000, 1_577_840_400_000),
        );
        record.job = Envelope::of(&Probe { number }).unwrap();
        (record.pool, record.fingerprint) = (Probe::POOL, format!("probe-{number}"));
        if number.is_multiple_of(ASKED) {
            harness.tasks.progress().keep(&Progress::from_record(&record)).await.unwrap();
        }
        harness.accept(record).await.record.id
    };
    let ids = join_all((from..from + JOBS).map(submit)).await;
    for id in &ids {
        assert_eq!(harness.end_of(*id).await.state, TaskState::Succeeded);
    }
    harness.wait_for_depth(Probe::POOL, Depth::default()).await;
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_renewed_just_then_does_not_bring_an_ended_task_back() {
    let harness = Harness::start(recorded()).await;
    let variables = [("MAINTENANCE_CONCURRENCY", "256"), ("WORKER_LEASE_SECONDS", "2")];
    let worker = harness.worker_with(variables).await;
    // Three renewals within a lease, and some tasks are settled while one is on its way.
    for wave in 0..15 {
        run_probes(&harness, wave * JOBS).await;
    }
    // What was brought back would come to the worker once more, when its lease has run out.
    assert_eq!(worker.counted("attempts").await, 15 * JOBS);
    assert_eq!(worker.counted("stale_deliveries").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_nothing_of_finished_tasks() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker_with([("MAINTENANCE_CONCURRENCY", "64")]).await;
    let mut connection = harness.redis().await;
    let mut plateau = None;
    for wave in 0..3 {
        let ids: BTreeSet<String> = run_probes(&harness, wave * JOBS).await.iter().map(ToString::to_string).collect();
        let all = keys(&mut connection).await;
        let (mut of_tasks, mut lasting) = (0, BTreeSet::new());
        for key in all {
            let life: i64 = connection.pttl(&key).await.unwrap();
            let of_this_wave = ids.iter().any(|id| key.contains(id.as_str()));
            if of_this_wave {
                assert!((0..=SHOWN_MS).contains(&life), "{key} lives for {life} ms more");
                let shown: String = connection.hget(&key, "json").await.unwrap();
                assert!(shown.contains("\"succeeded\""), "{shown}");
                of_tasks += 1;
            } else if life == -1 {
                lasting.insert(key);
            }
        }
        assert_eq!(
            of_tasks,
            JOBS / ASKED,
            "the newest snapshot, for a while, of those that somebody asked for, and nothing else"
        );
        let of_queue: BTreeSet<_> = lasting.iter().filter(|key| key.contains("{maintenance}")).cloned().collect();
        let left = ["turn", "serial", "ticked", "epoch"].map(|part| format!("cm:{{maintenance}}:{part}"));
        assert!(of_queue.is_subset(&left.into()), "no hash and no set stays: {of_queue:?}");
        assert!(lasting.iter().all(|key| !key.contains("{owner:")), "no places are kept: {lasting:?}");
        // What lasts is the same after each wave; snapshots are let expire.
        assert_eq!(*plateau.get_or_insert(lasting.len()), lasting.len(), "after wave {wave}: {lasting:?}");
        for id in ids {
            let _: () = connection.pexpire(format!("cm:{{{id}}}:progress"), 1).await.unwrap();
        }
    }
    let now = SystemClock.now_ms();
    while keys(&mut connection).await.iter().any(|key| key.ends_with(":progress")) {
        assert!(SystemClock.now_ms() < now + 10_000, "they expire");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
