//! One request is one task, whatever fails meanwhile: its key, its record, its place in the queue, its attempts, its figures.

use crate::harness::{Harness, fetch, recorded, result_of, series};
use candlemill_devkit::FaultProxy;
use candlemill_shared::children::Children;
use candlemill_shared::job::{Envelope, FetchBatch, FetchHistory, FetchResult, Job, Pool};
use candlemill_shared::progress::Progress;
use candlemill_shared::range::normalise;
use candlemill_shared::task::{TaskError, TaskId, TaskRecord, TaskState};
use candlemill_shared::{Clock, Interval, SystemClock, TimeRange};
use candlemill_simulator::{Fault, FaultRule, SimulatorConfig};
use candlemill_tasks::{Claim, ClaimTries, Ending, Submissions, SubmitError, TaskEngine, TaskQuery};
use mongodb::bson::{Document, doc};
use redis::AsyncCommands;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// 2020-01-01, UTC ms.
const START: i64 = 1_577_836_800_000;
const HOUR: i64 = 3_600_000;
/// Longest time from a record's being stored to its being in the queue.
const QUEUED_WITHIN: Duration = Duration::from_secs(10);

fn hours(first: i64, last: i64) -> FetchHistory {
    fetch("BTCUSDT", Interval::Minute1, START + first * HOUR, START + last * HOUR)
}

fn with_key(harness: &Harness, job: &FetchHistory, key: &str) -> TaskRecord {
    TaskRecord { idempotency: Some(key.to_owned()), ..harness.record("u", job) }
}

async fn all_of(tasks: &TaskEngine, owner: &str) -> Vec<TaskId> {
    let query = TaskQuery {
        owner: owner.to_owned(),
        state: None,
        kind: None,
        symbol: None,
        interval: None,
        before: None,
        limit: 100,
    };
    tasks.records().list(&query).await.unwrap().into_iter().map(|record| record.id).collect()
}

async fn until(mut fits: impl AsyncFnMut() -> bool) {
    while !fits().await {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_the_task_that_it_was_answered_with() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let (job, other) = (hours(0, 1), hours(1, 2));
    let first = harness.submit("u", &job).await.record.id;
    // Many at once, with several keys, join the task under way.
    let joined = (0..12).map(|number| harness.accept(with_key(&harness, &job, &format!("k{}", number % 3))));
    for joined in futures::future::join_all(joined).await {
        assert_eq!((joined.record.id, joined.created), (first, false));
    }
    let check = async |name: &str| {
        let again = harness.accept(with_key(&harness, &job, "k1")).await;
        assert_eq!((again.record.id, again.created), (first, false), "{name}");
        let foreign = harness.try_accept(with_key(&harness, &other, "k1")).await;
        assert!(matches!(foreign, Err(SubmitError::IdempotencyConflict(id)) if id == first), "{name}: {foreign:?}");
    };
    check("while it is under way").await;
    harness.tasks.cancel(first, "u").await.unwrap();
    check("after its end").await;
    let free = harness.accept(harness.record("u", &other)).await;
    assert!(free.created, "the refused body left nothing");
    let without = harness.accept(harness.record("u", &job)).await;
    assert!(without.created, "without a key it is a new one");
}

/// One key for two bodies at the same moment, each of which is under way: only one of them gets it.
#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_bound_to_one_of_two_tasks() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let jobs = [hours(0, 1), hours(1, 2)];
    for job in &jobs {
        harness.submit("u", job).await;
    }
    for round in 0..20 {
        let key = format!("k{round}");
        let both = jobs.each_ref().map(|job| harness.try_accept(with_key(&harness, job, &key)));
        let answers = futures::future::join_all(both).await;
        let accepted: Vec<TaskId> = answers.iter().flatten().map(|answer| answer.record.id).collect();
        let holder = accepted.first().copied();
        assert_eq!(accepted.len(), 1, "{answers:?}");
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert!(matches!(refused, SubmitError::IdempotencyConflict(id) if Some(*id) == holder), "{refused}");
        }
    }
}

