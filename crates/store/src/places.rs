//! Places: an owner has one for each of his tasks under way, children aside.
//!
//! Redis counts them, the records are the truth. A place is reserved before its task is stored, and the reservation is
//! written down until its task is, so that neither a recount nor a death in between makes the number a wrong one.

use crate::admission::{Reservation, Wanted};
use crate::error::StoreError;
use crate::store::Store;
use candlemill_shared::task::TaskId;
use std::collections::HashSet;

/// A reservation that is older than this was left by a process that died.
const LEFT_BEHIND_MS: i64 = 10_000;

impl Store {
    /// Reserves a place for each task, in order, where its owner has fewer than his tier allows. The answer tells of each
    /// whether it has one. When the tasks are stored, or their places given back, [`Self::strike_out`] has to be called.
    ///
    /// # Errors
    /// When Redis fails. Nobody knows which places are taken then: the sweeper sees after them.
    pub(crate) async fn reserve(&self, wanted: &[Wanted]) -> Result<(Vec<bool>, Reservation), StoreError> {
        let admission = self.admission();
        let (places, reservation) = admission.reserve(wanted).await?;
        // Before anybody is refused the count is compared with the records: Redis may remember tasks that have ended.
        let doubted: HashSet<&str> =
            wanted.iter().zip(&places).filter(|(_, place)| !**place).map(|(one, _)| one.owner.as_str()).collect();
        if doubted.is_empty() {
            return Ok((places, reservation));
        }
        for owner in doubted {
            if let Err(error) = self.recount(owner).await {
                tracing::warn!(%error, "the number of tasks under way could not be checked");
            }
        }
        admission.reserve(wanted).await
    }

    /// Compares the places of `owner` with his tasks in flight.
    async fn recount(&self, owner: &str) -> Result<(), StoreError> {
        // In this order: what was taken and is no longer being reserved has been stored before the records are read.
        let taken = self.admission().taken(owner).await?;
        let in_flight = self.tasks().in_flight_of(owner).await?;
        self.admission().correct(owner, &taken, &in_flight).await
    }

    /// Gives places back. Best effort: what stays taken is recounted before anybody is refused.
    pub(crate) async fn release(&self, places: &[(&str, TaskId)]) {
        if let Err(error) = self.admission().release(places).await {
            tracing::warn!(%error, "places of tasks that were not accepted stay taken until they are recounted");
        }
    }

    /// What became of the tasks is known. Best effort: the sweeper sees after what is left.
    pub(crate) async fn strike_out(&self, reservation: &Reservation) {
        if let Err(error) = self.admission().kept(reservation).await {
            tracing::debug!(%error, "the sweeper sees after a reservation");
        }
    }

    /// Gives places back that were reserved for tasks which were never stored: whoever reserved them died before he could.
    /// Returns how many.
    ///
    /// # Errors
    /// When a store fails.
    pub async fn free_places_left_behind(&self) -> Result<usize, StoreError> {
        let mut freed = 0;
        for reservation in self.admission().left_behind(self.clock().now_ms() - LEFT_BEHIND_MS).await? {
            let places = reservation.places();
            let ids: Vec<String> = places.iter().map(|(_, id)| id.to_string()).collect();
            let stored = self.tasks().those_in_flight(&ids).await?;
            let unused: Vec<(&str, TaskId)> =
                places.iter().filter(|(_, id)| !stored.contains(id)).map(|(owner, id)| (owner.as_str(), *id)).collect();
            self.admission().release(&unused).await?;
            self.admission().kept(&reservation).await?;
            freed += unused.len();
        }
        Ok(freed)
    }
}
