//! Subscription tiers and what each of them allows.

use crate::env::{Env, EnvError, Variable, wrong};
use crate::interval::Interval;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where the limits stand, if not in the program.
pub static TIERS_FILE: Variable = Variable {
    name: "TIERS_FILE",
    default: "",
    help: "JSON file with the limits of all tiers, in place of the built-in table of docs/API.md",
};

/// A subscription tier, lowest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// No subscription.
    #[default]
    Free,
    /// Paid by one person.
    Pro,
    /// Paid by an organisation.
    Enterprise,
}

impl Tier {
    /// Every tier, lowest first.
    pub const ALL: [Self; 3] = [Self::Free, Self::Pro, Self::Enterprise];

    /// The tier's name in tokens, answers and configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no tier; one of free, pro, enterprise"))
    }
}

/// Most fetches of one batch, whatever a tier allows: its record stays far below what one document may hold.
pub const MAX_BATCH_FETCHES: usize = 10_000;

/// Largest number of candles of one study: what a worker's memory is reckoned for.
pub const MAX_STUDY_CANDLES: u64 = 5_000_000;
/// Largest product of candles and draws.
pub const MAX_CANDLE_DRAWS: u64 = 10_000_000_000;

/// For tables that say nothing of it.
const fn few() -> u32 {
    4
}

/// For tables that say nothing of batches.
const fn some() -> u32 {
    100
}

/// For tables that say nothing of studies.
const fn study_candles() -> u64 {
    100_000
}

/// For tables that say nothing of studies.
const fn study_draws() -> u32 {
    1_000
}

/// For tables that say nothing of schedules.
const fn schedules() -> u32 {
    10
}

/// For tables that say nothing of schedules.
const fn schedule_period() -> u32 {
    3_600
}

/// What one tier allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierLimits {
    /// Candle intervals that may be fetched.
    pub intervals: Vec<Interval>,
    /// Longest range of one fetch, in candles.
    pub longest_range_candles: u64,
    /// Most tasks that one user may have queued or running at once.
    pub jobs_at_once: u32,
    /// Most tasks of one user that run at once; the others wait.
    #[serde(default = "few")]
    pub running_at_once: u32,
    /// Most fetches of one batch, which counts as one task under way.
    #[serde(default = "some")]
    pub batch_fetches: u32,
    /// Most candles of one study.
    #[serde(default = "study_candles")]
    pub study_candles: u64,
    /// Most draws of the bootstrap of one study.
    #[serde(default = "study_draws")]
    pub study_draws: u32,
    /// Most studies of one user that are stored at once.
    #[serde(default = "some")]
    pub stored_studies: u32,
    /// Most schedules of one user.
    #[serde(default = "schedules")]
    pub schedules: u32,
    /// Shortest time between two fires of a schedule, seconds.
    #[serde(default = "schedule_period")]
    pub schedule_period_seconds: u32,
    /// Most API requests of one user in one minute.
    pub requests_per_minute: u32,
    /// 0 to 9: how often a user's turn in the queue comes, against others'.
    pub priority: u8,
}

/// The limits of every tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierTable {
    /// Limits of [`Tier::Free`].
    pub free: TierLimits,
    /// Limits of [`Tier::Pro`].
    pub pro: TierLimits,
    /// Limits of [`Tier::Enterprise`].
    pub enterprise: TierLimits,
}

