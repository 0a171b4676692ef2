//! Redis keys of live progress.

use candlemill_db::key;
use candlemill_shared::task::TaskId;

/// Hash of sequence and JSON of the newest snapshot.
pub(super) fn snapshot(id: TaskId) -> String {
    key(&format!("{{{id}}}:progress"))
}

/// Channel of the snapshots of all tasks of an owner.
pub(super) fn owner_channel(owner: &str) -> String {
    key(&format!("{{owner:{owner}}}:events"))
}

/// Channel of a task's snapshots.
pub(super) fn channel(id: TaskId) -> String {
    key(&format!("{{{id}}}:events"))
}
