//! When a failed task is tried again, and when it is given up.
//!
//! | kind | failed attempts | of them broken off | of them lost | first delay | longest delay | one attempt |
//! |---|---|---|---|---|---|---|
//! | `fetch_history` | 40 | 3 | 10 | 5 s | 10 min | 6 h |
//! | `fetch_batch` | 40 | 3 | 10 | 5 s | 10 min | 2 min |
//! | `probe` | 5 | 3 | 5 | 1 s | 30 s | 10 s |
//!
//! Rule 1: the wait after the n-th failure is drawn evenly between 0 and `first delay · 2^(n-1)`, or the longest delay where
//! that is less ("full jitter"), but is never shorter than [`MIN_DELAY`].
//! Rule 2: a pause that the exchange demands (`Retry-After`) is a lower bound. What waited for it does not come back all at
//! once: up to one first delay, drawn, is added.
//! Rule 3: an attempt that was handed back is no failure: by a stopping worker, or by one that does not know the payload's version,
//! or its kind. In the latter cases the wait is drawn from 1 s, doubling to 30 s, so that a newer worker gets the task soon; a kind
//! that no worker knew for [`UNKNOWN_KIND_FOR_MS`] is given up.
//! Rule 4: a panic or a timeout *breaks off*, and few of those are enough: the job itself is the likely cause. So are
//! attempts whose worker died, though a machine may be to blame, which is why more of those are borne.
//! Rule 5: a replay begins to count anew; the numbers of attempts go on.

mod failures;
mod policy;

pub use failures::{MAX_KEPT_ATTEMPTS, codes, drop_surplus, handed_on, mark_lost};
pub use policy::{Failures, MIN_DELAY, RetryPolicy};

/// A kind that no worker knew for so long is given up, ms.
pub const UNKNOWN_KIND_FOR_MS: i64 = 600_000;
