//! Charts of a calendar study.

use crate::{Chart, ChartContext, bars, heat_map, stability};
use candlemill_shared::study::{CalendarReport, Grouping};
use std::collections::HashSet;

/// The charts of a calendar study: of the hours of the week a heat map, of every other grouping bars, and of each of them the
/// sub-periods. A grouping without buckets has none.
#[must_use]
pub fn calendar(context: &ChartContext<'_>, report: &CalendarReport) -> Vec<Chart> {
    let mut seen = HashSet::new();
    let mut charts = Vec::new();
    for grouping in &report.groupings {
        if grouping.buckets.is_empty() || !seen.insert((grouping.grouping, grouping.measure)) {
            continue;
        }
        charts.push(match grouping.grouping {
            Grouping::HourOfWeek => heat_map::draw(context, grouping),
            _ => bars::draw(context, grouping),
        });
        charts.push(stability::draw(context, grouping));
    }
    charts
}
