//! The simulator as a process, and the calls that control it.

use crate::service::{SIMULATOR, Service};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The publishable key that the simulated Supabase accepts.
pub const PUBLISHABLE_KEY: &str = "sb_publishable_demo";
/// The secret key that the simulated Supabase accepts.
pub const SECRET_KEY: &str = "sb_secret_demo";
/// The legacy secret that the simulated Supabase signs HS256 tokens with, where a test asks for those.
pub const JWT_SECRET: &str = "candlemill-demo-jwt-secret-of-32-bytes";
/// Password of every demo user.
pub const PASSWORD: &str = "candlemill";

/// A running simulator of Binance and Supabase Auth.
#[derive(Debug)]
pub struct Simulator {
    service: Service,
    http: reqwest::Client,
}

impl Simulator {
    /// Starts one over the candles in the project's `data/`; `environment` adds variables and replaces the defaults.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(environment: BTreeMap<String, String>, log: &Path) -> Result<Self> {
        let data = crate::project_root().join("data");
        let mut all = BTreeMap::from([
            ("SIMULATOR_DATA_DIR".to_owned(), data.to_string_lossy().into_owned()),
            ("SIMULATOR_PUBLISHABLE_KEY".to_owned(), PUBLISHABLE_KEY.to_owned()),
            ("SIMULATOR_SECRET_KEY".to_owned(), SECRET_KEY.to_owned()),
            ("SIMULATOR_JWT_SECRET".to_owned(), JWT_SECRET.to_owned()),
            ("LOG_FORMAT".to_owned(), "pretty".to_owned()),
        ]);
        all.extend(environment);
        Ok(Self { service: Service::start(SIMULATOR, all, log).await?, http: reqwest::Client::new() })
    }

    /// `http://127.0.0.1:<port>`: the base address of the exchange and of Supabase alike.
    #[must_use]
    pub fn url(&self) -> &str {
        self.service.url()
    }

    /// The process.
    #[must_use]
    pub const fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    /// Signs in `<user>@candlemill.test` (`free`, `pro`, `enterprise`) and returns the access token.
    ///
    /// # Errors
    /// When the simulator does not know the user.
    pub async fn token(&self, user: &str) -> Result<String> {
        let email = if user.contains('@') { user.to_owned() } else { format!("{user}@candlemill.test") };
        let body = json!({"email": email, "password": PASSWORD});
        let request = self.http.post(format!("{}/auth/v1/token?grant_type=password", self.url()));
        let answer = read(request.header("apikey", PUBLISHABLE_KEY).json(&body)).await;
        let answer = answer.with_context(|| format!("signing in {email}"))?;
        Ok(answer["access_token"].as_str().context("the answer holds no access_token")?.to_owned())
    }

    /// Reads `path` of the simulator: counters under `/_simulator/…`, or a call of the exchange itself.
    ///
    /// # Errors
    /// When the answer is not 2xx or no JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        read(self.http.get(format!("{}{path}", self.url()))).await.with_context(|| format!("GET {path}"))
    }

    /// Posts `body` to `path` of the simulator: faults and settings under `/_simulator/…`.
    ///
    /// # Errors
    /// When the answer is not 2xx or no JSON (an empty body counts as `null`).
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.url())).json(body);
        read(request).await.with_context(|| format!("POST {path}"))
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<Value> {
    let answer = request.send().await.context("calling the simulator")?;
    let status = answer.status();
    let text = answer.text().await.context("reading the simulator's answer")?;
    if !status.is_success() {
        bail!("the simulator answered {status}: {text}");
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("reading {text:?} as JSON"))
}
