//! Says what a stack is made of, then starts it.

use super::links::{Links, via};
use super::running::Stack;
use crate::ports::{RememberedPorts, free_port};
use crate::service::{API, Service, WORKER};
use crate::simulator::{JWT_SECRET, PUBLISHABLE_KEY, SECRET_KEY, Simulator};
use crate::{MongoServer, Redis, unique_name};
use anyhow::{Context as _, Result};
use candlemill_shared::tier::TierTable;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Describes a [`Stack`]. Without a word it is one worker on throw-away servers without faults.
#[derive(Debug, Clone, Default)]
pub struct StackBuilder {
    workers: Option<usize>,
    api_environment: BTreeMap<String, String>,
    tiers: Option<TierTable>,
    worker_environment: BTreeMap<String, String>,
    simulator_environment: BTreeMap<String, String>,
    proxies: bool,
    real_exchange: bool,
    folder: Option<PathBuf>,
    database: Option<String>,
    redis_url: Option<String>,
    mongo_uri: Option<String>,
    ledger_unchecked: bool,
}

impl Stack {
    /// Describes a stack; `start` starts it.
    #[must_use]
    pub fn builder() -> StackBuilder {
        StackBuilder::default()
    }
}

impl StackBuilder {
    /// Sets the number of workers; 0 is allowed, `add_worker` adds them later.
    #[must_use]
    pub const fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Sets a variable of the API.
    #[must_use]
    pub fn api_env(mut self, name: &str, value: &str) -> Self {
        self.api_environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// What each tier may do.
    #[must_use]
    pub fn tiers(mut self, tiers: TierTable) -> Self {
        self.tiers = Some(tiers);
        self
    }

    /// Sets a variable of every worker.
    #[must_use]
    pub fn worker_env(mut self, name: &str, value: &str) -> Self {
        self.worker_environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets a variable of the simulator.
    #[must_use]
    pub fn simulator_env(mut self, name: &str, value: &str) -> Self {
        self.simulator_environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Puts a [`FaultProxy`](crate::FaultProxy) in front of Redis, MongoDB, the exchange and Supabase: [`Stack::links`].
    #[must_use]
    pub const fn through_proxies(mut self) -> Self {
        self.proxies = true;
        self
    }

    /// Lets the workers talk to the real market-data host; only Supabase is simulated.
    #[must_use]
    pub const fn real_exchange(mut self) -> Self {
        self.real_exchange = true;
        self
    }

    /// Keeps data, logs and ports in `folder` (`redis/`, `mongo/`, `logs/`, `ports.json`) for the next start.
    #[must_use]
    pub fn kept_in(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Names the database; otherwise it is a new one.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        self.database = Some(name.to_owned());
        self
    }

    /// Uses a Redis that runs already.
    #[must_use]
    pub fn outside_redis(mut self, url: &str) -> Self {
        self.redis_url = Some(url.to_owned());
        self
    }

    /// Uses a MongoDB that runs already.
    #[must_use]
    pub fn outside_mongo(mut self, uri: &str) -> Self {
        self.mongo_uri = Some(uri.to_owned());
        self
    }

    /// Ends without the check of the coverage ledger (see [`Stack`]): for stacks that are no test's.
    #[must_use]
    pub const fn without_ledger_check(mut self) -> Self {
        self.ledger_unchecked = true;
        self
    }

    /// Starts everything and waits until all of it is ready.
    ///
    /// # Errors
    /// What did not start, with the end of its log.
    pub async fn start(self) -> Result<Stack> {
        let scratch = match self.folder {
            Some(_) => None,
            None => Some(TempDir::with_prefix("candlemill-stack-").context("making a folder for the stack")?),
        };
        let folder = self.folder.clone().or_else(|| scratch.as_ref().map(|scratch| scratch.path().to_owned()));
        let folder = folder.context("a stack has a folder")?;
        let logs = folder.join("logs");
        std::fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        let mut ports = self.folder.is_some().then(|| RememberedPorts::read(folder.join("ports.json")));

        let (redis, mongo) = tokio::try_join!(
            self.start_redis(&folder, port_of(&mut ports, "redis")?),
            self.start_mongo(&folder, port_of(&mut ports, "mongo")?)
        )?;
        let redis_url = redis.as_ref().map(Redis::url).or_else(|| self.redis_url.clone()).unwrap_or_default();
        let mongo_uri = mongo.as_ref().map(MongoServer::uri).or_else(|| self.mongo_uri.clone()).unwrap_or_default();

        let mut simulator_environment = self.simulator_environment.clone();
        let mut simulator_port = port_of(&mut ports, "simulator")?;
        let mut links = None;
        if self.proxies {
            // The proxies come first: tokens name the address under which the API knows Supabase.
            let port = simulator_port.map_or_else(free_port, Ok)?;
            let set = Links::start(&redis_url, &mongo_uri, port).await?;
            let public = format!("http://{}", set.supabase.addr());
            simulator_environment.entry("SIMULATOR_PUBLIC_URL".to_owned()).or_insert(public);
            (simulator_port, links) = (Some(port), Some(set));
        }
        keep_port(&mut simulator_environment, "SIMULATOR_ADDR", simulator_port);
        let simulator = Simulator::start(simulator_environment, &logs.join("simulator.log")).await?;

        let database = self.database.clone().unwrap_or_else(|| unique_name("candlemill_test"));
        let shared = [
            ("REDIS_URL", via(&redis_url, links.as_ref().map(|links| &links.redis))),
            ("MONGODB_URI", via(&mongo_uri, links.as_ref().map(|links| &links.mongo))),
            ("MONGODB_DATABASE", database.clone()),
            ("LOG_FORMAT", "pretty".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value));

        let mut shared = BTreeMap::from(shared);
        if let Some(tiers) = &self.tiers {
            let file = folder.join("tiers.json");
            std::fs::write(&file, serde_json::to_string(tiers)?)
                .with_context(|| format!("writing {}", file.display()))?;
            let name = file.to_str().context("a folder for the stack whose name is UTF-8")?;
            shared.insert("TIERS_FILE".to_owned(), name.to_owned());
        }
        let mut worker_environment = shared.clone();
        if !self.real_exchange {
            let exchange = via(simulator.url(), links.as_ref().map(|links| &links.exchange));
            worker_environment.insert("BINANCE_REST_URL".to_owned(), exchange);
        }
        worker_environment.extend(self.worker_environment.clone());

        let mut api_environment = shared;
        let supabase = via(simulator.url(), links.as_ref().map(|links| &links.supabase));
        for (name, value) in [
            ("SUPABASE_URL", supabase.as_str()),
            ("SUPABASE_PUBLISHABLE_KEY", PUBLISHABLE_KEY),
            ("SUPABASE_SECRET_KEY", SECRET_KEY),
            ("SUPABASE_JWT_SECRET", JWT_SECRET),
            // Many APIs run at once here; the dashboard is at each one's own address as well.
            ("DASHBOARD_ADDR", "off"),
        ] {
            api_environment.insert(name.to_owned(), value.to_owned());
        }
        // Only the first of them keeps its port; those that are added take what is free.
        let mut first_environment = api_environment.clone();
        keep_port(&mut first_environment, API.address, port_of(&mut ports, "api")?);
        first_environment.extend(self.api_environment.clone());
        api_environment.extend(self.api_environment.clone());
        let api = Service::start(API, first_environment, &logs.join("api.log")).await?;

        let mut stack = Stack {
            workers: Vec::new(),
            api,
            more_apis: Vec::new(),
            simulator,
            links,
            redis,
            mongo,
            api_environment,
            worker_environment,
            logs,
            redis_url,
            mongo_uri,
            database,
            checks_ledger: !self.ledger_unchecked,
            _scratch: scratch,
        };
        for _ in 0..self.workers.unwrap_or(1) {
            // Only the first of them keeps its port; the others take what is free.
            let port = if stack.workers.is_empty() { port_of(&mut ports, "worker")? } else { None };
            stack.worker_environment.remove(WORKER.address);
            keep_port(&mut stack.worker_environment, WORKER.address, port);
            stack.add_worker().await?;
            stack.worker_environment.remove(WORKER.address);
        }
        Ok(stack)
    }

    async fn start_redis(&self, folder: &Path, port: Option<u16>) -> Result<Option<Redis>> {
        let data = folder.join("redis");
        match (&self.redis_url, port) {
            (Some(_), _) => Ok(None),
            (None, Some(port)) => Redis::start_on(&data, &folder.join("logs/redis.log"), port).await.map(Some),
            (None, None) => Redis::start(&data).await.map(Some),
        }
    }

    async fn start_mongo(&self, folder: &Path, port: Option<u16>) -> Result<Option<MongoServer>> {
        let data = folder.join("mongo");
        match (&self.mongo_uri, port) {
            (Some(_), _) => Ok(None),
            (None, Some(port)) => MongoServer::start_on(&data, &folder.join("logs/mongo.log"), port).await.map(Some),
            (None, None) => MongoServer::start(&data).await.map(Some),
        }
    }
}

fn port_of(ports: &mut Option<RememberedPorts>, name: &str) -> Result<Option<u16>> {
    ports.as_mut().map(|ports| ports.of(name)).transpose()
}

fn keep_port(environment: &mut BTreeMap<String, String>, variable: &str, port: Option<u16>) {
    if let Some(port) = port {
        environment.insert(variable.to_owned(), format!("127.0.0.1:{port}"));
    }
}
