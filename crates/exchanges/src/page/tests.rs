use super::*;
use crate::market::MarketStatus;
use candlemill_shared::Decimal;
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// Long after every candle of the tests.
const LATE: i64 = 1_000 * HOUR;

fn candle(open_time: i64, length: i64) -> Candle {
    let price = Decimal::new(1_000, 2);
    Candle {
        open_time,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Decimal::ONE,
        close_time: open_time + length - 1,
        quote_volume: Decimal::TEN,
        trades: 1,
        taker_buy_volume: Decimal::ZERO,
        taker_buy_quote_volume: Decimal::ZERO,
    }
}

fn minutes(opens: &[i64]) -> Vec<Candle> {
    opens.iter().map(|open| candle(open * MINUTE, MINUTE)).collect()
}

/// Five one-minute buckets.
const WINDOW: TimeRange = TimeRange::new(0, 5 * MINUTE);

fn check_fault(name: &str, rows: Vec<Candle>, expected: PageFault) {
    assert_eq!(check_page(Interval::Minute1, WINDOW, rows, LATE, 0, 1_000), Err(expected), "{name}");
}

#[test]
fn pages_that_are_not_believed() {
    let (second, fifth) = (MINUTE, 5 * MINUTE);
    check_fault("unsorted", minutes(&[0, 2, 1]), PageFault::Unsorted { row: 2, open_time: second });
    check_fault("newest first", minutes(&[2, 1, 0]), PageFault::Unsorted { row: 1, open_time: second });
    check_fault("duplicate", minutes(&[0, 1, 1]), PageFault::Duplicate { row: 2, open_time: second });
    check_fault("after the window", minutes(&[4, 5]), PageFault::OutsideWindow { row: 1, open_time: fifth });
    check_fault("before the window", minutes(&[-1, 0]), PageFault::OutsideWindow { row: 0, open_time: -MINUTE });
}

struct Expected {
    candles: usize,
    rejected: usize,
    forming: usize,
    absent: &'static [(i64, i64)],
    unusable: &'static [(i64, i64)],
    verified_until: i64,
}

fn check(name: &str, rows: Vec<Candle>, now: i64, uncertainty: i64, expected: &Expected) {
    let page = check_page(Interval::Minute1, WINDOW, rows, now, uncertainty, 1_000).unwrap();
    let in_minutes =
        |ranges: &[TimeRange]| ranges.iter().map(|r| (r.start / MINUTE, r.end / MINUTE)).collect::<Vec<_>>();
    assert_eq!(page.candles.len(), expected.candles, "{name}: candles");
    assert_eq!(page.rejected.len(), expected.rejected, "{name}: {:?}", page.rejected);
    assert_eq!(page.forming.len(), expected.forming, "{name}: forming {:?}", page.forming);
    assert_eq!(in_minutes(&page.absent), expected.absent, "{name}: absent");
    assert_eq!(in_minutes(&page.unusable), expected.unusable, "{name}: unusable");
    assert_eq!(page.verified_until, expected.verified_until * MINUTE, "{name}: verified");
    assert_eq!(page.rest, None, "{name}");
}

#[test]
fn pages_that_reach_now() {
    let all = || minutes(&[0, 1, 2, 3, 4]);
    let full = Expected { candles: 5, rejected: 0, forming: 0, absent: &[], unusable: &[], verified_until: 5 };
    check("all closed", all(), LATE, 0, &full);
    // When the last of them is final.
    let end = 5 * MINUTE + FINAL_AFTER_MS;
    check("the last is final this very millisecond", all(), end, 0, &full);
    let last_open = Expected { candles: 4, forming: 1, verified_until: 4, ..full };
    check("the last forms", all(), 5 * MINUTE - 1, 0, &last_open);
    check("the last has only just closed", all(), 5 * MINUTE, 0, &last_open);
    check("the last may still change for a millisecond", all(), end - 1, 0, &last_open);
    check("the clock is not certain enough", all(), end + 20, 21, &last_open);
    let quiet = Expected { candles: 4, forming: 0, verified_until: 4, ..full };
    check(
        "the forming one is not shown: neither absent nor verified",
        minutes(&[0, 1, 2, 3]),
        4 * MINUTE + FINAL_AFTER_MS + 9,
        0,
        &quiet,
    );
    let ahead = Expected { candles: 0, forming: 5, verified_until: 0, ..full };
    check("all in the future: the exchange's clock runs behind", all(), -7, 0, &ahead);
    let empty = Expected { candles: 0, absent: &[(0, 5)], ..full };
    check("empty", vec![], LATE, 0, &empty);
}

