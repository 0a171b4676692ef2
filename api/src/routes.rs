//! The one table of calls: it yields the router and the OpenAPI document.

use crate::state::Shared;
use crate::{
    admin, dead_letters, health, market_data, metrics_page, problems, schedules, seasonality, session, task, webhooks,
};
use axum::extract::DefaultBodyLimit;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

/// Calls of users.
pub(crate) fn users() -> OpenApiRouter<Shared> {
    let large = DefaultBodyLimit::max(market_data::batch::LARGEST_BODY);
    OpenApiRouter::default()
        .routes(routes!(market_data::fetch::fetch))
        .routes(routes!(market_data::batch::batch).layer(large))
        .routes(routes!(market_data::verify::verify))
        .routes(routes!(task::list::list))
        .routes(routes!(task::show::show, task::cancel::cancel))
        .routes(routes!(task::progress::progress))
        .routes(routes!(task::events::events))
        .routes(routes!(task::follow_all::follow_all))
        .routes(routes!(market_data::klines::klines))
        .routes(routes!(market_data::coverage::coverage))
        .routes(routes!(market_data::series::list_series))
        .routes(routes!(market_data::symbols::list_symbols))
        .routes(routes!(seasonality::submit::submit_study, seasonality::list::list_studies))
        .routes(routes!(seasonality::show::show_study, seasonality::delete::delete_study))
        .routes(routes!(seasonality::chart::show_study_chart))
        .routes(routes!(schedules::create::create_schedule, schedules::list::list_schedules).layer(large))
        .routes(routes!(schedules::preview::preview_schedule).layer(large))
        .routes(
            routes!(
                schedules::show::show_schedule,
                schedules::change::change_schedule,
                schedules::delete::delete_schedule
            )
            .layer(large),
        )
        .routes(routes!(schedules::run::run_schedule))
        .routes(routes!(schedules::fires::list_fires))
        .routes(routes!(dead_letters::list::list))
        .routes(routes!(dead_letters::replay_many::replay_many))
        .routes(routes!(dead_letters::replay::replay))
        .routes(routes!(dead_letters::discard::discard))
        .routes(routes!(webhooks::secret::secret))
}

/// Calls of operators.
pub(crate) fn operators() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(admin::queues::queues))
        .routes(routes!(admin::pause::pause))
        .routes(routes!(admin::pause::resume))
        .routes(routes!(admin::drain::drain))
        .routes(routes!(admin::tasks::tasks))
        .routes(routes!(admin::verify::verify))
        .routes(routes!(admin::verify::task))
        .routes(routes!(admin::schedules::list_all_schedules))
        .routes(routes!(admin::schedules::delete_any_schedule))
        .routes(routes!(admin::schedules::pause_schedule))
        .routes(routes!(admin::schedules::resume_schedule))
}

/// Calls of the dashboard's pages, which know their callers otherwise.
pub(crate) fn pages() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(session::sign_in::sign_in, session::sign_out::sign_out))
        .routes(routes!(session::refresh::refresh))
}

/// Calls without a token.
pub(crate) fn open() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics_page::metrics))
        .routes(routes!(problems::problems))
}
