//! Accepting tasks: each durable before its caller is told so, many in one journal write.
//!
//! Order: the keys of the requests, so that one that stands for a task under way never needs a place; the places of the
//! owners; the records; the queue. A submission that gets no place, or cannot ask for one because Redis is away, releases its keys.
//! A record that does not reach the queue is put there by the sweeper.
//!
//! Keys without a record are taken over when they are old. The first to do so puts a fence where the record would be stored: one
//! that was on its way for so long is never there, and its request was never answered with it. An `Idempotency-Key` is bound to the
//! task that its request is answered with, before that is answered.

use super::duplicates::{DuplicateRequest, resolve_duplicate};
use super::taken::{STORED_WITHIN, SubmitError, Taken};
use crate::engine::TaskEngine;
use crate::quota::QuotaRequest;
use crate::unique_keys::UniqueKeys;
use candlemill_db::{BackgroundRetry, StoreError};
use candlemill_shared::job::Pool;
use candlemill_shared::task::{TaskRecord, TaskState};
use futures::StreamExt;
use mongodb::bson::Document;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Submissions that may wait for their batch.
const WAITING: usize = 4_096;
/// Records of one journal write.
const BATCH: usize = 512;
/// Batches that are written at once: while one waits for the journal, others are made ready or put into the queue.
const WRITERS: usize = 3;
/// Requests that stand for older tasks and are answered at once.
const DUPLICATES_AT_ONCE: usize = 16;
/// Longest time from taking the keys to having the places: well before others may take the keys over.
const RESERVED_WITHIN: Duration = Duration::from_secs(5);
/// Batches of which something is tried again, and how often: together as long as the sweeper waits for a record to reach the
/// queue.
const AGAIN_AT_ONCE: usize = 64;
const AGAIN_TRIES: u32 = 32;

/// An accepted task.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// The new record, or the older one that the request stands for.
    pub record: TaskRecord,
    /// Whether it is new.
    pub created: bool,
}

struct Waiting {
    record: TaskRecord,
    jobs_at_once: u32,
    reply: oneshot::Sender<Result<Submitted, SubmitError>>,
}

/// Writes accepted records and queues them. Programs come here by [`TaskService`](crate::TaskService).
#[derive(Debug, Clone)]
pub struct Submissions {
    inbox: mpsc::Sender<Waiting>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("task", &self.record.id).finish_non_exhaustive()
    }
}

impl Submissions {
    /// Starts the writers. They end when the last handle is dropped.
    #[must_use]
    pub fn start(store: &TaskEngine) -> Self {
        let (inbox, waiting) = mpsc::channel(WAITING);
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        for _ in 0..WRITERS {
            let (store, waiting) = (store.clone(), Arc::clone(&waiting));
            tokio::spawn(async move {
                loop {
                    let mut batch = Vec::with_capacity(BATCH);
                    // The one with the lock takes all that waits; the other is busy writing or queues for the lock.
                    if waiting.lock().await.recv_many(&mut batch, BATCH).await == 0 {
                        return;
                    }
                    accept(&store, batch).await;
                }
            });
        }
        Self { inbox }
    }

    /// Accepts `record` (queued, attempt 0) unless its owner has `jobs_at_once` tasks under way.
    ///
    /// # Errors
    /// [`SubmitError`]; then nothing was stored or queued.
    pub async fn submit(&self, record: TaskRecord, jobs_at_once: u32) -> Result<Submitted, SubmitError> {
        let (reply, answer) = oneshot::channel();
        self.inbox
            .try_send(Waiting { record, jobs_at_once, reply })
            .map_err(|_| SubmitError::Store(StoreError::Overloaded))?;
        answer.await.unwrap_or(Err(SubmitError::Store(StoreError::Overloaded)))
    }
}

