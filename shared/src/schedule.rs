//! Schedules: when work is due, again and again. Nothing here reads a clock or a store; times are UTC milliseconds.
//!
//! Rules of cron patterns where a zone changes its clock:
//!
//! 1. A pattern whose seconds, minutes and hours have no `*` means fixed wall times. One that the clock skips is due at the
//!    first instant after the gap, on whichever day that is; one that comes twice is due the first time only.
//! 2. A pattern with a `*` (or `*/5`) in one of these fields means "whenever the wall clock shows it": nothing is due in a gap,
//!    and what comes twice is due twice.
//! 3. Two wall times that fall on the same instant are due once.
//!
//! Identity of a fire is the schedule and the due instant in UTC: it is the same for every replica and after every restart.

mod cron;
mod id;
mod plan;
mod preview;
mod record;
mod span;
mod template;
mod timing;
mod wall;
mod when;

pub use cron::{CronPattern, MAX_PATTERN_CHARS};
pub use id::{InvalidScheduleId, ScheduleId};
pub use plan::{LATE_AFTER_MS, MAX_MADE_UP, MISFIRE_WINDOW_MS, Misfire, Missed, Plan, plan};
pub use preview::{MAX_PREVIEWED, PreviewedFire};
pub use record::{
    Actor, FailurePolicy, FireReason, FireRecord, FireState, MAX_EVENTS, MissedFires, Overlap, ScheduleEvent,
    ScheduleRecord, ScheduleSpec, ScheduleStop,
};
pub use span::Span;
pub use template::{BatchTemplate, FireRange, SeriesTemplate, Since, StudyTemplate, Template};
pub use timing::{DEFAULT_DELAY_SECONDS, MAX_DELAY_SECONDS, MAX_JITTER_SECONDS, Timing};
pub use when::{MAX_EVERY_SECONDS, When};
