//! Every figure against pandas, statsmodels, scipy and arch: see `goldens/calendar_study.py`.

use crate::series::recorded;
use candlemill_analytics::ToTheEnd;
use candlemill_analytics::calendar::study;
use candlemill_shared::ZoneName;
use candlemill_shared::study::{BucketReport, CalendarStudy, GroupingReport, TestStatistic};
use serde_json::Value;

/// Largest difference of a figure, relative.
const FIGURE: f64 = 1e-9;

/// Largest difference of p of t and F, relative: the error of the distributions' libraries at many degrees of freedom.
const PROBABILITY: f64 = 1e-8;

/// Draws of the bootstrap.
const DRAWS: u32 = 4_000;

fn check(name: &str, golden: &str) {
    let golden: Value = serde_json::from_str(golden).unwrap();
    let text = |key: &str| golden[key].as_str().unwrap().to_owned();
    let candles = recorded(&text("file"), text("interval").parse().unwrap(), &text("from"), &text("to"));
    let zone: ZoneName = text("zone").parse().unwrap();
    let request =
        CalendarStudy { groupings: Some(serde_json::from_value(golden["groupings"].clone()).unwrap()), measures: None };
    let drawn = golden["draws"].as_u64().unwrap() as f64;
    let draws = if drawn > 0.0 { DRAWS } else { 0 };
    let report = study(&candles, &request, &zone, draws, 1, &ToTheEnd).unwrap();
    let expected = golden["reports"].as_array().unwrap();
    assert_eq!(report.groupings.len(), expected.len(), "{name}");
    for (found, expected) in report.groupings.iter().zip(expected) {
        let place = format!("{name} {} {}", expected["grouping"], expected["measure"]);
        grouping(&place, found, expected);
        for expected in expected["buckets"].as_array().unwrap() {
            let place = format!("{place} {}", expected["bucket"]);
            let found = found.buckets.iter().find(|found| expected["bucket"] == found.bucket.as_str()).unwrap();
            bucket(&place, found, expected);
            if drawn > 0.0 {
                interval(&place, found, expected, drawn);
            }
        }
    }
}

fn near(place: &str, found: Option<f64>, expected: &Value, tolerance: f64) {
    let Some(expected) = expected.as_f64() else { return };
    let found = found.unwrap_or_else(|| panic!("{place}: nothing found, expected {expected}"));
    // Figures near 0 are differences of larger ones; p below 1e-280 is 0.
    let error = (found - expected).abs();
    assert!(error <= tolerance * expected.abs().max(1e-280) || error < 1e-15, "{place}: {found} instead of {expected}");
}

fn statistic(place: &str, found: Option<TestStatistic>, expected: &Value) {
    assert_eq!(found.is_some(), expected.is_array(), "{place}");
    if let Some(found) = found {
        near(place, Some(found.statistic), &expected[0], FIGURE);
        assert_eq!(Some(found.degrees), expected[1].as_u64(), "{place}");
        near(place, Some(found.p), &expected[2], FIGURE);
    }
}

fn grouping(place: &str, found: &GroupingReport, expected: &Value) {
    for (figure, key) in [
        (found.observations, "observations"),
        (found.incomplete, "incomplete"),
        (found.lag, "lag"),
        (found.family, "family"),
    ] {
        assert_eq!(Some(figure), expected[key].as_u64(), "{place} {key}");
    }
    near(&format!("{place} block length"), Some(found.block_length), &expected["block_length"], FIGURE);
    statistic(&format!("{place} omnibus"), found.omnibus, &expected["omnibus"]);
    statistic(&format!("{place} Kruskal-Wallis"), found.kruskal_wallis, &expected["kruskal_wallis"]);
    let (place, expected) = (format!("{place} ANOVA"), &expected["anova"]);
    let found = found.anova.unwrap();
    near(&place, Some(found.statistic), &expected[0], FIGURE);
    assert_eq!((Some(found.between), Some(found.within)), (expected[1].as_u64(), expected[2].as_u64()), "{place}");
    near(&place, Some(found.p), &expected[3], PROBABILITY);
}

fn bucket(place: &str, found: &BucketReport, expected: &Value) {
    assert_eq!(Some(found.n), expected["n"].as_u64(), "{place} n");
    let figures = [found.mean, found.median, found.deviation, found.q05, found.q25, found.q75, found.q95];
    for (index, figure) in figures.into_iter().enumerate() {
        near(&format!("{place} figure {index}"), figure, &expected["figures"][index], FIGURE);
    }
    near(&format!("{place} win rate"), found.win_rate, &expected["win"], FIGURE);
    if let Some(raw) = found.raw {
        for (index, figure) in [Some(raw.mean), Some(raw.median), raw.deviation].into_iter().enumerate() {
            near(&format!("{place} raw figure {index}"), figure, &expected["raw"][index], FIGURE);
        }
    }
    near(&format!("{place} difference"), found.difference, &expected["test"][0], FIGURE);
    near(&format!("{place} t"), found.t, &expected["test"][1], FIGURE);
    near(&format!("{place} p"), found.p, &expected["test"][2], PROBABILITY);
    near(&format!("{place} Holm p"), found.holm_p, &expected["family"][0], PROBABILITY);
    near(&format!("{place} q"), found.q, &expected["family"][1], PROBABILITY);
    for (index, part) in found.sub_periods.iter().enumerate() {
        let (place, expected) = (format!("{place} sub-period {index}"), &expected["parts"][index]);
        near(&format!("{place} difference"), part.difference, &expected[0], FIGURE);
        near(&format!("{place} t"), part.t, &expected[1], FIGURE);
    }
    near(&format!("{place} without the strongest"), found.p_without_strongest, &expected["without"], PROBABILITY);
}

/// An end of the interval is a quantile of D draws: its standard error is √(0.025·0.975/D)/φ(1.96) = 2.67/√D standard deviations of
/// a draw, which are a 3.92th of the interval; both programs have theirs. Six of them are allowed, over some thousand ends.
fn interval(place: &str, found: &BucketReport, expected: &Value, drawn: f64) {
    let (Some(low), Some(high)) = (expected["interval"][0].as_f64(), expected["interval"][1].as_f64()) else { return };
    let error = 2.67 * (1.0 / drawn + 1.0 / f64::from(DRAWS)).sqrt() * (high - low) / 3.92;
    for (found, expected) in [(found.low, low), (found.high, high)] {
        let found = found.unwrap();
        assert!((found - expected).abs() < 6.0 * error, "{place}: {found} instead of {expected} ± {error}");
    }
}

#[test]
fn hours_weeks_and_sessions_with_intervals() {
    check("hourly, UTC", include_str!("../../goldens/calendar-hourly-utc.json"));
}

#[test]
fn days_and_months_in_a_zone_with_daylight_saving() {
    check("hourly, Berlin", include_str!("../../goldens/calendar-hourly-berlin.json"));
}

#[test]
fn quarters_of_an_hour_in_america() {
    check("quarters, New York", include_str!("../../goldens/calendar-quarters-new-york.json"));
}
