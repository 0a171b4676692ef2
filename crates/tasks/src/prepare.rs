//! What the engine's collections need before their first use.

use crate::engine::TaskEngine;
use crate::records::{BEGUN_AT, BURIED, QUEUED_AT, TASKS};
use crate::schedules::{Owners, Schedules};
use crate::tidy;
use crate::unique_keys::TASK_KEYS;
use candlemill_db::{StoreError, index};
use mongodb::bson::doc;

/// Names of indexes of earlier versions: of when documents vanish, with an entry for each that does not; of each owner's
/// tasks; of each owner's dead letters; of tasks in flight.
const SUPERSEDED: [&str; 4] = ["expires_at_1", "owner_1__id_-1", "owner_1_state_1__id_-1", "state_1_updated_at_1"];

impl TaskEngine {
    /// Creates the indexes that the collections need. Harmless when they exist.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        let database = self.db().database();
        let of_tasks = [
            // Owner and id in one text: lists of one owner's tasks.
            index::of(doc! { "listed": 1 }),
            // Some of them, by which those lists are passed through.
            index::of_some("milestone"),
            // Those that are dead letters.
            index::of_some(BURIED),
            // What the sweeper looks through: those that wait, and those that began.
            index::sparse(QUEUED_AT),
            index::of_some(BEGUN_AT),
            // Messages about ended tasks that are to be delivered.
            index::of_some("webhook.next_at"),
            index::expiry(),
        ];
        index::create(database, TASKS, of_tasks, "creating the indexes of tasks").await?;
        tidy::note_start(database, self.clock().now_ms()).await?;
        let old_keys = "creating the index by which old keys vanish";
        index::create(database, TASK_KEYS, [index::expiry()], old_keys).await?;
        Schedules::prepare(database).await?;
        Owners::prepare(database).await?;
        for collection in [TASKS, TASK_KEYS] {
            index::drop_superseded(database, collection, &SUPERSEDED).await?;
        }
        Ok(())
    }
}
