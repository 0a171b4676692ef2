//! Which tasks run here, and how they are told to stop.

use candlemill_shared::task::TaskId;
use candlemill_tasks::TaskEngine;
use futures::StreamExt;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Tokens of the tasks that run in this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    tokens: Arc<Mutex<HashMap<TaskId, (u64, CancellationToken)>>>,
    listed: Arc<AtomicU64>,
}

/// Keeps a task's token listed until it is dropped.
#[derive(Debug)]
pub(crate) struct Listed {
    running: Running,
    id: TaskId,
    number: u64,
    /// Cancelled when the task is to stop.
    pub(crate) token: CancellationToken,
}

impl Running {
    /// Lists a task. It is also to stop when its lease is `lost`.
    pub(crate) fn list(&self, id: TaskId, lost: &CancellationToken) -> Listed {
        let (number, token) = (self.listed.fetch_add(1, Ordering::Relaxed), lost.child_token());
        self.lock().insert(id, (number, token.clone()));
        Listed { running: self.clone(), id, number, token }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TaskId, (u64, CancellationToken)>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, id: TaskId) {
        if let Some((_, token)) = self.lock().get(&id) {
            tracing::info!(task.id = %id, "asked to stop");
            token.cancel();
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        // A later attempt of the same task may be listed by now.
        if let Entry::Occupied(listed) = self.running.lock().entry(self.id)
            && listed.get().0 == self.number
        {
            listed.remove();
        }
    }
}

/// Listens for cancellations until `shutdown`. What is missed while Redis is away is seen at the next checkpoint.
pub(crate) async fn listen(tasks: TaskEngine, running: Running, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match tasks.cancellations().await {
            Ok(mut ids) => loop {
                tokio::select! {
                    id = ids.next() => match id {
                        Some(id) => running.stop(id),
                        None => break,
                    },
                    () = shutdown.cancelled() => return,
                }
            },
            Err(error) => tracing::warn!(%error, "cancellations are not heard at the moment"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
            () = shutdown.cancelled() => {}
        }
    }
}
