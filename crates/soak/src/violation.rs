//! What was promised and did not hold.

use serde::Serialize;
use std::fmt;

/// A promise to the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// A good request is accepted as soon as the servers are there again.
    Accepts,
    /// An accepted task ends within the bound.
    Ends,
    /// It ends soon after the fault.
    Recovers,
    /// It ends as it must: succeeded, or cancelled where its owner wanted that.
    EndsRight,
    /// Progress, task and record tell the same end, and it stays.
    EndStays,
    /// One request, one task.
    OneTask,
    /// Every candle is there once, with the source's figures.
    Candles,
    /// No candle lies beyond what was asked for.
    NothingBeyond,
    /// The coverage ledger is the candles and the gaps, and what succeeded is verified.
    Ledger,
    /// Progress never runs backwards.
    ProgressRises,
    /// Attempts are numbered without a hole, only the last one succeeded.
    Attempts,
    /// The result's counts are those of the candles.
    Counts,
    /// Nothing is left in the queue.
    QueueEmpty,
    /// Every other key of Redis ends by itself.
    KeysEnd,
    /// No call reaches the exchange during a demanded pause.
    PauseKept,
    /// One living worker leads the sweep.
    OneLeader,
    /// No process ends by itself or panics.
    ProcessesLive,
    /// The run itself could be carried out.
    RunWorks,
}

/// A promise that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// What was seen.
    pub detail: String,
}

impl Violation {
    /// What was seen against `promise`.
    #[must_use]
    pub fn new(promise: Promise, detail: impl Into<String>) -> Self {
        Self { promise, detail: detail.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.detail)
    }
}
