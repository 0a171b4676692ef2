//! Who is an operator: every caller that has `ADMIN_TOKEN`.

use super::token::AdminToken;
use crate::error::Problem;
use crate::rate_headers::tell;
use crate::state::Shared;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Operators' requests per minute, all of them together.
const PER_MINUTE: u32 = 600;
/// Their name where requests are counted; no user id looks like that.
const COUNTED_AS: &str = "operators of candlemill";

/// Lets operators pass to the routes that it stands before.
pub async fn admit(State(state): State<Shared>, request: Request, next: Next) -> Response {
    if let Err(problem) = check(state.admin.as_ref(), request.headers().get(header::AUTHORIZATION)) {
        return problem.into_response();
    }
    let decision = match state.tasks.request_rate().count(COUNTED_AS, PER_MINUTE).await {
        Ok(decision) => decision,
        Err(error) => {
            // A failing counter never fails a request; what needs Redis fails for itself.
            state.metrics.redis_bypasses.inc();
            tracing::debug!(%error, "a request was not counted");
            return next.run(request).await;
        }
    };
    let mut response = if decision.allowed {
        next.run(request).await
    } else {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests")
            .detail(format!(
                "Operators together have {PER_MINUTE} requests a minute; the next one may come in {} s.",
                decision.reset_seconds
            ))
            .retry_after(decision.reset_seconds)
            .into_response()
    };
    tell(decision, &mut response);
    response
}

fn check(expected: Option<&AdminToken>, authorization: Option<&HeaderValue>) -> Result<(), Problem> {
    let Some(expected) = expected else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "admin_disabled", "Operators' calls are switched off")
            .detail("This API was started without ADMIN_TOKEN, so nobody is an operator."));
    };
    let Some(authorization) = authorization else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "missing_token", "The operators' token is needed")
            .detail("This call needs the header Authorization: Bearer <ADMIN_TOKEN>.")
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    };
    let token = authorization.to_str().ok().and_then(|text| text.split_once(' '));
    match token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && expected.is(token.trim()) => Ok(()),
        _ => {
            tracing::warn!("a call of operators came with a wrong token");
            Err(Problem::new(StatusCode::UNAUTHORIZED, "invalid_admin_token", "This is not the operators' token")
                .detail("Calls under /api/admin take the token of ADMIN_TOKEN, not a user's.")
                .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\"")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::token::AdminToken;
    use candlemill_shared::env::{Env, EnvError};

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn of(token: &str) -> Result<Option<AdminToken>, EnvError> {
        AdminToken::from_env(&Env::of([("ADMIN_TOKEN", token)]))
    }

    fn check_header(header: &str, passes: bool) {
        let token = of(TOKEN).unwrap();
        let value = HeaderValue::from_bytes(header.as_bytes()).unwrap();
        let code = check(token.as_ref(), Some(&value)).err().map(|problem| problem.code());
        assert_eq!(code, (!passes).then_some("invalid_admin_token"), "{header}");
    }

    #[test]
    fn only_the_token_passes() {
        check_header(&format!("Bearer {TOKEN}"), true);
        check_header(&format!("bearer {TOKEN}"), true);
        check_header(&format!("Bearer {}", &TOKEN[1..]), false);
        check_header(&format!("Bearer {TOKEN}0"), false);
        check_header(&format!("Basic {TOKEN}"), false);
        check_header(TOKEN, false);
        check_header("Bearer ", false);
        check_header("Bearer é", false);
        assert_eq!(check(of(TOKEN).unwrap().as_ref(), None).unwrap_err().code(), "missing_token");
        let value = HeaderValue::from_static("Bearer ");
        assert_eq!(check(None, Some(&value)).unwrap_err().code(), "admin_disabled");
    }

    #[test]
    fn a_token_that_could_be_guessed_stops_the_start() {
        assert!(of("").unwrap().is_none());
        for odd in
            [&TOKEN[1..], &"x".repeat(513), "0123456789abcdef 123456789abcdef!", "é123456789abcdef0123456789abcdef"]
        {
            let error = of(odd).unwrap_err();
            assert_eq!(error.variable, "ADMIN_TOKEN");
            assert!(!error.to_string().contains(odd), "it is not repeated: {error}");
        }
        assert!(!format!("{:?}", of(TOKEN)).contains(TOKEN));
    }
}
