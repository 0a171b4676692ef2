//! One message from being taken to being acknowledged. Nothing that happens here reaches apalis as anything but a result:
//! a panic, a time-out or a retry of its own would lose the message or end its worker.

use super::counters::InboxCounters;
use super::message::Message;
use super::store::Store;
use apalis_core::error::AbortError;
use futures::FutureExt;
use std::collections::HashSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Longest time of one try.
const LONGEST_TRY: Duration = Duration::from_secs(30);
/// A message that is tried again later keeps its slot for so long: what keeps one waiting keeps the others too, and
/// thousands that are refused in turn would be load for nothing.
const BREATHER: Duration = Duration::from_secs(1);
/// Wait between two tries to note something in Redis.
const NOTE_AGAIN: Duration = Duration::from_millis(250);

/// What one try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The message is dealt with for good. Its producer can read the text as the task's result.
    Done(String),
    /// It is to be tried again later, because of this.
    Later(String),
}

/// Ids of the messages whose handlers run in this process.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<Mutex<HashSet<String>>>);

impl Running {
    pub(super) fn has(&self, id: &str) -> bool {
        self.lock().contains(id)
    }

    fn enter(&self, id: &str) -> Entered {
        self.lock().insert(id.to_owned());
        Entered { running: self.clone(), id: id.to_owned() }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Taken off the list when it is dropped, however its handler ends.
struct Entered {
    running: Running,
    id: String,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.running.lock().remove(&self.id);
    }
}

/// What all handlers of one worker share.
#[derive(Clone)]
pub(super) struct Handler<H> {
    pub(super) store: Store,
    pub(super) counters: InboxCounters,
    pub(super) running: Running,
    pub(super) handle: H,
}

impl<H, F> Handler<H>
where
    H: Fn(Message) -> F + Send,
    F: Future<Output = Verdict> + Send,
{
    /// Tries the message. `Ok`: apalis may forget it. `Err`: apalis puts it aside, from where the inbox takes it up again.
    pub(super) async fn attend(self, message: Message) -> Result<String, AbortError> {
        let _entered = self.running.enter(&message.id);
        let id = message.id.clone();
        let trying = timeout(LONGEST_TRY, AssertUnwindSafe((self.handle)(message)).catch_unwind());
        let verdict = match trying.await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) => Verdict::Later("its handler panicked".to_owned()),
            Err(_) => Verdict::Later(format!("no end within {} s", LONGEST_TRY.as_secs())),
        };
        match verdict {
            Verdict::Done(told) => Ok(told),
            Verdict::Later(cause) => {
                self.counters.tried("postponed");
                self.postpone(&id, &cause).await;
                sleep(BREATHER).await;
                Err(AbortError::new(format!("is tried again later: {cause}")))
            }
        }
    }

    /// Before apalis puts it aside: what stands nowhere else would stay there. While Redis is away this waits; then the
    /// worker ends as well, and the message is given back.
    async fn postpone(&self, id: &str, cause: &str) {
        loop {
            match self.store.postpone(id).await {
                Ok(wait) => {
                    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(message.id = id, wait_ms, "a message of the inbox is tried again later: {cause}");
                    return;
                }
                Err(error) => {
                    tracing::debug!(message.id = id, %error, "a message of the inbox is not postponed yet");
                    sleep(NOTE_AGAIN).await;
                }
            }
        }
    }
}
