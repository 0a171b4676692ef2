//! How a computation is stopped and watched.

/// The computation was stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the computation was stopped")]
pub struct Stopped;

/// What a computation asks and tells on its way, from any of its threads.
pub trait Control: Sync {
    /// Whether the result is still wanted. Asked every few milliseconds of work.
    ///
    /// # Errors
    /// [`Stopped`]: it is not.
    fn may_go_on(&self) -> Result<(), Stopped>;

    /// `done` of `total` steps are done. Called often; the steps are of like length.
    fn step(&self, done: u64, total: u64);
}

/// Goes on to the end; its steps are not told to anybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct ToTheEnd;

impl Control for ToTheEnd {
    fn may_go_on(&self) -> Result<(), Stopped> {
        Ok(())
    }

    fn step(&self, _done: u64, _total: u64) {}
}
