//! Why candles are absent.

use crate::market::MarketStatus;
use candlemill_shared::coverage::{Gap, GapReason, join_gaps};
use candlemill_shared::{Interval, TimeRange};

/// Least age, in ms, at which the exchange's silence about a bucket counts as final.
const SETTLED_AFTER_MS: i64 = 3_600_000;
/// The same in whole intervals; the larger of the two counts.
const SETTLED_AFTER_INTERVALS: i64 = 2;

/// What is known of a market when its absent candles are explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketFacts {
    /// Open time of the first candle that the exchange has of this symbol and interval; `None`: it has none.
    pub first_open: Option<i64>,
    /// Open time of the last one, where it was asked. Nothing after it is final while the market trades: its rows may be
    /// late, or it may trade again after a pause. Of a market that does not trade, what lies after it is halted.
    pub last_open: Option<i64>,
    /// Whether the market trades.
    pub status: MarketStatus,
    /// What the exchange's clock showed before the candles were asked for, UTC ms.
    pub exchange_now_ms: i64,
}

impl MarketFacts {
    /// Open time of the first bucket whose absence is not final yet.
    #[must_use]
    pub fn settled_until(&self, interval: Interval) -> i64 {
        let by_intervals = interval.advance(interval.bucket_start(self.exchange_now_ms), -SETTLED_AFTER_INTERVALS);
        by_intervals.min(interval.bucket_start(self.exchange_now_ms - SETTLED_AFTER_MS))
    }
}

