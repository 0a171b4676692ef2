//! `GET /api/seasonality/{id}/charts/{name}`: a chart of a study.

use super::{listed, no_such_study};
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::ChartPath;
use crate::state::Shared;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use candlemill_shared::task::TaskId;
use utoipa::ToSchema;

/// Nothing in a picture may run or load anything, wherever it is opened.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// A picture: a schema alone.
#[derive(ToSchema)]
#[schema(value_type = String, example = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>")]
#[expect(dead_code, reason = "describes a body for the document")]
struct Svg(String);

/// Show a chart of a study
#[utoipa::path(
    get, path = "/api/seasonality/{id}/charts/{name}", operation_id = "show_study_chart", tag = "seasonality",
    params(
        ("id" = TaskId, Path, description = "Id of the study's task"),
        ("name" = String, Path, description = "One of the study's `charts`, with `.svg`", example = "hour-return.svg",
            pattern = "^[a-z0-9-]{1,64}\\.svg$"),
    ),
    responses(
        (status = 200, description = "The picture", content((Svg = "image/svg+xml")),
            headers(("Content-Security-Policy" = String, description = "Lets nothing run"))),
        (status = 404, description = "`study_not_found`: none of yours; `chart_not_found`: it has no such chart"),
    ),
    security(("bearer" = []))
)]
pub async fn show_study_chart(
    admitted: Admitted,
    State(state): State<Shared>,
    ChartPath(id, name): ChartPath,
) -> Result<Response, Problem> {
    let (owner, studies) = (&admitted.caller.user_id, state.market.studies());
    let file = studies.file(owner, &id.to_string(), &format!("charts/{name}")).await?;
    let Some(svg) = file else {
        let contents = studies.contents(owner, &id.to_string()).await?.ok_or_else(no_such_study)?;
        return Err(no_such_chart(&name, &contents.charts));
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=300")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-site")),
    ];
    Ok((headers, svg).into_response())
}

fn no_such_chart(name: &str, charts: &[String]) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "chart_not_found", "The study has no such chart")
        .detail(format!("It has no {name:?}; it has {}.", listed(charts)))
}
