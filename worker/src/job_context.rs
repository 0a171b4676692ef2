//! What one attempt of a job has.

use crate::budget::SharedBudget;
use crate::cpu::{CpuCancelled, CpuPool, CpuWork};
use crate::jobs::PageSlots;
use crate::metrics::Metrics;
use crate::outcome::Stop;
use crate::parent_reconciler::ParentReconciler;
use crate::store_retry::retry_until_cancelled;
use crate::study_memory::StudyMemory;
use candlemill_exchanges::{CallCounters, ExchangeClient, ExchangeClients, HistoricalMarketData};
use candlemill_market_store::MarketStore;
use candlemill_shared::progress::Progress;
use candlemill_shared::task::TaskRecord;
use candlemill_shared::{Clock, Exchange};
use candlemill_tasks::{Checkpoint, TaskEngine};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Clients of the exchanges.
pub(crate) type Exchanges = ExchangeClients<Arc<SharedBudget>>;

/// What jobs work with: the same for all of this process.
pub(crate) struct Resources {
    pub(crate) market: MarketStore,
    pub(crate) exchanges: Exchanges,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) cpu: CpuPool,
    pub(crate) fetching: Fetching,
    pub(crate) studies: StudyMemory,
}

/// How history is fetched.
pub(crate) struct Fetching {
    /// Pages that this process fetches at once.
    pub(crate) page_concurrency: usize,
    pub(crate) slots: Arc<PageSlots>,
    /// Pages above which a fetch is left to several tasks.
    pub(crate) split_pages: u64,
}

/// The newest checkpoint of a task, for an attempt that cannot tell it itself: it panicked, or took too long.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<Value>>);

impl Kept {
    /// As the attempt begins.
    pub(crate) const fn of(result: Option<Value>) -> Self {
        Self(Mutex::new(result))
    }

    pub(crate) fn newest(&self) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, result: Value) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }
}

/// What one attempt has.
pub(crate) struct JobContext {
    /// The task as the attempt began.
    pub(crate) record: TaskRecord,
    /// Its newest checkpoint.
    pub(crate) kept: Arc<Kept>,
    /// Cancelled when the attempt is to end soon, whatever for.
    pub(crate) cancel: CancellationToken,
    /// Cancelled when the worker stops claiming: the work is handed back at the next step.
    pub(crate) draining: CancellationToken,
    pub(crate) resources: Arc<Resources>,
    pub(crate) counters: Arc<CallCounters>,
    pub(crate) tasks: TaskEngine,
    pub(crate) reconciler: ParentReconciler,
}

impl JobContext {
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        self.tasks.clock()
    }

    /// A client of `exchange` that counts on this attempt's counters.
    pub(crate) fn exchange(&self, exchange: Exchange) -> ExchangeClient<Arc<SharedBudget>> {
        self.resources.exchanges.of(exchange).for_job(Arc::clone(&self.counters))
    }

    pub(crate) fn market(&self) -> &MarketStore {
        &self.resources.market
    }

    /// Cancelled when the attempt is to end soon, whatever for.
    pub(crate) const fn give_up(&self) -> &CancellationToken {
        &self.cancel
    }

    /// What earlier attempts did; the default where there is nothing, or nothing that can be read.
    pub(crate) fn result<R: DeserializeOwned + Default>(&self) -> R {
        self.record.result.as_ref().and_then(|result| R::deserialize(result).ok()).unwrap_or_default()
    }

    /// Keeps what was done so far on the record: a later attempt goes on from there.
    ///
    /// # Errors
    /// [`Stop::Cancelled`] or [`Stop::Overtaken`]: the attempt is to end; or a store's failure.
    pub(crate) async fn checkpoint<R: Serialize>(&self, so_far: &R) -> Result<(), Stop> {
        let (record, records, now) = (&self.record, self.tasks.records(), self.clock().now_ms());
        let so_far = serde_json::to_value(so_far)
            .map_err(|error| candlemill_db::StoreError::corrupt("the result of a task", error))?;
        let kept = || records.checkpoint(record.id, record.attempt, &so_far, now);
        match retry_until_cancelled(self.give_up(), kept).await? {
            Checkpoint::Kept => {
                self.kept.put(so_far);
                Ok(())
            }
            Checkpoint::CancelRequested => Err(Stop::Cancelled),
            Checkpoint::Overtaken => Err(Stop::Overtaken),
        }
    }

    /// Shows that the task runs: what it begins with may take a while. What an earlier attempt has shown stays.
    pub(crate) async fn show_start(&self) {
        let board = self.tasks.progress();
        let mut snapshot = Progress::from_record(&self.record);
        (snapshot.sequence, snapshot.error) = (Progress::sequence_of(self.record.attempt, 0), None);
        match board.read(self.record.id).await {
            Ok(Some(shown)) => snapshot.keep_share_of(&shown),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "what was shown before is not known"),
        }
        if let Err(error) = board.write(&snapshot).await {
            tracing::warn!(%error, "progress is not shown at the moment");
        }
    }

    /// Does `work` on a thread for busy work, until it ends or the attempt is to stop: cancelled, overtaken, or handed back because
    /// the worker drains.
    ///
    /// # Errors
    /// [`Stop::Cancelled`], [`Stop::Draining`].
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CpuWork) -> Result<T, CpuCancelled> + Send + 'static,
    ) -> Result<T, Stop> {
        let stop = self.cancel.child_token();
        let computed = self.resources.cpu.run(&stop, work);
        tokio::pin!(computed);
        let done = tokio::select! {
            done = &mut computed => done,
            () = self.draining.cancelled() => {
                stop.cancel();
                computed.await
            }
        };
        done.map_err(|CpuCancelled| if self.cancel.is_cancelled() { Stop::Cancelled } else { Stop::Draining })
    }

    /// Whether the attempt may go on.
    ///
    /// # Errors
    /// [`Stop::Cancelled`], [`Stop::Draining`].
    pub(crate) fn may_go_on(&self) -> Result<(), Stop> {
        if self.cancel.is_cancelled() {
            Err(Stop::Cancelled)
        } else if self.draining.is_cancelled() {
            Err(Stop::Draining)
        } else {
            Ok(())
        }
    }
}
