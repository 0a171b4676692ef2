//! To be replaced.
use super::*;
use crate::interval::Interval;
impl SmaCrossover {
    pub fn faults(&self) -> Vec<(&'static str, String)> { Vec::new() }
    pub fn min_candles(&self) -> u64 { 0 }
}
impl MeanReversion {
    pub fn faults(&self) -> Vec<(&'static str, String)> { Vec::new() }
    pub fn min_candles(&self) -> u64 { 0 }
}
impl Grouping {
    pub fn fits(self, _: Interval) -> bool { true }
    pub const ALL: [Self; 9] = [
        Self::MinuteOfHour, Self::Hour, Self::Weekday, Self::HourOfWeek, Self::DayOfMonth, Self::TurnOfMonth, Self::Month, Self::Quarter, Self::Session,
    ];
    pub const fn as_str(self) -> &'static str { "" }
}
