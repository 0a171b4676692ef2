//! Messages that fires of a schedule fail: they lie in the record of the fire that was one too many.

use super::slots::Place;
use super::verdict::verdict;
use super::{CLAIM_MS, Deliverer, Post};
use crate::store_retry::retry_until_cancelled;
use candlemill_db::StoreError;
use candlemill_shared::range::rfc3339;
use candlemill_shared::schedule::FireRecord;
use candlemill_shared::webhook::WebhookState;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

impl Deliverer {
    /// Begins the alerts that are due.
    pub(super) async fn look_for_alerts(
        &self,
        post: &Arc<Post>,
        under_way: &mut JoinSet<()>,
    ) -> Result<(), StoreError> {
        let now = post.tasks.clock().now_ms();
        let free = self.slots.free();
        if free == 0 {
            return Ok(());
        }
        for fire in post.tasks.schedules().due_alerts(now, free).await? {
            if let Some(place) = self.slots.take(&fire.owner) {
                under_way.spawn(attempt(Arc::clone(post), fire, place));
            }
        }
        Ok(())
    }
}

async fn attempt(post: Arc<Post>, due: FireRecord, _place: Place) {
    if let Err(error) = post.alert(&due).await {
        tracing::warn!(schedule.id = %due.schedule, %error, "an alert could not be claimed or settled; it is due again soon");
    }
}

impl Post {
    async fn alert(&self, due: &FireRecord) -> Result<(), StoreError> {
        let (clock, schedules) = (self.tasks.clock(), self.tasks.schedules());
        let Some(fire) = schedules.claim_alert(due, clock.now_ms() + CLAIM_MS).await? else { return Ok(()) };
        let Some(alert) = &fire.alert else { return Ok(()) };
        let body = body(&fire, alert.life).to_string();
        let reply = self.sender.send(&fire.owner, alert, &format!("{}_alert", fire.id), body, clock.now_ms()).await;
        let settled = verdict(alert, &reply, self.attempts, clock.now_ms(), rand::random());
        self.metrics.webhook_attempts.inc();
        match settled.state {
            WebhookState::Delivered => self.metrics.webhooks_delivered.inc(),
            WebhookState::Failed => self.metrics.webhooks_failed.inc(),
            WebhookState::Pending => 0,
        };
        tracing::info!(schedule.id = %fire.schedule, attempt = alert.attempts, state = settled.state.as_str(), "an alert was tried");
        let never = CancellationToken::new();
        retry_until_cancelled(&never, || schedules.settle_alert(&fire, &settled)).await.map(drop)
    }
}

/// What is told: so many fires failed in a row.
fn body(fire: &FireRecord, failed: u32) -> Value {
    json!({
        "type": "schedule.failing",
        "schedule_id": fire.schedule,
        "failed_in_a_row": failed,
        "due_at": rfc3339(fire.due_at),
        "state": fire.state,
        "task_id": fire.task,
        "why": fire.why,
    })
}
