//! How often the calendar study finds what is not there, and what is: `cargo run --release -p candlemill-analytics --example honesty [series]`.
//!
//! Of each kind 500 series, or as many as the argument says; 1,000 draws of the bootstrap.

#![expect(clippy::print_stdout, reason = "a program of the command line")]

#[path = "honesty/series.rs"]
mod series;

use candlemill_analytics::calendar::study;
use candlemill_analytics::{Candles, ToTheEnd};
use candlemill_shared::study::{CalendarReport, CalendarStudy, Grouping, Measure, Verdict};
use candlemill_shared::{Interval, ZoneName};
use std::collections::BTreeMap;

const DRAWS: u32 = 1_000;

/// Three years.
const HOURS: usize = 3 * 365 * 24;

fn returns(candles: &Candles, seed: u64) -> CalendarReport {
    let request = CalendarStudy { groupings: None, measures: Some(vec![Measure::Return]) };
    match study(candles, &request, &ZoneName::default(), DRAWS, seed, &ToTheEnd) {
        Ok(report) => report,
        Err(stopped) => unreachable!("{stopped}"),
    }
}

/// Groupings with a stable bucket that is `wanted`.
fn flagged(report: &CalendarReport, wanted: impl Fn(Grouping, &str) -> bool) -> Vec<Grouping> {
    let stable = report.groupings.iter().filter(|grouping| {
        grouping
            .buckets
            .iter()
            .any(|bucket| bucket.verdict == Verdict::Stable && wanted(grouping.grouping, &bucket.bucket))
    });
    stable.map(|grouping| grouping.grouping).collect()
}

fn count(name: &str, series: u64, candles: impl Fn(u64) -> Candles, wanted: impl Fn(Grouping, &str) -> bool) {
    let mut by_grouping: BTreeMap<Grouping, u64> = BTreeMap::new();
    let mut found = 0_u64;
    for seed in 0..series {
        let groupings = flagged(&returns(&candles(seed), seed), &wanted);
        found += u64::from(!groupings.is_empty());
        for grouping in groupings {
            *by_grouping.entry(grouping).or_default() += 1;
        }
    }
    println!("{name}: {found} of {series}, by grouping {by_grouping:?}");
}

fn main() {
    let series = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(500);
    let real = series::recorded("BTCUSDT_1h_2018_2026.csv.gz", Interval::Hour1, "2018-01-01", "2027-01-01");
    println!("groupings: {:?}; {DRAWS} draws", Grouping::defaults(Interval::Hour1));
    count(
        "GARCH(1,1)-t, three years of hours, any stable return effect",
        series,
        |seed| series::garch(HOURS, 0.0, seed),
        |_, _| true,
    );
    count(
        "recorded hours rebuilt from blocks, any stable return effect",
        series,
        |seed| series::rebuilt(&real, seed),
        |_, _| true,
    );
    for shift in [0.16, 0.08] {
        count(
            &format!("{shift} standard deviations planted in one hour, found stable there"),
            series,
            |seed| series::garch(HOURS, shift, 1_000_000 + seed),
            |grouping, bucket| grouping == Grouping::Hour && bucket == "14",
        );
    }
}
