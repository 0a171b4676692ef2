//! Who is an operator: whoever has `ADMIN_TOKEN`.

use crate::caller::tell;
use crate::error::Problem;
use crate::state::Shared;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

pub(crate) static ADMIN_TOKEN: Variable = Variable {
    name: "ADMIN_TOKEN",
    default: "",
    help: "token of operators for the calls under /api/admin, 32 to 512 visible ASCII characters; empty: they are refused",
};

const SHORTEST: usize = 32;
const LONGEST: usize = 512;
/// Operators' requests per minute, all of them together.
const PER_MINUTE: u32 = 600;
/// Their name where requests are counted; no user id looks like that.
const COUNTED_AS: &str = "operators of candlemill";

/// The operators' token. Only its hash is kept: hashes are of one length, so comparing them tells nothing of the token's.
#[derive(Clone)]
pub struct AdminToken([u8; 32]);

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

impl AdminToken {
    /// Reads the token; `None` when there is none.
    ///
    /// # Errors
    /// When it is too short to be no guess, too long, or no header could carry it.
    pub fn from_env(env: &Env) -> Result<Option<Self>, EnvError> {
        let Some(token) = env.text(&ADMIN_TOKEN) else { return Ok(None) };
        if !(SHORTEST..=LONGEST).contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let told = format!(
                "must have {SHORTEST} to {LONGEST} visible ASCII characters, as `openssl rand -hex 32` makes them"
            );
            return Err(wrong(&ADMIN_TOKEN, told));
        }
        Ok(Some(Self(hash(token))))
    }

    /// Whether this is the token; takes the same time whatever is wrong with it.
    #[must_use]
    pub fn is(&self, token: &str) -> bool {
        self.0.ct_eq(&hash(token)).into()
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

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
