//! What stands below charts, in tooltips and in names.

use crate::ChartContext;
use crate::page::Page;
use crate::scale::drawable;
use crate::text::name;
use crate::words::{self, Unit};
use candlemill_shared::study::{BucketReport, GroupingReport, Verdict};

/// Largest number of buckets that a chart draws: the hours of a week.
pub(crate) const MAX_BUCKETS: usize = 168;

/// A chart's name: what it shows, by which grouping, of which measure.
pub(crate) fn chart_name(kind: &str, report: &GroupingReport) -> String {
    format!("{kind}-{}-{}", words::grouping_name(report.grouping), words::measure_name(report.measure))
}

/// The unit of a chart of `report`.
pub(crate) fn unit(report: &GroupingReport) -> Unit {
    let differences = report.buckets.iter().filter_map(|bucket| drawable(bucket.difference));
    Unit::of(report.measure, differences.map(f64::abs).fold(0.0, f64::max))
}

/// A figure of `unit`, where there is one.
pub(crate) fn in_unit(unit: Unit, value: Option<f64>) -> Option<f64> {
    drawable(value).map(|value| value * unit.factor())
}

/// All that a bucket's tooltip says.
pub(crate) fn tooltip(bucket: &BucketReport, unit: Unit) -> String {
    let value = |figure| unit.signed(in_unit(unit, figure));
    format!(
        "{}: {} to the rest, 95 % interval {} to {}; mean {}, n {}, t {}, Holm p {}: {}",
        name(&bucket.bucket),
        value(bucket.difference),
        value(bucket.low),
        value(bucket.high),
        value(bucket.mean),
        words::count(bucket.n),
        drawable(bucket.t).map_or_else(|| "n/a".to_owned(), words::signed),
        words::probability(bucket.holm_p),
        words::verdict(bucket.verdict),
    )
}

/// The lines below a chart: the verdict first, then what was looked at, then `explanation`.
pub(crate) fn caption(page: &mut Page, context: &ChartContext<'_>, report: &GroupingReport, explanation: &str) {
    page.y += 4.0;
    page.paragraph("strong", &verdict_line(report));
    page.paragraph("soft", &series_line(context));
    page.paragraph("soft", &observations_line(report));
    page.paragraph("soft", explanation);
}

/// What was looked at, and in which zone.
pub(crate) fn series_line(context: &ChartContext<'_>) -> String {
    format!(
        "{} · {}\u{a0}candles · {} to {} · zone\u{a0}{}",
        name(context.symbol),
        name(context.interval),
        day(context.from),
        day(context.to),
        name(context.time_zone)
    )
}

/// The UTC day of an instant: the first ten characters of its written form.
pub(crate) fn day(instant: candlemill_shared::Timestamp) -> String {
    instant.to_string().chars().take(10).collect()
}

/// How many observations there are, and of which length.
fn observations_line(report: &GroupingReport) -> String {
    let unit = words::unit(report.observation);
    let least = report.buckets.iter().map(|bucket| bucket.n).min().unwrap_or(0);
    let most = report.buckets.iter().map(|bucket| bucket.n).max().unwrap_or(0);
    let each =
        if least == most { words::count(least) } else { format!("{} to {}", words::count(least), words::count(most)) };
    let left_out = match report.incomplete {
        0 => String::new(),
        left_out => format!(", {} incomplete ones left out", words::count(left_out)),
    };
    format!("n\u{a0}{} (one each {unit}{left_out}), {each} in a bucket", words::count(report.observations))
}

/// What the verdicts come to, in a sentence.
fn verdict_line(report: &GroupingReport) -> String {
    let of = |verdict| report.buckets.iter().filter(|bucket| bucket.verdict == verdict).count();
    let (stable, unstable, insufficient) = (of(Verdict::Stable), of(Verdict::Unstable), of(Verdict::Insufficient));
    let all = report.buckets.len();
    let mut line = match (stable, unstable) {
        (0, 0) if insufficient == all => "Too few observations for any verdict.".to_owned(),
        (0, 0) => "No bucket is more than chance.".to_owned(),
        (0, unstable) => format!("No bucket of {all} is stable; {unstable} unstable."),
        (stable, 0) => format!("Stable: {stable} of {all} buckets."),
        (stable, unstable) => format!("Stable: {stable} of {all} buckets; unstable: {unstable}."),
    };
    if insufficient > 0 && insufficient < all {
        line.push_str(&format!(" Too few observations: {insufficient}."));
    }
    if let Some(omnibus) = report.omnibus {
        line.push_str(&format!(" All buckets alike: p\u{a0}{}.", words::probability(Some(omnibus.p))));
    }
    if all > MAX_BUCKETS {
        line.push_str(&format!(" The first {MAX_BUCKETS} are shown."));
    }
    line
}
