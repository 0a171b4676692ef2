//! What every job may use.

use crate::budget::SharedBudget;
use crate::cancel::Running;
use crate::jobs::PageSlots;
use crate::metrics::Metrics;
use crate::parent_reconciler::ParentReconciler;
use crate::webhooks::Outbox;
use candlemill_exchanges::{CallCounters, ExchangeClient, ExchangeClients, HistoricalMarketData};
use candlemill_market_store::MarketStore;
use candlemill_shared::task::TaskRecord;
use candlemill_shared::{Clock, Exchange};
use candlemill_tasks::TaskEngine;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Clients of the exchanges.
pub(crate) type Exchanges = ExchangeClients<Arc<SharedBudget>>;

/// What is the same for all jobs of this process.
#[derive(Clone)]
pub(crate) struct WorkerContext {
    pub(crate) tasks: TaskEngine,
    pub(crate) market: MarketStore,
    pub(crate) exchanges: Exchanges,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) running: Running,
    pub(crate) outbox: Outbox,
    pub(crate) worker: Arc<str>,
    pub(crate) page_concurrency: usize,
    /// Payloads of newer versions are left to other workers, as an older program would.
    pub(crate) newest_payload: Option<u32>,
    pub(crate) slots: Arc<PageSlots>,
    /// Pages above which a fetch is left to several tasks.
    pub(crate) split_pages: u64,
    pub(crate) reconciler: ParentReconciler,
    /// Cancelled when the worker stops claiming: running jobs hand their work back at the next page.
    pub(crate) draining: CancellationToken,
}

/// What one attempt has.
pub(crate) struct JobContext {
    pub(crate) shop: WorkerContext,
    pub(crate) record: TaskRecord,
    pub(crate) cancel: CancellationToken,
    pub(crate) counters: Arc<CallCounters>,
}

impl JobContext {
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        self.shop.tasks.clock()
    }

    /// A client of `exchange` that counts on this attempt's counters.
    pub(crate) fn exchange(&self, exchange: Exchange) -> ExchangeClient<Arc<SharedBudget>> {
        self.shop.exchanges.of(exchange).for_job(Arc::clone(&self.counters))
    }

    /// Cancelled when the attempt is to end soon, whatever for.
    pub(crate) fn give_up(&self) -> &CancellationToken {
        &self.cancel
    }
}
