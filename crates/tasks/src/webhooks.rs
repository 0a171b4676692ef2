//! Messages about ended tasks: which are due, and who delivers them.
//!
//! A message lies in its task's record. It becomes due in the very update that ends the task, so none is lost. Who tries it
//! claims it by moving `next_at` from what it read to the end of its time; when it dies, the message is due again by then.

use crate::records::{DueWebhook, TaskRecords, encode, from_document};
use candlemill_db::StoreError;
use candlemill_shared::task::{TaskId, TaskRecord};
use candlemill_shared::webhook::Webhook;
use futures::TryStreamExt;
use mongodb::bson::{self, Document, doc};
use mongodb::options::ReturnDocument;

/// Only the message that was read, and only while nobody else has it.
fn unchanged(task: TaskId, read: &Webhook) -> Document {
    doc! {
        "_id": task.to_string(), "webhook.next_at": read.next_at, "webhook.attempts": i64::from(read.attempts),
        "webhook.life": i64::from(read.life),
    }
}

impl TaskRecords {
    /// At most `limit` messages that are due at `now_ms`, the longest due first; none of these owners.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn due_webhooks(
        &self,
        now_ms: i64,
        but_of: &[String],
        limit: u32,
    ) -> Result<Vec<DueWebhook>, StoreError> {
        let reading = "reading due webhooks";
        let filter = doc! {
            "webhook.next_at": { "$exists": true, "$lte": now_ms }, "owner": { "$nin": but_of },
        };
        let cursor = self
            .records
            .find(filter)
            .projection(doc! { "owner": 1, "webhook": 1 })
            .sort(doc! { "webhook.next_at": 1 })
            .limit(i64::from(limit))
            .await
            .map_err(StoreError::mongo(reading))?;
        let read = |found: Document| {
            bson::deserialize_from_document(found).map_err(|error| StoreError::corrupt("a webhook", error))
        };
        cursor
            .map_err(StoreError::mongo_in(reading))
            .and_then(|found| std::future::ready(read(found)))
            .try_collect()
            .await
    }

    /// Takes a message for one try, until `until_ms`. The record then; `None` when somebody else has it, or its task runs
    /// again.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn claim_webhook(&self, due: &DueWebhook, until_ms: i64) -> Result<Option<TaskRecord>, StoreError> {
        let tries = i64::from(due.webhook.attempts) + 1;
        let found = self
            .records
            .find_one_and_update(
                unchanged(due.task, &due.webhook),
                doc! { "$set": { "webhook.next_at": until_ms, "webhook.attempts": tries } },
            )
            .return_document(ReturnDocument::After)
            .await
            .map_err(StoreError::mongo("claiming a webhook"))?;
        found.map(from_document).transpose()
    }

    /// Writes what became of a claimed message. `false`: it was claimed by somebody else meanwhile, or its task runs again.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn settle_webhook(&self, claimed: &TaskRecord, settled: &Webhook) -> Result<bool, StoreError> {
        let Some(read) = &claimed.webhook else { return Ok(false) };
        let set = doc! { "$set": { "webhook": encode(settled)? } };
        let written = self
            .records
            .update_one(unchanged(claimed.id, read), set)
            .await
            .map_err(StoreError::mongo("settling a webhook"))?;
        if written.matched_count == 1 {
            return Ok(true);
        }
        // An earlier try of this very call may have been carried out.
        Ok(self.get(claimed.id).await?.is_some_and(|now| now.webhook.as_ref() == Some(settled)))
    }
}
