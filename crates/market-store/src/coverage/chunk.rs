//! One chunk of a series' ledger: what is known of up to [`CHUNK_BUCKETS`] neighbouring buckets.
//!
//! A chunk is one document and changes as a whole, so these hold at every moment, however many workers write:
//!
//! 1. `verified` is ascending and its ranges lie apart; `gaps` are ascending and do not overlap.
//! 2. A settled gap lies inside of `verified`, one that is not settled outside of it.
//! 3. A bucket that is verified and in no gap has a stored candle: it was stored before anybody could say so.
//! 4. An absence never replaces a presence: a stored candle is not taken back by another worker's look at the exchange.

use candlemill_shared::coverage::Gap;
use candlemill_shared::range::{normalise, subtract};
use candlemill_shared::{Interval, TimeRange};

/// Buckets of one chunk: 64 pages. Few enough for a document whose every second bucket is a gap, many enough that a year of
/// minutes is nine documents.
pub(super) const CHUNK_BUCKETS: u32 = 64_000;

/// What one look at the exchange says of a range of whole, closed buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What was looked at.
    pub range: TimeRange,
    /// The buckets of it that the exchange lacks, ascending, apart. Every other bucket has a stored candle.
    pub gaps: Vec<Gap>,
}

/// What is known of a stretch of a series.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Chunk {
    /// Complete ranges: every bucket has a stored candle or stands in a settled gap.
    pub(super) verified: Vec<TimeRange>,
    /// Absent buckets.
    pub(super) gaps: Vec<Gap>,
    /// When it was last compared with the stored candles, UTC ms; 0: never, it comes from an earlier version.
    pub(super) audited_at: i64,
}

impl Chunk {
    /// The verified buckets that are in no gap.
    pub(super) fn present(&self, within: TimeRange) -> Vec<TimeRange> {
        let gaps: Vec<TimeRange> = self.gaps.iter().map(|gap| gap.range).collect();
        let inside = self.verified.iter().map(|known| known.intersect(within)).filter(|part| !part.is_empty());
        inside.flat_map(|part| subtract(part, &gaps)).collect()
    }

    /// Takes over what a look at `at` (UTC ms) says.
    pub(super) fn observe(&mut self, interval: Interval, seen: &Observation, at: i64) {
        let present = self.present(seen.range);
        let absent: Vec<Gap> = seen
            .gaps
            .iter()
            .flat_map(|gap| subtract(gap.range, &present).into_iter().map(|part| Gap::new(interval, part, gap.reason)))
            .flat_map(|gap| self.dated(interval, &gap, at))
            .collect();
        let ranges = |settled: bool| {
            absent.iter().filter(move |gap| gap.reason.is_settled() == settled).map(|gap| gap.range).collect::<Vec<_>>()
        };
        let unsettled = ranges(false);
        let mut verified = std::mem::take(&mut self.verified);
        verified.extend(subtract(seen.range, &unsettled));
        self.verified = normalise(verified).into_iter().flat_map(|known| subtract(known, &unsettled)).collect();
        self.gaps = without(interval, std::mem::take(&mut self.gaps), seen.range);
        self.gaps.extend(absent);
        self.tidy();
    }

    /// The parts of `gap` with their times: what was absent before was seen then, and is confirmed now.
    fn dated(&self, interval: Interval, gap: &Gap, at: i64) -> Vec<Gap> {
        let mut parts = Vec::new();
        let mut new = vec![gap.range];
        for known in self.gaps.iter().filter(|known| !known.range.intersect(gap.range).is_empty()) {
            let part = Gap::new(interval, known.range.intersect(gap.range), gap.reason);
            let seen_at = known.seen_at.unwrap_or(at).min(at);
            let confirmed_at = known.confirmed_at.unwrap_or(at).max(at);
            parts.push(Gap { seen_at: Some(seen_at), confirmed_at: Some(confirmed_at), ..part });
            new = new.into_iter().flat_map(|range| subtract(range, &[known.range])).collect();
        }
        parts.extend(new.into_iter().map(|range| Gap::new(interval, range, gap.reason).seen(at)));
        parts
    }

