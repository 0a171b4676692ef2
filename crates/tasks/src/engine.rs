//! The engine's parts behind one handle.

use crate::config::TasksConfig;
use crate::pauses::Pauses;
use crate::progress::ProgressBoard;
use crate::queue::Queue;
use crate::quota::Quota;
use crate::records::TaskRecords;
use crate::request_rate::RequestRate;
use crate::schedules::{Owners, Schedules, StoreClock};
use crate::workers::Workers;
use candlemill_db::{Bus, Db, StoreError};
use candlemill_shared::Clock;
use candlemill_shared::job::Pool;
use redis::aio::ConnectionManager;
use std::collections::HashMap;
use std::sync::Arc;

/// The task engine of one process. A clone shares it.
#[derive(Debug, Clone)]
pub struct TaskEngine {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    db: Db,
    quota: Quota,
    request_rate: RequestRate,
    pauses: Pauses,
    progress: ProgressBoard,
    queues: HashMap<Pool, Queue>,
    records: TaskRecords,
    schedules: Schedules,
    owners: Owners,
    store_clock: StoreClock,
    workers: Workers,
}

impl TaskEngine {
    /// The engine on these connections.
    ///
    /// # Errors
    /// When an address cannot be read.
    pub fn new(db: &Db, config: TasksConfig) -> Result<Self, StoreError> {
        // A connection for each pool: a crowd in one does not hold up another.
        let mut queues = HashMap::new();
        for pool in Pool::ALL {
            queues.insert(pool, Queue::new(db.own_redis()?, pool));
        }
        let parts = Parts {
            quota: Quota::new(db.redis(), Arc::clone(db.clock())),
            request_rate: RequestRate::new(db.redis(), Arc::clone(db.clock())),
            pauses: Pauses::new(db.database(), queues.clone(), db.redis()),
            progress: ProgressBoard::new(db.redis(), db.bus().clone()),
            queues,
            records: TaskRecords::new(db.database(), config.history_days, Arc::clone(db.clock())),
            schedules: Schedules::new(db.database(), config.history_days, db.clock()),
            owners: Owners::new(db.database(), config.owner_max_age_days, Arc::clone(db.clock())),
            store_clock: StoreClock::of(db.database()),
            workers: Workers::new(db.redis(), db.bus().clone()),
            db: db.clone(),
        };
        Ok(Self { parts: Arc::new(parts) })
    }

    /// The connections that it works on.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.parts.db
    }

    pub(crate) fn redis(&self) -> ConnectionManager {
        self.parts.db.redis()
    }

    pub(crate) fn bus(&self) -> &Bus {
        self.parts.db.bus()
    }

    /// The clock that all records are stamped by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.parts.db.clock()
    }

    pub(crate) fn quota(&self) -> &Quota {
        &self.parts.quota
    }

    /// How often users ask.
    #[must_use]
    pub fn request_rate(&self) -> &RequestRate {
        &self.parts.request_rate
    }

    /// Pauses of queues.
    #[must_use]
    pub fn pauses(&self) -> &Pauses {
        &self.parts.pauses
    }

    /// Live progress.
    #[must_use]
    pub fn progress(&self) -> &ProgressBoard {
        &self.parts.progress
    }

    /// The queue of `pool`.
    #[must_use]
    pub fn queue(&self, pool: Pool) -> &Queue {
        &self.parts.queues[&pool]
    }

    /// Task records.
    #[must_use]
    pub fn records(&self) -> &TaskRecords {
        &self.parts.records
    }

    /// Schedules and their fires.
    #[must_use]
    pub fn schedules(&self) -> &Schedules {
        &self.parts.schedules
    }

    /// Owners of schedules, as they were last confirmed.
    #[must_use]
    pub fn owners(&self) -> &Owners {
        &self.parts.owners
    }

    /// MongoDB's clock.
    #[must_use]
    pub fn store_clock(&self) -> &StoreClock {
        &self.parts.store_clock
    }

    /// Which workers live.
    #[must_use]
    pub fn workers(&self) -> &Workers {
        &self.parts.workers
    }
}