/// Submits `record` by a process whose link to MongoDB holds everything back by `stall` from when the keys are taken.
async fn submit_with_a_stall(
    harness: &Harness,
    record: &TaskRecord,
    stall: Duration,
) -> (FaultProxy, tokio::task::JoinHandle<Result<candlemill_tasks::Submitted, SubmitError>>, Instant) {
    const WAY: Duration = Duration::from_millis(300);
    let (proxy, tasks) = harness.store_behind_proxy().await;
    // The connections are there.
    let _ = futures::future::join_all((0..4).map(|_| tasks.records().get(record.id))).await;
    proxy.delay(WAY);
    let submissions = Submissions::start(&tasks);
    let given = record.clone();
    let answer = tokio::spawn(async move { submissions.submit(given, 1_000).await });
    let keys = harness.collection("task_keys").await;
    let taken = doc! { "task": record.id.to_string() };
    until(async || keys.find_one(taken.clone()).await.unwrap().is_some()).await;
    let taken_at = Instant::now();
    // The answer about the keys is on its way back by now; what is sent after it is held back.
    sleep(WAY / 2).await;
    proxy.delay(stall);
    (proxy, answer, taken_at)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_insert_never_makes_a_second_task() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let job = hours(0, 1);
    let stalled = with_key(&harness, &job, "k");
    let (_proxy, answer, taken_at) = submit_with_a_stall(&harness, &stalled, Duration::from_secs(12)).await;
    sleep_until(taken_at + Duration::from_millis(10_500)).await;
    let second = harness.accept(with_key(&harness, &job, "k")).await.record.id;
    harness.end_of(second).await;
    let first = timeout(Duration::from_secs(30), answer).await.unwrap().unwrap();
    // The late record has arrived by now.
    sleep_until(taken_at + Duration::from_secs(18)).await;
    let told: HashSet<TaskId> = first.iter().map(|answer| answer.record.id).chain([second]).collect();
    assert_eq!(told, HashSet::from([second]), "{first:?}");
    assert_eq!(all_of(&harness.tasks, "u").await, [second], "no other record is there");
    let again = harness.accept(with_key(&harness, &job, "k")).await;
    assert_eq!((again.record.id, again.created), (second, false));
    let mut redis = harness.redis().await;
    let places = redis.zrange::<_, Vec<String>>("cm:{owner:u}:tasks", 0, -1).await.unwrap();
    assert_eq!(places, [] as [String; 0], "nothing keeps a place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_arrives_late_is_queued_though_its_api_died() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let record = harness.record("u", &hours(0, 1));
    let (proxy, answer, _) = submit_with_a_stall(&harness, &record, Duration::from_secs(7)).await;
    let records = harness.documents().await;
    let this = doc! { "_id": record.id.to_string() };
    until(async || records.find_one(this.clone()).await.unwrap().is_some()).await;
    // The process hears of nothing more.
    proxy.cut().await;
    let ended = timeout(QUEUED_WITHIN, harness.end_of(record.id)).await.expect("whatever is durable is queued");
    assert_eq!(ended.state, TaskState::Succeeded);
    assert!(timeout(Duration::from_secs(30), answer).await.unwrap().unwrap().is_err(), "nobody was told of it");
}

/// As a store that stalls in the middle leaves them: their time of queueing is long past when they come to be there.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_stored_is_in_the_queue_within_ten_seconds() {
    let harness = Harness::start(recorded()).await;
    let records = harness.documents().await;
    let mut late: Vec<(TaskId, Document)> = Vec::new();
    let parent = harness.record("u", &hours(0, 40));
    for (number, age) in (0..).zip([1, 6, 7, 12, 19, 27, 36, 45, 55]) {
        let mut record = harness.record("u", &hours(number, number + 1));
        record.updated_at -= age * 1_000;
        record.parent = (number % 2 == 0).then_some(parent.id);
        harness.accept(record.clone()).await;
        let document = records.find_one(doc! { "_id": record.id.to_string() }).await.unwrap().unwrap();
        late.push((record.id, document));
    }
    records.delete_many(doc! {}).await.unwrap();
    harness.forget_redis().await;
    let _worker = harness.worker().await;
    // Somebody sweeps, and has looked at everything once.
    sleep(Duration::from_secs(3)).await;
    let arrived = SystemClock.now_ms();
    for (_, document) in &mut late {
        let age = document.get_i64("created_at").unwrap() - document.get_i64("queued_at").unwrap();
        document.insert("queued_at", arrived - age);
    }
    records.insert_many(late.iter().map(|(_, document)| document)).await.unwrap();
    for (id, document) in &late {
        let left = QUEUED_WITHIN.saturating_sub(Duration::from_millis((SystemClock.now_ms() - arrived).unsigned_abs()));
        let ended = timeout(left, harness.end_of(*id)).await;
        let age = arrived - document.get_i64("queued_at").unwrap();
        assert_eq!(ended.unwrap_or_else(|_| panic!("{age} ms late")).state, TaskState::Succeeded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_joins_a_waiting_task_brings_it_into_the_queue() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let job = hours(0, 1);
    let first = harness.submit("u", &job).await.record.id;
    harness.forget_redis().await;
    assert_eq!(harness.tasks.queue(Pool::Backfill).depth().await.unwrap().waiting, 0);
    assert_eq!(harness.submit("u", &job).await.record.id, first);
    assert_eq!(harness.tasks.queue(Pool::Backfill).depth().await.unwrap().waiting, 1);
}

/// Its key went to another task while it was on its way: nobody was told of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_lost_its_key_goes_unrun() {
    let harness = Harness::start(recorded()).await;
    let (lost, kept) = (harness.submit("u", &hours(0, 1)).await.record, harness.submit("u", &hours(1, 2)).await.record);
    let keys = harness.collection("task_keys").await;
    let taken = keys
        .update_one(
            doc! { "_id": format!("active:{}", lost.fingerprint) },
            doc! { "$set": { "task": kept.id.to_string() } },
        )
        .await
        .unwrap();
    assert_eq!(taken.modified_count, 1);
    harness.forget_redis().await;
    let mut redis = harness.redis().await;
    redis.zadd::<_, _, _, ()>("cm:{owner:u}:tasks", lost.id.to_string(), 1).await.unwrap();
    let _worker = harness.worker().await;
    assert_eq!(harness.end_of(kept.id).await.state, TaskState::Succeeded);
    let gone = async || harness.tasks.records().get(lost.id).await.unwrap().is_none();
    timeout(QUEUED_WITHIN, until(gone)).await.expect("it is deleted");
    let freed = async || redis.clone().zcard::<_, u64>("cm:{owner:u}:tasks").await.unwrap() == 0;
    timeout(QUEUED_WITHIN, until(freed)).await.expect("its place is free");
    assert_eq!(harness.candles("BTCUSDT", Interval::Minute1).await.len(), 60, "it has not run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_answer_was_lost_is_the_same_attempt() {
    let harness = Harness::start(recorded()).await;
    let (proxy, tasks) = harness.store_behind_proxy().await;
    let _worker = harness.worker_on(tasks).await;
    // It is under way, with all connections that it needs.
    let warm = harness.submit("u", &hours(0, 1)).await.record.id;
    harness.end_of(warm).await;
    let records = harness.documents().await;
    for round in 1..=3 {
        proxy.delay(Duration::from_millis(400));
        let id = harness.submit("u", &hours(round, round + 1)).await.record.id;
        let begun = doc! { "_id": id.to_string(), "attempt": { "$gte": 1 } };
        until(async || records.find_one(begun.clone()).await.unwrap().is_some()).await;
        // The claim is applied; its answer is on the way back, and does not arrive.
        proxy.cut().await;
        sleep(Duration::from_millis(200)).await;
        proxy.restore().await;
        let ended = harness.end_of(id).await;
        assert_eq!((ended.state, ended.attempt, ended.attempts.len()), (TaskState::Succeeded, 1, 1), "{ended:#?}");
        assert_eq!(ended.attempts[0].error, None);
    }
}

/// The same of an attempt that needs no work: it begins and ends in one change.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_one_change_whose_answer_was_lost_is_known() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let (proxy, tasks) = harness.store_behind_proxy().await;
    let id = harness.submit("u", &hours(0, 1)).await.record.id;
    tasks.records().get(id).await.unwrap();
    proxy.delay(Duration::from_millis(400));
    let at_once = |begun: &TaskRecord| {
        let error = Some(TaskError::new("odd", "it cannot be read"));
        Some(Ending { state: TaskState::Dead, result: None, error, run_at: None, at: begun.updated_at })
    };
    let tries = Arc::new(ClaimTries::default());
    let (claiming, known) = (tasks.clone(), Arc::clone(&tries));
    let first = tokio::spawn(async move { claiming.records().claim_again(id, "w", &known, at_once).await });
    until(async || harness.tasks.records().get(id).await.unwrap().unwrap().state == TaskState::Dead).await;
    proxy.cut().await;
    assert!(first.await.unwrap().is_err(), "its answer is lost");
    proxy.restore().await;
    let claim = tasks.records().claim_again(id, "w", &tries, at_once).await.unwrap();
    let Claim::Ended(record, ending) = claim else { panic!("{claim:?}") };
    assert_eq!((record.attempt, ending.state), (1, TaskState::Dead));
    let other = tasks.records().claim_again(id, "w", &ClaimTries::default(), at_once).await.unwrap();
    assert_eq!(other, Claim::Stale, "another delivery has no part in it");
}

/// A worker that leaves a task to its children may not hear that it is written, and writes it once more when they have ended.
#[tokio::test(flavor = "multi_thread")]
async fn leaving_a_task_to_its_children_twice_takes_nothing_back() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let job = FetchBatch { fetches: vec![hours(0, 1), hours(1, 2)] };
    let job_of = Envelope::of(&job).unwrap();
    let record = TaskRecord { fingerprint: job.fingerprint("u"), job: job_of, ..harness.record("u", &hours(0, 1)) };
    let id = harness.accept(record).await.record.id;
    let Claim::Started(begun) = harness.tasks.records().claim(id, "w", |_| None).await.unwrap() else {
        panic!("it waits")
    };
    let (children, so_far) = (Children { total: 2, ..Children::default() }, FetchResult::default());
    let leave = async || {
        let now = SystemClock.now_ms();
        harness.tasks.records().await_children(&begun, &children, &serde_json::json!(so_far), now).await.unwrap()
    };
    assert!(leave().await.unwrap().awaits_children());
    harness.tasks.reconcile(id).await.unwrap();
    assert!(leave().await.unwrap().awaits_children(), "the same once more");
    for child in begun_children(&harness, id).await {
        harness.tasks.cancel(child, "u").await.unwrap();
    }
    let counted = harness.tasks.records().get(id).await.unwrap().unwrap();
    assert!(counted.is_called_back(), "{counted:?}");
    assert_eq!(leave().await.unwrap(), counted, "what was counted stays");
    assert_eq!(harness.tasks.records().get(id).await.unwrap().unwrap(), counted);
}

