//! When a submitted task is to run.

use crate::input::Time;
use candlemill_shared::range::rfc3339;
use candlemill_shared::request::MAX_AHEAD_MS;
use serde::Deserialize;

/// The time that a request asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RunAt {
    /// As it was asked for, UTC ms.
    asked: Option<i64>,
    /// The same, unless it has passed already.
    due: Option<i64>,
}

impl RunAt {
    /// Reads the field; what has passed already means now.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn read(value: Option<&serde_json::Value>, now_ms: i64) -> Result<Self, String> {
        let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(Self::default()) };
        let asked = Time::deserialize(value).map_err(|error| error.to_string())?.ms();
        if asked - now_ms > MAX_AHEAD_MS {
            return Err(format!("lies more than 30 days ahead; now is {}", rfc3339(now_ms)));
        }
        Ok(Self { asked: Some(asked), due: Some(asked).filter(|due| *due > now_ms) })
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
        assert_eq!(RunAt::read(Some(&value), NOW).map(RunAt::due).ok(), expected, "{value}");
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
        assert_eq!(RunAt::read(None, NOW), Ok(RunAt::default()));
    }
}
