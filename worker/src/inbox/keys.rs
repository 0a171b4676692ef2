//! Redis keys: those that apalis-redis uses for a queue, in its own words, and those that the inbox keeps beside them.

use apalis_redis::Config;
use candlemill_db::key;

/// The keys of one queue.
#[derive(Debug)]
pub(super) struct Keys {
    /// Sorted set of messages whose time has not come, and of all that were just pushed, by UTC seconds.
    pub(super) scheduled: String,
    /// List of messages that wait for a worker.
    pub(super) waiting: String,
    /// Hash of id to text.
    pub(super) data: String,
    /// Put before an id: hash of its metadata.
    pub(super) meta: String,
    /// Set of those that were acknowledged with success.
    pub(super) done: String,
    /// Set of those that were acknowledged with an error that allows no other try.
    pub(super) dead: String,
    /// Sorted set of workers by their newest heartbeat, UTC seconds.
    pub(super) workers: String,
    /// Of the inbox: sorted set of messages that are tried again later, by UTC ms.
    pub(super) postponed: String,
    /// Of the inbox: hash of id to the number of tries that came to nothing.
    pub(super) tries: String,
    /// Of the inbox: sorted set of the names of workers that were started and not ended, by UTC ms.
    pub(super) started: String,
    held: String,
    told: String,
}

impl Keys {
    pub(super) fn of(config: &Config) -> Self {
        let queue = config.queue.to_string();
        let own = |part: &str| key(&format!("inbox:{queue}:{part}"));
        Self {
            scheduled: config.scheduled_jobs_set(),
            waiting: config.active_jobs_list(),
            data: config.job_data_hash(),
            meta: format!("{}:", config.job_meta_hash()),
            done: config.done_jobs_set(),
            dead: config.dead_jobs_set(),
            workers: config.workers_set(),
            postponed: own("postponed"),
            tries: own("tries"),
            started: own("started"),
            held: format!("{}:", config.inflight_jobs_set()),
            told: format!("{queue}:workers:metadata:"),
        }
    }

    /// Set of messages that a worker has taken and not acknowledged.
    pub(super) fn held_by(&self, worker: &str) -> String {
        format!("{}{worker}", self.held)
    }

    /// Hash of what apalis says of a worker.
    pub(super) fn told_of(&self, worker: &str) -> String {
        format!("{}{worker}", self.told)
    }
}
