//! Which bucket and which unit an observation belongs to.

use super::boundaries::{DAY, HOUR, MINUTE, date_of};
use super::observations::Observations;
use candlemill_shared::study::{Grouping, ObservationUnit};
use candlemill_shared::{Interval, TimeRange};

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The buckets of a grouping, and the bucket of each observation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Buckets {
    /// Names, in the order of the calendar.
    pub(super) names: Vec<String>,
    /// Bucket of each observation: index into the names.
    pub(super) codes: Vec<u8>,
    /// Observations of one cycle of the buckets.
    pub(super) cycle: usize,
}

impl Buckets {
    pub(super) fn of(grouping: Grouping, interval: Interval, observations: &Observations) -> Self {
        let codes = codes(grouping, observations);
        let cycle = match grouping {
            Grouping::MinuteOfHour => interval.count(TimeRange::new(0, HOUR)).clamp(1, 60) as usize,
            Grouping::Hour => 24,
            Grouping::Weekday => 7,
            Grouping::HourOfWeek => 7 * 24,
            Grouping::DayOfMonth | Grouping::TurnOfMonth => 31,
            Grouping::Month => 12,
            Grouping::Quarter | Grouping::Session => 4,
        };
        let buckets = Self { names: names(grouping), codes, cycle };
        if grouping == Grouping::MinuteOfHour && interval > Interval::Minute1 { buckets.occupied() } else { buckets }
    }

    /// Only the buckets that occur: candles of five minutes open in twelve of the sixty minutes.
    fn occupied(self) -> Self {
        let mut index = vec![None; self.names.len()];
        for &code in &self.codes {
            index[usize::from(code)] = Some(0_u8);
        }
        let mut names = Vec::new();
        for (code, name) in self.names.into_iter().enumerate() {
            if let Some(index) = &mut index[code] {
                *index = u8::try_from(names.len()).unwrap_or(u8::MAX);
                names.push(name);
            }
        }
        let codes = self.codes.into_iter().map(|code| index[usize::from(code)].unwrap_or_default()).collect();
        Self { names, codes, cycle: self.cycle }
    }
}

/// Every bucket's name.
fn names(grouping: Grouping) -> Vec<String> {
    match grouping {
        Grouping::MinuteOfHour => (0..60).map(|minute| format!("{minute:02}")).collect(),
        Grouping::Hour => (0..24).map(|hour| format!("{hour:02}")).collect(),
        Grouping::Weekday => WEEKDAYS.map(str::to_owned).to_vec(),
        Grouping::HourOfWeek => {
            WEEKDAYS.iter().flat_map(|day| (0..24).map(move |hour| format!("{day} {hour:02}"))).collect()
        }
        Grouping::DayOfMonth => (1..=31).map(|day| day.to_string()).collect(),
        Grouping::TurnOfMonth => ["-1", "+1", "+2", "+3", "other"].map(str::to_owned).to_vec(),
        Grouping::Month => MONTHS.map(str::to_owned).to_vec(),
        Grouping::Quarter => (1..=4).map(|quarter| format!("Q{quarter}")).collect(),
        Grouping::Session => ["asia", "europe", "us", "off"].map(str::to_owned).to_vec(),
    }
}

/// Bucket of each observation, by the local time at which it starts; of sessions, by its place.
fn codes(grouping: Grouping, observations: &Observations) -> Vec<u8> {
    let code = |local: i64| -> i64 {
        match grouping {
            Grouping::MinuteOfHour => local.div_euclid(MINUTE).rem_euclid(60),
            Grouping::Hour => local.div_euclid(HOUR).rem_euclid(24),
            Grouping::Weekday => weekday(local),
            Grouping::HourOfWeek => weekday(local) * 24 + local.div_euclid(HOUR).rem_euclid(24),
            Grouping::DayOfMonth => i64::from(date_of(local).day()) - 1,
            Grouping::TurnOfMonth => {
                let date = date_of(local);
                match date.day() {
                    day if day == date.days_in_month() => 0,
                    day @ 1..=3 => i64::from(day),
                    _ => 4,
                }
            }
            Grouping::Month => i64::from(date_of(local).month()) - 1,
            Grouping::Quarter => (i64::from(date_of(local).month()) - 1) / 3,
            Grouping::Session => 0,
        }
    };
    let narrow = |code: i64| u8::try_from(code).unwrap_or(u8::MAX);
    if grouping == Grouping::Session {
        return observations.places.iter().map(|place| narrow(i64::from(place % 4))).collect();
    }
    observations.starts.iter().zip(&observations.offsets).map(|(start, offset)| narrow(code(start + offset))).collect()
}

/// Days since Monday. 1970-01-01 was a Thursday.
fn weekday(local: i64) -> i64 {
    (local.div_euclid(DAY) + 3).rem_euclid(7)
}

/// A number for the unit of each observation: alike for those of one unit, different for neighbours.
pub(super) fn units(grouping: Grouping, observations: &Observations) -> Vec<i64> {
    let unit = |(start, offset): (&i64, &i64)| -> i64 {
        let local = start + offset;
        match grouping.unit() {
            // The second of two hours of one name, when clocks go back, starts at another instant.
            ObservationUnit::Hour => local.div_euclid(HOUR) * HOUR - offset,
            // Tokyo opens at 00:00 UTC.
            ObservationUnit::Day if grouping == Grouping::Session => start.div_euclid(DAY),
            ObservationUnit::Week => (local.div_euclid(DAY) + 3).div_euclid(7),
            ObservationUnit::Month => {
                let date = date_of(local);
                i64::from(date.year()) * 12 + i64::from(date.month())
            }
            ObservationUnit::Year => i64::from(date_of(local).year()),
            _ => local.div_euclid(DAY),
        }
    };
    observations.starts.iter().zip(&observations.offsets).map(unit).collect()
}
