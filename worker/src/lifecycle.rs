//! The worker's lifecycle: it runs, drains, or is drained.

use candlemill_tasks::WorkerState;
use tokio_util::sync::CancellationToken;

/// The states of a worker, which it passes in one direction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lifecycle {
    /// Cancelled when an operator, or a signal, wants the worker to drain.
    pub(crate) asked: CancellationToken,
    /// Cancelled when it stops claiming: running jobs hand their work back at the next page.
    pub(crate) draining: CancellationToken,
    /// Cancelled when nothing runs here any more.
    pub(crate) drained: CancellationToken,
}

impl Lifecycle {
    pub(crate) fn state(&self) -> WorkerState {
        if self.drained.is_cancelled() {
            WorkerState::Drained
        } else if self.draining.is_cancelled() {
            WorkerState::Draining
        } else {
            WorkerState::Running
        }
    }
}
