//! The whole worker: what runs, in which order it starts and stops.

use crate::budget::SharedBudget;
use crate::cancel::{self, Running};
use crate::claimer::Claiming;
use crate::config::WorkerConfig;
use crate::context::WorkerContext;
use crate::cpu::CpuPool;
use crate::health::{self, Page};
use crate::heartbeat::Operators;
use crate::housekeeping;
use crate::inbox;
use crate::job_context::{Exchanges, Fetching, Resources};
use crate::jobs::PageSlots;
use crate::leases::LeaseSet;
use crate::lifecycle::Lifecycle;
use crate::markets::MarketKeeper;
use crate::metrics::Metrics;
use crate::parent_reconciler::ParentReconciler;
use crate::runner::Runner;
use crate::scheduler::Scheduler;
use crate::study_memory::StudyMemory;
use crate::sweeper;
use crate::webhooks;
use candlemill_exchanges::ExchangesConfig;
use candlemill_market_store::MarketStore;
use candlemill_shared::Exchange;
use candlemill_shared::job::Pool;
use candlemill_tasks::{TaskEngine, TaskService};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use ulid::Ulid;

/// Wait between two tries to prepare the stores.
const PREPARE_AGAIN: Duration = Duration::from_secs(1);

/// A worker that is ready to run.
#[derive(Debug)]
pub struct Worker {
    listener: TcpListener,
    config: WorkerConfig,
    tasks: TaskEngine,
    market: MarketStore,
    exchanges: ExchangesConfig,
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
        mut exchanges: ExchangesConfig,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(config.addr).await?;
        exchanges.allow_calls(config.page_concurrency);
        Ok(Self { listener, config, tasks, market, exchanges })
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
    /// When the client of an exchange cannot be set up.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), reqwest::Error> {
        let Self { listener, config, tasks, market, exchanges: exchange_config } = self;
        let worker: Arc<str> = format!("w-{}", Ulid::generate()).into();
        let metrics = Arc::new(Metrics::new());
        let exchanges = Exchanges::new(&exchange_config, tasks.clock(), |exchange| {
            let (ledger, limit) = (market.weights(exchange), exchange_config.first_weight_limit(exchange));
            Arc::new(SharedBudget::new(ledger, Arc::clone(tasks.clock()), limit, Arc::clone(&metrics)))
        })?;
        let reconciler = ParentReconciler::default();
        let lifecycle = Lifecycle::default();
        let draining = lifecycle.draining.clone();
        let (outbox, deliverer) = webhooks::deliverer(&config.webhooks, &tasks, &metrics)?;
        let resources = Resources {
            market: market.clone(),
            exchanges: exchanges.clone(),
            metrics: Arc::clone(&metrics),
            cpu: CpuPool::of_this_machine(),
            studies: StudyMemory::of_mib(config.study_memory_mib),
            fetching: Fetching {
                page_concurrency: config.page_concurrency,
                slots: Arc::new(PageSlots::new(config.page_concurrency)),
                split_pages: config.split_pages,
            },
        };
        let context = WorkerContext {
            tasks: tasks.clone(),
            worker: Arc::clone(&worker),
            metrics: Arc::clone(&metrics),
            running: Running::default(),
            outbox,
            reconciler: reconciler.clone(),
            lifecycle: lifecycle.clone(),
            known: config.known,
            resources: Arc::new(resources),
        };
        let claiming = Claiming::default();
        let page = Page {
            tasks: tasks.clone(),
            metrics: Arc::clone(&metrics),
            claiming: claiming.clone(),
            lifecycle: lifecycle.clone(),
            worker: Arc::clone(&worker),
        };
        // The background tasks run until the last task has ended: signs of life above all.
        let (background, closed) = (TaskTracker::new(), CancellationToken::new());
        background.spawn(health::serve(listener, page, closed.clone()));
        background.spawn(reconciler.run(tasks.clone(), closed.clone()));
        background.spawn(cancel::listen(tasks.clone(), context.running.clone(), closed.clone()));
        if prepare(&tasks, &market, &shutdown).await {
            background.spawn(sweeper::run(tasks.clone(), Arc::clone(&worker), Arc::clone(&metrics), draining.clone()));
            background.spawn(deliverer.run(closed.clone()));
            background.spawn(housekeeping::run(context.clone(), draining.clone()));
            for exchange in Exchange::ALL {
                let keeper = MarketKeeper {
                    exchange,
                    db: tasks.db().clone(),
                    market: market.clone(),
                    client: exchanges.of(exchange).clone(),
                    worker: worker.to_string(),
                    fixed_limit: exchange_config.fixed_weight_limit(exchange),
                };
                background.spawn(keeper.run(draining.clone()));
            }
            let tiers = Arc::new(config.tiers.clone());
            let service = TaskService::start(&tasks, Arc::clone(&tiers), config.webhooks.clone());
            if config.roles.scheduler {
                let scheduler = Scheduler::new(&tasks, service.clone(), market.clone(), tiers, Arc::clone(&metrics));
                background.spawn(scheduler.run(Arc::clone(&worker), draining.clone()));
            }
            if let Some(settings) = config.inbox.clone() {
                let (db, counters) = (tasks.db().clone(), metrics.inbox.clone());
                background.spawn(inbox::run(settings, db, service, counters, draining.clone()));
            }
            let pools = Pool::ALL.map(|pool| (pool, config.concurrency_of(pool), LeaseSet::default()));
            let operators = Operators::new(tasks.clone(), &worker, lifecycle.clone(), pools.to_vec());
            let runners = pools.clone().map(|(pool, concurrency, held)| Runner {
                context: context.clone(),
                pool,
                concurrency,
                held,
                gate: operators.gate(pool),
                lease: config.lease,
                claiming: claiming.clone(),
                metrics: Arc::clone(&metrics),
            });
            background.spawn(operators.run(closed.clone()));
            let mut running = tokio::spawn(futures::future::join_all(runners.map(Runner::run)));
            tracing::info!(worker = &*worker, concurrency = config.concurrency, "worker {worker} takes tasks");
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = lifecycle.asked.cancelled() => {}
            }
            tracing::info!(grace_seconds = config.grace.as_secs(), "draining: no more tasks are taken");
            draining.cancel();
            if tokio::time::timeout(config.grace, &mut running).await.is_err() {
                running.abort();
                // The process may live on: what still runs writes nothing from here on.
                pools.iter().for_each(|(_, _, held)| held.let_go_of_all());
                tracing::warn!("the grace time is over; other workers take what is left within seconds");
            }
            lifecycle.drained.cancel();
            if !shutdown.is_cancelled() {
                tracing::info!("drained: nothing runs here; waiting to be stopped");
                shutdown.cancelled().await;
            }
        }
        closed.cancel();
        draining.cancel();
        background.close();
        drop(tokio::time::timeout(Duration::from_secs(2), background.wait()).await);
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
