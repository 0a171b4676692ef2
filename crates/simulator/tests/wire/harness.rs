//! A started simulator and a client for it.

use candlemill_simulator::{ClockSetting, Control, Simulator, SimulatorConfig};
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::time::Duration;

/// The recorded data of the project.
pub(crate) const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data");
/// 2020-01-01T00:00:00Z, the first minute of the recorded BTCUSDT minutes.
pub(crate) const FIRST: i64 = 1_577_836_800_000;
/// One minute.
pub(crate) const MINUTE: i64 = 60_000;
/// No wait of a test takes this long unless it failed.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(20);

pub(crate) struct Fixture {
    pub(crate) simulator: Simulator,
    pub(crate) control: Control,
    pub(crate) client: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Open times of a page.
    pub(crate) fn opens(&self) -> Vec<i64> {
        self.json().as_array().unwrap().iter().map(|row| row[0].as_i64().unwrap()).collect()
    }
}

impl Fixture {
    pub(crate) async fn start(config: SimulatorConfig) -> Self {
        let simulator = Simulator::start(config).await.unwrap();
        let control = simulator.control();
        Self { simulator, control, client: reqwest::Client::new() }
    }

    /// Over the recorded candles, at a fixed instant.
    pub(crate) async fn at(now: i64) -> Self {
        let clock = ClockSetting::Fixed { at_ms: now };
        Self::start(SimulatorConfig { data_dir: Some(DATA.into()), clock, ..SimulatorConfig::default() }).await
    }

    /// A request without a body; headers as `name: value`.
    pub(crate) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.try_call(method, path, headers, body).await.unwrap()
    }

    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, reqwest::Error> {
        let url = format!("{}{path}", self.simulator.url());
        let mut request = self.client.request(method.parse().unwrap(), url).body(body.to_owned()).timeout(MAX_WAIT);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, text: response.text().await? })
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], "").await
    }

    pub(crate) async fn klines(&self, query: &str) -> Reply {
        self.get(&format!("/api/v3/klines?{query}")).await
    }

    /// A call with the project's publishable key.
    pub(crate) async fn with_key(&self, method: &str, path: &str, bearer: Option<&str>, body: &str) -> Reply {
        let bearer = bearer.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("apikey", self.simulator.publishable_key())];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        self.call(method, path, &headers, body).await
    }

    /// The status and code of `GET /auth/v1/user` with this token.
    pub(crate) async fn user(&self, token: &str) -> (u16, String) {
        let reply = self.with_key("GET", "/auth/v1/user", Some(token), "").await;
        (reply.status, reply.header("x-sb-error-code").to_owned())
    }
}
