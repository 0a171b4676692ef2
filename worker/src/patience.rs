//! Waiting for a store that is away.

use candlemill_store::StoreError;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a running task waits for a store before it gives the attempt up.
const LONGEST: Duration = Duration::from_secs(600);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Repeats `call` while the store is away: for ten minutes, or until `give_up`. Every call must be harmless to repeat.
pub(crate) async fn patiently<T, F>(give_up: &CancellationToken, mut call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let deadline = Instant::now() + LONGEST;
    let mut wait = FIRST_WAIT;
    loop {
        let error = match call().await {
            Err(error) if error.is_unavailable() => error,
            other => return other,
        };
        if Instant::now() + wait > deadline || give_up.is_cancelled() {
            return Err(error);
        }
        tracing::warn!(%error, "{} is away; trying again in {} ms", error.store(), wait.as_millis());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = give_up.cancelled() => return Err(error),
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Time between two tries of [`promptly`], and for how long they go on: by then others have the task.
const AGAIN: Duration = Duration::from_millis(250);
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// Repeats what takes a task out of the queue while Redis is away: soon, because its lease is not renewed any more.
pub(crate) async fn promptly<T, F>(mut call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let deadline = Instant::now() + SETTLED_WITHIN;
    loop {
        match call().await {
            Err(error) if error.is_unavailable() && Instant::now() + AGAIN < deadline => {}
            other => return other,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Patient even while the worker drains: what an attempt came to and is not written now is done once more by another worker.
pub(crate) async fn steadily<T, F>(call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    patiently(&CancellationToken::new(), call).await
}
