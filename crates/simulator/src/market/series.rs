//! One symbol and interval, wherever its rows come from.

use super::error::MarketError;
use super::file::FileSeries;
use super::generated::GeneratedSeries;
use super::rows::Piece;
use std::ops::Range;
use std::sync::Arc;

/// The rows of one symbol and interval.
#[derive(Debug)]
pub(crate) enum Series {
    /// From a CSV file.
    File(FileSeries),
    /// Computed.
    Generated(GeneratedSeries),
}

impl Series {
    /// Whether [`Series::position`] answers at once.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::File(file) => file.is_read(),
            Self::Generated(_) => true,
        }
    }

    /// Whether [`Series::pieces`] of these rows answers at once.
    pub(crate) fn holds(&self, range: &Range<usize>) -> bool {
        match self {
            Self::File(file) => file.is_read(),
            Self::Generated(generated) => generated.holds(range),
        }
    }

    /// Open time of the first row; `None` when there is no row.
    pub(crate) fn first_open(&self) -> Result<Option<i64>, MarketError> {
        match self {
            Self::File(file) => Ok(file.rows()?.first_open()),
            Self::Generated(generated) => Ok(Some(generated.first_open())),
        }
    }

    /// Number of rows that open before `at`.
    pub(crate) fn position(&self, at: i64) -> Result<usize, MarketError> {
        match self {
            Self::File(file) => Ok(file.rows()?.position(at)),
            Self::Generated(generated) => Ok(generated.position(at)),
        }
    }

    /// The rows of `range`, in blocks. The range must lie inside the series.
    pub(crate) fn pieces(&self, range: &Range<usize>) -> Result<Vec<Piece>, MarketError> {
        match self {
            Self::File(file) => Ok(vec![(Arc::clone(file.rows()?), range.clone())]),
            Self::Generated(generated) => Ok(generated.pieces(range)),
        }
    }
}
