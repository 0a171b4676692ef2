//! What is counted of the inbox. Names and help stand with the worker's other metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// What became of a message at one try.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct InboxOutcome {
    /// `accepted`, `repeated`, `dead_letter` or `postponed`.
    pub(crate) outcome: &'static str,
}

/// The inbox's counters. A clone counts on the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct InboxCounters {
    pub(crate) tries: Family<InboxOutcome, Counter>,
    pub(crate) restarts: Counter,
    pub(crate) promoted: Counter,
    pub(crate) returned: Counter,
    pub(crate) mended: Counter,
    pub(crate) ghosts: Counter,
    pub(crate) purged: Counter,
    pub(crate) waiting: Gauge,
    pub(crate) postponed: Gauge,
}

impl InboxCounters {
    /// Counts one try that ended so.
    pub(crate) fn tried(&self, outcome: &'static str) {
        self.tries.get_or_create(&InboxOutcome { outcome }).inc();
    }
}
