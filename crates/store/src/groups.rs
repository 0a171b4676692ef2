//! Reads and writes of single documents, many in one command: one round trip and one journal write for all of them.
//!
//! Whoever calls waits for the command that carries its statement, no longer: a group is what came while the one before
//! was under way.

use crate::error::StoreError;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::error::{CommandError, Error, ErrorKind};
use mongodb::options::{Acknowledgment, WriteConcern};
use serde::Deserialize;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Statements that may wait for their group.
const WAITING: usize = 8_192;
/// Statements of one command.
const GROUP: usize = 256;
/// Commands under way at once: the server works on one while the next is made ready.
const LANES: usize = 2;
const DUPLICATE_KEY: i32 = 11_000;
/// "Transaction numbers are only allowed on a replica set member or mongos".
const NO_REPLICA_SET: i32 = 20;

/// What an update met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// It matched, or was upserted, and is in the journal.
    Matched,
    /// Some statements of the group matched nothing: a look at the document tells whether this was one.
    Perhaps,
    /// It tried to add a document that somebody else added at the same moment: nothing was written.
    Duplicate,
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One collection's documents.
#[derive(Clone)]
pub(crate) struct Groups {
    reads: mpsc::Sender<(String, Reply<Option<Document>>)>,
    updates: mpsc::Sender<(Document, Reply<Met>)>,
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Groups")
    }
}

impl Groups {
    /// Starts its lanes. They end when the last handle is dropped.
    pub(crate) fn start(database: &Database, collection: &'static str) -> Self {
        let read = database.clone();
        let (write, none) = (database.clone(), NoTransactions::default());
        Self {
            reads: lanes(move |group| read_group(read.clone(), collection, group)),
            updates: lanes(move |group| update_group(write.clone(), collection, Arc::clone(&none), group)),
        }
    }

    /// The document with this `_id`.
    pub(crate) async fn read(&self, id: String) -> Result<Option<Document>, StoreError> {
        ask(&self.reads, id).await
    }

    /// Carries out one statement of an `update` command: `q`, `u` and their options.
    pub(crate) async fn update(&self, statement: Document) -> Result<Met, StoreError> {
        ask(&self.updates, statement).await
    }
}

/// Puts a question to its lanes and waits for the answer.
pub(crate) async fn ask<Q, A>(inbox: &mpsc::Sender<(Q, Reply<A>)>, question: Q) -> Result<A, StoreError> {
    let (reply, answer) = oneshot::channel();
    inbox.send((question, reply)).await.map_err(|_| StoreError::Overloaded)?;
    answer.await.unwrap_or(Err(StoreError::Overloaded))
}

/// Lanes that `serve` groups of what comes. They end when the last sender is dropped.
pub(crate) fn lanes<T, F>(serve: impl Fn(Vec<T>) -> F + Clone + Send + 'static) -> mpsc::Sender<T>
where
    T: Send + 'static,
    F: Future<Output = ()> + Send,
{
    let (inbox, waiting) = mpsc::channel(WAITING);
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..LANES {
        let (serve, waiting) = (serve.clone(), Arc::clone(&waiting));
        tokio::spawn(async move {
            loop {
                let mut group = Vec::new();
                // Whoever holds the lock takes all that waits; the other is under way or queues for the lock.
                if waiting.lock().await.recv_many(&mut group, GROUP).await == 0 {
                    return;
                }
                serve(group).await;
            }
        });
    }
    inbox
}

async fn read_group(database: Database, collection: &'static str, group: Vec<(String, Reply<Option<Document>>)>) {
    let found = async {
        let ids: Vec<&str> = group.iter().map(|(id, _)| id.as_str()).collect();
        let mut cursor = database.collection::<Document>(collection).find(doc! { "_id": { "$in": ids } }).await?;
        let mut found = HashMap::with_capacity(group.len());
        while cursor.advance().await? {
            let document = cursor.deserialize_current()?;
            found.insert(document.get_str("_id").unwrap_or_default().to_owned(), document);
        }
        Ok::<_, Error>(found)
    };
    match found.await {
        Ok(found) => {
            for (id, reply) in group {
                drop(reply.send(Ok(found.get(&id).cloned())));
            }
        }
        Err(error) => refuse(group, &error, "reading records"),
    }
}

/// What a server says of an `update` command.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Updated {
    /// Statements that matched or added a document.
    n: i64,
    #[serde(default)]
    write_errors: Vec<Failed>,
    #[serde(default)]
    write_concern_error: Option<Failed>,
}

