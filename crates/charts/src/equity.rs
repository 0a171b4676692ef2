//! Worth over time and the falls from its peaks, in two panels above one another.

use crate::bars::{LEFT, axis_title};
use crate::page::{At, LINE, MARGIN, Page, WIDTH};
use crate::scale::{Axis, drawable};
use crate::words;
use candlemill_shared::Timestamp;
use candlemill_shared::study::{EquityPoint, StrategyReport};

/// Heights of the panels.
const WORTH: f64 = 240.0;
const FALLS: f64 = 120.0;

/// Columns into which a line is thinned; of each stay the first, the lowest, the highest and the last point.
const COLUMNS: f64 = 520.0;

/// Largest number of labels of the axis of time.
const MAX_DATES: usize = 5;

/// The time that a curve takes (UTC ms) and the smallest and largest worth in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    from: i64,
    to: i64,
    low: f64,
    high: f64,
}

impl Span {
    /// Of `curve`; none where fewer than two of its points can be drawn.
    pub(crate) fn of(curve: &[EquityPoint]) -> Option<Self> {
        let from = curve.iter().map(|point| point.open_time.ms()).min()?;
        let to = curve.iter().map(|point| point.open_time.ms()).max()?;
        let worths = || curve.iter().flat_map(|point| [point.strategy, point.buy_and_hold]).filter_map(worth);
        let low = worths().fold(f64::INFINITY, f64::min);
        let high = worths().fold(0.0, f64::max);
        (from < to && worths().count() >= 2).then_some(Self { from, to, low, high })
    }
}

/// A worth that has a logarithm.
fn worth(value: f64) -> Option<f64> {
    drawable(Some(value)).filter(|value| *value >= 1e-100)
}

/// Draws both panels and their legend.
pub(crate) fn draw(page: &mut Page, report: &StrategyReport, span: Span) {
    let time = Axis::new(span.from as f64, span.to as f64, LEFT, WIDTH - MARGIN);
    legend(page);
    axis_title(page, "Worth, logarithmic scale (1 at the start)");
    let top = page.y + 28.0;
    let foot = top + WORTH;
    let (low, high) = (span.low.log10(), span.high.log10());
    let room = ((high - low) * 0.05).max(0.01);
    let worths = Axis::new(low - room, high + room, foot, top);
    let falls_top = foot + LINE + 18.0;
    let falls_foot = falls_top + FALLS;
    samples(page, report, &time, (top, foot), (falls_top, falls_foot));
    for (value, label) in worth_ticks(low - room, high + room) {
        page.line("grid", (LEFT, worths.at(value)), (WIDTH - MARGIN, worths.at(value)));
        page.text("end", LEFT - 6.0, worths.at(value) + 6.0, &label);
    }
    let curve = &report.equity;
    let height = |value: f64| worth(value).map(|value| worths.at(value.log10()));
    let points = |pick: fn(&EquityPoint) -> f64| curve.iter().map(move |point| (point.open_time, pick(point)));
    line(
        page,
        "hold",
        "buy and hold",
        &time,
        points(|point| point.buy_and_hold).map(|(at, value)| (at, height(value))),
    );
    line(page, "rule", "rule", &time, points(|point| point.strategy).map(|(at, value)| (at, height(value))));

    page.text("soft", MARGIN, falls_top - 10.0, "Fall from the last peak, per cent");
    let rule = falls(points(|point| point.strategy));
    let hold = falls(points(|point| point.buy_and_hold));
    let deepest = rule.iter().chain(&hold).filter_map(|(_, fall)| *fall).fold(0.0, f64::min);
    let axis = Axis::new((deepest * 1.05).min(-0.001), 0.0, falls_foot, falls_top);
    let (ticks, step) = axis.ticks(3);
    for value in ticks {
        page.line("grid", (LEFT, axis.at(value)), (WIDTH - MARGIN, axis.at(value)));
        let label = words::tick(value * 100.0, step * 100.0);
        page.text("end", LEFT - 6.0, axis.at(value) + 6.0, &label);
    }
    let at = |(time, fall): (Timestamp, Option<f64>)| (time, fall.map(|fall| axis.at(fall)));
    area(page, &time, falls_top, rule.iter().copied().map(at));
    line(page, "hold", "fall of buy and hold", &time, hold.into_iter().map(at));
    line(page, "rule", "fall of the rule", &time, rule.into_iter().map(at));
    page.y = falls_foot;
    dates(page, &time, span);
}

