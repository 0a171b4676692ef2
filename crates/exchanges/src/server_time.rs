//! The exchange's clock, as far as it can be known from here.

use candlemill_shared::Clock;
use candlemill_shared::range::rfc3339;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Age at which a measurement is taken anew.
const FRESH_FOR: Duration = Duration::from_secs(300);
/// How far two quartz clocks may part within [`FRESH_FOR`]: 100 parts in a million.
const DRIFT_MS: i64 = 30;
/// Difference between the machine's wall clock and its steady clock that means the former was set.
const CLOCK_SET_MS: i64 = 10_000;

/// How far the exchange's answer may lie from its own header `Date`.
const MAX_FROM_DATE_MS: i64 = 5_000;
/// How far the exchange's clock may lie from ours before it has to be seen twice.
const MAX_FROM_OURS_MS: i64 = 60_000;
/// How far two looks may differ beside the time between them.
const MAX_BETWEEN_LOOKS_MS: i64 = 1_000;
/// Time from a look that is not believed to the next one.
pub(crate) const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// An instant by the machine's two clocks: the wall clock, which may be set, and the steady one, which may stand while
/// the machine sleeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Wall clock, UTC ms.
    pub(crate) wall_ms: i64,
    /// Steady clock.
    pub(crate) steady: Instant,
}

impl Moment {
    /// Now.
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self { wall_ms: clock.now_ms(), steady: Instant::now() }
    }
}

/// What the exchange's clock shows, with the uncertainty of having asked over a network.
#[derive(Debug, Clone)]
pub struct ServerTime {
    clock: Arc<dyn Clock>,
    /// When the measured call was sent.
    sent: Moment,
    offset_ms: i64,
    uncertainty_ms: i64,
}

impl ServerTime {
    /// Takes the exchange's answer `server_ms` to a call that was sent at `sent` and took `round_trip`.
    pub(crate) fn measured(clock: Arc<dyn Clock>, sent: Moment, round_trip: Duration, server_ms: i64) -> Self {
        let round_trip_ms = i64::try_from(round_trip.as_millis()).unwrap_or(i64::MAX / 4);
        let offset_ms = server_ms - (sent.wall_ms + round_trip_ms / 2);
        // Both clocks cut their milliseconds off, hence the one.
        let uncertainty_ms = round_trip_ms / 2 + 1 + DRIFT_MS;
        Self { clock, sent, offset_ms, uncertainty_ms }
    }

    /// Milliseconds that the exchange's clock is ahead of ours.
    #[must_use]
    pub const fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// Most milliseconds by which [`Self::now_ms`] may be wrong: half the round trip and the drift since.
    #[must_use]
    pub const fn uncertainty_ms(&self) -> i64 {
        self.uncertainty_ms
    }

    /// What the exchange's clock shows now, UTC ms.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.at(Moment::now(&*self.clock))
    }

    /// What the exchange's clock showed at `moment`: by the slower of our clocks, because a time that is too late makes
    /// a candle look closed that is not.
    pub(crate) fn at(&self, moment: Moment) -> i64 {
        let steady = self.sent.wall_ms + self.steady_ms_until(moment);
        moment.wall_ms.min(steady) + self.offset_ms
    }

    /// Whether the measurement still holds: young, and the machine's clock was not set since.
    pub(crate) fn is_fresh(&self) -> bool {
        let now = Moment::now(&*self.clock);
        let steady_ms = self.steady_ms_until(now);
        let wall_ms = now.wall_ms - self.sent.wall_ms;
        now.steady.duration_since(self.sent.steady) < FRESH_FOR && (wall_ms - steady_ms).abs() < CLOCK_SET_MS
    }

    /// Whether this measurement bears out an earlier one. A clock that ran slower meanwhile, or stood, is no danger: it
    /// makes candles look open that are closed.
    fn agrees_with(&self, before: &Self) -> bool {
        let shown = |time: &Self| time.sent.wall_ms + time.offset_ms;
        let passed = shown(self) - shown(before);
        let most = before.steady_ms_until(self.sent) + MAX_BETWEEN_LOOKS_MS;
        (-MAX_BETWEEN_LOOKS_MS..=most).contains(&passed)
    }

    fn steady_ms_until(&self, moment: Moment) -> i64 {
        i64::try_from(moment.steady.saturating_duration_since(self.sent.steady).as_millis()).unwrap_or(i64::MAX / 4)
    }
}

