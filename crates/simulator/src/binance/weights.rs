//! The weight that calls use up: fixed one-minute windows of the exchange's clock, one address per simulator.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Milliseconds of one window.
const WINDOW_MS: i64 = 60_000;
/// Windows remembered; older ones are forgotten.
const WINDOWS_KEPT: usize = 1_440;
/// The longest ban, seconds: three days.
const LONGEST_BAN: u64 = 3 * 86_400;

/// What the exchange allows one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeightRules {
    /// Weight allowed in one minute.
    pub limit: u32,
    /// The how-many-th call after the first 429 of a window is answered 418. 0: never.
    pub calls_until_ban: u32,
    /// Length of the first ban, seconds; each further one is twice as long, at most three days.
    pub ban_seconds: u64,
}

impl Default for WeightRules {
    /// Binance's own figures.
    fn default() -> Self {
        Self { limit: 6_000, calls_until_ban: 3, ban_seconds: 120 }
    }
}

/// What one minute's calls used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteWeight {
    /// Start of the minute on the exchange's clock, UTC ms.
    pub start_ms: i64,
    /// Weight of the calls that were let through.
    pub used: u32,
    /// Calls answered 429 or 418.
    pub refused: u32,
}

/// A ban that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// First instant on the exchange's clock at which calls are let through again, UTC ms.
    pub until_ms: i64,
    /// Bans so far, this one included.
    pub count: u32,
}

/// What became of a call's weight. `used` is what the header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// The call may pass.
    Allowed { used: u32 },
    /// 429; `retry_after` in seconds.
    Limited { used: u32, retry_after: i64 },
    /// 418; `retry_after` in seconds.
    Banned { used: u32, retry_after: i64, until_ms: i64 },
}

impl Charge {
    /// Weight used in the running minute.
    pub(crate) const fn used(self) -> u32 {
        match self {
            Self::Allowed { used } | Self::Limited { used, .. } | Self::Banned { used, .. } => used,
        }
    }
}

/// The exchange's book of weights.
#[derive(Debug)]
pub(crate) struct Weights(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    rules: WeightRules,
    window: i64,
    /// Weight sent in the window, that of refused calls included: going on does not make it better.
    sent: u32,
    /// Calls answered 429 in the window.
    limited: u32,
    banned_until_ms: i64,
    bans: u32,
    minutes: BTreeMap<i64, MinuteWeight>,
}

impl Weights {
    pub(crate) fn new(rules: WeightRules) -> Self {
        Self(Mutex::new(Account { rules, ..Account::default() }))
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges one call on arrival.
    pub(crate) fn charge(&self, weight: u32, now: i64) -> Charge {
        self.account().charge(weight, now)
    }

    pub(crate) fn rules(&self) -> WeightRules {
        self.account().rules
    }

    pub(crate) fn set_rules(&self, rules: WeightRules) {
        self.account().rules = rules;
    }

    /// The ban in force at `now`.
    pub(crate) fn ban(&self, now: i64) -> Option<Ban> {
        let account = self.account();
        (account.banned_until_ms > now).then_some(Ban { until_ms: account.banned_until_ms, count: account.bans })
    }

    /// Bans the address for `seconds`, or lifts the ban with 0.
    pub(crate) fn ban_for(&self, seconds: u64, now: i64) {
        let mut account = self.account();
        account.banned_until_ms = now + i64::try_from(seconds * 1_000).unwrap_or(i64::MAX - now);
        account.bans += u32::from(seconds > 0);
    }

    /// What every minute's calls used, oldest first.
    pub(crate) fn minutes(&self) -> Vec<MinuteWeight> {
        self.account().minutes.values().copied().collect()
    }

    /// Forgets everything but the rules.
    pub(crate) fn reset(&self) {
        let mut account = self.account();
        *account = Account { rules: account.rules, ..Account::default() };
    }
}

impl Account {
    fn charge(&mut self, weight: u32, now: i64) -> Charge {
        let window = now.div_euclid(WINDOW_MS);
        if window != self.window {
            (self.window, self.sent, self.limited) = (window, 0, 0);
        }
        if self.banned_until_ms > now {
            self.minute().refused += 1;
            return self.banned(now);
        }
        // Rule 1.
        self.sent = self.sent.saturating_add(weight);
        if self.sent <= self.rules.limit {
            self.minute().used += weight;
            return Charge::Allowed { used: self.sent };
        }
        // Rule 2.
        self.minute().refused += 1;
        let calls_since_first = self.limited;
        if self.rules.calls_until_ban > 0 && calls_since_first >= self.rules.calls_until_ban {
            let seconds = self.rules.ban_seconds.saturating_mul(1 << self.bans.min(20)).min(LONGEST_BAN);
            self.banned_until_ms = now + i64::try_from(seconds).unwrap_or(0) * 1_000;
            self.bans += 1;
            return self.banned(now);
        }
        self.limited += 1;
        Charge::Limited { used: self.sent, retry_after: seconds_until((window + 1) * WINDOW_MS, now) }
    }

