//! What could not be done at its time, and is tried again in the background for some seconds.

use std::future::Future;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Wait before each try.
const WAIT: Duration = Duration::from_millis(250);

/// How many things of one sort are tried again at once, and how often each.
#[derive(Debug)]
pub struct BackgroundRetry {
    slots: Semaphore,
    tries: u32,
}

impl BackgroundRetry {
    /// At most `at_once` at a time, each at most `tries` times.
    #[must_use]
    pub const fn new(at_once: usize, tries: u32) -> Self {
        Self { slots: Semaphore::const_new(at_once), tries }
    }

    /// Calls `again` every 250 ms until it is done. Best effort: does nothing when too many are tried already.
    pub fn spawn<F>(&'static self, mut again: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = bool> + Send,
    {
        let Ok(slot) = self.slots.try_acquire() else { return };
        tokio::spawn(async move {
            let _slot = slot;
            for _ in 0..self.tries {
                tokio::time::sleep(WAIT).await;
                if again().await {
                    return;
                }
            }
        });
    }
}
