//! `candlemill coverage BTCUSDT 1m`

use super::task_words::short;
use crate::context::Context;
use anyhow::Result;
use candlemill_cli::report::{count, counted, gap_line};
use candlemill_client::forms::{CoverageQuery, CoverageReport, GapLimit};
use candlemill_client::parse_time;
use candlemill_shared::{Interval, Symbol, Timestamp};
use clap::Args;

/// Shows the verified ranges and every absent bucket with its reason.
#[derive(Debug, Args)]
pub(crate) struct Coverage {
    /// Symbol, as in BTCUSDT.
    symbol: Symbol,
    /// Length of the candles.
    interval: Interval,
    /// First open time: a date, RFC 3339 or milliseconds.
    #[arg(long, value_parser = parse_time)]
    start: Option<Timestamp>,
    /// First open time that is no longer of interest.
    #[arg(long, value_parser = parse_time)]
    end: Option<Timestamp>,
}

impl Coverage {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let api = context.api().await?;
        let mut query = CoverageQuery {
            symbol: Some(self.symbol.into()),
            interval: Some(self.interval.into()),
            start: self.start.map(Into::into),
            end: self.end.map(Into::into),
            cursor: None,
            limit: Some(GapLimit::nearest(u32::MAX).into()),
        };
        let mut report = api.coverage(&query).await?;
        while let Some(cursor) = report.next_cursor.take() {
            query.cursor = Some(cursor.parse::<Timestamp>()?.into());
            let more = api.coverage(&query).await?;
            report.gaps.extend(more.gaps);
            report.next_cursor = more.next_cursor;
        }
        context.answer(&report, || words(&report))
    }
}

fn words(report: &CoverageReport) -> String {
    let mut lines = vec![format!("{} {} {}", report.exchange, report.symbol, report.interval)];
    if report.verified.is_empty() {
        lines.push("nothing is verified".to_owned());
    }
    for range in &report.verified {
        let (start, end) = (short(range.start), short(range.end));
        lines.push(format!("verified  {start} … {end}  {}", counted(range.buckets, "bucket")));
    }
    lines.extend(report.gaps.iter().map(|gap| format!("gap       {}", gap_line(gap))));
    if !report.corrections.is_empty() {
        let number = u64::try_from(report.corrections.len()).unwrap_or(u64::MAX);
        lines.push(format!(
            "the exchange later gave other figures of {} stored candles; --json lists them",
            count(number)
        ));
    }
    lines.join("\n")
}
