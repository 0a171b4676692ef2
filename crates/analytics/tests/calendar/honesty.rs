//! Little is found where nothing is, and what is planted is found. The short form of `examples/honesty.rs`.

use crate::series::{garch, rebuilt, recorded};
use candlemill_analytics::calendar::study;
use candlemill_analytics::{Candles, ToTheEnd};
use candlemill_shared::study::{CalendarStudy, Grouping, Measure, Verdict};
use candlemill_shared::{Interval, ZoneName};

/// Three years.
const HOURS: usize = 3 * 365 * 24;

const SERIES: u64 = 24;

/// Of 24 series with a chance of 5 % each, more than five are flagged in 0.1 % of all runs.
const MAX_FLAGGED: usize = 5;

/// The expected t of 0.16 standard deviations is 0.16·√(1,095·23/24) = 5.2, and Holm asks 3.67 of 199 tests: 93.5 % are found. Of 24 series,
/// fewer than 19 are found in 0.4 % of all runs.
const MIN_FOUND: usize = 19;

fn stable(candles: &Candles, seed: u64, wanted: impl Fn(Grouping, &str) -> bool) -> bool {
    let request = CalendarStudy {
        groupings: Some(vec![Grouping::Hour, Grouping::Weekday, Grouping::HourOfWeek]),
        measures: Some(vec![Measure::Return]),
    };
    let report = study(candles, &request, &ZoneName::default(), 200, seed, &ToTheEnd).unwrap();
    report.groupings.iter().any(|grouping| {
        grouping
            .buckets
            .iter()
            .any(|bucket| bucket.verdict == Verdict::Stable && wanted(grouping.grouping, &bucket.bucket))
    })
}

#[test]
fn series_without_a_calendar_are_rarely_flagged() {
    let flagged = (0..SERIES).filter(|seed| stable(&garch(HOURS, 0.0, *seed), *seed, |_, _| true)).count();
    assert!(flagged <= MAX_FLAGGED, "{flagged} of {SERIES}");
}

#[test]
fn recorded_candles_rebuilt_from_blocks_are_rarely_flagged() {
    let real = recorded("BTCUSDT_1h_2018_2026.csv.gz", Interval::Hour1, "2018-01-01", "2021-01-01");
    let flagged = (0..SERIES).filter(|seed| stable(&rebuilt(&real, *seed), *seed, |_, _| true)).count();
    assert!(flagged <= MAX_FLAGGED, "{flagged} of {SERIES}");
}

#[test]
fn a_planted_effect_is_found() {
    let found = (0..SERIES)
        .filter(|seed| {
            let candles = garch(HOURS, 0.16, 1_000_000 + seed);
            stable(&candles, *seed, |grouping, bucket| grouping == Grouping::Hour && bucket == "14")
        })
        .count();
    assert!(found >= MIN_FOUND, "{found} of {SERIES}");
}
