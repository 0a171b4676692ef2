//! The flag that asks a running task to stop, and the channel on which it is called out: quick ways beside the record, which
//! decides.

use candlemill_db::{StoreError, key};
use candlemill_shared::task::TaskId;
use redis::aio::ConnectionManager;

/// Flags outlive the longest task.
const FLAG_TTL_MS: i64 = 86_400_000;

/// Key of a task's flag.
pub(crate) fn key_of(id: TaskId) -> String {
    key(&format!("{{{id}}}:cancel"))
}

/// Channel on which ids of tasks to cancel are called out to all workers.
pub(crate) fn channel() -> String {
    key("cancel")
}

/// Raises the flag and calls the task out.
pub(crate) async fn raise(mut connection: ConnectionManager, id: TaskId) -> Result<(), StoreError> {
    let mut both = redis::pipe();
    both.cmd("SET").arg(key_of(id)).arg("1").arg("PX").arg(FLAG_TTL_MS).ignore();
    both.publish(channel(), id.to_string()).ignore();
    both.query_async(&mut connection).await.map_err(StoreError::redis("calling a cancellation out"))
}

/// Lowers the flag: one of a former life would stop the next attempt.
pub(crate) async fn lower(mut connection: ConnectionManager, id: TaskId) -> Result<(), StoreError> {
    let lowered = redis::cmd("DEL").arg(key_of(id)).query_async(&mut connection).await;
    lowered.map_err(StoreError::redis("preparing a replay"))
}
