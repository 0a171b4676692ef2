//! The sweeper: brings back what got lost between record and queue. Runs everywhere; one leader acts.

use crate::metrics::Metrics;
use candlemill_db::StoreError;
use candlemill_shared::job::Pool;
use candlemill_shared::task::TaskHead;
use candlemill_tasks::TaskEngine;
use futures::{Stream, TryStreamExt};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
const DUTY: &str = "sweeper";
const DUTY_TERM: Duration = Duration::from_secs(5);
/// A record that nothing was written about for so long is looked at.
const UNCHANGED_MS: i64 = 5_000;
/// So is a parent that waits for its children: as long as they run it is written about several times a second.
const UNTENDED_MS: i64 = 3_000;
/// So often those are looked at again that were to wait, at these ages: a record may come to be there long after the time that it
/// bears, because its process or its store stalled meanwhile. None of these steps is longer than 8 s.
const AGAIN_MS: [i64; 8] = [10_000, 15_000, 20_000, 28_000, 36_000, 44_000, 52_000, 60_000];
/// A longer wait for the first of those that wait means that MongoDB stalled.
const STALLED: Duration = Duration::from_secs(3);
/// After a stall, a failure, or a change of the leader those that are so much older are looked at too, though never further back than
/// [`FURTHEST_MS`]; so long after it.
const FURTHER_MS: i64 = 120_000;
const FURTHEST_MS: i64 = 600_000;
const FURTHER_AFTER_MS: [i64; 4] = [0, 5_000, 12_000, 20_000];
/// All tasks in flight are looked at this often, even if nothing else calls for it.
const COMPLETE: Duration = Duration::from_secs(3_600);
/// Time between two questions whether it is time to tidy up: one process does so once an hour.
const TIDYING: Duration = Duration::from_secs(60);
/// Longest time that one look spends on parents; those that are left come next.
const TENDING: Duration = Duration::from_secs(1);
/// Records that one look handles at most.
const MOST: u32 = 1_000;

/// Records that are compared with the queue in one go.
const BATCH: usize = 500;

/// Sweeps until `shutdown`.
pub(crate) async fn run(tasks: TaskEngine, worker: Arc<str>, metrics: Arc<Metrics>, shutdown: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // A new leader looks at everything once: nobody knows how far the one before had come.
    let (mut audited, mut complete) = (None, Instant::now());
    let _tidies = AbortOnDropHandle::new(tokio::spawn(tidy(tasks.clone())));
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        match tasks.db().lease().take(DUTY, &worker, DUTY_TERM).await {
            Ok(true) => {
                if audited.is_none() || complete.elapsed() > COMPLETE {
                    (audited, complete) = (None, Instant::now());
                }
                // A complete look may take longer than the lease lasts.
                let _leads = AbortOnDropHandle::new(tokio::spawn(keep_leading(tasks.clone(), Arc::clone(&worker))));
                if let Err(error) = sweep(&tasks, &metrics, &mut audited).await {
                    tracing::warn!(%error, "sweeping broke off");
                    audited.iter_mut().for_each(Audited::doubt);
                }
            }
            Ok(false) => audited = None,
            Err(error) => {
                audited = None;
                tracing::warn!(%error, "nobody sweeps at the moment");
            }
        }
    }
}

/// Asks until it is aborted whether it is time to tidy up. That may read everything that is stored, so the sweeper does not wait.
async fn tidy(tasks: TaskEngine) {
    loop {
        // First: a worker that has just started has more urgent work.
        tokio::time::sleep(TIDYING).await;
        if let Err(error) = tasks.tidy_up().await {
            tracing::warn!(%error, "tidying up broke off");
        }
    }
}

/// Prolongs the sweeper's lease until it is aborted.
async fn keep_leading(tasks: TaskEngine, worker: Arc<str>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(error) = tasks.db().lease().take(DUTY, &worker, DUTY_TERM).await {
            tracing::debug!(%error, "the sweeper's lease was not prolonged");
        }
    }
}

/// Up to which times waiting records have been looked at; UTC ms.
#[derive(Debug, Clone)]
struct Audited {
    first: i64,
    again: [i64; AGAIN_MS.len()],
    /// When the last look began that went well.
    good: i64,
    /// Since when records are in doubt, because a store stalled or failed.
    doubted: Option<i64>,
    /// Further looks: when, from, until.
    further: Vec<(i64, i64, i64)>,
}

impl Audited {
    /// All were looked at, at `now`.
    fn all_at(now: i64) -> Self {
        let mut audited = Self {
            first: now - UNCHANGED_MS,
            again: AGAIN_MS.map(|age| now - age),
            good: now,
            doubted: None,
            further: Vec::new(),
        };
        audited.doubt();
        audited
    }

