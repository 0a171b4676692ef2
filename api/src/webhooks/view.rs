//! How a webhook looks to the owner of its task.

use candlemill_shared::range::rfc3339;
use candlemill_shared::task::TaskError;
use candlemill_shared::webhook::Webhook;
use serde::Serialize;
use utoipa::ToSchema;

/// Who is told of the task's end, and how far that is.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookView {
    /// Where the message goes.
    pub url: String,
    /// pending, delivered or failed.
    #[schema(example = "delivered")]
    pub state: &'static str,
    /// Tries of the message so far.
    pub attempts: u32,
    /// RFC 3339 of the next try; null before the task has ended, and when there is none to come.
    pub next_at: Option<String>,
    /// RFC 3339.
    pub delivered_at: Option<String>,
    /// HTTP status of the receiver's last answer; null when it gave none.
    pub last_status: Option<u16>,
    /// Why the last try failed: code and message.
    #[schema(value_type = Option<Object>)]
    pub last_error: Option<TaskError>,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            url: webhook.url,
            state: webhook.state.as_str(),
            attempts: webhook.attempts,
            next_at: webhook.next_at.map(rfc3339),
            delivered_at: webhook.delivered_at.map(rfc3339),
            last_status: webhook.last_status,
            last_error: webhook.last_error,
        }
    }
}
