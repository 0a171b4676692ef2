//! Browsers: which pages of other origins may call the API (the CORS protocol of the Fetch standard).

use axum::http::Method;
use axum::http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LINK,
    LOCATION, RETRY_AFTER,
};
use axum::response::Response;
use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;

pub(crate) static CORS_ALLOWED_ORIGINS: Variable = Variable {
    name: "CORS_ALLOWED_ORIGINS",
    default: "",
    help: "origins of pages that may call the API from a browser, as in https://app.example.com, separated by commas; empty: none",
};

/// Browsers need not ask again for so long.
const MAX_AGE: Duration = Duration::from_secs(600);

/// The origins that are allowed, each exactly as browsers send it.
///
/// # Errors
/// The first that no browser would send.
pub fn origins(env: &Env) -> Result<Vec<HeaderValue>, EnvError> {
    let text = env.text_or_default(&CORS_ALLOWED_ORIGINS);
    let all = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    all.map(|origin| {
        let told = || {
            wrong(
                &CORS_ALLOWED_ORIGINS,
                format!("{origin:?} is no origin as in https://app.example.com: scheme, host and port alone"),
            )
        };
        let url = Url::parse(origin).map_err(|_| told())?;
        let is_http = matches!(url.scheme(), "http" | "https");
        if !is_http || url.origin().ascii_serialization() != origin {
            return Err(told());
        }
        HeaderValue::from_str(origin).map_err(|_| told())
    })
    .collect()
}

/// Answers preflights, and lets pages of `origins` read answers, errors too. Never of the operators' calls nor of the dashboard's sessions, and never with cookies:
/// every caller shows a token. `None` where no origin is allowed.
pub(crate) fn layer(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = origins.to_vec();
    let allowed = AllowOrigin::predicate(move |origin, request| {
        let path = request.uri.path();
        origins.contains(origin) && !path.starts_with("/api/admin") && !path.starts_with("/api/session")
    });
    let of_ours = |name| HeaderName::from_static(name);
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            ACCEPT,
            of_ours("idempotency-key"),
            of_ours("last-event-id"),
            of_ours("traceparent"),
        ])
        .expose_headers([
            LOCATION,
            LINK,
            RETRY_AFTER,
            of_ours("x-next-cursor"),
            of_ours("x-corrections"),
            of_ours("x-trace-id"),
            of_ours("ratelimit-limit"),
            of_ours("ratelimit-remaining"),
            of_ours("ratelimit-reset"),
            of_ours("ratelimit-policy"),
        ])
        .max_age(MAX_AGE);
    Some(layer)
}

/// Takes the headers for browsers from an answer that no page may read: of another origin, or of the operators' calls. `Vary` stays:
/// another origin gets another answer.
pub(crate) async fn only_for_allowed(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        for name in [
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            headers.remove(name);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<usize>) {
        let read = origins(&Env::of([("CORS_ALLOWED_ORIGINS", text)]));
        assert_eq!(read.map(|all| all.len()).map_err(|error| error.variable).ok(), expected, "{text}");
    }

    #[test]
    fn only_what_browsers_send_is_an_origin() {
        check("", Some(0));
        check("https://app.example.com", Some(1));
        check("https://app.example.com, http://localhost:5173", Some(2));
        for odd in [
            "*",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://App.example.com",
            "https://app.example.com:443",
            "https://user@app.example.com",
            "file:///etc",
        ] {
            check(odd, None);
        }
    }
}
