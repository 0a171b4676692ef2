//! Buckets as bars with their intervals and verdicts.

use crate::captions::{MAX_BUCKETS, caption, chart_name, in_unit, tooltip, unit};
use crate::page::{LINE, MARGIN, Page, TEXT, WIDTH};
use crate::scale::Axis;
use crate::text::fit;
use crate::words::{self, Unit};
use crate::{Chart, ChartContext, mark};
use candlemill_shared::study::{BucketReport, GroupingReport};

/// Left end of the bars; labels of the axis stand before it.
pub(crate) const LEFT: f64 = 72.0;

/// Height of the plot.
const HEIGHT: f64 = 260.0;

/// Width from which a column has room for a label and n of its own.
const ROOM: f64 = 42.0;

/// The bars of `report`.
pub(crate) fn draw(context: &ChartContext<'_>, report: &GroupingReport) -> Chart {
    let mut page = Page::new(&format!("{} by {}", words::measure(report.measure), words::grouping(report.grouping)));
    let unit = unit(report);
    let buckets = &report.buckets[..report.buckets.len().min(MAX_BUCKETS)];
    let column = (WIDTH - MARGIN - LEFT) / buckets.len() as f64;
    axis_title(&mut page, &format!("Difference to the rest, {}", unit.words()));
    let top = page.y + 34.0;
    let figures = buckets.iter().flat_map(|bucket| [bucket.difference, bucket.low, bucket.high]);
    let axis = Axis::about_zero(figures.filter_map(|figure| in_unit(unit, figure)), top + HEIGHT, top);
    grid(&mut page, &axis);
    for (index, bucket) in buckets.iter().enumerate() {
        let x = LEFT + (index as f64 + 0.5) * column;
        page.open(&tooltip(bucket, unit));
        bar(&mut page, bucket, unit, &axis, (x, column), top);
        page.close();
    }
    page.line("zero", (LEFT, axis.at(0.0)), (WIDTH - MARGIN, axis.at(0.0)));
    page.y = top + HEIGHT;
    labels(&mut page, buckets, column);
    mark::legend(&mut page);
    caption(
        &mut page,
        context,
        report,
        "Bar: mean of the bucket minus mean of the rest. Whisker: 95\u{a0}% bootstrap interval. Mark above: the verdict.",
    );
    page.finish(chart_name("bars", report))
}

/// What the axis shows, above the plot.
pub(crate) fn axis_title(page: &mut Page, text: &str) {
    page.y += LINE - 4.0;
    let y = page.y;
    page.text("soft", MARGIN, y, text);
    page.y += 4.0;
}

/// Lines and labels of the vertical axis.
pub(crate) fn grid(page: &mut Page, axis: &Axis) {
    let (ticks, step) = axis.ticks(5);
    for value in ticks {
        let y = axis.at(value);
        page.line("grid", (LEFT, y), (WIDTH - MARGIN, y));
        page.text("end", LEFT - 6.0, y + 6.0, &words::tick(value, step));
    }
}

fn bar(page: &mut Page, bucket: &BucketReport, unit: Unit, axis: &Axis, (x, column): (f64, f64), top: f64) {
    let width = (column * 0.72).min(54.0);
    let left = x - width / 2.0;
    let value = in_unit(unit, bucket.difference);
    match value {
        Some(value) => {
            let (zero, end) = (axis.at(0.0), axis.at(value));
            let class = format!("bar {}", words::verdict(bucket.verdict));
            page.rect(&class, (left, zero.min(end)), (width, (zero - end).abs().max(1.0)));
        }
        None => {
            page.rect("hatch", (left, top), (width, HEIGHT));
            if column >= ROOM {
                page.text("middle", x, top + HEIGHT / 2.0, "n/a");
            }
        }
    }
    if let (Some(low), Some(high)) = (in_unit(unit, bucket.low), in_unit(unit, bucket.high)) {
        let (low, high) = (axis.at(low), axis.at(high));
        page.line("whisker", (x, low), (x, high));
        let half = (width / 4.0).min(6.0);
        page.line("whisker", (x - half, low), (x + half, low));
        page.line("whisker", (x - half, high), (x + half, high));
    }
    mark::draw(page, bucket.verdict, x, top - 17.0, (column * 0.42).min(7.5));
}

/// Names of the buckets, and n of each where there is room for it; elsewhere every so many.
fn labels(page: &mut Page, buckets: &[BucketReport], column: f64) {
    page.y += LINE - 2.0;
    let y = page.y;
    let every = (30.0 / column).ceil().max(1.0) as usize;
    // Steps that fall on round hours and minutes.
    let every = [1, 2, 3, 5, 6, 10, 12, 15, 20, 30, 60].into_iter().find(|step| *step >= every).unwrap_or(every);
    let shown = every as f64 * column;
    for (index, bucket) in buckets.iter().enumerate().filter(|(index, _)| index % every == 0) {
        let x = LEFT + (index as f64 + 0.5) * column;
        page.text("middle", x, y, &fit(&bucket.bucket, TEXT, shown.max(TEXT * 1.4)));
        if column >= ROOM {
            page.text("middle soft", x, y + LINE - 3.0, &words::short_count(bucket.n));
        }
    }
    if column >= ROOM {
        page.y += LINE - 3.0;
        let y = page.y;
        page.text("end soft", LEFT - 6.0, y, "n");
    }
}
