//! Waiting for a store that is away.

use candlemill_db::StoreError;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// For how long, and how often, a call is repeated.
struct Pace {
    longest: Duration,
    first_wait: Duration,
    longest_wait: Duration,
}

/// Of a running task, before it gives the attempt up.
const PATIENT: Pace = Pace {
    longest: Duration::from_secs(600),
    first_wait: Duration::from_millis(100),
    longest_wait: Duration::from_secs(5),
};
/// Of a task that is let go of: soon, because its lease is not renewed any more, and not for longer than until others have it.
const PROMPT: Pace = Pace {
    longest: Duration::from_secs(10),
    first_wait: Duration::from_millis(250),
    longest_wait: Duration::from_millis(250),
};

/// Repeats `call` while the store is away: for ten minutes, or until `give_up`. Every call must be harmless to repeat.
pub(crate) async fn retry_until_cancelled<T, F>(
    give_up: &CancellationToken,
    call: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    repeat(&PATIENT, give_up, call).await
}

/// Repeats a call about a task whose lease is not renewed any more while the store is away.
pub(crate) async fn retry_briefly<T, F>(call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    repeat(&PROMPT, &CancellationToken::new(), call).await
}

async fn repeat<T, F>(pace: &Pace, give_up: &CancellationToken, mut call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let deadline = Instant::now() + pace.longest;
    let mut wait = pace.first_wait;
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
        wait = (wait * 2).min(pace.longest_wait);
    }
}

/// Patient even while the worker drains: what an attempt came to and is not written now is done once more by another worker.
pub(crate) async fn retry_uninterruptibly<T, F>(call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    retry_until_cancelled(&CancellationToken::new(), call).await
}