impl Default for TierTable {
    /// The table that holds unless `TIERS_FILE` names another.
    fn default() -> Self {
        let from = |shortest: Interval| Interval::ALL.into_iter().filter(|i| *i >= shortest).collect();
        Self {
            free: TierLimits {
                intervals: from(Interval::Minute1),
                longest_range_candles: 50_000,
                jobs_at_once: 2,
                running_at_once: 1,
                batch_fetches: 10,
                study_candles: 100_000,
                study_draws: 1_000,
                stored_studies: 20,
                schedules: 3,
                schedule_period_seconds: 3_600,
                requests_per_minute: 120,
                priority: 1,
            },
            pro: TierLimits {
                intervals: from(Interval::Minute1),
                longest_range_candles: 10_000_000,
                jobs_at_once: 20,
                running_at_once: 4,
                batch_fetches: 500,
                study_candles: 3_000_000,
                study_draws: 10_000,
                stored_studies: 1_000,
                schedules: 100,
                schedule_period_seconds: 60,
                requests_per_minute: 3_000,
                priority: 5,
            },
            enterprise: TierLimits {
                intervals: from(Interval::Second1),
                longest_range_candles: 1_000_000_000,
                jobs_at_once: 100_000,
                running_at_once: 64,
                batch_fetches: 5_000,
                study_candles: 5_000_000,
                study_draws: 100_000,
                stored_studies: 100_000,
                schedules: 20_000,
                schedule_period_seconds: 1,
                requests_per_minute: 6_000_000,
                priority: 9,
            },
        }
    }
}

/// A request that the caller's tier does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierRefusal {
    /// The limit, as the table names it.
    pub limit: &'static str,
    /// What was asked and what is allowed.
    pub detail: String,
    /// Lowest tier that allows it, if any does.
    pub lifted_by: Option<Tier>,
}

