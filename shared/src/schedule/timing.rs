//! When a schedule is due and when its fires are made.

use super::when::When;
use crate::range::rfc3339;
use crate::timestamp::LATEST_MS;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// Seconds from the due instant to the fire, if nothing else is said: the exchange has closed the candle by then.
pub const DEFAULT_DELAY_SECONDS: u32 = 10;

/// Largest delay, seconds.
pub const MAX_DELAY_SECONDS: u32 = 86_400;

/// Largest jitter, seconds.
pub const MAX_JITTER_SECONDS: u32 = 3_600;

/// Due instants that the search for the shortest gap looks at. A pattern repeats its gaps within the first few hundred.
const LOOKED_AT: usize = 1_000;

/// When a schedule is due, between which times, and how long after that its fires are made. Times are UTC ms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// When it is due.
    pub when: When,
    /// First instant at which it can be due, UTC ms; left out: as soon as it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<i64>,
    /// First instant at which it can be due no more, UTC ms; left out: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_at: Option<i64>,
    /// Largest number of seconds by which a fire is put off, drawn anew for each due instant.
    #[schema(maximum = 3_600, default = 0)]
    #[serde(default)]
    pub jitter_seconds: u32,
    /// Seconds from each due instant to its fire.
    #[schema(maximum = 86_400, default = 10)]
    #[serde(default = "default_delay")]
    pub delay_seconds: u32,
}

const fn default_delay() -> u32 {
    DEFAULT_DELAY_SECONDS
}

impl From<When> for Timing {
    fn from(when: When) -> Self {
        Self { when, start_at: None, end_at: None, jitter_seconds: 0, delay_seconds: DEFAULT_DELAY_SECONDS }
    }
}

impl Timing {
    /// The first due instant after `after_ms` within start and end, UTC ms; `None`: never again.
    #[must_use]
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        self.next_with_shift(after_ms).map(|(due, _)| due)
    }

    /// The first due instant after `after_ms`, and whether its wall time does not exist or comes twice.
    pub(super) fn next_with_shift(&self, after_ms: i64) -> Option<(i64, bool)> {
        let after = self.start_at.map_or(after_ms, |start| after_ms.max(start.saturating_sub(1)));
        self.when.next_with_shift(after).filter(|(due, _)| self.end_at.is_none_or(|end| *due < end))
    }

    /// When the fire that is due at `due` is made, UTC ms: after the delay and a jitter that depends on the schedule's id and the
    /// due instant alone, so that every replica draws the same.
    #[must_use]
    pub fn fire_at(&self, schedule: &str, due: i64) -> i64 {
        due.saturating_add(i64::from(self.delay_seconds) * 1_000).saturating_add(self.jitter_ms(schedule, due))
    }

    /// Longest time from a due instant to its fire, ms.
    pub(super) fn longest_lag_ms(&self) -> i64 {
        (i64::from(self.delay_seconds) + i64::from(self.jitter_seconds)) * 1_000
    }

    /// From 0 to the jitter, ms.
    fn jitter_ms(&self, schedule: &str, due: i64) -> i64 {
        if self.jitter_seconds == 0 {
            return 0;
        }
        let digest = Sha256::new().chain_update(due.to_be_bytes()).chain_update(schedule).finalize();
        let drawn = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        // The product's upper half spreads the number evenly over the milliseconds.
        let ms = (u128::from(drawn) * (u128::from(self.jitter_seconds) * 1_000)) >> 64;
        i64::try_from(ms).unwrap_or(0)
    }

    /// When it is due, in English, with the zone.
    #[must_use]
    pub fn words(&self) -> String {
        self.when.words()
    }

    /// Shortest time between two of the next 1,000 due instants after `after_ms`, seconds; `None` when fewer than two come.
    #[must_use]
    pub fn shortest_gap_seconds(&self, after_ms: i64) -> Option<u64> {
        let mut last = self.next_after(after_ms)?;
        let mut shortest = None;
        for _ in 1..LOOKED_AT {
            let Some(next) = self.next_after(last) else { break };
            let gap = u64::try_from(next - last).unwrap_or(0) / 1_000;
            shortest = Some(shortest.map_or(gap, |shortest: u64| shortest.min(gap)));
            if gap <= 1 || matches!(self.when, When::Every { .. }) {
                break;
            }
            last = next;
        }
        shortest
    }

    /// Every wrong field, and why. `now_ms` tells which ends have passed.
    #[must_use]
    pub fn faults(&self, now_ms: i64) -> Vec<(&'static str, String)> {
        let mut faults = self.when.faults();
        for (field, at) in [("start_at", self.start_at), ("end_at", self.end_at)] {
            if let Some(at) = at.filter(|at| !(0..=LATEST_MS).contains(at)) {
                faults.push((field, format!("{at} lies outside of 1970 to 2286 in UTC milliseconds")));
            }
        }
        if let (Some(start), Some(end)) = (self.start_at, self.end_at)
            && start >= end
        {
            faults.push(("end_at", format!("{} is not after the start, {}", rfc3339(end), rfc3339(start))));
        }
        if let Some(end) = self.end_at.filter(|end| *end <= now_ms) {
            faults.push(("end_at", format!("{} has passed", rfc3339(end))));
        }
        for (field, seconds, max) in [
            ("jitter_seconds", self.jitter_seconds, MAX_JITTER_SECONDS),
            ("delay_seconds", self.delay_seconds, MAX_DELAY_SECONDS),
        ] {
            if seconds > max {
                faults.push((field, format!("{seconds} seconds; at most {max}")));
            }
        }
        if faults.is_empty() && self.next_after(now_ms).is_none() {
            let until = self.end_at.map_or_else(|| "2286".to_owned(), rfc3339);
            faults.push(("when", format!("it is never due before {until}")));
        }
        faults
    }
}

#[cfg(test)]
mod tests;
