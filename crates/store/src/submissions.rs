//! Accepting tasks: each durable before its caller is told so, many in one journal write.
//!
//! Order: places of the owners in Redis (nothing is written when Redis is away), then the records in MongoDB, then the
//! queue. A record that does not reach the queue is put there by the sweeper.

use crate::error::StoreError;
use crate::store::Store;
use crate::tasks::to_document;
use candlemill_shared::task::{TaskId, TaskRecord};
use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use std::collections::{HashMap, HashSet};
use tokio::sync::{mpsc, oneshot};

/// Submissions that may wait for their batch.
const WAITING: usize = 4_096;
/// Records of one journal write.
const BATCH: usize = 512;
/// Batches that are written at once: one waits for the journal while the next is made ready.
const WRITERS: usize = 2;
/// An `Idempotency-Key` is honoured this long.
const IDEMPOTENCY_MS: i64 = 86_400_000;
const DUPLICATE_KEY: i32 = 11_000;

/// An accepted task.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// The new record, or the older one that the request stands for.
    pub record: TaskRecord,
    /// Whether it is new.
    pub created: bool,
}

/// Why a task was not accepted. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The owner has as many tasks under way as the tier allows.
    #[error("too many tasks are under way")]
    TooManyJobs,
    /// The key was used for another request within 24 hours.
    #[error("the Idempotency-Key was used for another request (task {0})")]
    IdempotencyConflict(TaskId),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Waiting {
    record: TaskRecord,
    jobs_at_once: u32,
    reply: oneshot::Sender<Result<Submitted, SubmitError>>,
}

