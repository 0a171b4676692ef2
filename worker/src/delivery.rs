//! One delivery: from the queue's message to the end of an attempt.
//!
//! apalis sees every delivery succeed. Retries, timeouts, panics and undecodable messages are settled here, because the
//! broker's own ways of them lose tasks or kill its worker.

use crate::context::{JobContext, Workshop};
use crate::deliveries::Parcel;
use crate::held::Hold;
use crate::jobs;
use crate::metrics::Ended;
use crate::outcome::Outcome;
use crate::patience::patiently;
use crate::retrying;
use candlemill_shared::children::Children;
use candlemill_shared::job::Pool;
use candlemill_shared::progress::Progress;
use candlemill_shared::retry::codes;
use candlemill_shared::task::{FetchResult, TaskError, TaskId, TaskRecord, TaskState};
use candlemill_store::{Claim, Ending, StoreError};
use tracing::Instrument;

/// Takes one delivery to its end. Never fails: what cannot be done is done by whoever gets the task when its lease has run
/// out.
pub(crate) async fn handle(shop: Workshop, pool: Pool, parcel: Parcel) {
    let hold = &parcel.hold;
    let span = tracing::info_span!("task", task.id = %hold.delivery.task, trace_id = %hold.delivery.trace);
    async {
        // Boxed: an attempt holds a whole record, and the handlers around it are copied.
        if let Err(error) = Box::pin(attempt(&shop, pool, hold)).await {
            tracing::error!(%error, "the attempt could not be settled; it is taken up again when its lease has run out");
        }
    }
    .instrument(span)
    .await;
}

async fn attempt(shop: &Workshop, pool: Pool, hold: &Hold) -> Result<(), StoreError> {
    let (store, task) = (&shop.store, hold.delivery.task);
    // Listed before the claim: a cancellation that comes in between is heard.
    let listed = shop.running.list(task, &hold.lost);
    let began = store.clock().now_ms();
    let record = match patiently(&shop.draining, || store.tasks().claim(task, &shop.worker, began)).await? {
        Claim::Started(record) => *record,
        Claim::Stale => {
            shop.metrics.stale_deliveries.inc();
            return forget_if_ended(shop, pool, task, &hold.delivery.token).await;
        }
    };
    shop.metrics.attempts.inc();
    shop.metrics.running.inc();
    let context = JobContext {
        shop: shop.clone(),
        record: record.clone(),
        cancel: listed.token.clone(),
        counters: std::sync::Arc::default(),
    };
    let outcome = run(context).await;
    shop.metrics.running.dec();
    let outcome = if hold.lost.is_cancelled() { Outcome::Overtaken } else { outcome };
    finish(shop, &record, &hold.delivery.token, outcome).await
}

/// Runs the job under its time limit; a panic is an outcome.
async fn run(context: JobContext) -> Outcome {
    let record = &context.record;
    if record.cancel_requested {
        return Outcome::Cancelled(record.result.clone().unwrap_or_default());
    }
    let so_far = record.result.clone().unwrap_or_default();
    if let Some(error) = retrying::given_up_before(record) {
        return Outcome::Dead(error, so_far);
    }
    retrying::guarded(retrying::policy_of(record).attempt_timeout, so_far, jobs::run(context)).await
}

/// Writes the end of the attempt: record first, then what watchers see, then the queue.
async fn finish(shop: &Workshop, record: &TaskRecord, token: &str, outcome: Outcome) -> Result<(), StoreError> {
    let store = &shop.store;
    let now = store.clock().now_ms();
    let ending = match outcome {
        Outcome::Overtaken => {
            tracing::warn!(attempt = record.attempt, "overtaken by a later attempt; nothing is written");
            return forget_if_ended(shop, record.pool, record.id, token).await;
        }
        Outcome::Parts(children, so_far) => return leave_to(shop, record, token, &children, &so_far).await,
        Outcome::Done(result) => ending(TaskState::Succeeded, result, None, None),
        Outcome::Fail(error, result) => ending(TaskState::Failed, result, Some(error), None),
        Outcome::Dead(error, result) => ending(TaskState::Dead, result, Some(error), None),
        Outcome::Cancelled(result) => ending(TaskState::Cancelled, result, None, None),
        Outcome::HandBack(result) => {
            let error =
                TaskError::new(codes::HANDED_BACK, "the worker was stopped; the next one goes on from the checkpoint");
            ending(TaskState::Retrying, result, Some(error), Some(now))
        }
        Outcome::Retry { error, so_far, after } => retrying::ending(record, error, so_far, after, now, rand::random()),
    };
    let ending = with_duration(ending, record, now);
    // Patient even while draining: what is not written now is done again by another worker.
    let never = tokio_util::sync::CancellationToken::new();
    if !patiently(&never, || store.tasks().end(record, &ending, now)).await? {
        tracing::warn!(attempt = record.attempt, "overtaken by a later attempt; its end is not recorded");
        return forget_if_ended(shop, record.pool, record.id, token).await;
    }
    log_end(shop, record, &ending, now);
    if ending.state.is_end() {
        shop.outbox.ended(record, now);
    }
    let mut ended = record.clone();
    (ended.state, ended.updated_at, ended.result, ended.error) = (ending.state, now, ending.result, ending.error);
    show_end(shop, &ended).await;
    if let Some(parent) = record.parent {
        shop.tender.note(parent);
    }
    let queue = store.queue(record.pool);
    let settled = match ending.run_at {
        Some(due) => queue.reschedule(&ended, token, due).await?,
        None => queue.settle(&ended, token).await?,
    };
    if !settled {
        tracing::warn!(attempt = record.attempt, "another worker holds the task already; it will find how it ended");
    }
    Ok(())
}

