//! What every chart keeps to, whatever the report holds.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod reports;

use candlemill_charts::{Chart, ChartContext, MAX_BYTES, calendar, strategy};
use candlemill_shared::Timestamp;
use candlemill_shared::study::{BucketReport, CalendarReport, EquityPoint, Grouping, Measure, Verdict};
use reports::{Numbers, START};
use roxmltree::{Document, Node};
use std::collections::HashSet;

const MEASURES: [Measure; 4] = [Measure::Return, Measure::AbsoluteReturn, Measure::Range, Measure::Volume];

const GROUPINGS: [Grouping; 9] = [
    Grouping::MinuteOfHour,
    Grouping::Hour,
    Grouping::Weekday,
    Grouping::HourOfWeek,
    Grouping::DayOfMonth,
    Grouping::TurnOfMonth,
    Grouping::Month,
    Grouping::Quarter,
    Grouping::Session,
];

fn context(symbol: &str) -> ChartContext<'_> {
    let (from, to) = (Timestamp::from(START), Timestamp::from(START + 220_752_000_000));
    ChartContext { symbol, interval: "1h", time_zone: "Europe/Berlin", from, to }
}

/// Every rule that holds for all charts.
fn check(charts: &[Chart]) {
    let names: HashSet<&str> = charts.iter().map(|chart| chart.name.as_str()).collect();
    assert_eq!(names.len(), charts.len(), "a name twice");
    for Chart { name, title, svg } in charts {
        assert!((1..=64).contains(&name.len()), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
        assert!(svg.len() <= MAX_BYTES, "{name}: {} bytes", svg.len());
        let document = Document::parse(svg).unwrap_or_else(|error| panic!("{name}: {error}"));
        let root = document.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        assert_eq!(child(&root, "title").text(), Some(title.as_str()), "{name}");
        assert!(child(&root, "desc").text().is_some_and(|text| !text.is_empty()), "{name}");
        let size: Vec<f64> = root.attribute("viewBox").unwrap().split(' ').map(|part| part.parse().unwrap()).collect();
        for node in document.descendants().filter(Node::is_element) {
            check_node(name, &node, &size);
        }
    }
}

fn child<'a>(node: &Node<'a, 'a>, name: &str) -> Node<'a, 'a> {
    node.children().find(|child| child.has_tag_name(name)).unwrap()
}

/// Nothing that runs or loads, no figure that is none, nothing beside the page.
fn check_node(chart: &str, node: &Node<'_, '_>, size: &[f64]) {
    let known = ["svg", "title", "desc", "style", "defs", "pattern", "rect", "path", "circle", "text", "g"];
    assert!(known.contains(&node.tag_name().name()), "{chart}: {node:?}");
    for attribute in node.attributes() {
        let (name, value) = (attribute.name(), attribute.value());
        assert!(!name.starts_with("on") && name != "href" && name != "style", "{chart}: {name}");
        assert!(!value.contains("NaN") && !value.contains("inf"), "{chart}: {name}={value}");
        let limit = match name {
            "x" | "cx" => size[2],
            "y" | "cy" => size[3],
            _ => continue,
        };
        let at: f64 = value.parse().unwrap();
        assert!((0.0..=limit).contains(&at), "{chart}: {name}={value} is beside the page of {limit}");
    }
}

fn tooltips(chart: &Chart) -> Vec<String> {
    let document = Document::parse(&chart.svg).unwrap();
    let titles = document.descendants().filter(|node| node.has_tag_name("title"));
    titles.filter_map(|node| node.text().map(str::to_owned)).collect()
}

/// The report of one grouping.
fn one(kind: Grouping, measure: Measure, buckets: Vec<BucketReport>) -> CalendarReport {
    CalendarReport { rule: String::new(), groupings: vec![reports::grouping(kind, measure, buckets)] }
}

#[test]
fn every_grouping_and_measure_has_its_charts() {
    let charts = calendar(&context("BTCUSDT"), &reports::calendar(7));
    check(&charts);
    assert_eq!(charts.len(), 2 * GROUPINGS.len() * MEASURES.len());
    let heat_maps: Vec<&Chart> = charts.iter().filter(|chart| chart.name.starts_with("heat-map-")).collect();
    assert_eq!(heat_maps.len(), MEASURES.len());
    assert!(heat_maps[0].svg.contains(">BTCUSDT · 1h\u{a0}candles · 2018-01-01 to 2024-12-30"));
}

