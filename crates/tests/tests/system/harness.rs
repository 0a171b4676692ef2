//! Stores, simulator and worker in this process: for tests that look inside. Redis and MongoDB are real servers.

use candlemill_db::{Db, DbConfig};
use candlemill_devkit::{FaultProxy, MongoServer, Redis, ledger, unique_name};
use candlemill_exchanges::ExchangesConfig;
use candlemill_market_store::{MarketStore, Series};
use candlemill_shared::env::Env;
use candlemill_shared::job::{Envelope, FetchHistory, FetchMode, FetchResult, Job, Pool, Start};
use candlemill_shared::task::{DeadLetter, TaskId, TaskRecord, TaskState};
use candlemill_shared::tier::Tier;
use candlemill_shared::{Candle, Clock, Exchange, Interval, SystemClock, TimeRange};
use candlemill_simulator::{Simulator, SimulatorConfig};
use candlemill_tasks::queue::Depth;
use candlemill_tasks::{ReplayTerms, Submissions, SubmitError, Submitted, TaskEngine, TasksConfig};
use candlemill_worker::{KnownJobs, Worker, WorkerConfig};
use futures::TryStreamExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest wait for a task's end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks at a record.
const LOOK: Duration = Duration::from_millis(10);
/// 2020-01-01, UTC ms.
pub(crate) const START: i64 = 1_577_836_800_000;
/// An hour, ms.
pub(crate) const HOUR: i64 = 3_600_000;

/// Everything of one test. It ends by comparing the coverage ledger with the stored candles.
pub(crate) struct Harness {
    pub(crate) tasks: TaskEngine,
    pub(crate) market: MarketStore,
    pub(crate) simulator: Simulator,
    submissions: Submissions,
    redis: Redis,
    mongo: MongoServer,
    database: String,
}

/// A worker of this process; stops when dropped.
pub(crate) struct RunningWorker {
    addr: SocketAddr,
    stop: CancellationToken,
    ended: Option<tokio::task::JoinHandle<()>>,
}

impl RunningWorker {
    /// What it counts under this name.
    pub(crate) async fn counted(&self, name: &str) -> u64 {
        let page = reqwest::get(format!("http://{}/metrics", self.addr)).await.unwrap().text().await.unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("candlemill_worker_{name}_total ")));
        line.unwrap_or_else(|| panic!("{name} is not among\n{page}")).parse().unwrap()
    }

    /// As SIGTERM does; returns when the worker has ended.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        if let Some(ended) = self.ended.take() {
            ended.await.unwrap();
        }
    }
}

impl Drop for RunningWorker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        let uri = self.mongo.uri();
        ledger::check_at_end(Some(&mut self.mongo), &uri, &self.database);
    }
}

impl Harness {
    pub(crate) async fn start(simulator: SimulatorConfig) -> Self {
        let (redis, mongo) = (Redis::throwaway().await.unwrap(), MongoServer::throwaway().await.unwrap());
        let database = unique_name("candlemill_test");
        let tasks = connect(&redis.url(), &mongo.uri(), &database).await;
        let market = MarketStore::new(tasks.db());
        tasks.prepare().await.unwrap();
        market.prepare().await.unwrap();
        let simulator = Simulator::start(simulator).await.unwrap();
        Self { submissions: Submissions::start(&tasks), tasks, market, simulator, redis, mongo, database }
    }

    /// The stores as another process has them.
    pub(crate) async fn another_store(&self) -> TaskEngine {
        connect(&self.redis.url(), &self.mongo.uri(), &self.database).await
    }

    /// The stores as a process has them whose link to MongoDB is this proxy.
    pub(crate) async fn store_behind_proxy(&self) -> (FaultProxy, TaskEngine) {
        let uri = self.mongo.uri();
        let authority = uri.trim_start_matches("mongodb://").split(['/', '?']).next().unwrap();
        let proxy = FaultProxy::start(authority).await.unwrap();
        let tasks = connect(&self.redis.url(), &uri.replacen(authority, &proxy.addr(), 1), &self.database).await;
        (proxy, tasks)
    }

    pub(crate) async fn worker(&self) -> RunningWorker {
        self.worker_with([]).await
    }

