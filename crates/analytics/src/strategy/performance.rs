//! Figures of a curve of worth.

use super::account::Holding;
use super::rows::ROWS_PER_STEP;
use super::sum::Sum;
use crate::candles::Candles;
use crate::control::{Control, Stopped};
use candlemill_shared::Interval;
use candlemill_shared::study::Performance;
use std::ops::Range;

/// Milliseconds of a year of 365.25 days.
const YEAR_MS: f64 = 365.25 * 86_400_000.0;

/// Milliseconds from which on a growth is told by the year: that of a few days, compounded, is no figure of a year (90 days).
const MIN_GROWTH_MS: i64 = 90 * 86_400_000;

/// When a position was held.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entered<'a> {
    /// During these.
    By(&'a [Holding]),
    /// From the open of this row on.
    Held(Option<usize>),
}

/// A curve of worth and how it came about.
#[derive(Debug)]
pub(super) struct Measured<'a> {
    pub(super) candles: &'a Candles,
    /// Worth at each close; 1 before the first.
    pub(super) equity: &'a [f64],
    pub(super) entered: Entered<'a>,
}

/// Deepest fall of a curve: rows of its peak, its lowest point, and of the return to the peak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drawdown {
    /// Share of the peak that was lost; above 0.
    pub(super) depth: f64,
    pub(super) peak: usize,
    pub(super) trough: usize,
    pub(super) recovered: Option<usize>,
}

impl Measured<'_> {
    /// Figures of the candles in `rows` (rule 9); none where there are none.
    pub(super) fn phase(&self, rows: Range<usize>, control: &impl Control) -> Result<Option<Performance>, Stopped> {
        if rows.is_empty() {
            return Ok(None);
        }
        let times = self.candles.open_times();
        let (from, to) = (times[rows.start], self.candles.interval().next_bucket(times[rows.end - 1]));
        let before = rows.start.checked_sub(1).map_or(1.0, |row| self.equity[row]);
        let growth = if before > 0.0 { self.equity[rows.end - 1] / before } else { 1.0 };
        let moments = Moments::of(before, &self.equity[rows.clone()], control)?;
        let annual = candles_a_year(self.candles.interval()).sqrt();
        let drawdown = drawdown(before, self.equity, rows.clone(), control)?;
        let time = |row: usize| times[row].into();
        let (exposed, results) = self.entered.during(&rows);
        Ok(Some(Performance {
            from: from.into(),
            to: to.into(),
            candles: rows.len() as u64,
            total_return: growth.min(f64::MAX) - 1.0,
            cagr: (before > 0.0 && to - from >= MIN_GROWTH_MS)
                .then(|| growth.powf(YEAR_MS / (to - from) as f64) - 1.0)
                .and_then(number),
            volatility: moments.deviation.map(|deviation| deviation * annual).and_then(number),
            sharpe: moments.deviation.and_then(|deviation| number(moments.mean / deviation * annual)),
            sortino: number(moments.mean / moments.losses * annual),
            max_drawdown: drawdown.map_or(0.0, |fall| fall.depth),
            drawdown_from: drawdown.map(|fall| time(fall.peak)),
            drawdown_to: drawdown.map(|fall| time(fall.trough)),
            recovered_at: drawdown.and_then(|fall| fall.recovered).map(time),
            exposure: exposed as f64 / rows.len() as f64,
            trades: results.trades,
            win_rate: number(results.wins as f64 / results.trades as f64),
            profit_factor: number(results.gained.value() / results.lost.value()),
        }))
    }
}

/// The figure, unless it is none.
fn number(figure: f64) -> Option<f64> {
    figure.is_finite().then_some(figure)
}

/// Candles of a year of 365.25 days; of months 12.
pub(super) fn candles_a_year(interval: Interval) -> f64 {
    match interval {
        Interval::Month1 => 12.0,
        // Every other interval has one length.
        _ => YEAR_MS / (interval.next_bucket(0) - interval.bucket_start(0)) as f64,
    }
}

