//! Hourly looks at all that is stored, by one process for all: for what programs of earlier versions have written, and for
//! what dead ones have left.

use crate::engine::TaskEngine;
use crate::records::{self, BEGUN_AT, BURIED, QUEUED_AT, TASKS, UNLISTED};
use candlemill_db::StoreError;
use candlemill_shared::task::TaskState;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Error;
use mongodb::{Collection, Database};

/// When all that is stored was looked at last.
const STEPS: &str = "steps";
/// Document about these looks: when the last one was, and until when tasks of earlier versions are looked for.
const STEP: &str = "tidy";
const EVERY_MS: i64 = 3_600_000;
/// Programs of an earlier version may run beside those of this one for so long after one of these has started, ms.
const SIDE_BY_SIDE_MS: i64 = 86_400_000;

/// Notes that a program of this version starts, perhaps beside or after one of an earlier version.
pub(crate) async fn note_start(database: &Database, now_ms: i64) -> Result<(), StoreError> {
    let until = doc! { "$max": { "adopt_until": now_ms + SIDE_BY_SIDE_MS } };
    let noted = steps(database).update_one(doc! { "_id": STEP }, until).upsert(true).await;
    noted.map(drop).map_err(StoreError::mongo("noting a start"))
}

impl TaskEngine {
    /// If nobody did within an hour: gives tasks that programs of earlier versions have written what lists, dead letters and the
    /// sweeper find them by, and gives back the keys that ended tasks have left behind. It may read all tasks and all keys.
    ///
    /// # Errors
    /// When MongoDB fails. Then the next call goes on.
    pub async fn tidy_up(&self) -> Result<(), StoreError> {
        let (now, steps) = (self.clock().now_ms(), steps(self.db().database()));
        let is_due = [
            doc! { "looked_at": { "$exists": false } },
            doc! { "looked_at": { "$lte": now - EVERY_MS } },
            // Somebody's clock was wrong.
            doc! { "looked_at": { "$gt": now + EVERY_MS } },
        ];
        let taken = steps
            .find_one_and_update(doc! { "_id": STEP, "$or": is_due.to_vec() }, doc! { "$set": { "looked_at": now } })
            .await
            .map_err(StoreError::mongo("looking when it was tidied up"))?;
        let Some(step) = taken else { return Ok(()) };
        let tidied = async {
            if step.get_i64("adopt_until").is_ok_and(|until| now < until) {
                adopt(self.db().database(), now)
                    .await
                    .map_err(StoreError::mongo("adopting tasks of earlier versions"))?;
            }
            let keys = self.give_back_keys_left_behind().await?;
            if keys > 0 {
                tracing::info!(keys, "gave keys back that ended tasks had left behind");
            }
            Ok(())
        };
        let tidied = tidied.await;
        if tidied.is_err() {
            drop(steps.update_one(doc! { "_id": STEP }, doc! { "$unset": { "looked_at": "" } }).await);
        }
        tidied
    }
}

fn steps(database: &Database) -> Collection<Document> {
    database.collection(STEPS)
}

/// Gives tasks the fields by which this version finds them.
async fn adopt(database: &Database, now_ms: i64) -> Result<(), Error> {
    let records = database.collection::<Document>(TASKS);
    let (is, is_not) = (doc! { "$exists": true }, doc! { "$exists": false });
    let begun = [TaskState::Running.as_str(), TaskState::Retrying.as_str()];
    // What lacks something, and what it is given.
    let lacking = [
        (doc! { "listed": &is_not }, doc! { "$set": { "listed": records::listed_expression() } }),
        // Earlier versions listed children among the others.
        (
            doc! { "parent": { "$ne": Bson::Null }, "listed": { "$ne": UNLISTED } },
            doc! { "$set": { "listed": UNLISTED, "milestone": UNLISTED } },
        ),
        (
            doc! { "state": TaskState::Dead.as_str(), BURIED: &is_not },
            doc! { "$set": { BURIED: records::listed_expression() } },
        ),
        // As if it had come now: the sweeper looks at it soon.
        (
            doc! { "state": TaskState::Queued.as_str(), "active": &is, QUEUED_AT: &is_not },
            doc! { "$set": { QUEUED_AT: now_ms } },
        ),
        (
            doc! { "state": { "$in": begun.to_vec() }, "active": &is, BEGUN_AT: &is_not },
            doc! { "$set": { BEGUN_AT: "$updated_at" } },
        ),
        // Earlier versions let it stand.
        (doc! { "active": &is_not, QUEUED_AT: &is }, doc! { "$unset": QUEUED_AT }),
    ];
    let no_milestone = doc! { "_id": { "$regex": "0$" }, "milestone": &is_not };
    let any: Vec<&Document> = lacking.iter().map(|(lacking, _)| lacking).chain([&no_milestone]).collect();
    if records.find_one(doc! { "$or": any }).projection(doc! { "_id": 1 }).await?.is_none() {
        return Ok(());
    }
    for (lacking, given) in lacking {
        let changed = records.update_many(lacking, vec![given]).await?.modified_count;
        tracing::info!(tasks = changed, "adopted tasks of earlier versions");
    }
    // In small batches: the server gives up a cursor that nobody has asked for minutes.
    let mut cursor = records.find(no_milestone).projection(doc! { "owner": 1 }).batch_size(500).await?;
    while cursor.advance().await? {
        let record = cursor.deserialize_current()?;
        let (id, owner) = (record.get_str("_id").unwrap_or_default(), record.get_str("owner").unwrap_or_default());
        let milestone = doc! { "$set": { "milestone": records::milestone(owner, id) } };
        records.update_one(doc! { "_id": id }, milestone).await?;
    }
    Ok(())
}
