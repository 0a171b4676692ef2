//! What it takes to run a kind of job.

use crate::job_context::JobContext;
use crate::outcome::{Outcome, StoredOutcome};
use candlemill_shared::job::{EnvelopeError, Job, JobKind};
use candlemill_shared::task::TaskRecord;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;

/// The execution of a kind of job.
pub(crate) trait Run: Job {
    /// Runs one attempt. It asks whether it may go on ([`JobContext::cancel`], [`JobContext::draining`]) at every step, and keeps
    /// what it has done with [`JobContext::checkpoint`].
    fn run(self, context: JobContext) -> impl Future<Output = Outcome<Self::Result>> + Send;

    /// The outcome of an attempt that needs no work, known at its start.
    fn at_once(&self, _so_far: &Self::Result) -> Option<Outcome<Self::Result>> {
        None
    }
}

/// The same without its types: results are documents.
pub(crate) struct Runner {
    pub(crate) kind: JobKind,
    pub(crate) at_once: fn(&TaskRecord) -> Result<Option<StoredOutcome>, EnvelopeError>,
    pub(crate) run: fn(JobContext) -> BoxFuture<'static, Result<StoredOutcome, EnvelopeError>>,
}

impl Runner {
    pub(crate) const fn of<J: Run>() -> Self {
        Self {
            kind: JobKind::of::<J>(),
            at_once: |record| {
                let job: J = record.job.open()?;
                let so_far = record.result.as_ref().and_then(|result| J::Result::deserialize(result).ok());
                Ok(job.at_once(&so_far.unwrap_or_default()).map(document))
            },
            run: |context| {
                async move {
                    let job: J = context.record.job.open()?;
                    Ok(document(job.run(context).await))
                }
                .boxed()
            },
        }
    }
}

fn document<R: serde::Serialize>(outcome: Outcome<R>) -> StoredOutcome {
    outcome.map(|result| serde_json::to_value(result).ok())
}
