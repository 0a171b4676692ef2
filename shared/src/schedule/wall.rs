//! Wall clocks of time zones, as the search for cron patterns walks them.

use croner::errors::CronError;
use croner::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use std::cmp::Ordering;

/// An instant on the wall clock of a zone; whole seconds.
#[derive(Debug, Clone)]
pub(super) struct Wall(ZonedDateTime);

/// What a wall time means in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// One instant, UTC seconds.
    Once(i64),
    /// Two instants, of which this is the first, UTC seconds.
    FirstOfTwo(i64),
    /// None; this is the first instant after the gap, UTC seconds.
    AfterGap(i64),
}

impl Wall {
    /// The instant `second` (UTC seconds) in `zone`; `None` outside jiff's years.
    pub(super) fn of(second: i64, zone: &TimeZone) -> Option<Self> {
        Some(Self(Timestamp::from_second(second).ok()?.to_zoned_datetime(zone.clone())))
    }

    /// UTC seconds.
    pub(super) fn second(&self) -> i64 {
        self.0.timestamp().as_second()
    }

    /// What the clock shows.
    pub(super) fn shown(&self) -> DateTime {
        self.0.datetime()
    }

    /// Whether the clock shows this time once more, later or before.
    pub(super) fn comes_twice(&self) -> bool {
        let ambiguous = self.0.time_zone().to_ambiguous_timestamp(self.shown());
        matches!(ambiguous.offset(), AmbiguousOffset::Fold { .. })
    }

    /// RFC 3339 with the zone's offset.
    pub(super) fn rfc3339(&self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}

/// What the wall time `shown` means in `zone`; `None` outside jiff's years.
pub(super) fn meaning(shown: DateTime, zone: &TimeZone) -> Option<Meaning> {
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    Some(match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => Meaning::Once(offset.to_timestamp(shown).ok()?.as_second()),
        AmbiguousOffset::Fold { before, .. } => Meaning::FirstOfTwo(before.to_timestamp(shown).ok()?.as_second()),
        AmbiguousOffset::Gap { before, after } => {
            // The clock changes after the instant that the later offset gives, and not after that of the earlier one.
            let from = after.to_timestamp(shown).ok()?;
            let until = before.to_timestamp(shown).ok()?;
            let changes = zone.following(from).take_while(|change| change.timestamp() <= until);
            let change = changes.filter(|change| change.offset() == after).last();
            Meaning::AfterGap(change.map_or(until, |change| change.timestamp()).as_second())
        }
    })
}

fn to_jiff(civil: CivilDateTime) -> Result<DateTime, CronError> {
    let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
    let small = |part: u32| i8::try_from(part).map_err(|_| CronError::InvalidDate);
    let (month, day) = (small(civil.month())?, small(civil.day())?);
    let (hour, minute, second) = (small(civil.hour())?, small(civil.minute())?, small(civil.second())?);
    DateTime::new(year, month, day, hour, minute, second, 0).map_err(|_| CronError::InvalidDate)
}

impl CronDateTime for Wall {
    fn to_civil(&self) -> CivilDateTime {
        let shown = self.shown();
        let part = |part: i8| u32::from(part.unsigned_abs());
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(i32::from(shown.year()), part(shown.month()), part(shown.day())),
            CivilTime::from_parts_unchecked(part(shown.hour()), part(shown.minute()), part(shown.second())),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::from(self.0.weekday().to_sunday_zero_offset().unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let ambiguous = self.0.time_zone().to_ambiguous_zoned_datetime(to_jiff(civil)?);
        let resolved = |found: Result<ZonedDateTime, jiff::Error>| found.map(Self).map_err(|_| CronError::InvalidTime);
        Ok(match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => Resolution::Single(resolved(ambiguous.unambiguous())?),
            AmbiguousOffset::Fold { .. } => {
                Resolution::Ambiguous(resolved(ambiguous.clone().earlier())?, resolved(ambiguous.later())?)
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}
