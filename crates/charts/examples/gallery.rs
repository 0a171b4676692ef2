//! Writes every chart, of plausible figures, into the folder that is named: `cargo run --example gallery -- FOLDER`.

#[path = "../tests/reports/mod.rs"]
mod reports;

use candlemill_charts::{ChartContext, calendar, strategy};
use candlemill_shared::Timestamp;
use candlemill_shared::study::{Grouping, Measure};
use std::io::{Error, Result};
use std::path::PathBuf;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or_else(|| Error::other("which folder?"))?;
    std::fs::create_dir_all(&folder)?;
    let context = ChartContext {
        symbol: "BTCUSDT",
        interval: "1h",
        time_zone: "Europe/Berlin",
        from: Timestamp::from(reports::START),
        to: Timestamp::from(reports::START + 220_752_000_000),
    };
    let mut report = reports::calendar(7);
    // An hour without figures, and one with too few observations.
    for grouping in report.groupings.iter_mut().filter(|found| found.measure == Measure::Volume) {
        let few = reports::bucket("", 12, 0.1, 0.3, &mut reports::Numbers(5));
        let last = grouping.buckets.len() - 1;
        let names = [0, last].map(|index| grouping.buckets[index].bucket.clone());
        grouping.buckets[last] = reports::undefined(&names[1]);
        grouping.buckets[0] = few;
        grouping.buckets[0].bucket.clone_from(&names[0]);
    }
    let mut charts = calendar(&context, &report);
    charts.extend(strategy(&context, "sma_crossover", &reports::strategy(3, 2_000)));
    charts.extend(strategy(&context, "mean_reversion", &reports::strategy(11, 60)));
    let hostile = ChartContext { symbol: "</text><script>&ユーロ\u{202e}عملة", ..context };
    let pair = reports::grouping(
        Grouping::Session,
        Measure::Return,
        vec![reports::bucket("<asia & \"more\">", 400, 0.0004, 0.0002, &mut reports::Numbers(2))],
    );
    let few = candlemill_shared::study::CalendarReport { rule: String::new(), groupings: vec![pair] };
    charts.extend(calendar(&hostile, &few).into_iter().map(|mut chart| {
        chart.name.insert_str(0, "hostile-");
        chart
    }));
    for chart in charts {
        std::fs::write(folder.join(format!("{}.svg", chart.name)), chart.svg)?;
    }
    Ok(())
}