/// The way in for new tasks.
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
    pub fn start(store: &Store) -> Self {
        let (inbox, waiting) = mpsc::channel(WAITING);
        let waiting = std::sync::Arc::new(tokio::sync::Mutex::new(waiting));
        for _ in 0..WRITERS {
            let (store, waiting) = (store.clone(), std::sync::Arc::clone(&waiting));
            tokio::spawn(async move {
                loop {
                    let mut batch = Vec::with_capacity(BATCH);
                    // Whoever holds the lock takes all that waits; the other is busy writing or queues for the lock.
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

async fn accept(store: &Store, batch: Vec<Waiting>) {
    let batch = match reserve(store, batch).await {
        Ok(batch) => batch,
        Err(()) => return,
    };
    let batch = insert(store, batch).await;
    if batch.is_empty() {
        return;
    }
    let created: Vec<TaskRecord> = batch.iter().map(|waiting| waiting.record.clone()).collect();
    let mut by_pool: HashMap<_, Vec<TaskRecord>> = HashMap::new();
    for record in created {
        by_pool.entry(record.pool).or_default().push(record);
    }
    for (pool, records) in by_pool {
        if let Err(error) = store.queue(pool).enqueue(&records).await {
            tracing::warn!(tasks = records.len(), %error, "accepted tasks wait for the sweeper to put them into the queue");
        }
    }
    for waiting in batch {
        drop(waiting.reply.send(Ok(Submitted { record: waiting.record, created: true })));
    }
}

fn refuse_all(batch: Vec<Waiting>, error: StoreError) {
    let mut error = Some(error);
    for waiting in batch {
        // One cause, many callers: the first hears it whole, and all of them hear which store it was.
        let heard = error.take().unwrap_or(StoreError::Overloaded);
        drop(waiting.reply.send(Err(SubmitError::Store(heard))));
    }
}

/// Keeps those whose owners have a place left, refuses the others.
async fn reserve(store: &Store, batch: Vec<Waiting>) -> Result<Vec<Waiting>, ()> {
    let wanted: Vec<_> = batch.iter().map(|w| (w.record.owner.clone(), w.record.id, w.jobs_at_once)).collect();
    let mut places = match store.admission().reserve(&wanted).await {
        Ok(places) => places,
        Err(error) => {
            refuse_all(batch, error);
            return Err(());
        }
    };
    // Before anybody is refused the count is compared with the records: Redis may remember tasks that have ended.
    let doubted: HashSet<&str> =
        batch.iter().zip(&places).filter(|(_, place)| !**place).map(|(w, _)| w.record.owner.as_str()).collect();
    for owner in doubted {
        let recounted = async {
            let in_flight = store.tasks().in_flight_of(owner).await?;
            // Those of this very batch are not stored yet.
            let ours = batch.iter().zip(&places).filter(|(w, place)| **place && w.record.owner == owner);
            let all: Vec<TaskId> = in_flight.into_iter().chain(ours.map(|(w, _)| w.record.id)).collect();
            store.admission().recount(owner, &all).await
        };
        if let Err(error) = recounted.await {
            tracing::warn!(%error, "the number of tasks under way could not be checked");
        }
    }
    if places.contains(&false) {
        match store.admission().reserve(&wanted).await {
            Ok(again) => places = again,
            Err(error) => {
                refuse_all(batch, error);
                return Err(());
            }
        }
    }
    let (kept, refused): (Vec<_>, Vec<_>) = batch.into_iter().zip(places).partition(|(_, place)| *place);
    for (waiting, _) in refused {
        // The same request under way is no further task: it is answered whatever the count.
        let answer = match existing(store, &waiting.record).await {
            Ok(Some(found)) => Ok(Submitted { record: found, created: false }),
            Ok(None) => Err(SubmitError::TooManyJobs),
            Err(error) => Err(error),
        };
        drop(waiting.reply.send(answer));
    }
    Ok(kept.into_iter().map(|(waiting, _)| waiting).collect())
}

/// Stores the records. Answers those that stand for an older task or failed, and returns the others.
async fn insert(store: &Store, batch: Vec<Waiting>) -> Vec<Waiting> {
    if batch.is_empty() {
        return batch;
    }
    let documents: Result<Vec<Document>, StoreError> = batch.iter().map(|w| to_document(&w.record)).collect();
    let outcome = match documents {
        Ok(documents) => store.tasks().records.insert_many(&documents).ordered(false).await,
        Err(error) => {
            release(store, &batch).await;
            refuse_all(batch, error);
            return Vec::new();
        }
    };
    let Err(error) = outcome else { return batch };
    let refused: Option<HashSet<usize>> = match error.kind.as_ref() {
        ErrorKind::InsertMany(failure) if failure.write_concern_error.is_none() => failure
            .write_errors
            .as_deref()
            .filter(|failed| failed.iter().all(|e| e.code == DUPLICATE_KEY))
            .map(|failed| failed.iter().map(|e| e.index).collect()),
        _ => None,
    };
    let Some(refused) = refused else {
        // Unknown whether some were stored: a stored one is swept into the queue, and a repetition finds it.
        release(store, &batch).await;
        refuse_all(batch, StoreError::mongo("storing tasks")(error));
        return Vec::new();
    };
    let (doubles, created): (Vec<_>, Vec<_>) =
        batch.into_iter().enumerate().partition(|(index, _)| refused.contains(index));
    let doubles: Vec<Waiting> = doubles.into_iter().map(|(_, waiting)| waiting).collect();
    release(store, &doubles).await;
    for waiting in doubles {
        let answer = stand_for(store, &waiting.record).await;
        drop(waiting.reply.send(answer));
    }
    created.into_iter().map(|(_, waiting)| waiting).collect()
}

async fn release(store: &Store, batch: &[Waiting]) {
    let places: Vec<_> = batch.iter().map(|w| (w.record.owner.clone(), w.record.id)).collect();
    if let Err(error) = store.admission().release(&places).await {
        tracing::warn!(%error, "places of tasks that were not accepted stay taken until they are recounted");
    }
}

/// The older task that `record` was refused for; where it ended meanwhile, `record` is stored after all.
async fn stand_for(store: &Store, record: &TaskRecord) -> Result<Submitted, SubmitError> {
    for _ in 0..5 {
        if let Some(found) = existing(store, record).await? {
            return Ok(Submitted { record: found, created: false });
        }
        let inserted = store.tasks().records.insert_one(to_document(record)?).await;
        match inserted {
            Ok(_) => {
                if let Err(error) = store.queue(record.pool).enqueue(std::slice::from_ref(record)).await {
                    tracing::warn!(task.id = %record.id, %error, "an accepted task waits for the sweeper");
                }
                return Ok(Submitted { record: record.clone(), created: true });
            }
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(StoreError::mongo("storing a task")(error).into()),
        }
    }
    Err(StoreError::Overloaded.into())
}

async fn existing(store: &Store, record: &TaskRecord) -> Result<Option<TaskRecord>, SubmitError> {
    if let Some(key) = &record.idempotency
        && let Some(found) = store.tasks().find_one(doc! { "idempotency": key }).await?
    {
        if record.created_at - found.created_at >= IDEMPOTENCY_MS {
            let id = found.id.to_string();
            let unset = doc! { "$unset": { "idempotency": "" } };
            let freed = store.tasks().records.update_one(doc! { "_id": id }, unset).await;
            freed.map_err(StoreError::mongo("freeing an Idempotency-Key"))?;
        } else if found.fingerprint == record.fingerprint {
            return Ok(Some(found));
        } else {
            return Err(SubmitError::IdempotencyConflict(found.id));
        }
    }
    Ok(store.tasks().find_one(doc! { "active": &record.fingerprint }).await?)
}

fn is_duplicate(error: &mongodb::error::Error) -> bool {
    use mongodb::error::WriteFailure;
    matches!(error.kind.as_ref(), ErrorKind::Write(WriteFailure::WriteError(failure)) if failure.code == DUPLICATE_KEY)
}
