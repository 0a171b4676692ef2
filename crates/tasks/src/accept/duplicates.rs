//! Requests whose keys another task holds: which task they stand for.

use super::taken::{BETWEEN_TRIES, STORED_WITHIN, SubmitError, TRIES, Taken, UNDER_WAY_MS};
use crate::engine::TaskEngine;
use crate::unique_keys::{self, Holder, UniqueKeys};
use candlemill_db::StoreError;
use candlemill_shared::task::TaskRecord;

/// What a request is whose key somebody else held.
pub(super) enum DuplicateRequest {
    /// It stands for this task.
    Older(Box<TaskRecord>),
    /// That one has ended meanwhile, and the request holds its keys now.
    New {
        /// Since when.
        taken: Taken,
    },
}

/// The older task that `record` was refused for, if there still is one.
pub(super) async fn resolve_duplicate(
    store: &TaskEngine,
    record: &TaskRecord,
) -> Result<DuplicateRequest, SubmitError> {
    let keys = &store.records().keys;
    // Of its keys some may have been free: they are not kept for a task that does not come.
    keys.give_all_back(UniqueKeys::held_by([record])).await?;
    for _ in 0..TRIES {
        if let Some((found, is_bound)) = find_existing(store, record).await? {
            if is_bound || keys.bind(record, found.id, store.clock().now_ms()).await? {
                return Ok(DuplicateRequest::Older(Box::new(found)));
            }
            // Another request has bound its key meanwhile.
            continue;
        }
        let taken = Taken::now(store);
        let taking = keys.take([record], taken.at_ms);
        if taken.within(STORED_WITHIN, "taking the keys of a task", taking).await?.is_empty() {
            return Ok(DuplicateRequest::New { taken });
        }
        // Somebody was quicker, and its record is about to be there.
        keys.give_all_back(UniqueKeys::held_by([record])).await?;
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    Err(StoreError::Overloaded.into())
}

/// The task that a request like `record` stands for. Keys of tasks that have ended, or never came to be, are freed.
pub(crate) async fn existing(store: &TaskEngine, record: &TaskRecord) -> Result<Option<TaskRecord>, SubmitError> {
    Ok(find_existing(store, record).await?.map(|(found, _)| found))
}

/// The same, and whether the request's `Idempotency-Key` says so.
async fn find_existing(store: &TaskEngine, record: &TaskRecord) -> Result<Option<(TaskRecord, bool)>, SubmitError> {
    if let Some(hash) = &record.idempotency {
        let key = unique_keys::idempotency(hash);
        if let Some((holder, found)) = held(store, &key, record.created_at).await? {
            if holder.expires_at.is_some_and(|at| record.created_at >= at) {
                store.records().keys.give_back(&key, holder.task).await?;
            } else if holder.fingerprint == record.fingerprint {
                return Ok(Some((found, true)));
            } else {
                return Err(SubmitError::IdempotencyConflict(holder.task));
            }
        }
    }
    let key = unique_keys::active(&record.fingerprint);
    match held(store, &key, record.created_at).await? {
        Some((_, found)) if !found.state.is_end() => Ok(Some((found, false))),
        Some((holder, _)) => {
            store.records().keys.give_back(&key, holder.task).await?;
            Ok(None)
        }
        None => Ok(None),
    }
}

/// Who holds `key`, and its record. A key whose record never came is freed once it is too old to be under way.
async fn held(store: &TaskEngine, key: &str, now_ms: i64) -> Result<Option<(Holder, TaskRecord)>, SubmitError> {
    for _ in 0..TRIES {
        let Some(holder) = store.records().keys.holder(key).await? else { return Ok(None) };
        let is_old = now_ms - holder.taken_at > UNDER_WAY_MS;
        if let Some(found) = store.records().get(holder.task).await? {
            // Taken for a task that has ended: it is about to be replayed.
            if is_old || !holder.is_replay || !found.state.is_end() {
                return Ok(Some((holder, found)));
            }
        } else if is_old && store.records().fence_off(holder.task, store.clock().now_ms()).await? {
            store.records().keys.give_back(key, holder.task).await?;
            return Ok(None);
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    Err(StoreError::Overloaded.into())
}
