//! What attempts need of this process.

use crate::cancel::Running;
use crate::job_context::Resources;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::parent_reconciler::ParentReconciler;
use crate::webhooks::Outbox;
use candlemill_tasks::TaskEngine;
use std::sync::Arc;

/// What is the same for all attempts of this process, whatever their job.
#[derive(Clone)]
pub(crate) struct WorkerContext {
    pub(crate) tasks: TaskEngine,
    /// Name of this process.
    pub(crate) worker: Arc<str>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) running: Running,
    pub(crate) outbox: Outbox,
    pub(crate) reconciler: ParentReconciler,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) known: KnownJobs,
    /// What jobs work with.
    pub(crate) resources: Arc<Resources>,
}

/// What a worker pretends not to know, as an older program would: for tests of two versions side by side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownJobs {
    /// Newest version of payloads; `None`: all that it does know.
    pub newest_version: Option<u32>,
    /// A kind that it does not know.
    pub but: Option<&'static str>,
}
