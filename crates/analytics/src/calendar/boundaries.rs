//! Where observations begin.

use crate::control::{Control, Stopped};
use candlemill_shared::study::ObservationUnit;
use candlemill_shared::{TimeRange, ZoneName};
use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan};

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// Boundaries between two questions whether to go on.
const BETWEEN_QUESTIONS: usize = 1 << 12;

/// Offsets of a zone over a range: from when on (UTC ms), and milliseconds that local time is ahead of UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offsets(Vec<(i64, i64)>);

impl Offsets {
    /// Those of `zone` in `range`. Changes of the zone's rules that leave the offset alone are none.
    pub(super) fn of(zone: &TimeZone, range: TimeRange) -> Self {
        let Ok(start) = Timestamp::from_millisecond(range.start) else { return Self(vec![(range.start, 0)]) };
        let ms = |offset: Offset| i64::from(offset.seconds()) * 1_000;
        let mut offsets = vec![(range.start, ms(zone.to_offset(start)))];
        for change in zone.following(start).take_while(|change| change.timestamp().as_millisecond() < range.end) {
            let offset = ms(change.offset());
            if offsets.last().is_some_and(|last| last.1 != offset) {
                offsets.push((change.timestamp().as_millisecond(), offset));
            }
        }
        Self(offsets)
    }

    /// The offset of each of some ascending instants of the range, ms: a column to be added to UTC.
    pub(super) fn column(&self, instants: &[i64]) -> Vec<i64> {
        let mut current = 0;
        instants
            .iter()
            .map(|at| {
                while self.0.get(current + 1).is_some_and(|next| next.0 <= *at) {
                    current += 1;
                }
                self.0.get(current).map_or(0, |found| found.1)
            })
            .collect()
    }
}

/// Starts (UTC ms, ascending) of the observations that meet `range`, and the end of the last one. The first session is Asia's.
///
/// Hours are those of local clocks, cut where the clocks change. A day, month or quarter begins with the first instant of its first
/// local date, so that a day may have 23 or 25 hours.
pub(super) fn boundaries(
    unit: ObservationUnit,
    zone: &TimeZone,
    range: TimeRange,
    control: &impl Control,
) -> Result<Vec<i64>, Stopped> {
    let mut found = Vec::new();
    match unit {
        ObservationUnit::Minute => {
            every(&mut found, range.start.div_euclid(MINUTE) * MINUTE, range.end, MINUTE, control)?;
        }
        ObservationUnit::Hour => hours(&mut found, zone, range, control)?,
        ObservationUnit::Session => sessions(&mut found, range, control)?,
        ObservationUnit::Day => dates(&mut found, zone, range, |date| date, 0, control)?,
        ObservationUnit::Month => dates(&mut found, zone, range, Date::first_of_month, 1, control)?,
        ObservationUnit::Quarter => dates(&mut found, zone, range, first_of_quarter, 3, control)?,
        // Of units only; no grouping observes them.
        ObservationUnit::Week | ObservationUnit::Year => {}
    }
    Ok(found)
}

/// `start` and every `step` after it, to the first that is not before `end`.
fn every(found: &mut Vec<i64>, start: i64, end: i64, step: i64, control: &impl Control) -> Result<(), Stopped> {
    let mut at = start;
    while at < end {
        ask(found, control)?;
        found.push(at);
        at += step;
    }
    found.push(at);
    Ok(())
}

fn hours(found: &mut Vec<i64>, zone: &TimeZone, range: TimeRange, control: &impl Control) -> Result<(), Stopped> {
    let reach = TimeRange::new(range.start - HOUR, range.end + HOUR);
    let offsets = Offsets::of(zone, reach);
    for (index, &(from, offset)) in offsets.0.iter().enumerate() {
        let until = offsets.0.get(index + 1).map_or(reach.end, |next| next.0);
        let full = (from + offset).div_euclid(HOUR) * HOUR - offset;
        if full < from {
            found.push(from);
        }
        let mut at = if full < from { full + HOUR } else { full };
        while at < until {
            ask(found, control)?;
            found.push(at);
            at += HOUR;
        }
    }
    // The reach is wider than the range by more than the hour about each of its ends.
    found.push(reach.end + HOUR);
    let first = found.partition_point(|at| *at <= range.start).saturating_sub(1);
    found.drain(..first);
    let last = found.partition_point(|at| *at < range.end);
    found.truncate(last + 1);
    Ok(())
}

/// The zone of an exchange.
pub(super) fn zone_of(name: &str) -> TimeZone {
    name.parse::<ZoneName>().map_or(TimeZone::UTC, |zone| zone.zone().clone())
}

/// Openings of Tokyo, London and New York, and the close of New York, of each date: ascending, since Tokyo's 09:00 is 00:00 UTC.
fn sessions(found: &mut Vec<i64>, range: TimeRange, control: &impl Control) -> Result<(), Stopped> {
    let times = [
        (zone_of("Asia/Tokyo"), Time::constant(9, 0, 0, 0)),
        (zone_of("Europe/London"), Time::constant(8, 0, 0, 0)),
        (zone_of("America/New_York"), Time::constant(9, 30, 0, 0)),
        (zone_of("America/New_York"), Time::constant(16, 0, 0, 0)),
    ];
    let mut date = local_date(&TimeZone::UTC, range.start);
    while found.last().is_none_or(|last| *last < range.end) {
        ask(found, control)?;
        for (zone, time) in &times {
            if let Ok(at) = zone.to_timestamp(date.to_datetime(*time)) {
                found.push(at.as_millisecond());
            }
        }
        let Ok(next) = date.tomorrow() else { break };
        date = next;
    }
    let last = found.partition_point(|at| *at < range.end);
    found.truncate(last + 1);
    Ok(())
}

