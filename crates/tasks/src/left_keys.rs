//! Unique keys that ended tasks have left behind.

use crate::engine::TaskEngine;
use crate::unique_keys::held;
use candlemill_db::StoreError;
use futures::TryStreamExt;
use mongodb::bson::{Document, doc};

/// Keys of one command.
const GROUP: usize = 1_024;
/// Keys of ended tasks are looked for when they were taken so long ago, ms.
const LEFT_BEHIND_MS: i64 = 86_400_000;

impl TaskEngine {
    /// Gives back the keys of requests whose tasks have ended, or never came to be, a day after they were taken: a process died, or
    /// MongoDB was away, before they could be given back. Reads all keys. Returns how many there were.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub(crate) async fn give_back_keys_left_behind(&self) -> Result<u64, StoreError> {
        let reading = "reading the keys of tasks";
        // An `Idempotency-Key` has its own end.
        let old = doc! {
            "taken_at": { "$lt": self.clock().now_ms() - LEFT_BEHIND_MS }, "expires_at": { "$exists": false },
        };
        let keys = self.records().keys.collection();
        let found = keys.find(old.clone()).await.map_err(StoreError::mongo(reading))?;
        let mut groups = std::pin::pin!(found.try_chunks(GROUP));
        let mut given_back = 0;
        while let Some(group) = groups.try_next().await.map_err(|error| StoreError::mongo_in(reading)(error.1))? {
            let part = |name| move |key: &Document| key.get_str(name).unwrap_or_default().to_owned();
            let in_flight =
                self.records().in_flight(group.iter().filter_map(|key| part("task")(key).parse().ok())).await?;
            let is_left = |key: &&Document| part("task")(key).parse().is_ok_and(|task| !in_flight.contains(&task));
            let left: Vec<&Document> = group.iter().filter(is_left).collect();
            let (ids, holders) = left.into_iter().map(|key| (part("_id")(key), part("task")(key))).unzip();
            // A replay may have taken one of them meanwhile.
            let mut left = old.clone();
            left.extend(held(ids, holders));
            given_back +=
                keys.delete_many(left).await.map_err(StoreError::mongo("giving keys of tasks back"))?.deleted_count;
        }
        Ok(given_back)
    }
}
