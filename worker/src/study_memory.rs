//! Studies start by their estimated memory: together they stay within a bound.

use crate::outcome::Stop;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

const MIB: u64 = 1 << 20;
/// What a study holds at its peak for each candle: six columns of 8 bytes, observations of the longest grouping, sorted copies.
const BYTES_A_CANDLE: u64 = 200;
/// And whatever its range: reports, charts, resamples.
const FIXED_MIB: u64 = 24;

/// Memory for studies of this process, MiB.
#[derive(Debug, Clone)]
pub(crate) struct StudyMemory {
    free: Arc<Semaphore>,
    all: u32,
}

impl StudyMemory {
    /// `mib` MiB in all.
    pub(crate) fn of_mib(mib: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(mib as usize)), all: mib }
    }

    /// Waits until there is room for a study of `candles` candles; the room is free again when what is returned is dropped. A study
    /// that would need more than all of it runs alone.
    ///
    /// # Errors
    /// [`Stop::Cancelled`].
    pub(crate) async fn reserve(&self, cancel: &CancellationToken, candles: u64) -> Result<OwnedSemaphorePermit, Stop> {
        let wanted = FIXED_MIB + (candles * BYTES_A_CANDLE).div_ceil(MIB);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX).min(self.all);
        tokio::select! {
            // The semaphore is never closed.
            room = Arc::clone(&self.free).acquire_many_owned(wanted) => room.map_err(|_| Stop::Cancelled),
            () = cancel.cancelled() => Err(Stop::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn what_does_not_fit_waits_and_what_never_fits_runs_alone() {
        let memory = StudyMemory::of_mib(100);
        let never = CancellationToken::new();
        let first = memory.reserve(&never, 300_000).await.unwrap();
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, memory.reserve(&never, 300_000)).await.is_err(), "there is no room");
        drop(first);
        let alone = memory.reserve(&never, 1_000_000_000).await.unwrap();
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        assert!(matches!(memory.reserve(&cancelled, 1).await, Err(Stop::Cancelled)));
        drop(alone);
        assert!(memory.reserve(&never, 1).await.is_ok());
    }
}
