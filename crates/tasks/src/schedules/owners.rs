//! Owners of schedules: which tier somebody has, as it was last confirmed. No token is kept.

use crate::grant::Grant;
use candlemill_db::{Batcher, Change, StoreError, index};
use candlemill_shared::Clock;
use candlemill_shared::tier::Tier;
use futures::TryStreamExt;
use mongodb::bson::{self, Document, doc};
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// What is known of owners.
const OWNERS: &str = "owners";
/// Field of owners whose tier is asked for without them: when it was last confirmed.
const REFRESHED: &str = "refreshed";

/// Whether an owner may have anything done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnerState {
    /// It may.
    Active,
    /// Supabase has banned it.
    Banned,
    /// Supabase knows no such user any more.
    Deleted,
}

/// What Supabase last said of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRecord {
    /// User id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The subscription.
    pub tier: Tier,
    /// Whether it may have anything done.
    pub state: OwnerState,
    /// When that was said, UTC ms.
    pub confirmed_at: i64,
}

impl OwnerRecord {
    /// Leave to submit as this owner; `None`: it is banned or deleted.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        let may = self.state == OwnerState::Active;
        may.then(|| Grant::of_owner_record(&*self.id, self.tier, self.confirmed_at))
    }
}

/// The owners that Supabase has confirmed.
#[derive(Debug, Clone)]
pub struct Owners {
    owners: Collection<Document>,
    batcher: Batcher,
    max_age_ms: i64,
}

impl Owners {
    pub(crate) fn new(database: &Database, max_age_days: u32, clock: Arc<dyn Clock>) -> Self {
        let batcher = Batcher::start(database, OWNERS, clock);
        Self { owners: database.collection(OWNERS), batcher, max_age_ms: i64::from(max_age_days) * 86_400_000 }
    }

    /// Until when a confirmation counts for schedules, UTC ms.
    #[must_use]
    pub const fn valid_until(&self, owner: &OwnerRecord) -> i64 {
        owner.confirmed_at.saturating_add(self.max_age_ms)
    }

    /// Creates the index that the collection needs.
    pub(crate) async fn prepare(database: &Database) -> Result<(), StoreError> {
        index::create(database, OWNERS, [index::of_some(REFRESHED)], "creating the index of owners").await
    }

    /// Writes down what Supabase said, unless something newer is known.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn confirm(&self, owner: &OwnerRecord) -> Result<(), StoreError> {
        let mut set = bson::serialize_to_document(owner).map_err(|error| StoreError::corrupt("an owner", error))?;
        set.remove("_id");
        let change = Change {
            id: owner.id.clone(),
            guard: doc! { "confirmed_at": { "$lt": owner.confirmed_at } },
            set: set.clone(),
            unset: Vec::new(),
        };
        if self.batcher.change(change).await? {
            return Ok(());
        }
        set.insert("_id", &owner.id);
        // It is new; or something newer is known, and stays.
        let inserted = self.owners.insert_many([set]).ordered(false).await;
        candlemill_db::duplicates(inserted, "confirming an owner").map(drop)
    }

    /// What is known of `ids`.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn many(&self, mut ids: Vec<&str>) -> Result<HashMap<String, OwnerRecord>, StoreError> {
        const READING: &str = "reading owners";
        ids.sort_unstable();
        ids.dedup();
        let owners = self.owners.clone_with_type::<OwnerRecord>();
        let found = owners.find(doc! { "_id": { "$in": ids } }).await.map_err(StoreError::mongo(READING))?;
        let found: Vec<OwnerRecord> = found.map_err(StoreError::mongo_in(READING)).try_collect().await?;
        Ok(found.into_iter().map(|owner| (owner.id.clone(), owner)).collect())
    }

    /// Lets the owner's tier be asked for from now on, because it has schedules.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn follow(&self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        let unless = doc! { "_id": id, REFRESHED: { "$exists": false } };
        let set = doc! { "$set": { REFRESHED: now_ms } };
        self.owners.update_one(unless, set).await.map(drop).map_err(StoreError::mongo("following an owner"))
    }

    /// At most `limit` followed owners of whom nothing was asked since `before_ms`, the longest ago first.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn to_refresh(&self, before_ms: i64, limit: u32) -> Result<Vec<OwnerRecord>, StoreError> {
        const READING: &str = "reading owners to ask for";
        let owners = self.owners.clone_with_type::<OwnerRecord>();
        let due = doc! { REFRESHED: { "$exists": true, "$lt": before_ms } };
        let found = owners.find(due).sort(doc! { REFRESHED: 1 }).limit(i64::from(limit));
        found.await.map_err(StoreError::mongo(READING))?.map_err(StoreError::mongo_in(READING)).try_collect().await
    }

    /// Notes that the owner was asked for at `now_ms`; `still`: whether it has schedules.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn refreshed(&self, id: &str, now_ms: i64, still: bool) -> Result<(), StoreError> {
        let change = if still {
            doc! { "$set": { REFRESHED: now_ms } }
        } else {
            doc! { "$unset": { REFRESHED: "" } }
        };
        let written = self.owners.update_one(doc! { "_id": id }, change).await;
        written.map(drop).map_err(StoreError::mongo("noting that an owner was asked for"))
    }
}
