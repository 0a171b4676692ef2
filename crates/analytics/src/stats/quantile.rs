//! Quantiles.

/// Quantile `share` (0 to 1) of ascending values, by linear interpolation between the two nearest: with h = (n − 1)·share it
/// is x⌊h⌋ + (h − ⌊h⌋)(x⌊h⌋₊₁ − x⌊h⌋). Type 7 of Hyndman and Fan (1996), the default of NumPy and pandas.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = last as f64 * share.clamp(0.0, 1.0);
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    Some((sorted[above] - sorted[below]).mul_add(position - below as f64, sorted[below]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_between_its_neighbours() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.05), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0], 0.5), Some(1.5));
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 1.0), Some(4.0));
    }
}
