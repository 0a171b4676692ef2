//! Keys that only one task may hold: the fingerprint of a request under way, an `Idempotency-Key`.
//!
//! They are documents of their own with the key as `_id`, so that no unique index stands on the records themselves. A
//! key is taken before the record is stored and given back after the record has ended. What a crash leaves behind heals
//! itself: a key whose task has ended or never came to be is taken over by the next who wants it, and goes a day later.

use candlemill_db::{StoreError, duplicates};
use candlemill_shared::task::{TaskHead, TaskId, TaskRecord};
use futures::TryStreamExt;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::{Collection, Database};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::mpsc;

/// Keys that only one task may hold.
pub(crate) const TASK_KEYS: &str = "task_keys";
/// An `Idempotency-Key` is honoured this long, ms.
const IDEMPOTENCY_MS: i64 = 86_400_000;

#[derive(Debug, Clone)]
pub(crate) struct UniqueKeys {
    keys: Collection<Document>,
    later: mpsc::Sender<GivenBack>,
}

/// Keys that may wait to be given back, and how many go in one command.
const GIVEN_BACK_LATER: usize = 8_192;
const GROUP: usize = 1_024;
/// A group gathers this long.
const GATHERING: Duration = Duration::from_millis(50);

/// A key of a task that has ended.
#[derive(Debug)]
struct GivenBack {
    key: String,
    task: TaskId,
    /// When the task was replayed last, and took the key again for that; UTC ms.
    replayed_at: Option<i64>,
}

/// Those of `keys` that one of `holders` holds.
pub(crate) fn held(mut keys: Vec<String>, mut holders: Vec<String>) -> Document {
    keys.sort_unstable();
    holders.sort_unstable();
    doc! { "_id": { "$in": keys }, "task": { "$in": holders } }
}

/// The task may be replayed meanwhile, and hold the key anew: that one stays.
async fn give_back_in_groups(keys: Collection<Document>, mut waiting: mpsc::Receiver<GivenBack>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        let (replayed, once): (Vec<_>, Vec<_>) = group.drain(..).partition(|one| one.replayed_at.is_some());
        let (ids, holders): (Vec<String>, Vec<String>) =
            once.into_iter().map(|one| (one.key, one.task.to_string())).unzip();
        // One statement, one journal write. All of these tasks have ended, so each of them may lose any of the keys.
        let mut first = held(ids, holders);
        first.insert("replay", doc! { "$ne": true });
        let again = replayed.into_iter().map(|one| {
            let mut held = held(vec![one.key], vec![one.task.to_string()]);
            held.insert("taken_at", doc! { "$lte": one.replayed_at });
            held
        });
        for held in std::iter::once(first).chain(again) {
            if let Err(error) = keys.delete_many(held).await {
                tracing::debug!(%error, "ended tasks still hold their keys");
            }
        }
        tokio::time::sleep(GATHERING).await;
    }
}

/// Who holds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) task: TaskId,
    /// Of the request; only with an `Idempotency-Key`.
    pub(crate) fingerprint: String,
    /// UTC ms.
    pub(crate) taken_at: i64,
    /// UTC ms; only with an `Idempotency-Key`.
    pub(crate) expires_at: Option<i64>,
    /// Whether it was taken for a task that had ended before.
    pub(crate) is_replay: bool,
}

pub(crate) fn active(fingerprint: &str) -> String {
    format!("active:{fingerprint}")
}

pub(crate) fn idempotency(hash: &str) -> String {
    format!("idempotency:{hash}")
}

impl UniqueKeys {
    pub(crate) fn new(database: &Database) -> Self {
        let (later, waiting) = mpsc::channel(GIVEN_BACK_LATER);
        let keys: Collection<Document> = database.collection(TASK_KEYS);
        tokio::spawn(give_back_in_groups(keys.clone(), waiting));
        Self { keys, later }
    }

    pub(crate) const fn collection(&self) -> &Collection<Document> {
        &self.keys
    }

    /// The keys that `record` needs, taken at `now_ms`. The task of a fire needs none: its id says which fire it is, and it stands for
    /// no other request.
    fn documents(record: &TaskRecord, now_ms: i64) -> Vec<Document> {
        if record.schedule.is_some() {
            return Vec::new();
        }
        let document = |id: String| {
            doc! { "_id": id, "task": record.id.to_string(), "taken_at": now_ms }
        };
        let mut documents = vec![document(active(&record.fingerprint))];
        documents.extend(Self::idempotency_of(record, record.id, now_ms));
        documents
    }

    /// The `Idempotency-Key` of the request `record`, where it has one, as `task` holds it.
    fn idempotency_of(record: &TaskRecord, task: TaskId, now_ms: i64) -> Option<Document> {
        let key = idempotency(record.idempotency.as_ref()?);
        Some(doc! {
            "_id": key, "task": task.to_string(), "taken_at": now_ms, "fingerprint": &record.fingerprint,
            "expires_at": DateTime::from_millis(record.created_at.saturating_add(IDEMPOTENCY_MS)),
        })
    }

