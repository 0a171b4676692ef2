//! How often a study asks whether it is still wanted.

/// Rows of work between two questions whether the result is still wanted: about a millisecond of the slowest loop.
pub(super) const ROWS_PER_STEP: usize = 1 << 15;
