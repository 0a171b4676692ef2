//! A study in words, tables and bars.

use crate::report::{count, counted, short};
use crate::table::table;
use candlemill_client::forms::StudyView;
use candlemill_shared::study::{
    BucketReport, CalendarReport, Grouping, GroupingReport, Measure, Performance, StrategyReport, Verdict,
};
use std::fmt::Write as _;

/// Columns of the longest bar to either side.
const BAR: usize = 20;
/// Buckets that are drawn as bars.
const MAX_BARS: usize = 31;
/// Buckets that are listed with their figures.
const MAX_LISTED: usize = 20;

/// What a study found, for eyes: verdicts, bars, trading figures.
#[must_use]
pub fn found(view: &StudyView) -> String {
    let report = &view.report;
    let request = &report.request;
    let mut text = format!(
        "{} {}  {} … {}  {}, {} absent, {}\n",
        request.symbol,
        request.interval,
        short(report.range.start),
        short(report.range.end),
        counted(report.candles, "candle"),
        count(report.absent_buckets),
        request.time_zone,
    );
    if view.ledger_changed || view.corrections_since > 0 {
        let told = format!(
            "The data has changed since ({} corrected): submit the study again.\n",
            counted(view.corrections_since, "candle")
        );
        text.push_str(&told);
    }
    if let Some(calendar) = &report.calendar {
        text.push('\n');
        text.push_str(&calendar_words(calendar));
    }
    for (name, strategy) in [("sma_crossover", &report.sma_crossover), ("mean_reversion", &report.mean_reversion)] {
        if let Some(strategy) = strategy {
            let _ = write!(text, "\n{}", strategy_words(name, strategy));
        }
    }
    let charts = counted(report.charts.len() as u64, "chart");
    let _ = write!(text, "\n{charts}; candlemill study charts {} writes them", report.study_id);
    text
}

