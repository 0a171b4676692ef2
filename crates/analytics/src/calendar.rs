//! Calendar effects: whether returns, ranges and volume depend on the hour, the weekday, the month and so on.
//!
//! # Observations
//! An observation has the length of its bucket: a minute (or a candle, where that is longer), an hour, a session, a local day, a month,
//! a quarter. Candles are folded into it: close of the last, highest high, lowest low, summed volume. A candle belongs to the
//! observation in which it opens; where a zone's hours or days begin between two opens of the candles (India's hours with
//! hourly candles, New York's days with daily ones), the last candle of an observation reaches into the next. Clocks that change make days of
//! 23 and 25 hours, whole with their own number of candles.
//!
//! An observation counts if all of its candles are there, so the first and the last of the range count only if the range holds all of
//! them. A return is ln(close/close of the candle directly before the observation), and there is none after a missing candle. Candles
//! without a trade are candles like others.
//!
//! # Measures
//! Returns are tested as they are. Absolute return, range ln(high/low) and volume are tested as share of the mean of their unit, the next
//! longer stretch (see [`Grouping::unit`]): a trend over the years is not a season. Sessions, months and quarters are not equally long: the
//! longer ones have more volume and a wider range for that alone.
//!
//! # Tests
//! See `stats`: HAC t of each bucket against the rest, over the sequence of observations that count; intervals by the
//! stationary bootstrap over whole units, with one mean block length for each grouping and measure: the mean of what Politis and White's rule
//! gives for each bucket's series of the units' parts in its difference (not for the units' means, since those of shares are all 1).

mod analysis;
mod boundaries;
mod buckets;
mod fold;
mod observations;
mod sample;
mod verdict;
mod work;

use crate::candles::Candles;
use crate::control::{Control, Stopped};
use analysis::Analysis;
use boundaries::{DAY, HOUR};
use buckets::{Buckets, units};
use candlemill_shared::study::{CalendarReport, CalendarStudy, Grouping, Measure, ObservationUnit};
use candlemill_shared::{TimeRange, ZoneName};
use observations::{Observations, Observer};
use sample::Sample;
use std::collections::BTreeMap;
use work::{Work, analysis_cost, draw_cost};

/// The calendar effects in `candles`, in local time of `zone`. Groupings that do not fit the candles' interval are left out; the
/// caller refuses them before. The bootstrap draws `draws` times; 0: no intervals. Equal arguments give equal results.
///
/// # Errors
/// [`Stopped`] by `control`.
pub fn study(
    candles: &Candles,
    request: &CalendarStudy,
    zone: &ZoneName,
    draws: u32,
    seed: u64,
    control: &impl Control,
) -> Result<CalendarReport, Stopped> {
    let interval = candles.interval();
    let mut groupings = request.groupings.clone().unwrap_or_else(|| Grouping::defaults(interval));
    groupings.retain(|grouping| grouping.fits(interval));
    let measures = request.measures.clone().unwrap_or_else(|| Measure::ALL.to_vec());
    let work = Work::of(control, foreseen(candles, &groupings, measures.len() as u64, draws));
    control.may_go_on()?;
    let mut observer = Observer::of(candles, zone);
    let mut reports = BTreeMap::new();
    // One length of observations after the other, so that those of only one are in memory.
    let mut lengths: Vec<ObservationUnit> = groupings.iter().map(|grouping| grouping.observation()).collect();
    lengths.sort_unstable();
    lengths.dedup();
    for length in lengths {
        let observations = observer.observe(length, control)?;
        work.done(candles.len() as u64 / 2);
        for (place, grouping) in groupings.iter().enumerate().filter(|(_, grouping)| grouping.observation() == length) {
            let buckets = Buckets::of(*grouping, interval, &observations);
            let units = units(*grouping, &observations);
            for (order, measure) in measures.iter().enumerate() {
                let report = one(&observations, &buckets, &units, (*grouping, *measure), (draws, seed), &work)?;
                reports.insert((place, order), report);
            }
        }
    }
    let mut groupings: Vec<_> = reports.into_values().collect();
    verdict::decide(&mut groupings, draws);
    work.all_done()?;
    Ok(CalendarReport { rule: verdict::rule(draws), groupings })
}

/// The report on one measure by one grouping.
fn one<C: Control>(
    observations: &Observations,
    buckets: &Buckets,
    units: &[i64],
    (grouping, measure): (Grouping, Measure),
    (draws, seed): (u32, u64),
    work: &Work<'_, C>,
) -> Result<candlemill_shared::study::GroupingReport, Stopped> {
    let sample = Sample::of(measure, observations, &buckets.codes, units);
    Analysis { grouping, measure, buckets, incomplete: observations.incomplete, draws, seed }.run(&sample, work)
}

/// Steps of a study, from the time that the candles span.
fn foreseen(candles: &Candles, groupings: &[Grouping], measures: u64, draws: u32) -> u64 {
    let times = candles.open_times();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return 1 };
    let span = u64::try_from(last - first).unwrap_or(0);
    let of = |unit: ObservationUnit| -> u64 {
        let length = match unit {
            ObservationUnit::Minute => {
                return candles.interval().count(TimeRange::new(*first, *last)).min(span / 60_000);
            }
            ObservationUnit::Hour => HOUR,
            ObservationUnit::Session => DAY / 4,
            ObservationUnit::Day => DAY,
            ObservationUnit::Week => 7 * DAY,
            ObservationUnit::Month => 30 * DAY,
            ObservationUnit::Quarter => 91 * DAY,
            ObservationUnit::Year => 365 * DAY,
        };
        span / length.unsigned_abs()
    };
    let lengths: std::collections::BTreeSet<_> = groupings.iter().map(|grouping| grouping.observation()).collect();
    let folding = lengths.len() as u64 * (candles.len() as u64 / 2);
    let analysing: u64 = groupings
        .iter()
        .map(|grouping| {
            let cells = match grouping {
                Grouping::MinuteOfHour => 60,
                Grouping::Hour => 24,
                Grouping::HourOfWeek => 168,
                Grouping::DayOfMonth => 31,
                Grouping::Month => 12,
                Grouping::Weekday => 7,
                Grouping::TurnOfMonth => 5,
                Grouping::Quarter | Grouping::Session => 4,
            };
            measures
                * (analysis_cost(of(grouping.observation())) + draw_cost(of(grouping.unit()), cells) * u64::from(draws))
        })
        .sum();
    (folding + analysing).max(1)
}
