//! Calls that carry many questions.

use crate::error::StoreError;
use mongodb::error::Error;
use std::collections::HashSet;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Questions that may wait for their batch.
const WAITING: usize = 8_192;
/// Questions of one command.
const BATCH: usize = 500;
/// Longest wait for the answer to a command.
const LONGEST: Duration = Duration::from_secs(10);

/// Where the answer to a question goes.
pub type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

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

/// Gives a command up whose connection has died silently: others wait behind it. Whether it was carried out is not known then.
pub(super) async fn in_time<T>(command: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(LONGEST, command).await.unwrap_or_else(|_| {
        let why = format!("no answer within {} s", LONGEST.as_secs());
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, why).into())
    })
}

/// Tells all of a batch why it failed.
pub(super) fn refuse<A>(batch: impl IntoIterator<Item = Reply<A>>, error: &Error, action: &'static str) {
    for reply in batch {
        drop(reply.send(Err(StoreError::mongo(action)(error.clone()))));
    }
}
