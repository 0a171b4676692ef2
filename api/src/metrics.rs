//! Every metric of the API, declared once: the text of each is its help.

use crate::auth::AuthMetrics;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Instant;

/// One route's answers of one status.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Routed {
    route: String,
}

/// The API's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Routed, Histogram>,
    tasks_created: Counter,
    tasks_repeated: Counter,
    /// Open event streams.
    pub event_streams: Gauge,
    /// Times that Redis was away and a request went on without it.
    pub redis_bypasses: Counter,
    /// Counters of authentication.
    pub auth: AuthMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// The Prometheus text form; `None` when it cannot be written.
    pub(crate) fn render(&self) -> Option<String> {
        let mut text = String::new();
        encode(&mut text, &self.registry).ok().map(|()| text)
    }

    /// Declares them all.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("candlemill_api");
        let auth = AuthMetrics::register(&mut registry);
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 2.5, 12))),
            tasks_created: Counter::default(),
            tasks_repeated: Counter::default(),
            event_streams: Gauge::default(),
            redis_bypasses: Counter::default(),
            auth,
        };
        registry.register("requests", "Requests by method, route and status", metrics.requests.clone());
        registry.register("request_seconds", "Time to the head of the answer, by route", metrics.seconds.clone());
        registry.register("tasks_created", "Tasks accepted", metrics.tasks_created.clone());
        registry.register("tasks_repeated", "Requests that an older task stood for", metrics.tasks_repeated.clone());
        registry.register("event_streams", "Open event streams", metrics.event_streams.clone());
        registry.register("redis_bypasses", "Requests that went on without Redis", metrics.redis_bypasses.clone());
        Self { registry, ..metrics }
    }

    /// Counts an accepted task.
    pub fn submitted(&self, created: bool) {
        if created {
            self.tasks_created.inc()
        } else {
            self.tasks_repeated.inc()
        };
    }
}

/// A method's name; one for all that no call has: a client may send any, and each would be a series of its own.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

/// Counts and times every request.
pub async fn measure(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = known(request.method());
    // The route's pattern, never the path: ids would make endless series.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let (took, status) = (started.elapsed(), response.status().as_u16());
    // The access log. Not at `info`: at thousands of requests a second it would cost more than they do.
    tracing::debug!(status, route, ms = took.as_secs_f64() * 1_000.0, "answered");
    let labels = Answered { method, route: route.clone(), status };
    metrics.requests.get_or_create(&labels).inc();
    metrics.seconds.get_or_create(&Routed { route }).observe(took.as_secs_f64());
    response
}
