//! The message about a task's end, as its record holds it.

use super::document::encode;
use candlemill_db::StoreError;
use candlemill_shared::task::{TaskId, TaskRecord};
use candlemill_shared::webhook::Webhook;
use mongodb::bson::{Document, doc};
use serde::Deserialize;

/// A message that may be tried.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DueWebhook {
    /// The task that has ended.
    #[serde(rename = "_id")]
    pub task: TaskId,
    /// The task's owner.
    pub owner: String,
    /// The message as it was read: what a claim compares with.
    pub webhook: Webhook,
}

impl DueWebhook {
    /// The message about a task that ended at `now_ms`, as its end wrote it. `None`: nobody is told.
    #[must_use]
    pub fn of_end(record: &TaskRecord, now_ms: i64) -> Option<Self> {
        let webhook = record.webhook.as_ref()?.due(record.dead_letter.replays, now_ms);
        Some(Self { task: record.id, owner: record.owner.clone(), webhook })
    }
}

/// What the update that ends `record` sets besides.
pub(crate) fn due_at_end(record: &TaskRecord, now_ms: i64) -> Result<Document, StoreError> {
    Ok(match DueWebhook::of_end(record, now_ms) {
        Some(due) => doc! { "webhook": encode(&due.webhook)? },
        None => doc! {},
    })
}

/// What the update that replays `record` sets besides: the end that the message told of is none any more.
pub(crate) fn waits_again(record: &TaskRecord) -> Result<Document, StoreError> {
    Ok(match &record.webhook {
        Some(webhook) => doc! { "webhook": encode(&Webhook::new(webhook.url.clone()))? },
        None => doc! {},
    })
}
