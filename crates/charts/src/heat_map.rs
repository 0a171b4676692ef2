//! The hours of the week as a map: 7 rows of 24 cells.

use crate::captions::{MAX_BUCKETS, caption, chart_name, in_unit, tooltip, unit};
use crate::page::{LINE, MARGIN, Page, WIDTH};
use crate::scale::round_up;
use crate::style::SHADES;
use crate::words::{self, Unit};
use crate::{Chart, ChartContext, mark};
use candlemill_shared::study::{BucketReport, GroupingReport, Verdict};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const HOURS: usize = 24;

/// Left end of the cells.
const LEFT: f64 = 56.0;

/// Size of a cell.
const CELL: (f64, f64) = ((WIDTH - MARGIN - LEFT) / HOURS as f64, 34.0);

/// The map of `report`.
pub(crate) fn draw(context: &ChartContext<'_>, report: &GroupingReport) -> Chart {
    let mut page = Page::new(&format!("{} by hour of the week", words::measure(report.measure)));
    let unit = unit(report);
    let end = scale_end(report, unit);
    page.y += LINE;
    let top = page.y + 6.0;
    for hour in 0..HOURS {
        let class = if hour % 3 == 0 { "middle" } else { "middle wide" };
        page.text(class, LEFT + (hour as f64 + 0.5) * CELL.0, top - 6.0, &format!("{hour:02}"));
    }
    for (row, day) in DAYS.iter().enumerate() {
        page.text("end", LEFT - 8.0, top + row as f64 * CELL.1 + 23.0, day);
    }
    let mut cells: [Option<&BucketReport>; 7 * HOURS] = [None; 7 * HOURS];
    let mut elsewhere = Vec::new();
    for bucket in report.buckets.iter().take(MAX_BUCKETS) {
        match position(&bucket.bucket) {
            Some(index) => cells[index] = Some(bucket),
            None => elsewhere.push(bucket.bucket.as_str()),
        }
    }
    // Marked cells come last, so that no neighbour covers their outline.
    for marked in [false, true] {
        for (index, bucket) in cells.iter().enumerate() {
            if bucket.is_some_and(|bucket| bucket.verdict == Verdict::Stable) == marked {
                let corner = (LEFT + (index % HOURS) as f64 * CELL.0, top + (index / HOURS) as f64 * CELL.1);
                cell(&mut page, *bucket, corner, unit, end);
            }
        }
    }
    page.y = top + 7.0 * CELL.1 + 8.0;
    colours(&mut page, unit, end);
    page.y += LINE;
    let y = page.y;
    for (index, (class, word)) in [("on", "stable"), ("on open", "unstable"), ("hatch", "n/a")].into_iter().enumerate()
    {
        let x = MARGIN + index as f64 * 130.0;
        match class {
            "hatch" => {
                page.rect("hatch", (x, y - 14.0), (20.0, 16.0));
                page.rect("frame", (x, y - 14.0), (20.0, 16.0));
            }
            _ => shape(&mut page, class, x + 10.0, y - 6.0),
        }
        if class == "on" {
            page.rect("edge", (x, y - 16.0), (20.0, 20.0));
        }
        page.text("", x + 30.0, y, word);
    }
    mark::draw(&mut page, Verdict::Insufficient, MARGIN + 350.0, y - 6.0, 5.0);
    page.text("", MARGIN + 364.0, y, "insufficient");
    let mut explanation = format!(
        "Colour: mean of the hour minus mean of all other hours, in {}. Outline with a diamond: stable; triangle: \
         unstable; cross: fewer than 30 observations; no mark: chance.",
        unit.words()
    );
    if !elsewhere.is_empty() {
        explanation.push_str(&format!(" Not on the map: {} buckets.", elsewhere.len()));
    }
    caption(&mut page, context, report, &explanation);
    page.finish(chart_name("heat-map", report))
}

/// Where a bucket `Mon 14` stands, row by row.
fn position(bucket: &str) -> Option<usize> {
    let (day, hour) = bucket.split_once(' ')?;
    let row = DAYS.iter().position(|known| *known == day)?;
    let hour: usize = hour.parse().ok()?;
    (hour < HOURS).then_some(row * HOURS + hour)
}

