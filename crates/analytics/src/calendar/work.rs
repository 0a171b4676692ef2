//! How much of a study is done.

use crate::control::{Control, Stopped};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what is done, in steps of about a tenth of a microsecond of one core.
#[derive(Debug)]
pub(super) struct Work<'a, C> {
    control: &'a C,
    total: u64,
    done: AtomicU64,
}

impl<'a, C: Control> Work<'a, C> {
    /// Work of `total` steps, as far as it can be foreseen.
    pub(super) const fn of(control: &'a C, total: u64) -> Self {
        Self { control, total, done: AtomicU64::new(0) }
    }

    pub(super) const fn control(&self) -> &'a C {
        self.control
    }

    /// `steps` more are done.
    pub(super) fn done(&self, steps: u64) {
        let done = self.done.fetch_add(steps, Ordering::Relaxed) + steps;
        self.control.step(done.min(self.total), self.total);
    }

    /// All of it is done.
    pub(super) fn all_done(&self) -> Result<(), Stopped> {
        self.control.step(self.total, self.total);
        self.control.may_go_on()
    }
}

/// Steps of analysing one measure of `observations` by one grouping, without draws.
pub(super) const fn analysis_cost(observations: u64) -> u64 {
    4 * observations
}

/// Steps of one draw.
pub(super) const fn draw_cost(units: u64, buckets: u64) -> u64 {
    units * buckets / 100 + 1
}
