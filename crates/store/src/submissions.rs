//! Accepting tasks: each durable before its caller is told so, many in one journal write.
//!
//! Order: places of the owners in Redis (nothing is written when Redis is away), then the records in MongoDB, then the
//! queue. A record that does not reach the queue is put there by the sweeper.

use crate::admission::Reservation;
use crate::error::{StoreError, duplicates};
use crate::store::Store;
use crate::task_keys::{self, Holder, IDEMPOTENCY_MS, TaskKeys};
use candlemill_shared::job::Pool;
use candlemill_shared::task::{TaskId, TaskRecord};
use mongodb::bson::Document;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Submissions that may wait for their batch.
const WAITING: usize = 4_096;
/// Records of one journal write.
const BATCH: usize = 512;
/// Batches that are written at once: while one waits for the journal, others are made ready or put into the queue.
const WRITERS: usize = 3;
/// Looks at a key whose task is being stored by somebody else.
pub(crate) const TRIES: usize = 50;
pub(crate) const BETWEEN_TRIES: Duration = Duration::from_millis(20);
/// A key without a record was left by a crash when it is older than this.
const UNDER_WAY_MS: i64 = 10_000;
const TAKING: &str = "taking the keys of tasks";
/// Batches that were stored, but not put into the queue, and are tried again at once.
const ENQUEUED_LATER: usize = 64;
/// Tries, and the wait before each: together as long as the sweeper waits for a record to reach the queue.
const ENQUEUE_TRIES: u32 = 32;
const ENQUEUE_AGAIN: Duration = Duration::from_millis(250);

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
    let wanted: Vec<_> = batch.iter().map(|w| (w.record.owner.clone(), w.record.id, w.jobs_at_once)).collect();
    let reservation = Reservation::of(&wanted);
    // Where it failed nobody knows which places are taken: that is left to the sweeper.
    if let Ok(batch) = reserve(store, batch, &wanted, &reservation).await {
        store_and_enqueue(store, batch).await;
        store.strike_out(&reservation).await;
    }
}

async fn store_and_enqueue(store: &Store, batch: Vec<Waiting>) {
    let batch = insert(store, batch).await;
    if batch.is_empty() {
        return;
    }
    let mut by_pool: HashMap<_, Vec<&TaskRecord>> = HashMap::new();
    for waiting in &batch {
        by_pool.entry(waiting.record.pool).or_default().push(&waiting.record);
    }
    for (pool, records) in by_pool {
        if let Err(error) = store.queue(pool).enqueue(&records).await {
            tracing::warn!(tasks = records.len(), %error, "accepted tasks are not in the queue yet");
            enqueue_later(store, pool, records.into_iter().cloned().collect());
        }
    }
    for waiting in batch {
        drop(waiting.reply.send(Ok(Submitted { record: waiting.record, created: true })));
    }
}