#[test]
fn rows_are_judged_one_by_one() {
    let full = Expected { candles: 5, rejected: 0, forming: 0, absent: &[], unusable: &[], verified_until: 5 };
    let with = |spoil: &dyn Fn(&mut Vec<Candle>)| {
        let mut rows = minutes(&[0, 1, 2, 3, 4]);
        spoil(&mut rows);
        rows
    };
    let bad = Expected { candles: 4, rejected: 1, unusable: &[(2, 3)], ..full };
    check("high below low", with(&|rows| rows[2].high = Decimal::ONE), LATE, 0, &bad);
    check("closes in the future", with(&|rows| rows[2].close_time = LATE * 2), LATE, 0, &bad);
    let hole = Expected { candles: 2, rejected: 1, absent: &[(0, 1), (3, 4)], unusable: &[(2, 3)], ..full };
    check(
        "bad beside absent ones",
        with(&|rows| {
            rows[2].volume = -Decimal::ONE;
            rows.remove(3);
            rows.remove(0);
        }),
        LATE,
        0,
        &hole,
    );
    check("closes at its own open time", with(&|rows| rows[2].close_time = rows[2].open_time), LATE, 0, &full);
    check(
        "no trade",
        with(&|rows| (rows[2].volume, rows[2].quote_volume, rows[2].trades) = (Decimal::ZERO, Decimal::ZERO, 0)),
        LATE,
        0,
        &full,
    );
    check("off the grid", with(&|rows| rows[2].open_time += 17_000), LATE, 0, &full);
    let shared = Expected { candles: 5, rejected: 1, ..full };
    check(
        "a bad row whose bucket has a good one too",
        with(&|rows| {
            let mut off_grid = candle(2 * MINUTE + 5, MINUTE - 5);
            off_grid.low = Decimal::ZERO;
            rows.insert(3, off_grid);
        }),
        LATE,
        0,
        &shared,
    );
    let halted = Expected { candles: 4, forming: 1, verified_until: 4, ..full };
    check(
        "closed early inside the bucket that still runs: it may go on",
        with(&|rows| rows[4].close_time = rows[4].open_time + 500),
        4 * MINUTE + 30_000,
        0,
        &halted,
    );
}

/// The hour of 2018-02-08 00:00 closed at 00:28:14.788; the next row opened 34 hours later.
#[test]
fn the_long_outage_of_2018() {
    let before: i64 = 1_518_048_000_000;
    let rows = vec![
        candle(before - HOUR, HOUR),
        Candle { close_time: 1_518_049_694_788, ..candle(before, HOUR) },
        candle(before + 34 * HOUR, HOUR),
    ];
    let window = TimeRange::new(before - HOUR, before + 35 * HOUR);
    let page = check_page(Interval::Hour1, window, rows, before + 9_000 * HOUR, 50, 1_000).unwrap();
    assert_eq!((page.candles.len(), page.verified_until), (3, window.end));
    let facts = MarketFacts {
        first_open: Some(before - 5_000 * HOUR),
        last_open: None,
        status: MarketStatus::Trading,
        exchange_now_ms: before + 9_000 * HOUR,
    };
    let outage = TimeRange::new(before + HOUR, before + 34 * HOUR);
    assert_eq!(page.gaps(Interval::Hour1, &facts), [Gap::new(Interval::Hour1, outage, GapReason::Outage)]);
    assert_eq!(page.gaps(Interval::Hour1, &facts)[0].buckets, 33);
}

#[test]
fn a_full_answer_with_shared_buckets_leaves_a_rest() {
    let mut rows = minutes(&[0, 1, 2, 3]);
    rows.insert(2, candle(MINUTE + 30_000, 30_000));
    let page = check_page(Interval::Minute1, WINDOW, rows, LATE, 0, 5).unwrap();
    assert_eq!(page.rest, Some(TimeRange::new(3 * MINUTE, 5 * MINUTE)));
    assert_eq!((page.candles.len(), page.verified_until, page.absent.len()), (4, 3 * MINUTE, 0));

    let crowd = (0..5).map(|i| candle(i, 1)).collect();
    let fault = check_page(Interval::Minute1, WINDOW, crowd, LATE, 0, 5);
    assert_eq!(fault, Err(PageFault::Crowded { rows: 5 }));
}