async fn accept(store: &TaskEngine, batch: Vec<Waiting>) {
    let taken = Taken::now(store);
    let taking = store.records().keys.take(records(&batch), taken.at_ms);
    let duplicates = match taken.within(STORED_WITHIN, "taking the keys of tasks", taking).await {
        Ok(duplicates) => duplicates,
        Err(error) => {
            let held = UniqueKeys::held_by(records(&batch));
            refuse_all(batch, &error);
            return give_keys_back_later(store, held);
        }
    };
    let (duplicates, new): (Vec<_>, Vec<_>) =
        batch.into_iter().enumerate().partition(|(index, _)| duplicates.contains(index));
    accept_new(store, new.into_iter().map(|(_, waiting)| waiting).collect(), taken).await;
    // After the others are stored: a double may be one of a request in this very batch.
    let duplicates = duplicates.into_iter().map(|(_, duplicate)| accept_duplicate(store, duplicate));
    futures::stream::iter(duplicates).buffer_unordered(DUPLICATES_AT_ONCE).collect::<()>().await;
}

fn records(batch: &[Waiting]) -> impl Iterator<Item = &TaskRecord> {
    batch.iter().map(|waiting| &waiting.record)
}

/// Those that hold their keys.
async fn accept_new(store: &TaskEngine, batch: Vec<Waiting>, taken: Taken) {
    if batch.is_empty() {
        return;
    }
    let wanted: Vec<QuotaRequest> = batch
        .iter()
        .map(|Waiting { record, jobs_at_once, .. }| QuotaRequest {
            owner: record.owner.clone(),
            task: record.id,
            at_most: *jobs_at_once,
        })
        .collect();
    // Nobody may take the keys for abandoned while their records are on the way.
    let reserved = match tokio::time::timeout_at(taken.since + RESERVED_WITHIN, store.reserve(&wanted)).await {
        Ok(reserved) => reserved,
        Err(_) => Err(StoreError::Overloaded),
    };
    let (places, reservation) = match reserved {
        Ok(reserved) => reserved,
        Err(error) => {
            give_keys_back(store, &batch).await;
            refuse_all(batch, &error);
            return withdraw_later(store, wanted);
        }
    };
    let (kept, refused): (Vec<_>, Vec<_>) = batch.into_iter().zip(places).partition(|(_, place)| *place);
    let [kept, refused] = [kept, refused].map(|some| some.into_iter().map(|(waiting, _)| waiting).collect());
    let (stored, ()) = tokio::join!(store_and_enqueue(store, kept, taken), refuse(store, refused));
    if stored {
        store.commit_reservation(&reservation).await;
    }
}

/// A request whose key somebody else holds.
async fn accept_duplicate(store: &TaskEngine, duplicate: Waiting) {
    match resolve_duplicate(store, &duplicate.record).await {
        Ok(DuplicateRequest::Older(record)) => {
            if record.state == TaskState::Queued {
                // Perhaps the process that stored it died before it was queued.
                enqueue(store, record.pool, &[&record]).await;
            }
            drop(duplicate.reply.send(Ok(Submitted { record: *record, created: false })));
        }
        Ok(DuplicateRequest::New { taken }) => accept_new(store, vec![duplicate], taken).await,
        Err(error) => drop(duplicate.reply.send(Err(error))),
    }
}

/// Those that have no place.
async fn refuse(store: &TaskEngine, batch: Vec<Waiting>) {
    if batch.is_empty() {
        return;
    }
    give_keys_back(store, &batch).await;
    for waiting in batch {
        drop(waiting.reply.send(Err(SubmitError::TooManyTasks)));
    }
}

