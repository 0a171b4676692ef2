//! What tasks asked for and did, in the forms of their kinds.

use candlemill_shared::forms::TaskView;
use candlemill_shared::job::{FetchBatch, FetchHistory, FetchRequestView, FetchResultView, Job};
use serde::Deserialize as _;

/// What a fetch, a verification or a batch did so far; `None` before its first checkpoint, and of other kinds.
///
/// ```no_run
/// # async fn example(api: candlemill_client::Api) -> Result<(), Box<dyn std::error::Error>> {
/// let task = api.task("01JC5Y7V9N8B3M2K1H0G9F8E7D").await?;
/// let new = candlemill_client::fetch_result(&task).map_or(0, |found| found.result.inserted);
/// println!("{new} new candles");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn fetch_result(task: &TaskView) -> Option<FetchResultView> {
    let fetches = task.kind == FetchHistory::KIND || task.kind == FetchBatch::KIND;
    task.result.as_ref().filter(|_| fetches).and_then(|result| FetchResultView::deserialize(result).ok())
}

/// What a fetch or a verification asked for; `None` of other kinds.
#[must_use]
pub fn fetch_request_of(task: &TaskView) -> Option<FetchRequestView> {
    Some(&task.request)
        .filter(|_| task.kind == FetchHistory::KIND)
        .and_then(|request| FetchRequestView::deserialize(request).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::forms::FetchStart;
    use serde_json::{Value, json};

    fn task(kind: &str, result: Value) -> TaskView {
        serde_json::from_value(json!({
            "task_id": "01JC5Y7V9N8B3M2K1H0G9F8E7D", "kind": kind, "state": "succeeded", "tier": "pro", "attempt": 1, "attempts": [],
            "request": {"exchange": "binance", "symbol": "BTCUSDT", "interval": "1h", "start": "listing", "end": null},
            "cancel_requested": false, "created_at": 1, "updated_at": 2, "result": result, "replays": 0,
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}))
        .unwrap()
    }

    #[test]
    fn results_are_read_in_the_form_of_their_kind() {
        let result = json!({"inserted": 3, "asked": {"start": 0, "end": 3_600_000}, "mood": "good"});
        for (kind, expected) in [("fetch_history", Some(3)), ("fetch_batch", Some(3)), ("seasonality", None)] {
            let found = fetch_result(&task(kind, result.clone()));
            assert_eq!(found.map(|found| found.result.inserted), expected, "{kind}");
        }
        assert_eq!(fetch_result(&task("fetch_history", Value::Null)), None);
        let asked = fetch_request_of(&task("fetch_history", Value::Null)).unwrap();
        assert_eq!((asked.start, asked.end), (FetchStart::Listing, None));
        assert_eq!(fetch_request_of(&task("fetch_batch", Value::Null)), None);
    }
}