    /// Takes back whatever is said of `ranges`.
    pub(super) fn reopen(&mut self, interval: Interval, ranges: &[TimeRange]) {
        self.verified = self.verified.iter().flat_map(|known| subtract(*known, ranges)).collect();
        for range in ranges {
            self.gaps = without(interval, std::mem::take(&mut self.gaps), *range);
        }
    }

    /// Buckets of gaps that turned out to have a stored candle: they are gaps no more.
    pub(super) fn fill(&mut self, interval: Interval, ranges: &[TimeRange]) {
        for range in ranges {
            self.observe(interval, &Observation { range: *range, gaps: Vec::new() }, 0);
        }
    }

    /// Takes over what an earlier version's ledger says of buckets of which this one says nothing.
    pub(super) fn adopt(&mut self, interval: Interval, verified: &[TimeRange], gaps: &[Gap]) {
        let known: Vec<TimeRange> =
            self.verified.iter().copied().chain(self.gaps.iter().map(|gap| gap.range)).collect();
        let mut free_gaps = Vec::new();
        let mut taken = known.clone();
        for gap in gaps {
            for part in subtract(gap.range, &taken) {
                free_gaps.push(Gap::new(interval, part, gap.reason));
                taken.push(part);
            }
        }
        let unsettled: Vec<TimeRange> =
            free_gaps.iter().filter(|gap| !gap.reason.is_settled()).map(|gap| gap.range).collect();
        // A settled gap that no range holds is no verified statement: it is asked for anew.
        let free: Vec<TimeRange> = verified.iter().flat_map(|range| subtract(*range, &known)).collect();
        let held = |gap: &Gap| !gap.reason.is_settled() || subtract(gap.range, &free).is_empty();
        let changed = !free.is_empty() || !free_gaps.is_empty();
        self.gaps.extend(free_gaps.into_iter().filter(held));
        self.verified.extend(free.into_iter().flat_map(|range| subtract(range, &unsettled)));
        self.tidy();
        if changed {
            self.audited_at = 0;
        }
    }

    /// When housekeeping is to ask for an absence again, UTC ms.
    pub(super) fn recheck_at(&self) -> Option<i64> {
        self.gaps.iter().filter_map(Gap::recheck_at).min()
    }

    /// Joins what touches. Gaps of different times stay apart as long as they are asked for again.
    fn tidy(&mut self) {
        self.verified = normalise(std::mem::take(&mut self.verified));
        self.gaps.sort_unstable_by_key(|gap| gap.range.start);
        let mut joined: Vec<Gap> = Vec::with_capacity(self.gaps.len());
        for gap in self.gaps.drain(..) {
            match joined.last_mut() {
                Some(last) if last.range.end == gap.range.start && last.reason == gap.reason && alike(last, &gap) => {
                    last.range.end = gap.range.end;
                    last.buckets += gap.buckets;
                    last.seen_at = last.seen_at.max(gap.seen_at);
                    last.confirmed_at = last.confirmed_at.min(gap.confirmed_at);
                }
                _ => joined.push(gap),
            }
        }
        self.gaps = joined;
    }
}

/// Whether two gaps may become one without being asked for more often or less.
fn alike(one: &Gap, other: &Gap) -> bool {
    let times = |gap: &Gap| (gap.seen_at, gap.confirmed_at);
    let is_done = |gap: &Gap| gap.seen_at.is_some() && gap.recheck_at().is_none();
    times(one) == times(other) || is_done(one) && is_done(other) && stays_done(one, other)
}

fn stays_done(one: &Gap, other: &Gap) -> bool {
    let joined = Gap {
        seen_at: one.seen_at.max(other.seen_at),
        confirmed_at: one.confirmed_at.min(other.confirmed_at),
        ..one.clone()
    };
    joined.recheck_at().is_none()
}

/// `gaps` without what lies in `range`.
fn without(interval: Interval, gaps: Vec<Gap>, range: TimeRange) -> Vec<Gap> {
    gaps.into_iter()
        .flat_map(|gap| {
            let left = subtract(gap.range, &[range]);
            left.into_iter().map(move |part| Gap {
                seen_at: gap.seen_at,
                confirmed_at: gap.confirmed_at,
                ..Gap::new(interval, part, gap.reason)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
