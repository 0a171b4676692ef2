//! The collection of fires.

use super::collection::Schedules;
use candlemill_db::{Change, StoreError, duplicates};
use candlemill_shared::schedule::{FireRecord, FireState, ScheduleId};
use candlemill_shared::webhook::Webhook;
use futures::TryStreamExt;
use mongodb::bson::{self, Document, doc};
use mongodb::options::ReturnDocument;

/// Field of fires that have not ended: their schedule.
const OPEN: &str = "open";
/// When the alert of a fire is tried next, UTC ms.
const ALERT_AT: &str = "alert.next_at";
/// Fires that one statement stores.
const BATCH: usize = 500;

/// Which fires of a schedule are listed.
#[derive(Debug, Clone, Copy)]
pub struct FireSelection {
    /// Of which.
    pub schedule: ScheduleId,
    /// Only those due before this, UTC ms.
    pub before: Option<i64>,
    /// At most this many.
    pub limit: u32,
}

impl Schedules {
    /// Records fires (rule 1). Those that are recorded already stay as they are. Whether all of them were new.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn record_fires(&self, fires: &[FireRecord]) -> Result<bool, StoreError> {
        let mut all_new = true;
        for some in fires.chunks(BATCH) {
            let documents = some.iter().map(|fire| self.document(fire)).collect::<Result<Vec<_>, _>>()?;
            let there = duplicates(self.fires.insert_many(documents).ordered(false).await, "recording fires")?;
            all_new &= there.is_empty();
        }
        Ok(all_new)
    }

    /// At most `limit` fires about which something is to be done at `now_ms`, the longest due first.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn fires_to_look_at(&self, now_ms: i64, limit: u32) -> Result<Vec<FireRecord>, StoreError> {
        let due = doc! { "look_at": { "$exists": true, "$lte": now_ms } };
        self.find_fires(due, doc! { "look_at": 1 }, i64::from(limit)).await
    }

    /// All fires of these schedules that have not ended, in the order in which they were due; at most `limit`.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn open_fires(&self, schedules: &[ScheduleId], limit: u32) -> Result<Vec<FireRecord>, StoreError> {
        let mut ids: Vec<String> = schedules.iter().map(ToString::to_string).collect();
        ids.sort_unstable();
        let open = doc! { OPEN: { "$exists": true, "$in": ids } };
        let mut found = self.find_fires(open, doc! {}, i64::from(limit)).await?;
        found.sort_by_key(|fire| (fire.due_at, fire.recorded_at));
        Ok(found)
    }

    /// The fire of this id.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn fire(&self, id: &str) -> Result<Option<FireRecord>, StoreError> {
        Ok(self.find_fires(doc! { "_id": id }, doc! {}, 1).await?.pop())
    }

    /// The newest fires of a schedule.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn fires(&self, selection: FireSelection) -> Result<Vec<FireRecord>, StoreError> {
        let mut wanted = doc! { "schedule": selection.schedule.to_string() };
        if let Some(before) = selection.before {
            wanted.insert("due_at", doc! { "$lt": before });
        }
        self.find_fires(wanted, doc! { "due_at": -1 }, i64::from(selection.limit)).await
    }

    /// Writes what became of a fire, if it still stands where it was read. `false`: another scheduler was quicker.
    ///
    /// # Errors
    /// When MongoDB fails; whether it is written is not known then.
    pub async fn change_fire(&self, read: FireState, changed: &FireRecord) -> Result<bool, StoreError> {
        let mut set = self.document(changed)?;
        set.remove("_id");
        let mut unset = Vec::new();
        if changed.state.is_end() {
            unset.extend(["look_at", OPEN]);
        }
        if changed.why.is_none() {
            unset.push("why");
        }
        let guard = doc! { "state": read.as_str() };
        self.fire_changes.change(Change { id: changed.id.clone(), guard, set, unset }).await
    }

    /// At most `limit` fires whose alert is due at `now_ms`, the longest due first.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn due_alerts(&self, now_ms: i64, limit: u32) -> Result<Vec<FireRecord>, StoreError> {
        let due = doc! { ALERT_AT: { "$exists": true, "$lte": now_ms } };
        self.find_fires(due, doc! { ALERT_AT: 1 }, i64::from(limit)).await
    }

    /// Takes a fire's alert for one try, until `until_ms`. The fire then; `None`: somebody else has it.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn claim_alert(&self, due: &FireRecord, until_ms: i64) -> Result<Option<FireRecord>, StoreError> {
        let Some(read) = &due.alert else { return Ok(None) };
        let tries = i64::from(read.attempts) + 1;
        let fires = self.fires.clone_with_type::<FireRecord>();
        let taken = fires
            .find_one_and_update(unchanged(due, read), doc! { "$set": { ALERT_AT: until_ms, "alert.attempts": tries } })
            .return_document(ReturnDocument::After)
            .await;
        taken.map_err(StoreError::mongo("claiming an alert"))
    }

    /// Writes what became of a claimed alert. `false`: it was claimed by somebody else meanwhile.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn settle_alert(&self, claimed: &FireRecord, settled: &Webhook) -> Result<bool, StoreError> {
        let Some(read) = &claimed.alert else { return Ok(false) };
        let alert = bson::serialize_to_bson(settled).map_err(|error| StoreError::corrupt("an alert", error))?;
        let written = self.fires.update_one(unchanged(claimed, read), doc! { "$set": { "alert": alert } }).await;
        Ok(written.map_err(StoreError::mongo("settling an alert"))?.matched_count == 1)
    }

    fn document(&self, fire: &FireRecord) -> Result<Document, StoreError> {
        let encoded = bson::serialize_to_document(fire);
        let mut document = encoded.map_err(|error| StoreError::corrupt(format!("fire {}", fire.id), error))?;
        if fire.state.is_end() {
            document.insert("expires_at", self.expiry(fire.ended_at.unwrap_or(fire.recorded_at)));
        } else {
            document.insert(OPEN, fire.schedule.to_string());
        }
        Ok(document)
    }

    async fn find_fires(&self, wanted: Document, sort: Document, limit: i64) -> Result<Vec<FireRecord>, StoreError> {
        const READING: &str = "reading fires";
        let fires = self.fires.clone_with_type::<FireRecord>();
        let found = fires.find(wanted).sort(sort).limit(limit).await.map_err(StoreError::mongo(READING))?;
        found.map_err(StoreError::mongo_in(READING)).try_collect().await
    }
}

/// Only the alert that was read, and only while nobody else has it.
fn unchanged(fire: &FireRecord, read: &Webhook) -> Document {
    doc! { "_id": &fire.id, ALERT_AT: read.next_at, "alert.attempts": i64::from(read.attempts) }
}