    const fn banned(&self, now: i64) -> Charge {
        let until_ms = self.banned_until_ms;
        Charge::Banned { used: self.sent, retry_after: seconds_until(until_ms, now), until_ms }
    }

    fn minute(&mut self) -> &mut MinuteWeight {
        let start_ms = self.window * WINDOW_MS;
        if self.minutes.len() == WINDOWS_KEPT && !self.minutes.contains_key(&start_ms) {
            self.minutes.pop_first();
        }
        self.minutes.entry(start_ms).or_insert(MinuteWeight { start_ms, used: 0, refused: 0 })
    }
}

/// Whole seconds that do not end before `then`.
const fn seconds_until(then: i64, now: i64) -> i64 {
    (then - now + 999) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, rules: WeightRules, calls: &[(i64, u32, Charge)]) {
        let weights = Weights::new(rules);
        for (index, (now, weight, expected)) in calls.iter().enumerate() {
            assert_eq!(weights.charge(*weight, *now), *expected, "{name}, call {index}");
        }
    }

    #[test]
    fn windows_limits_and_bans() {
        let rules = WeightRules { limit: 10, calls_until_ban: 2, ban_seconds: 120 };
        let allowed = |used| Charge::Allowed { used };
        let limited = |used, retry_after| Charge::Limited { used, retry_after };
        let banned = |used, retry_after, until_ms| Charge::Banned { used, retry_after, until_ms };
        check(
            "the limit itself may be used; the next minute starts anew",
            rules,
            &[(60_000, 8, allowed(8)), (119_999, 2, allowed(10)), (120_000, 10, allowed(10))],
        );
        check(
            "429 tells the end of the window, rounded up",
            rules,
            &[
                (60_000, 10, allowed(10)),
                (60_001, 2, limited(12, 60)),
                (119_001, 2, limited(14, 1)),
                (120_000, 1, allowed(1)),
            ],
        );
        check(
            "going on leads to 418, and a second ban is longer",
            rules,
            &[
                (0, 10, allowed(10)),
                (1_000, 1, limited(11, 59)),
                (1_000, 1, limited(12, 59)),
                (1_000, 1, banned(13, 120, 121_000)),
                (60_000, 1, banned(0, 61, 121_000)),
                (121_000, 10, allowed(10)),
                (122_000, 1, limited(11, 58)),
                (122_000, 1, limited(12, 58)),
                (122_000, 1, banned(13, 240, 362_000)),
            ],
        );
    }

    #[test]
    fn minutes_are_kept() {
        let weights = Weights::new(WeightRules { limit: 3, ..WeightRules::default() });
        for now in [0, 1, 60_000] {
            weights.charge(2, now);
        }
        let expected =
            [(0, 2, 1), (60_000, 2, 0)].map(|(start_ms, used, refused)| MinuteWeight { start_ms, used, refused });
        assert_eq!(weights.minutes(), expected);
        weights.reset();
        assert!(weights.minutes().is_empty() && weights.rules().limit == 3);
    }
}