    /// Lets the `Idempotency-Key` of the request `record`, where it has one, stand for `task`, which the request is answered with.
    /// `false`: the key stands for something already.
    pub(crate) async fn bind(&self, record: &TaskRecord, task: TaskId, now_ms: i64) -> Result<bool, StoreError> {
        let Some(key) = Self::idempotency_of(record, task, now_ms) else { return Ok(true) };
        let bound = self.keys.insert_many([key]).ordered(false).await;
        Ok(duplicates(bound, "binding an Idempotency-Key")?.is_empty())
    }

    /// Those of `records` whose key another task holds.
    pub(crate) async fn lost_by(&self, tasks: &[&TaskHead]) -> Result<HashSet<TaskId>, StoreError> {
        const READING: &str = "reading who holds the keys of tasks";
        let mut ids: Vec<String> = tasks.iter().map(|task| active(&task.fingerprint)).collect();
        ids.sort_unstable();
        let found = self.keys.find(doc! { "_id": { "$in": ids } }).await.map_err(StoreError::mongo(READING))?;
        let found: Vec<Document> = found.try_collect().await.map_err(StoreError::mongo(READING))?;
        let part = |key: &Document, name: &str| key.get_str(name).map(str::to_owned).ok();
        let holders: HashMap<String, String> =
            found.iter().filter_map(|key| Some((part(key, "_id")?, part(key, "task")?))).collect();
        let is_lost = |task: &&&TaskHead| {
            let holder = holders.get(&active(&task.fingerprint));
            holder.is_some_and(|holder| *holder != task.id.to_string())
        };
        Ok(tasks.iter().filter(is_lost).map(|task| task.id).collect())
    }

    /// The key that `record` needs again when it is replayed.
    pub(crate) fn of_replay(record: &TaskRecord, now_ms: i64) -> Document {
        doc! {
            "_id": active(&record.fingerprint), "task": record.id.to_string(), "taken_at": now_ms, "replay": true,
        }
    }

    pub(crate) async fn holder(&self, key: &str) -> Result<Option<Holder>, StoreError> {
        let found = self.keys.find_one(doc! { "_id": key }).await.map_err(StoreError::mongo("reading a task's key"))?;
        let Some(found) = found else { return Ok(None) };
        let unreadable = || StoreError::corrupt("a task's key", key);
        Ok(Some(Holder {
            task: found.get_str("task").ok().and_then(|id| id.parse().ok()).ok_or_else(unreadable)?,
            fingerprint: found.get_str("fingerprint").unwrap_or_default().to_owned(),
            taken_at: found.get_i64("taken_at").map_err(|_| unreadable())?,
            expires_at: found.get_datetime("expires_at").ok().map(|at| at.timestamp_millis()),
            is_replay: found.get_bool("replay").unwrap_or(false),
        }))
    }

    /// Gives `key` back if `task` holds it.
    pub(crate) async fn give_back(&self, key: &str, task: TaskId) -> Result<(), StoreError> {
        self.give_all_back(held(vec![key.to_owned()], vec![task.to_string()])).await
    }

    /// Gives `key` back soon, together with others, if `task` holds it. Best effort: a key of an ended task is taken over by
    /// the next that wants it.
    pub(crate) fn give_back_later(&self, key: String, task: TaskId, replayed_at: Option<i64>) {
        drop(self.later.try_send(GivenBack { key, task, replayed_at }));
    }

    /// Takes all keys of `records`, at `now_ms`. Returns the positions of those that lack one, because others hold it.
    pub(crate) async fn take<'a>(
        &self,
        records: impl IntoIterator<Item = &'a TaskRecord>,
        now_ms: i64,
    ) -> Result<HashSet<usize>, StoreError> {
        let (keys, holders): (Vec<Document>, Vec<usize>) = records
            .into_iter()
            .enumerate()
            .flat_map(|(index, record)| Self::documents(record, now_ms).into_iter().map(move |key| (key, index)))
            .unzip();
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let taken = duplicates(self.keys.insert_many(&keys).ordered(false).await, "taking the keys of tasks")?;
        Ok(taken.iter().filter_map(|key| holders.get(*key).copied()).collect())
    }

    /// Whatever `records`, which are not stored, may hold.
    pub(crate) fn held_by<'a>(records: impl IntoIterator<Item = &'a TaskRecord>) -> Document {
        let (mut keys, mut holders) = (Vec::new(), Vec::new());
        for record in records {
            keys.push(active(&record.fingerprint));
            keys.extend(record.idempotency.as_deref().map(idempotency));
            holders.push(record.id.to_string());
        }
        held(keys, holders)
    }

    /// Gives back what is `held`, as [`Self::held_by`] says it.
    pub(crate) async fn give_all_back(&self, held: Document) -> Result<(), StoreError> {
        self.keys.delete_many(held).await.map(drop).map_err(StoreError::mongo("giving keys of tasks back"))
    }
}