/// Goes on trying for a while, so that accepted tasks start as soon as Redis is back. What is left is the sweeper's.
fn enqueue_later(store: &Store, pool: Pool, records: Vec<TaskRecord>) {
    static PLACES: Semaphore = Semaphore::const_new(ENQUEUED_LATER);
    let Ok(place) = PLACES.try_acquire() else { return };
    let store = store.clone();
    tokio::spawn(async move {
        let _place = place;
        let records: Vec<&TaskRecord> = records.iter().collect();
        for _ in 0..ENQUEUE_TRIES {
            tokio::time::sleep(ENQUEUE_AGAIN).await;
            // Those that were cancelled meanwhile are found ended by whoever claims them.
            if store.queue(pool).enqueue(&records).await.is_ok() {
                return;
            }
        }
        tracing::warn!(tasks = records.len(), "accepted tasks wait for the sweeper to put them into the queue");
    });
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
async fn reserve(
    store: &Store,
    batch: Vec<Waiting>,
    wanted: &[(String, TaskId, u32)],
    reservation: &Reservation,
) -> Result<Vec<Waiting>, ()> {
    let mut places = match store.admission().reserve(wanted, reservation).await {
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
        match store.admission().reserve(wanted, reservation).await {
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

/// Takes the keys and stores the records. Answers those that stand for an older task or failed, returns the others.
async fn insert(store: &Store, batch: Vec<Waiting>) -> Vec<Waiting> {
    if batch.is_empty() {
        return batch;
    }
    let (keys, owners): (Vec<Document>, Vec<usize>) = batch
        .iter()
        .enumerate()
        .flat_map(|(index, waiting)| TaskKeys::documents(&waiting.record).into_iter().map(move |key| (key, index)))
        .unzip();
    let taken = match duplicates(store.tasks().keys.collection().insert_many(&keys).ordered(false).await, TAKING) {
        Ok(taken) => taken,
        Err(error) => return give_up(store, batch, error).await,
    };
    let doubles: HashSet<usize> = taken.iter().filter_map(|key| owners.get(*key).copied()).collect();
    let (doubles, created): (Vec<_>, Vec<_>) =
        batch.into_iter().enumerate().partition(|(index, _)| doubles.contains(index));
    let created: Vec<Waiting> = created.into_iter().map(|(_, waiting)| waiting).collect();
    let created = write(store, created).await;
    // After the others are stored: a double may be one of a request in this very batch.
    for (_, waiting) in doubles {
        let answer = stand_for(store, &waiting.record).await;
        if !matches!(&answer, Ok(submitted) if submitted.created) {
            release(store, std::slice::from_ref(&waiting)).await;
        }
        drop(waiting.reply.send(answer));
    }
    created
}

async fn write(store: &Store, batch: Vec<Waiting>) -> Vec<Waiting> {
    if batch.is_empty() {
        return batch;
    }
    match store.tasks().insert(batch.iter().map(|waiting| &waiting.record)).await {
        Ok(()) => batch,
        Err(error) => give_up(store, batch, error).await,
    }
}

/// Nobody knows what was stored. What was is swept into the queue, and found by a repetition of its request; what was
/// not leaves keys without a task, which the next request takes over.
async fn give_up(store: &Store, batch: Vec<Waiting>, error: StoreError) -> Vec<Waiting> {
    release(store, &batch).await;
    refuse_all(batch, error);
    Vec::new()
}

async fn release(store: &Store, batch: &[Waiting]) {
    let places: Vec<_> = batch.iter().map(|w| (w.record.owner.clone(), w.record.id)).collect();
    if let Err(error) = store.admission().release(&places).await {
        tracing::warn!(%error, "places of tasks that were not accepted stay taken until they are recounted");
    }
}

impl Store {
    /// What became of the tasks is known. Best effort: the sweeper sees after what is left.
    pub(crate) async fn strike_out(&self, reservation: &Reservation) {
        if let Err(error) = self.admission().kept(reservation).await {
            tracing::debug!(%error, "the sweeper sees after a reservation");
        }
    }

    /// Gives places back that were reserved for tasks which were never stored: whoever reserved them died before he could.
    /// Returns how many.
    ///
    /// # Errors
    /// When a store fails.
    pub async fn free_places_left_behind(&self) -> Result<usize, StoreError> {
        let mut freed = 0;
        for reservation in self.admission().left_behind(self.clock().now_ms() - UNDER_WAY_MS).await? {
            let places = reservation.places();
            let ids: Vec<String> = places.iter().map(|(_, id)| id.to_string()).collect();
            let stored = self.tasks().ids_in_flight(&ids).await?;
            let unused: Vec<_> = places.into_iter().filter(|(_, id)| !stored.contains(id)).collect();
            self.admission().release(&unused).await?;
            self.admission().kept(&reservation).await?;
            freed += unused.len();
        }
        Ok(freed)
    }
}

/// The older task that `record` was refused for; where that one has ended meanwhile, `record` is stored after all.
async fn stand_for(store: &Store, record: &TaskRecord) -> Result<Submitted, SubmitError> {
    let keys = &store.tasks().keys;
    // Of its keys some may have been free: they are not kept for a task that does not come.
    keys.give_all_back(record).await?;
    for _ in 0..TRIES {
        if let Some(found) = existing(store, record).await? {
            return Ok(Submitted { record: found, created: false });
        }
        let wanted = TaskKeys::documents(record);
        if !duplicates(keys.collection().insert_many(&wanted).ordered(false).await, TAKING)?.is_empty() {
            // Somebody was quicker, and its record is about to be there.
            keys.give_all_back(record).await?;
            tokio::time::sleep(BETWEEN_TRIES).await;
            continue;
        }
        store.tasks().insert([record]).await?;
        if let Err(error) = store.queue(record.pool).enqueue(&[record]).await {
            tracing::warn!(task.id = %record.id, %error, "an accepted task waits for the sweeper");
        }
        return Ok(Submitted { record: record.clone(), created: true });
    }
    Err(StoreError::Overloaded.into())
}

/// The task that a request like `record` stands for. Keys of tasks that have ended, or never came to be, are freed.
pub(crate) async fn existing(store: &Store, record: &TaskRecord) -> Result<Option<TaskRecord>, SubmitError> {
    if let Some(hash) = &record.idempotency {
        let key = task_keys::idempotency(hash);
        if let Some((holder, found)) = held(store, &key, record.created_at).await? {
            if record.created_at - holder.taken_at >= IDEMPOTENCY_MS {
                store.tasks().keys.give_back(&key, holder.task).await?;
            } else if holder.fingerprint == record.fingerprint {
                return Ok(Some(found));
            } else {
                return Err(SubmitError::IdempotencyConflict(holder.task));
            }
        }
    }
    let key = task_keys::active(&record.fingerprint);
    match held(store, &key, record.created_at).await? {
        Some((_, found)) if !found.state.is_end() => Ok(Some(found)),
        Some((holder, _)) => {
            store.tasks().keys.give_back(&key, holder.task).await?;
            Ok(None)
        }
        None => Ok(None),
    }
}

/// Who holds `key`, and its record. A key whose record never came is freed once it is too old to be under way.
async fn held(store: &Store, key: &str, now_ms: i64) -> Result<Option<(Holder, TaskRecord)>, SubmitError> {
    for _ in 0..TRIES {
        let Some(holder) = store.tasks().keys.holder(key).await? else { return Ok(None) };
        let is_old = now_ms - holder.taken_at > UNDER_WAY_MS;
        if let Some(found) = store.tasks().get(holder.task).await? {
            // Taken for a task that has ended: it is about to be replayed.
            if is_old || !holder.is_replay || !found.state.is_end() {
                return Ok(Some((holder, found)));
            }
        } else if is_old {
            store.tasks().keys.give_back(key, holder.task).await?;
            return Ok(None);
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    Err(StoreError::Overloaded.into())
}
