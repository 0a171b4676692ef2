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
/// Candles between the starts of two runs' ranges: more than a run asks for, so that a candle beyond its range is of no run.
const STRIDE: i64 = 12_000;
/// Where a run's slot ends, counted from the start of its ranges, ms.
const SLOT_END: i64 = STRIDE * 3 / 4 * MINUTE;
/// Runs until ranges repeat; no stack lives that long.
pub(crate) const SLOTS: u64 = 250;
/// The fault comes within so many ms of the first submissions.
const WITHIN_MS: u64 = 450;

/// Purposes of [`outages`]: none of them is a run's number.
const OUTAGES: u64 = 1 << 40;

/// One backfill to submit, or a batch of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// What.
    pub symbol: &'static str,
    /// Open times, UTC ms. Several are one batch; each overlaps the one before.
    pub ranges: Vec<TimeRange>,
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
    pub submissions: Vec<Submission>,
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
            submissions: submissions(random, slot(run)),
        }
    }

    /// Every candle of the run lies in here, and no other run's does.
    #[must_use]
    pub fn slot(&self) -> TimeRange {
        let start = slot(self.run);
        TimeRange::new(start - STRIDE / 4 * MINUTE, start + SLOT_END)
    }
}

/// A generator of its own for every purpose, so that one purpose's draws do not shift another's.
fn random(seed: u64, purpose: u64) -> StdRng {
    StdRng::seed_from_u64(seed.rotate_left(32) ^ purpose.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn slot(run: u64) -> i64 {
    START + (run % SLOTS).cast_signed() * STRIDE * MINUTE
}

/// Stretches without candles, which the exchange has lost for ever; none reaches out of a run's slot.
pub(crate) fn outages(seed: u64) -> Vec<(&'static str, TimeRange)> {
    let mut all = Vec::new();
    for slot_number in 0..SLOTS {
        let random = &mut random(seed, OUTAGES + slot_number);
        for symbol in SYMBOLS {
            let mut from = slot(slot_number) + random.random_range(-500..1_000) * MINUTE;
            while random.random_bool(0.5) {
                // Some buckets, a part of a page, or more than a page.
                let length = match random.random_range(0..3) {
                    0 => random.random_range(1..40),
                    1 => random.random_range(200..900),
                    _ => random.random_range(1_000..2_500),
                };
                let range = TimeRange::new(from, (from + length * MINUTE).min(slot(slot_number) + SLOT_END));
                if range.is_empty() {
                    break;
                }
                all.push((symbol, range));
                from = range.end + random.random_range(1..2_500) * MINUTE;
            }
        }
    }
    all
}

fn submissions(random: &mut StdRng, start: i64) -> Vec<Submission> {
    let submission = |symbol, ranges, user, during| Submission {
        symbol,
        ranges,
        user,
        during,
        cancelled_after: None,
        followed: false,
    };
    let first = stretch(random, start, 4..=8);
    let mut second = submission(SYMBOLS[1], vec![stretch(random, start, 3..=6)], "pro", false);
    if random.random_bool(0.25) {
        second.cancelled_after = Some(Duration::from_millis(random.random_range(0..700)));
    }
    // Another user wants a part of the same candles at the same time.
    let shift = random.random_range(-1_500..3_000) * MINUTE;
    let shared = some(random, start + shift, 0.5, 2..=4);
    let shared = submission(SYMBOLS[0], shared, "pro", random.random_bool(0.5));
    let late = submission(SYMBOLS[2], some(random, start, 0.3, 1..=4), "enterprise", true);
    let first = Submission { followed: true, ..submission(SYMBOLS[0], vec![first], "enterprise", false) };
    vec![first, second, shared, late]
}

/// One range from `start`, or, with this probability, a batch of several that overlap.
fn some(random: &mut StdRng, start: i64, batches: f64, pages: std::ops::RangeInclusive<i64>) -> Vec<TimeRange> {
    if !random.random_bool(batches) {
        return vec![stretch(random, start, pages)];
    }
    let mut ranges = vec![stretch(random, start, 1..=2)];
    for _ in 0..random.random_range(1..=2) {
        let before = ranges[ranges.len() - 1];
        let from = before.start + random.random_range(0..before.length() / MINUTE) * MINUTE;
        ranges.push(stretch(random, from, 1..=2));
    }
    ranges
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
        assert_ne!(Plan::draw(7, 41).submissions, Plan::draw(7, 42).submissions);
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
            for submission in &plan.submissions {
                for range in &submission.ranges {
                    assert_eq!(plan.slot().intersect(*range), *range, "run {run}");
                    assert!(!range.is_empty());
                }
                for pair in submission.ranges.windows(2) {
                    assert!(!pair[0].intersect(pair[1]).is_empty(), "run {run}: a batch overlaps");
                }
            }
        }
    }

    #[test]
    fn many_runs_meet_an_outage_and_some_have_a_batch() {
        let (seed, runs) = (1, 200);
        let outages = outages(seed);
        assert_eq!(outages, super::outages(seed));
        let plans: Vec<Plan> = (0..runs).map(|run| Plan::draw(seed, run)).collect();
        for plan in &plans {
            for pair in outages.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[0].1.start < pair[1].1.start) {
                assert!(pair[0].1.end < pair[1].1.start, "{pair:?}");
            }
            let inside = |range: &TimeRange| plan.slot().intersect(*range) == *range;
            assert!(outages.iter().all(|(_, range)| inside(range) || plan.slot().intersect(*range).is_empty()));
        }
        let meets = |submission: &Submission| {
            let lacks = |range: &TimeRange| {
                outages.iter().any(|(symbol, lost)| *symbol == submission.symbol && !lost.intersect(*range).is_empty())
            };
            submission.ranges.iter().any(lacks)
        };
        let met = plans.iter().filter(|plan| plan.submissions.iter().any(meets)).count();
        let batches =
            plans.iter().filter(|plan| plan.submissions.iter().any(|submission| submission.ranges.len() > 1)).count();
        assert!(met > 100 && batches > 50, "{met} runs meet an outage, {batches} have a batch");
    }
}