/// First instants of the dates `first(…)` and every `months` after it (0: every day).
fn dates(
    found: &mut Vec<i64>,
    zone: &TimeZone,
    range: TimeRange,
    first: impl Fn(Date) -> Date,
    months: i32,
    control: &impl Control,
) -> Result<(), Stopped> {
    let mut date = first(local_date(zone, range.start));
    loop {
        ask(found, control)?;
        // Of a midnight that the clocks skip, the first instant after; of one that they show twice, the first.
        let Ok(start) = zone.to_timestamp(date.to_datetime(Time::midnight())) else { break };
        let start = start.as_millisecond();
        // A date that the zone skipped begins where the next one does.
        if found.last().is_none_or(|last| *last < start) {
            found.push(start);
        }
        if start >= range.end {
            break;
        }
        let next = if months == 0 { date.tomorrow() } else { date.checked_add(months.months()) };
        let Ok(next) = next else { break };
        date = next;
    }
    Ok(())
}

/// The date of `at` (UTC ms) in `zone`.
fn local_date(zone: &TimeZone, at: i64) -> Date {
    Timestamp::from_millisecond(at).map(|at| zone.to_datetime(at).date()).unwrap_or_default()
}

/// The date of an instant that is already local (ms).
pub(super) fn date_of(local: i64) -> Date {
    local_date(&TimeZone::UTC, local)
}

fn first_of_quarter(date: Date) -> Date {
    Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1).unwrap_or(date)
}

fn ask(found: &[i64], control: &impl Control) -> Result<(), Stopped> {
    if found.len().is_multiple_of(BETWEEN_QUESTIONS) { control.may_go_on() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ToTheEnd;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    /// Lengths in hours of the observations that meet the range.
    fn check(unit: ObservationUnit, zone: &str, from: &str, to: &str, hours: &[f64]) {
        let range = TimeRange::new(ms(from), ms(to));
        let found = boundaries(unit, &zone_of(zone), range, &ToTheEnd).unwrap();
        assert!(found[0] <= range.start && *found.last().unwrap() >= range.end, "{zone} {from}");
        let lengths: Vec<f64> = found.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / HOUR as f64).collect();
        assert_eq!(lengths, hours, "{zone} {from}");
    }

    #[test]
    fn days_are_as_long_as_the_clocks_make_them() {
        let day = ObservationUnit::Day;
        check(day, "UTC", "2024-02-28T00:00:00Z", "2024-03-01T00:00:00Z", &[24.0, 24.0]);
        check(day, "Europe/Berlin", "2024-03-30T23:00:00Z", "2024-04-01T00:00:00Z", &[23.0, 24.0]);
        check(day, "Europe/Berlin", "2024-10-26T22:30:00Z", "2024-10-27T22:00:00Z", &[25.0]);
        // Clocks that skip midnight, and a date that the islands skipped.
        check(day, "America/Havana", "2024-03-10T05:00:00Z", "2024-03-10T06:00:00Z", &[23.0]);
        check(day, "Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-31T00:00:00Z", &[24.0, 24.0]);
        check(ObservationUnit::Month, "UTC", "2024-02-10T00:00:00Z", "2024-02-11T00:00:00Z", &[29.0 * 24.0]);
        check(ObservationUnit::Quarter, "UTC", "2023-02-10T00:00:00Z", "2023-02-11T00:00:00Z", &[90.0 * 24.0]);
    }

    #[test]
    fn hours_follow_local_clocks() {
        let hour = ObservationUnit::Hour;
        check(hour, "Asia/Kolkata", "2024-01-01T00:00:00Z", "2024-01-01T00:31:00Z", &[1.0, 1.0]);
        check(hour, "Europe/Berlin", "2024-03-31T00:00:00Z", "2024-03-31T03:00:00Z", &[1.0, 1.0, 1.0]);
        check(hour, "Australia/Lord_Howe", "2024-04-06T14:30:00Z", "2024-04-06T16:00:00Z", &[1.0, 0.5, 1.0]);
    }

    #[test]
    fn sessions_follow_their_own_clocks() {
        let session = ObservationUnit::Session;
        check(session, "Asia/Tokyo", "2024-01-10T00:00:00Z", "2024-01-11T00:00:00Z", &[8.0, 6.5, 6.5, 3.0]);
        // America has changed its clocks, Europe has not.
        check(session, "UTC", "2024-03-12T01:00:00Z", "2024-03-12T21:00:00Z", &[8.0, 5.5, 6.5, 4.0]);
        check(session, "UTC", "2024-07-10T00:00:00Z", "2024-07-10T23:00:00Z", &[7.0, 6.5, 6.5, 4.0]);
    }
}