fn legend(page: &mut Page) {
    page.y += LINE;
    let y = page.y;
    page.line("rule", (MARGIN, y - 6.0), (MARGIN + 34.0, y - 6.0));
    page.text("", MARGIN + 42.0, y, "rule, after fees");
    page.line("hold", (MARGIN + 240.0, y - 6.0), (MARGIN + 274.0, y - 6.0));
    page.text("", MARGIN + 282.0, y, "buy and hold");
    page.y += 4.0;
}

/// The border between the samples, and the embargo between them.
fn samples(page: &mut Page, report: &StrategyReport, time: &Axis, worth: (f64, f64), falls: (f64, f64)) {
    let end = report.strategy.in_sample.as_ref().map(|part| time.at(part.to.ms() as f64));
    let Some(start) = report.strategy.out_of_sample.as_ref().map(|part| time.at(part.from.ms() as f64)) else { return };
    for (top, foot) in [worth, falls] {
        if let Some(end) = end {
            page.rect("band", (end, top), (start - end, foot - top));
        }
        page.line("border", (start, top), (start, foot));
    }
    let y = worth.0 - 8.0;
    if end.is_some() && start > LEFT + 110.0 {
        page.text("soft end", end.unwrap_or(start).min(start) - 6.0, y, "in sample");
    }
    if start < WIDTH - MARGIN - 130.0 {
        page.text("soft", start + 6.0, y, "out of sample");
    }
}

/// Powers of ten; with 2 and 5 between them, or by tenths of the axis, where it is short.
fn worth_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let axis = Axis::new(low, high, 0.0, 1.0);
    let between = |steps: &[f64]| -> Vec<f64> {
        let powers = low.floor() as i32..=high.ceil() as i32;
        let all = powers.flat_map(|power| steps.iter().map(move |times| f64::from(power) + times.log10()));
        all.filter(|value| (low..=high).contains(value)).collect()
    };
    let values = if high - low > 3.0 {
        axis.ticks(5).0.into_iter().filter(|value| value.fract() == 0.0).collect()
    } else if high - low > 1.0 {
        between(&[1.0, 2.0, 5.0])
    } else {
        let (ticks, _) = Axis::new(10.0_f64.powf(low), 10.0_f64.powf(high), 0.0, 1.0).ticks(5);
        ticks.into_iter().filter(|value| *value > 0.0).map(f64::log10).collect()
    };
    values.into_iter().map(|value: f64| (value, words::worth(10.0_f64.powf(value)))).collect()
}

/// Each worth over the highest before it, minus 1.
fn falls(points: impl Iterator<Item = (Timestamp, f64)>) -> Vec<(Timestamp, Option<f64>)> {
    let mut peak = 0.0_f64;
    let fall = |(time, value): (Timestamp, f64)| {
        let value = drawable(Some(value));
        peak = peak.max(value.unwrap_or(0.0));
        (time, value.filter(|_| peak > 0.0).map(|value| (value / peak - 1.0).clamp(-1.0, 0.0)))
    };
    points.map(fall).collect()
}

