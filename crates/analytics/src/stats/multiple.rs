//! Corrections for looking at many tests at once.

/// The order of `p`, smallest first; ties in the order given.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    order
}

/// Holm's adjusted p: of the i-th smallest of m, max over j ≤ i of min(1, (m − j + 1)·pⱼ). Bounds the chance of any false
/// discovery, whatever the dependence between the tests. Holm (1979), Scandinavian Journal of Statistics 6.
pub(crate) fn holm(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, index) in ascending(p).into_iter().enumerate() {
        largest = largest.max(((p.len() - rank) as f64 * p[index]).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

/// Benjamini and Hochberg's q: of the i-th smallest of m, min over j ≥ i of min(1, m·pⱼ/j). The expected share of false ones
/// among all that are called discoveries at this q. Benjamini and Hochberg (1995), JRSS B 57.
pub(crate) fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![0.0; p.len()];
    let mut smallest = 1.0_f64;
    for (rank, index) in ascending(p).into_iter().enumerate().rev() {
        smallest = smallest.min(p.len() as f64 * p[index] / (rank + 1) as f64);
        adjusted[index] = smallest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let p = [0.01, 0.04, 0.03, 0.005];
        assert_eq!(holm(&p), [0.03, 0.06, 0.06, 0.02]);
        assert_eq!(benjamini_hochberg(&p), [0.02, 0.04, 0.04, 0.02]);
        assert!(holm(&[]).is_empty() && benjamini_hochberg(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn between_p_and_bonferroni(p in proptest::collection::vec(0.0..=1.0_f64, 1..60)) {
            let (strict, mild) = (holm(&p), benjamini_hochberg(&p));
            for (index, &p_of) in p.iter().enumerate() {
                prop_assert!(p_of <= mild[index] + 1e-15 && mild[index] <= strict[index] + 1e-15);
                prop_assert!(strict[index] <= (p_of * p.len() as f64).min(1.0).max(strict[index].min(1.0)));
                prop_assert!(strict[index] <= 1.0);
            }
        }
    }
}
