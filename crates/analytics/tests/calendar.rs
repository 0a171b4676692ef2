//! The calendar study as a whole: against figures of other programs, over the calendar's odd days, and where there is nothing to find.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "calendar/golden.rs"]
mod golden;
#[path = "calendar/honesty.rs"]
mod honesty;
#[path = "calendar/properties.rs"]
mod properties;
#[path = "../examples/honesty/series.rs"]
mod series;
