//! Housekeeping of stored history: takes over ledgers of earlier versions and lists their series, compares the ledger with the
//! candles, and asks for absences again. Runs everywhere; one leader acts, in small steps.

mod recheck;

use crate::context::WorkerContext;
use crate::outcome::with_causes;
use candlemill_db::StoreError;
use recheck::Recheck;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(5);
const DUTY: &str = "housekeeping";
const DUTY_TERM: Duration = Duration::from_secs(30);
/// Buckets that one look compares with stored candles, at least one chunk: reading so many ids takes a fraction of a second.
const BUCKETS: u64 = 64_000;
/// Ledgers of earlier versions are looked for this often: programs of one may run beside those of this one.
const EARLIER: Duration = Duration::from_secs(3_600);

/// Runs the housekeeping until `shutdown`.
pub(crate) async fn run(context: WorkerContext, shutdown: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A worker that has just started has more urgent work.
    looks.tick().await;
    let mut keeper = Keeper { recheck: Recheck::new(context.clone()), context, earlier: None };
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        tokio::select! {
            kept = keeper.look() => if let Err(error) = kept {
                tracing::warn!(error = with_causes(&error), "housekeeping broke off; it goes on in some seconds");
            },
            () = shutdown.cancelled() => return,
        }
    }
}

struct Keeper {
    context: WorkerContext,
    recheck: Recheck,
    /// When it was last seen that no ledger of an earlier version is left.
    earlier: Option<Instant>,
}

impl Keeper {
    async fn look(&mut self) -> Result<(), StoreError> {
        let (tasks, market) = (&self.context.tasks, &self.context.resources.market);
        if !tasks.db().lease().take(DUTY, &self.context.worker, DUTY_TERM).await? {
            self.earlier = None;
            return Ok(());
        }
        if self.earlier.is_none_or(|at| at.elapsed() > EARLIER) && market.coverage().adopt_some().await? == 0 {
            market.coverage().list_all().await?;
            self.earlier = Some(Instant::now());
        }
        let audited = market.coverage().audit_some(BUCKETS).await?;
        self.context.metrics.ledger_corrected.inc_by(audited.holes.len() as u64 + audited.filled);
        self.recheck.look(audited.holes).await
    }
}