fn answered(opens: &[i64], now: i64) -> AnsweredPage {
    AnsweredPage::new(Interval::Minute1, WINDOW, minutes(opens), now - FINAL_AFTER_MS, 5).unwrap()
}

/// Minutes with a candle, and runs of minutes without one.
type Joined<'a> = Result<(&'a [i64], &'a [(i64, i64)]), PageFault>;

#[test]
fn two_answers_join() {
    let check = |first: &[i64], other: &[i64], now: i64, expected: Joined<'_>| {
        let joined = answered(first, now).join(minutes(other), 5).map(AnsweredPage::judge);
        let joined = joined.map(|page| {
            let candles: Vec<i64> = page.candles.iter().map(|candle| candle.open_time / MINUTE).collect();
            (candles, page.absent)
        });
        let expected = expected.map(|(candles, absent)| {
            let absent = absent.iter().map(|(s, e)| TimeRange::new(s * MINUTE, e * MINUTE)).collect::<Vec<_>>();
            (candles.to_vec(), absent)
        });
        assert_eq!(joined, expected, "{first:?} and {other:?}");
    };
    check(&[], &[], LATE, Ok((&[], &[(0, 5)])));
    check(&[0, 4], &[-3, -2, 1, 2], LATE, Ok((&[0, 1, 2, 4], &[(3, 4)])));
    check(&[1], &[0, 1, 4], LATE, Ok((&[0, 1, 4], &[(2, 4)])));
    check(&[0, 2], &[0, 1, 2, 3, 4], 3 * MINUTE + FINAL_AFTER_MS, Ok((&[0, 1, 2], &[])));
    let crowd: Vec<Candle> = (0..5).map(|i| candle(4 * MINUTE + i, 1)).collect();
    let fault = answered(&[0, 1, 2], LATE).join(crowd, 5).map(AnsweredPage::judge);
    assert_eq!(fault, Err(PageFault::Incomplete { rows: 5 }));
    let mut other = minutes(&[0, 1, 2]);
    other[1].trades += 1;
    let fault = answered(&[1, 2], LATE).join(other, 5).map(AnsweredPage::judge);
    assert_eq!(fault, Err(PageFault::Contradiction { open_time: MINUTE }));
}

proptest! {
    #[test]
    fn every_closed_bucket_is_a_candle_or_a_gap(
        index in 0usize..16, kinds in prop::collection::vec(0u8..4, 1..80), now_bucket in 0i64..100, into in 0i64..900
    ) {
        let interval = Interval::ALL[index];
        let base = interval.bucket_start(1_600_000_000_000);
        let open = |bucket: i64| interval.advance(base, bucket);
        let buckets = i64::try_from(kinds.len()).unwrap();
        // 0: absent, 1: candle, 2: bad row, 3: early close.
        let rows: Vec<Candle> = (0..buckets)
            .zip(&kinds)
            .filter(|(_, kind)| **kind != 0)
            .map(|(bucket, kind)| {
                let mut row = candle(open(bucket), open(bucket + 1) - open(bucket));
                match kind {
                    2 => row.low = Decimal::ZERO,
                    3 => row.close_time = row.open_time,
                    _ => {}
                }
                row
            })
            .collect();
        let (window, now) = (TimeRange::new(base, open(buckets)), open(now_bucket) + into);
        let page = check_page(interval, window, rows, now + FINAL_AFTER_MS, 0, 1_000).unwrap();
        prop_assert_eq!(page.verified_until, open(now_bucket.min(buckets)));
        let facts = MarketFacts { first_open: Some(open(3)), last_open: Some(open(9)), status: MarketStatus::of("HALT"), exchange_now_ms: now };
        let gaps = page.gaps(interval, &facts);
        for (bucket, kind) in (0..buckets).zip(&kinds) {
            let candles = page.candles.iter().filter(|candle| candle.open_time == open(bucket)).count();
            let in_gaps: Vec<_> = gaps.iter().filter(|gap| gap.range.contains(open(bucket))).collect();
            let closed = open(bucket) < page.verified_until;
            prop_assert_eq!(candles + in_gaps.len(), usize::from(closed), "bucket {}", bucket);
            prop_assert_eq!(candles == 1, closed && (*kind == 1 || *kind == 3));
            if let [gap] = in_gaps[..] {
                prop_assert_eq!(gap.reason == GapReason::FetchFailed, *kind == 2);
            }
            let forming = page.forming.contains(&open(bucket));
            prop_assert_eq!(forming, !closed && *kind != 0);
        }
    }
}
