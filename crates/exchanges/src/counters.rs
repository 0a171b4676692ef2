//! What a job's calls cost.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sums over calls to an exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallStats {
    /// Calls made, repeated ones included.
    pub calls: u64,
    /// Request weight charged.
    pub weight: u64,
    /// Attempts after the first of a call.
    pub retries: u64,
}

impl AddAssign for CallStats {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.weight += other.weight;
        self.retries += other.retries;
    }
}

/// Counts the calls of one job while they happen, failed and cancelled ones too; shared by its concurrent pages.
#[derive(Debug, Default)]
pub struct CallCounters {
    calls: AtomicU64,
    weight: AtomicU64,
    retries: AtomicU64,
}

impl CallCounters {
    /// A call of this weight goes out.
    pub(crate) fn count_call(&self, weight: u32) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.weight.fetch_add(u64::from(weight), Ordering::Relaxed);
    }

    /// A call is tried again.
    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// The sums so far.
    #[must_use]
    pub fn stats(&self) -> CallStats {
        CallStats {
            calls: self.calls.load(Ordering::Relaxed),
            weight: self.weight.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }

    /// The sums since the last taking, and starts over; for adding them to a result at a checkpoint.
    #[must_use]
    pub fn take(&self) -> CallStats {
        CallStats {
            calls: self.calls.swap(0, Ordering::Relaxed),
            weight: self.weight.swap(0, Ordering::Relaxed),
            retries: self.retries.swap(0, Ordering::Relaxed),
        }
    }
}
