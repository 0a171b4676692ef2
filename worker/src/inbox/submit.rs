//! What a message becomes: a task, or a dead letter with its cause.

use super::config::InboxConfig;
use super::counters::InboxCounters;
use super::handler::Verdict;
use super::message::{Message, Refused};
use candlemill_shared::Clock;
use candlemill_shared::job::Listings;
use candlemill_shared::request::TaskRequest;
use candlemill_shared::task::TaskError;
use candlemill_tasks::{Grant, Rejected, SubmitError, TaskService};
use std::sync::Arc;

/// What is needed to submit.
#[derive(Clone)]
pub(super) struct Submitter {
    pub(super) service: TaskService,
    pub(super) config: Arc<InboxConfig>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: InboxCounters,
}

impl Submitter {
    /// Submits the request of a message; keeps it as a dead letter when it can never be accepted.
    pub(super) async fn submit(self, message: Message) -> Verdict {
        let (request, raw) = match message.open() {
            Ok(opened) => opened,
            Err(refused) => return self.reject(message.id, refused).await,
        };
        // Without the store of candles: its fetches from the listing count from the earliest time.
        match self.service.submit(&self.grant(), &request, &Listings::default()).await {
            Ok(submitted) => {
                self.counters.tried(if submitted.created { "accepted" } else { "repeated" });
                tracing::debug!(message.id, task.id = %submitted.record.id, "a message of the inbox is a task");
                Verdict::Done(submitted.record.id.to_string())
            }
            // Whatever ails a store, it says nothing against the message.
            Err(error) if error.is_passing() || matches!(error, SubmitError::Store(_)) => {
                Verdict::Later(error.to_string())
            }
            // A rule that has changed since does not take back what was accepted.
            Err(_) if self.was_accepted(&request).await => {
                self.counters.tried("repeated");
                Verdict::Done(message.id)
            }
            Err(error) => self.reject(message.id, Refused { error: cause(&error), raw }).await,
        }
    }

    async fn was_accepted(&self, request: &TaskRequest) -> bool {
        let Some(key) = &request.idempotency_key else { return false };
        self.service.was_accepted(&self.grant(), key).await.unwrap_or(false)
    }

    async fn reject(&self, id: String, refused: Refused) -> Verdict {
        let Refused { raw, error } = refused;
        let told = format!("{}: {}", error.code, error.message);
        let rejected = Rejected { key: id.clone(), message: raw, error, taken_by: "apalis inbox".to_owned() };
        match self.service.reject(&self.grant(), &rejected).await {
            Ok(letter) => {
                self.counters.tried("dead_letter");
                tracing::warn!(message.id = id, task.id = %letter, "a message of the inbox is a dead letter: {told}");
                Verdict::Done(letter.to_string())
            }
            Err(error) => Verdict::Later(format!("it cannot be kept as a dead letter yet ({told}): {error}")),
        }
    }

    fn grant(&self) -> Grant {
        Grant::of_configuration(self.config.owner.clone(), self.config.tier, self.clock.now_ms())
    }
}

/// The error of a dead letter whose request was refused for good.
fn cause(error: &SubmitError) -> TaskError {
    TaskError::new(error.code(), error.to_string())
}