/// Gives every absent bucket its reason, splitting ranges where the reason changes and joining where it does not.
/// `absent` is ascending, lies on the interval's grid and holds closed buckets only.
///
/// 1. Before the bucket of the first candle: not listed yet. That is final at once, because a later candle exists.
/// 2. Closed less than an hour or two intervals ago: perhaps not published yet.
/// 3. The market trades and the bucket lies after its last candle, or there is none at all: not published yet, whatever
///    its age. Only a later candle shows that a bucket was left out.
/// 4. The market does not trade and the bucket lies after its last candle: halted.
/// 5. Else, where the exchange has no candle at all: not listed yet; where it has: an outage.
#[must_use]
pub fn explain(interval: Interval, absent: &[TimeRange], facts: &MarketFacts) -> Vec<Gap> {
    let listed = facts.first_open.map(|open| interval.bucket_start(open));
    let settled = facts.settled_until(interval);
    let after_last = facts.last_open.map(|open| interval.next_bucket(open));
    let trades = facts.status.is_trading();
    let reason_at = |bucket: i64| {
        if listed.is_some_and(|listed| bucket < listed) {
            GapReason::BeforeListing
        } else if bucket >= settled {
            GapReason::Unpublished
        } else if after_last.is_some_and(|end| bucket >= end) {
            if trades { GapReason::Unpublished } else { GapReason::Halted }
        } else if listed.is_none() && trades {
            GapReason::Unpublished
        } else if listed.is_none() {
            GapReason::BeforeListing
        } else {
            GapReason::Outage
        }
    };
    let mut borders: Vec<i64> = [listed, Some(settled), after_last].into_iter().flatten().collect();
    borders.sort_unstable();
    let mut gaps = Vec::with_capacity(absent.len());
    for range in absent {
        let mut from = range.start;
        let inside = borders.iter().copied().filter(|border| range.start < *border && *border < range.end);
        for to in inside.chain([range.end]) {
            if from < to {
                gaps.push(Gap::new(interval, TimeRange::new(from, to), reason_at(from)));
            }
            from = to;
        }
    }
    join_gaps(gaps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;

    fn facts(first: Option<i64>, last: Option<i64>, trading: bool, now: i64) -> MarketFacts {
        let status = MarketStatus::of(if trading { "TRADING" } else { "BREAK" });
        MarketFacts { first_open: first, last_open: last, status, exchange_now_ms: now }
    }

    fn check(name: &str, facts: &MarketFacts, absent: (i64, i64), expected: &[(i64, i64, GapReason)]) {
        let absent = [TimeRange::new(absent.0 * MINUTE, absent.1 * MINUTE)];
        let got: Vec<_> = explain(Interval::Minute1, &absent, facts)
            .into_iter()
            .map(|gap| (gap.range.start / MINUTE, gap.range.end / MINUTE, gap.reason))
            .collect();
        assert_eq!(got, expected, "{name}");
    }

    #[test]
    fn reasons() {
        use GapReason::{BeforeListing, Halted, Outage, Unpublished};
        let now = 10 * HOUR + 5;
        check("outage", &facts(Some(0), None, true, now), (60, 90), &[(60, 90, Outage)]);
        check("listing", &facts(Some(HOUR), None, true, now), (30, 70), &[(30, 60, BeforeListing), (60, 70, Outage)]);
        check("no candle yet", &facts(None, None, true, now), (0, 600), &[(0, 600, Unpublished)]);
        check(
            "never traded",
            &facts(None, None, false, now),
            (0, 600),
            &[(0, 540, BeforeListing), (540, 600, Unpublished)],
        );
        check("young", &facts(Some(0), None, true, now), (530, 590), &[(530, 540, Outage), (540, 590, Unpublished)]);
        let stopped = facts(Some(0), Some(100 * MINUTE), false, now);
        check("stopped", &stopped, (90, 110), &[(90, 101, Outage), (101, 110, Halted)]);
        check("stopped just now", &stopped, (530, 550), &[(530, 540, Halted), (540, 550, Unpublished)]);
        check("stopped, last unknown", &facts(Some(0), None, false, now), (90, 110), &[(90, 110, Outage)]);
        let trading = facts(Some(0), Some(100 * MINUTE), true, now);
        check("trades, its rows are late", &trading, (101, 110), &[(101, 110, Unpublished)]);
        check("before and after the last", &trading, (90, 590), &[(90, 101, Outage), (101, 590, Unpublished)]);
        check(
            "listed this minute",
            &facts(Some(595 * MINUTE), None, true, now),
            (580, 595),
            &[(580, 595, BeforeListing)],
        );
    }

    #[test]
    fn two_intervals_settle_the_long_ones() {
        let now = 100 * HOUR;
        let day = 24 * HOUR;
        assert_eq!(facts(None, None, true, now).settled_until(Interval::Day1), 2 * day);
        assert_eq!(facts(None, None, true, now).settled_until(Interval::Hour1), 98 * HOUR);
        // 1970-04-10: January ended more than two months ago.
        assert_eq!(facts(None, None, true, 99 * day).settled_until(Interval::Month1), 31 * day);
    }

    proptest! {
        #[test]
        fn every_absent_bucket_gets_exactly_one_reason(
            index in 0usize..16, first in prop::option::of(0i64..60), last in prop::option::of(0i64..60),
            trading: bool, age in 0i64..70, spans in prop::collection::btree_set(0i64..60, 0..20)
        ) {
            let interval = Interval::ALL[index];
            let base = interval.bucket_start(1_600_000_000_000);
            let open = |bucket: i64| interval.advance(base, bucket);
            let facts = facts(first.map(open), last.map(open), trading, open(60) + age);
            let edges: Vec<i64> = spans.into_iter().collect();
            let absent: Vec<TimeRange> =
                edges.chunks_exact(2).map(|pair| TimeRange::new(open(pair[0]), open(pair[1]))).collect();
            let gaps = explain(interval, &absent, &facts);
            prop_assert!(gaps.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
            for bucket in 0..60 {
                let given = absent.iter().any(|range| range.contains(open(bucket)));
                let explained = gaps.iter().filter(|gap| gap.range.contains(open(bucket))).count();
                prop_assert_eq!(explained, usize::from(given));
            }
            for gap in &gaps {
                prop_assert_eq!(gap.buckets, interval.count(gap.range));
                prop_assert!(!gap.range.is_empty());
                let young = gap.range.end > facts.settled_until(interval);
                prop_assert!(!young || matches!(gap.reason, GapReason::Unpublished | GapReason::BeforeListing));
                let after_last = facts.last_open.is_none_or(|last| gap.range.end > interval.next_bucket(last));
                let open_ended = trading && (first.is_none() || facts.last_open.is_some() && after_last);
                prop_assert!(!open_ended || matches!(gap.reason, GapReason::Unpublished | GapReason::BeforeListing));
            }
        }
    }
}
