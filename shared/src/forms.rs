//! The documents that the API and its clients exchange: one form of each request, query and answer.
//!
//! Times are RFC 3339 ([`Timestamp`](crate::timestamp::Timestamp)); unknown members of answers are passed over, so that a newer API
//! stays readable. Members of requests are [`Given`]: each is read for itself, so that all that are wrong are told at once.

mod dead_letters;
mod fetch;
mod given;
mod market_data;
mod number;
mod problem;
mod progress;
mod queues;
mod schedule_views;
mod schedules;
mod seasonality;
mod series;
mod task;
mod task_query;

pub use dead_letters::{
    DeadLetterFilter, DeadLetterList, DeadLetterView, DiscardRequest, MAX_REASON, MAX_REPLAYS, PageLimit,
    RefusedReplay, ReplayRequest, Replayed,
};
pub use fetch::{Accepted, BatchItem, BatchRequest, FetchRequest, FetchStart, WebhookRequest};
pub use given::{FieldError, FieldErrors, Given};
pub use market_data::{
    CandleFormat, CandleLimit, CorrectionView, CoverageQuery, CoverageReport, GapLimit, GapView, KlineRow, KlinesQuery,
    TimeSpan, VerifiedRange,
};
pub use number::{Flag, Number};
pub use problem::ProblemDocument;
pub use progress::ProgressView;
pub use queues::{
    Dependencies, Dependency, MAX_NAME, PauseRequest, PausedView, PoolWorkerView, QueueList, QueueView, Readiness,
    WorkerView,
};
pub use schedule_views::{
    FireFilter, FireList, FireView, NextFire, PREVIEWED, ScheduleEventView, ScheduleFilter, ScheduleList,
    SchedulePreview, ScheduleState, ScheduleView, preview,
};
pub use schedules::{MAX_NOTE, MAX_SCHEDULE_NAME, ScheduleChange, ScheduleRequest, WhenForm};
pub use seasonality::{
    BucketRow, MAX_STUDY_TABLE_ROWS, STUDY_TABLE_ROWS, StudyFilter, StudyList, StudyQuery, StudyReport, StudyRequest,
    StudySummary, StudyTable, StudyView, TableFormat, TablePage, TableRow, TableRows,
};
pub use series::{
    SeriesCursor, SeriesFilter, SeriesList, SeriesView, SymbolFilter, SymbolLimit, SymbolList, SymbolView,
};
pub use task::{AttemptView, ChildrenView, DiscardedView, TaskList, TaskView, WebhookSecret, WebhookView};
pub use task_query::TaskFilter;
