//! The connections of one process: one pool of MongoDB connections and one multiplexed Redis connection, shared by all.

use crate::bus::Bus;
use crate::config::DbConfig;
use crate::error::StoreError;
use crate::lease::Lease;
use candlemill_shared::Clock;
use mongodb::bson::doc;
use mongodb::options::{Acknowledgment, ClientOptions, WriteConcern};
use mongodb::{Client as MongoClient, Database};
use redis::Client as RedisClient;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for an answer about health.
const HEALTH_WAIT: Duration = Duration::from_secs(2);

/// MongoDB and Redis. A clone shares the connections.
#[derive(Clone)]
pub struct Db {
    parts: Arc<Parts>,
}

struct Parts {
    clock: Arc<dyn Clock>,
    database: Database,
    client: RedisClient,
    redis: ConnectionManager,
    bus: Bus,
    lease: Lease,
    store_wait: Duration,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("database", &self.parts.database.name()).finish_non_exhaustive()
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

impl Db {
    /// Prepares all connections. They are made when they are first needed, so a server that is away stops nobody here.
    ///
    /// # Errors
    /// When an address cannot be read.
    pub async fn connect(config: &DbConfig, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let client = RedisClient::open(config.redis_url.as_str()).map_err(StoreError::redis("reading REDIS_URL"))?;
        let redis = redis_connection(&client, config.store_wait)?;
        let database = mongo_database(config).await?;
        let bus = Bus::start(client.clone());
        let lease = Lease::new(redis.clone());
        let parts = Parts { clock, database, client, redis, bus, lease, store_wait: config.store_wait };
        Ok(Self { parts: Arc::new(parts) })
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

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.parts.database
    }

    /// The Redis connection that all share.
    #[must_use]
    pub fn redis(&self) -> ConnectionManager {
        self.parts.redis.clone()
    }

    /// A Redis connection of its own: a crowd on others does not hold it up.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn own_redis(&self) -> Result<ConnectionManager, StoreError> {
        redis_connection(&self.parts.client, self.parts.store_wait)
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

    /// Work that one process does at a time.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.parts.lease
    }
}

fn redis_connection(client: &RedisClient, answer_within: Duration) -> Result<ConnectionManager, StoreError> {
    let settings = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(answer_within))
        .set_response_timeout(Some(answer_within))
        .set_number_of_retries(1)
        .set_min_delay(Duration::from_millis(50))
        .set_max_delay(Duration::from_millis(500));
    ConnectionManager::new_lazy_with_config(client.clone(), settings).map_err(StoreError::redis("reading REDIS_URL"))
}

/// Connects lazily; every write waits for a majority and the journal.
async fn mongo_database(config: &DbConfig) -> Result<Database, StoreError> {
    let mut options =
        ClientOptions::parse(&config.mongodb_uri).await.map_err(StoreError::mongo("reading MONGODB_URI"))?;
    options.app_name.get_or_insert_with(|| "candlemill".to_owned());
    options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
    options.server_selection_timeout = Some(config.store_wait);
    options.connect_timeout.get_or_insert(Duration::from_secs(3));
    options.max_pool_size.get_or_insert(32);
    // A replica set of one that is addressed by its host needs no discovery of its members.
    let client = MongoClient::with_options(options).map_err(StoreError::mongo("reading MONGODB_URI"))?;
    Ok(client.database(&config.mongodb_database))
}
