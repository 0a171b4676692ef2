//! How each kind of job is run.

mod dispatch;
mod run;

pub(crate) use dispatch::{at_once, run};
pub(crate) use fetch_history::{PER_PAGE, PageLeases, PageSlots};
pub(crate) use run::{Run, Runner};

macro_rules! declare {
    ($($(#[$only:meta])* $file:ident: $job:ident,)*) => {
        $($(#[$only])* mod $file;)*

        /// Every kind that this program runs.
        pub(crate) static RUNNERS: &[Runner] = &[$($(#[$only])* Runner::of::<candlemill_shared::job::$job>(),)*];
    };
}

candlemill_shared::for_each_job!(declare);