async fn begun_children(harness: &Harness, id: TaskId) -> Vec<TaskId> {
    let parent = harness.tasks.records().get(id).await.unwrap().unwrap();
    let children = harness.tasks.records().list_children(&parent, 0, 10).await.unwrap();
    children.into_iter().map(|child| child.id).collect()
}

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
    harness.simulator.control().add_fault(FaultRule::on("/api/v3/klines", Fault::Latency { ms: 250 }));
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

/// Owners whose names begin alike, or hold what separates the parts of keys, have nothing in common.
#[tokio::test(flavor = "multi_thread")]
async fn owners_with_similar_names_are_kept_apart() {
    let owners =
        ["a", "a|", "a|b", "a~", "a:b", "a}", "a}:tasks", "a}:requests:1", "a\n", "a\nbinance", "a b", "|", "ä"];
    let harness = Harness::start(SimulatorConfig::default()).await;
    let job = hours(0, 1);
    let fingerprints: HashSet<String> = owners.iter().map(|owner| job.fingerprint(owner)).collect();
    assert_eq!(fingerprints.len(), owners.len());
    for owner in owners {
        harness.tasks.request_rate().count(owner, 10).await.unwrap();
    }
    let mut of_each: Vec<Vec<TaskId>> = Vec::new();
    for owner in owners {
        let mut ids = Vec::new();
        for number in 0..3 {
            let record = TaskRecord { priority: 5, ..harness.record(owner, &hours(number, number + 1)) };
            match harness.try_accept_within(2, record).await {
                Ok(accepted) => ids.insert(0, accepted.record.id),
                Err(error) => assert!(number == 2 && matches!(error, SubmitError::TooManyTasks), "{owner:?}: {error}"),
            }
        }
        assert_eq!(ids.len(), 2, "{owner:?} has places of its own");
        of_each.push(ids);
    }
    for (owner, ids) in owners.iter().zip(&of_each) {
        assert_eq!(all_of(&harness.tasks, owner).await, *ids, "{owner:?}");
        let decision = harness.tasks.request_rate().count(owner, 10).await.unwrap();
        assert_eq!(decision.remaining, 8, "{owner:?} has a request count of its own");
    }
    // Each has a turn of its own: the first claims take one task of each.
    let claimed = harness.tasks.queue(Pool::Backfill).claim("w", owners.len(), Duration::from_secs(60)).await.unwrap();
    let mut turns = HashSet::new();
    for delivery in claimed {
        turns.insert(of_each.iter().position(|ids| ids.contains(&delivery.task)).unwrap());
    }
    assert_eq!(turns.len(), owners.len());
    // A cancelled task frees the place of its own owner alone.
    for (owner, ids) in owners.iter().zip(&of_each) {
        harness.tasks.cancel(ids[0], owner).await.unwrap();
        let record = harness.record(owner, &hours(5, 6));
        harness.try_accept_within(2, record).await.unwrap();
        let full = harness.try_accept_within(2, harness.record(owner, &hours(6, 7))).await;
        assert!(matches!(full, Err(SubmitError::TooManyTasks)), "{owner:?}");
    }
}
