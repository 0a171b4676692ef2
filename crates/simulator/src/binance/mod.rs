//! The exchange: `GET /api/v3/…`.

mod error;
mod exchange_info;
mod klines;
mod query;
pub(crate) mod recorded_symbols;
mod time_unit;
pub(crate) mod weights;

use crate::server::answer::Answer;
use crate::server::request::Request;
use crate::state::SimulatorState;
use candlemill_shared::Clock;
use error::Refusal;
use serde_json::json;
use time_unit::TimeUnit;
use weights::Charge;

/// Name of the header that tells the weight used in the running minute.
pub(crate) const USED_WEIGHT: &str = "x-mbx-used-weight-1m";

/// The calls that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Ping,
    Time,
    ExchangeInfo,
    Klines,
}

impl Endpoint {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/api/v3/ping" => Self::Ping,
            "/api/v3/time" => Self::Time,
            "/api/v3/exchangeInfo" => Self::ExchangeInfo,
            "/api/v3/klines" => Self::Klines,
            _ => return None,
        })
    }

    const fn weight(self) -> u32 {
        match self {
            Self::Ping | Self::Time => 1,
            Self::Klines => 2,
            Self::ExchangeInfo => 20,
        }
    }
}

/// Weight of a call, 0 for a path that does not exist.
pub(crate) fn weight_of(path: &str) -> u32 {
    Endpoint::of(path).map_or(0, Endpoint::weight)
}

/// The answer to a call that was charged and let through.
pub(crate) async fn answer(state: &SimulatorState, request: &Request) -> Answer {
    let Some(endpoint) = Endpoint::of(&request.path) else {
        return Answer::text(404, "text/html", "<html><body><h1>404 Not Found</h1></body></html>");
    };
    if request.method != http::Method::GET {
        return Answer::text(405, "text/html", "<html><body><h1>405 Method Not Allowed</h1></body></html>");
    }
    let unit = match TimeUnit::of(request) {
        Ok(unit) => unit,
        Err(refusal) => return refusal.answer(),
    };
    match endpoint {
        Endpoint::Ping => Answer::json(200, &json!({})),
        Endpoint::Time => {
            let now = state.exchange_clock.now_ms();
            let now = if unit == TimeUnit::Microseconds { now * 1_000 } else { now };
            Answer::json(200, &json!({ "serverTime": now }))
        }
        Endpoint::ExchangeInfo => exchange_info::answer(state, &request.query),
        Endpoint::Klines => klines::answer(state, &request.query, unit).await,
    }
}

/// The answer to a call that the weights forbid; `None` when it may pass.
pub(crate) fn refusal(charge: Charge, limit: u32) -> Option<Answer> {
    match charge {
        Charge::Allowed { .. } => None,
        Charge::Limited { retry_after, .. } => Some(Refusal::too_much_weight(limit).answer_later(429, retry_after)),
        Charge::Banned { retry_after, until_ms, .. } => Some(Refusal::banned(until_ms).answer_later(418, retry_after)),
    }
}