fn calendar_words(calendar: &CalendarReport) -> String {
    let mut rows = vec![
        ["GROUPING", "MEASURE", "OBSERVATIONS", "OMNIBUS P", "STABLE", "UNSTABLE", "CHANCE", "TOO FEW"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for grouping in &calendar.groupings {
        let having = |verdict| grouping.buckets.iter().filter(|bucket| bucket.verdict == verdict).count().to_string();
        rows.push(vec![
            grouping.grouping.as_str().to_owned(),
            grouping.measure.as_str().to_owned(),
            count(grouping.observations),
            grouping.omnibus.map_or_else(|| "-".to_owned(), |test| p_words(test.p)),
            having(Verdict::Stable),
            having(Verdict::Unstable),
            having(Verdict::Chance),
            having(Verdict::Insufficient),
        ]);
    }
    let mut text = format!("calendar\n{}\n", table(&rows));
    for wanted in [Grouping::Hour, Grouping::Weekday] {
        let of_returns = |one: &&GroupingReport| one.grouping == wanted && one.measure == Measure::Return;
        if let Some(grouping) = calendar.groupings.iter().find(of_returns) {
            let _ = write!(
                text,
                "\nreturn by {}, basis points against the rest\n{}\n",
                wanted.as_str(),
                bars(&grouping.buckets)
            );
        }
    }
    text.push_str(&listed(calendar));
    text
}

/// Buckets that are more than chance.
fn listed(calendar: &CalendarReport) -> String {
    let mut rows = Vec::new();
    for grouping in &calendar.groupings {
        let unlikely = |bucket: &&BucketReport| matches!(bucket.verdict, Verdict::Stable | Verdict::Unstable);
        for bucket in grouping.buckets.iter().filter(unlikely) {
            rows.push((
                (grouping.measure != Measure::Return, bucket.holm_p.unwrap_or(1.0)),
                vec![
                    grouping.grouping.as_str().to_owned(),
                    grouping.measure.as_str().to_owned(),
                    bucket.bucket.clone(),
                    difference(grouping.measure, bucket.difference),
                    bucket.low.zip(bucket.high).map_or_else(
                        || "-".to_owned(),
                        |(low, high)| {
                            format!(
                                "{} … {}",
                                difference(grouping.measure, Some(low)),
                                difference(grouping.measure, Some(high))
                            )
                        },
                    ),
                    bucket.holm_p.map_or_else(|| "-".to_owned(), p_words),
                    bucket.verdict.as_str().to_owned(),
                ],
            ));
        }
    }
    if rows.is_empty() {
        return "\nNo bucket is more than chance.\n".to_owned();
    }
    // Returns first: volume and range have so many that returns would not be listed.
    rows.sort_by(|one, other| one.0.0.cmp(&other.0.0).then(one.0.1.total_cmp(&other.0.1)));
    let all = rows.len();
    let heading =
        ["GROUPING", "MEASURE", "BUCKET", "DIFFERENCE", "95 %", "HOLM P", "VERDICT"].map(str::to_owned).to_vec();
    let shown: Vec<_> = [heading].into_iter().chain(rows.into_iter().map(|row| row.1).take(MAX_LISTED)).collect();
    let more = if all > MAX_LISTED { format!("{} more; --json shows all\n", all - MAX_LISTED) } else { String::new() };
    format!("\n{}\n{more}", table(&shown))
}

/// In basis points of returns, in per cent of the usual of the others.
fn difference(measure: Measure, figure: Option<f64>) -> String {
    figure.map_or_else(
        || "-".to_owned(),
        |figure| match measure {
            Measure::Return => format!("{:+.2} bp", figure * 1e4),
            Measure::AbsoluteReturn | Measure::Range | Measure::Volume => format!("{:+.1} %", figure * 1e2),
        },
    )
}

fn p_words(p: f64) -> String {
    if p < 0.0001 { "<0.0001".to_owned() } else { format!("{p:.4}") }
}

/// A bar for each bucket, to the left below 0 and to the right above, with a mark for the verdict.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "columns")]
fn bars(buckets: &[BucketReport]) -> String {
    let longest = buckets.iter().filter_map(|bucket| bucket.difference).map(f64::abs).fold(0.0, f64::max);
    let width = buckets.iter().map(|bucket| bucket.bucket.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for bucket in buckets.iter().take(MAX_BARS) {
        let figure = bucket.difference.unwrap_or(0.0);
        let length = if longest > 0.0 { (figure.abs() / longest * BAR as f64).round() as usize } else { 0 };
        let bar = "█".repeat(length);
        let (left, right) = if figure < 0.0 { (bar, String::new()) } else { (String::new(), bar) };
        let mark = match bucket.verdict {
            Verdict::Stable => " stable",
            Verdict::Unstable => " unstable",
            Verdict::Chance => "",
            Verdict::Insufficient => " too few",
        };
        let told = bucket.difference.map_or_else(|| "-".to_owned(), |figure| format!("{:+.2}", figure * 1e4));
        lines.push(format!("{:<width$} {left:>BAR$}│{right:<BAR$} {told:>7}{mark}", bucket.bucket));
    }
    lines.join("\n")
}

fn strategy_words(name: &str, strategy: &StrategyReport) -> String {
    let per_cent =
        |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{:.1} %", figure * 1e2));
    let plain = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.2}"));
    let row = |title: &str, performance: &Option<Performance>| {
        let mut row = vec![title.to_owned()];
        match performance {
            None => row.push("no candles".to_owned()),
            Some(one) => row.extend([
                per_cent(Some(one.total_return)),
                per_cent(one.cagr),
                plain(one.sharpe),
                per_cent(Some(one.max_drawdown)),
                per_cent(Some(one.exposure)),
                count(one.trades),
            ]),
        }
        row
    };
    let rows = [
        ["", "RETURN", "A YEAR", "SHARPE", "DRAWDOWN", "EXPOSURE", "CLOSED TRADES"].map(str::to_owned).to_vec(),
        row("whole", &strategy.strategy.whole),
        row("in sample", &strategy.strategy.in_sample),
        row("out of sample", &strategy.strategy.out_of_sample),
        row("buy and hold, whole", &strategy.buy_and_hold.whole),
        row("buy and hold, out of sample", &strategy.buy_and_hold.out_of_sample),
    ];
    let even = match strategy.break_even_fee_bps {
        Some(fee) => format!("earns nothing at a fee of {fee:.1} basis points a fill"),
        None if strategy.trades == 0 => "closed no trade".to_owned(),
        None => "earns nothing even without fees, or was ruined".to_owned(),
    };
    format!("{name}: {even}\n{}\n", table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(name: &str, difference: Option<f64>, verdict: Verdict) -> BucketReport {
        BucketReport {
            bucket: name.to_owned(),
            n: 100,
            mean: None,
            median: None,
            deviation: None,
            win_rate: None,
            q05: None,
            q25: None,
            q75: None,
            q95: None,
            raw: None,
            difference,
            t: None,
            p: None,
            holm_p: None,
            q: None,
            low: None,
            high: None,
            sub_periods: Vec::new(),
            p_without_strongest: None,
            verdict,
        }
    }

    #[test]
    fn bars_fit_80_columns_and_lean_to_their_side() {
        let buckets = [
            bucket("Mon", Some(0.0004), Verdict::Stable),
            bucket("Tue", Some(-0.0002), Verdict::Unstable),
            bucket("Wed", None, Verdict::Insufficient),
        ];
        let text = bars(&buckets);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
        assert!(lines[0].contains(&format!("│{}", "█".repeat(BAR))) && lines[0].ends_with("+4.00 stable"), "{text}");
        assert!(lines[1].contains("██│") && lines[1].ends_with("-2.00 unstable"), "{text}");
        assert!(lines[2].ends_with("│                           - too few"), "{text}");
    }
}
