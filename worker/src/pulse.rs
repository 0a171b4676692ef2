//! The worker's sign of life in Redis.

use candlemill_store::Store;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two signs.
const BEAT: Duration = Duration::from_secs(2);
/// How long a sign counts: three beats, so that one that is lost or late kills nobody.
pub(crate) const TERM: Duration = Duration::from_secs(6);

/// Gives signs of life until `shutdown`.
pub(crate) async fn beat(store: Store, worker: String, shutdown: CancellationToken) {
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beats.tick() => {
                if let Err(error) = store.lease().beat(&worker, TERM).await {
                    tracing::warn!(%error, "no sign of life could be given");
                }
            }
            () = shutdown.cancelled() => return,
        }
    }
}
