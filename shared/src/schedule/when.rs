//! When a schedule is due.

use super::cron::CronPattern;
use crate::ZoneName;
use crate::range::rfc3339;
use crate::timestamp::LATEST_MS;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest time between two due instants of [`When::Every`], seconds: 366 days.
pub const MAX_EVERY_SECONDS: u64 = 366 * 86_400;

/// When a schedule is due: `{"cron": …, "time_zone": …}` or `{"every_seconds": …, "anchor": …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, try_from = "Fields")]
pub enum When {
    /// When the wall clock of a zone fits a pattern.
    Cron {
        /// The pattern.
        cron: CronPattern,
        /// The zone; left out: UTC.
        time_zone: ZoneName,
    },
    /// At `anchor` and every so many seconds after it, whatever wall clocks do.
    Every {
        /// Seconds from one due instant to the next, 1 to [`MAX_EVERY_SECONDS`].
        #[schema(minimum = 1, maximum = 31_622_400)]
        every_seconds: u64,
        /// The first due instant, UTC ms; left out: 1970, so that full hours and quarters are hit.
        anchor: i64,
    },
}

/// The fields of both forms, as they are read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    cron: Option<CronPattern>,
    time_zone: Option<ZoneName>,
    every_seconds: Option<u64>,
    anchor: Option<i64>,
}

impl TryFrom<Fields> for When {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        match fields {
            Fields { cron: Some(cron), time_zone, every_seconds: None, anchor: None } => {
                Ok(Self::Cron { cron, time_zone: time_zone.unwrap_or_default() })
            }
            Fields { cron: None, time_zone: None, every_seconds: Some(every_seconds), anchor } => {
                Ok(Self::Every { every_seconds, anchor: anchor.unwrap_or(0) })
            }
            _ => Err("either cron with time_zone, or every_seconds with anchor"),
        }
    }
}

impl When {
    /// The first due instant after `after_ms`, UTC ms; `None`: none before 2286.
    #[must_use]
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        self.next_with_shift(after_ms).map(|(due, _)| due)
    }

    /// The first due instant after `after_ms`, and whether its wall time does not exist or comes twice.
    pub(super) fn next_with_shift(&self, after_ms: i64) -> Option<(i64, bool)> {
        match self {
            Self::Cron { cron, time_zone } => cron.next_with_shift(after_ms, time_zone),
            Self::Every { every_seconds, anchor } => {
                let step = i64::try_from(*every_seconds).ok()?.checked_mul(1_000)?.max(1);
                let due = if after_ms < *anchor {
                    *anchor
                } else {
                    let steps = after_ms.checked_sub(*anchor)? / step + 1;
                    anchor.checked_add(steps.checked_mul(step)?)?
                };
                (due <= LATEST_MS).then_some((due, false))
            }
        }
    }

    /// The zone whose wall clock counts; UTC for [`When::Every`].
    #[must_use]
    pub fn zone(&self) -> ZoneName {
        match self {
            Self::Cron { time_zone, .. } => time_zone.clone(),
            Self::Every { .. } => ZoneName::default(),
        }
    }

    /// In English: "At 02:30, Europe/Berlin", "every 15 minutes from 2026-01-01T00:00:00Z".
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Cron { cron, time_zone } => format!("{}, {time_zone}", cron.words()),
            Self::Every { every_seconds, anchor } => {
                format!("every {} from {}", span_in_words(*every_seconds), rfc3339(*anchor))
            }
        }
    }

    /// Every wrong field, and why.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if let Self::Every { every_seconds, anchor } = self {
            if !(1..=MAX_EVERY_SECONDS).contains(every_seconds) {
                faults.push((
                    "every_seconds",
                    format!("{every_seconds} is not within 1 to {MAX_EVERY_SECONDS} (366 days)"),
                ));
            }
            if !(0..=LATEST_MS).contains(anchor) {
                faults.push(("anchor", format!("{anchor} lies outside of 1970 to 2286 in UTC milliseconds")));
            }
        }
        faults
    }
}

/// "15 minutes", "day", "90 seconds": the largest unit of which it is a whole number.
fn span_in_words(seconds: u64) -> String {
    let units = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let (unit, length) = units.into_iter().find(|(_, length)| seconds.is_multiple_of(*length)).unwrap_or(("second", 1));
    match seconds / length {
        1 => unit.to_owned(),
        count => format!("{count} {unit}s"),
    }
}

#[cfg(test)]
mod tests;
