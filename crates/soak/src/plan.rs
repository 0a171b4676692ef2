//! What is drawn for one run.

use crate::fault::Fault;
use candlemill_shared::TimeRange;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// Generated markets that runs fetch from.
pub const SYMBOLS: [&str; 3] = ["SOAKAUSDT", "SOAKBUSDT", "SOAKCUSDT"];
/// Length of a candle, ms.
pub(crate) const MINUTE: i64 = 60_000;
/// Candles of one page.
pub(crate) const PAGE: i64 = 1_000;
/// 2020-01-03, UTC ms: two days after the markets' listing.
const START: i64 = 1_578_009_600_000;
/// Candles between the starts of two runs' ranges: more than a run asks for, so that a candle beyond its range is nobody's.
const STRIDE: i64 = 12_000;
/// Runs until ranges repeat; no stack lives that long.
pub(crate) const SLOTS: u64 = 250;
/// The fault comes within so many ms of the first submissions.
const WITHIN_MS: u64 = 450;

/// One backfill to submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub symbol: &'static str,
    /// Open times, UTC ms.
    pub range: TimeRange,
    /// Whose: the user's name.
    pub user: &'static str,
    /// Whether it is submitted while the fault is there, not before.
    pub during: bool,
    /// Its owner cancels it so long after it was accepted.
    pub cancelled_after: Option<Duration>,
    /// Whether it is followed by server-sent events instead of polled.
    pub followed: bool,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Seed of the series.
    pub seed: u64,
    /// Number of the run, from 0.
    pub run: u64,
    /// What goes wrong.
    pub fault: Fault,
    /// When, counted from the first submissions.
    pub moment: Duration,
    /// How long it lasts, where that is for us to say.
    pub lasts: Duration,
    /// Wait before a killed process is started again.
    pub restart_after: Duration,
    /// Which of several processes.
    pub target: usize,
    /// A harder form of the fault.
    pub twist: bool,
    /// A number for what else is to be drawn.
    pub dice: u64,
    /// The backfills.
    pub orders: Vec<Order>,
}

impl Plan {
    /// The plan of run `run` under `seed`. Kinds of faults come in shuffled rounds, each once in every round.
    #[must_use]
    pub fn draw(seed: u64, run: u64) -> Self {
        let kinds = Fault::ALL.len() as u64;
        let mut round = Fault::ALL.to_vec();
        round.shuffle(&mut random(seed, u64::MAX - run / kinds));
        let fault = usize::try_from(run % kinds).map_or(Fault::ALL[0], |index| round[index]);
        let random = &mut random(seed, run);
        Self {
            seed,
            run,
            fault,
            moment: Duration::from_millis(random.random_range(0..WITHIN_MS)),
            lasts: Duration::from_millis(random.random_range(200..1_500)),
            restart_after: Duration::from_millis(random.random_range(0..800)),
            target: random.random_range(0..2),
            twist: random.random_bool(0.4),
            dice: random.random(),
            orders: orders(random, slot(run)),
        }
    }

    /// Every candle of the run lies in here, and nobody else's does.
    #[must_use]
    pub fn slot(&self) -> TimeRange {
        let start = slot(self.run);
        TimeRange::new(start - STRIDE / 4 * MINUTE, start + STRIDE * 3 / 4 * MINUTE)
    }
}

/// A generator of its own for every purpose, so that one purpose's draws do not shift another's.
fn random(seed: u64, purpose: u64) -> StdRng {
    StdRng::seed_from_u64(seed.rotate_left(32) ^ purpose.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn slot(run: u64) -> i64 {
    START + (run % SLOTS).cast_signed() * STRIDE * MINUTE
}

fn orders(random: &mut StdRng, start: i64) -> Vec<Order> {
    let order =
        |symbol, range, user, during| Order { symbol, range, user, during, cancelled_after: None, followed: false };
    let first = stretch(random, start, 4..=8);
    let mut second = order(SYMBOLS[1], stretch(random, start, 3..=6), "pro", false);
    if random.random_bool(0.25) {
        second.cancelled_after = Some(Duration::from_millis(random.random_range(0..700)));
    }
    // Another user wants a part of the same candles at the same time.
    let shift = random.random_range(-1_500..3_000) * MINUTE;
    let shared = order(SYMBOLS[0], stretch(random, start + shift, 2..=4), "pro", random.random_bool(0.5));
    let late = order(SYMBOLS[2], stretch(random, start, 1..=4), "enterprise", true);
    let first = Order { followed: true, ..order(SYMBOLS[0], first, "enterprise", false) };
    vec![first, second, shared, late]
}

/// A range of some pages from `start`, whose last page is seldom full.
fn stretch(random: &mut StdRng, start: i64, pages: std::ops::RangeInclusive<i64>) -> TimeRange {
    let candles = random.random_range(pages) * PAGE - random.random_range(0..PAGE);
    TimeRange::new(start, start + candles * MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_plan_follows_from_seed_and_number_alone() {
        assert_eq!(Plan::draw(7, 41), Plan::draw(7, 41));
        assert_ne!(Plan::draw(7, 41), Plan::draw(8, 41));
        assert_ne!(Plan::draw(7, 41).orders, Plan::draw(7, 42).orders);
    }

    #[test]
    fn every_round_has_every_kind_once() {
        let kinds = Fault::ALL.len() as u64;
        for seed in 0..5 {
            for round in 0..3 {
                let met: HashSet<_> = (0..kinds).map(|n| Plan::draw(seed, round * kinds + n).fault).collect();
                assert_eq!(met.len(), Fault::ALL.len());
            }
        }
    }

    #[test]
    fn ranges_of_neighbouring_runs_do_not_touch() {
        for run in 0..200 {
            let (plan, next) = (Plan::draw(1, run), Plan::draw(1, run + 1));
            assert!(plan.slot().end <= next.slot().start || (run + 1) % SLOTS == 0);
            for order in &plan.orders {
                assert_eq!(plan.slot().intersect(order.range), order.range, "run {run}");
                assert!(!order.range.is_empty());
            }
        }
    }
}
