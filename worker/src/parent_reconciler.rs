//! Sees after parents whose children move in this process.

use candlemill_shared::task::TaskId;
use candlemill_tasks::TaskEngine;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Shortest time between two looks at the children of all noted parents.
const PAUSE: Duration = Duration::from_millis(200);
/// A look takes at most this share of the time, whatever the number of children, unless the pause would be longer than
/// [`LONGEST_PAUSE`]: a look that waited for a store must not keep parents waiting once more.
const SHARE: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Parents whose children have moved; never more than children run here.
#[derive(Debug, Clone, Default)]
pub(crate) struct ParentReconciler {
    noted: Arc<Mutex<HashSet<TaskId>>>,
    woken: Arc<Notify>,
}

impl ParentReconciler {
    /// Has `parent` looked after soon.
    pub(crate) fn note(&self, parent: TaskId) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(parent);
        self.woken.notify_one();
    }

    /// Looks after those that were noted, until `shutdown`. What fails because a store is away is tried again.
    pub(crate) async fn run(self, tasks: TaskEngine, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = self.woken.notified() => {}
                () = shutdown.cancelled() => return,
            }
            let began = Instant::now();
            let noted = std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner));
            for parent in noted {
                if let Err(error) = tasks.reconcile(parent).await {
                    tracing::warn!(task.id = %parent, %error, "its children could not be looked after");
                    if error.is_unavailable() {
                        self.note(parent);
                    }
                }
            }
            let pause = (began.elapsed() * SHARE).clamp(PAUSE, LONGEST_PAUSE);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }
}
