//! Who may ask how often, and have how many tasks under way.

use crate::error::StoreError;
use crate::keys;
use candlemill_shared::Clock;
use candlemill_shared::task::TaskId;
use moka::future::Cache;
use redis::Script;
use redis::aio::ConnectionManager;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

const MINUTE_MS: i64 = 60_000;
/// Reservations that one look at those left behind handles.
const LEFT_BEHIND: isize = 100;
/// Whoever goes on asking at his limit is not recounted for each of his requests: how many owners are remembered, how long.
const RECOUNTED: u64 = 10_000;
const RECOUNT_STANDS: Duration = Duration::from_secs(1);

/// Counters in Redis, shared by all API processes.
#[derive(Clone)]
pub struct Admission {
    connection: ConnectionManager,
    clock: Arc<dyn Clock>,
    reserve: Arc<Script>,
    recounted: Cache<String, ()>,
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
    pub(crate) fn of(wanted: &[Wanted]) -> Self {
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
        let reserve = Arc::new(Script::new(include_str!("admission/reserve.lua")));
        let recounted = Cache::builder().max_capacity(RECOUNTED).time_to_live(RECOUNT_STANDS).build();
        Self { connection, clock, reserve, recounted }
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
    /// The answer tells of each whether it has a place. The reservation is written down until [`Self::strike_out`] is called.
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
    pub(crate) async fn strike_out(&self, reservation: &Reservation) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        let gone = redis::cmd("ZREM").arg(keys::RESERVING).arg(&reservation.0).query_async(&mut connection).await;
        gone.map_err(StoreError::redis("striking a reservation out"))
    }

    /// Reservations older than `before_ms` that nobody struck out: their process died, or Redis was away.
    pub(crate) async fn left_behind(&self, before_ms: i64) -> Result<Vec<Reservation>, StoreError> {
        let mut connection = self.connection.clone();
        let oldest = redis::Cmd::zrangebyscore_limit(keys::RESERVING, "-inf", before_ms, 0, LEFT_BEHIND);
        let found: Vec<String> =
            oldest.query_async(&mut connection).await.map_err(StoreError::redis("looking for reservations"))?;
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

    /// Undoes [`Self::reserve`], whatever became of it.
    pub(crate) async fn withdraw(&self, wanted: &[Wanted]) -> Result<(), StoreError> {
        self.release(&wanted.iter().map(|one| (one.owner.as_str(), one.task)).collect::<Vec<_>>()).await?;
        self.strike_out(&Reservation::of(wanted)).await
    }

    /// The places of `owners`, without those that were reserved after `after_ms` and whose tasks may not be stored yet.
    pub(crate) async fn taken(
        &self,
        owners: &BTreeSet<&str>,
        after_ms: i64,
    ) -> Result<Vec<(String, TaskId)>, StoreError> {
        let reading = StoreError::redis("reading who has a place");
        let mut pipe = redis::pipe();
        for owner in owners {
            pipe.zrange(keys::owner_tasks(owner), 0, -1);
        }
        let mut connection = self.connection.clone();
        // In this order: whatever is taken, and is being reserved, is found among the reservations.
        let reserving = redis::Cmd::zrangebyscore(keys::RESERVING, format!("({after_ms}"), "+inf");
        let found = async {
            let taken: Vec<Vec<String>> = pipe.query_async(&mut connection).await?;
            Ok((taken, reserving.query_async::<Vec<String>>(&mut connection).await?))
        };
        let (taken, reserving) = found.await.map_err(reading)?;
        let reserving: HashSet<TaskId> =
            reserving.into_iter().flat_map(|one| Reservation(one).places()).map(|(_, id)| id).collect();
        let of_all = owners.iter().zip(taken).flat_map(|(owner, ids)| ids.into_iter().map(move |id| (*owner, id)));
        let readable = of_all.filter_map(|(owner, id)| Some((owner.to_owned(), id.parse().ok()?)));
        Ok(readable.filter(|(_, id)| !reserving.contains(id)).collect())
    }

    /// The places of `owners` have just been compared with the records.
    pub(crate) async fn recounted(&self, owners: &BTreeSet<&str>) {
        for owner in owners {
            self.recounted.insert((*owner).to_owned(), ()).await;
        }
    }

    /// Whether that was a moment ago.
    pub(crate) fn was_recounted(&self, owner: &str) -> bool {
        self.recounted.contains_key(owner)
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
