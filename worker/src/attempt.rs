//! One attempt: from the claim of a task to its settlement, as the layer around apalis' handlers.
//!
//! Retries, timeouts and panics are settled here: those that belong to apalis' own broker lose tasks or end its worker.

use crate::apalis_task::begun;
use crate::claimed::{AttemptFailed, ClaimedTask, Work};
use crate::context::{KnownJobs, WorkerContext};
use crate::ending::ending_at_once;
use crate::job_context::{JobContext, Kept};
use crate::jobs;
use crate::outcome::{Outcome, StoredOutcome};
use crate::retries;
use crate::settle::{conclude, finish, forget_if_ended, let_go};
use crate::store_retry::retry_until_cancelled;
use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use candlemill_db::StoreError;
use candlemill_shared::job::Pool;
use candlemill_shared::retry::codes;
use candlemill_shared::task::{TaskError, TaskRecord};
use candlemill_tasks::{Claim, ClaimTries};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};
use tracing::Instrument;

/// Begins and settles the attempts that the service inside of it runs.
#[derive(Clone)]
pub(crate) struct AttemptLayer {
    context: WorkerContext,
    pool: Pool,
}

impl AttemptLayer {
    pub(crate) const fn new(context: WorkerContext, pool: Pool) -> Self {
        Self { context, pool }
    }
}

impl<S> Layer<S> for AttemptLayer {
    type Service = AttemptService<S>;

    fn layer(&self, inner: S) -> AttemptService<S> {
        AttemptService { context: self.context.clone(), pool: self.pool, inner }
    }
}

/// The service of [`AttemptLayer`].
#[derive(Clone)]
pub(crate) struct AttemptService<S> {
    context: WorkerContext,
    pool: Pool,
    inner: S,
}

impl<S> Service<Task<ClaimedTask>> for AttemptService<S>
where
    S: Service<Task<ClaimedTask>, Response = ()> + Clone + Send + 'static,
    S::Error: Into<BoxDynError>,
    S::Future: Send,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    /// Spawned: claims and settlements of one pool wait for none of its other tasks.
    fn call(&mut self, task: Task<ClaimedTask>) -> Self::Future {
        let (context, pool) = (self.context.clone(), self.pool);
        // The one that was asked whether it is ready.
        let next = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, next);
        let claimed = task.args;
        let delivery = &claimed.lease.delivery;
        let span = tracing::info_span!("task", task.id = %delivery.task, trace_id = %delivery.trace);
        let inner = move |task| {
            let called = ready.call(task);
            async move { called.await.map_err(Into::into) }.boxed()
        };
        // Boxed: an attempt holds a whole record.
        let running = Box::pin(attempt(context, pool, claimed, inner).instrument(span));
        async move { tokio::spawn(running).await.unwrap_or_else(|gone| Err(gone.into())) }.boxed()
    }
}

/// Never lost: what cannot be done here is done by the worker that gets the task when its lease has run out.
async fn attempt(
    context: WorkerContext,
    pool: Pool,
    claimed: ClaimedTask,
    inner: impl FnOnce(Task<ClaimedTask>) -> BoxFuture<'static, Result<(), BoxDynError>> + Send,
) -> Result<(), BoxDynError> {
    let settled = Box::pin(run_and_settle(&context, pool, &claimed, inner)).await;
    settled.unwrap_or_else(|error| {
        tracing::error!(%error, "the attempt could not be settled; it is taken up again when its lease has run out");
        Err(error.into())
    })
}

