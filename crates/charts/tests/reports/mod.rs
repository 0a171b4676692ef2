//! Reports with plausible figures: returns of a few basis points, shares between 0.6 and 1.6 of what is usual.

use candlemill_shared::Timestamp;
use candlemill_shared::study::{
    BucketReport, CalendarReport, EquityPoint, Grouping, GroupingReport, Measure, ObservationUnit, Performance, Phases,
    StrategyReport, SubPeriod, TestStatistic, Verdict,
};

/// 2018-01-01 in UTC ms.
pub(crate) const START: i64 = 1_514_764_800_000;

const DAY: i64 = 86_400_000;

/// A small generator of numbers in 0 to 1, the same on every machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// The next number.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The next number about 0, roughly normal with deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

/// Names of the buckets of `grouping`.
pub(crate) fn names(grouping: Grouping) -> Vec<String> {
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match grouping {
        Grouping::MinuteOfHour => (0..60).map(|minute| format!("{minute:02}")).collect(),
        Grouping::Hour => (0..24).map(|hour| format!("{hour:02}")).collect(),
        Grouping::Weekday => words(&days),
        Grouping::HourOfWeek => {
            days.iter().flat_map(|day| (0..24).map(move |hour| format!("{day} {hour:02}"))).collect()
        }
        Grouping::DayOfMonth => (1..=31).map(|day: u32| day.to_string()).collect(),
        Grouping::TurnOfMonth => words(&["-1", "+1", "+2", "+3", "other"]),
        Grouping::Month => words(&["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]),
        Grouping::Quarter => words(&["Q1", "Q2", "Q3", "Q4"]),
        Grouping::Session => words(&["asia", "europe", "us", "off"]),
    }
}

/// A bucket whose difference is `effect` and whose interval reaches `error` to both sides of it.
pub(crate) fn bucket(name: &str, n: u64, effect: f64, error: f64, numbers: &mut Numbers) -> BucketReport {
    let t = effect / error * 1.96;
    let sub_periods: Vec<SubPeriod> = (0..5)
        .map(|part: i64| {
            let difference = effect + numbers.normal() * error;
            SubPeriod {
                from: Timestamp::from(START + part * 511 * DAY),
                to: Timestamp::from(START + (part + 1) * 511 * DAY),
                n: n / 5,
                difference: Some(difference),
                t: Some(difference / error),
                p: Some(0.2),
            }
        })
        .collect();
    let same = sub_periods.iter().filter(|part| part.difference.unwrap_or(0.0) * effect > 0.0).count();
    let verdict = match (n, t.abs()) {
        (0..30, _) => Verdict::Insufficient,
        (_, 3.4..) if same >= 4 => Verdict::Stable,
        (_, 3.0..) => Verdict::Unstable,
        _ => Verdict::Chance,
    };
    BucketReport {
        bucket: name.to_owned(),
        n,
        mean: Some(effect),
        median: Some(effect / 2.0),
        deviation: Some(error * 20.0),
        win_rate: Some(0.5),
        q05: None,
        q25: None,
        q75: None,
        q95: None,
        raw: None,
        difference: Some(effect),
        t: Some(t),
        p: Some((-t * t / 2.0).exp()),
        holm_p: Some((-t * t / 3.0).exp()),
        q: Some(0.3),
        low: Some(effect - error),
        high: Some(effect + error * 1.1),
        sub_periods,
        p_without_strongest: Some(0.04),
        verdict,
    }
}

/// A bucket none of whose figures is defined.
pub(crate) fn undefined(name: &str) -> BucketReport {
    let mut bucket = bucket(name, 0, 0.0, 1.0, &mut Numbers(1));
    (bucket.mean, bucket.median, bucket.deviation, bucket.win_rate) = (None, None, None, None);
    (bucket.difference, bucket.t, bucket.p, bucket.holm_p, bucket.q) = (None, None, None, None, None);
    (bucket.low, bucket.high, bucket.p_without_strongest) = (None, None, None);
    for part in &mut bucket.sub_periods {
        (part.difference, part.t, part.p) = (None, None, None);
    }
    bucket
}

/// A grouping of `buckets`.
pub(crate) fn grouping(grouping: Grouping, measure: Measure, buckets: Vec<BucketReport>) -> GroupingReport {
    GroupingReport {
        grouping,
        measure,
        observation: ObservationUnit::Hour,
        observations: buckets.iter().fold(0, |sum, bucket| sum.saturating_add(bucket.n)),
        incomplete: 12,
        unit: ObservationUnit::Day,
        block_length: 3.2,
        lag: 24,
        family: 199,
        omnibus: Some(TestStatistic { statistic: 31.0, degrees: 23, p: 0.12 }),
        kruskal_wallis: None,
        anova: None,
        buckets,
    }
}

/// All groupings by all measures.
pub(crate) fn calendar(seed: u64) -> CalendarReport {
    let mut numbers = Numbers(seed);
    let all = [
        (Grouping::MinuteOfHour, 43_800, 0.000_02),
        (Grouping::Hour, 2_555, 0.000_4),
        (Grouping::Weekday, 365, 0.004),
        (Grouping::HourOfWeek, 365, 0.001),
        (Grouping::DayOfMonth, 84, 0.007),
        (Grouping::TurnOfMonth, 84, 0.008),
        (Grouping::Month, 28, 0.09),
        (Grouping::Quarter, 31, 0.2),
        (Grouping::Session, 2_555, 0.000_9),
    ];
    let measures = [Measure::Return, Measure::AbsoluteReturn, Measure::Range, Measure::Volume];
    let mut report = CalendarReport { rule: "stable: Holm p at most 0.05".to_owned(), groupings: Vec::new() };
    for (kind, n, error) in all {
        for measure in measures {
            let names = names(kind);
            let buckets = names.iter().enumerate().map(|(index, name)| {
                let cycle = (index as f64 / 24.0 * std::f64::consts::TAU).sin();
                let (effect, error) = match measure {
                    Measure::Return => (error * 0.7 * numbers.normal() + error * cycle * 0.3, error),
                    _ => (0.35 * cycle + 0.08 * numbers.normal(), 0.12),
                };
                bucket(name, n + (index as u64 * 7) % 5, effect, error, &mut numbers)
            });
            let buckets = buckets.collect();
            report.groupings.push(grouping(kind, measure, buckets));
        }
    }
    report
}

/// Figures of a part of the time.
pub(crate) fn performance(from: i64, to: i64, total_return: f64) -> Performance {
    Performance {
        from: Timestamp::from(from),
        to: Timestamp::from(to),
        candles: ((to - from) / 3_600_000) as u64,
        total_return,
        cagr: Some(0.2),
        volatility: Some(0.6),
        sharpe: Some(0.71),
        sortino: Some(0.9),
        max_drawdown: 0.48,
        drawdown_from: None,
        drawdown_to: None,
        recovered_at: None,
        exposure: 0.52,
        trades: 310,
        win_rate: Some(0.38),
        profit_factor: Some(1.2),
    }
}

/// A strategy over seven years in `points` points, with an outage of forty days.
pub(crate) fn strategy(seed: u64, points: i64) -> StrategyReport {
    let mut numbers = Numbers(seed);
    let (mut rule, mut hold) = (0.0_f64, 0.0_f64);
    let length = 2_555 * DAY;
    let mut equity = Vec::new();
    for index in 0..points {
        let step = numbers.normal() * 2.2 / (points as f64).sqrt() + 1.3 / points as f64;
        hold += step;
        rule += step * if numbers.next() > 0.4 { 0.55 } else { 0.1 };
        let time = START + length / points * index + if index > points / 3 { 40 * DAY } else { 0 };
        equity.push(EquityPoint { open_time: Timestamp::from(time), strategy: rule.exp(), buy_and_hold: hold.exp() });
    }
    let (border, end) = (START + length * 7 / 10, START + length);
    let phases = |whole: f64| Phases {
        whole: Some(performance(START, end, whole)),
        in_sample: Some(performance(START, border, whole * 0.8)),
        out_of_sample: Some(performance(border + 60 * DAY, end, whole * 0.1)),
    };
    StrategyReport {
        candles: 61_320,
        warm_up: 100,
        restarts: 3,
        embargo: 100,
        signals: 640,
        trades: 310,
        strategy: phases(rule.exp() - 1.0),
        buy_and_hold: phases(hold.exp() - 1.0),
        break_even_fee_bps: Some(18.4),
        equity,
    }
}
