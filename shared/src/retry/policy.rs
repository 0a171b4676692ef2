//! How often and how soon tasks of one kind are tried.

use std::time::Duration;

/// Wait before the next attempt, whatever is drawn.
pub const MIN_DELAY: Duration = Duration::from_millis(100);

/// How often and how patiently tasks of one kind are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Failed attempts after which a task is dead.
    pub max_attempts: u32,
    /// Attempts that panicked or timed out after which a task is dead.
    pub max_broken_off: u32,
    /// Attempts whose worker died after which a task is dead.
    pub max_lost: u32,
    /// Longest wait after the first failure; doubles with each further one.
    pub first_delay: Duration,
    /// Longest wait after any failure.
    pub max_delay: Duration,
}

impl RetryPolicy {
    /// For short work of the service itself, and for kinds that this program does not know.
    pub const SHORT: Self = Self {
        max_attempts: 5,
        max_broken_off: 3,
        max_lost: 5,
        first_delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(30),
    };

    /// The wait after the `failed`-th failure; `jitter` (0 to 1) is the draw, `at_least` what the exchange demands.
    #[must_use]
    pub fn delay(&self, failed: u32, at_least: Option<Duration>, jitter: f64) -> Duration {
        let jitter = jitter.clamp(0.0, 1.0);
        let doublings = failed.saturating_sub(1).min(20);
        let bound = self.first_delay.saturating_mul(1 << doublings).min(self.max_delay);
        let drawn = bound.mul_f64(jitter).max(MIN_DELAY);
        let demanded = at_least.map(|pause| pause.saturating_add(self.first_delay.mul_f64(jitter)));
        drawn.max(demanded.unwrap_or_default())
    }

    /// The wait after the `times`-th attempt by a worker that was too old for the payload.
    #[must_use]
    pub fn delay_to_newer(times: u32, jitter: f64) -> Duration {
        Self::SHORT.delay(times, None, jitter)
    }

    /// Why a task with these failures is tried no more; `None`: it is.
    #[must_use]
    pub fn given_up(&self, failures: Failures) -> Option<String> {
        let Failures { all, broken, lost } = failures;
        if broken >= self.max_broken_off {
            Some(format!("gave up after {broken} attempts that panicked or took too long"))
        } else if lost >= self.max_lost {
            Some(format!("gave up after {lost} attempts whose worker died"))
        } else if all >= self.max_attempts {
            Some(format!("gave up after {all} failed attempts"))
        } else {
            None
        }
    }
}

/// The failures of a task since its submission or last replay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    /// All of them.
    pub all: u32,
    /// Those that panicked or timed out.
    pub broken: u32,
    /// Those whose worker died.
    pub lost: u32,
}
