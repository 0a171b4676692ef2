//! Every metric of the worker, declared once: the text of each is its help.

use crate::inbox::InboxCounters;
use candlemill_shared::schedule::FireState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Ended {
    pub(crate) kind: String,
    pub(crate) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FireEnded {
    pub(crate) state: &'static str,
}

impl From<FireState> for FireEnded {
    fn from(state: FireState) -> Self {
        Self { state: state.as_str() }
    }
}

/// The worker's metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) attempts: Counter,
    pub(crate) attempts_ended: Family<Ended, Counter>,
    pub(crate) attempt_seconds: Histogram,
    pub(crate) running: Gauge,
    pub(crate) stale_deliveries: Counter,
    pub(crate) broker_restarts: Counter,
    pub(crate) pages: Counter,
    pub(crate) candles_inserted: Counter,
    pub(crate) candles_duplicate: Counter,
    pub(crate) candles_restated: Counter,
    pub(crate) rows_rejected: Counter,
    pub(crate) absences_rechecked: Counter,
    pub(crate) absences_refuted: Counter,
    pub(crate) ledger_corrected: Counter,
    pub(crate) weight_spent: Counter,
    pub(crate) budget_waits: Counter,
    pub(crate) exchange_closures: Counter,
    pub(crate) rescued: Counter,
    pub(crate) webhook_attempts: Counter,
    pub(crate) webhooks_delivered: Counter,
    pub(crate) webhooks_failed: Counter,
    pub(crate) fires_started: Counter,
    pub(crate) fires_ended: Family<FireEnded, Counter>,
    pub(crate) fire_lag_seconds: Histogram,
    pub(crate) inbox: InboxCounters,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("candlemill_worker");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let metrics = Self {
            attempts: counter("attempts", "Attempts started"),
            stale_deliveries: counter(
                "stale_deliveries",
                "ClaimBackend dropped because their task had ended or moved on",
            ),
            broker_restarts: counter("broker_restarts", "Times that consuming from the queue had to be started anew"),
            pages: counter("pages", "Pages fetched, checked and stored"),
            candles_inserted: counter("candles_inserted", "Candles newly stored"),
            candles_duplicate: counter("candles_duplicate", "Fetched candles that were stored already"),
            candles_restated: counter(
                "candles_restated",
                "Stored candles of which the exchange now gives other figures",
            ),
            absences_rechecked: counter("absences_rechecked", "Absences that the exchange was asked for again"),
            absences_refuted: counter("absences_refuted", "Times the exchange had candles that it had lacked before"),
            ledger_corrected: counter(
                "ledger_corrected",
                "Holes and filled gaps that the audit of the coverage ledger found and corrected",
            ),
            rows_rejected: counter("rows_rejected", "Rows that failed a check and were not stored"),
            weight_spent: counter("exchange_weight", "Request weight charged to the shared budget"),
            budget_waits: counter("budget_waits", "Times a call waited for the shared budget"),
            exchange_closures: counter("exchange_closures", "Times the exchange demanded a pause (429, 418, 403)"),
            rescued: counter("rescued", "Tasks taken from dead workers, or brought back by the sweeper"),
            webhook_attempts: counter("webhook_attempts", "Tries to deliver a webhook"),
            webhooks_delivered: counter("webhooks_delivered", "Webhooks that their receivers accepted"),
            webhooks_failed: counter("webhooks_failed", "Webhooks that were given up"),
            fires_started: counter("schedule_fires_started", "Fires of schedules whose tasks were submitted"),
            fires_ended: Family::default(),
            fire_lag_seconds: Histogram::new(exponential_buckets(0.01, 3.0, 14)),
            inbox: InboxCounters {
                restarts: counter("inbox_restarts", "Times that a worker of the apalis inbox ended and was replaced"),
                promoted: counter("inbox_promoted", "Messages of the inbox whose time had come"),
                returned: counter("inbox_returned", "Messages of the inbox that workers held when they ended"),
                mended: counter("inbox_mended", "Messages of the inbox that apalis could not read, set right"),
                ghosts: counter("inbox_ghosts", "Ids in the inbox without a message, removed"),
                purged: counter("inbox_purged", "Finished messages removed from the inbox"),
                ..InboxCounters::default()
            },
            attempts_ended: Family::default(),
            attempt_seconds: Histogram::new(exponential_buckets(0.005, 3.0, 14)),
            running: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register(
            "attempts_ended",
            "Attempts ended, by kind and the state they led to",
            metrics.attempts_ended.clone(),
        );
        registry.register("attempt_seconds", "Time of an attempt in seconds", metrics.attempt_seconds.clone());
        registry.register("running", "Tasks that run now", metrics.running.clone());
        registry.register(
            "schedule_fires_ended",
            "Fires of schedules that ended, by what became of them",
            metrics.fires_ended.clone(),
        );
        let lag = "Seconds from when a fire was to be made to the submission of its task";
        registry.register("schedule_fire_lag_seconds", lag, metrics.fire_lag_seconds.clone());
        let inbox = &metrics.inbox;
        registry.register("inbox_tries", "Tries of messages of the apalis inbox, by outcome", inbox.tries.clone());
        registry.register("inbox_waiting", "Messages of the inbox that wait for a worker", inbox.waiting.clone());
        registry.register("inbox_postponed", "Messages of the inbox that are tried again", inbox.postponed.clone());
        Self { registry, ..metrics }
    }

    /// The Prometheus text form.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# metrics cannot be written: {error}\n"),
        }
    }
}
