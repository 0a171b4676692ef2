//! How many tasks each owner has under way, and may have.

use candlemill_db::{StoreError, key};
use candlemill_shared::Clock;
use candlemill_shared::task::TaskId;
use moka::future::Cache;
use redis::Script;
use redis::aio::ConnectionManager;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Reservations that one look at those left behind handles.
const LEFT_BEHIND: isize = 100;
/// An owner that goes on asking at the limit is not reconciled for each request: how many owners are remembered, how long.
const RECOUNTED: u64 = 10_000;
const RECOUNT_STANDS: Duration = Duration::from_secs(1);

/// Counters in Redis, shared by all API processes.
#[derive(Clone)]
pub(crate) struct Quota {
    connection: ConnectionManager,
    clock: Arc<dyn Clock>,
    reserve: Arc<Script>,
    recounted: Cache<String, ()>,
}

/// Reservations whose tasks may not be stored yet, by their time.
fn reserving_key() -> String {
    key("reserving")
}

/// Set of one owner's tasks under way.
pub(crate) fn owner_tasks(owner: &str) -> String {
    key(&format!("{{owner:{owner}}}:tasks"))
}

impl std::fmt::Debug for Quota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quota")
    }
}

/// A task that needs a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuotaRequest {
    pub(crate) owner: String,
    pub(crate) task: TaskId,
    /// Tasks that the owner may have under way.
    pub(crate) at_most: u32,
}

/// Places that are taken together, written down as JSON: owners and ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reservation(String);

impl Reservation {
    pub(crate) fn of(wanted: &[QuotaRequest]) -> Self {
        let places: Vec<_> = wanted.iter().map(|one| (&one.owner, one.task)).collect();
        Self(serde_json::json!(places).to_string())
    }

    /// What was reserved; nothing where it cannot be read.
    pub(crate) fn places(&self) -> Vec<(String, TaskId)> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Quota {
    pub(crate) fn new(connection: ConnectionManager, clock: Arc<dyn Clock>) -> Self {
        let reserve = Arc::new(Script::new(include_str!("quota/reserve.lua")));
        let recounted = Cache::builder().max_capacity(RECOUNTED).time_to_live(RECOUNT_STANDS).build();
        Self { connection, clock, reserve, recounted }
    }

    /// Reserves a place for each task, in order, where its owner has fewer than that tier's number under way.
    /// The answer tells of each whether it has a place. The reservation is written down until [`Self::commit_reservation`] is called.
    pub(crate) async fn reserve(&self, wanted: &[QuotaRequest]) -> Result<(Vec<bool>, Reservation), StoreError> {
        let reservation = Reservation::of(wanted);
        let now = self.clock.now_ms();
        let mut owners: Vec<(&str, Vec<usize>)> = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        for (index, QuotaRequest { owner, .. }) in wanted.iter().enumerate() {
            let at = *known.entry(owner).or_insert_with(|| {
                owners.push((owner, Vec::new()));
                owners.len() - 1
            });
            owners[at].1.push(index);
        }
        let mut pipe = redis::pipe();
        pipe.zadd(reserving_key(), &reservation.0, now).ignore();
        for (owner, theirs) in &owners {
            let mut call = self.reserve.key(owner_tasks(owner));
            call.arg(now);
            for &index in theirs {
                let QuotaRequest { task, at_most, .. } = &wanted[index];
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

    /// The caller that reserved knows what became of the tasks: they are stored, or their places released.
    pub(crate) async fn commit_reservation(&self, reservation: &Reservation) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        let gone = redis::cmd("ZREM").arg(reserving_key()).arg(&reservation.0).query_async(&mut connection).await;
        gone.map_err(StoreError::redis("striking a reservation out"))
    }

    /// Reservations older than `before_ms` that nobody struck out: their process died, or Redis was away.
    pub(crate) async fn left_behind(&self, before_ms: i64) -> Result<Vec<Reservation>, StoreError> {
        let mut connection = self.connection.clone();
        let oldest = redis::Cmd::zrangebyscore_limit(reserving_key(), "-inf", before_ms, 0, LEFT_BEHIND);
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
            pipe.zrem(owner_tasks(owner), id.to_string()).ignore();
        }
        let mut connection = self.connection.clone();
        pipe.query_async(&mut connection).await.map_err(StoreError::redis("giving places back"))
    }

    /// Undoes [`Self::reserve`], whatever became of it.
    pub(crate) async fn withdraw(&self, wanted: &[QuotaRequest]) -> Result<(), StoreError> {
        self.release(&wanted.iter().map(|one| (one.owner.as_str(), one.task)).collect::<Vec<_>>()).await?;
        self.commit_reservation(&Reservation::of(wanted)).await
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
            pipe.zrange(owner_tasks(owner), 0, -1);
        }
        let mut connection = self.connection.clone();
        // In this order: whatever is taken, and is being reserved, is found among the reservations.
        let reserving = redis::Cmd::zrangebyscore(reserving_key(), format!("({after_ms}"), "+inf");
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
