//! Why a study stops.

use crate::outcome::Stop;
use candlemill_shared::children::Children;
use candlemill_shared::task::TaskError;

/// Why an attempt ends without a study.
pub(super) enum StudyStop {
    /// Candles are to be fetched first.
    Parts(Children),
    /// No repetition would bring another end.
    Fail(TaskError),
    /// Whatever stops any job.
    Job(Stop),
}

impl<E: Into<Stop>> From<E> for StudyStop {
    fn from(stop: E) -> Self {
        Self::Job(stop.into())
    }
}

/// An end for a reason that stays.
pub(super) fn fail(code: &'static str, told: impl Into<String>) -> StudyStop {
    StudyStop::Fail(TaskError::new(code, told))
}