    /// A worker with stores of its own.
    pub(crate) async fn worker_on(&self, tasks: TaskEngine) -> RunningWorker {
        self.start_worker(tasks, &mut Env::of([("WORKER_ADDR", "127.0.0.1:0")]), KnownJobs::default()).await
    }

    pub(crate) async fn worker_with<const N: usize>(&self, variables: [(&str, &str); N]) -> RunningWorker {
        let mut all = vec![("WORKER_ADDR", "127.0.0.1:0")];
        all.extend(variables);
        // `Env::of` takes arrays: the few variables of a test are set one by one.
        let mut env = Env::default();
        for (name, value) in all {
            env.set(name, value);
        }
        self.start_worker(self.tasks.clone(), &mut env, KnownJobs::default()).await
    }

    /// A worker that knows no more than this, as an older program would.
    pub(crate) async fn older_worker(&self, known: KnownJobs) -> RunningWorker {
        let mut env = Env::of([("WORKER_ADDR", "127.0.0.1:0")]);
        self.start_worker(self.tasks.clone(), &mut env, known).await
    }

    async fn start_worker(&self, tasks: TaskEngine, env: &mut Env, known: KnownJobs) -> RunningWorker {
        let config = WorkerConfig { known, ..WorkerConfig::from_env(env).unwrap() };
        env.set("BINANCE_REST_URL", self.simulator.url());
        let market = MarketStore::new(tasks.db());
        let exchanges = ExchangesConfig::from_env(env).unwrap();
        let worker = Worker::bind(config, tasks, market, exchanges).await.unwrap();
        let (addr, stop) = (worker.addr().unwrap(), CancellationToken::new());
        let shutdown = stop.clone();
        let ended = tokio::spawn(async move { worker.run(shutdown).await.unwrap() });
        RunningWorker { addr, stop, ended: Some(ended) }
    }

    /// The collection of task records, past the store.
    pub(crate) async fn documents(&self) -> mongodb::Collection<mongodb::bson::Document> {
        self.collection("tasks").await
    }

    /// One of MongoDB's collections, past the store.
    pub(crate) async fn collection(&self, name: &str) -> mongodb::Collection<mongodb::bson::Document> {
        let client = mongodb::Client::with_uri_str(self.mongo.uri()).await.unwrap();
        client.database(&self.database).collection(name)
    }

    /// Lets the database look as if nobody had tidied up for an hour.
    pub(crate) async fn let_an_hour_pass(&self) {
        let hour = mongodb::bson::doc! { "$inc": { "looked_at": -3_600_000_i64 } };
        assert_eq!(
            self.collection("steps")
                .await
                .update_one(mongodb::bson::Document::new(), hour)
                .await
                .unwrap()
                .modified_count,
            1
        );
    }

