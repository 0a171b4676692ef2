//! What operators see of this worker and tell it: its heartbeat, requests to drain, pauses of queues.

use crate::leases::LeaseSet;
use crate::lifecycle::Lifecycle;
use candlemill_shared::job::Pool;
use candlemill_tasks::{Heartbeat, PoolLoad, TaskEngine};
use futures::StreamExt;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Time between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// A worker that is silent for so long is not listed.
const HEARTBEAT_LIFE: Duration = Duration::from_secs(6);
/// Longest wait for a store within a beat.
const WAIT: Duration = Duration::from_secs(3);

/// Lets a pool's tasks be claimed while it is not paused. Closed until the pauses are known.
///
/// The mark in Redis alone does not do: a Redis that was restarted may have forgotten it.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pool: Pool,
    paused: watch::Receiver<Option<HashSet<Pool>>>,
}

impl Gate {
    pub(crate) fn is_open(&self) -> bool {
        self.lets_through(self.paused.borrow().as_ref())
    }

    /// Until the pauses have been read for the first time nothing passes.
    fn lets_through(&self, paused: Option<&HashSet<Pool>>) -> bool {
        paused.is_some_and(|pools| !pools.contains(&self.pool))
    }

    /// Waits until the pool is not paused.
    pub(crate) async fn open(&self) {
        let mut paused = self.paused.clone();
        let open = paused.wait_for(|paused| self.lets_through(paused.as_ref()));
        // Without anybody who could open it, it stays closed: the worker is at its end.
        if open.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The worker's side of the operators' calls.
pub(crate) struct Operators {
    tasks: TaskEngine,
    lifecycle: Lifecycle,
    heartbeat: Heartbeat,
    loads: Vec<(Pool, usize, LeaseSet)>,
    paused: watch::Sender<Option<HashSet<Pool>>>,
}

impl Operators {
    pub(crate) fn new(
        tasks: TaskEngine,
        worker: &str,
        lifecycle: Lifecycle,
        loads: Vec<(Pool, usize, LeaseSet)>,
    ) -> Self {
        let now = tasks.clock().now_ms();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let heartbeat = Heartbeat {
            id: worker.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: host.trim().to_owned(),
            pid: std::process::id(),
            started_at: now,
            seen_at: now,
            state: lifecycle.state(),
            pools: Vec::new(),
        };
        Self { tasks, lifecycle, heartbeat, loads, paused: watch::Sender::new(None) }
    }

    pub(crate) fn gate(&self, pool: Pool) -> Gate {
        Gate { pool, paused: self.paused.subscribe() }
    }

    /// Gives signs of life and hears what is wanted, until `closed`.
    pub(crate) async fn run(self, closed: CancellationToken) {
        let called = Arc::new(Notify::new());
        let _listening = AbortOnDropHandle::new(tokio::spawn(listen(self.tasks.clone(), Arc::clone(&called))));
        let lifecycle = self.lifecycle.clone();
        loop {
            tokio::join!(self.show(), self.look_at_pauses());
            let (draining, drained) = (lifecycle.draining.is_cancelled(), lifecycle.drained.is_cancelled());
            tokio::select! {
                () = called.notified() => {}
                () = tokio::time::sleep(BEAT) => {}
                // A change of state is shown at once.
                () = lifecycle.draining.cancelled(), if !draining => {}
                () = lifecycle.drained.cancelled(), if !drained => {}
                () = closed.cancelled() => break,
            }
        }
        drop(tokio::time::timeout(WAIT, self.tasks.workers().leave(&self.heartbeat.id)).await);
    }

    async fn show(&self) {
        let load = |(pool, concurrency, held): &(Pool, usize, LeaseSet)| PoolLoad {
            pool: pool.as_str().to_owned(),
            concurrency: *concurrency,
            running: held.count(),
        };
        let heartbeat = Heartbeat {
            seen_at: self.tasks.clock().now_ms(),
            state: self.lifecycle.state(),
            pools: self.loads.iter().map(load).collect(),
            ..self.heartbeat.clone()
        };
        match tokio::time::timeout(WAIT, self.tasks.workers().show(&heartbeat, HEARTBEAT_LIFE)).await {
            Ok(Ok(true)) if !self.lifecycle.asked.is_cancelled() => {
                tracing::info!(worker = heartbeat.id, "an operator wants this worker to drain");
                self.lifecycle.asked.cancel();
            }
            Ok(Err(error)) => tracing::debug!(%error, "no sign of life was given"),
            _ => {}
        }
    }

    async fn look_at_pauses(&self) {
        match tokio::time::timeout(WAIT, self.tasks.pauses().restore()).await {
            Ok(Ok(paused)) => {
                let paused: HashSet<Pool> = paused.into_keys().collect();
                self.paused.send_if_modified(|known| {
                    let changed = known.as_ref() != Some(&paused);
                    if changed {
                        tracing::info!(?paused, "pools that are paused");
                        *known = Some(paused);
                    }
                    changed
                });
            }
            Ok(Err(error)) => tracing::debug!(%error, "pauses are not known anew at the moment"),
            Err(_) => {}
        }
    }
}

/// Hears that an operator wants something, for ever. What is missed is seen at the next beat.
async fn listen(tasks: TaskEngine, called: Arc<Notify>) {
    loop {
        if let Ok(mut calls) = tasks.workers().calls().await {
            called.notify_one();
            while calls.next().await.is_some() {
                called.notify_one();
            }
        }
        tokio::time::sleep(BEAT).await;
    }
}
