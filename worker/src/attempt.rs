//! One delivery: from the queue's message to the end of an attempt.
//!
//! apalis sees every delivery succeed. Retries, timeouts, panics and undecodable messages are settled here, because the
//! broker's own ways of them lose tasks or kill its worker.

use crate::claim_backend::ClaimedTask;
use crate::context::{KnownJobs, WorkerContext};
use crate::job_context::JobContext;
use crate::jobs;
use crate::leases::LeaseGuard;
use crate::metrics::Ended;
use crate::outcome::Outcome;
use crate::retries;
use crate::store_retry::{retry_briefly, retry_uninterruptibly, retry_until_cancelled};
use candlemill_db::StoreError;
use candlemill_shared::children::Children;
use candlemill_shared::job::Pool;
use candlemill_shared::progress::Progress;
use candlemill_shared::retry::codes;
use candlemill_shared::task::{TaskError, TaskRecord, TaskState};
use candlemill_tasks::{Claim, ClaimTries, Ending};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tracing::Instrument;

/// Takes one delivery to its end. Never fails: what cannot be done is done by whoever gets the task when its lease has run
/// out.
pub(crate) async fn handle(shop: WorkerContext, pool: Pool, claimed: ClaimedTask) {
    let hold = &claimed.hold;
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

async fn attempt(shop: &WorkerContext, pool: Pool, hold: &LeaseGuard) -> Result<(), StoreError> {
    let (tasks, task) = (&shop.tasks, hold.delivery.task);
    // Listed before the claim: a cancellation that comes in between is heard.
    let listed = shop.running.list(task, &hold.lost);
    let tries = ClaimTries::default();
    let claim = || tasks.records().claim_again(task, &shop.worker, &tries, |record| ending_at_once(shop, record));
    let record = match retry_until_cancelled(&shop.lifecycle.draining, claim).await? {
        Claim::Started(record) => *record,
        Claim::Ended(record, ending) => {
            shop.metrics.attempts.inc();
            return conclude(shop, *record, hold, *ending).await;
        }
        Claim::TooEarly(record, due) => {
            tracing::warn!(due, "the task is due later, of which the queue had not heard; it waits again");
            return let_go(hold, || tasks.queue(pool).reschedule(&record, &hold.delivery.token, due)).await.map(drop);
        }
        Claim::Stale => {
            shop.metrics.stale_deliveries.inc();
            return forget_if_ended(shop, pool, hold).await;
        }
    };
    shop.metrics.attempts.inc();
    shop.metrics.running.inc();
    let context = JobContext {
        record: record.clone(),
        cancel: listed.token.clone(),
        draining: shop.lifecycle.draining.clone(),
        resources: std::sync::Arc::clone(&shop.resources),
        counters: std::sync::Arc::default(),
        tasks: shop.tasks.clone(),
        reconciler: shop.reconciler.clone(),
    };
    // Boxed: these are two thirds of an attempt, and one that needs no work ends without them.
    let outcome = Box::pin(run(shop.known, context)).await;
    shop.metrics.running.dec();
    let outcome = if hold.lost.is_cancelled() { Outcome::Overtaken } else { outcome };
    Box::pin(finish(shop, record, hold, outcome)).await
}

/// The ending of an attempt that needs no work, given its record as it begins.
fn ending_at_once(shop: &WorkerContext, record: &TaskRecord) -> Option<Ending> {
    let outcome = if record.cancel_requested {
        Outcome::Cancelled(record.result.clone())
    } else if let Some(error) = retries::given_up_before(record) {
        Outcome::Dead(error, record.result.clone())
    } else {
        // What panics here is run as any other attempt, which counts it.
        catch_unwind(AssertUnwindSafe(|| jobs::at_once(shop.known, record))).ok().flatten()?
    };
    let mut ending = ending_of(record, outcome, record.updated_at)?;
    // No work was done: there is no more to tell than there was.
    ending.result = ending.result.filter(|_| record.result.is_some());
    Some(ending)
}

/// Runs the job under its time limit; a panic is an outcome.
async fn run(known: KnownJobs, context: JobContext) -> Outcome<Option<Value>> {
    let so_far = context.record.result.clone();
    let limit = retries::timeout_of(&context.record);
    // Boxed: the future of a fetch holds its pages under way.
    retries::guarded(limit, so_far, Box::pin(jobs::run(known, context))).await
}

/// How an attempt ends by its outcome. `None`: it does not end here.
fn ending_of(record: &TaskRecord, outcome: Outcome<Option<Value>>, now: i64) -> Option<Ending> {
    let end = |state, result, error| Ending { state, result, error, run_at: None, at: now };
    let mut ending = match outcome {
        Outcome::Overtaken | Outcome::Parts(..) => return None,
        Outcome::Done(result) => end(TaskState::Succeeded, result, None),
        Outcome::Fail(error, result) => end(TaskState::Failed, result, Some(error)),
        Outcome::Dead(error, result) => end(TaskState::Dead, result, Some(error)),
        Outcome::Cancelled(result) => end(TaskState::Cancelled, result, None),
        Outcome::HandBack(result) => {
            let error =
                TaskError::new(codes::HANDED_BACK, "the worker was stopped; the next one goes on from the checkpoint");
            Ending { run_at: Some(now), ..end(TaskState::Retrying, result, Some(error)) }
        }
        Outcome::Retry { error, so_far, after } => retries::ending(record, error, so_far, after, now, rand::random()),
    };
    if let Some(kind) = record.kind() {
        let took_ms = u64::try_from(now - record.started_at.unwrap_or(now)).unwrap_or(0);
        ending.result = ending.result.map(|result| kind.note_duration(result, took_ms));
    }
    Some(ending)
}

/// Writes the end of the attempt.
async fn finish(
    shop: &WorkerContext,
    record: TaskRecord,
    hold: &LeaseGuard,
    outcome: Outcome<Option<Value>>,
) -> Result<(), StoreError> {
    let tasks = &shop.tasks;
    if let Outcome::Parts(children, so_far) = &outcome {
        return leave_to(shop, &record, hold, children, so_far).await;
    }
    let Some(ending) = ending_of(&record, outcome, tasks.clock().now_ms()) else {
        tracing::warn!(attempt = record.attempt, "overtaken by a later attempt; nothing is written");
        return forget_if_ended(shop, record.pool, hold).await;
    };
    if !retry_uninterruptibly(|| tasks.records().end(&record, &ending)).await? {
        tracing::warn!(attempt = record.attempt, "overtaken by a later attempt; its end is not recorded");
        return forget_if_ended(shop, record.pool, hold).await;
    }
    conclude(shop, record, hold, ending).await
}

/// What follows when the record has an attempt's end: what watchers see, then the queue.
async fn conclude(
    shop: &WorkerContext,
    record: TaskRecord,
    hold: &LeaseGuard,
    ending: Ending,
) -> Result<(), StoreError> {
    log_end(shop, &record, &ending);
    let mut ended = record;
    ended.end_as(ending.state, ending.result, ending.at);
    ended.error = ending.error;
    make_known(shop, &ended, ending.at).await;
    let (queue, token) = (shop.tasks.queue(ended.pool), &hold.delivery.token);
    let settled = match ending.run_at {
        Some(due) => let_go(hold, || queue.reschedule(&ended, token, due)).await?,
        None => let_go(hold, || queue.settle(&ended, token)).await?,
    };
    if !settled {
        tracing::warn!(attempt = ended.attempt, "another worker holds the task already; it will find how it ended");
    }
    Ok(())
}

/// Leaves the rest to children: record first, then out of the queue, then the children into it. Whatever is not done here
/// is done by the sweeper.
async fn leave_to(
    shop: &WorkerContext,
    record: &TaskRecord,
    hold: &LeaseGuard,
    children: &Children,
    so_far: &Option<Value>,
) -> Result<(), StoreError> {
    let (tasks, now) = (&shop.tasks, shop.tasks.clock().now_ms());
    let waits = retry_uninterruptibly(|| {
        tasks.records().await_children(record, children, so_far.as_ref().unwrap_or(&Value::Null), now)
    })
    .await?;
    if waits.is_none() {
        tracing::warn!(attempt = record.attempt, "overtaken by a later attempt; nothing is left to children");
        return forget_if_ended(shop, record.pool, hold).await;
    }
    tracing::info!(attempt = record.attempt, children = children.total, "the rest is left to children");
    let_go(hold, || tasks.queue(record.pool).set_aside(record, &hold.delivery.token)).await?;
    shop.reconciler.note(record.id);
    Ok(())
}

/// A task that has ended elsewhere leaves the queue, and its end is shown and told: whoever ended it may have died before he
/// could, or may not have heard that he had ended it. One that another worker runs is his.
async fn forget_if_ended(shop: &WorkerContext, pool: Pool, hold: &LeaseGuard) -> Result<(), StoreError> {
    hold.end().await;
    let found = retry_briefly(|| shop.tasks.records().get(hold.delivery.task)).await?;
    let Some(record) = found.filter(|record| record.state.is_end()) else { return Ok(()) };
    make_known(shop, &record, record.ended_at.unwrap_or(record.updated_at)).await;
    let_go(hold, || shop.tasks.queue(pool).settle(&record, &hold.delivery.token)).await.map(drop)
}

/// Tells whoever wants to know of the end of an attempt: receivers of webhooks, watchers, the parent.
async fn make_known(shop: &WorkerContext, record: &TaskRecord, ended_at: i64) {
    if record.state.is_end() {
        shop.outbox.ended(record, ended_at);
    }
    show_end(shop, record).await;
    if let Some(parent) = record.parent {
        shop.reconciler.note(parent);
    }
}

/// Takes a held task out of the queue by `call`. `false`: somebody else holds it by now.
async fn let_go<F>(hold: &LeaseGuard, call: impl FnMut() -> F) -> Result<bool, StoreError>
where
    F: Future<Output = Result<bool, StoreError>>,
{
    hold.end().await;
    retry_briefly(call).await
}

/// Shows watchers the end of an attempt.
async fn show_end(shop: &WorkerContext, record: &TaskRecord) {
    let mut last = Progress::from_record(record);
    last.sequence = Progress::sequence_of(record.attempt, Progress::LAST_STEP);
    if record.state != TaskState::Succeeded {
        keep_what_was_shown(shop, &mut last).await;
    }
    shop.tasks.progress().end_steadily(last).await;
}

/// How far a task was is no less true because it stopped there.
async fn keep_what_was_shown(shop: &WorkerContext, last: &mut Progress) {
    if let Ok(Some(shown)) = shop.tasks.progress().read(last.task_id).await {
        last.keep_share_of(&shown);
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of an attempt lie far below 2^52")]
fn log_end(shop: &WorkerContext, record: &TaskRecord, ending: &Ending) {
    let took = ending.at - record.attempts.last().map_or(ending.at, |attempt| attempt.started_at);
    shop.metrics.attempt_seconds.observe(took as f64 / 1_000.0);
    let labels = Ended { kind: record.job.kind.clone(), state: ending.state.as_str() };
    shop.metrics.attempts_ended.get_or_create(&labels).inc();
    let (state, attempt) = (ending.state.as_str(), record.attempt);
    match &ending.error {
        Some(error) => tracing::warn!(state, attempt, took_ms = took, code = error.code, "{}", error.message),
        None => tracing::info!(state, attempt, took_ms = took, "task {state}"),
    }
}