/// The points of a line, thinned, in unbroken runs: a point that can't be drawn ends one.
fn runs(time: &Axis, points: impl Iterator<Item = (Timestamp, Option<f64>)>) -> Vec<Vec<(f64, f64)>> {
    let mut runs = vec![Vec::new()];
    let mut column: Vec<(f64, f64)> = Vec::new();
    let mut current = f64::NAN;
    let flush = |column: &mut Vec<(f64, f64)>, run: &mut Vec<(f64, f64)>| {
        let lowest = (0..column.len()).min_by(|a, b| column[*a].1.total_cmp(&column[*b].1));
        let highest = (0..column.len()).max_by(|a, b| column[*a].1.total_cmp(&column[*b].1));
        if let (Some(lowest), Some(highest)) = (lowest, highest) {
            let mut keep = [0, lowest, highest, column.len() - 1];
            keep.sort_unstable();
            for (index, kept) in keep.iter().enumerate() {
                if index == 0 || keep[index - 1] != *kept {
                    run.push(column[*kept]);
                }
            }
        }
        column.clear();
    };
    let width = (WIDTH - MARGIN - LEFT) / COLUMNS;
    for (at, y) in points {
        let x = time.at(at.ms() as f64);
        let own = (x / width).floor();
        if own != current || y.is_none() {
            let last = runs.len() - 1;
            flush(&mut column, &mut runs[last]);
            current = own;
        }
        match y {
            Some(y) => column.push((x, y)),
            None if runs.last().is_some_and(|run| !run.is_empty()) && runs.len() < 100 => runs.push(Vec::new()),
            None => {}
        }
    }
    let last = runs.len() - 1;
    flush(&mut column, &mut runs[last]);
    runs.retain(|run| !run.is_empty());
    runs
}

fn path(run: &[(f64, f64)]) -> String {
    let mut out = String::with_capacity(run.len() * 12);
    for (index, (x, y)) in run.iter().enumerate() {
        out.push_str(&format!("{}{} {}", if index == 0 { 'M' } else { 'L' }, At(*x), At(*y)));
    }
    out
}

fn line(
    page: &mut Page,
    class: &str,
    tooltip: &str,
    time: &Axis,
    points: impl Iterator<Item = (Timestamp, Option<f64>)>,
) {
    page.open(tooltip);
    let shown: String = runs(time, points).iter().map(|run| path(run)).collect();
    page.push(format_args!("<path class=\"{class}\" d=\"{shown}\"/>"));
    page.close();
}

fn area(page: &mut Page, time: &Axis, top: f64, points: impl Iterator<Item = (Timestamp, Option<f64>)>) {
    for run in runs(time, points) {
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            let (start, end, top) = (At(first.0), At(last.0), At(top));
            page.push(format_args!("<path class=\"fall\" d=\"{}L{end} {top}L{start} {top}Z\"/>", path(&run)));
        }
    }
}

/// Starts of years where the span has two or more of them, else its ends.
fn dates(page: &mut Page, time: &Axis, span: Span) {
    page.y += LINE - 2.0;
    let y = page.y;
    let year = |ms: i64| Timestamp::from(ms).to_string().chars().take(4).collect::<String>().parse::<i32>();
    let (Ok(first), Ok(last)) = (year(span.from), year(span.to)) else { return };
    let starts: Vec<(i32, i64)> = (first..=last)
        .filter_map(|year| Some((year, format!("{year:04}-01-01T00:00:00Z").parse::<Timestamp>().ok()?.ms())))
        .filter(|(_, ms)| (span.from..=span.to).contains(ms))
        .collect();
    if starts.len() < 2 {
        page.text("", LEFT, y, &crate::captions::day(span.from.into()));
        page.text("end", WIDTH - MARGIN, y, &crate::captions::day(span.to.into()));
        return;
    }
    for (year, ms) in starts.iter().step_by(starts.len().div_ceil(MAX_DATES)) {
        let x = time.at(*ms as f64).clamp(LEFT + 20.0, WIDTH - MARGIN - 22.0);
        page.line("zero", (time.at(*ms as f64), y - LINE + 2.0), (time.at(*ms as f64), y - LINE + 7.0));
        page.text("middle", x, y + 2.0, &year.to_string());
    }
    page.y += 2.0;
}
