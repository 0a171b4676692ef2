//! The clocks of a simulator: the exchange has one, Supabase another, both may be wrong on purpose.

use candlemill_shared::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use std::sync::{PoisonError, RwLock};

/// How a clock of the simulator tells the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClockSetting {
    /// The machine's clock, moved by `ms` (negative: behind).
    Offset {
        /// Milliseconds added to the machine's time.
        ms: i64,
    },
    /// Stands at one instant.
    Fixed {
        /// The instant, UTC ms.
        at_ms: i64,
    },
    /// Runs on from this instant, as fast as the machine's clock.
    RunningFrom {
        /// The instant that it shows when it is set, UTC ms.
        at_ms: i64,
    },
}

impl Default for ClockSetting {
    /// The machine's own clock.
    fn default() -> Self {
        Self::Offset { ms: 0 }
    }
}

/// A clock that a test may set.
#[derive(Debug)]
pub struct SimulatorClock(RwLock<ClockSetting>);

impl SimulatorClock {
    /// A clock that starts with `setting`.
    #[must_use]
    pub fn new(setting: ClockSetting) -> Self {
        Self(RwLock::new(settled(setting)))
    }

    /// Changes how it tells the time, from now on.
    pub fn set(&self, setting: ClockSetting) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settled(setting);
    }

    /// Moves it by `ms`, forwards or back, and leaves it standing or running as it was.
    pub fn advance(&self, by_ms: i64) {
        let mut setting = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *setting = match *setting {
            ClockSetting::Fixed { at_ms } => ClockSetting::Fixed { at_ms: at_ms + by_ms },
            ClockSetting::Offset { ms } => ClockSetting::Offset { ms: ms + by_ms },
            running @ ClockSetting::RunningFrom { .. } => running,
        };
    }
}

/// A running clock is the machine's clock with an offset.
fn settled(setting: ClockSetting) -> ClockSetting {
    match setting {
        ClockSetting::RunningFrom { at_ms } => ClockSetting::Offset { ms: at_ms - SystemClock.now_ms() },
        other => other,
    }
}

impl Clock for SimulatorClock {
    fn now_ms(&self) -> i64 {
        match *self.0.read().unwrap_or_else(PoisonError::into_inner) {
            ClockSetting::Offset { ms } => SystemClock.now_ms() + ms,
            ClockSetting::Fixed { at_ms } | ClockSetting::RunningFrom { at_ms } => at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = SimulatorClock::new(ClockSetting::Fixed { at_ms: 5_000 });
        clock.advance(60_000);
        assert_eq!(clock.now_ms(), 65_000);
    }

    #[test]
    fn a_running_clock_runs_on_from_its_instant() {
        let clock = SimulatorClock::new(ClockSetting::RunningFrom { at_ms: 1_000_000 });
        let shown = clock.now_ms();
        assert!((1_000_000..1_060_000).contains(&shown), "{shown}");
        clock.set(ClockSetting::Offset { ms: -3_600_000 });
        assert!(clock.now_ms() < SystemClock.now_ms() - 3_590_000);
    }
}
