//! Shares in percent.

/// Unit of kinds whose work is no number of things: thousandths of the whole, which the percentage tells already.
pub const PER_MILLE: &str = "per mille";

/// `done` of `total` in percent with one decimal. 100.0 only when all is done: 99.96 % shows as 99.9.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of work lie far below 2^52")]
pub fn percent_of(done: u64, total: u64) -> f64 {
    if total == 0 || done >= total {
        return if done >= total && total > 0 { 100.0 } else { 0.0 };
    }
    ((done as f64 / total as f64) * 1_000.0).floor() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_honest_at_both_ends() {
        let cases =
            [(0, 0, 0.0), (0, 7, 0.0), (1, 3, 33.3), (9_996, 10_000, 99.9), (9_999, 10_000, 99.9), (7, 7, 100.0)];
        for (done, total, expected) in cases {
            assert!((percent_of(done, total) - expected).abs() < 1e-9, "{done}/{total}");
        }
    }
}
