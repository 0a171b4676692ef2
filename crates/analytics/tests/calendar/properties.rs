//! What must hold whatever the candles are.

use crate::series::garch;
use candlemill_analytics::calendar::study;
use candlemill_analytics::{CandleColumns, Candles, Control, Stopped, ToTheEnd};
use candlemill_shared::study::{CalendarReport, CalendarStudy, Grouping, GroupingReport, Measure, Verdict};
use candlemill_shared::{Interval, TimeRange, Timestamp, ZoneName};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const DAY: i64 = 24 * 3_600_000;

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().ms()
}

/// Candles of `interval` over a range, with prices that wander in a fixed way; without those that `missing` says.
fn walk(interval: &str, from: &str, to: &str, missing: impl Fn(i64) -> bool) -> Candles {
    let interval: Interval = interval.parse().unwrap();
    let range = interval.align(TimeRange::new(at(from), at(to)));
    let mut columns = CandleColumns::default();
    let (mut open, mut step) = (range.start, 0_u32);
    while open < range.end {
        step = step.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let close = 100.0 + f64::from(step >> 16) / 65_536.0;
        if !missing(open) {
            columns.open_time.push(open);
            columns.open.push(close);
            columns.high.push(close + 1.0);
            columns.low.push(close - 1.0);
            columns.close.push(close);
            columns.volume.push(1.0 + f64::from(step >> 20));
        }
        open = interval.next_bucket(open);
    }
    Candles::of(interval, columns).unwrap()
}

fn every(candles: &Candles, zone: &str, draws: u32) -> CalendarReport {
    let groupings = Grouping::ALL.into_iter().filter(|grouping| grouping.fits(candles.interval())).collect();
    let request = CalendarStudy { groupings: Some(groupings), measures: None };
    study(candles, &request, &zone.parse().unwrap(), draws, 7, &ToTheEnd).unwrap()
}

fn of(report: &CalendarReport, grouping: Grouping, measure: Measure) -> &GroupingReport {
    report.groupings.iter().find(|report| report.grouping == grouping && report.measure == measure).unwrap()
}

fn counts(candles: &Candles, zone: &str, grouping: Grouping, measure: Measure) -> (u64, u64) {
    let report = every(candles, zone, 0);
    let found = of(&report, grouping, measure);
    (found.observations, found.incomplete)
}

#[test]
fn scale_changes_raw_volumes_only() {
    let candles = garch(24 * 200, 0.0, 3);
    let times = |column: &[f64], factor: f64| column.iter().map(|figure| figure * factor).collect::<Vec<f64>>();
    // Powers of two scale without rounding.
    let scaled = Candles::of(
        Interval::Hour1,
        CandleColumns {
            open_time: candles.open_times().to_vec(),
            open: times(candles.opens(), 8.0),
            high: times(candles.highs(), 8.0),
            low: times(candles.lows(), 8.0),
            close: times(candles.closes(), 8.0),
            volume: times(candles.volumes(), 4.0),
        },
    )
    .unwrap();
    let (plain, mut scaled) = (every(&candles, "UTC", 50), every(&scaled, "UTC", 50));
    for grouping in scaled.groupings.iter_mut().filter(|grouping| grouping.measure == Measure::Volume) {
        for raw in grouping.buckets.iter_mut().filter_map(|bucket| bucket.raw.as_mut()) {
            (raw.mean, raw.median, raw.deviation) =
                (raw.mean / 4.0, raw.median / 4.0, raw.deviation.map(|of| of / 4.0));
        }
    }
    assert_eq!(plain, scaled);
}

#[test]
fn a_shift_by_whole_weeks_changes_the_times_only() {
    let candles = garch(24 * 100, 0.1, 4);
    let shifted = Candles::of(
        Interval::Hour1,
        CandleColumns {
            open_time: candles.open_times().iter().map(|at| at + 7 * 10 * DAY).collect(),
            open: candles.opens().to_vec(),
            high: candles.highs().to_vec(),
            low: candles.lows().to_vec(),
            close: candles.closes().to_vec(),
            volume: candles.volumes().to_vec(),
        },
    )
    .unwrap();
    let request = CalendarStudy {
        groupings: Some(vec![Grouping::Hour, Grouping::Weekday, Grouping::HourOfWeek]),
        measures: None,
    };
    let run = |candles: &Candles| study(candles, &request, &ZoneName::default(), 50, 7, &ToTheEnd).unwrap();
    let (plain, mut shifted) = (run(&candles), run(&shifted));
    for bucket in shifted.groupings.iter_mut().flat_map(|grouping| &mut grouping.buckets) {
        for part in &mut bucket.sub_periods {
            part.from = Timestamp::from(part.from.ms() - 7 * 10 * DAY);
            part.to = Timestamp::from(part.to.ms() - 7 * 10 * DAY);
        }
    }
    assert_eq!(plain, shifted);
}

