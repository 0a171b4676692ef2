//! Replays: by the limits of the tier that the owner has now.

use super::submit::TaskService;
use crate::accept::SubmitError;
use crate::dead_letters::{ReplayOutcome, ReplayTerms};
use crate::grant::Grant;
use candlemill_db::StoreError;
use candlemill_shared::job::{Admission, Envelope, Listings};
use candlemill_shared::task::TaskId;
use candlemill_shared::tier::TierLimits;

impl TaskService {
    /// Lets the grant's dead or failed task be tried again from where it stopped, if the tier of now allows what it does.
    /// `listings` gives the first open times that are recorded of the series of a job.
    ///
    /// # Errors
    /// [`SubmitError::Tier`] when the tier does not, or a store's failure. Then the task was not replayed; or it was, where MongoDB
    /// went away in the middle.
    pub async fn replay<F>(
        &self,
        grant: &Grant,
        id: TaskId,
        listings: impl FnOnce(Envelope) -> F,
    ) -> Result<ReplayOutcome, SubmitError>
    where
        F: Future<Output = Result<Listings, StoreError>>,
    {
        let TierLimits { priority, running_at_once, jobs_at_once, .. } = *self.tiers.of(grant.tier());
        // What was submitted stays as it was, so what is read here is what would run.
        if let Some(record) = self.engine.records().get(id).await?
            && record.owner == grant.owner()
            && record.state.is_replayable()
            && record.dead_letter.discarded.is_none()
            && let Some(kind) = record.kind()
        {
            let listings = listings(record.job.clone()).await?;
            let now_ms = self.engine.clock().now_ms();
            let admission = Admission { tiers: &self.tiers, tier: grant.tier(), listings: &listings, now_ms };
            kind.admit(&record.job, &admission, record.result.as_ref()).map_err(SubmitError::Tier)?;
        }
        let terms = ReplayTerms { tier: grant.tier(), priority, running_at_once, jobs_at_once };
        Ok(self.engine.replay(id, grant.owner(), &terms).await?)
    }
}