/// Figure at the ends of the colours, in `unit`. One cell in 33 may lie beyond it: a single odd hour would leave the others
/// without colour.
fn scale_end(report: &GroupingReport, unit: Unit) -> f64 {
    let figures = report.buckets.iter().filter_map(|bucket| in_unit(unit, bucket.difference));
    let mut sizes: Vec<f64> = figures.map(f64::abs).collect();
    sizes.sort_by(f64::total_cmp);
    let index = sizes.len().saturating_sub(1 + sizes.len() / 33);
    round_up(sizes.get(index).copied().unwrap_or(0.0))
}

fn cell(page: &mut Page, bucket: Option<&BucketReport>, (x, y): (f64, f64), unit: Unit, end: f64) {
    let size = (CELL.0 - 1.0, CELL.1 - 1.0);
    let centre = (x + size.0 / 2.0, y + size.1 / 2.0);
    let Some(bucket) = bucket else {
        page.open("no such bucket: n/a");
        page.rect("hatch", (x, y), size);
        page.close();
        return;
    };
    page.open(&tooltip(bucket, unit));
    match in_unit(unit, bucket.difference) {
        Some(value) => page.rect(&format!("h{}", shade(value, end)), (x, y), size),
        None => page.rect("hatch", (x, y), size),
    }
    match bucket.verdict {
        Verdict::Stable => {
            page.rect("edge", (x, y), size);
            page.rect("page", (centre.0 - 8.0, centre.1 - 8.0), (16.0, 16.0));
            shape(page, "on", centre.0, centre.1);
        }
        Verdict::Unstable => {
            page.rect("page", (centre.0 - 8.0, centre.1 - 8.0), (16.0, 16.0));
            shape(page, "on open", centre.0, centre.1);
        }
        Verdict::Insufficient => mark::draw(page, Verdict::Insufficient, centre.0, centre.1, 4.0),
        Verdict::Chance => {}
    }
    page.close();
}

/// A diamond for class `on`, else a triangle.
fn shape(page: &mut Page, class: &str, x: f64, y: f64) {
    use crate::page::At;
    let [left, right, top, foot] = [x - 5.5, x + 5.5, y - 5.5, y + 5.5].map(At);
    let (x, y) = (At(x), At(y));
    match class {
        "on" => page.push(format_args!("<path class=\"on\" d=\"M{left} {y}L{x} {top}L{right} {y}L{x} {foot}Z\"/>")),
        _ => page.push(format_args!("<path class=\"{class}\" d=\"M{left} {foot}L{x} {top}L{right} {foot}Z\"/>")),
    }
}

/// The colour class of `value` where the colours end at `end`.
fn shade(value: f64, end: f64) -> usize {
    let half = (SHADES - 1) as f64 / 2.0;
    (half + (value / end).clamp(-1.0, 1.0) * half).round() as usize
}

/// The scale of colours with its ends and its middle.
fn colours(page: &mut Page, unit: Unit, end: f64) {
    let (left, width) = (LEFT + 90.0, 32.0);
    let y = page.y;
    for index in 0..SHADES {
        page.rect(&format!("h{index}"), (left + index as f64 * width, y), (width, 16.0));
    }
    page.rect("frame", (left, y), (SHADES as f64 * width, 16.0));
    page.y += 16.0 + LINE - 4.0;
    let y = page.y;
    let right = left + SHADES as f64 * width;
    page.text("middle", left, y, &unit.signed(Some(-end)));
    page.text("middle", (left + right) / 2.0, y, "0");
    page.text("middle", right, y, &unit.signed(Some(end)));
    page.y += 6.0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_cell() {
        assert_eq!(position("Mon 00"), Some(0));
        assert_eq!(position("Sun 23"), Some(167));
        for name in ["Mon", "Mon 24", "Xyz 3", "", "Mon -1"] {
            assert_eq!(position(name), None, "{name}");
        }
    }

    #[test]
    fn zero_has_the_middle_colour() {
        assert_eq!([-9.0, -4.0, 0.0, 4.0, 9.0].map(|value| shade(value, 4.0)), [0, 0, 5, 10, 10]);
    }
}
