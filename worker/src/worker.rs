//! The whole worker: what runs, in which order it starts and stops.

use crate::budget::SharedBudget;
use crate::cancel::{self, Running};
use crate::claimer::Claiming;
use crate::config::WorkerConfig;
use crate::context::{Exchanges, WorkerContext};
use crate::health::{self, Page};
use crate::heartbeat::Operators;
use crate::housekeeping;
use crate::inbox;
use crate::jobs;
use crate::leases::LeaseSet;
use crate::lifecycle::Lifecycle;
use crate::markets::MarketKeeper;
use crate::metrics::Metrics;
use crate::parent_reconciler::ParentReconciler;
use crate::runner::Runner;
use crate::sweeper;
use crate::webhooks;
use candlemill_exchanges::{BinanceClient, BinanceConfig};
use candlemill_market_store::MarketStore;
use candlemill_shared::Exchange;
use candlemill_shared::job::Pool;
use candlemill_shared::tier::TierTable;
use candlemill_tasks::TaskEngine;
use candlemill_tasks::stand_in::TaskService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use ulid::Ulid;

/// Binance's weight per minute, until its own word is known.
const USUAL_WEIGHT_LIMIT: u32 = 6_000;
/// Wait between two tries to prepare the stores.
const PREPARE_AGAIN: Duration = Duration::from_secs(1);

/// A worker that is ready to run.
#[derive(Debug)]
pub struct Worker {
    listener: TcpListener,
    config: WorkerConfig,
    tasks: TaskEngine,
    market: MarketStore,
    binance: BinanceConfig,
}

impl Worker {
    /// Binds the health page.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn bind(
        config: WorkerConfig,
        tasks: TaskEngine,
        market: MarketStore,
        mut binance: BinanceConfig,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(config.addr).await?;
        binance.idle_connections = binance.idle_connections.max(config.page_concurrency);
        Ok(Self { listener, config, tasks, market, binance })
    }

    /// Where the health page is.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub fn addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Runs until `shutdown`, then ends or hands back what runs, within the grace time. An operator may ask for the latter
    /// before: then it takes no more tasks and waits for `shutdown`.
    ///
    /// # Errors
    /// When the exchange client cannot be set up.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), reqwest::Error> {
        let Self { listener, config, tasks, market, binance } = self;
        let worker: Arc<str> = format!("w-{}", Ulid::generate()).into();
        let metrics = Arc::new(Metrics::new());
        let limit = config.weight_limit.unwrap_or(USUAL_WEIGHT_LIMIT);
        let ledger = market.weights(Exchange::Binance);
        let clock = Arc::clone(tasks.clock());
        let budget = Arc::new(SharedBudget::new(ledger, Arc::clone(&clock), limit, Arc::clone(&metrics)));
        let exchanges = Exchanges { binance: BinanceClient::new(&binance, Arc::clone(&budget), clock)? };
        let reconciler = ParentReconciler::default();
        let duty = Lifecycle::default();
        let draining = duty.draining.clone();
        let (outbox, deliverer) = webhooks::deliverer(&config.webhooks, &tasks, &metrics)?;
        let shop = WorkerContext {
            tasks: tasks.clone(),
            market: market.clone(),
            exchanges: exchanges.clone(),
            metrics: Arc::clone(&metrics),
            running: Running::default(),
            outbox,
            worker: Arc::clone(&worker),
            page_concurrency: config.page_concurrency,
            newest_payload: config.newest_payload,
            slots: Arc::new(jobs::PageSlots::new(config.page_concurrency)),
            split_pages: config.split_pages,
            reconciler: reconciler.clone(),
            draining: draining.clone(),
        };
        let claiming = Claiming::default();
        let page = Page {
            tasks: tasks.clone(),
            metrics: Arc::clone(&metrics),
            claiming: claiming.clone(),
            duty: duty.clone(),
            worker: Arc::clone(&worker),
        };
        // The house is kept until the last task has ended: signs of life above all.
        let (house, closed) = (TaskTracker::new(), CancellationToken::new());
        house.spawn(health::serve(listener, page, closed.clone()));
        house.spawn(reconciler.run(tasks.clone(), closed.clone()));
        house.spawn(cancel::listen(tasks.clone(), shop.running.clone(), closed.clone()));
        if prepare(&tasks, &market, &shutdown).await {
            house.spawn(sweeper::run(tasks.clone(), Arc::clone(&worker), Arc::clone(&metrics), draining.clone()));
            house.spawn(deliverer.run(closed.clone()));
            house.spawn(housekeeping::run(shop.clone(), Arc::clone(&budget), draining.clone()));
            let keeper = MarketKeeper {
                db: tasks.db().clone(),
                market: market.clone(),
                exchanges,
                budget,
                worker: worker.to_string(),
                fixed_limit: config.weight_limit,
            };
            house.spawn(keeper.run(draining.clone()));
            if let Some(settings) = config.inbox.clone() {
                let service = TaskService::start(&tasks, Arc::new(TierTable::default()), config.webhooks.clone());
                let (db, counters) = (tasks.db().clone(), metrics.inbox.clone());
                house.spawn(inbox::run(settings, db, service, counters, draining.clone()));
            }
            let pools = Pool::ALL.map(|pool| (pool, config.concurrency_of(pool), LeaseSet::default()));
            let operators = Operators::new(tasks.clone(), &worker, duty.clone(), pools.to_vec());
            let runners = pools.clone().map(|(pool, concurrency, held)| Runner {
                shop: shop.clone(),
                pool,
                concurrency,
                held,
                gate: operators.gate(pool),
                lease: config.lease,
                claiming: claiming.clone(),
                metrics: Arc::clone(&metrics),
            });
            house.spawn(operators.run(closed.clone()));
            let mut running = tokio::spawn(futures::future::join_all(runners.map(Runner::run)));
            tracing::info!(worker = &*worker, concurrency = config.concurrency, "worker {worker} takes tasks");
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = duty.asked.cancelled() => {}
            }
            tracing::info!(grace_seconds = config.grace.as_secs(), "draining: no more tasks are taken");
            draining.cancel();
            if tokio::time::timeout(config.grace, &mut running).await.is_err() {
                running.abort();
                // The process may live on: what still runs writes nothing from here on.
                pools.iter().for_each(|(_, _, held)| held.let_go_of_all());
                tracing::warn!("the grace time is over; other workers take what is left within seconds");
            }
            duty.drained.cancel();
            if !shutdown.is_cancelled() {
                tracing::info!("drained: nothing runs here; waiting to be stopped");
                shutdown.cancelled().await;
            }
        }
        closed.cancel();
        draining.cancel();
        house.close();
        drop(tokio::time::timeout(Duration::from_secs(2), house.wait()).await);
        Ok(())
    }
}

/// Creates the indexes, however long MongoDB is away. `false`: shut down meanwhile.
async fn prepare(tasks: &TaskEngine, market: &MarketStore, shutdown: &CancellationToken) -> bool {
    loop {
        let prepared = async {
            tasks.prepare().await?;
            market.prepare().await
        };
        let Err(error) = prepared.await else { return true };
        tracing::warn!(%error, "the stores are not ready; trying again");
        tokio::select! {
            () = tokio::time::sleep(PREPARE_AGAIN) => {}
            () = shutdown.cancelled() => return false,
        }
    }
}
