//! Claimed tasks as a backend of apalis.
//!
//! apalis runs the handlers and waits for them at the end. What it is given comes from the queue's own claims, because the
//! broker that belongs to it has neither leases that can be lost nor turns between owners.

use crate::leases::LeaseGuard;
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::task_id::RandomId;
use apalis_core::worker::context::WorkerContext;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tower::layer::util::Identity;

/// A claimed task and its slot.
#[derive(Debug, Clone)]
pub(crate) struct ClaimedTask {
    pub(crate) hold: Arc<LeaseGuard>,
    _slot: Arc<OwnedSemaphorePermit>,
}

impl ClaimedTask {
    pub(crate) fn new(hold: LeaseGuard, slot: OwnedSemaphorePermit) -> Self {
        Self { hold: Arc::new(hold), _slot: Arc::new(slot) }
    }
}

/// Ends when the sender is dropped.
#[derive(Debug)]
pub(crate) struct ClaimBackend {
    inbox: mpsc::Receiver<ClaimedTask>,
}

impl ClaimBackend {
    pub(crate) const fn new(inbox: mpsc::Receiver<ClaimedTask>) -> Self {
        Self { inbox }
    }
}

impl Backend for ClaimBackend {
    type Task = Task<ClaimedTask>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        self.inbox.poll_recv(context).map(|claimed| claimed.map(|claimed| Ok(Task::new(claimed))))
    }

    /// Nothing runs and nothing comes any more. apalis waits for ever for a word that its worker is to stop, unless the
    /// backend gives it.
    fn poll_close(&mut self, _: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        if let Err(error) = worker.stop() {
            tracing::debug!(%error, "consuming was stopped already");
        }
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for ClaimBackend {
    type Args = ClaimedTask;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &Self::Config {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Self::Layer {
        Identity::new()
    }
}
