//! A candle chart made of characters.

/// Open, high, low and close of one candle; only for drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar4 {
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
}

/// Colours of a terminal.
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// Draws `candles` (ascending) as `height` lines of at most `width` columns, the price scale on the right. Neighbours are
/// joined where there are more candles than columns. Empty without candles.
#[must_use]
pub fn candle_chart(candles: &[Bar4], width: usize, height: usize, coloured: bool) -> String {
    let columns = join(candles, width);
    let top = columns.iter().map(|c| c.high).fold(f64::NEG_INFINITY, f64::max);
    let bottom = columns.iter().map(|c| c.low).fold(f64::INFINITY, f64::min);
    if columns.is_empty() || height == 0 || !(top - bottom).is_finite() {
        return String::new();
    }
    let step = ((top - bottom) / rows(height)).max(f64::MIN_POSITIVE);
    let mut text = String::new();
    for row in 0..height {
        let upper = top - step * rows(row);
        let lower = upper - step;
        for candle in &columns {
            let rises = candle.close >= candle.open;
            let (body_low, body_high) = (candle.open.min(candle.close), candle.open.max(candle.close));
            let sign = if body_high >= lower && body_low <= upper {
                '┃'
            } else if candle.high >= lower && candle.low <= upper {
                '│'
            } else {
                ' '
            };
            if coloured && sign != ' ' {
                text.push_str(if rises { GREEN } else { RED });
                text.push(sign);
                text.push_str(PLAIN);
            } else {
                text.push(sign);
            }
        }
        let label = if row == 0 {
            top
        } else if row + 1 == height {
            bottom
        } else {
            f64::NAN
        };
        if label.is_finite() {
            text.push_str(&format!(" {label:.2}"));
        }
        text.push('\n');
    }
    text.pop();
    text
}

#[expect(clippy::cast_precision_loss, reason = "lines of a terminal")]
const fn rows(count: usize) -> f64 {
    count as f64
}

/// Joins neighbours so that at most `width` remain.
fn join(candles: &[Bar4], width: usize) -> Vec<Bar4> {
    let per_column = candles.len().div_ceil(width.max(1)).max(1);
    candles
        .chunks(per_column)
        .filter_map(|run| {
            let (first, last) = (run.first()?, run.last()?);
            let high = run.iter().map(|c| c.high).fold(f64::NEG_INFINITY, f64::max);
            let low = run.iter().map(|c| c.low).fold(f64::INFINITY, f64::min);
            Some(Bar4 { open: first.open, high, low, close: last.close })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candle(open: f64, high: f64, low: f64, close: f64) -> Bar4 {
        Bar4 { open, high, low, close }
    }

    #[test]
    fn bodies_and_wicks_lie_at_their_prices() {
        let chart = candle_chart(&[candle(1.5, 3.9, 0.0, 1.6), candle(3.5, 4.0, 3.2, 3.6)], 10, 4, false);
        assert_eq!(chart, "│┃ 4.00\n│ \n┃ \n│  0.00");
    }

    #[test]
    fn neighbours_join_when_there_are_too_many() {
        let joined = join(&[candle(1.0, 2.0, 0.5, 1.5), candle(1.5, 9.0, 0.1, 3.0), candle(3.0, 3.0, 3.0, 3.0)], 2);
        assert_eq!(joined, [candle(1.0, 9.0, 0.1, 3.0), candle(3.0, 3.0, 3.0, 3.0)]);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(candle_chart(&[], 10, 4, true), "");
        assert!(candle_chart(&[candle(1.0, 1.0, 1.0, 1.0)], 10, 2, false).starts_with('┃'));
    }
}