/// Whether it is known what became of them.
async fn store_and_enqueue(store: &TaskEngine, mut batch: Vec<Waiting>, taken: Taken) -> bool {
    if batch.is_empty() {
        return true;
    }
    let storing = store.records().insert(records(&batch));
    let there = match taken.within(STORED_WITHIN, "storing tasks", storing).await {
        Ok(there) => there,
        Err(error) => {
            // Nobody knows what was stored, or will be. What is, is swept into the queue, and found by a repetition of its
            // request; what is not leaves keys without a task, which the next request takes over, and places, which the sweeper
            // gives back.
            refuse_all(batch, &error);
            return false;
        }
    };
    let mut all_known = true;
    if !there.is_empty() {
        let fenced = fenced_off(store, &batch, there).await;
        all_known = fenced.is_empty();
        let (lost, stored): (Vec<_>, Vec<_>) =
            batch.into_iter().enumerate().partition(|(index, _)| fenced.contains(index));
        refuse_all(lost.into_iter().map(|(_, waiting)| waiting).collect(), &StoreError::Overloaded);
        batch = stored.into_iter().map(|(_, waiting)| waiting).collect();
    }
    let mut by_pool: HashMap<_, Vec<&TaskRecord>> = HashMap::new();
    for record in records(&batch) {
        by_pool.entry(record.pool).or_default().push(record);
    }
    for (pool, records) in by_pool {
        enqueue(store, pool, &records).await;
    }
    for waiting in batch {
        drop(waiting.reply.send(Ok(Submitted { record: waiting.record, created: true })));
    }
    all_known
}

/// Of those that were `there` already: which were not stored by an earlier try, but lost their keys to another request.
async fn fenced_off(store: &TaskEngine, batch: &[Waiting], there: Vec<usize>) -> HashSet<usize> {
    let mut fenced = HashSet::new();
    for index in there {
        let Some(waiting) = batch.get(index) else { continue };
        if !matches!(store.records().get(waiting.record.id).await, Ok(Some(_))) {
            fenced.insert(index);
        }
    }
    fenced
}

async fn enqueue(store: &TaskEngine, pool: Pool, records: &[&TaskRecord]) {
    if let Err(error) = store.queue(pool).enqueue(records.iter().copied()).await {
        tracing::warn!(tasks = records.len(), %error, "accepted tasks are not in the queue yet");
        enqueue_later(store, pool, records.iter().copied().cloned().collect());
    }
}

/// Best effort: a key without a task is taken over once it is too old to be under way.
async fn give_keys_back(store: &TaskEngine, batch: &[Waiting]) {
    if let Err(error) = store.records().keys.give_all_back(UniqueKeys::held_by(records(batch))).await {
        tracing::warn!(%error, "requests that were refused hold their keys for some seconds");
    }
}

/// MongoDB failed: perhaps they were taken, and only the answer is lost.
fn give_keys_back_later(store: &TaskEngine, held: Document) {
    static RETRY: BackgroundRetry = BackgroundRetry::new(AGAIN_AT_ONCE, AGAIN_TRIES);
    let keys = store.records().keys.clone();
    RETRY.spawn(move || {
        let (keys, held) = (keys.clone(), held.clone());
        async move { keys.give_all_back(held).await.is_ok() }
    });
}

/// Redis failed: the same of places.
fn withdraw_later(store: &TaskEngine, wanted: Vec<QuotaRequest>) {
    static RETRY: BackgroundRetry = BackgroundRetry::new(AGAIN_AT_ONCE, AGAIN_TRIES);
    let (admission, wanted) = (store.quota().clone(), Arc::new(wanted));
    RETRY.spawn(move || {
        let (admission, wanted) = (admission.clone(), Arc::clone(&wanted));
        async move { admission.withdraw(&wanted).await.is_ok() }
    });
}

/// Accepted tasks start as soon as Redis is back. What is left after all tries is the sweeper's.
fn enqueue_later(store: &TaskEngine, pool: Pool, records: Vec<TaskRecord>) {
    static RETRY: BackgroundRetry = BackgroundRetry::new(AGAIN_AT_ONCE, AGAIN_TRIES);
    let (queue, records) = (store.queue(pool).clone(), Arc::new(records));
    RETRY.spawn(move || {
        let (queue, records) = (queue.clone(), Arc::clone(&records));
        // Those that were cancelled meanwhile are found ended by the worker that claims them.
        async move { queue.enqueue(records.iter()).await.is_ok() }
    });
}

fn refuse_all(batch: Vec<Waiting>, error: &StoreError) {
    for waiting in batch {
        drop(waiting.reply.send(Err(SubmitError::Store(error.clone()))));
    }
}
