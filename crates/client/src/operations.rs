//! Which method makes which call of the OpenAPI document.

use crate::api::Api;

/// A call that has a method: the table cannot name a method that is not there.
macro_rules! operations {
    ($($id:literal: $method:expr,)*) => {
        /// The `operationId`s of the calls that have a method.
        pub const OPERATIONS: &[&str] = &[$({
            let _ = $method;
            $id
        },)*];
    };
}

operations! {
    "submit_fetch": Api::fetch,
    "submit_batch": Api::fetch_batch,
    "submit_verification": Api::verify,
    "list_tasks": Api::tasks,
    "show_task": Api::task::<&str>,
    "cancel_task": Api::cancel::<&str>,
    "show_progress": Api::progress::<&str>,
    "follow_task": Api::events::<&str>,
    "submit_study": Api::study,
    "list_studies": Api::studies,
    "show_study": Api::show_study::<&str>,
    "show_study_chart": Api::study_chart::<&str>,
    "delete_study": Api::delete_study::<&str>,
    "create_schedule": Api::create_schedule,
    "preview_schedule": Api::preview_schedule,
    "list_schedules": Api::schedules,
    "show_schedule": Api::schedule::<&str>,
    "change_schedule": Api::change_schedule::<&str>,
    "delete_schedule": Api::delete_schedule::<&str>,
    "run_schedule": Api::run_schedule::<&str>,
    "list_fires": Api::fires::<&str>,
    "read_klines": Api::klines,
    "read_coverage": Api::coverage,
    "list_series": Api::series,
    "list_symbols": Api::symbols,
    "list_dead_letters": Api::dead_letters,
    "replay_dead_letters": Api::replay_many,
    "replay_dead_letter": Api::replay::<&str>,
    "discard_dead_letter": Api::discard::<&str>,
    "show_webhook_secret": Api::webhook_secret,
    "list_queues": Api::queues,
    "pause_queue": Api::pause_queue::<&str>,
    "resume_queue": Api::resume_queue::<&str>,
    "drain_worker": Api::drain_worker::<&str>,
    "submit_operators_verification": Api::operators_verify,
    "show_operators_task": Api::operators_task::<&str>,
    "list_all_schedules": Api::all_schedules,
    "pause_schedule": Api::pause_schedule::<&str>,
    "resume_schedule": Api::resume_schedule::<&str>,
    "delete_any_schedule": Api::delete_any_schedule::<&str>,
    "healthz": Api::health,
    "readyz": Api::readiness,
    "metrics": Api::metrics,
    "problems": Api::problems,
}
