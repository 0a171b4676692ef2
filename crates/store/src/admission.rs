//! Who may ask how often, and have how many tasks under way.

use crate::error::StoreError;
use crate::keys;
use candlemill_shared::Clock;
use candlemill_shared::task::TaskId;
use redis::Script;
use redis::aio::ConnectionManager;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const MINUTE_MS: i64 = 60_000;
/// Reservations that one look at those left behind handles.
const LEFT_BEHIND: usize = 100;

/// Counters in Redis, shared by all API processes.
#[derive(Clone)]
pub struct Admission {
    connection: ConnectionManager,
    clock: Arc<dyn Clock>,
    reserve: Arc<Script>,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admission")
    }
}

/// A task that needs a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) owner: String,
    pub(crate) task: TaskId,
    /// Tasks that the owner may have under way.
    pub(crate) at_most: u32,
}

/// Places that are taken together, written down as JSON: owners and ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reservation(String);

impl Reservation {
    fn of(wanted: &[Wanted]) -> Self {
        let places: Vec<_> = wanted.iter().map(|one| (&one.owner, one.task)).collect();
        Self(serde_json::json!(places).to_string())
    }

    /// What was reserved; nothing where it cannot be read.
    pub(crate) fn places(&self) -> Vec<(String, TaskId)> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// What the request counter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateDecision {
    /// Whether the request may go on.
    pub allowed: bool,
    /// Requests that the window allows.
    pub limit: u32,
    /// Requests left in the window.
    pub remaining: u32,
    /// Seconds until the window ends, at least 1.
    pub reset_seconds: u32,
}

impl Admission {
    pub(crate) fn new(connection: ConnectionManager, clock: Arc<dyn Clock>) -> Self {
        Self { connection, clock, reserve: Arc::new(Script::new(include_str!("admission/reserve.lua"))) }
    }

