//! Jobs: what is submitted and what workers run.
//!
//! A kind of job is one file here (payload, result, how its parts add up), one in the worker (how it is run), and a line in the one
//! list ([`for_each_job`](crate::for_each_job)). Everything else knows kinds by [`JobKind`] alone.

mod admission;
mod definition;
mod documents;
mod kind;
mod list;
mod pool;

pub use admission::{Admission, Listings};
pub use definition::{Envelope, EnvelopeError, Job, Part, PartResult};
pub use documents::{JobPayload, JobRequest, JobResult};
pub use kind::JobKind;
pub use pool::Pool;

macro_rules! declare {
    ($($(#[$only:meta])* $file:ident: $job:ident,)*) => {
        $(
            $(#[$only])*
            mod $file;
            $(#[$only])*
            pub use $file::*;
        )*

        /// Every kind of job, in the order of the list.
        pub static KINDS: &[JobKind] = &[$($(#[$only])* JobKind::of::<$job>(),)*];
    };
}

crate::for_each_job!(declare);

/// The kind of this name; `None`: a newer program may know it.
#[must_use]
pub fn kind(name: &str) -> Option<&'static JobKind> {
    KINDS.iter().find(|kind| kind.name == name)
}
