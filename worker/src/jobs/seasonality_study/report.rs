//! What is stored of a study.

use super::compute::Computed;
use super::stop::StudyStop;
use crate::job_context::JobContext;
use candlemill_db::StoreError;
use candlemill_market_store::{Known, StudyContents, StudyFile, StudyHead};
use candlemill_shared::TimeRange;
use candlemill_shared::forms::{MAX_STUDY_TABLE_ROWS, STUDY_TABLE_ROWS, StudyReport, StudyTable};
use candlemill_shared::job::{Job, SeasonalityStudy};
use candlemill_shared::study::Study;
use serde::Serialize;

/// What the store takes.
pub(super) struct Stored {
    pub(super) head: StudyHead,
    pub(super) contents: StudyContents,
    pub(super) report: Vec<u8>,
    pub(super) files: Vec<StudyFile>,
}

/// Head, contents, report and files. `candles` were studied: all that the ledger tells of in `range`.
pub(super) fn of(
    context: &JobContext,
    job: &SeasonalityStudy,
    range: TimeRange,
    ledger: &Known,
    candles: u64,
    computed: Computed,
) -> Result<Stored, StudyStop> {
    let Computed { calendar, sma_crossover, mean_reversion, charts, stable } = computed;
    let record = &context.record;
    let mut files = Vec::new();
    let mut tables: Vec<StudyTable> = calendar.iter().map(|_| StudyTable::Buckets).collect();
    for (outcome, signals, trades) in [
        (&sma_crossover, StudyTable::SmaCrossoverSignals, StudyTable::SmaCrossoverTrades),
        (&mean_reversion, StudyTable::MeanReversionSignals, StudyTable::MeanReversionTrades),
    ] {
        let Some(outcome) = outcome else { continue };
        tables.extend([signals, trades]);
        pages(&mut files, signals, &outcome.signals)?;
        pages(&mut files, trades, &outcome.trades)?;
    }
    let contents = StudyContents { tables, charts: charts.iter().map(|chart| chart.name.clone()).collect() };
    files.extend(
        charts.into_iter().map(|chart| StudyFile { name: chart_name(&chart.name), bytes: chart.svg.into_bytes() }),
    );
    let report = StudyReport {
        study_id: record.id,
        created_at: context.clock().now_ms().into(),
        request: job.request(),
        range: range.into(),
        candles,
        absent_buckets: job.interval.count(range) - candles,
        ledger: ledger.digest(range),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        time_zone_data: candlemill_shared::time_zone::DATABASE_VERSION.to_owned(),
        calendar,
        sma_crossover: sma_crossover.map(|outcome| outcome.report),
        mean_reversion: mean_reversion.map(|outcome| outcome.report),
        charts: contents.charts.clone(),
        tables: contents.tables.clone(),
    };
    let head = StudyHead {
        id: record.id.to_string(),
        owner: record.owner.clone(),
        exchange: job.exchange,
        symbol: job.symbol.clone(),
        interval: job.interval,
        from: range.start.into(),
        to: range.end.into(),
        candles,
        created_at: report.created_at,
        studies: job.studies.iter().map(Study::name).map(str::to_owned).collect(),
        stable,
    };
    Ok(Stored { head, contents, report: json(&report)?, files })
}

/// The name of a chart's file.
fn chart_name(chart: &str) -> String {
    format!("charts/{chart}")
}

/// The rows of a long table, cut into files.
fn pages<T: Serialize>(files: &mut Vec<StudyFile>, table: StudyTable, rows: &[T]) -> Result<(), StudyStop> {
    for (number, page) in rows[..rows.len().min(MAX_STUDY_TABLE_ROWS)].chunks(STUDY_TABLE_ROWS).enumerate() {
        files.push(StudyFile { name: table.page(number as u64), bytes: json(&page)? });
    }
    Ok(())
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, StudyStop> {
    Ok(serde_json::to_vec(value).map_err(|error| StoreError::corrupt("a study", error))?)
}
