//! One attempt at one call: charge, send, read.

use super::answer;
use super::config::BinanceConfig;
use crate::budget::WeightBudget;
use crate::counters::CallCounters;
use crate::error::{Fault, TransportPhase};
use crate::http_date::parse_http_date;
use crate::server_time::Moment;
use candlemill_shared::Clock;
use reqwest::Response;
use reqwest::header::{DATE, RETRY_AFTER};
use reqwest::redirect::Policy;
use std::sync::Arc;

/// Rule 4.
const USED_WEIGHT: &str = "x-mbx-used-weight-1m";

/// A call as it goes over the wire.
#[derive(Debug)]
pub(super) struct Call {
    /// Path and query.
    pub(super) target: String,
    /// Request weight.
    pub(super) weight: u32,
    /// Most bytes of the answer.
    pub(super) longest_answer: usize,
    /// What it asks for, in messages.
    pub(super) name: String,
}

/// An answer that is a success.
#[derive(Debug)]
pub(super) struct Reply {
    /// Its body.
    pub(super) body: Vec<u8>,
    /// When the call was sent.
    pub(super) sent: Moment,
    /// Its header `Date`, UTC ms in whole seconds, where it has one.
    pub(super) date_ms: Option<i64>,
}

/// Connections, budget and clock.
#[derive(Debug)]
pub(super) struct Http<B> {
    client: reqwest::Client,
    rest_url: String,
    pub(super) budget: B,
    pub(super) clock: Arc<dyn Clock>,
}

impl<B: WeightBudget> Http<B> {
    pub(super) fn new(config: &BinanceConfig, budget: B, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        // Answers are not compressed: the crate is built without it, and unpacking costs more than it saves here.
        // A redirect would carry the call to a host that nobody configured.
        let client = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .timeout(config.call_timeout)
            .pool_max_idle_per_host(config.idle_connections)
            .tcp_nodelay(true)
            .redirect(Policy::none())
            .user_agent(concat!("candlemill/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, rest_url: config.rest_url.clone(), budget, clock })
    }

    /// Waits for the budget, sends the call and reads its answer, which is a success.
    ///
    /// Safe to drop at any point: a charge without a settlement stays charged, a connection in use is closed.
    pub(super) async fn attempt(&self, call: &Call, counters: &CallCounters) -> Result<Reply, Fault> {
        let grant = self.budget.acquire(call.weight).await?;
        counters.count_call(call.weight);
        let sent = Moment::now(&*self.clock);
        let response = match self.client.get(format!("{}{}", self.rest_url, call.target)).send().await {
            Ok(response) => response,
            Err(error) => {
                self.budget.settle(grant, None).await;
                return Err(transport(error, TransportPhase::Request));
            }
        };
        self.budget.settle(grant, header(&response, USED_WEIGHT).and_then(|text| text.parse().ok())).await;
        let status = response.status();
        let retry_after = header(&response, RETRY_AFTER.as_str()).map(str::to_owned);
        let date_ms = header(&response, DATE.as_str()).and_then(parse_http_date);
        let body = match read(response, call.longest_answer).await {
            // The demand of a pause counts even when its body does not arrive.
            Err(_) if answer::demands_pause(status.as_u16()) => Vec::new(),
            read => read?,
        };
        if status.is_success() && !answer::is_error_body(&body) {
            Ok(Reply { body, sent, date_ms })
        } else {
            Err(answer::fault_of(status.as_u16(), &body, retry_after.as_deref(), self.clock.now_ms()))
        }
    }
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, Fault> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if announced > limit {
        return Err(Fault::TooLong { limit });
    }
    let mut body = Vec::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(error, TransportPhase::Body))? {
        if body.len() + chunk.len() > limit {
            return Err(Fault::TooLong { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn transport(error: reqwest::Error, phase: TransportPhase) -> Fault {
    let phase = if error.is_timeout() {
        TransportPhase::Timeout
    } else if error.is_connect() {
        TransportPhase::Connect
    } else {
        phase
    };
    Fault::Transport { phase, source: error.without_url() }
}