/// One answer about the exchange's clock, not yet believed.
#[derive(Debug)]
pub(crate) struct Look {
    /// The measurement.
    pub(crate) time: ServerTime,
    /// What the answer says, UTC ms.
    pub(crate) server_ms: i64,
    /// What its header `Date` says, UTC ms in whole seconds.
    pub(crate) date_ms: Option<i64>,
}

/// What becomes of a [`Look`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It counts.
    Believed,
    /// It counts when another one agrees with it.
    Unsettled,
    /// Header and clock agree on another time: it does not count, however often it is seen.
    Refuted,
}

/// What contradicts what, UTC ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockFault {
    /// The exchange's answer.
    pub server_ms: i64,
    /// The answer's header `Date`.
    pub date_ms: Option<i64>,
    /// Our clock at that time.
    pub our_ms: i64,
}

impl fmt::Display for ClockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date_ms.map_or_else(|| "nothing".to_owned(), rfc3339);
        let (server, ours) = (rfc3339(self.server_ms), rfc3339(self.our_ms));
        write!(f, "its answer says {server}, the header Date of that answer {date}, this machine's clock {ours}")
    }
}

impl Look {
    /// Judges it beside an earlier one.
    pub(crate) fn verdict(&self, before: Option<&ServerTime>) -> Verdict {
        let fault = self.fault();
        let from_ours = (fault.server_ms - fault.our_ms).abs();
        let date_agrees = fault.date_ms.is_some_and(|date| from_date(fault.server_ms, date) <= MAX_FROM_DATE_MS);
        if date_agrees && from_ours <= MAX_FROM_OURS_MS {
            return Verdict::Believed;
        }
        // Our clock sides with the header.
        let apart = fault.date_ms.map(|date| from_date(fault.our_ms, date));
        if !date_agrees && apart.is_some_and(|ms| ms <= MAX_FROM_OURS_MS && ms < from_ours) {
            return Verdict::Refuted;
        }
        if before.is_some_and(|before| self.time.agrees_with(before)) { Verdict::Believed } else { Verdict::Unsettled }
    }

    /// The times that do not agree.
    pub(crate) fn fault(&self) -> ClockFault {
        ClockFault { server_ms: self.server_ms, date_ms: self.date_ms, our_ms: self.server_ms - self.time.offset_ms }
    }
}

/// Milliseconds from `ms` to the second that a header names.
const fn from_date(ms: i64, date_ms: i64) -> i64 {
    if ms < date_ms {
        date_ms - ms
    } else if ms < date_ms + 1_000 {
        0
    } else {
        ms - date_ms - 999
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::ManualClock;

    fn measure(clock: &Arc<ManualClock>, round_trip_ms: u64, server_ms: i64) -> ServerTime {
        let clock: Arc<dyn Clock> = clock.clone();
        let sent = Moment::now(&*clock);
        ServerTime::measured(clock, sent, Duration::from_millis(round_trip_ms), server_ms)
    }

    #[test]
    fn the_offset_is_taken_at_half_the_round_trip() {
        let clock = Arc::new(ManualClock::at(1_000_000));
        let time = measure(&clock, 80, 1_003_040);
        assert_eq!((time.offset_ms(), time.uncertainty_ms()), (3_000, 71));
        assert_eq!(time.now_ms(), 1_003_000);
        assert!(time.is_fresh());
        let behind = measure(&clock, 0, 400_000);
        assert_eq!((behind.offset_ms(), behind.now_ms()), (-600_000, 400_000));
    }

    #[test]
    fn a_wall_clock_that_was_set_is_noticed_and_never_hurries_the_exchange() {
        let clock = Arc::new(ManualClock::at(1_000_000));
        let time = measure(&clock, 0, 1_000_000);
        clock.advance(3_600_000);
        assert!(!time.is_fresh());
        assert!(time.now_ms() < 1_060_000, "an hour ahead by the wall clock alone");
        clock.advance(-7_200_000);
        assert!(!time.is_fresh());
        assert_eq!(time.now_ms(), 1_000_000 - 3_600_000);
    }
}
