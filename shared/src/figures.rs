//! Counts of how far a task is, whatever its kind.

use std::collections::BTreeMap;

/// How far a task is, in units of its kind ([`Job::UNIT`](crate::job::Job::UNIT)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Units done.
    pub done: u64,
    /// Units of the whole task; 0 before it is planned.
    pub total: u64,
    /// Other counts of the kind, by name.
    pub details: BTreeMap<String, u64>,
}

impl Figures {
    /// What records and snapshots of version 0.1 say: pages and candles. Details that are all 0 are not told from none.
    #[must_use]
    pub fn of_version_0_1(pages_done: u64, pages_total: u64, candles_stored: u64, duplicates: u64) -> Self {
        let details = [("candles_stored", candles_stored), ("duplicates", duplicates)];
        let told = details.into_iter().filter(|_| candles_stored + duplicates > 0);
        Self { done: pages_done, total: pages_total, details: told.map(|(name, n)| (name.to_owned(), n)).collect() }
    }

    /// The higher of each figure.
    #[must_use]
    pub fn max(mut self, other: &Self) -> Self {
        (self.done, self.total) = (self.done.max(other.done), self.total.max(other.total));
        for (name, count) in &other.details {
            let known = self.details.entry(name.clone()).or_default();
            *known = (*known).max(*count);
        }
        self
    }

    /// Adds each figure of `other`.
    pub fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.total += other.total;
        for (name, count) in &other.details {
            *self.details.entry(name.clone()).or_default() += count;
        }
    }

    /// The sum of the details of these names.
    #[must_use]
    pub fn sum_of(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.details.get(*name)).sum()
    }
}
