//! The five sub-periods of the strongest buckets: whether an effect was there all along.

use crate::bars::{LEFT, axis_title, grid};
use crate::captions::{caption, chart_name, in_unit};
use crate::page::{At, LINE, MARGIN, Page, TEXT, WIDTH};
use crate::scale::{Axis, drawable};
use crate::text::{fit, name};
use crate::words::{self, Unit};
use crate::{Chart, ChartContext, mark};
use candlemill_shared::study::{BucketReport, GroupingReport, SubPeriod};

/// Largest number of buckets on a chart, and of parts of each.
const MAX_SHOWN: usize = 12;
const MAX_PARTS: usize = 5;

/// Height of the plot.
const HEIGHT: f64 = 240.0;

/// The sub-periods of `report`.
pub(crate) fn draw(context: &ChartContext<'_>, report: &GroupingReport) -> Chart {
    let mut page = Page::new(&format!(
        "{} by {}: five sub-periods",
        words::measure(report.measure),
        words::grouping(report.grouping)
    ));
    let shown = strongest(&report.buckets);
    let parts = |bucket: &'_ BucketReport| bucket.sub_periods.len().min(MAX_PARTS);
    let figures = || shown.iter().flat_map(|bucket| &bucket.sub_periods[..parts(bucket)]).map(|part| part.difference);
    let max = figures().filter_map(drawable).map(f64::abs).fold(0.0, f64::max);
    let unit = Unit::of(report.measure, max);
    axis_title(&mut page, &format!("Difference to the rest, {}", unit.words()));
    let top = page.y + 34.0;
    let axis = Axis::about_zero(figures().filter_map(|figure| in_unit(unit, figure)), top + HEIGHT, top);
    grid(&mut page, &axis);
    page.line("zero", (LEFT, axis.at(0.0)), (WIDTH - MARGIN, axis.at(0.0)));
    let column = (WIDTH - MARGIN - LEFT) / shown.len() as f64;
    let foot = top + HEIGHT + 14.0;
    for (index, bucket) in shown.iter().enumerate() {
        let x = LEFT + (index as f64 + 0.5) * column;
        if index % 2 == 1 {
            page.line("grid", (x - column / 2.0, top), (x - column / 2.0, top + HEIGHT));
            page.line("grid", (x + column / 2.0, top), (x + column / 2.0, top + HEIGHT));
        }
        mark::draw(&mut page, bucket.verdict, x, top - 17.0, 7.5);
        points(&mut page, bucket, unit, &axis, (x, column), top);
        labels(&mut page, bucket, (x, column), foot);
    }
    let words = shown.iter().any(|bucket| bucket.bucket.contains(' '));
    page.y = foot + LINE * if words { 3.0 } else { 2.0 } - 8.0;
    legend(&mut page);
    mark::legend(&mut page);
    let which = if shown.len() < report.buckets.len() {
        format!("The {} buckets of {} with the largest |t|. ", shown.len(), report.buckets.len())
    } else {
        String::new()
    };
    let explanation = format!(
        "{which}Each column: five equal parts of the time, the oldest at the left. Below it: parts with the sign of the whole."
    );
    caption(&mut page, context, report, &explanation);
    page.finish(chart_name("stability", report))
}

/// The buckets with the largest |t|, in the order of the calendar.
fn strongest(buckets: &[BucketReport]) -> Vec<&BucketReport> {
    let mut order: Vec<usize> = (0..buckets.len()).collect();
    order.sort_by(|a, b| strength(&buckets[*b]).total_cmp(&strength(&buckets[*a])));
    order.truncate(MAX_SHOWN);
    order.sort_unstable();
    order.into_iter().map(|index| &buckets[index]).collect()
}

fn strength(bucket: &BucketReport) -> f64 {
    drawable(bucket.t).map_or(-1.0, f64::abs)
}

/// Whether a part has the sign of the whole.
fn agrees(bucket: &BucketReport, part: &SubPeriod) -> Option<bool> {
    let (whole, part) = (drawable(bucket.difference)?, drawable(part.difference)?);
    Some((whole > 0.0 && part > 0.0) || (whole < 0.0 && part < 0.0))
}

fn points(page: &mut Page, bucket: &BucketReport, unit: Unit, axis: &Axis, (x, column): (f64, f64), top: f64) {
    let step = (column / 6.0).min(20.0);
    let shown = &bucket.sub_periods[..bucket.sub_periods.len().min(MAX_PARTS)];
    if shown.iter().all(|part| drawable(part.difference).is_none()) {
        page.open(&format!("{}: n/a in every sub-period", name(&bucket.bucket)));
        page.rect("hatch", (x - column * 0.36, top), (column * 0.72, HEIGHT));
        page.close();
    }
    let place = |index: usize| x + (index as f64 - (shown.len() as f64 - 1.0) / 2.0) * step;
    let mut run = String::new();
    for (index, part) in shown.iter().enumerate() {
        if let Some(value) = in_unit(unit, part.difference) {
            run.push_str(&format!(
                "{}{} {}",
                if run.is_empty() { 'M' } else { 'L' },
                At(place(index)),
                At(axis.at(value))
            ));
        }
    }
    if !run.is_empty() {
        page.push(format_args!("<path class=\"run\" d=\"{run}\"/>"));
    }
    for (index, part) in shown.iter().enumerate() {
        let Some(value) = in_unit(unit, part.difference) else { continue };
        page.open(&format!(
            "{}, {} to {}: {}, n {}, p {}",
            name(&bucket.bucket),
            crate::captions::day(part.from),
            crate::captions::day(part.to),
            unit.signed(Some(value)),
            words::count(part.n),
            words::probability(part.p)
        ));
        point(page, agrees(bucket, part).unwrap_or(false), place(index), axis.at(value));
        page.close();
    }
}

/// A filled circle where the sign is that of the whole, else a hollow square.
fn point(page: &mut Page, same: bool, x: f64, y: f64) {
    if same {
        page.push(format_args!("<circle class=\"same\" cx=\"{}\" cy=\"{}\" r=\"3.4\"/>", At(x), At(y)));
    } else {
        page.rect("other", (x - 3.5, y - 3.5), (7.0, 7.0));
    }
}

/// Under a column: how many parts agree, and the bucket's name in one line or two.
fn labels(page: &mut Page, bucket: &BucketReport, (x, column): (f64, f64), foot: f64) {
    let known: Vec<bool> = bucket.sub_periods.iter().take(MAX_PARTS).filter_map(|part| agrees(bucket, part)).collect();
    let count = match known.len() {
        0 => "n/a".to_owned(),
        parts => format!("{}/{parts}", known.iter().filter(|same| **same).count()),
    };
    let mut y = foot + LINE - 12.0;
    page.text("middle strong", x, y, &count);
    let whole = fit(&bucket.bucket, TEXT, column);
    let lines: Vec<&str> = match bucket.bucket.split_once(' ') {
        Some((first, second)) => vec![first, second],
        None => vec![&whole],
    };
    for line in lines {
        y += LINE - 2.0;
        page.text("middle", x, y, &fit(line, TEXT, column));
    }
}

fn legend(page: &mut Page) {
    page.y += LINE;
    let y = page.y;
    point(page, true, MARGIN + 7.0, y - 6.0);
    page.text("", MARGIN + 20.0, y, "sign of the whole");
    point(page, false, MARGIN + 230.0, y - 6.0);
    page.text("", MARGIN + 243.0, y, "opposite sign, or 0");
}
