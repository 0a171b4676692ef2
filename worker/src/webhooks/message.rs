//! What a message says.

use candlemill_shared::range::rfc3339;
use candlemill_shared::task::TaskRecord;
use serde_json::{Value, json};

/// Items of a large list that a message has; the record has more.
const LISTED: usize = 50;

/// The body of the message that `record` has ended.
pub(super) fn body(record: &TaskRecord) -> Value {
    json!({
        "type": format!("task.{}", record.state),
        "task_id": record.id,
        "kind": record.job.kind,
        "state": record.state,
        "attempt": record.attempt,
        "replays": record.dead_letter.replays,
        "created_at": rfc3339(record.created_at),
        "started_at": record.started_at.map(rfc3339),
        "ended_at": record.ended_at.map(rfc3339),
        "result": shortened(record),
        "error": record.error,
    })
}

/// The result of today's form; of lists that may be large, the beginning.
fn shortened(record: &TaskRecord) -> Option<Value> {
    let (stored, kind) = (record.result.as_ref()?, record.kind());
    let mut result = kind.map_or_else(|| stored.clone(), |kind| kind.show_result(stored));
    for member in kind.map_or(&[][..], |kind| kind.large_result) {
        if let Some(Value::Array(list)) = result.get_mut(*member) {
            list.truncate(LISTED);
        }
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::TimeRange;
    use candlemill_shared::job::FetchResult;

    #[test]
    fn a_message_says_what_became_of_the_task_and_nothing_of_its_owner() {
        let result = FetchResult { inserted: 5, ranges: vec![TimeRange::new(0, 1); 60], ..FetchResult::default() };
        let record: TaskRecord = serde_json::from_value(json!({
            "id": "01JC5Y7V9N8B3M2K1H0G9F8E7D", "owner": "the-owner", "tier": "pro", "pool": "backfill", "priority": 5,
            "job": {"kind": "fetch_history", "version": 1, "payload": null}, "fingerprint": "f", "state": "succeeded",
            "attempt": 2, "created_at": 1, "updated_at": 1, "ended_at": 1_700_000_000_000_i64, "trace_id": "0",
            "result": result, "webhook": {"url": "https://example.com/the-path"},
        }))
        .unwrap();
        let said = body(&record);
        assert_eq!((&said["type"], &said["state"]), (&json!("task.succeeded"), &json!("succeeded")));
        assert_eq!((&said["task_id"], &said["attempt"]), (&json!("01JC5Y7V9N8B3M2K1H0G9F8E7D"), &json!(2)));
        assert_eq!((&said["ended_at"], &said["error"]), (&json!("2023-11-14T22:13:20Z"), &Value::Null));
        assert_eq!(
            (&said["result"]["inserted"], said["result"]["ranges"].as_array().unwrap().len()),
            (&json!(5), LISTED)
        );
        let text = said.to_string();
        assert!(!text.contains("the-owner") && !text.contains("the-path"), "{text}");
    }
}
