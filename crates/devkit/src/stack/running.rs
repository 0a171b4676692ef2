//! A stack that runs.

use super::links::Links;
use crate::child::Child;
use crate::service::{API, Service, WORKER};
use crate::simulator::Simulator;
use crate::{MongoServer, Redis, ledger};
use anyhow::{Context as _, Result};
use candlemill_client::Api;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

/// Redis, MongoDB, simulator, API and workers, started together. Everything is killed when it is dropped.
///
/// Before that, and in `stop`, the coverage ledger is compared with the stored candles ([`crate::ledger`]): every test ends
/// with it. What does not hold panics when the stack is dropped, and is `stop`'s error.
///
/// Fields stand in the order of their end: what uses a server ends before the server does.
#[derive(Debug)]
pub struct Stack {
    /// The workers, in the order of their start.
    pub workers: Vec<Service>,
    /// The API.
    pub api: Service,
    /// Further processes of the API, each with an address of its own.
    pub more_apis: Vec<Service>,
    /// The simulated exchange and Supabase.
    pub simulator: Simulator,
    /// The proxies, where the builder was asked for them.
    pub links: Option<Links>,
    /// Redis; `None` where an outside one is used.
    pub redis: Option<Redis>,
    /// MongoDB; `None` where an outside one is used.
    pub mongo: Option<MongoServer>,
    pub(crate) api_environment: BTreeMap<String, String>,
    pub(crate) worker_environment: BTreeMap<String, String>,
    pub(crate) logs: PathBuf,
    pub(crate) redis_url: String,
    pub(crate) mongo_uri: String,
    pub(crate) database: String,
    pub(crate) checks_ledger: bool,
    pub(crate) _scratch: Option<TempDir>,
}

impl Stack {
    /// Address of the API.
    #[must_use]
    pub fn api_url(&self) -> &str {
        self.api.url()
    }

    /// Address of Redis itself, past any proxy, for looking inside.
    #[must_use]
    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// Address of MongoDB itself, past any proxy, for looking inside.
    #[must_use]
    pub fn mongo_uri(&self) -> &str {
        &self.mongo_uri
    }

    /// Name of the database that this stack uses.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The proxies.
    ///
    /// # Panics
    /// When the stack was built without `through_proxies`.
    #[must_use]
    pub fn links(&self) -> &Links {
        self.links.as_ref().expect("a stack built with through_proxies()")
    }

    /// The Redis server.
    ///
    /// # Panics
    /// When an outside one is used.
    #[must_use]
    pub const fn redis(&mut self) -> &mut Redis {
        self.redis.as_mut().expect("a stack with a Redis of its own")
    }

    /// The MongoDB server.
    ///
    /// # Panics
    /// When an outside one is used.
    #[must_use]
    pub const fn mongo(&mut self) -> &mut MongoServer {
        self.mongo.as_mut().expect("a stack with a MongoDB of its own")
    }

    /// An access token of `<user>@candlemill.test` (`free`, `pro`, `enterprise`).
    ///
    /// # Errors
    /// When the simulator refuses.
    pub async fn token(&self, user: &str) -> Result<String> {
        self.simulator.token(user).await
    }

    /// A client of the API, signed in as `<user>@candlemill.test`.
    ///
    /// # Errors
    /// When the simulator refuses.
    pub async fn client(&self, user: &str) -> Result<Api> {
        Ok(Api::new(self.api_url(), &self.token(user).await?))
    }

    /// Starts one more worker; it is the last of `workers`.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn add_worker(&mut self) -> Result<&mut Service> {
        let log = self.logs.join(format!("worker-{}.log", self.workers.len() + 1));
        let worker = Service::start(WORKER, self.worker_environment.clone(), &log).await?;
        self.workers.push(worker);
        self.workers.last_mut().context("a worker was just added")
    }

    /// Starts one more process of the API; it is the last of `more_apis`.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn add_api(&mut self) -> Result<&mut Service> {
        let log = self.logs.join(format!("api-{}.log", self.more_apis.len() + 2));
        let api = Service::start(API, self.api_environment.clone(), &log).await?;
        self.more_apis.push(api);
        self.more_apis.last_mut().context("an API was just added")
    }

    /// Every process, for looking after them.
    pub fn children(&mut self) -> impl Iterator<Item = &mut Child> {
        let servers = self.redis.iter_mut().map(Redis::child).chain(self.mongo.iter_mut().map(MongoServer::child));
        let apis = [&mut self.api].into_iter().chain(&mut self.more_apis).map(Service::child);
        let services = self.workers.iter_mut().map(Service::child).chain(apis);
        services.chain([self.simulator.service().child()]).chain(servers)
    }

    /// Waits until one of the processes ends, and describes it.
    ///
    /// # Errors
    /// When the operating system does not say how they are.
    pub async fn first_death(&mut self) -> Result<String> {
        loop {
            for child in self.children() {
                if let Some(status) = child.exited()? {
                    return Ok(format!(
                        "{} ended ({status}). The end of its log:\n{}",
                        child.name(),
                        child.log_tail(20)
                    ));
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    /// Ends everything in order: workers hand back their work, then the API, then the servers flush.
    ///
    /// # Errors
    /// The first process that did not end well, or what does not hold of the ledger; everything is ended all the same.
    pub async fn stop(mut self) -> Result<()> {
        let mut ends = futures::future::join_all(self.workers.iter_mut().map(Service::stop)).await;
        ends.push(self.api.stop().await);
        ends.extend(futures::future::join_all(self.more_apis.iter_mut().map(Service::stop)).await);
        ends.push(self.simulator.service().stop().await);
        // A server that is down cannot be asked: `Drop` says so.
        if self.checks_ledger && self.mongo.as_mut().is_none_or(|mongo| mongo.down().is_none()) {
            self.checks_ledger = false;
            ends.push(ledger::checked(&self.mongo_uri, &self.database).await.map(drop));
        }
        if let Some(redis) = &mut self.redis {
            ends.push(redis.stop().await);
        }
        if let Some(mongo) = &mut self.mongo {
            ends.push(mongo.stop().await);
        }
        ends.into_iter().collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.checks_ledger {
            ledger::check_at_end(self.mongo.as_mut(), &self.mongo_uri, &self.database);
        }
    }
}
