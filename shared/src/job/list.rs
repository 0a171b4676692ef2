//! The one list of kinds.

/// Calls the macro `$each` with every kind of job, as `file: Type`. Payload and result of a kind stand in the file of that name
/// beside this one, its execution in the file of that name among the worker's jobs.
#[macro_export]
macro_rules! for_each_job {
    ($each:ident) => {
        $each! {
            fetch_history: FetchHistory,
            fetch_batch: FetchBatch,
            seasonality_study: SeasonalityStudy,
            probe: Probe,
            #[cfg(feature = "test-jobs")]
            exercise: Exercise,
        }
    };
}