/// Closed trades of a phase.
#[derive(Debug, Default)]
struct Results {
    trades: u64,
    wins: u64,
    /// Money that winning trades earned, in units of the first stake.
    gained: Sum,
    /// Money that losing trades lost.
    lost: Sum,
}

impl Entered<'_> {
    /// Candles in `rows` at whose close a position was held, and the trades that were closed in them.
    fn during(self, rows: &Range<usize>) -> (usize, Results) {
        let mut results = Results::default();
        let holdings = match self {
            Self::Held(bought) => {
                let held = bought.map_or(0, |bought| rows.end.saturating_sub(bought.max(rows.start)));
                return (held, results);
            }
            Self::By(holdings) => holdings,
        };
        let mut exposed = 0;
        for holding in holdings {
            let (start, end) = (holding.opened.max(rows.start), holding.held_until.min(rows.end));
            exposed += end.saturating_sub(start);
            if holding.trade.open || !rows.contains(&holding.closed) {
                continue;
            }
            let earned = holding.stake * holding.trade.net_return;
            results.trades += 1;
            if earned > 0.0 {
                results.wins += 1;
                results.gained.add(earned);
            } else {
                results.lost.add(-earned);
            }
        }
        (exposed, results)
    }
}

/// Moments of the returns from close to close.
#[derive(Debug)]
struct Moments {
    mean: f64,
    /// With n − 1 below the line; none of fewer than two returns, or where all are equal.
    deviation: Option<f64>,
    /// Root of the mean square of the returns below 0.
    losses: f64,
}

impl Moments {
    /// Of the curve `equity` after worth `before`, in two passes.
    fn of(before: f64, equity: &[f64], control: &impl Control) -> Result<Self, Stopped> {
        let (mut sum, mut losses) = (Sum::default(), Sum::default());
        each_return(before, equity, control, |change| {
            sum.add(change);
            losses.add(if change < 0.0 { change * change } else { 0.0 });
        })?;
        let n = equity.len() as f64;
        let mean = sum.value() / n;
        let mut squares = Sum::default();
        each_return(before, equity, control, |change| squares.add((change - mean) * (change - mean)))?;
        let deviation = (squares.value() / (n - 1.0)).sqrt();
        Ok(Self { mean, deviation: (deviation > 0.0).then_some(deviation), losses: (losses.value() / n).sqrt() })
    }
}

/// Calls `with` with each return; one from nothing is 0.
fn each_return(
    mut before: f64,
    equity: &[f64],
    control: &impl Control,
    mut with: impl FnMut(f64),
) -> Result<(), Stopped> {
    for (row, worth) in equity.iter().enumerate() {
        if row % ROWS_PER_STEP == 0 {
            control.may_go_on()?;
        }
        with(if before > 0.0 { worth / before - 1.0 } else { 0.0 });
        before = *worth;
    }
    Ok(())
}

/// The deepest fall of `equity` in `rows`, the first of equally deep ones. Worth `before` counts as peak in the first row.
pub(super) fn drawdown(
    before: f64,
    equity: &[f64],
    rows: Range<usize>,
    control: &impl Control,
) -> Result<Option<Drawdown>, Stopped> {
    let (mut highest, mut at) = (before, rows.start);
    let mut deepest: Option<(Drawdown, f64)> = None;
    for row in rows {
        if row % ROWS_PER_STEP == 0 {
            control.may_go_on()?;
        }
        let worth = equity[row];
        if let Some((fall, peak)) = &mut deepest
            && fall.recovered.is_none()
            && worth >= *peak
        {
            fall.recovered = Some(row);
        }
        if worth > highest {
            (highest, at) = (worth, row);
        }
        let depth = 1.0 - worth / highest;
        if depth > deepest.map_or(0.0, |(fall, _)| fall.depth) {
            deepest = Some((Drawdown { depth, peak: at, trough: row, recovered: None }, highest));
        }
    }
    Ok(deepest.map(|(fall, _)| fall))
}
