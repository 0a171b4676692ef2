//! Claims tasks as slots get free.

use crate::claimed::ClaimedTask;
use crate::heartbeat::Gate;
use crate::leases::LeaseSet;
use candlemill_shared::job::Pool;
use candlemill_tasks::TaskEngine;
use candlemill_tasks::queue::Queue;
use futures::StreamExt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Look into the queue at least so often, should an announcement be lost.
const POLL: Duration = Duration::from_millis(500);
/// Most tasks of one claim.
const MOST: usize = 256;
/// A claim waits no longer than that for slots to get free.
const GATHERING: Duration = Duration::from_millis(5);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A worker that cannot claim a pool's tasks for so long is not ready.
const FAILING: Duration = Duration::from_secs(10);

/// Since when the tasks of which pools cannot be claimed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claiming {
    in_vain_since: Arc<Mutex<HashMap<Pool, Instant>>>,
}

impl Claiming {
    /// A claim is tried. One that hangs counts as one that fails.
    fn tried(&self, pool: Pool) {
        self.lock().entry(pool).or_insert_with(Instant::now);
    }

    /// A claim succeeded, or none is wanted.
    fn clear(&self, pool: Pool) {
        self.lock().remove(&pool);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pool, Instant>> {
        self.in_vain_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn works(&self, pool: Pool) -> bool {
        self.lock().get(&pool).is_none_or(|since| since.elapsed() < FAILING)
    }
}

/// One pool's claims.
pub(crate) struct Claimer {
    pub(crate) pool: Pool,
    pub(crate) queue: Queue,
    pub(crate) worker: Arc<str>,
    pub(crate) lease: Duration,
    pub(crate) slots: Arc<Semaphore>,
    /// While fewer slots are free, a claim waits a little for them: tasks that start together cost less.
    pub(crate) gathered: usize,
    pub(crate) held: LeaseSet,
    pub(crate) gate: Gate,
    pub(crate) wake: Arc<Notify>,
    pub(crate) claiming: Claiming,
    pub(crate) draining: CancellationToken,
}

impl Claimer {
    /// Claims until the worker drains or `out` is closed.
    pub(crate) async fn run(self, out: mpsc::Sender<ClaimedTask>) {
        let mut wait = FIRST_WAIT;
        loop {
            let slots = tokio::select! {
                slots = free_slots(&self.slots, self.gathered) => slots,
                () = self.draining.cancelled() => return,
            };
            if !self.gate.is_open() {
                self.claiming.clear(self.pool);
            }
            tokio::select! {
                () = self.gate.open() => {}
                () = self.draining.cancelled() => return,
            }
            // Asked for before the look: what comes in between is not missed.
            let announced = self.wake.notified();
            self.claiming.tried(self.pool);
            let claimed = self.queue.claim(&self.worker, slots.len(), self.lease).await;
            if claimed.is_ok() {
                self.claiming.clear(self.pool);
            }
            let pause = match claimed {
                Ok(claimed) if claimed.is_empty() => POLL,
                Ok(claimed) => {
                    wait = FIRST_WAIT;
                    for (delivery, slot) in claimed.into_iter().zip(slots) {
                        if out.send(ClaimedTask::new(self.held.take(delivery), slot)).await.is_err() {
                            return;
                        }
                    }
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "no tasks can be claimed at the moment");
                    wait = (wait * 2).min(LONGEST_WAIT);
                    wait
                }
            };
            drop(slots);
            tokio::select! {
                () = announced => {}
                () = tokio::time::sleep(pause) => {}
                () = self.draining.cancelled() => return,
            }
        }
    }
}

/// At least one slot, `some` if they get free soon, and all others that are free, up to [`MOST`].
async fn free_slots(slots: &Arc<Semaphore>, some: usize) -> Vec<OwnedSemaphorePermit> {
    let mut free = Vec::new();
    if let Ok(first) = Arc::clone(slots).acquire_owned().await {
        free.push(first);
    }
    let others = u32::try_from(some.min(MOST)).unwrap_or_default().saturating_sub(1);
    if let Ok(Ok(mut gathered)) = tokio::time::timeout(GATHERING, Arc::clone(slots).acquire_many_owned(others)).await {
        free.extend(std::iter::from_fn(|| gathered.split(1)));
    }
    while free.len() < MOST
        && let Ok(another) = Arc::clone(slots).try_acquire_owned()
    {
        free.push(another);
    }
    free
}

/// Wakes the fetcher for announced tasks, for ever. What is missed while Redis is away is found by the regular look.
pub(crate) async fn listen(tasks: TaskEngine, queue: Queue, wake: Arc<Notify>) {
    loop {
        match tasks.db().bus().subscribe(queue.wake_channel()).await {
            Ok(mut announcements) => {
                // What was announced while nobody listened.
                wake.notify_one();
                while announcements.next().await.is_some() {
                    wake.notify_one();
                }
            }
            Err(error) => tracing::debug!(%error, "announcements are not heard at the moment"),
        }
        tokio::time::sleep(POLL).await;
    }
}
