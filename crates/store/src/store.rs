//! All stores behind one handle.

use crate::admission::Admission;
use crate::budget::WeightLedger;
use crate::bus::Bus;
use crate::candles::Candles;
use crate::config::StoreConfig;
use crate::coverage::Coverage;
use crate::error::StoreError;
use crate::lease::Lease;
use crate::markets::Markets;
use crate::mongo;
use crate::pages::Pages;
use crate::pauses::Pauses;
use crate::progress::ProgressBoard;
use crate::queue::Queue;
use crate::tasks::Tasks;
use crate::tokens::TokenCache;
use crate::workers::Workers;
use candlemill_shared::job::Pool;
use candlemill_shared::{Clock, Exchange};
use mongodb::Database;
use mongodb::bson::doc;
use redis::Client;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The stores of one process: one pool of MongoDB connections and one multiplexed Redis connection, shared by all.
#[derive(Clone)]
pub struct Store {
    parts: Arc<Parts>,
}

struct Parts {
    clock: Arc<dyn Clock>,
    database: Database,
    connection: ConnectionManager,
    bus: Bus,
    admission: Admission,
    candles: Candles,
    coverage: Coverage,
    pages: Pages,
    lease: Lease,
    markets: Markets,
    pauses: Pauses,
    progress: ProgressBoard,
    queues: HashMap<Pool, Queue>,
    tasks: Tasks,
    tokens: TokenCache,
    workers: Workers,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database", &self.parts.database.name()).finish_non_exhaustive()
    }
}

/// How the servers are: the time of one round trip, or what was wrong.
#[derive(Debug, Clone)]
pub struct Health {
    /// Redis.
    pub redis: Result<Duration, String>,
    /// MongoDB.
    pub mongodb: Result<Duration, String>,
}

impl Health {
    /// Whether both answered.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.redis.is_ok() && self.mongodb.is_ok()
    }
}

/// Longest wait for an answer about health.
const HEALTH_WAIT: Duration = Duration::from_secs(2);

fn connection(client: &Client, config: &StoreConfig, answer_within: Duration) -> Result<ConnectionManager, StoreError> {
    let settings = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(config.patience))
        .set_response_timeout(Some(answer_within))
        .set_number_of_retries(1)
        .set_min_delay(Duration::from_millis(50))
        .set_max_delay(Duration::from_millis(500));
    ConnectionManager::new_lazy_with_config(client.clone(), settings).map_err(StoreError::redis("reading REDIS_URL"))
}

impl Store {
    /// Prepares all connections. They are made when they are first needed, so a server that is away stops nobody here.
    ///
    /// # Errors
    /// When an address cannot be read.
    pub async fn connect(config: &StoreConfig, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let client = Client::open(config.redis_url.as_str()).map_err(StoreError::redis("reading REDIS_URL"))?;
        let connection = connection(&client, config, config.patience)?;
        let database = mongo::connect(config).await?;
        let bus = Bus::start(client.clone());
        // A connection for each pool: a crowd in one does not hold up another.
        let mut queues = HashMap::new();
        for pool in Pool::ALL {
            queues.insert(pool, Queue::new(self::connection(&client, config, config.patience)?, pool));
        }
        let parts = Parts {
            admission: Admission::new(connection.clone(), Arc::clone(&clock)),
            candles: Candles::new(database.clone()),
            coverage: Coverage::new(&database, Candles::new(database.clone()), Arc::clone(&clock)),
            pages: Pages::new(connection.clone()),
            lease: Lease::new(connection.clone()),
            markets: Markets::new(&database, Arc::clone(&clock)),
            pauses: Pauses::new(&database, queues.clone(), connection.clone()),
            progress: ProgressBoard::new(connection.clone(), bus.clone()),
            queues,
            tasks: Tasks::new(&database, config.task_history_days, Arc::clone(&clock)),
            tokens: TokenCache::new(connection.clone()),
            workers: Workers::new(connection.clone(), bus.clone()),
            clock,
            database,
            connection,
            bus,
        };
        Ok(Self { parts: Arc::new(parts) })
    }

    /// Creates what the collections need. Harmless when it exists.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        mongo::ensure_indexes(self.database(), self.clock().as_ref()).await
    }

    /// Asks both servers for a sign of life, at most two seconds long.
    pub async fn health(&self) -> Health {
        let redis = async {
            let (started, mut connection) = (Instant::now(), self.redis());
            let ping = redis::cmd("PING");
            let answer = ping.query_async::<()>(&mut connection);
            match tokio::time::timeout(HEALTH_WAIT, answer).await {
                Ok(Ok(())) => Ok(started.elapsed()),
                Ok(Err(error)) => Err(format!("Redis does not answer: {error}")),
                Err(_) => Err("Redis does not answer within 2 s".to_owned()),
            }
        };
        let mongodb = async {
            let started = Instant::now();
            match tokio::time::timeout(HEALTH_WAIT, self.parts.database.run_command(doc! { "ping": 1 })).await {
                Ok(Ok(_)) => Ok(started.elapsed()),
                Ok(Err(error)) => Err(format!("MongoDB does not answer: {}", error.kind)),
                Err(_) => Err("MongoDB does not answer within 2 s".to_owned()),
            }
        };
        let (redis, mongodb) = tokio::join!(redis, mongodb);
        Health { redis, mongodb }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.parts.database
    }

    pub(crate) fn redis(&self) -> ConnectionManager {
        self.parts.connection.clone()
    }

    /// The clock that all records are stamped by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// Messages between processes.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.parts.bus
    }

    /// Request counters and places for tasks.
    #[must_use]
    pub fn admission(&self) -> &Admission {
        &self.parts.admission
    }

    /// Candles.
    #[must_use]
    pub fn candles(&self) -> &Candles {
        &self.parts.candles
    }

    /// The coverage ledger.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.parts.coverage
    }

    /// Who fetches which page at the moment.
    #[must_use]
    pub fn pages(&self) -> &Pages {
        &self.parts.pages
    }

    /// Leases and signs of life.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.parts.lease
    }

    /// What is known of markets.
    #[must_use]
    pub fn markets(&self) -> &Markets {
        &self.parts.markets
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
    pub fn tasks(&self) -> &Tasks {
        &self.parts.tasks
    }

    /// The shared token cache.
    #[must_use]
    pub fn tokens(&self) -> &TokenCache {
        &self.parts.tokens
    }

    /// Which workers live.
    #[must_use]
    pub fn workers(&self) -> &Workers {
        &self.parts.workers
    }

    /// The weight ledger of `exchange`.
    #[must_use]
    pub fn weights(&self, exchange: Exchange) -> WeightLedger {
        WeightLedger::new(self.redis(), exchange)
    }
}
