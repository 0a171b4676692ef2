//! Places: an owner has one for each task under way, children aside.
//!
//! Redis counts them, the records are the truth. A place is reserved before its task is stored, and the reservation is
//! written down until its task is, so that neither a recount nor a death in between makes the number a wrong one.

use crate::engine::TaskEngine;
use crate::quota::{QuotaRequest, Reservation};
use candlemill_db::StoreError;
use candlemill_shared::task::TaskId;
use std::collections::BTreeSet;

/// A reservation that is older than this was left by a process that died, or by one that could not reach MongoDB.
const LEFT_BEHIND_MS: i64 = 10_000;

impl TaskEngine {
    /// Reserves a place for each task, in order, where its owner has fewer than the tier allows. The answer tells of each
    /// whether it has one. When the tasks are stored, or their places given back, [`Self::commit_reservation`] has to be called.
    ///
    /// # Errors
    /// When Redis fails. Nobody knows which places are taken then.
    pub(crate) async fn reserve(&self, wanted: &[QuotaRequest]) -> Result<(Vec<bool>, Reservation), StoreError> {
        let admission = self.quota();
        let (places, reservation) = admission.reserve(wanted).await?;
        // Before anybody is refused the count is compared with the records: Redis may remember tasks that have ended.
        let refused = wanted.iter().zip(&places).filter(|(_, place)| !**place).map(|(one, _)| one.owner.as_str());
        let doubted: BTreeSet<&str> = refused.filter(|owner| !admission.was_recounted(owner)).collect();
        if doubted.is_empty() {
            return Ok((places, reservation));
        }
        if let Err(error) = self.recount(&doubted).await {
            tracing::warn!(%error, "the number of tasks under way could not be checked");
            return Ok((places, reservation));
        }
        admission.reserve(wanted).await
    }

    /// Gives back the places of `owners` whose tasks are not in flight.
    async fn recount(&self, owners: &BTreeSet<&str>) -> Result<(), StoreError> {
        // In this order: what has a place, and is no longer being reserved, has been stored before the records are read.
        let taken = self.quota().taken(owners, self.clock().now_ms() - LEFT_BEHIND_MS).await?;
        self.release_unused(&taken).await?;
        self.quota().recounted(owners).await;
        Ok(())
    }

    /// Returns how many.
    async fn release_unused(&self, places: &[(String, TaskId)]) -> Result<usize, StoreError> {
        let in_flight = self.records().in_flight(places.iter().map(|(_, id)| *id)).await?;
        let unused: Vec<(&str, TaskId)> =
            places.iter().filter(|(_, id)| !in_flight.contains(id)).map(|(owner, id)| (owner.as_str(), *id)).collect();
        self.quota().release(&unused).await?;
        Ok(unused.len())
    }

    /// What became of the tasks is known. Best effort: the sweeper sees after what is left.
    pub(crate) async fn commit_reservation(&self, reservation: &Reservation) {
        if let Err(error) = self.quota().commit_reservation(reservation).await {
            tracing::debug!(%error, "the sweeper sees after a reservation");
        }
    }

    /// Gives places back that were reserved for tasks which were never stored: the process that reserved them died before it could, or
    /// could not reach MongoDB. Returns how many.
    ///
    /// # Errors
    /// When a store fails.
    pub async fn free_places_left_behind(&self) -> Result<usize, StoreError> {
        let mut freed = 0;
        for reservation in self.quota().left_behind(self.clock().now_ms() - LEFT_BEHIND_MS).await? {
            freed += self.release_unused(&reservation.places()).await?;
            self.quota().commit_reservation(&reservation).await?;
        }
        Ok(freed)
    }
}
