//! What a task tells of its figures until its end: snapshots, record and live view never contradict each other.

use crate::harness::{HOUR, Harness, START, hours, recorded, result_of, series, until};
use candlemill_shared::job::{Envelope, FetchBatch, Job};
use candlemill_shared::progress::Progress;
use candlemill_shared::range::normalise;
use candlemill_shared::task::{TaskId, TaskRecord, TaskState};
use candlemill_shared::{Interval, TimeRange};
use candlemill_simulator::{Fault, FaultRule};
use candlemill_tasks::TaskEngine;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Pages, pages in all, candles, duplicates.
fn counts(shown: &Progress) -> [u64; 4] {
    let of = |name| shown.figures.sum_of(&[name]);
    [shown.figures.done, shown.figures.total, of("candles_stored"), of("duplicates")]
}

/// What nobody may take back or tell otherwise: percent, pages, totals, candles, duplicates, rate.
fn figures(shown: &Progress) -> (f64, u64, u64, u64, u64, f64) {
    let [done, total, candles, duplicates] = counts(shown);
    (shown.percent, done, total, candles, duplicates, shown.rate)
}

/// All snapshots that a task shows until its end.
async fn follow(tasks: TaskEngine, id: TaskId) -> Vec<Progress> {
    let mut seen: Vec<Progress> = Vec::new();
    loop {
        if let Some(shown) = tasks.progress().read(id).await.unwrap()
            && seen.last() != Some(&shown)
        {
            let is_end = shown.state.is_end();
            seen.push(shown);
            if is_end {
                return seen;
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Candles per second from the first attempt to the end.
fn average(record: &TaskRecord) -> f64 {
    let result = result_of(record);
    let seconds = (record.ended_at.unwrap() - record.started_at.unwrap()) as f64 / 1_000.0;
    ((result.inserted + result.duplicate) as f64 / seconds * 10.0).round() / 10.0
}

/// Last snapshot, record and what the live view makes of an older snapshot and the record say the same.
fn all_say_the_same(name: &str, seen: &[Progress], ended: &TaskRecord) {
    for pair in seen.windows(2) {
        let fields = |shown: &Progress| counts(shown).map(|figure| figure as f64);
        let risen = fields(&pair[0]).iter().zip(fields(&pair[1])).all(|(before, after)| *before <= after);
        assert!(risen && pair[0].percent <= pair[1].percent, "{name}: backwards: {pair:#?}");
    }
    let (last, told) = (seen.last().unwrap(), Progress::from_record(ended));
    assert_eq!(figures(last), figures(&told), "{name}: last snapshot and record");
    let before = seen[seen.len() - 2].clone();
    assert_eq!(figures(&Progress::newest_of(before, ended)), figures(&told), "{name}: live view");
    let result = result_of(ended);
    let of_result = [result.pages, result.pages_total, result.inserted, result.duplicate];
    assert_eq!(counts(last), of_result, "{name}: the result");
    assert!(last.rate > 0.0, "{name}: {last:?}");
    assert_eq!(last.rate, average(ended), "{name}");
    assert_eq!(last.percent == 100.0, ended.state == TaskState::Succeeded, "{name}");
}

async fn cancelled_in_the_middle(name: &str, split_pages: &str, record: impl FnOnce(&Harness) -> TaskRecord) {
    let harness = Harness::start(recorded()).await;
    // A loaded machine looks at children a second late: a page takes longer than that.
    harness.simulator.control().add_fault(FaultRule::on("/api/v3/klines", Fault::Latency { ms: 2_000 }));
    let few = [("WORKER_CONCURRENCY", "2"), ("BACKFILL_PAGE_CONCURRENCY", "1"), ("BACKFILL_SPLIT_PAGES", split_pages)];
    let _worker = harness.worker_with(few).await;
    let id = harness.accept(record(&harness)).await.record.id;
    let following = tokio::spawn(follow(harness.tasks.clone(), id));
    let stored = async || {
        harness
            .tasks
            .progress()
            .read(id)
            .await
            .unwrap()
            .is_some_and(|shown| counts(&shown)[2] > 0 && shown.percent > 5.0)
    };
    timeout(Duration::from_secs(30), until(stored)).await.expect("it gets under way");
    harness.tasks.cancel(id, "u").await.unwrap();
    let ended = harness.end_of(id).await;
    assert_eq!(ended.state, TaskState::Cancelled, "{name}");
    let seen = timeout(Duration::from_secs(10), following).await.unwrap().unwrap();
    all_say_the_same(name, &seen, &ended);
    let (before, last) = (&seen[seen.len() - 2], &seen[seen.len() - 1]);
    assert!(last.percent < 75.0, "{name}: {} % after {} %", last.percent, before.percent);
    let result = result_of(&ended);
    let stored = harness.candles("BTCUSDT", Interval::Minute1).await.len() as u64;
    assert_eq!(result.inserted, stored, "{name}");
    if ended.children.unwrap().parts.is_null() {
        return;
    }
    let asked = TimeRange::new(START, START + 72 * HOUR);
    let verified = harness.market.coverage().verified(&series("BTCUSDT", Interval::Minute1), asked).await.unwrap();
    assert!(!verified.is_empty(), "{name}");
    assert_eq!(normalise(result.ranges), verified, "{name}: what was really fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_batch_tells_how_far_it_came() {
    cancelled_in_the_middle("batch", "100", |harness| {
        let job = FetchBatch { fetches: (0..12).map(|part| hours(part * 6, part * 6 + 6)).collect() };
        let job_of = Envelope::of(&job).unwrap();
        TaskRecord { fingerprint: job.fingerprint("u"), job: job_of, ..harness.record("u", &hours(0, 1)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_split_fetch_tells_how_far_it_came() {
    cancelled_in_the_middle("split fetch", "4", |harness| TaskRecord {
        running_at_once: 2,
        ..harness.record("u", &hours(0, 72))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_snapshot_tells_the_average_rate() {
    let harness = Harness::start(recorded()).await;
    harness.simulator.control().add_fault(FaultRule::on("/api/v3/klines", Fault::Latency { ms: 50 }));
    let _worker = harness.worker_with([("BACKFILL_SPLIT_PAGES", "3")]).await;
    for (name, job) in [("one task", hours(0, 24)), ("in parts", hours(0, 72))] {
        let id = harness.submit("u", &job).await.record.id;
        let seen = follow(harness.tasks.clone(), id).await;
        all_say_the_same(name, &seen, &harness.end_of(id).await);
    }
}
