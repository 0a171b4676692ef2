//! Which rows one call is answered with.

use super::error::MarketError;
use super::row_text::{candle_of, forming, row_of};
use super::series::Series;
use bytes::Bytes;
use candlemill_shared::TimeRange;
use candlemill_shared::range::subtract;
use std::ops::Range;

/// What a call asks for, in open times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// First open time; `None` asks for the latest rows.
    pub(crate) start: Option<i64>,
    /// Last open time, inclusive.
    pub(crate) end: Option<i64>,
    /// Most rows.
    pub(crate) limit: usize,
    /// The exchange's now: later rows do not exist yet.
    pub(crate) now: i64,
}

/// The rows to serve, as index ranges, ascending.
pub(crate) fn choose(series: &Series, window: Window, outages: &[TimeRange]) -> Result<Vec<Range<usize>>, MarketError> {
    let Some(first_open) = series.first_open()? else { return Ok(Vec::new()) };
    // Rule 5: a row exists from its first millisecond on.
    let last = window.end.map_or(window.now, |end| end.min(window.now));
    let wanted = TimeRange::new(window.start.unwrap_or(first_open).max(first_open), last.saturating_add(1));
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // Rule 6: rows of an outage do not count.
    let mut parts = Vec::new();
    for range in subtract(wanted, outages) {
        parts.push(series.position(range.start)?..series.position(range.end)?);
    }
    Ok(limited(parts, window.limit, window.start.is_some()))
}

/// The first (or last) `limit` indices of `parts`.
fn limited(mut parts: Vec<Range<usize>>, limit: usize, oldest: bool) -> Vec<Range<usize>> {
    if !oldest {
        parts.reverse();
    }
    let mut left = limit;
    for part in &mut parts {
        let take = part.len().min(left);
        *part = if oldest { part.start..part.start + take } else { part.end - take..part.end };
        left -= take;
    }
    parts.retain(|part| !part.is_empty());
    if !oldest {
        parts.reverse();
    }
    parts
}

/// The chosen rows as the body's pieces: `[`, rows, commas, `]`.
pub(crate) fn print(series: &Series, chosen: &[Range<usize>], now: i64) -> Result<Vec<Bytes>, MarketError> {
    let mut pieces = vec![Bytes::from_static(b"[")];
    for range in chosen {
        for (rows, part) in series.pieces(range)? {
            if pieces.len() > 1 {
                pieces.push(Bytes::from_static(b","));
            }
            let last = part.end - 1;
            // Rule 5: only the newest row can still be forming.
            if rows.close(last) < now {
                pieces.push(rows.text(part));
                continue;
            }
            if part.start < last {
                pieces.push(rows.text(part.start..last));
                pieces.push(Bytes::from_static(b","));
            }
            pieces.push(printed_forming(&rows.text(last..part.end)));
        }
    }
    pieces.push(Bytes::from_static(b"]"));
    Ok(pieces)
}

fn printed_forming(row: &Bytes) -> Bytes {
    let parsed = serde_json::from_slice(row).ok().and_then(|row| candle_of(&row));
    parsed.map_or_else(|| row.clone(), |candle| row_of(&forming(&candle)).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranges as pairs of start and end.
    fn check(parts: &[(usize, usize)], limit: usize, oldest: bool, expected: &[(usize, usize)]) {
        let given = parts.iter().map(|(start, end)| *start..*end).collect();
        let got: Vec<_> = limited(given, limit, oldest).into_iter().map(|part| (part.start, part.end)).collect();
        assert_eq!(got, expected, "{parts:?} {limit} {oldest}");
    }

    #[test]
    fn limits_count_from_the_right_end() {
        check(&[(0, 10), (20, 30)], 15, true, &[(0, 10), (20, 25)]);
        check(&[(0, 10), (20, 30)], 15, false, &[(5, 10), (20, 30)]);
        check(&[(0, 10), (20, 30)], 10, true, &[(0, 10)]);
        check(&[(0, 10), (20, 30)], 10, false, &[(20, 30)]);
        check(&[(5, 5), (20, 30)], 100, false, &[(20, 30)]);
        check(&[], 100, true, &[]);
    }
}
