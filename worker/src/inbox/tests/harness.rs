//! An inbox over a real Redis, and what its handlers saw.

use crate::inbox::consumer::Consumer;
use crate::inbox::counters::InboxCounters;
use crate::inbox::generation::settings;
use crate::inbox::handler::Verdict;
use crate::inbox::keys::Keys;
use crate::inbox::message::Message;
use crate::inbox::store::Store;
use apalis_redis::{Config, RedisStorage};
use candlemill_db::{Db, DbConfig};
use candlemill_devkit::Redis;
use candlemill_shared::SystemClock;
use candlemill_shared::request::TaskRequest;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cmd;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

const QUEUE: &str = "in";
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Counts how often each message was handled.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<HashMap<String, u32>>>);

impl Seen {
    pub(super) fn note(&self, id: &str) -> u32 {
        let mut seen = self.0.lock().unwrap();
        let times = seen.entry(id.to_owned()).or_default();
        *times += 1;
        *times
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(super) fn times(&self, id: &str) -> u32 {
        self.0.lock().unwrap().get(id).copied().unwrap_or_default()
    }

    pub(super) fn tries(&self) -> u32 {
        self.0.lock().unwrap().values().sum()
    }
}

/// A Redis, what was handled, and what was counted.
pub(super) struct Inbox {
    pub(super) redis: Redis,
    pub(super) seen: Seen,
    pub(super) counters: InboxCounters,
}

impl Inbox {
    pub(super) async fn new() -> Self {
        Self { redis: Redis::throwaway().await.unwrap(), seen: Seen::default(), counters: InboxCounters::default() }
    }

    pub(super) async fn connection(&self) -> ConnectionManager {
        // The default is half a second, which thousands in one push can take.
        let config = ConnectionManagerConfig::new().set_response_timeout(Some(PATIENCE));
        redis::Client::open(self.redis.url()).unwrap().get_connection_manager_with_config(config).await.unwrap()
    }

    pub(super) async fn storage(&self) -> RedisStorage<TaskRequest> {
        RedisStorage::new(self.connection().await).with_config(Config::default().queue(QUEUE))
    }

    /// Lets Redis answer a push when it is on the disk. By default it may forget up to two seconds of what it has answered
    /// when it is killed: no inbox can bring that back.
    pub(super) async fn write_through(&self) {
        let mut set = cmd("CONFIG");
        set.arg("SET").arg("appendfsync").arg("always");
        set.query_async::<()>(&mut self.connection().await).await.unwrap();
    }

    /// A consumer with connections of its own, as in a process of its own. Dropping it is its death.
    pub(super) async fn consume<F>(
        &self,
        handle: impl Fn(Message) -> F + Clone + Send + Sync + 'static,
    ) -> AbortOnDropHandle<()>
    where
        F: Future<Output = Verdict> + Send + 'static,
    {
        self.consume_until(CancellationToken::new(), handle).await
    }

    pub(super) async fn consume_until<F>(
        &self,
        closed: CancellationToken,
        handle: impl Fn(Message) -> F + Clone + Send + Sync + 'static,
    ) -> AbortOnDropHandle<()>
    where
        F: Future<Output = Verdict> + Send + 'static,
    {
        let config = DbConfig {
            redis_url: self.redis.url(),
            mongodb_uri: "mongodb://127.0.0.1:1".to_owned(),
            mongodb_database: "none".to_owned(),
            store_wait: Duration::from_secs(3),
        };
        let db = Db::connect(&config, Arc::new(SystemClock)).await.unwrap();
        let consumer = Consumer::new(db, QUEUE, self.counters.clone(), handle).unwrap();
        AbortOnDropHandle::new(tokio::spawn(consumer.run(closed)))
    }

    /// A consumer that is done with everything at once.
    pub(super) async fn consume_all(&self) -> AbortOnDropHandle<()> {
        let seen = self.seen.clone();
        self.consume(move |message: Message| {
            seen.note(&message.id);
            std::future::ready(Verdict::Done("task".to_owned()))
        })
        .await
    }

    /// Messages that are not done, wherever they are.
    pub(super) async fn left(&self) -> redis::RedisResult<u64> {
        let mut connection = self.connection().await;
        let mut left = 0;
        for (ask, key) in
            [("LLEN", "in:active"), ("ZCARD", "in:scheduled"), ("ZCARD", "cm:inbox:in:postponed"), ("SCARD", "in:dead")]
        {
            left += cmd(ask).arg(key).query_async::<u64>(&mut connection).await?;
        }
        let held: Vec<String> = cmd("KEYS").arg("in:inflight:*").query_async(&mut connection).await?;
        for worker in held {
            left += cmd("SCARD").arg(worker).query_async::<u64>(&mut connection).await?;
        }
        Ok(left)
    }

    pub(super) fn store(&self, connection: ConnectionManager) -> Store {
        Store::new(connection, Arc::new(Keys::of(&settings(QUEUE))))
    }

    pub(super) async fn until_empty(&self) {
        let began = Instant::now();
        while self.left().await.ok() != Some(0) {
            assert!(began.elapsed() < PATIENCE, "{:?} messages are left", self.left().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) async fn until_seen(&self, count: usize) {
        let began = Instant::now();
        while self.seen.count() < count {
            assert!(began.elapsed() < PATIENCE, "{} of {count} messages were handled", self.seen.count());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(super) fn request(number: usize) -> TaskRequest {
    let request = serde_json::json!({"kind": "probe", "payload": {"number": number}});
    serde_json::from_value(request).unwrap()
}