#[test]
fn every_bucket_has_a_tooltip() {
    let report = reports::calendar(3);
    let charts = calendar(&context("BTCUSDT"), &report);
    let mains = charts.iter().filter(|chart| !chart.name.starts_with("stability"));
    for (chart, grouping) in mains.zip(&report.groupings) {
        let found = tooltips(chart);
        for bucket in &grouping.buckets {
            let start = format!("{}: ", bucket.bucket);
            assert_eq!(found.iter().filter(|text| text.starts_with(&start)).count(), 1, "{}: {start}", chart.name);
        }
    }
}

#[test]
fn hostile_text_stays_text() {
    let hostile = "</text><script>alert(1)</script>&amp;\"' onload='x' ]]> \u{0}\u{1b}\u{ffff}\u{202e}عملة 通貨";
    let mut numbers = Numbers(1);
    let buckets = vec![reports::bucket(hostile, 50, 0.1, 0.2, &mut numbers); 30];
    let symbol = hostile.repeat(50);
    let context = ChartContext { interval: hostile, time_zone: hostile, ..context(&symbol) };
    for kind in GROUPINGS {
        check(&calendar(&context, &one(kind, Measure::Volume, buckets.clone())));
    }
    let chart = strategy(&context, hostile, &reports::strategy(3, 100)).unwrap();
    check(&[chart]);
    check(&[strategy(&context, "", &reports::strategy(3, 100)).unwrap()]);
}

#[test]
fn empty_reports_have_no_charts() {
    assert!(calendar(&context("BTCUSDT"), &CalendarReport::default()).is_empty());
    for kind in GROUPINGS {
        assert!(calendar(&context("BTCUSDT"), &one(kind, Measure::Return, Vec::new())).is_empty());
    }
    let mut report = reports::strategy(3, 1);
    assert_eq!(strategy(&context("BTCUSDT"), "sma_crossover", &report), None);
    report.equity.clear();
    assert_eq!(strategy(&context("BTCUSDT"), "sma_crossover", &report), None);
}

#[test]
fn what_is_not_defined_says_so() {
    for kind in GROUPINGS {
        let buckets: Vec<_> = reports::names(kind).iter().map(|name| reports::undefined(name)).collect();
        let charts = calendar(&context("BTCUSDT"), &one(kind, Measure::Return, buckets));
        check(&charts);
        for chart in charts {
            assert!(chart.svg.contains("n/a") && chart.svg.contains("<rect class=\"hatch\""), "{}", chart.name);
            assert!(chart.svg.contains("Too few observations for any verdict."), "{}", chart.name);
        }
    }
}

#[test]
fn one_bucket_and_very_many() {
    let mut numbers = Numbers(9);
    for count in [1, 2, 60, 168, 5_000] {
        let name = |index| format!("<&\"{index}\"&>{}", "&".repeat(40));
        let bucket = |index| reports::bucket(&name(index), 400, 0.001, 0.0004, &mut numbers);
        let buckets: Vec<_> = (0..count).map(bucket).collect();
        for kind in GROUPINGS {
            check(&calendar(&context("BTCUSDT"), &one(kind, Measure::Return, buckets.clone())));
        }
    }
}

#[test]
fn extreme_figures_are_drawn_or_left_out() {
    let mut numbers = Numbers(4);
    let figures = [f64::MAX, f64::MIN, f64::INFINITY, f64::NAN, 1e99, -1e99, 1e-300, 0.0, -0.0, f64::MIN_POSITIVE];
    let mut buckets = Vec::new();
    for value in figures {
        let mut bucket = reports::bucket("x", u64::MAX, 0.1, 0.2, &mut numbers);
        (bucket.difference, bucket.mean, bucket.low, bucket.high) =
            (Some(value), Some(value), Some(-value), Some(value));
        (bucket.t, bucket.p, bucket.holm_p) = (Some(value), Some(value), Some(value));
        for part in &mut bucket.sub_periods {
            part.difference = Some(value);
        }
        let only = bucket.clone();
        buckets.push(bucket);
        for kind in [Grouping::Hour, Grouping::HourOfWeek] {
            let mut only = only.clone();
            only.bucket = "Mon 00".to_owned();
            let mut report = one(kind, Measure::Return, vec![only]);
            report.groupings[0].observations = u64::MAX;
            check(&calendar(&context("BTCUSDT"), &report));
        }
    }
    for measure in MEASURES {
        let mut report = one(Grouping::Hour, measure, buckets.clone());
        report.groupings[0].observations = u64::MAX;
        check(&calendar(&context("BTCUSDT"), &report));
    }
}