/// Leaves the rest to children: record first, then out of the queue, then the children into it. Whatever is not done here
/// is done by the sweeper.
async fn leave_to(
    shop: &Workshop,
    record: &TaskRecord,
    token: &str,
    children: &Children,
    so_far: &FetchResult,
) -> Result<(), StoreError> {
    let (store, now) = (&shop.store, shop.store.clock().now_ms());
    let never = tokio_util::sync::CancellationToken::new();
    let waits = patiently(&never, || store.tasks().await_children(record, children, so_far, now)).await?;
    if waits.is_none() {
        tracing::warn!(attempt = record.attempt, "overtaken by a later attempt; nothing is left to children");
        return forget_if_ended(shop, record.pool, record.id, token).await;
    }
    tracing::info!(attempt = record.attempt, children = children.total, "the rest is left to children");
    store.queue(record.pool).set_aside(record, token).await?;
    shop.tender.note(record.id);
    Ok(())
}

/// A task that has ended elsewhere leaves the queue, and its end is shown: whoever ended it may have died before he could.
/// One that another worker runs is his.
async fn forget_if_ended(shop: &Workshop, pool: Pool, task: TaskId, token: &str) -> Result<(), StoreError> {
    let Some(record) = shop.store.tasks().get(task).await?.filter(|record| record.state.is_end()) else {
        return Ok(());
    };
    show_end(shop, &record).await;
    shop.store.queue(pool).settle(&record, token).await.map(drop)
}

/// Shows watchers the end of an attempt.
async fn show_end(shop: &Workshop, record: &TaskRecord) {
    let mut last = Progress::from_record(record);
    last.sequence = Progress::sequence_of(record.attempt, Progress::LAST_STEP);
    if record.state != TaskState::Succeeded {
        keep_what_was_shown(shop, &mut last).await;
    }
    if let Err(error) = shop.store.progress().write(&last).await {
        tracing::warn!(%error, "the end is not shown yet");
        shop.store.progress().write_later(last);
    }
}

/// How far a task was is no less true because it stopped there.
async fn keep_what_was_shown(shop: &Workshop, last: &mut Progress) {
    if let Ok(Some(shown)) = shop.store.progress().read(last.task_id).await {
        last.percent = last.percent.max(shown.percent);
        last.pages_total = last.pages_total.max(shown.pages_total);
        last.pages_done = last.pages_done.max(shown.pages_done);
    }
}

fn ending(state: TaskState, result: FetchResult, error: Option<TaskError>, run_at: Option<i64>) -> Ending {
    Ending { state, result: Some(result), error, run_at }
}

fn with_duration(mut ending: Ending, record: &TaskRecord, now: i64) -> Ending {
    if let Some(result) = &mut ending.result {
        result.duration_ms = u64::try_from(now - record.started_at.unwrap_or(now)).unwrap_or(0);
    }
    ending
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of an attempt lie far below 2^52")]
fn log_end(shop: &Workshop, record: &TaskRecord, ending: &Ending, now: i64) {
    let took = now - record.attempts.last().map_or(now, |attempt| attempt.started_at);
    shop.metrics.attempt_seconds.observe(took as f64 / 1_000.0);
    let labels = Ended { kind: record.job.kind.clone(), state: ending.state.as_str() };
    shop.metrics.attempts_ended.get_or_create(&labels).inc();
    let (state, attempt) = (ending.state.as_str(), record.attempt);
    match &ending.error {
        Some(error) => tracing::warn!(state, attempt, took_ms = took, code = error.code, "{}", error.message),
        None => tracing::info!(state, attempt, took_ms = took, "task {state}"),
    }
}
