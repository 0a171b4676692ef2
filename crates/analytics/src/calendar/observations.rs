//! Observations: whole stretches of time, with what is measured of each.

use super::boundaries::{Offsets, boundaries};
use super::fold::{Folded, Source, fold};
use crate::candles::Candles;
use crate::control::{Control, Stopped};
use candlemill_shared::study::{Measure, ObservationUnit};
use candlemill_shared::{Interval, TimeRange, ZoneName};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use std::collections::BTreeMap;

/// Whole observations of one length, oldest first.
#[derive(Debug, Default)]
pub(super) struct Observations {
    /// Starts, UTC ms.
    pub(super) starts: Vec<i64>,
    /// What local time is ahead of UTC at each start, ms.
    pub(super) offsets: Vec<i64>,
    /// Which observation since the first one: sessions are told by it.
    pub(super) places: Vec<u32>,
    /// End of the last one, UTC ms.
    pub(super) end: i64,
    /// Observations between the first and the last candle that are not whole.
    pub(super) incomplete: u64,
    returns: Vec<f64>,
    ranges: Vec<f64>,
    volumes: Vec<f64>,
}

impl Observations {
    /// The measure of observation `at`; `None`: its return would span a gap.
    pub(super) fn measure(&self, measure: Measure, at: usize) -> Option<f64> {
        let value = match measure {
            Measure::Return => self.returns[at],
            Measure::AbsoluteReturn => self.returns[at].abs(),
            Measure::Range => self.ranges[at],
            Measure::Volume => self.volumes[at],
        };
        (!value.is_nan()).then_some(value)
    }
}

/// Makes observations of candles, and keeps the folded candles of which longer observations are made.
#[derive(Debug)]
pub(super) struct Observer<'a> {
    candles: &'a Candles,
    zone: &'a ZoneName,
    /// From the first open to the close of the last candle.
    range: TimeRange,
    folded: BTreeMap<ObservationUnit, (Vec<i64>, Folded)>,
}

impl<'a> Observer<'a> {
    pub(super) fn of(candles: &'a Candles, zone: &'a ZoneName) -> Self {
        let times = candles.open_times();
        let range = match (times.first(), times.last()) {
            (Some(&first), Some(&last)) => TimeRange::new(first, candles.interval().next_bucket(last)),
            _ => TimeRange::new(0, 0),
        };
        Self { candles, zone, range, folded: BTreeMap::new() }
    }

    /// All whole observations of a length.
    pub(super) fn observe(&mut self, unit: ObservationUnit, control: &impl Control) -> Result<Observations, Stopped> {
        let interval = self.candles.interval();
        if self.candles.is_empty() {
            return Ok(Observations::default());
        }
        if unit == ObservationUnit::Minute && interval >= Interval::Minute1 {
            let missing = interval.count(self.range).saturating_sub(self.candles.len() as u64);
            let starts = self.candles.open_times().to_vec();
            return self.measured(
                Source::candles(self.candles),
                Whole { starts, places: None, rows: None },
                missing,
                control,
            );
        }
        self.fold(unit, control)?;
        let Some((boundaries, folded)) = self.folded.get(&unit) else { return Ok(Observations::default()) };
        let source = folded.source();
        let candles = source.candles.unwrap_or_default();
        let (mut starts, mut places, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for (row, &place) in folded.place.iter().enumerate() {
            let at = place as usize;
            if u64::from(candles[row]) == interval.count(TimeRange::new(boundaries[at], boundaries[at + 1])) {
                starts.push(boundaries[at]);
                places.push(place);
                rows.push(row);
            }
        }
        let (from, to) = (folded.place.first().copied().unwrap_or(0), folded.place.last().copied().unwrap_or(0));
        // A stretch so short that no candle can open in it lacks none.
        let possible = (from..=to)
            .map(|place| place as usize)
            .filter(|place| interval.count(TimeRange::new(boundaries[*place], boundaries[*place + 1])) > 0);
        let incomplete = possible.count().saturating_sub(rows.len()) as u64;
        self.measured(source, Whole { starts, places: Some(places), rows: Some(rows) }, incomplete, control)
    }

    /// Days are folded from hours, months and quarters from days: their boundaries are boundaries of those, too.
    fn fold(&mut self, unit: ObservationUnit, control: &impl Control) -> Result<(), Stopped> {
        if self.folded.contains_key(&unit) {
            return Ok(());
        }
        let below = match unit {
            ObservationUnit::Day if self.candles.interval() < Interval::Hour1 => Some(ObservationUnit::Hour),
            ObservationUnit::Month | ObservationUnit::Quarter if self.candles.interval() < Interval::Day1 => {
                Some(ObservationUnit::Day)
            }
            _ => None,
        };
        if let Some(below) = below {
            self.fold(below, control)?;
        }
        let boundaries = boundaries(unit, self.zone.zone(), self.range, control)?;
        let source = match below.and_then(|below| self.folded.get(&below)) {
            Some((_, folded)) => folded.source(),
            None => Source::candles(self.candles),
        };
        let folded = fold(source, &boundaries, control)?;
        self.folded.insert(unit, (boundaries, folded));
        Ok(())
    }

    /// The measures of the rows of `source` that are whole.
    fn measured(
        &self,
        source: Source<'_>,
        whole: Whole,
        incomplete: u64,
        control: &impl Control,
    ) -> Result<Observations, Stopped> {
        let interval = self.candles.interval();
        let count = whole.starts.len();
        let row = |at: usize| whole.rows.as_ref().map_or(at, |rows| rows[at]);
        let column = |of: &(dyn Fn(usize) -> f64 + Sync)| -> Result<Vec<f64>, Stopped> {
            control.may_go_on()?;
            Ok((0..count).into_par_iter().with_min_len(1 << 14).map(|at| of(row(at))).collect())
        };
        let returns = column(&|row| match row.checked_sub(1) {
            Some(before) if interval.next_bucket(source.last[before]) == source.first[row] => {
                (source.close[row] / source.close[before]).ln()
            }
            _ => f64::NAN,
        })?;
        let ranges = column(&|row| (source.high[row] / source.low[row]).ln())?;
        let volumes = column(&|row| source.volume[row])?;
        let end = count.checked_sub(1).map_or(0, |last| interval.next_bucket(source.last[row(last)]));
        let offsets = Offsets::of(self.zone.zone(), TimeRange::new(whole.starts.first().copied().unwrap_or(0), end))
            .column(&whole.starts);
        let places = whole.places.unwrap_or_default();
        Ok(Observations { starts: whole.starts, offsets, places, end, incomplete, returns, ranges, volumes })
    }
}

/// Rows that are whole observations; without a list of rows all are.
struct Whole {
    starts: Vec<i64>,
    places: Option<Vec<u32>>,
    rows: Option<Vec<usize>>,
}
