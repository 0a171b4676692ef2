//! The request pipeline that every call passes: log, charge, refuse, judge, answer, delay, send.

use super::answer::{Answer, AnswerBody};
use super::connection::Cutter;
use super::request::Request;
use crate::calls::Logged;
use crate::faults::Verdict;
use crate::state::SimulatorState;
use crate::{binance, commands, supabase};
use candlemill_shared::Clock;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;

/// Largest body of a call, bytes.
const LARGEST_BODY: usize = 1 << 20;
/// Where the control plane stands.
const CONTROL: &str = "/_simulator";

/// The call is not answered: its connection ends.
#[derive(Debug, thiserror::Error)]
#[error("scripted end of the connection")]
pub(super) struct Unanswered;

/// Answers one call, or ends its connection.
pub(super) async fn handle(
    state: Arc<SimulatorState>,
    cutter: Cutter,
    request: http::Request<Incoming>,
) -> Result<Response<AnswerBody>, Unanswered> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            tracing::debug!(%error, "the body of a call cannot be read");
            return Ok(Answer::empty(413).into_response());
        }
    };
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    };
    if let Some(command) = request.path.strip_prefix(CONTROL) {
        return Ok(commands::answer(&state, &request, command).await.into_response());
    }
    let logged = state.calls.begin(&request, state.exchange_clock.now_ms());
    let answer = serve(&state, &cutter, &request, &logged).await?;
    logged.answered(answer.status.as_u16());
    let mut response = answer.into_response();
    if let Some(date) = http_date(state.clock_of(&request.path).now_ms()) {
        response.headers_mut().insert(http::header::DATE, date);
    }
    Ok(response)
}

async fn serve(
    state: &SimulatorState,
    cutter: &Cutter,
    request: &Request,
    logged: &Logged<'_>,
) -> Result<Answer, Unanswered> {
    let exchange = request.path.starts_with("/api/");
    if !exchange {
        let verdict = state.faults.judge(&request.path, &request.query);
        logged.fault(&verdict);
        let answer = supabase::answer(state, request);
        return deliver(state, cutter, answer, &verdict, 0).await;
    }
    let weight = binance::weight_of(&request.path);
    let charge = state.weights.charge(weight, state.exchange_clock.now_ms());
    let used = charge.used().to_string();
    logged.charged(weight, charge.used());
    if let Some(refusal) = binance::refusal(charge, state.weights.rules().limit) {
        // A refused call meets no scripted fault, only the network.
        let refusal = refusal.with_header(binance::USED_WEIGHT, &used);
        return deliver(state, cutter, refusal, &Verdict::default(), state.latency_ms()).await;
    }
    let verdict = state.faults.judge(&request.path, &request.query);
    logged.fault(&verdict);
    let answer = binance::answer(state, request).await.with_header(binance::USED_WEIGHT, &used);
    deliver(state, cutter, answer, &verdict, state.latency_ms()).await
}

/// Applies the scripted faults and sends the answer on its way.
async fn deliver(
    state: &SimulatorState,
    cutter: &Cutter,
    answer: Answer,
    verdict: &Verdict,
    latency_ms: u64,
) -> Result<Answer, Unanswered> {
    if let Some(held_at) = verdict.held_at {
        state.faults.released(held_at).await;
    }
    let delay = latency_ms + verdict.latency_ms;
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    match verdict.apply(answer, state.exchange_clock.now_ms()) {
        Some(answer) => Ok(answer),
        None => {
            if verdict.resets {
                cutter.reset();
            }
            Err(Unanswered)
        }
    }
}

/// The instant as HTTP writes dates.
fn http_date(now_ms: i64) -> Option<HeaderValue> {
    let now = chrono::DateTime::from_timestamp_millis(now_ms)?;
    now.format("%a, %d %b %Y %H:%M:%S GMT").to_string().try_into().ok()
}
