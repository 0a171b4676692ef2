//! How many requests may be under way at once, and how long the head of an answer may take.
//!
//! Event streams and candles count until their head is sent; streams have a bound of their own.

use crate::error::Problem;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Requests under way at once: as many as tasks may wait for their journal write.
const AT_ONCE: usize = 4_096;
/// Longest time from a request to the head of its answer. A store that is away is told of much sooner.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Most bytes of a body. The largest real one has a few hundred.
pub(crate) const MAX_BODY: usize = 16 * 1024;
/// Longest time in which the body of a request arrives.
pub(crate) const BODY_TIME_LIMIT: Duration = Duration::from_secs(10);

/// The bounds of one API.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    places: Arc<Semaphore>,
    time_limit: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)), time_limit: TIME_LIMIT }
    }
}

/// Refuses what is too much, and ends what takes too long.
pub(crate) async fn keep(State(bounds): State<Bounds>, request: Request, next: Next) -> Response {
    let Ok(_place) = bounds.places.try_acquire() else {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Too much is under way")
            .detail("More requests are under way than may be held. Try again in a moment.")
            .retry_after(1)
            .into_response();
    };
    tokio::time::timeout(bounds.time_limit, next.run(request)).await.unwrap_or_else(|_| {
        tracing::warn!("a request took too long and was ended");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "The answer took too long")
            .detail("What the request asked for may have happened; look before you repeat it.")
            .retry_after(1)
            .into_response()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;

    async fn check(name: &str, places: usize, path: &str, expected: u16) {
        let bounds = Bounds { places: Arc::new(Semaphore::new(places)), time_limit: Duration::from_millis(500) };
        let slow = get(std::future::pending::<&'static str>);
        let routes = Router::new().route("/slow", slow).route("/quick", get(|| async { "done" }));
        let routes = routes.layer(from_fn_with_state(bounds, keep));
        let answer = routes.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{name}");
        assert_eq!(answer.headers().contains_key("retry-after"), expected == 503, "{name}");
    }

    #[tokio::test]
    async fn bounds() {
        check("a quick answer", 1, "/quick", 200).await;
        check("no place", 0, "/quick", 503).await;
        check("no answer", 1, "/slow", 503).await;
    }
}
