//! The sweeper: brings back what got lost between record and queue. Runs everywhere; one leader acts.

use crate::metrics::Metrics;
use candlemill_shared::job::Pool;
use candlemill_shared::task::TaskRecord;
use candlemill_store::{Store, StoreError};
use futures::{Stream, TryStreamExt};
use std::collections::HashMap;
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
pub(crate) async fn run(store: Store, worker: Arc<str>, metrics: Arc<Metrics>, shutdown: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // A new leader looks at everything once: nobody knows how far the one before had come.
    let (mut audited, mut complete) = (0, Instant::now());
    let _tidies = AbortOnDropHandle::new(tokio::spawn(tidy(store.clone())));
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        match store.lease().take(DUTY, &worker, DUTY_TERM).await {
            Ok(true) => {
                if audited == 0 || complete.elapsed() > COMPLETE {
                    (audited, complete) = (0, Instant::now());
                }
                // A complete look may take longer than the lease lasts.
                let _leads = AbortOnDropHandle::new(tokio::spawn(keep_leading(store.clone(), Arc::clone(&worker))));
                if let Err(error) = sweep(&store, &metrics, &mut audited).await {
                    tracing::warn!(%error, "sweeping broke off");
                }
            }
            Ok(false) => audited = 0,
            Err(error) => {
                audited = 0;
                tracing::warn!(%error, "nobody sweeps at the moment");
            }
        }
    }
}

/// Asks until it is aborted whether it is time to tidy up. That may read everything that is stored, so the sweeper does not wait.
async fn tidy(store: Store) {
    loop {
        // First: a worker that has just started has more urgent work.
        tokio::time::sleep(TIDYING).await;
        if let Err(error) = store.tidy_up().await {
            tracing::warn!(%error, "tidying up broke off");
        }
    }
}

/// Prolongs the sweeper's lease until it is aborted.
async fn keep_leading(store: Store, worker: Arc<str>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(error) = store.lease().take(DUTY, &worker, DUTY_TERM).await {
            tracing::debug!(%error, "the sweeper's lease was not prolonged");
        }
    }
}

/// Looks at every record in flight when it takes office, when Redis has lost the queue, and every [`COMPLETE`]; at every
/// waiting one once, some seconds after it was stored; at those that run or wait for another attempt whenever nothing was
/// written about them for a while. `audited` is the time (UTC ms) up to which waiting records have been looked at; 0: look at
/// all.
async fn sweep(store: &Store, metrics: &Metrics, audited: &mut i64) -> Result<(), StoreError> {
    for pool in Pool::ALL {
        if store.queue(pool).was_lost().await? {
            *audited = 0;
        }
    }
    let until = store.clock().now_ms() - UNCHANGED_MS;
    if *audited == 0 {
        let silent = |record: &TaskRecord| record.updated_at <= until && !record.awaits_children();
        let all = store.tasks().all_in_flight().await?.try_filter(|record| std::future::ready(silent(record)));
        bring_all_back(store, metrics, all).await?;
    } else {
        bring_all_back(store, metrics, store.tasks().queued_between(*audited, until).await?).await?;
    }
    *audited = until;
    let freed = store.free_places_left_behind().await?;
    if freed > 0 {
        tracing::warn!(places = freed, "gave places back that were reserved for tasks which were never stored");
    }
    let now = store.clock().now_ms();
    let silent = store.tasks().unchanged_since(now - UNTENDED_MS, MOST).await?;
    let (parents, others): (Vec<TaskRecord>, Vec<TaskRecord>) =
        silent.into_iter().partition(TaskRecord::awaits_children);
    tend(store, &parents).await;
    let silent: Vec<TaskRecord> = others.into_iter().filter(|record| record.updated_at < until).collect();
    bring_back(store, metrics, &silent).await
}

/// Sees after parents whose children have moved without anybody noting it: their worker died.
async fn tend(store: &Store, parents: &[TaskRecord]) {
    let began = Instant::now();
    for parent in parents {
        if began.elapsed() > TENDING {
            return;
        }
        if let Err(error) = store.tend(parent.id).await {
            tracing::warn!(task.id = %parent.id, %error, "nobody sees after the children at the moment");
        }
    }
}

async fn bring_all_back(
    store: &Store,
    metrics: &Metrics,
    records: impl Stream<Item = Result<TaskRecord, StoreError>> + Send,
) -> Result<(), StoreError> {
    let mut batches = std::pin::pin!(records.try_chunks(BATCH));
    while let Some(batch) = batches.try_next().await.map_err(|error| error.1)? {
        bring_back(store, metrics, &batch).await?;
    }
    Ok(())
}

/// Puts records into the queue that are not in it.
async fn bring_back(store: &Store, metrics: &Metrics, records: &[TaskRecord]) -> Result<(), StoreError> {
    let mut by_pool: HashMap<Pool, Vec<&TaskRecord>> = HashMap::new();
    for record in records {
        by_pool.entry(record.pool).or_default().push(record);
    }
    for (pool, records) in by_pool {
        let put = store.queue(pool).enqueue(&records).await?;
        if put > 0 {
            metrics.rescued.inc_by(put);
            tracing::warn!(tasks = put, pool = pool.as_str(), "brought lost tasks back into the queue");
        }
    }
    Ok(())
}
