//! The jobs of a run: submitted, followed and read back through the public API.

use super::screen::Screen;
use anyhow::{Context as _, Result, bail, ensure};
use candlemill_cli::chart::{Bar4, candle_chart};
use candlemill_cli::{Bar, report, study_words};
use candlemill_client::forms::StudyRequest;
use candlemill_client::{Api, fetch_request, fetch_result, parse_start, parse_time};
use candlemill_shared::Interval;
use candlemill_shared::job::FetchResultView;
use candlemill_shared::task::TaskState;
use std::path::Path;

/// One backfill of the demo.
#[derive(Clone, Copy)]
struct Job {
    symbol: &'static str,
    interval: Interval,
    start: &'static str,
    end: &'static str,
}

/// Three real days of minutes, and eight years of hours with the outages that the exchange really had.
const JOBS: [Job; 2] = [
    Job { symbol: "BTCUSDT", interval: Interval::Minute1, start: "2020-01-01T00:00:00Z", end: "2020-01-04T00:00:00Z" },
    Job { symbol: "BTCUSDT", interval: Interval::Hour1, start: "2018-01-01T00:00:00Z", end: "2026-04-01T00:00:00Z" },
];

/// The study of the demo: the hours that the second backfill has stored.
const STUDY: Job = JOBS[1];
/// Draws of its bootstrap: enough for intervals, soon over.
const DRAWS: u32 = 1_000;

/// Size of the picture, characters.
const PICTURE: (usize, usize) = (72, 12);

/// Runs every job; the first that does not succeed ends the run. Returns the id of the last task.
pub(crate) async fn tell(api: &Api, screen: &mut Screen) -> Result<String> {
    let mut last = String::new();
    for job in &JOBS {
        let Job { symbol, interval, start, end } = job;
        screen.note(&format!("POST /api/market-data/fetch  {symbol} {interval}  {start} … {end}"))?;
        let request = fetch_request(symbol, interval.as_str(), start, Some(end))?;
        let accepted = api.fetch(&request, None).await.context("submitting the backfill")?;
        screen.indented(&format!("accepted as task {} ({})", accepted.task_id, accepted.status))?;
        let mut bar = Bar::new(&format!("    {symbol} {interval}"));
        api.follow(accepted.task_id, |progress| bar.show(progress)).await.context("following the task")?;
        let task = api.task(accepted.task_id).await.context("reading the task's record")?;
        let result = fetch_result(&task);
        if let Some(result) = &result {
            screen.indented(&report::result_lines(result))?;
        }
        if task.state != TaskState::Succeeded {
            let why =
                task.error.map_or_else(|| "no reason given".to_owned(), |e| format!("{} ({})", e.message, e.code));
            bail!("task {} ended as {}: {why}", accepted.task_id, task.state);
        }
        let result = result.context("a task that succeeded has a result")?;
        read_back(api, screen, job, &result).await?;
        last = accepted.task_id.to_string();
    }
    Ok(last)
}

/// Runs a study over stored candles, shows its verdicts and saves its charts in `folder`.
pub(crate) async fn study(api: &Api, screen: &mut Screen, folder: &Path) -> Result<()> {
    let Job { symbol, interval, start, end } = STUDY;
    screen.note(&format!("POST /api/seasonality  {symbol} {interval}  {start} … {end}"))?;
    let request = StudyRequest::new(symbol.parse()?, interval).from(parse_start(start)?).until(parse_time(end)?);
    let request = StudyRequest { draws: Some(DRAWS.into()), ..request };
    let accepted = api.study(&request, None).await.context("submitting the study")?;
    screen.indented(&format!("accepted as task {} ({})", accepted.task_id, accepted.status))?;
    let mut bar = Bar::new(&format!("    study {symbol} {interval}"));
    api.follow(accepted.task_id, |progress| bar.show(progress)).await.context("following the study")?;
    let task = api.task(accepted.task_id).await.context("reading the study's task")?;
    if task.state != TaskState::Succeeded {
        let why = task.error.map_or_else(|| "no reason given".to_owned(), |e| format!("{} ({})", e.message, e.code));
        bail!("the study {} ended as {}: {why}", accepted.task_id, task.state);
    }
    let found = api.show_study(accepted.task_id).await.context("reading the study")?;
    screen.indented(&study_words::found(&found))?;
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    screen.indented("charts:")?;
    for name in &found.report.charts {
        let svg = api.study_chart(accepted.task_id, name).await.context("reading a chart")?;
        let path = folder.join(format!("{name}.svg"));
        std::fs::write(&path, svg).with_context(|| format!("writing {}", path.display()))?;
        screen.indented(&format!("  {}", path.display()))?;
    }
    Ok(())
}

/// Reads the stored candles of the job's range and draws them; their number must fit the result.
async fn read_back(api: &Api, screen: &mut Screen, job: &Job, found: &FetchResultView) -> Result<()> {
    let query = [
        ("symbol", job.symbol.to_owned()),
        ("interval", job.interval.to_string()),
        ("start", job.start.to_owned()),
        ("end", job.end.to_owned()),
        ("format", "csv".to_owned()),
    ];
    let answer = api.stream("/api/market-data/klines", &query).await.context("reading the candles back")?;
    let text = answer.text().await.context("reading the candles back")?;
    let candles: Vec<Bar4> = text.lines().filter_map(candle).collect();
    if let (Some(range), false) = (found.result.range, candles.is_empty()) {
        let absent: u64 = found.result.gaps.iter().map(|gap| gap.buckets).sum();
        let expected = job.interval.count(range).saturating_sub(absent);
        let read = u64::try_from(candles.len()).unwrap_or(u64::MAX);
        ensure!(read == expected, "read {read} candles back, but {expected} should be stored");
    }
    ensure!(!candles.is_empty(), "no candles could be read back");
    screen
        .indented(&format!("read back {} candles:", report::count(u64::try_from(candles.len()).unwrap_or(u64::MAX))))?;
    screen.indented(&candle_chart(&candles, PICTURE.0, PICTURE.1, screen.coloured()))
}

/// A row of the CSV answer: open time, open, high, low, close, …; `None` for the header.
fn candle(row: &str) -> Option<Bar4> {
    let mut fields = row.split(',').skip(1).map(|field| field.parse::<f64>().ok());
    Some(Bar4 { open: fields.next()??, high: fields.next()??, low: fields.next()??, close: fields.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_candles_and_the_header_is_none() {
        let row = "1577836800000,7195.24000000,7196.25000000,7183.14000000,7186.68000000,51.6,1577836859999";
        let expected = Bar4 { open: 7195.24, high: 7196.25, low: 7183.14, close: 7186.68 };
        assert_eq!(candle(row), Some(expected));
        assert_eq!(candle("open_time,open,high,low,close,volume"), None);
        assert_eq!(candle(""), None);
    }
}