#[test]
fn nothing_one_and_equal_candles_are_no_effect() {
    let empty = walk("1h", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", |_| false);
    let one = walk("1h", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z", |_| false);
    for (candles, observations) in [(&empty, 0), (&one, 1)] {
        let report = every(candles, "Europe/Berlin", 20);
        assert_eq!(of(&report, Grouping::Hour, Measure::Return).observations, 0);
        assert_eq!(of(&report, Grouping::Hour, Measure::Range).observations, observations);
        let mut buckets = report.groupings.iter().flat_map(|grouping| &grouping.buckets);
        assert!(buckets.all(|bucket| bucket.verdict == Verdict::Insufficient && bucket.p.is_none()));
    }
    let count = 24 * 90;
    let equal = Candles::of(
        Interval::Hour1,
        CandleColumns {
            open_time: garch(count, 0.0, 1).open_times().to_vec(),
            open: vec![0.1; count],
            high: vec![0.1; count],
            low: vec![0.1; count],
            close: vec![0.1; count],
            volume: vec![0.3; count],
        },
    )
    .unwrap();
    let report = every(&equal, "UTC", 20);
    // Sessions, months and quarters are not equally long, and so not equal in volume.
    let unequal = |grouping: &&GroupingReport| {
        grouping.measure == Measure::Volume
            && matches!(grouping.grouping, Grouping::Session | Grouping::Month | Grouping::Quarter)
    };
    for grouping in report.groupings.iter().filter(|grouping| !unequal(grouping)) {
        assert!(grouping.omnibus.is_none() && grouping.anova.is_none() && grouping.kruskal_wallis.is_none());
        for bucket in &grouping.buckets {
            assert!(bucket.p.is_none() && bucket.low.is_none(), "{:?} {bucket:?}", grouping.grouping);
            assert!(matches!(bucket.verdict, Verdict::Chance | Verdict::Insufficient));
        }
    }
}

#[test]
fn days_of_23_and_25_hours_are_whole() {
    let spring = walk("1h", "2024-03-29T23:00:00Z", "2024-04-01T22:00:00Z", |_| false);
    assert_eq!(counts(&spring, "Europe/Berlin", Grouping::Weekday, Measure::Range), (3, 0));
    assert_eq!(counts(&spring, "Europe/Berlin", Grouping::Hour, Measure::Range), (71, 0));
    let autumn = walk("15m", "2024-10-25T22:00:00Z", "2024-10-28T23:00:00Z", |_| false);
    assert_eq!(counts(&autumn, "Europe/Berlin", Grouping::Weekday, Measure::Range), (3, 0));
    let report = every(&autumn, "Europe/Berlin", 0);
    let twice: Vec<u64> = of(&report, Grouping::Hour, Measure::Range).buckets.iter().map(|bucket| bucket.n).collect();
    assert_eq!((twice[1], twice[2], twice[3]), (3, 4, 3), "the hour from 2 is there twice");
    // One candle of the doubled hour is missing: that hour and the day are not whole.
    let lost = walk("15m", "2024-10-25T22:00:00Z", "2024-10-28T23:00:00Z", |open| open == at("2024-10-27T01:15:00Z"));
    assert_eq!(counts(&lost, "Europe/Berlin", Grouping::Weekday, Measure::Range), (2, 1));
    assert_eq!(counts(&lost, "Europe/Berlin", Grouping::Hour, Measure::Range), (72, 1));
}

#[test]
fn leap_days_have_a_bucket_and_a_month_of_29_days() {
    let candles = walk("1d", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z", |_| false);
    assert_eq!(counts(&candles, "UTC", Grouping::Month, Measure::Range), (1, 0));
    let report = every(&candles, "UTC", 0);
    assert_eq!(of(&report, Grouping::DayOfMonth, Measure::Range).buckets[28].n, 1);
    assert_eq!(of(&report, Grouping::TurnOfMonth, Measure::Range).buckets[0].n, 1, "29 February is the last day");
    let short = walk("1d", "2023-02-01T00:00:00Z", "2023-03-01T00:00:00Z", |_| false);
    assert_eq!(counts(&short, "UTC", Grouping::Month, Measure::Range), (1, 0));
}

#[test]
fn gaps_take_their_own_observation_and_the_return_after_it() {
    // From 00:30 to 05:30, without the last candle of 02:00 and all of 03:00 to 03:59.
    let gap = (at("2024-01-01T02:45:00Z"), at("2024-01-01T04:00:00Z"));
    let candles = walk("15m", "2024-01-01T00:30:00Z", "2024-01-01T05:30:00Z", |open| gap.0 <= open && open < gap.1);
    // Whole: 01, 04. Not whole: 00 and 05 at the borders, 02, 03.
    assert_eq!(counts(&candles, "UTC", Grouping::Hour, Measure::Range), (2, 4));
    assert_eq!(counts(&candles, "UTC", Grouping::Hour, Measure::Return), (1, 5));
    // A candle each: 15 of 20; returns lack the first and the one after the gap.
    assert_eq!(counts(&candles, "UTC", Grouping::MinuteOfHour, Measure::Volume), (15, 5));
    assert_eq!(counts(&candles, "UTC", Grouping::MinuteOfHour, Measure::Return), (13, 7));
}

#[test]
fn seconds_are_folded_into_minutes_and_hours() {
    let candles = walk("1s", "2024-01-01T00:00:30Z", "2024-01-01T02:00:00Z", |_| false);
    assert_eq!(counts(&candles, "UTC", Grouping::MinuteOfHour, Measure::Return), (119, 1));
    assert_eq!(counts(&candles, "UTC", Grouping::Hour, Measure::Return), (1, 1));
    assert_eq!(counts(&candles, "Asia/Kolkata", Grouping::Hour, Measure::Return), (1, 2));
}

#[test]
fn every_interval_gives_what_fits_and_nothing_else() {
    for interval in Interval::ALL {
        let to = if interval == Interval::Second1 { "2024-01-01T01:00:00Z" } else { "2024-01-20T00:00:00Z" };
        let to = if interval >= Interval::Day1 { "2025-01-01T00:00:00Z" } else { to };
        let candles = walk(interval.as_str(), "2024-01-01T00:00:00Z", to, |_| false);
        let all = CalendarStudy { groupings: Some(Grouping::ALL.to_vec()), measures: Some(vec![Measure::Range]) };
        let report = study(&candles, &all, &ZoneName::default(), 0, 0, &ToTheEnd).unwrap();
        let found: Vec<Grouping> = report.groupings.iter().map(|report| report.grouping).collect();
        let fitting: Vec<Grouping> = Grouping::ALL.into_iter().filter(|grouping| grouping.fits(interval)).collect();
        assert_eq!(found, fitting, "{interval}");
        assert!(Grouping::defaults(interval).iter().all(|grouping| fitting.contains(grouping)), "{interval}");
        assert!(report.groupings.iter().all(|grouping| !grouping.buckets.is_empty()), "{interval}");
    }
}

#[test]
fn candles_longer_than_a_minute_have_the_minutes_in_which_they_open() {
    for (interval, zone, names) in [
        ("30m", "UTC", vec!["00", "30"]),
        ("30m", "Asia/Kathmandu", vec!["15", "45"]),
        ("15m", "UTC", vec!["00", "15", "30", "45"]),
    ] {
        let candles = walk(interval, "2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z", |_| false);
        let report = every(&candles, zone, 0);
        let found: Vec<&str> = of(&report, Grouping::MinuteOfHour, Measure::Return)
            .buckets
            .iter()
            .map(|bucket| bucket.bucket.as_str())
            .collect();
        assert_eq!(found, names, "{interval} {zone}");
    }
}

#[test]
fn threads_change_nothing() {
    let candles = garch(24 * 120, 0.0, 9);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| every(&candles, "America/New_York", 100))
    };
    assert_eq!(run(1), run(3));
}

/// Stops after some questions, and keeps what it is told.
struct Watched {
    questions: AtomicU64,
    allowed: u64,
    steps: Mutex<Vec<(u64, u64)>>,
}

impl Control for Watched {
    fn may_go_on(&self) -> Result<(), Stopped> {
        if self.questions.fetch_add(1, Ordering::Relaxed) < self.allowed { Ok(()) } else { Err(Stopped) }
    }

    fn step(&self, done: u64, total: u64) {
        self.steps.lock().unwrap().push((done, total));
    }
}

#[test]
fn it_stops_where_it_is_told_to_and_tells_how_far_it_is() {
    let candles = garch(24 * 60, 0.0, 9);
    let run = |allowed: u64| {
        let control = Watched { questions: AtomicU64::new(0), allowed, steps: Mutex::new(Vec::new()) };
        let result = study(&candles, &CalendarStudy::default(), &ZoneName::default(), 100, 0, &control);
        (result, control.questions.into_inner(), control.steps.into_inner().unwrap())
    };
    let (result, questions, steps) = run(u64::MAX);
    assert!(result.is_ok() && questions > 200, "{questions}");
    assert!(steps.iter().all(|(done, total)| done <= total && *total > 0));
    let (done, total) = *steps.last().unwrap();
    assert_eq!(done, total);
    assert!(steps.len() > 50, "{}", steps.len());
    for allowed in (0..questions).step_by(usize::try_from(questions / 40).unwrap()) {
        assert!(matches!(run(allowed).0, Err(Stopped)), "{allowed} of {questions}");
    }
}