    /// Counts one request of `owner` in the current minute.
    ///
    /// # Errors
    /// When Redis fails: the request was not counted, and the caller decides whether it goes on.
    pub async fn request(&self, owner: &str, per_minute: u32) -> Result<RateDecision, StoreError> {
        let now = self.clock.now_ms();
        let key = keys::owner_requests(owner, now.div_euclid(MINUTE_MS));
        let mut connection = self.connection.clone();
        let (count,): (u64,) = redis::pipe()
            .incr(&key, 1)
            .pexpire(&key, 2 * MINUTE_MS)
            .ignore()
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis("counting a request"))?;
        Ok(decide(count, per_minute, now))
    }

    /// Reserves a place for each task, in order, where its owner has fewer than that tier's number under way.
    /// The answer tells of each whether it has a place. The reservation is written down until [`Self::kept`] is called.
    pub(crate) async fn reserve(&self, wanted: &[Wanted]) -> Result<(Vec<bool>, Reservation), StoreError> {
        let reservation = Reservation::of(wanted);
        let now = self.clock.now_ms();
        let mut owners: Vec<(&str, Vec<usize>)> = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        for (index, Wanted { owner, .. }) in wanted.iter().enumerate() {
            let at = *known.entry(owner).or_insert_with(|| {
                owners.push((owner, Vec::new()));
                owners.len() - 1
            });
            owners[at].1.push(index);
        }
        let mut pipe = redis::pipe();
        pipe.zadd(keys::RESERVING, &reservation.0, now).ignore();
        for (owner, theirs) in &owners {
            let mut call = self.reserve.key(keys::owner_tasks(owner));
            call.arg(now);
            for &index in theirs {
                let Wanted { task, at_most, .. } = &wanted[index];
                call.arg(*at_most).arg(task.to_string());
            }
            pipe.invoke_script(&call);
        }
        let mut connection = self.connection.clone();
        let reserving = "counting tasks under way";
        let answers: Vec<Vec<i64>> = match pipe.query_async(&mut connection).await {
            // A restarted Redis has forgotten the script: tell it, and ask once more.
            Err(error) if error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::NoScript) => {
                self.reserve.load_async(&mut connection).await.map_err(StoreError::redis(reserving))?;
                pipe.query_async(&mut connection).await
            }
            other => other,
        }
        .map_err(StoreError::redis(reserving))?;
        let mut places = vec![false; wanted.len()];
        for ((_, theirs), answer) in owners.iter().zip(answers) {
            for (&index, place) in theirs.iter().zip(answer) {
                places[index] = place == 1;
            }
        }
        Ok((places, reservation))
    }

    /// Whoever reserved knows what became of the tasks: they are stored, or their places given back.
    pub(crate) async fn kept(&self, reservation: &Reservation) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        let gone = redis::cmd("ZREM").arg(keys::RESERVING).arg(&reservation.0).query_async(&mut connection).await;
        gone.map_err(StoreError::redis("striking a reservation out"))
    }

    /// Reservations older than `before_ms` that nobody struck out: their process died, or Redis was away.
    pub(crate) async fn left_behind(&self, before_ms: i64) -> Result<Vec<Reservation>, StoreError> {
        let mut connection = self.connection.clone();
        let found: Vec<String> = redis::cmd("ZRANGEBYSCORE")
            .arg(keys::RESERVING)
            .arg("-inf")
            .arg(before_ms)
            .arg("LIMIT")
            .arg(0)
            .arg(LEFT_BEHIND)
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis("looking for reservations"))?;
        Ok(found.into_iter().map(Reservation).collect())
    }

    /// Gives places back.
    pub(crate) async fn release(&self, places: &[(&str, TaskId)]) -> Result<(), StoreError> {
        if places.is_empty() {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        for (owner, id) in places {
            pipe.zrem(keys::owner_tasks(owner), id.to_string()).ignore();
        }
        let mut connection = self.connection.clone();
        pipe.query_async(&mut connection).await.map_err(StoreError::redis("giving places back"))
    }

    /// The places of `owner`, without those that are being reserved at the moment.
    pub(crate) async fn taken(&self, owner: &str) -> Result<HashSet<TaskId>, StoreError> {
        let mut connection = self.connection.clone();
        // In this order: whatever is taken, and is being reserved, is found among the reservations.
        let (taken, reserving): (Vec<String>, Vec<String>) = redis::pipe()
            .zrange(keys::owner_tasks(owner), 0, -1)
            .zrange(keys::RESERVING, 0, -1)
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis("reading who has a place"))?;
        let reserving: HashSet<TaskId> =
            reserving.into_iter().flat_map(|one| Reservation(one).places()).map(|(_, id)| id).collect();
        let taken = taken.iter().filter_map(|id| id.parse().ok());
        Ok(taken.filter(|id| !reserving.contains(id)).collect())
    }

    /// Of the places that were `taken` by `owner` only those of tasks `in_flight` stay, and each of these gets one.
    pub(crate) async fn correct(
        &self,
        owner: &str,
        taken: &HashSet<TaskId>,
        in_flight: &HashSet<TaskId>,
    ) -> Result<(), StoreError> {
        let key = keys::owner_tasks(owner);
        let now = self.clock.now_ms();
        let mut pipe = redis::pipe();
        for gone in taken.difference(in_flight) {
            pipe.zrem(&key, gone.to_string()).ignore();
        }
        for missing in in_flight.difference(taken) {
            pipe.zadd(&key, missing.to_string(), now).ignore();
        }
        if pipe.is_empty() {
            return Ok(());
        }
        let mut connection = self.connection.clone();
        pipe.query_async(&mut connection).await.map_err(StoreError::redis("recounting tasks under way"))
    }
}

fn decide(count: u64, limit: u32, now_ms: i64) -> RateDecision {
    let left = MINUTE_MS - now_ms.rem_euclid(MINUTE_MS);
    let remaining = u64::from(limit).saturating_sub(count);
    RateDecision {
        allowed: count <= u64::from(limit),
        limit,
        remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
        reset_seconds: u32::try_from((left + 999) / 1_000).unwrap_or(1).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: u64, limit: u32, now_ms: i64, expected: (bool, u32, u32)) {
        let got = decide(count, limit, now_ms);
        assert_eq!((got.allowed, got.remaining, got.reset_seconds), expected, "{count}/{limit} at {now_ms}");
    }

    #[test]
    fn decisions() {
        check(1, 120, 0, (true, 119, 60));
        check(120, 120, 30_000, (true, 0, 30));
        check(121, 120, 59_999, (false, 0, 1));
    }
}
