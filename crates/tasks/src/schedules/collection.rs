//! The collection of schedules.

use candlemill_db::{Batcher, Change, StoreError, index};
use candlemill_shared::Clock;
use candlemill_shared::schedule::{ScheduleId, ScheduleRecord};
use futures::TryStreamExt;
use mongodb::bson::{self, DateTime, Document, doc};
use mongodb::{Collection, Database};
use std::collections::HashMap;
use std::sync::Arc;

/// Fires.
const FIRES: &str = "fires";
/// Schedules.
const SCHEDULES: &str = "schedules";
const DAY_MS: i64 = 86_400_000;

/// Schedules and their fires.
#[derive(Debug, Clone)]
pub struct Schedules {
    schedules: Collection<Document>,
    changes: Batcher,
    pub(super) fires: Collection<Document>,
    pub(super) fire_changes: Batcher,
    history_ms: i64,
}

/// Which schedules are listed.
#[derive(Debug, Clone, Default)]
pub struct ScheduleSelection {
    /// Whose; `None`: everybody's.
    pub owner: Option<String>,
    /// Only those older than this one.
    pub before: Option<ScheduleId>,
    /// At most this many.
    pub limit: u32,
}

impl Schedules {
    pub(crate) fn new(database: &Database, history_days: u32, clock: &Arc<dyn Clock>) -> Self {
        Self {
            schedules: database.collection(SCHEDULES),
            changes: Batcher::start(database, SCHEDULES, Arc::clone(clock)),
            fires: database.collection(FIRES),
            fire_changes: Batcher::start(database, FIRES, Arc::clone(clock)),
            history_ms: i64::from(history_days) * DAY_MS,
        }
    }

    /// Creates the indexes that the collections need.
    pub(crate) async fn prepare(database: &Database) -> Result<(), StoreError> {
        let of_schedules = [index::of(doc! { "owner": 1, "_id": -1 }), index::of_some("next_at"), index::expiry()];
        index::create(database, SCHEDULES, of_schedules, "creating the indexes of schedules").await?;
        let of_fires = [
            index::of(doc! { "schedule": 1, "due_at": -1 }),
            index::of_some("look_at"),
            index::of_some("open"),
            index::of_some("alert.next_at"),
            index::expiry(),
        ];
        index::create(database, FIRES, of_fires, "creating the indexes of fires").await
    }

    /// When something that ended at `now_ms` vanishes.
    pub(super) fn expiry(&self, now_ms: i64) -> DateTime {
        DateTime::from_millis(now_ms.saturating_add(self.history_ms))
    }

    /// Stores a new schedule.
    ///
    /// # Errors
    /// When MongoDB fails; whether it is stored is not known then.
    pub async fn create(&self, schedule: &ScheduleRecord) -> Result<(), StoreError> {
        let stored = self.schedules.insert_one(document(schedule)?).await;
        stored.map(drop).map_err(StoreError::mongo("storing a schedule"))
    }

