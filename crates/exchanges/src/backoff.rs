//! How long to wait between attempts, and how many there are.
//!
//! The only place that names the crate `backoff`. It is unmaintained (RUSTSEC-2025-0012) and pulls in `instant`, which
//! is unmaintained too (RUSTSEC-2024-0384). Neither advisory is a vulnerability; only the arithmetic of
//! [`ExponentialBackoff`] is used, and replacing it means replacing [`Delays`]. Its own limit on elapsed time stays
//! off: a call is bounded by [`RetryPolicy::attempts`] and [`RetryPolicy::whole_call`] instead.

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use std::time::Duration;

/// How often and how patiently one call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most attempts of one call, the first included.
    pub attempts: u32,
    /// Middle of the first delay; every later one is twice the one before.
    pub first_delay: Duration,
    /// Middle of the longest delay.
    pub longest_delay: Duration,
    /// Longest time of a call with all of its attempts, delays and waits for the rate budget.
    pub whole_call: Duration,
    /// Longest pause demanded by the exchange that is waited for within the call; a longer one ends it.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    /// Six attempts over about 15 s of delays, five minutes in all, pauses up to 90 s.
    fn default() -> Self {
        Self {
            attempts: 6,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(10),
            whole_call: Duration::from_secs(300),
            longest_pause: Duration::from_secs(90),
        }
    }
}

/// An endless row of growing delays, each drawn between half and one and a half of its middle, so that callers that
/// failed together do not come back together.
#[derive(Debug)]
pub struct Delays {
    policy: ExponentialBackoff,
    longest: Duration,
}

impl Delays {
    /// Delays around `first`, 2 × `first`, 4 × `first` … up to `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        let policy = ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            randomization_factor: 0.5,
            multiplier: 2.0,
            max_interval: longest,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { policy, longest }
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        self.policy.next_backoff().unwrap_or(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_with_jitter_up_to_the_longest() {
        for _ in 0..50 {
            let mut delays = Delays::new(Duration::from_millis(100), Duration::from_millis(800));
            for middle in [100u64, 200, 400, 800, 800, 800] {
                let delay = delays.next_delay();
                let around = Duration::from_millis(middle / 2)..=Duration::from_millis(middle * 3 / 2 + 1);
                assert!(around.contains(&delay), "{delay:?} is not around {middle} ms");
            }
        }
    }

    #[test]
    fn delays_are_not_all_alike() {
        let draw = || Delays::new(Duration::from_secs(1), Duration::from_secs(1)).next_delay();
        let first = draw();
        assert!((0..50).any(|_| draw() != first));
    }
}