    /// Where Redis is.
    pub(crate) fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// A connection to Redis, past the store.
    pub(crate) async fn redis(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(self.redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    /// Empties Redis, as a restart without its file would.
    pub(crate) async fn forget_redis(&self) {
        redis::cmd("FLUSHALL").query_async::<()>(&mut self.redis().await).await.unwrap();
    }

    pub(crate) fn record(&self, owner: &str, job: &FetchHistory) -> TaskRecord {
        let now = SystemClock.now_ms();
        TaskRecord {
            id: TaskId::new(now),
            owner: owner.to_owned(),
            tier: Tier::Pro,
            pool: FetchHistory::POOL,
            priority: 5,
            running_at_once: 16,
            fingerprint: job.fingerprint(owner),
            job: Envelope::of(job).unwrap(),
            request: None,
            idempotency: None,
            state: TaskState::Queued,
            attempt: 0,
            attempts: Vec::new(),
            cancel_requested: false,
            created_at: now,
            updated_at: now,
            started_at: None,
            ended_at: None,
            run_at: None,
            result: None,
            error: None,
            dead_letter: DeadLetter::default(),
            parent: None,
            share: None,
            schedule: None,
            children: None,
            webhook: None,
            trace_id: "0".repeat(32),
        }
    }

    pub(crate) async fn submit(&self, owner: &str, job: &FetchHistory) -> Submitted {
        self.accept(self.record(owner, job)).await
    }

    pub(crate) async fn accept(&self, record: TaskRecord) -> Submitted {
        self.try_accept(record).await.unwrap()
    }

    pub(crate) async fn try_accept(&self, record: TaskRecord) -> Result<Submitted, SubmitError> {
        self.try_accept_within(1_000, record).await
    }

    /// Accepts `record` unless its owner has so many tasks under way.
    pub(crate) async fn try_accept_within(&self, at_once: u32, record: TaskRecord) -> Result<Submitted, SubmitError> {
        self.submissions.submit(record, at_once).await
    }

    /// The record of `id` once `fits` says so.
    pub(crate) async fn wait(&self, id: TaskId, fits: impl Fn(&TaskRecord) -> bool) -> TaskRecord {
        let waiting = async {
            loop {
                let record = self.tasks.records().get(id).await.unwrap().unwrap();
                if fits(&record) {
                    return record;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(record) => record,
            Err(_) => panic!("in vain: {:#?}", self.tasks.records().get(id).await),
        }
    }

    pub(crate) async fn end_of(&self, id: TaskId) -> TaskRecord {
        self.wait(id, |record| record.state.is_end()).await
    }

    /// Waits until the queue of `pool` is like that: it lets go of a task after the end is recorded.
    pub(crate) async fn wait_for_depth(&self, pool: Pool, wanted: Depth) {
        let queue = self.tasks.queue(pool);
        let waiting = async {
            while queue.depth().await.unwrap() != wanted {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("in vain: {:?} instead of {wanted:?}", queue.depth().await);
        }
    }

    pub(crate) async fn candles(&self, symbol: &str, interval: Interval) -> Vec<Candle> {
        let all = TimeRange::new(0, 9_000_000_000_000);
        self.market.candles().scan(&series(symbol, interval), all, None).await.unwrap().try_collect().await.unwrap()
    }
}

/// The engine on these stores.
pub(crate) async fn connect(redis_url: &str, mongo_uri: &str, database: &str) -> TaskEngine {
    let env = Env::of([("REDIS_URL", redis_url), ("MONGODB_URI", mongo_uri), ("MONGODB_DATABASE", database)]);
    let db = Db::connect(&DbConfig::from_env(&env).unwrap(), Arc::new(SystemClock)).await.unwrap();
    TaskEngine::new(&db, TasksConfig::from_env(&env).unwrap()).unwrap()
}

/// What the fetch did, by its record.
pub(crate) fn result_of(record: &TaskRecord) -> FetchResult {
    serde_json::from_value(record.result.clone().unwrap()).unwrap()
}

/// A simulator over the recorded candles.
pub(crate) fn recorded() -> SimulatorConfig {
    let data = candlemill_devkit::project_root().join("data");
    SimulatorConfig { data_dir: Some(data), ..SimulatorConfig::default() }
}

/// Replays by what records of [`Harness::record`] have, unless the owner has so many tasks under way.
pub(crate) const fn terms(jobs_at_once: u32) -> ReplayTerms {
    ReplayTerms { tier: Tier::Pro, priority: 5, running_at_once: 16, jobs_at_once }
}

pub(crate) fn series(symbol: &str, interval: Interval) -> Series {
    Series::new(Exchange::Binance, symbol.parse().unwrap(), interval)
}

pub(crate) fn fetch(symbol: &str, interval: Interval, start: i64, end: i64) -> FetchHistory {
    FetchHistory {
        exchange: Exchange::Binance,
        symbol: symbol.parse().unwrap(),
        interval,
        start: Start::At(start),
        end: Some(end),
        mode: FetchMode::Fetch,
    }
}

/// A fetch of minutes from one hour after [`START`] to another.
pub(crate) fn hours(first: i64, last: i64) -> FetchHistory {
    fetch("BTCUSDT", Interval::Minute1, START + first * HOUR, START + last * HOUR)
}

/// Waits until `fits` says so.
pub(crate) async fn until(mut fits: impl AsyncFnMut() -> bool) {
    while !fits().await {
        tokio::time::sleep(LOOK / 2).await;
    }
}
