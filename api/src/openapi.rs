//! The OpenAPI document, generated from the handlers, and its browsable page.

use crate::{admin, dead_letters, health, market_data, metrics_page, task, webhooks};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// The whole API.
#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Candlemill", description = "Market-data jobs: submit backfills, watch them, read candles. Errors are RFC 9457 problem documents with a stable `code`."),
    paths(
        market_data::fetch::fetch,
        market_data::batch::batch,
        market_data::verify::verify,
        market_data::klines::klines,
        market_data::coverage::coverage,
        task::list::list,
        task::show::show,
        task::progress::progress,
        task::events::events,
        task::cancel::cancel,
        dead_letters::list::list,
        dead_letters::replay::replay,
        dead_letters::replay_many::replay_many,
        dead_letters::discard::discard,
        admin::queues::queues,
        admin::pause::pause,
        admin::pause::resume,
        admin::drain::drain,
        admin::verify::verify,
        admin::verify::task,
        webhooks::secret::secret,
        health::healthz,
        health::readyz,
        metrics_page::metrics,
    ),
    components(schemas(crate::error::ProblemDocument)),
    modifiers(&Bearer)
)]
pub struct ApiDoc;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Default::default);
        // A user's access token, and the operators' own.
        for name in ["bearer", "admin"] {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        }
    }
}