impl TierTable {
    /// Reads the table.
    ///
    /// # Errors
    /// When the file of `TIERS_FILE` cannot be read.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let Some(path) = env.text(&TIERS_FILE) else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| wrong(&TIERS_FILE, format!("{path} cannot be read: {error}")))?;
        serde_json::from_str(&text).map_err(|error| wrong(&TIERS_FILE, format!("{path} is no table of tiers: {error}")))
    }

    /// The limits of `tier`.
    #[must_use]
    pub const fn of(&self, tier: Tier) -> &TierLimits {
        match tier {
            Tier::Free => &self.free,
            Tier::Pro => &self.pro,
            Tier::Enterprise => &self.enterprise,
        }
    }

    /// Whether a user of `tier` may fetch `candles` candles of `interval` in one task.
    ///
    /// # Errors
    /// The first limit that forbids it.
    pub fn admit_fetch(&self, tier: Tier, interval: Interval, candles: u64) -> Result<(), TierRefusal> {
        self.admit_interval(tier, interval)?;
        let limits = self.of(tier);
        if candles > limits.longest_range_candles {
            return Err(self.refuse(
                tier,
                "longest_range_candles",
                format!(
                    "the range holds {candles} {interval} candles; the {tier} tier fetches at most {} in one task",
                    limits.longest_range_candles
                ),
                |other| candles <= other.longest_range_candles,
            ));
        }
        Ok(())
    }

    fn admit_interval(&self, tier: Tier, interval: Interval) -> Result<(), TierRefusal> {
        let limits = self.of(tier);
        if limits.intervals.contains(&interval) {
            return Ok(());
        }
        let allowed: Vec<_> = limits.intervals.iter().map(|i| i.as_str()).collect();
        let told = format!("the {tier} tier may not fetch {interval} candles, only {}", allowed.join(" "));
        Err(self.refuse(tier, "intervals", told, |other| other.intervals.contains(&interval)))
    }

    /// Whether a user of `tier` may study `candles` candles of `interval` with `draws` draws.
    ///
    /// # Errors
    /// The first limit that forbids it.
    pub fn admit_study(&self, tier: Tier, interval: Interval, candles: u64, draws: u32) -> Result<(), TierRefusal> {
        self.admit_interval(tier, interval)?;
        let max_candles = |limits: &TierLimits| limits.study_candles.min(MAX_STUDY_CANDLES);
        let limits = self.of(tier);
        if candles > max_candles(limits) {
            let told = format!(
                "the range may hold {candles} {interval} candles; a study of the {tier} tier has at most {}: a later start, an earlier \
                 end, or a longer interval makes it fewer",
                max_candles(limits)
            );
            return Err(self.refuse(tier, "study_candles", told, |other| candles <= max_candles(other)));
        }
        if draws > limits.study_draws {
            let told = format!("{draws} draws; a study of the {tier} tier has at most {}", limits.study_draws);
            return Err(self.refuse(tier, "study_draws", told, |other| draws <= other.study_draws));
        }
        if candles.saturating_mul(u64::from(draws)) > MAX_CANDLE_DRAWS {
            let told = format!(
                "{candles} candles × {draws} draws; their product is at most {MAX_CANDLE_DRAWS} in any tier: {} draws are possible here",
                MAX_CANDLE_DRAWS / candles.max(1)
            );
            return Err(self.refuse(tier, "study_candle_draws", told, |_| false));
        }
        Ok(())
    }

    /// The refusal for a user who has `stored_studies` studies already.
    #[must_use]
    pub fn too_many_studies(&self, tier: Tier) -> TierRefusal {
        let max = self.of(tier).stored_studies;
        let told = format!("the {tier} tier stores at most {max} studies; DELETE /api/seasonality/{{id}} makes room");
        self.refuse(tier, "stored_studies", told, |other| other.stored_studies > max)
    }

    /// The refusal for a user who has `schedules` schedules already.
    #[must_use]
    pub fn too_many_schedules(&self, tier: Tier) -> TierRefusal {
        let max = self.of(tier).schedules;
        let told = format!("the {tier} tier has at most {max} schedules; delete one that is not needed any more");
        self.refuse(tier, "schedules", told, |other| other.schedules > max)
    }

    /// Whether a schedule of a user of `tier` may fire so often: `gap_seconds` is the shortest time between two of its fires.
    ///
    /// # Errors
    /// The limit that forbids it.
    pub fn admit_period(&self, tier: Tier, gap_seconds: u64) -> Result<(), TierRefusal> {
        let least = self.of(tier).schedule_period_seconds;
        if gap_seconds >= u64::from(least) {
            return Ok(());
        }
        let told = format!(
            "it would fire {gap_seconds} s after a fire before it; a schedule of the {tier} tier leaves {least} s at least in between"
        );
        Err(self.refuse(tier, "schedule_period_seconds", told, |other| {
            gap_seconds >= u64::from(other.schedule_period_seconds)
        }))
    }

    /// Whether a user of `tier` may fetch so many things in one batch.
    ///
    /// # Errors
    /// The limit that forbids it.
    pub fn admit_batch(&self, tier: Tier, fetches: usize) -> Result<(), TierRefusal> {
        let allows = |limits: &TierLimits| fetches <= (limits.batch_fetches as usize).min(MAX_BATCH_FETCHES);
        if allows(self.of(tier)) {
            return Ok(());
        }
        let most = (self.of(tier).batch_fetches as usize).min(MAX_BATCH_FETCHES);
        let told = format!("the batch has {fetches} fetches; the {tier} tier has at most {most} in one batch");
        Err(self.refuse(tier, "batch_fetches", told, allows))
    }

    /// The refusal for a user who has `jobs_at_once` tasks under way already.
    #[must_use]
    pub fn too_many_jobs(&self, tier: Tier) -> TierRefusal {
        let most = self.of(tier).jobs_at_once;
        self.refuse(
            tier,
            "jobs_at_once",
            format!("the {tier} tier has at most {most} tasks queued or running at once; wait for one or cancel one"),
            |other| other.jobs_at_once > most,
        )
    }

    fn refuse(
        &self,
        tier: Tier,
        limit: &'static str,
        detail: String,
        allows: impl Fn(&TierLimits) -> bool,
    ) -> TierRefusal {
        let lifted_by = Tier::ALL.into_iter().find(|other| *other > tier && allows(self.of(*other)));
        TierRefusal { limit, detail, lifted_by }
    }
}

#[cfg(test)]
mod tests;