    fn doubt(&mut self) {
        self.doubted = Some(self.doubted.map_or(self.good, |since| since.min(self.good)));
    }

    /// The ranges of times that are to be looked at again at `now`.
    fn due(&mut self, now: i64) -> Vec<(i64, i64)> {
        if let Some(since) = self.doubted.take() {
            let from = self.further.iter().map(|(_, from, _)| *from).fold(since - FURTHER_MS, i64::min);
            let (from, until) = (from.max(now - FURTHEST_MS), now - UNCHANGED_MS);
            self.further = FURTHER_AFTER_MS.iter().map(|after| (now + after, from, until)).collect();
        }
        let mut due: Vec<(i64, i64)> = Vec::new();
        self.further.retain(|&(at, from, until)| {
            if at <= now {
                due.push((from, until));
            }
            at > now
        });
        for (seen, age) in self.again.iter_mut().zip(AGAIN_MS) {
            let until = now - age;
            if until > *seen {
                due.push((*seen, until));
                *seen = until;
            }
        }
        due
    }
}

/// Looks at every record in flight when it takes office, when Redis has lost the queue, and every [`COMPLETE`]; at every
/// waiting one some seconds after it was stored, and [again](AGAIN_MS); at those that run or wait for another attempt whenever
/// nothing was written about them for a while. `audited` tells how far waiting records have been looked at; `None`: look at all.
async fn sweep(tasks: &TaskEngine, metrics: &Metrics, audited: &mut Option<Audited>) -> Result<(), StoreError> {
    for pool in Pool::ALL {
        if tasks.queue(pool).was_lost().await? {
            *audited = None;
        }
    }
    let (now, began) = (tasks.clock().now_ms(), Instant::now());
    let until = now - UNCHANGED_MS;
    match audited {
        None => {
            let silent = |record: &TaskHead| record.updated_at <= until && !record.awaits_children();
            let all = tasks.records().all_in_flight().await?.try_filter(|record| std::future::ready(silent(record)));
            bring_all_back(tasks, metrics, all).await?;
            *audited = Some(Audited::all_at(now));
        }
        Some(audited) => {
            let waiting = tasks.records().queued_between(audited.first, until).await?;
            let is_stalled = began.elapsed() > STALLED;
            bring_all_back(tasks, metrics, waiting).await?;
            audited.first = until;
            let mut looked_at = audited.clone();
            for (from, until) in looked_at.due(now) {
                count(metrics, tasks.bring_back_queued(from, until).await?);
            }
            *audited = looked_at;
            if is_stalled {
                audited.doubt();
            }
            audited.good = now;
        }
    }
    let freed = tasks.free_places_left_behind().await?;
    if freed > 0 {
        tracing::warn!(slots = freed, "gave slots back that were reserved for tasks which were never stored");
    }
    let now = tasks.clock().now_ms();
    let silent = tasks.records().unchanged_since(now - UNTENDED_MS, MOST).await?;
    let (parents, others): (Vec<TaskHead>, Vec<TaskHead>) = silent.into_iter().partition(TaskHead::awaits_children);
    reconcile_parents(tasks, &parents).await;
    let silent: Vec<TaskHead> = others.into_iter().filter(|record| record.updated_at < until).collect();
    count(metrics, tasks.bring_back(&silent).await?);
    Ok(())
}

/// Sees after parents whose children have moved without anybody noting it: their worker died.
async fn reconcile_parents(tasks: &TaskEngine, parents: &[TaskHead]) {
    let began = Instant::now();
    for parent in parents {
        if began.elapsed() > TENDING {
            return;
        }
        if let Err(error) = tasks.reconcile(parent.id).await {
            tracing::warn!(task.id = %parent.id, %error, "nobody sees after the children at the moment");
        }
    }
}

async fn bring_all_back(
    tasks: &TaskEngine,
    metrics: &Metrics,
    records: impl Stream<Item = Result<TaskHead, StoreError>> + Send,
) -> Result<(), StoreError> {
    let mut batches = std::pin::pin!(records.try_chunks(BATCH));
    while let Some(batch) = batches.try_next().await.map_err(|error| error.1)? {
        count(metrics, tasks.bring_back(&batch).await?);
    }
    Ok(())
}

fn count(metrics: &Metrics, put: u64) {
    if put > 0 {
        metrics.rescued.inc_by(put);
        tracing::warn!(tasks = put, "brought lost tasks back into the queue");
    }
}
