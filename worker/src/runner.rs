//! One pool's work: claims, leases and ticks around the handlers that apalis runs.

use crate::attempt::run_claimed;
use crate::claim_backend::ClaimBackend;
use crate::claimed::ClaimedTask;
use crate::claimer::{self, Claimer, Claiming};
use crate::context::WorkerContext;
use crate::heartbeat::Gate;
use crate::leases::LeaseSet;
use crate::metrics::Metrics;
use apalis::prelude::{WorkerBuilder, WorkerError};
use candlemill_shared::job::Pool;
use candlemill_tasks::queue::Queue;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How often due tasks and those of dead workers are moved on.
const TICK: Duration = Duration::from_millis(250);
/// A claim gathers this part of the slots, if it can.
const GATHERED_PART: usize = 4;
/// Wait before consuming is started anew.
const RESTART: Duration = Duration::from_millis(500);

/// One pool's consumption.
pub(crate) struct Runner {
    pub(crate) context: WorkerContext,
    pub(crate) pool: Pool,
    pub(crate) concurrency: usize,
    pub(crate) lease: Duration,
    pub(crate) held: LeaseSet,
    pub(crate) gate: Gate,
    pub(crate) claiming: Claiming,
    pub(crate) metrics: Arc<Metrics>,
}

impl Runner {
    /// Consumes until the worker drains; then waits for the tasks under way.
    pub(crate) async fn run(self) {
        let draining = self.context.lifecycle.draining.clone();
        let queue = self.context.tasks.queue(self.pool).clone();
        let (held, wake, ended) = (self.held.clone(), Arc::new(Notify::new()), CancellationToken::new());
        let slots = Arc::new(Semaphore::new(self.concurrency));
        let _beside = [
            tokio::spawn(claimer::listen(self.context.tasks.clone(), queue.clone(), Arc::clone(&wake))),
            tokio::spawn(held.clone().renew(queue.clone(), self.lease, ended.clone())),
            tokio::spawn(tick(self.context.clone(), queue.clone(), self.lease)),
        ]
        .map(AbortOnDropHandle::new);
        while !draining.is_cancelled() {
            // As many as there are slots fit: what has a slot never waits for the channel.
            let (out, inbox) = mpsc::channel(self.concurrency);
            let fetcher = Claimer {
                pool: self.pool,
                queue: queue.clone(),
                worker: Arc::clone(&self.context.worker),
                lease: self.lease,
                slots: Arc::clone(&slots),
                gathered: self.concurrency / GATHERED_PART,
                held: held.clone(),
                gate: self.gate.clone(),
                wake: Arc::clone(&wake),
                claiming: self.claiming.clone(),
                draining: draining.clone(),
            };
            let fetching = AbortOnDropHandle::new(tokio::spawn(fetcher.run(out)));
            let worked = self.consume(inbox).await;
            drop(fetching);
            if draining.is_cancelled() {
                break;
            }
            match worked {
                Ok(()) => tracing::warn!("consuming ended by itself; starting anew"),
                Err(error) => tracing::warn!(%error, "consuming broke off; starting anew"),
            }
            self.metrics.broker_restarts.inc();
            tokio::time::sleep(RESTART).await;
        }
        ended.cancel();
    }

    /// Boxed: as part of an `async fn` the compiler cannot tell that the worker's future may be sent.
    fn consume(&self, inbox: mpsc::Receiver<ClaimedTask>) -> BoxFuture<'static, Result<(), WorkerError>> {
        let known = self.context.known;
        let handler = move |claimed: ClaimedTask| run_claimed(known, claimed);
        let worker = WorkerBuilder::new(format!("{}-{}", self.context.worker, self.pool.as_str()))
            .backend(ClaimBackend::new(inbox, self.context.clone(), self.pool))
            .build(handler);
        Box::pin(worker.run())
    }
}

/// Moves due tasks and those of dead workers on, until the worker drains.
async fn tick(context: WorkerContext, queue: Queue, lease: Duration) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = context.lifecycle.draining.cancelled() => return,
        }
        match queue.tick(context.tasks.clock().now_ms(), lease).await {
            Ok(moved) if moved.abandoned > 0 => {
                context.metrics.rescued.inc_by(moved.abandoned);
                tracing::warn!(tasks = moved.abandoned, "took tasks from workers whose leases ran out");
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "due tasks are not moved at the moment"),
        }
    }
}
