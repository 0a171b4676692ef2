//! What is given up: dead with cause and payload, replayed once from where it stopped, or discarded.

use crate::harness::{Harness, fetch, recorded, result_of, terms};
use candlemill_shared::job::FetchResult;
use candlemill_shared::job::Pool;
use candlemill_shared::retry::codes;
use candlemill_shared::task::{Attempt, TaskError, TaskId, TaskRecord, TaskState};
use candlemill_shared::{Clock, Interval, SystemClock};
use candlemill_simulator::{Fault, FaultRule};
use candlemill_tasks::queue::Depth;
use candlemill_tasks::{CancelOutcome, Claim, DeadLetterQuery, DiscardOutcome, Ending, ReplayOutcome};
use futures::future::join_all;
use serde_json::json;
use std::collections::HashMap;

/// 2020-01-01, UTC ms.
const START: i64 = 1_577_836_800_000;
const HOUR: i64 = 3_600_000;
/// Minutes of three days.
const ALL: u64 = 4_320;

/// A record of its own for each number, with these failures behind it.
fn failed(harness: &Harness, number: i64, codes: &[&str]) -> TaskRecord {
    let job = fetch("BTCUSDT", Interval::Minute1, START + number * HOUR, START + (number + 1) * HOUR);
    let mut record = harness.record("u", &job);
    let attempt = |(number, code): (u32, &&str)| Attempt {
        number,
        worker: "w-earlier".into(),
        started_at: record.created_at,
        ended_at: Some(record.created_at),
        error: Some(TaskError::new(*code, "as before")),
    };
    record.attempts = (1..).zip(codes).map(attempt).collect();
    record.attempt = u32::try_from(codes.len()).unwrap();
    record
}

/// Ends the newest attempt of a task that no worker has seen.
async fn end(harness: &Harness, id: TaskId, state: TaskState) -> TaskRecord {
    let now = SystemClock.now_ms();
    let Claim::Started(record) = harness.tasks.records().claim(id, "w", |_| None).await.unwrap() else {
        panic!("{id} is stale")
    };
    let error = Some(TaskError::new("exchange_unavailable", "gave up"));
    let ending = Ending {
        state,
        result: Some(json!(FetchResult { pages: 7, ..FetchResult::default() })),
        error,
        run_at: None,
        at: now,
    };
    assert!(harness.tasks.records().end(&record, &ending).await.unwrap());
    harness.tasks.queue(record.pool).remove(&record).await.unwrap();
    *record
}

async fn letters(harness: &Harness, query: DeadLetterQuery) -> Vec<TaskId> {
    let query = DeadLetterQuery { owner: "u".into(), limit: 100, ..query };
    harness.tasks.records().dead_letters(&query).await.unwrap().iter().map(|record| record.id).collect()
}

