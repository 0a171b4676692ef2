//! A claimed task on its way through apalis.

use crate::job_context::JobContext;
use crate::leases::LeaseGuard;
use crate::outcome::StoredOutcome;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// A claimed task and its slot. What the layer of the backend prepares for the handler, and what the handler came to, lie in it:
/// apalis gives both the same arguments.
#[derive(Clone)]
pub(crate) struct ClaimedTask {
    pub(crate) lease: Arc<LeaseGuard>,
    work: Arc<Mutex<Option<Work>>>,
    _slot: Arc<OwnedSemaphorePermit>,
}

/// What is to be done, or was.
pub(crate) enum Work {
    /// An attempt that has begun.
    Begun(Box<JobContext>),
    /// An attempt that needed none: it has ended so.
    Needless(Result<(), AttemptFailed>),
    /// What an attempt came to.
    Ended(StoredOutcome),
}

/// Why an attempt did not succeed, as layers of apalis see it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct AttemptFailed {
    /// Stable name, as on the record.
    pub(crate) code: String,
    /// What was wrong.
    pub(crate) message: String,
}

impl std::fmt::Debug for ClaimedTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimedTask").field("task", &self.lease.delivery.task).finish_non_exhaustive()
    }
}

impl ClaimedTask {
    pub(crate) fn new(lease: LeaseGuard, slot: OwnedSemaphorePermit) -> Self {
        Self { lease: Arc::new(lease), work: Arc::default(), _slot: Arc::new(slot) }
    }

    /// Puts what comes next in place of what was.
    pub(crate) fn put(&self, work: Work) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
    }

    pub(crate) fn take(&self) -> Option<Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
