//! A test stack: one stack with all that is needed to disturb it and to look into it past the proxies.

use crate::clients::Clients;
use crate::plan::{SYMBOLS, outages};
use crate::series::Settings;
use anyhow::{Context as _, Result};
use candlemill_db::{Db, DbConfig};
use candlemill_devkit::{Service, Stack};
use candlemill_market_store::MarketStore;
use candlemill_shared::env::Env;
use candlemill_shared::job::Pool;
use candlemill_shared::task::TaskState;
use candlemill_shared::{SystemClock, TimeRange};
use candlemill_tasks::{TaskEngine, TasksConfig};
use redis::aio::ConnectionManager;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Delay of every answer of the exchange, ms: the tasks of a run last long enough to meet its fault.
pub(crate) const LATENCY_MS: u64 = 40;
/// Key of the lease that the leading sweeper holds.
pub(crate) const SWEEPER_LEASE: &str = "cm:lease:sweeper";

/// Longest wait for the servers after a fault, and the time between two looks.
const RECONNECTED: Duration = Duration::from_secs(20);
const RECONNECT: Duration = Duration::from_millis(50);

/// A stack under test.
#[derive(Debug)]
pub(crate) struct TestStack {
    pub(crate) stack: Stack,
    /// Data and logs.
    pub(crate) folder: PathBuf,
    pub(crate) enterprise: Clients,
    pub(crate) pro: Clients,
    /// Past the proxy.
    pub(crate) redis: ConnectionManager,
    /// Past the proxies.
    pub(crate) tasks: TaskEngine,
    /// The same of stored market data.
    pub(crate) market: MarketStore,
    /// Every accepted task and how it ended.
    pub(crate) ended: BTreeMap<String, TaskState>,
    /// Run that the stack was started for.
    pub(crate) first_run: u64,
    /// Runs so far.
    pub(crate) runs: u64,
}

impl TestStack {
    pub(crate) async fn start(settings: &Settings, folder: PathBuf, first_run: u64) -> Result<Self> {
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let mut builder = Stack::builder()
            .kept_in(&folder)
            .through_proxies()
            .workers(2)
            .simulator_env("SIMULATOR_GENERATED", &SYMBOLS.join(","))
            .simulator_env("SIMULATOR_LATENCY_MS", &LATENCY_MS.to_string())
            .simulator_env("SIMULATOR_WEIGHT_LIMIT", "100000000")
            .worker_env("WORKER_LEASE_SECONDS", &settings.lease.as_secs().to_string())
            .worker_env("WORKER_CONCURRENCY", "3")
            // Longer ones are cut into parts: parents wait for children while faults happen.
            .worker_env("BACKFILL_SPLIT_PAGES", "5")
            .worker_env("BACKFILL_PAGE_CONCURRENCY", "1")
            .worker_env("BINANCE_CALL_TIMEOUT_SECONDS", "2");
        for (name, value) in &settings.worker_env {
            builder = builder.worker_env(name, value);
        }
        // Every run checks its own part of the ledger, and the runner all of it: both report instead of panicking.
        let mut stack = builder.without_ledger_check().start().await?;
        stack.add_api().await?;
        for (symbol, TimeRange { start, end }) in outages(settings.seed) {
            let outage = json!({ "symbol": symbol, "start": start, "end": end });
            stack.simulator.post("/_simulator/outages", &outage).await?;
        }
        let redis = redis::Client::open(stack.redis_url()).context("reading Redis's address")?;
        let redis = ConnectionManager::new(redis).await.context("connecting to Redis")?;
        let env = Env::of([
            ("REDIS_URL", stack.redis_url()),
            ("MONGODB_URI", stack.mongo_uri()),
            ("MONGODB_DATABASE", stack.database()),
        ]);
        let db = Db::connect(&DbConfig::from_env(&env)?, Arc::new(SystemClock)).await?;
        let (tasks, market) = (TaskEngine::new(&db, TasksConfig::from_env(&env)?)?, MarketStore::new(&db));
        let (enterprise, pro) = (Clients::sign_in(&stack, "enterprise").await?, Clients::sign_in(&stack, "pro").await?);
        Ok(Self { stack, folder, enterprise, pro, redis, tasks, market, ended: BTreeMap::new(), first_run, runs: 0 })
    }

    /// Waits until the checks' own connections work again: those past the proxies break with the servers, too.
    pub(crate) async fn reconnect(&self) -> Result<()> {
        let working = async {
            loop {
                let mut connection = self.redis.clone();
                let ping = redis::cmd("PING").query_async::<()>(&mut connection).await;
                let mut queues = true;
                for pool in Pool::ALL {
                    queues &= self.tasks.queue(pool).depth().await.is_ok();
                }
                if ping.is_ok() && queues && self.tasks.db().health().await.is_ready() {
                    return;
                }
                sleep(RECONNECT).await;
            }
        };
        timeout(RECONNECTED, working).await.context("the servers do not answer")
    }

    /// The clients of one of the two users.
    pub(crate) const fn clients(&self, user: &str) -> &Clients {
        // Every submission is of one of the two.
        if matches!(user.as_bytes(), b"pro") { &self.pro } else { &self.enterprise }
    }

    /// Sends one command to Redis, past the proxy.
    pub(crate) async fn redis_command(&self, command: &[&str]) -> Result<()> {
        let mut connection = self.redis.clone();
        let (name, arguments) = command.split_first().context("a command has a name")?;
        let mut call = redis::cmd(name);
        for argument in arguments {
            call.arg(*argument);
        }
        call.query_async(&mut connection).await.with_context(|| format!("Redis: {}", command.join(" ")))
    }

    /// Ids under which the workers that run now know themselves.
    pub(crate) fn worker_ids(&mut self) -> Result<Vec<Option<String>>> {
        self.stack.workers.iter_mut().map(worker_id).collect()
    }
}

/// The id that a worker wrote into its log when it began to take tasks.
fn worker_id(worker: &mut Service) -> Result<Option<String>> {
    let log = worker.child().log()?;
    let line = log.lines().rev().find(|line| line.contains("takes tasks"));
    Ok(line.and_then(|line| line.split_once("worker w-")).map(|(_, rest)| {
        let id: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        format!("w-{id}")
    }))
}
