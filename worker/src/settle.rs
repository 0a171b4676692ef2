//! Settles attempts: the record first, then what watchers see, then the queue.

use crate::context::WorkerContext;
use crate::ending::ending_of;
use crate::leases::LeaseGuard;
use crate::metrics::Ended;
use crate::outcome::{Outcome, StoredOutcome};
use crate::store_retry::{retry_briefly, retry_uninterruptibly};
use candlemill_db::StoreError;
use candlemill_shared::children::Children;
use candlemill_shared::job::Pool;
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{TaskRecord, TaskState};
use candlemill_tasks::Ending;
use serde_json::Value;

/// Writes the end of the attempt.
pub(crate) async fn finish(
    context: &WorkerContext,
    record: TaskRecord,
    lease: &LeaseGuard,
    outcome: StoredOutcome,
) -> Result<(), StoreError> {
    let tasks = &context.tasks;
    if let Outcome::Parts(children, so_far) = &outcome {
        return leave_to(context, &record, lease, children, so_far).await;
    }
    let Some(ending) = ending_of(&record, outcome, tasks.clock().now_ms()) else {
        tracing::warn!(attempt = record.attempt, "overtaken by a later attempt; nothing is written");
        return forget_if_ended(context, record.pool, lease).await;
    };
    if !retry_uninterruptibly(|| tasks.records().end(&record, &ending)).await? {
        tracing::warn!(attempt = record.attempt, "overtaken by a later attempt; its end is not recorded");
        return forget_if_ended(context, record.pool, lease).await;
    }
    conclude(context, record, lease, ending).await
}

/// What follows when the record has an attempt's end: what watchers see, then the queue.
pub(crate) async fn conclude(
    context: &WorkerContext,
    record: TaskRecord,
    lease: &LeaseGuard,
    ending: Ending,
) -> Result<(), StoreError> {
    log_end(context, &record, &ending);
    let mut ended = record;
    ended.end_as(ending.state, ending.result, ending.at);
    ended.error = ending.error;
    make_known(context, &ended, ending.at).await;
    let (queue, token) = (context.tasks.queue(ended.pool), &lease.delivery.token);
    let settled = match ending.run_at {
        Some(due) => let_go(lease, || queue.reschedule(&ended, token, due)).await?,
        None => let_go(lease, || queue.settle(&ended, token)).await?,
    };
    if !settled {
        tracing::warn!(attempt = ended.attempt, "another worker holds the task already; it will find how it ended");
    }
    Ok(())
}

/// Leaves the rest to children: record first, then out of the queue, then the children into it. What is not done here
/// is done by the sweeper.
async fn leave_to(
    context: &WorkerContext,
    record: &TaskRecord,
    lease: &LeaseGuard,
    children: &Children,
    so_far: &Option<Value>,
) -> Result<(), StoreError> {
    let (tasks, now) = (&context.tasks, context.tasks.clock().now_ms());
    let waits = retry_uninterruptibly(|| {
        tasks.records().await_children(record, children, so_far.as_ref().unwrap_or(&Value::Null), now)
    })
    .await?;
    if waits.is_none() {
        tracing::warn!(attempt = record.attempt, "overtaken by a later attempt; nothing is left to children");
        return forget_if_ended(context, record.pool, lease).await;
    }
    tracing::info!(attempt = record.attempt, children = children.total, "the rest is left to children");
    let_go(lease, || tasks.queue(record.pool).set_aside(record, &lease.delivery.token)).await?;
    context.reconciler.note(record.id);
    Ok(())
}

/// A task that has ended elsewhere leaves the queue, and its end is shown and told: what ended it may have died before
/// that, or may not have heard that it had ended it. One that another worker runs is left to that one.
pub(crate) async fn forget_if_ended(context: &WorkerContext, pool: Pool, lease: &LeaseGuard) -> Result<(), StoreError> {
    lease.end().await;
    let found = retry_briefly(|| context.tasks.records().get(lease.delivery.task)).await?;
    let Some(record) = found.filter(|record| record.state.is_end()) else { return Ok(()) };
    make_known(context, &record, record.ended_at.unwrap_or(record.updated_at)).await;
    let_go(lease, || context.tasks.queue(pool).settle(&record, &lease.delivery.token)).await.map(drop)
}

/// Tells all that want to know of the end of an attempt: receivers of webhooks, watchers, the parent.
async fn make_known(context: &WorkerContext, record: &TaskRecord, ended_at: i64) {
    if record.state.is_end() {
        context.outbox.ended(record, ended_at);
    }
    show_end(context, record).await;
    if let Some(parent) = record.parent {
        context.reconciler.note(parent);
    }
}

/// Takes a held task out of the queue by `call`. `false`: another worker holds it by now.
pub(crate) async fn let_go<F>(lease: &LeaseGuard, call: impl FnMut() -> F) -> Result<bool, StoreError>
where
    F: Future<Output = Result<bool, StoreError>>,
{
    lease.end().await;
    retry_briefly(call).await
}

/// Shows watchers the end of an attempt.
async fn show_end(context: &WorkerContext, record: &TaskRecord) {
    let mut last = Progress::from_record(record);
    last.sequence = Progress::sequence_of(record.attempt, Progress::LAST_STEP);
    if record.state != TaskState::Succeeded {
        keep_what_was_shown(context, &mut last).await;
    }
    context.tasks.progress().end_steadily(last).await;
}

/// How far a task was is no less true because it stopped there.
async fn keep_what_was_shown(context: &WorkerContext, last: &mut Progress) {
    if let Ok(Some(shown)) = context.tasks.progress().read(last.task_id).await {
        last.keep_share_of(&shown);
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of an attempt lie far below 2^52")]
fn log_end(context: &WorkerContext, record: &TaskRecord, ending: &Ending) {
    let took = ending.at - record.attempts.last().map_or(ending.at, |attempt| attempt.started_at);
    context.metrics.attempt_seconds.observe(took as f64 / 1_000.0);
    let labels = Ended { kind: record.job.kind.clone(), state: ending.state.as_str() };
    context.metrics.attempts_ended.get_or_create(&labels).inc();
    let (state, attempt) = (ending.state.as_str(), record.attempt);
    match &ending.error {
        Some(error) => tracing::warn!(state, attempt, took_ms = took, code = error.code, "{}", error.message),
        None => tracing::info!(state, attempt, took_ms = took, "task {state}"),
    }
}
