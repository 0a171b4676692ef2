//! Tasks in words.

use candlemill_cli::report;
pub(super) use candlemill_cli::report::short;
use candlemill_client::forms::TaskView;
use candlemill_client::{fetch_request_of, fetch_result};
use candlemill_shared::job::{BatchRequestView, FetchBatch, Job, SeasonalityStudy, StudyRequestView};
use serde::Deserialize as _;

/// What the task does: `BTCUSDT 1h 2020-01-01 … 2020-02-01`.
pub(super) fn what(task: &TaskView) -> String {
    if let Some(asked) = fetch_request_of(task) {
        let end = asked.end.map_or_else(|| "now".to_owned(), short);
        let start = match asked.start {
            candlemill_client::forms::FetchStart::At(at) => short(at),
            listing => listing.to_string(),
        };
        let verb = if asked.mode.is_fetch() { "" } else { "verify " };
        return format!("{verb}{} {} {start} … {end}", asked.symbol, asked.interval);
    }
    if task.kind == FetchBatch::KIND
        && let Ok(batch) = BatchRequestView::deserialize(&task.request)
    {
        let symbols: Vec<&str> = batch.first_symbols.iter().take(3).map(candlemill_shared::Symbol::as_str).collect();
        let more = if batch.fetches > symbols.len() { ", …" } else { "" };
        let number = u64::try_from(batch.fetches).unwrap_or(u64::MAX);
        return format!("{}: {}{more}", report::fetches(number), symbols.join(", "));
    }
    if task.kind == SeasonalityStudy::KIND
        && let Ok(study) = StudyRequestView::deserialize(&task.request)
    {
        return format!("study {} {}", study.symbol, study.interval);
    }
    task.kind.clone()
}

/// How a task ended: its result, and its error where it has one.
pub(super) fn result_words(task: &TaskView) -> String {
    let mut lines: Vec<String> = fetch_result(task).iter().map(report::result_lines).collect();
    if let Some(error) = &task.error {
        lines.push(format!("{}: {} (code {})", task.state, error.message, error.code));
    } else if lines.is_empty() {
        lines.push(task.state.to_string());
    }
    lines.join("\n")
}
