//! Submission.

use super::checked::{Checked, check, idempotency_hash};
use crate::accept::{Submissions, SubmitError, Submitted};
use crate::engine::TaskEngine;
use crate::grant::Grant;
use candlemill_db::StoreError;
use candlemill_shared::job::Listings;
use candlemill_shared::request::TaskRequest;
use candlemill_shared::schedule::FireRecord;
use candlemill_shared::task::{DeadLetter, TaskId, TaskRecord, TaskState};
use candlemill_shared::tier::TierTable;
use candlemill_shared::webhook::WebhookConfig;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Submits and replays tasks. A clone shares its batches.
#[derive(Debug, Clone)]
pub struct TaskService {
    pub(super) engine: TaskEngine,
    pub(super) tiers: Arc<TierTable>,
    submissions: Submissions,
    webhooks: WebhookConfig,
}

impl TaskService {
    /// Starts the writers of accepted tasks. They end when the last clone is dropped.
    #[must_use]
    pub fn start(engine: &TaskEngine, tiers: Arc<TierTable>, webhooks: WebhookConfig) -> Self {
        Self { engine: engine.clone(), tiers, submissions: Submissions::start(engine), webhooks }
    }

    /// Whether `request` breaks no rule that is known without a store: what [`Self::submit`] would refuse at once. `listings` are
    /// the first open times that are recorded of its series.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, grant: &Grant, request: &TaskRequest, listings: &Listings) -> Result<(), SubmitError> {
        self.checked(grant, request, listings, self.engine.clock().now_ms()).map(drop)
    }

    fn checked(
        &self,
        grant: &Grant,
        request: &TaskRequest,
        listings: &Listings,
        now_ms: i64,
    ) -> Result<Checked, SubmitError> {
        check(grant, request, listings, &self.tiers, &self.webhooks, now_ms)
    }

    /// Accepts a request: its task is durable when this returns, and in the queue or on its way there. A repetition is answered
    /// with the task that the first one became.
    ///
    /// # Errors
    /// [`SubmitError`]; then nothing was stored or queued, unless a store failed in the middle: then a repetition finds out.
    pub async fn submit(
        &self,
        grant: &Grant,
        request: &TaskRequest,
        listings: &Listings,
    ) -> Result<Submitted, SubmitError> {
        let now = self.engine.clock().now_ms();
        let checked = self.checked(grant, request, listings, now)?;
        let most = self.tiers.of(grant.tier()).jobs_at_once;
        let submitted = self.submissions.submit(self.record(grant, checked, now)?, most).await?;
        tracing::debug!(
            task.id = %submitted.record.id,
            created = submitted.created,
            confirmed_by = ?grant.confirmed_by(),
            confirmed_at = grant.confirmed_at(),
            "a request is accepted"
        );
        Ok(submitted)
    }

    /// Accepts the task of a fire of a schedule, which needs a place among the first half of the owner's: the other half is left for
    /// what the owner asks for itself. Every submission of one fire gets the same task.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn submit_fire(
        &self,
        grant: &Grant,
        fire: &FireRecord,
        request: &TaskRequest,
        listings: &Listings,
    ) -> Result<Submitted, SubmitError> {
        let id = fire.task_id();
        if let Some(record) = self.engine.records().look_up(id).await? {
            return Ok(Submitted { record, created: false });
        }
        let now = self.engine.clock().now_ms();
        let checked = self.checked(grant, request, listings, now)?;
        let mut record = self.record(grant, checked, now)?;
        record.id = id;
        record.schedule = Some(fire.schedule);
        record.fingerprint = hex::encode(Sha256::digest(format!("fire\n{}", fire.id)));
        let most = (self.tiers.of(grant.tier()).jobs_at_once / 2).max(1);
        self.submissions.submit(record, most).await
    }

    fn record(&self, grant: &Grant, checked: Checked, now_ms: i64) -> Result<TaskRecord, SubmitError> {
        let Checked { kind, job, fingerprint, due, idempotency, webhook, trace } = checked;
        let limits = self.tiers.of(grant.tier());
        let request = kind.kept_request(&job);
        Ok(TaskRecord {
            id: TaskId::new(now_ms),
            owner: grant.owner().to_owned(),
            tier: grant.tier(),
            pool: kind.pool,
            priority: limits.priority,
            running_at_once: limits.running_at_once,
            request: request.map_err(|error| SubmitError::Invalid { field: "payload", why: error.to_string() })?,
            job,
            fingerprint,
            idempotency,
            state: TaskState::Queued,
            attempt: 0,
            attempts: Vec::new(),
            cancel_requested: false,
            created_at: now_ms,
            updated_at: now_ms,
            started_at: None,
            ended_at: None,
            run_at: due,
            result: None,
            error: None,
            dead_letter: DeadLetter::default(),
            parent: None,
            share: None,
            schedule: None,
            children: None,
            webhook,
            trace_id: trace.to_string(),
        })
    }

    /// Whether a request with this idempotency key was accepted within the last 24 hours: a repetition is answered with its
    /// task, whatever has become known since.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn was_accepted(&self, grant: &Grant, key: &str) -> Result<bool, StoreError> {
        match idempotency_hash(grant.owner(), key) {
            Ok(hash) => self.engine.was_accepted(&hash).await,
            Err(_) => Ok(false),
        }
    }
}
