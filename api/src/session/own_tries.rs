//! Rule 3 while Redis is away: each process counts by itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Tries of one name in a minute.
pub(super) const PER_MINUTE: u32 = 5;
const MINUTE_MS: i64 = 60_000;
/// Names that one process counts in a minute; more are not let in.
const MAX_NAMES: usize = 10_000;

/// Counters of this process, for while Redis is away: passwords are not to be tried without end then.
#[derive(Debug, Default)]
pub struct OwnTries(Mutex<(i64, HashMap<String, u32>)>);

impl OwnTries {
    /// Whether one more try of `name` is within the bounds of its minute.
    pub(super) fn allow(&self, name: &str, now_ms: i64) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now_ms.div_euclid(MINUTE_MS);
        if counted.0 != minute {
            *counted = (minute, HashMap::new());
        }
        if counted.1.len() >= MAX_NAMES && !counted.1.contains_key(name) {
            return false;
        }
        let tries = counted.1.entry(name.to_owned()).or_default();
        *tries += 1;
        *tries <= PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_a_minute_each() {
        let tries = OwnTries::default();
        for name in ["a", "b"] {
            let allowed: Vec<bool> = (0..7).map(|_| tries.allow(name, 30_000)).collect();
            assert_eq!(allowed, [true, true, true, true, true, false, false], "{name}");
        }
        assert!(tries.allow("a", 60_000), "a new minute");
    }
}
