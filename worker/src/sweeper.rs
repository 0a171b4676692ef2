//! The sweeper: brings back what got lost between record and queue. Runs everywhere; one leader acts.

use crate::metrics::Metrics;
use candlemill_shared::job::Pool;
use candlemill_shared::task::{TaskRecord, TaskState};
use candlemill_store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(2);
const DUTY: &str = "sweeper";
const DUTY_TERM: Duration = Duration::from_secs(10);
/// A record that nothing was written about for so long is looked at.
const UNCHANGED_MS: i64 = 8_000;
/// Records that one look handles at most.
const MOST: u32 = 1_000;

/// What is to be done about a task that nothing was written about for a while.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It works, or waits for its time.
    Leave,
    /// Into the queue, unless it is there; anew, if its delivery was lost.
    Requeue,
}

fn judge(record: &TaskRecord, worker_alive: bool, now_ms: i64) -> Step {
    match record.state {
        TaskState::Running if worker_alive => Step::Leave,
        TaskState::Retrying if record.run_at.is_some_and(|due| due + UNCHANGED_MS > now_ms) => Step::Leave,
        TaskState::Queued | TaskState::Running | TaskState::Retrying => Step::Requeue,
        _ => Step::Leave,
    }
}

/// Sweeps until `shutdown`.
pub(crate) async fn run(store: Store, worker: Arc<str>, metrics: Arc<Metrics>, shutdown: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        match store.lease().take(DUTY, &worker, DUTY_TERM).await {
            Ok(true) => {
                if let Err(error) = sweep(&store, &metrics).await {
                    tracing::warn!(%error, "sweeping broke off");
                }
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "nobody sweeps at the moment"),
        }
    }
}

async fn sweep(store: &Store, metrics: &Metrics) -> Result<(), StoreError> {
    for pool in Pool::ALL {
        while store.queue(pool).purge().await? > 0 {}
    }
    let now = store.clock().now_ms();
    let mut alive: HashMap<String, bool> = HashMap::new();
    for record in store.tasks().unchanged_since(now - UNCHANGED_MS, MOST).await? {
        let worker = record.attempts.last().map(|attempt| attempt.worker.clone()).unwrap_or_default();
        let worker_alive = match alive.get(&worker) {
            Some(alive) => *alive,
            None => {
                let found = store.lease().is_alive(&worker).await?;
                alive.insert(worker, found);
                found
            }
        };
        if judge(&record, worker_alive, now) == Step::Requeue {
            let queue = store.queue(record.pool);
            let unscheduled = TaskRecord { run_at: None, ..record };
            let put = queue.enqueue(&[&unscheduled]).await?;
            let rescued = put == 0 && queue.rescue(&unscheduled).await?;
            if put > 0 || rescued {
                metrics.rescued.inc();
                tracing::warn!(task.id = %unscheduled.id, state = %unscheduled.state, "brought a lost task back into the queue");
            }
        }
    }
    Ok(())
}
