//! Webhooks: the owner of a task names a URL, and hears there that it has ended.
//!
//! Rules, after the "Standard Webhooks" specification where they concern the receiver:
//!
//! 1. A message has the headers `webhook-id`, `webhook-timestamp` (UTC seconds of this very try) and `webhook-signature`.
//! 2. The signature is `v1,` and the Base64 of HMAC-SHA256 over `<id>.<timestamp>.<body>`.
//! 3. The id stays the same from try to try, so that a receiver can tell a repetition. It holds no full stop. A task that
//!    is replayed and ends again is another message.
//! 4. Any 2xx is success, 410 means never again, everything else is tried again later.
//! 5. Each owner has a secret of their own, derived from that of the deployment: no owner can sign for another.
//! 6. Only public addresses are called, judged by the address that is connected to, not by the name alone.

mod config;
mod secret;
mod target;

pub use config::WebhookConfig;
pub use secret::{InvalidSecret, MasterSecret, OwnerSecret};
pub use target::{Refusal, Target, TargetPolicy};

use crate::task::{TaskError, TaskId};
use serde::{Deserialize, Serialize};

/// Where a message stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    /// Not delivered yet: the task has not ended, or the receiver has not accepted.
    #[default]
    Pending,
    /// The receiver has accepted it.
    Delivered,
    /// It is tried no more.
    Failed,
}

impl WebhookState {
    /// The state's name in answers and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// The webhook of one task, as its record keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Where the message goes; checked when it was submitted.
    pub url: String,
    /// Where the message stands.
    #[serde(default)]
    pub state: WebhookState,
    /// Replays of the task before the end that the message tells of.
    #[serde(default)]
    pub life: u32,
    /// Tries of this message.
    #[serde(default)]
    pub attempts: u32,
    /// UTC ms of the next try; while one is under way, when others may take it over. Absent: there is none to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<i64>,
    /// UTC ms.
    #[serde(default)]
    pub delivered_at: Option<i64>,
    /// HTTP status of the last answer.
    #[serde(default)]
    pub last_status: Option<u16>,
    /// Why the last try failed.
    #[serde(default)]
    pub last_error: Option<TaskError>,
}

impl Webhook {
    /// The webhook of a new task.
    #[must_use]
    pub const fn new(url: String) -> Self {
        Self {
            url,
            state: WebhookState::Pending,
            life: 0,
            attempts: 0,
            next_at: None,
            delivered_at: None,
            last_status: None,
            last_error: None,
        }
    }

    /// The same webhook when its task has ended at `now_ms`, after so many replays: the message is due.
    #[must_use]
    pub fn due(&self, replays: u32, now_ms: i64) -> Self {
        Self { life: replays, next_at: Some(now_ms), ..Self::new(self.url.clone()) }
    }

    /// Rule 3: the id of the message about `task`.
    #[must_use]
    pub fn message_id(&self, task: TaskId) -> String {
        format!("{task}_{}", self.life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_without_later_fields_stay_readable() {
        let stored: Webhook = serde_json::from_value(json!({"url": "https://example.com/"})).unwrap();
        assert_eq!(stored, Webhook::new("https://example.com/".to_owned()));
        let written = serde_json::to_value(&stored).unwrap();
        assert!(written.get("next_at").is_none(), "what waits for its task is in no list of due ones: {written}");
    }

    #[test]
    fn another_life_is_another_message() {
        let webhook = Webhook { attempts: 3, ..Webhook::new("https://example.com/".to_owned()) };
        let task = TaskId::new(1_700_000_000_000);
        let first = webhook.due(0, 5);
        assert_eq!((first.attempts, first.next_at, first.message_id(task)), (0, Some(5), format!("{task}_0")));
        assert_eq!(webhook.due(1, 5).message_id(task), format!("{task}_1"));
    }
}