/// What the inner service said, of an attempt that was settled.
async fn run_and_settle(
    context: &WorkerContext,
    pool: Pool,
    claimed: &ClaimedTask,
    inner: impl FnOnce(Task<ClaimedTask>) -> BoxFuture<'static, Result<(), BoxDynError>> + Send,
) -> Result<Result<(), BoxDynError>, StoreError> {
    let (tasks, lease) = (&context.tasks, &claimed.lease);
    // Listed before the claim: a cancellation that comes in between is heard.
    let listed = context.running.list(lease.delivery.task, &lease.lost);
    let tries = ClaimTries::default();
    let claim = || {
        let at_once = |record: &TaskRecord| ending_at_once(context, record);
        tasks.records().claim_again(lease.delivery.task, &context.worker, &tries, at_once)
    };
    let record = match retry_until_cancelled(&context.lifecycle.draining, claim).await? {
        Claim::Started(record) => *record,
        Claim::Ended(record, ending) => {
            context.metrics.attempts.inc();
            claimed.put(Work::Needless(ending.error.as_ref().map_or(Ok(()), |error| Err(failed(error)))));
            let said = inner(begun(claimed.clone(), &context.worker, &record)).await;
            conclude(context, *record, lease, *ending).await?;
            return Ok(said);
        }
        Claim::TooEarly(record, due) => {
            tracing::warn!(due, "the task is due later, of which the queue had not heard; it waits again");
            let_go(lease, || tasks.queue(pool).reschedule(&record, &lease.delivery.token, due)).await?;
            return Ok(Ok(()));
        }
        Claim::Stale => {
            context.metrics.stale_deliveries.inc();
            forget_if_ended(context, pool, lease).await?;
            return Ok(Ok(()));
        }
    };
    context.metrics.attempts.inc();
    context.metrics.running.inc();
    let job_context = JobContext {
        record: record.clone(),
        kept: Arc::new(Kept::of(record.result.clone())),
        cancel: listed.token.clone(),
        draining: context.lifecycle.draining.clone(),
        resources: Arc::clone(&context.resources),
        counters: Arc::default(),
        tasks: context.tasks.clone(),
        reconciler: context.reconciler.clone(),
    };
    let kept = Arc::clone(&job_context.kept);
    claimed.put(Work::Begun(Box::new(job_context)));
    let said = inner(begun(claimed.clone(), &context.worker, &record)).await;
    context.metrics.running.dec();
    let outcome = match claimed.take() {
        _ if lease.lost.is_cancelled() => Outcome::Overtaken,
        Some(Work::Ended(outcome)) => outcome,
        // A layer around the handler let it not begin, or not end.
        _ => {
            let why = said.as_ref().err().map_or_else(|| "no outcome".to_owned(), ToString::to_string);
            Outcome::Retry { error: TaskError::new(codes::LAYER, why), so_far: kept.newest(), after: None }
        }
    };
    Box::pin(finish(context, record, lease, outcome)).await?;
    Ok(said)
}

/// The handler that apalis runs: the job, under its time limit; a panic is an outcome. Its result is the attempt's.
pub(crate) async fn run_claimed(known: KnownJobs, claimed: ClaimedTask) -> Result<(), AttemptFailed> {
    match claimed.take() {
        Some(Work::Begun(context)) => {
            let (kept, limit) = (Arc::clone(&context.kept), retries::timeout_of(&context.record));
            let so_far = || kept.newest();
            // Boxed: the future of a fetch holds its pages under way.
            let outcome = retries::guarded(limit, so_far, Box::pin(jobs::run(known, *context))).await;
            let said = said(&outcome);
            claimed.put(Work::Ended(outcome));
            said
        }
        Some(Work::Needless(said)) => said,
        Some(Work::Ended(_)) | None => {
            let error = TaskError::new(codes::LAYER, "the attempt was run before");
            Err(failed(&error))
        }
    }
}

fn said(outcome: &StoredOutcome) -> Result<(), AttemptFailed> {
    match outcome {
        Outcome::Retry { error, .. } | Outcome::Fail(error, _) | Outcome::Dead(error, _) => Err(failed(error)),
        Outcome::Done(_) | Outcome::Parts(..) | Outcome::Cancelled(_) | Outcome::HandBack(_) | Outcome::Overtaken => {
            Ok(())
        }
    }
}

fn failed(error: &TaskError) -> AttemptFailed {
    AttemptFailed { code: error.code.clone(), message: error.message.clone() }
}