#[test]
fn strategies_of_any_shape() {
    let context = context("BTCUSDT");
    let chart = strategy(&context, "sma_crossover", &reports::strategy(3, 2_000)).unwrap();
    assert_eq!(chart.name, "equity-sma-crossover");
    for text in ["in sample", "out of sample", "Sharpe\u{a0}+0.710", "18.4\u{a0}bp a fill"] {
        assert!(chart.svg.contains(text), "{text}");
    }
    check(&[chart, strategy(&context, "mean_reversion", &reports::strategy(5, 200_000)).unwrap()]);
    let all = [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MAX, 1e-300, 1e99, 1e-99, 1.0];
    for first in all {
        for second in all {
            let mut report = reports::strategy(3, 2);
            let point = |index: i64, value| EquityPoint {
                open_time: Timestamp::from(START + index * 1_000),
                strategy: value,
                buy_and_hold: 1.0,
            };
            report.equity = vec![point(0, first), point(1, second), point(2, first)];
            report.strategy.in_sample = None;
            report.strategy.whole.as_mut().unwrap().total_return = first;
            report.break_even_fee_bps = Some(second);
            check(&[strategy(&context, "sma_crossover", &report).unwrap()]);
            report.strategy.out_of_sample = None;
            check(&[strategy(&context, "sma_crossover", &report).unwrap()]);
        }
    }
}

#[test]
fn a_curve_of_the_longest_kind_stays_small() {
    let mut report = reports::strategy(8, 2_000);
    for (index, point) in report.equity.iter_mut().enumerate() {
        point.strategy = if index % 2 == 0 { 0.01 } else { 100.0 };
        point.buy_and_hold = 1.0 / point.strategy;
    }
    check(&[strategy(&context("BTCUSDT"), "sma_crossover", &report).unwrap()]);
}

#[test]
fn verdicts_differ_by_shape_and_by_colour() {
    let verdicts = [Verdict::Stable, Verdict::Unstable, Verdict::Chance, Verdict::Insufficient];
    let (mut shapes, mut classes) = (HashSet::new(), HashSet::new());
    for verdict in verdicts {
        let mut bucket = reports::bucket("00", 400, 0.001, 0.0004, &mut Numbers(2));
        bucket.verdict = verdict;
        let charts = calendar(&context("BTCUSDT"), &one(Grouping::Hour, Measure::Return, vec![bucket]));
        let document = Document::parse(&charts[0].svg).unwrap();
        let mark = |node: &Node<'_, '_>| node.attribute("class").is_some_and(|class| class.starts_with("mark "));
        let mark = document.descendants().find(mark).unwrap();
        let class = mark.attribute("class").unwrap();
        let shape: String = mark.attribute("d").unwrap_or("circle").chars().filter(|c| c.is_alphabetic()).collect();
        assert!(shapes.insert(shape), "{verdict:?} has another's shape");
        assert!(classes.insert(class.to_owned()), "{verdict:?} has another's colour");
        assert!(
            charts[0].svg.contains(&format!("{class}{{fill").replacen("mark ", ".mark.", 1)),
            "{class} has no style"
        );
    }
}

#[test]
fn the_caption_says_what_it_comes_to() {
    let mut numbers = Numbers(2);
    let mut buckets: Vec<_> = reports::names(Grouping::Weekday)
        .iter()
        .map(|name| reports::bucket(name, 50, 0.0, 0.1, &mut numbers))
        .collect();
    let text = |buckets: &[BucketReport]| {
        let charts = calendar(&context("BTCUSDT"), &one(Grouping::Weekday, Measure::Return, buckets.to_vec()));
        let document = Document::parse(&charts[0].svg).unwrap();
        child(&document.root_element(), "desc").text().unwrap().to_owned()
    };
    assert!(text(&buckets).starts_with("No bucket is more than chance. All buckets alike: p\u{a0}0.1200."));
    buckets[0].verdict = Verdict::Unstable;
    assert!(text(&buckets).starts_with("No bucket of 7 is stable; 1 unstable."));
    buckets[1].verdict = Verdict::Stable;
    buckets[2].verdict = Verdict::Insufficient;
    assert!(text(&buckets).starts_with("Stable: 1 of 7 buckets; unstable: 1. Too few observations: 1."));
    assert!(text(&buckets).contains("zone\u{a0}Europe/Berlin") && text(&buckets).contains("n\u{a0}350 (one each hour"));
}