    /// A schedule that is not deleted; with `owner` only one of that owner.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn get(&self, id: ScheduleId, owner: Option<&str>) -> Result<Option<ScheduleRecord>, StoreError> {
        let mut wanted = doc! { "_id": id.to_string(), "deleted_at": { "$exists": false } };
        if let Some(owner) = owner {
            wanted.insert("owner", owner);
        }
        let found = self.schedules.find_one(wanted).await.map_err(StoreError::mongo("reading a schedule"))?;
        found.map(read).transpose()
    }

    /// The schedules of `ids` that there are, deleted ones too.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn many(&self, ids: &[ScheduleId]) -> Result<HashMap<ScheduleId, ScheduleRecord>, StoreError> {
        let mut ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = self.find(doc! { "_id": { "$in": ids } }, doc! {}, 0).await?;
        Ok(found.into_iter().map(|schedule| (schedule.id, schedule)).collect())
    }

    /// Schedules that are not deleted, the newest first.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn list(&self, selection: &ScheduleSelection) -> Result<Vec<ScheduleRecord>, StoreError> {
        let mut wanted = doc! { "deleted_at": { "$exists": false } };
        if let Some(owner) = &selection.owner {
            wanted.insert("owner", owner);
        }
        if let Some(before) = selection.before {
            wanted.insert("_id", doc! { "$lt": before.to_string() });
        }
        self.find(wanted, doc! { "_id": -1 }, i64::from(selection.limit)).await
    }

    /// How many schedules `owner` has, counted up to `max`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn count(&self, owner: &str, max: u32) -> Result<u64, StoreError> {
        let of_owner = doc! { "owner": owner, "deleted_at": { "$exists": false } };
        let counted = self.schedules.count_documents(of_owner).limit(u64::from(max)).await;
        counted.map_err(StoreError::mongo("counting schedules"))
    }

    /// Writes a changed schedule, if nobody changed it since it had `revision`. What was fired meanwhile stays fired.
    ///
    /// # Errors
    /// When MongoDB fails; whether it is written is not known then.
    pub async fn change(&self, revision: i64, changed: &ScheduleRecord) -> Result<bool, StoreError> {
        let mut set = document(changed)?;
        set.remove("_id");
        // Rule 2.
        set.remove("fired_until");
        set.remove("covered_until");
        let mut unset = doc! {};
        for (name, is_set) in [("next_at", changed.next_at.is_some()), ("paused", changed.paused.is_some())] {
            if !is_set {
                unset.insert(name, "");
            }
        }
        if changed.deleted_at.is_some() {
            set.insert("expires_at", self.expiry(changed.updated_at));
        }
        let mut update = doc! { "$set": set, "$max": { "fired_until": changed.fired_until } };
        if !unset.is_empty() {
            update.insert("$unset", unset);
        }
        let unchanged = doc! { "_id": changed.id.to_string(), "revision": revision };
        let written = self.schedules.update_one(unchanged, update).await;
        Ok(written.map_err(StoreError::mongo("changing a schedule"))?.matched_count == 1)
    }

    /// At most `limit` schedules of which a fire is to be made at `now_ms` or was before, the longest due first.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn due(&self, now_ms: i64, limit: u32) -> Result<Vec<ScheduleRecord>, StoreError> {
        let due = doc! { "next_at": { "$exists": true, "$lte": now_ms } };
        self.find(due, doc! { "next_at": 1 }, i64::from(limit)).await
    }

    /// When the next fire of all is to be made, UTC ms.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn next_at(&self) -> Result<Option<i64>, StoreError> {
        let any = doc! { "next_at": { "$exists": true, "$gte": 0_i64 } };
        let found = self.schedules.find_one(any).sort(doc! { "next_at": 1 }).projection(doc! { "next_at": 1 });
        let found = found.await.map_err(StoreError::mongo("reading when the next fire is"))?;
        Ok(found.and_then(|schedule| schedule.get_i64("next_at").ok()))
    }

    /// Writes that all due instants up to `fired_until` are decided (rule 2), and when the next one is. `false`: another scheduler
    /// was quicker, or the schedule was changed.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn advance(
        &self,
        read: &ScheduleRecord,
        fired_until: i64,
        next_at: Option<i64>,
    ) -> Result<bool, StoreError> {
        let mut set = doc! { "fired_until": fired_until };
        if let Some(next_at) = next_at {
            set.insert("next_at", next_at);
        }
        let change = Change {
            id: read.id.to_string(),
            guard: doc! { "revision": read.revision, "fired_until": read.fired_until },
            set,
            unset: if next_at.is_none() { vec!["next_at"] } else { Vec::new() },
        };
        self.changes.change(change).await
    }

    /// Notes how the fires went: failures since the last success, and how far successful ones have come.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn note_outcome(
        &self,
        id: ScheduleId,
        failed_in_a_row: u32,
        covered_until: Option<i64>,
    ) -> Result<(), StoreError> {
        let mut update = doc! { "$set": { "failed_in_a_row": i64::from(failed_in_a_row) } };
        if let Some(covered) = covered_until {
            update.insert("$max", doc! { "covered_until": covered });
        }
        let written = self.schedules.update_one(doc! { "_id": id.to_string() }, update).await;
        written.map(drop).map_err(StoreError::mongo("noting how a fire went"))
    }

    async fn find(&self, wanted: Document, sort: Document, limit: i64) -> Result<Vec<ScheduleRecord>, StoreError> {
        const READING: &str = "reading schedules";
        let found = self.schedules.find(wanted).sort(sort).limit(limit);
        let cursor = found.await.map_err(StoreError::mongo(READING))?;
        let found: Vec<Document> = cursor.map_err(StoreError::mongo_in(READING)).try_collect().await?;
        found.into_iter().map(read).collect()
    }
}

fn document(schedule: &ScheduleRecord) -> Result<Document, StoreError> {
    let encoded = bson::serialize_to_document(schedule);
    encoded.map_err(|error| StoreError::corrupt(format!("schedule {}", schedule.id), error))
}

fn read(found: Document) -> Result<ScheduleRecord, StoreError> {
    let id = found.get_str("_id").unwrap_or_default().to_owned();
    bson::deserialize_from_document(found).map_err(|error| StoreError::corrupt(format!("schedule {id}"), error))
}
