//! Batched reads and changes of documents.

use super::changes::{self, Change};
use super::workers::{Reply, ask, batch_workers, in_time, refuse};
use crate::error::StoreError;
use candlemill_shared::Clock;
use mongodb::Database;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::Error;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a read found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The document; `None`: there is none.
    pub document: Option<RawDocumentBuf>,
    /// When it was read, UTC ms: the same for all of a batch, so that what follows from them says the same.
    pub at: i64,
}

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
