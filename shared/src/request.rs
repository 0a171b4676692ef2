//! A request for a task, as programs send it.

use crate::job::{Envelope, Job};
use serde::{Deserialize, Serialize};

/// What is to be done, and how. Who asks, and what that owner may, is never part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRequest {
    /// Kind of job: `fetch_history`, …
    pub kind: String,
    /// Version of the payload's form; 1 when absent.
    #[serde(default = "first")]
    pub version: u32,
    /// The payload in that form.
    pub payload: serde_json::Value,
    /// Requests of one owner with the same key are one task, for 24 hours; 1 to [`MAX_IDEMPOTENCY_KEY`] visible ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// UTC ms before which the task is not to run, at most [`MAX_AHEAD_MS`] ahead; what has passed already means now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<i64>,
    /// Where a signed message about the end goes: an `https` URL of a public host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Trace that the task belongs to, 32 hex digits; a new one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

const fn first() -> u32 {
    1
}

/// Longest [`TaskRequest::idempotency_key`], in characters.
pub const MAX_IDEMPOTENCY_KEY: usize = 255;
/// A task may be submitted this long before its time, ms: 30 days.
pub const MAX_AHEAD_MS: i64 = 30 * 86_400_000;

impl TaskRequest {
    /// A request for `job`, as soon as possible.
    ///
    /// # Errors
    /// When the payload has no JSON form.
    pub fn of<J: Job>(job: &J) -> Result<Self, serde_json::Error> {
        let Envelope { kind, version, payload } = Envelope::of(job)?;
        Ok(Self { kind, version, payload, idempotency_key: None, run_at: None, webhook: None, trace_id: None })
    }

    /// The job as it is stored.
    #[must_use]
    pub fn job(&self) -> Envelope {
        Envelope { kind: self.kind.clone(), version: self.version, payload: self.payload.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn neither_owner_nor_tier_is_part_of_a_request() {
        let plain = json!({"kind": "probe", "payload": {"number": 1}});
        let request: TaskRequest = serde_json::from_value(plain.clone()).unwrap();
        assert_eq!((request.version, request.idempotency_key), (1, None));
        for claim in ["owner", "tier", "priority"] {
            let mut claims = plain.clone();
            claims[claim] = json!("enterprise");
            let error = serde_json::from_value::<TaskRequest>(claims).unwrap_err().to_string();
            assert!(error.contains(claim), "{error}");
        }
    }
}
