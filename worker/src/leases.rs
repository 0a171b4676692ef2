//! The tasks that this process holds, and their leases.

use candlemill_tasks::queue::{Delivery, Queue};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::RwLock;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// A lease is renewed this often within its time, so that one lost renewal loses no task.
const RENEWALS: u32 = 3;

/// One pool's tasks, by the token of their claim.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeaseSet {
    holds: Arc<Mutex<HashMap<String, (Delivery, CancellationToken)>>>,
    /// Written while leases are renewed.
    renewal: Arc<RwLock<()>>,
}

/// Keeps a task's lease alive until it is dropped.
#[derive(Debug)]
pub(crate) struct LeaseGuard {
    held: LeaseSet,
    pub(crate) delivery: Delivery,
    /// Cancelled when another worker holds the task: nothing may be written about it from here.
    pub(crate) lost: CancellationToken,
}

impl LeaseSet {
    pub(crate) fn take(&self, delivery: Delivery) -> LeaseGuard {
        let lost = CancellationToken::new();
        self.lock().insert(delivery.token.clone(), (delivery.clone(), lost.clone()));
        LeaseGuard { held: self.clone(), delivery, lost }
    }

    /// Number of tasks.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Lets go of all tasks: nothing more is written about them from here, and other workers get them.
    pub(crate) fn let_go_of_all(&self) {
        for (_, lost) in self.lock().values() {
            lost.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Delivery, CancellationToken)>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By token, because another hold of the same task may be this process's own.
    fn let_go(&self, lost: &[String]) {
        let holds = self.lock();
        for (delivery, let_go) in lost.iter().filter_map(|token| holds.get(token)) {
            tracing::warn!(task.id = %delivery.task, "its lease ran out and somebody else holds it now");
            let_go.cancel();
        }
    }

    /// Renews the leases until `shutdown`.
    pub(crate) async fn renew(self, queue: Queue, lease: Duration, shutdown: CancellationToken) {
        let mut beats = tokio::time::interval(lease / RENEWALS);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = beats.tick() => {}
                () = shutdown.cancelled() => return,
            }
            let _renewal = self.renewal.write().await;
            let all: Vec<Delivery> = self.lock().values().map(|(delivery, _)| delivery.clone()).collect();
            if all.is_empty() {
                continue;
            }
            match queue.renew(&all, lease).await {
                Ok(lost) => self.let_go(&lost),
                // The work goes on: whatever it writes is fenced, and Redis may be back before others look.
                Err(error) => tracing::warn!(%error, tasks = all.len(), "leases were not renewed"),
            }
        }
    }
}

impl LeaseGuard {
    /// Ends the renewals, before the task is settled. One that comes after the settling would find a task that Redis does not
    /// know, as after a loss, and take it back.
    pub(crate) async fn end(&self) {
        let _none = self.held.renewal.read().await;
        self.held.lock().remove(&self.delivery.token);
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        self.held.lock().remove(&self.delivery.token);
    }
}