#[derive(Debug, Deserialize)]
struct Failed {
    #[serde(default)]
    index: usize,
    code: i32,
    #[serde(default, rename = "codeName")]
    name: String,
    #[serde(default, rename = "errmsg")]
    message: String,
}

/// Whether the server is known to have no transactions: a standalone one.
type NoTransactions = Arc<AtomicBool>;

/// In a transaction, so that all statements share one journal write on servers that else write one each. Where that does
/// not work out (two groups met at one document, or the server has none) each statement stands for itself.
async fn update(
    database: &Database,
    collection: &'static str,
    statements: Vec<Document>,
    none: &NoTransactions,
) -> Result<Updated, Error> {
    if statements.len() > 1 && !none.load(Ordering::Relaxed) {
        match in_transaction(database, collection, &statements).await {
            Ok(updated) => return Ok(updated),
            Err(error) => {
                if matches!(error.kind.as_ref(), ErrorKind::Command(told) if told.code == NO_REPLICA_SET) {
                    none.store(true, Ordering::Relaxed);
                }
                tracing::debug!(%error, statements = statements.len(), "a group is written without a transaction");
            }
        }
    }
    // A command that is run as such does not inherit the client's write concern.
    let command = doc! {
        "update": collection, "ordered": false, "updates": statements, "writeConcern": { "w": "majority", "j": true },
    };
    Ok(mongodb::bson::deserialize_from_document(database.run_command(command).await?)?)
}

async fn in_transaction(
    database: &Database,
    collection: &'static str,
    statements: &[Document],
) -> Result<Updated, Error> {
    let mut session = database.client().start_session().await?;
    let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
    session.start_transaction().write_concern(durable).await?;
    let command = doc! { "update": collection, "ordered": true, "updates": statements };
    let answer = database.run_command(command).session(&mut session).await?;
    let updated: Updated = mongodb::bson::deserialize_from_document(answer)?;
    if !updated.write_errors.is_empty() {
        // The transaction is gone with its first error.
        session.abort_transaction().await?;
        return Err(Error::custom("a statement failed"));
    }
    session.commit_transaction().await?;
    Ok(updated)
}

async fn update_group(
    database: Database,
    collection: &'static str,
    transactions: NoTransactions,
    group: Vec<(Document, Reply<Met>)>,
) {
    const ACTION: &str = "writing records";
    let (statements, replies): (Vec<Document>, Vec<_>) = group.into_iter().unzip();
    let answer = update(&database, collection, statements, &transactions).await;
    let updated = match answer {
        Ok(Updated { write_concern_error: Some(failed), .. }) => Err(as_error(&failed)),
        other => other,
    };
    let updated = match updated {
        Ok(updated) => updated,
        Err(error) => return refuse(replies.into_iter().map(|reply| ((), reply)).collect(), &error, ACTION),
    };
    let failed: HashMap<usize, Failed> = updated.write_errors.into_iter().map(|one| (one.index, one)).collect();
    let all = usize::try_from(updated.n).is_ok_and(|matched| matched + failed.len() == replies.len());
    for (index, reply) in replies.into_iter().enumerate() {
        let answer = match failed.get(&index) {
            Some(failed) if failed.code == DUPLICATE_KEY => Ok(Met::Duplicate),
            Some(failed) => Err(StoreError::mongo(ACTION)(as_error(failed))),
            None if all => Ok(Met::Matched),
            None => Ok(Met::Perhaps),
        };
        drop(reply.send(answer));
    }
}

/// One statement's error in the form of a command's.
fn as_error(failed: &Failed) -> Error {
    let told = doc! { "code": failed.code, "codeName": &failed.name, "errmsg": &failed.message };
    match mongodb::bson::deserialize_from_document::<CommandError>(told) {
        Ok(error) => ErrorKind::Command(error).into(),
        Err(error) => error.into(),
    }
}

fn refuse<Q, A>(group: Vec<(Q, Reply<A>)>, error: &Error, action: &'static str) {
    for (_, reply) in group {
        drop(reply.send(Err(StoreError::mongo(action)(error.clone()))));
    }
}
