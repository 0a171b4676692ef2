//! Tells the owners of ended tasks: messages that are due go out beside the tasks, in slots of their own.
//!
//! A worker delivers what its own tasks announce at once, and every second what it finds due: what others left behind, what
//! failed before, what the API cancelled. Claims keep two workers from sending the same try.

mod alerts;
mod message;
mod resolver;
mod sender;
mod slots;
mod verdict;

use crate::metrics::Metrics;
use crate::store_retry::retry_until_cancelled;
use candlemill_db::StoreError;
use candlemill_shared::task::TaskRecord;
use candlemill_shared::webhook::{WebhookConfig, WebhookState};
use candlemill_tasks::{DueWebhook, TaskEngine};
use sender::Sender;
use slots::{PageSlots, Place};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use verdict::verdict;

/// Messages that may wait for a look; what does not fit is found by the next one.
const ANNOUNCED: usize = 1_024;
/// Time between two looks for due messages.
const LOOK: Duration = Duration::from_secs(1);
/// After this a message that is being tried is due again: its worker died.
const CLAIM_MS: i64 = 15_000;
/// Tries under way get this long when the worker stops; those that do not end are made again by others.
const GRACE: Duration = Duration::from_secs(1);

const _: () =
    assert!(CLAIM_MS > 1_000 * sender::PATIENCE.as_secs().cast_signed() + 2_000, "nobody takes over a living try");

/// Where ended tasks are announced. Never waits.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    announced: mpsc::Sender<DueWebhook>,
}

impl Outbox {
    /// Announces that `record` has ended at `now_ms`, if anybody wants to know.
    pub(crate) fn ended(&self, record: &TaskRecord, now_ms: i64) {
        if let Some(due) = DueWebhook::of_end(record, now_ms) {
            drop(self.announced.try_send(due));
        }
    }
}

/// Delivers messages.
#[derive(Debug)]
pub(crate) struct Deliverer {
    inbox: mpsc::Receiver<DueWebhook>,
    slots: PageSlots,
    post: Option<Arc<Post>>,
}

/// What every try needs.
#[derive(Debug)]
struct Post {
    tasks: TaskEngine,
    metrics: Arc<Metrics>,
    sender: Sender,
    attempts: u32,
}

/// The deliverer, and where it is told of ended tasks.
pub(crate) fn deliverer(
    config: &WebhookConfig,
    tasks: &TaskEngine,
    metrics: &Arc<Metrics>,
) -> Result<(Outbox, Deliverer), reqwest::Error> {
    let (announced, inbox) = mpsc::channel(ANNOUNCED);
    let post = match &config.secret {
        Some(secret) => Some(Arc::new(Post {
            tasks: tasks.clone(),
            metrics: Arc::clone(metrics),
            sender: Sender::new(secret.clone(), config.targets)?,
            attempts: config.attempts,
        })),
        None => None,
    };
    Ok((Outbox { announced }, Deliverer { inbox, slots: PageSlots::default(), post }))
}

impl Deliverer {
    /// Delivers until `closed`. Without a secret it does nothing: messages stay due for workers that have one.
    pub(crate) async fn run(mut self, closed: CancellationToken) {
        let Some(post) = self.post.take() else { return };
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut under_way = JoinSet::new();
        let mut more = false;
        loop {
            tokio::select! {
                () = closed.cancelled() => break,
                Some(due) = self.inbox.recv() => {
                    more |= !self.begin(&post, due, &mut under_way);
                    continue;
                }
                Some(_) = under_way.join_next() => {
                    // With a crowd waiting, slots are filled again as soon as half of them are free.
                    if !more || !self.slots.half_are_free() {
                        continue;
                    }
                }
                _ = looks.tick() => {
                    if let Err(error) = self.look_for_alerts(&post, &mut under_way).await {
                        tracing::warn!(%error, "nobody looked for due alerts of schedules");
                    }
                }
            }
            more = match self.look(&post, &mut under_way).await {
                Ok(more) => more,
                Err(error) => {
                    tracing::warn!(%error, "nobody looked for due webhooks");
                    false
                }
            };
        }
        let drained = async { while under_way.join_next().await.is_some() {} };
        if timeout(GRACE, drained).await.is_err() {
            tracing::info!(tries = under_way.len(), "webhooks under way are left to other workers");
        }
    }

    /// Begins what is due; whether there may be more.
    async fn look(&self, post: &Arc<Post>, under_way: &mut JoinSet<()>) -> Result<bool, StoreError> {
        let free = self.slots.free();
        if free == 0 {
            return Ok(true);
        }
        let now = post.tasks.clock().now_ms();
        let crowded = self.slots.crowded();
        let due = post.tasks.records().due_webhooks(now, &crowded, free).await?;
        // Nobody knows of those who were not asked about.
        let more = !crowded.is_empty() || u32::try_from(due.len()).is_ok_and(|found| found == free);
        Ok(due.into_iter().fold(more, |more, due| !self.begin(post, due, under_way) || more))
    }

    /// Begins a try if there is a place for it.
    fn begin(&self, post: &Arc<Post>, due: DueWebhook, under_way: &mut JoinSet<()>) -> bool {
        let Some(place) = self.slots.take(&due.owner) else { return false };
        under_way.spawn(attempt(Arc::clone(post), due, place));
        true
    }
}

async fn attempt(post: Arc<Post>, due: DueWebhook, _place: Place) {
    if let Err(error) = post.attempt(&due).await {
        tracing::warn!(task.id = %due.task, %error, "a webhook could not be claimed or settled; it is due again soon");
    }
}

impl Post {
    async fn attempt(&self, due: &DueWebhook) -> Result<(), StoreError> {
        let (clock, records) = (self.tasks.clock(), self.tasks.records());
        let Some(record) = records.claim_webhook(due, clock.now_ms() + CLAIM_MS).await? else { return Ok(()) };
        let Some(webhook) = record.webhook.as_ref() else { return Ok(()) };
        let (id, body) = (webhook.message_id(record.id), message::body(&record).to_string());
        let reply = self.sender.send(&record.owner, webhook, &id, body, clock.now_ms()).await;
        let settled = verdict(webhook, &reply, self.attempts, clock.now_ms(), rand::random());
        self.metrics.webhook_attempts.inc();
        let (task, attempt, host) = (record.id, webhook.attempts, self.sender.host_of(webhook));
        match settled.state {
            WebhookState::Delivered => {
                self.metrics.webhooks_delivered.inc();
                tracing::info!(task.id = %task, attempt, host, "webhook delivered");
            }
            WebhookState::Pending => tracing::info!(task.id = %task, attempt, host, "webhook not accepted: {reply}"),
            WebhookState::Failed => {
                self.metrics.webhooks_failed.inc();
                tracing::warn!(task.id = %task, attempt, host, "webhook given up: {reply}");
            }
        }
        let never = CancellationToken::new();
        retry_until_cancelled(&never, || records.settle_webhook(&record, &settled)).await.map(drop)
    }
}
