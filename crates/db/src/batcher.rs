//! Reads and changes of single documents, many in one command: one round trip and one journal write for all of them.
//!
//! A caller waits for the command that carries its part, no longer: a batch is what came while the one before was
//! under way. No transaction spans them: one that a killed process leaves open locks its documents for a minute.
//!
//! Lists of ids are sent sorted: a server that plans a question sorts them, several times over (`secantusd-rs` does).

mod changes;

use crate::error::StoreError;
use candlemill_shared::Clock;
use mongodb::Database;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::Error;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};

pub use changes::Change;

/// Questions that may wait for their batch.
const WAITING: usize = 8_192;
/// Questions of one command.
const BATCH: usize = 500;
/// Longest wait for the answer to a command.
const LONGEST: Duration = Duration::from_secs(10);

/// What a read found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The document; `None`: there is none.
    pub document: Option<RawDocumentBuf>,
    /// When it was read, UTC ms: the same for all of a batch, so that what follows from them says the same.
    pub at: i64,
}

/// Where the answer to a question goes.
pub type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Batched reads and changes of one collection's documents.
#[derive(Clone)]
pub struct Batcher {
    reads: mpsc::Sender<(String, Reply<Found>)>,
    changes: mpsc::Sender<(Change, Reply<bool>)>,
}

impl std::fmt::Debug for Batcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Batcher")
    }
}

impl Batcher {
    /// Starts its batch workers. They end when the last handle is dropped.
    #[must_use]
    pub fn start(database: &Database, collection: &'static str, clock: Arc<dyn Clock>) -> Self {
        let (read, write) = (database.clone(), database.clone());
        Self {
            reads: batch_workers(1, move |batch| read_batch(read.clone(), collection, Arc::clone(&clock), batch)),
            changes: batch_workers(1, move |batch| changes::carry_out(write.clone(), collection, batch)),
        }
    }

    /// The document with this `_id`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn read(&self, id: String) -> Result<Found, StoreError> {
        ask(&self.reads, id).await
    }

    /// Changes a document if it is as the change wants it. Whether it was, and the change is in the journal.
    ///
    /// # Errors
    /// When MongoDB fails: whether it was carried out is not known then.
    pub async fn change(&self, change: Change) -> Result<bool, StoreError> {
        ask(&self.changes, change).await
    }
}

/// Puts a question to its batch workers and waits for the answer.
///
/// # Errors
/// When the call that carried it failed.
pub async fn ask<Q, A>(inbox: &mpsc::Sender<(Q, Reply<A>)>, question: Q) -> Result<A, StoreError> {
    let (reply, answer) = oneshot::channel();
    inbox.send((question, reply)).await.map_err(|_| StoreError::Overloaded)?;
    answer.await.unwrap_or(Err(StoreError::Overloaded))
}

/// Workers that `serve` batches of what comes: as many calls are under way at once. One makes for the largest batchs, two for the
/// shortest waits. They end when the last sender is dropped.
pub fn batch_workers<T, F>(workers: usize, serve: impl Fn(Vec<T>) -> F + Clone + Send + 'static) -> mpsc::Sender<T>
where
    T: Send + 'static,
    F: Future<Output = ()> + Send,
{
    let (inbox, waiting) = mpsc::channel(WAITING);
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..workers {
        let (serve, waiting) = (serve.clone(), Arc::clone(&waiting));
        tokio::spawn(async move {
            loop {
                let mut batch = Vec::new();
                // The one that holds the lock takes all that waits; the others are under way or queue for the lock.
                if waiting.lock().await.recv_many(&mut batch, BATCH).await == 0 {
                    return;
                }
                serve(batch).await;
            }
        });
    }
    inbox
}

/// Parts of a batch in which no key comes twice, in order.
#[must_use]
pub fn without_conflicts<T, K: Eq + Hash>(batch: Vec<T>, key: impl Fn(&T) -> K) -> Vec<Vec<T>> {
    let mut parts = Vec::new();
    let mut rest = batch;
    while !rest.is_empty() {
        let mut seen = HashSet::with_capacity(rest.len());
        let (now, later) = rest.into_iter().partition(|one| seen.insert(key(one)));
        parts.push(now);
        rest = later;
    }
    parts
}

async fn read_batch(
    database: Database,
    collection: &'static str,
    clock: Arc<dyn Clock>,
    batch: Vec<(String, Reply<Found>)>,
) {
    let found = async {
        let mut ids: Vec<&str> = batch.iter().map(|(id, _)| id.as_str()).collect();
        ids.sort_unstable();
        let mut cursor = database.collection::<Document>(collection).find(doc! { "_id": { "$in": ids } }).await?;
        let mut found = HashMap::with_capacity(batch.len());
        while cursor.advance().await? {
            let document = cursor.current();
            found.insert(document.get_str("_id").unwrap_or_default().to_owned(), document.to_owned());
        }
        Ok::<_, Error>(found)
    };
    match in_time(found).await {
        Ok(found) => {
            let at = clock.now_ms();
            for (id, reply) in batch {
                drop(reply.send(Ok(Found { document: found.get(&id).cloned(), at })));
            }
        }
        Err(error) => refuse(batch.into_iter().map(|(_, reply)| reply), &error, "reading records"),
    }
}

/// Gives a command up whose connection has died silently: others wait behind it. Whether it was carried out is not known then.
async fn in_time<T>(command: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(LONGEST, command).await.unwrap_or_else(|_| {
        let why = format!("no answer within {} s", LONGEST.as_secs());
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, why).into())
    })
}

/// Tells all of a batch why it failed.
pub(crate) fn refuse<A>(batch: impl IntoIterator<Item = Reply<A>>, error: &Error, action: &'static str) {
    for reply in batch {
        drop(reply.send(Err(StoreError::mongo(action)(error.clone()))));
    }
}