fn replayed(outcome: ReplayOutcome) -> TaskRecord {
    match outcome {
        ReplayOutcome::Replayed(record) => *record,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_poisonous_is_dead_with_its_cause_and_payload() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let mut unreadable = failed(&harness, 0, &[]);
    unreadable.job.payload = json!({"symbol": "no symbol!"});
    // No worker has known it for ten minutes.
    let mut unknown = failed(&harness, 1, &[codes::UNKNOWN_KIND]);
    unknown.attempts[0].started_at -= 600_000;
    unknown.job.kind = "dance".into();
    let table = [
        ("unreadable", unreadable, codes::PAYLOAD_UNREADABLE),
        ("unknown kind", unknown, codes::UNKNOWN_KIND),
        ("panics", failed(&harness, 2, &[codes::PANIC; 3]), codes::PANIC),
        ("timeouts", failed(&harness, 3, &[codes::TIMEOUT; 3]), codes::TIMEOUT),
        ("dead workers", failed(&harness, 4, &[codes::WORKER_LOST; 10]), codes::WORKER_LOST),
        ("failures", failed(&harness, 5, &["exchange_unavailable"; 40]), "exchange_unavailable"),
    ];
    let mut dead = HashMap::new();
    for (name, record, code) in table {
        let id = harness.accept(record.clone()).await.record.id;
        let ended = harness.end_of(id).await;
        assert_eq!((ended.state, ended.error.as_ref().unwrap().code.as_str()), (TaskState::Dead, code), "{name}");
        assert_eq!((&ended.job, ended.attempt), (&record.job, record.attempt + 1), "{name}");
        assert_eq!(ended.attempts.len(), record.attempts.len() + 1, "{name}");
        let last = ended.attempts.last().unwrap();
        assert!(last.error == ended.error && last.ended_at.is_some(), "{name}: {last:?}");
        dead.insert(name, id);
    }
    // Records of one millisecond have ids in no order.
    let mut newest_first: Vec<_> = dead.values().copied().collect();
    newest_first.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(letters(&harness, DeadLetterQuery::default()).await, newest_first);
    let of = |text: &str| Some(text.to_owned());
    assert_eq!(
        letters(&harness, DeadLetterQuery { kind: of("dance"), ..DeadLetterQuery::default() }).await,
        [dead["unknown kind"]]
    );
    assert_eq!(
        letters(&harness, DeadLetterQuery { code: of("panic"), ..DeadLetterQuery::default() }).await,
        [dead["panics"]]
    );
    // Of a newer version it may be another worker's.
    let mut newer = failed(&harness, 6, &[]);
    newer.job.version = 99;
    let id = harness.accept(newer).await.record.id;
    let waits = harness.wait(id, |record| record.state == TaskState::Retrying).await;
    assert_eq!(waits.error.unwrap().code, codes::NEWER_VERSION);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_task_goes_on_from_where_it_died() {
    let harness = Harness::start(recorded()).await;
    let control = harness.simulator.control();
    control.add_fault(FaultRule::on("/api/v3/klines", Fault::status(503)).after(4));
    let variables = [("BINANCE_CALL_ATTEMPTS", "1"), ("BACKFILL_PAGE_CONCURRENCY", "1")];
    let _worker = harness.worker_with(variables).await;
    let mut record = failed(&harness, 0, &["exchange_unavailable"; 39]);
    let job = fetch("BTCUSDT", Interval::Minute1, START, START + 72 * HOUR);
    record.job = candlemill_shared::job::Envelope::of(&job).unwrap();
    let id = harness.accept(record).await.record.id;
    let dead = harness.end_of(id).await;
    let stored = result_of(&dead).inserted;
    assert_eq!(dead.state, TaskState::Dead);
    assert!(dead.error.unwrap().message.contains("gave up after 40 failed attempts"));
    assert!(stored > 0 && stored < ALL, "{stored} candles");
    control.clear_faults();
    let calls = control.calls("/api/v3/klines").len();
    let queued = replayed(harness.tasks.replay(id, "u", &terms(20)).await.unwrap());
    assert_eq!((queued.state, queued.attempt, &queued.error), (TaskState::Queued, 40, &None));
    assert_eq!((queued.attempts.len(), queued.dead_letter.replays), (40, 1));
    let done = harness.end_of(id).await;
    assert_eq!((done.state, done.attempt, result_of(&done).inserted), (TaskState::Succeeded, 41, ALL));
    assert!(control.calls("/api/v3/klines").len() - calls <= 4, "only what was missing is fetched");
    assert_eq!(harness.candles("BTCUSDT", Interval::Minute1).await.len() as u64, ALL);
    let shown = harness.tasks.progress().read(id).await.unwrap().unwrap();
    assert_eq!(shown.state, TaskState::Succeeded, "the newest snapshot is of the new life");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_replays_of_one_task_one_wins_and_the_old_attempt_has_no_say() {
    let harness = Harness::start(recorded()).await;
    let id = harness.accept(failed(&harness, 0, &[])).await.record.id;
    let old = end(&harness, id, TaskState::Dead).await;
    let room = terms(20);
    let outcomes = join_all((0..10).map(|_| harness.tasks.replay(id, "u", &room))).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    let won = outcomes.iter().filter(|outcome| matches!(outcome, ReplayOutcome::Replayed(_))).count();
    assert_eq!(won, 1, "{outcomes:?}");
    for lost in outcomes.iter().filter(|outcome| !matches!(outcome, ReplayOutcome::Replayed(_))) {
        assert!(matches!(lost, ReplayOutcome::NotReplayable(now) if now.state == TaskState::Queued), "{lost:?}");
    }
    let queued = harness.tasks.records().get(id).await.unwrap().unwrap();
    assert_eq!((queued.dead_letter.replays, result_of(&queued).pages), (1, 7));
    assert_eq!(harness.tasks.queue(Pool::Backfill).depth().await.unwrap(), Depth { waiting: 1, ..Depth::default() });
    let shown = harness.tasks.progress().read(id).await.unwrap().unwrap();
    assert_eq!((shown.state, shown.attempt), (TaskState::Queued, 1));
    // The request is under way again: the same request gets this task.
    let again = harness.accept(failed(&harness, 0, &[])).await;
    assert_eq!((again.created, again.record.id), (false, id));
    // A worker that was frozen since the first life.
    let ending =
        Ending { state: TaskState::Succeeded, result: None, error: None, run_at: None, at: SystemClock.now_ms() };
    assert!(!harness.tasks.records().end(&old, &ending).await.unwrap());
    // Cancelled while it waits anew: the end is newer than all that was shown.
    assert!(matches!(harness.tasks.cancel(id, "u").await.unwrap(), CancelOutcome::Cancelled(_)));
    assert_eq!(harness.tasks.progress().read(id).await.unwrap().unwrap().state, TaskState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replayed_is_told_and_stays_as_it_is() {
    let harness = Harness::start(recorded()).await;
    let id = harness.accept(failed(&harness, 0, &[])).await.record.id;
    let states = |outcome| match outcome {
        ReplayOutcome::NotReplayable(record) => record.state,
        other => panic!("{other:?}"),
    };
    assert_eq!(states(harness.tasks.replay(id, "u", &terms(20)).await.unwrap()), TaskState::Queued);
    end(&harness, id, TaskState::Dead).await;
    assert_eq!(harness.tasks.replay(id, "stranger", &terms(20)).await.unwrap(), ReplayOutcome::NotFound);
    assert_eq!(harness.tasks.discard(id, "stranger", "mine").await.unwrap(), DiscardOutcome::NotFound);
    assert!(matches!(harness.tasks.cancel(id, "u").await.unwrap(), CancelOutcome::AlreadyEnded(_)));
    let other = harness.accept(failed(&harness, 0, &[])).await;
    assert!(other.created, "a dead task stands in nobody's way");
    assert_eq!(harness.tasks.replay(id, "u", &terms(20)).await.unwrap(), ReplayOutcome::UnderWay(other.record.id));
    // The place that was taken for it is free again.
    harness.tasks.cancel(other.record.id, "u").await.unwrap();
    assert_eq!(states(harness.tasks.replay(other.record.id, "u", &terms(20)).await.unwrap()), TaskState::Cancelled);
    let busy = harness.accept(failed(&harness, 1, &[])).await.record.id;
    assert_eq!(harness.tasks.replay(id, "u", &terms(1)).await.unwrap(), ReplayOutcome::TooManyJobs);
    harness.tasks.cancel(busy, "u").await.unwrap();
    replayed(harness.tasks.replay(id, "u", &terms(1)).await.unwrap());
    // What failed for good may be tried again too, when its owner knows better.
    end(&harness, id, TaskState::Failed).await;
    assert_eq!(letters(&harness, DeadLetterQuery::default()).await, [] as [TaskId; 0]);
    let failed = replayed(harness.tasks.replay(id, "u", &terms(1)).await.unwrap());
    assert_eq!((failed.dead_letter.replays, failed.dead_letter.replayed_after), (2, 2));
    end(&harness, id, TaskState::Succeeded).await;
    assert_eq!(states(harness.tasks.replay(id, "u", &terms(1)).await.unwrap()), TaskState::Succeeded);
    assert!(matches!(harness.tasks.discard(id, "u", "late").await.unwrap(), DiscardOutcome::NotDead(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_task_stays_dead_with_its_reason() {
    let harness = Harness::start(recorded()).await;
    let id = harness.accept(failed(&harness, 0, &[])).await.record.id;
    end(&harness, id, TaskState::Dead).await;
    for reason in ["delisted", "another reason"] {
        let DiscardOutcome::Discarded(record) = harness.tasks.discard(id, "u", reason).await.unwrap() else { panic!() };
        assert_eq!(
            (record.state, record.dead_letter.discarded.unwrap().reason.as_str()),
            (TaskState::Dead, "delisted")
        );
    }
    assert_eq!(letters(&harness, DeadLetterQuery::default()).await, [] as [TaskId; 0]);
    assert_eq!(letters(&harness, DeadLetterQuery { discarded: true, ..DeadLetterQuery::default() }).await, [id]);
    assert!(matches!(harness.tasks.replay(id, "u", &terms(20)).await.unwrap(), ReplayOutcome::NotReplayable(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_did_not_reach_the_queue_is_swept_up() {
    let harness = Harness::start(recorded()).await;
    let id = harness.accept(failed(&harness, 0, &[])).await.record.id;
    end(&harness, id, TaskState::Dead).await;
    replayed(harness.tasks.replay(id, "u", &terms(20)).await.unwrap());
    // As if the process had died between record and queue.
    harness.forget_redis().await;
    let _worker = harness.worker().await;
    let done = harness.end_of(id).await;
    assert_eq!((done.state, done.attempt), (TaskState::Succeeded, 2));
}
