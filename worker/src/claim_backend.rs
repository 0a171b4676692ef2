//! The queue as a backend of apalis.
//!
//! What the backend gives out comes from the queue's own claims, because the broker that belongs to apalis has neither leases that
//! can be lost nor turns between owners. The backend's layer begins the attempt, keeps its lease, and settles it; what lies
//! inside of that layer, other layers of apalis and the handler, sees each task as it is: id, attempt, queue, priority, time and
//! trace, and the handler's real result.

use crate::apalis_task::claimed;
use crate::attempt::AttemptLayer;
use crate::claimed::ClaimedTask;
use crate::context::WorkerContext;
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::worker::context::WorkerContext as ApalisWorker;
use candlemill_shared::job::Pool;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// One pool's claims. Ends when the sender is dropped.
pub(crate) struct ClaimBackend {
    inbox: mpsc::Receiver<ClaimedTask>,
    context: WorkerContext,
    pool: Pool,
}

impl ClaimBackend {
    pub(crate) const fn new(inbox: mpsc::Receiver<ClaimedTask>, context: WorkerContext, pool: Pool) -> Self {
        Self { inbox, context, pool }
    }
}

impl Backend for ClaimBackend {
    type Task = Task<ClaimedTask>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &ApalisWorker) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        _: &ApalisWorker,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let next = self.inbox.poll_recv(context);
        next.map(|task| task.map(|task| Ok(claimed(task, self.pool, &self.context.worker).build())))
    }

    /// Nothing runs and nothing comes any more. apalis waits for ever for a word that its worker is to stop, unless the
    /// backend gives it.
    fn poll_close(&mut self, _: &mut Context<'_>, worker: &ApalisWorker) -> Poll<Result<(), Infallible>> {
        if let Err(error) = worker.stop() {
            tracing::debug!(%error, "consuming was stopped already");
        }
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for ClaimBackend {
    type Args = ClaimedTask;
    type Id = String;
    type Kind = Ephemeral;
    type Config = Pool;
    type Layer = AttemptLayer;

    fn config(&self) -> &Self::Config {
        &self.pool
    }

    fn middleware(&mut self, _: &mut ApalisWorker) -> Self::Layer {
        AttemptLayer::new(self.context.clone(), self.pool)
    }
}
