//! Candles folded into observations: Polars frames, grouped by the observation in which a candle opens.

use crate::candles::Candles;
use crate::control::{Control, Stopped};
use polars::prelude::{ChunkedArray, Column, DataFrame, NamedFrom, PolarsNumericType, PolarsResult, Series};

/// Rows of one frame: small enough to be stopped between two of them, large enough that Polars' own work counts.
const ROWS_AT_ONCE: usize = 1 << 17;

/// Candles, or groups of them, as columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// Open time of the first candle, UTC ms.
    pub(super) first: &'a [i64],
    /// Open time of the last candle, UTC ms.
    pub(super) last: &'a [i64],
    /// Close of the last candle.
    pub(super) close: &'a [f64],
    /// Highest price.
    pub(super) high: &'a [f64],
    /// Lowest price.
    pub(super) low: &'a [f64],
    /// Summed volume.
    pub(super) volume: &'a [f64],
    /// Number of candles; absent: one each.
    pub(super) candles: Option<&'a [u32]>,
}

impl<'a> Source<'a> {
    pub(super) fn candles(candles: &'a Candles) -> Self {
        Self {
            first: candles.open_times(),
            last: candles.open_times(),
            close: candles.closes(),
            high: candles.highs(),
            low: candles.lows(),
            volume: candles.volumes(),
            candles: None,
        }
    }
}

/// Groups of candles. The open of the first is not kept: no measure wants it.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// Which observation: index into its boundaries, ascending.
    pub(super) place: Vec<u32>,
    first: Vec<i64>,
    last: Vec<i64>,
    close: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    volume: Vec<f64>,
    candles: Vec<u32>,
}

impl Folded {
    pub(super) fn source(&self) -> Source<'_> {
        Source {
            first: &self.first,
            last: &self.last,
            close: &self.close,
            high: &self.high,
            low: &self.low,
            volume: &self.volume,
            candles: Some(&self.candles),
        }
    }
}

/// Folds the rows of `source` that open between two of `boundaries` into one each. Observations without a candle have no row.
pub(super) fn fold(source: Source<'_>, boundaries: &[i64], control: &impl Control) -> Result<Folded, Stopped> {
    let mut folded = Folded::default();
    let (mut start, mut place) = (0, 0);
    while start < source.first.len() {
        control.may_go_on()?;
        // To the end of the observation in which the last row of the frame opens.
        let last = (start + ROWS_AT_ONCE).min(source.first.len()) - 1;
        let border = boundaries.partition_point(|boundary| *boundary <= source.first[last]);
        let end = boundaries
            .get(border)
            .map_or(source.first.len(), |border| start + source.first[start..].partition_point(|first| first < border));
        let places: Vec<u32> = source.first[start..end]
            .iter()
            .map(|first| {
                while boundaries.get(place + 1).is_some_and(|next| next <= first) {
                    place += 1;
                }
                u32::try_from(place).unwrap_or(u32::MAX)
            })
            .collect();
        sure(append(&mut folded, source, start..end, &places));
        start = end;
    }
    Ok(folded)
}

#[expect(
    deprecated,
    reason = "the planner and engines of lazy frames would be most of what is compiled, for one grouping"
)]
fn append(folded: &mut Folded, source: Source<'_>, rows: std::ops::Range<usize>, places: &[u32]) -> PolarsResult<()> {
    let candles = source.candles.map_or_else(|| vec![1_u32; rows.len()], |candles| candles[rows.clone()].to_vec());
    let floats = |name: &str, values: &[f64]| Column::from(Series::new(name.into(), &values[rows.clone()]));
    let frame = DataFrame::new(
        rows.len(),
        vec![
            Column::from(Series::new("place".into(), places)),
            Column::from(Series::new("first".into(), &source.first[rows.clone()])),
            Column::from(Series::new("last".into(), &source.last[rows.clone()])),
            floats("close", source.close),
            floats("high", source.high),
            floats("low", source.low),
            floats("volume", source.volume),
            Column::from(Series::new("candles".into(), candles)),
        ],
    )?;
    let groups = frame.group_by_stable(["place"])?;
    let of = |columns: &[&str]| groups.clone().select(columns.iter().copied());
    let (firsts, lasts) = (of(&["first"]).first()?, of(&["last", "close"]).last()?);
    let (highest, lowest) = (of(&["high"]).max()?, of(&["low"]).min()?);
    let sums = of(&["volume", "candles"]).sum()?;
    extend(&mut folded.place, firsts.column("place")?.u32()?);
    extend(&mut folded.first, firsts.column("first_first")?.i64()?);
    extend(&mut folded.last, lasts.column("last_last")?.i64()?);
    extend(&mut folded.close, lasts.column("close_last")?.f64()?);
    extend(&mut folded.high, highest.column("high_max")?.f64()?);
    extend(&mut folded.low, lowest.column("low_min")?.f64()?);
    extend(&mut folded.volume, sums.column("volume_sum")?.f64()?);
    extend(&mut folded.candles, sums.column("candles_sum")?.u32()?);
    Ok(())
}

fn extend<T: PolarsNumericType>(column: &mut Vec<T::Native>, grouped: &ChunkedArray<T>) {
    column.extend(grouped.into_no_null_iter());
}

/// What a query over columns of fixed names and types gives: it can't fail for what is in them.
fn sure<T>(result: PolarsResult<T>) -> T {
    match result {
        Ok(value) => value,
        Err(why) => unreachable!("Polars refuses to fold candles: {why}"),
    }
}
