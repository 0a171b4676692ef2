//! Sums without the rounding of their many terms.

/// A sum that carries its rounding error along: exact to about two units in the last place where the terms have one sign, however many
/// they are. Neumaier 1974, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen".
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    /// Adds a term.
    pub(super) fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        self.lost += if self.sum.abs() >= term.abs() { (self.sum - sum) + term } else { (term - sum) + self.sum };
        self.sum = sum;
    }

    /// What it is.
    pub(super) fn value(self) -> f64 {
        self.sum + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_plain_addition_loses_is_kept() {
        let mut sum = Sum::default();
        for term in [1.0, 1e100, 1.0, -1e100] {
            sum.add(term);
        }
        assert_eq!(sum.value(), 2.0);
        let mut small = Sum::default();
        (0..1_000_000).for_each(|_| small.add(0.1));
        assert_eq!(small.value(), 100_000.0);
    }
}
