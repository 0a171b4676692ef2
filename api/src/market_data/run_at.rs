//! When a task is to run.

use candlemill_shared::Timestamp;
use candlemill_shared::forms::{FieldErrors, Given};
use candlemill_shared::range::rfc3339;
use candlemill_shared::request::MAX_AHEAD_MS;

/// When the task is to run that a request asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RunAt {
    /// As it was asked for, UTC ms.
    asked: Option<i64>,
    /// The same, unless it has passed already.
    due: Option<i64>,
}

impl RunAt {
    /// Reads the field; what has passed already means now.
    pub(crate) fn read(given: Option<Given<Timestamp>>, now_ms: i64, wrong: &mut FieldErrors) -> Self {
        let Some(asked) = wrong.optional("run_at", given).map(Timestamp::ms) else { return Self::default() };
        if asked - now_ms > MAX_AHEAD_MS {
            wrong.refuse("run_at", format!("lies more than 30 days ahead; now is {}", rfc3339(now_ms)));
        }
        Self { asked: Some(asked), due: Some(asked).filter(|due| *due > now_ms) }
    }

    /// UTC ms before which the task is not to run; `None`: at once.
    pub(crate) const fn due(self) -> Option<i64> {
        self.due
    }

    /// The time as it was asked for, UTC ms.
    pub(crate) const fn asked(self) -> Option<i64> {
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: i64 = 1_700_000_000_000;

    fn check(value: Value, expected: Option<Option<i64>>) {
        let mut wrong = FieldErrors::default();
        let given = serde_json::from_value(value.clone()).unwrap();
        let read = RunAt::read(given, NOW, &mut wrong);
        assert_eq!(wrong.is_empty().then(|| read.due()), expected, "{value}");
    }

    #[test]
    fn times() {
        check(json!(null), Some(None));
        check(json!(NOW + 1), Some(Some(NOW + 1)));
        check(json!("2023-11-15T00:00:00Z"), Some(Some(1_700_006_400_000)));
        check(json!(NOW), Some(None));
        check(json!("2020-01-01T00:00:00Z"), Some(None));
        check(json!(NOW + MAX_AHEAD_MS), Some(Some(NOW + MAX_AHEAD_MS)));
        check(json!(NOW + MAX_AHEAD_MS + 1), None);
        check(json!("tomorrow"), None);
        check(json!(-1), None);
        check(json!({"$gt": 1}), None);
    }
}
