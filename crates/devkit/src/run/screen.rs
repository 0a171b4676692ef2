//! What a run writes to the terminal.

use anyhow::{Context as _, Result};
use candlemill_client::Api;
use candlemill_devkit::{MongoKind, PASSWORD, Stack};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

/// The user of a run.
const DEMO_USER: &str = "pro@candlemill.test";

/// Standard output of a run.
#[derive(Debug)]
pub(crate) struct Screen {
    coloured: bool,
}

impl Default for Screen {
    fn default() -> Self {
        Self { coloured: std::io::stdout().is_terminal() }
    }
}

impl Screen {
    /// Whether colours may be used.
    pub(crate) const fn coloured(&self) -> bool {
        self.coloured
    }

    /// Writes lines as they are.
    pub(crate) fn plain(&mut self, text: &str) -> Result<()> {
        writeln!(std::io::stdout(), "{text}").context("writing to standard output")
    }

    /// Writes what happens now.
    pub(crate) fn note(&mut self, text: &str) -> Result<()> {
        let (bold, plain) = if self.coloured { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        self.plain(&format!("{bold}==> {text}{plain}"))
    }

    /// Writes lines a little to the right.
    pub(crate) fn indented(&mut self, text: &str) -> Result<()> {
        self.plain(&format!("    {}", text.replace('\n', "\n    ")))
    }

    /// Names what was started.
    pub(crate) fn servers(&mut self, stack: &Stack, folder: &Path, live: bool) -> Result<()> {
        self.note("started, all of it ready")?;
        let mongo = match stack.mongo.as_ref().map(candlemill_devkit::MongoServer::kind) {
            Some(MongoKind::Mongod) => "MongoDB",
            Some(MongoKind::Secantus) => "MongoDB wire server (secantusd-rs)",
            None => "MongoDB of MONGODB_URI",
        };
        let redis = if stack.redis.is_some() { "Redis" } else { "Redis of REDIS_URL" };
        let simulator = if live { "Supabase (simulated)" } else { "Binance and Supabase (simulated)" };
        let port = |port: Option<u16>| port.map_or_else(|| "outside".to_owned(), |port| format!("127.0.0.1:{port}"));
        let mut lines = vec![
            (redis, port(stack.redis.as_ref().map(candlemill_devkit::Redis::port))),
            (mongo, port(stack.mongo.as_ref().map(candlemill_devkit::MongoServer::port))),
            (simulator, stack.simulator.url().to_owned()),
            ("API", stack.api_url().to_owned()),
        ];
        lines.extend(stack.workers.iter().map(|worker| ("worker", worker.url().to_owned())));
        let lines: Vec<_> = lines.iter().map(|(what, place)| format!("{what:<36} {place}")).collect();
        self.indented(&lines.join("\n"))?;
        self.indented(&format!("data and logs in {}", folder.display()))
    }

    /// Names addresses and ready calls; `task` is the id of a task of the demo user.
    pub(crate) fn where_to_look(&mut self, api: &Api, task: &str) -> Result<()> {
        let (base, token) = (api.base(), api.token());
        self.note("where to look")?;
        self.indented(&format!(
            "dashboard        {base}/  as {DEMO_USER}, password {PASSWORD}\nAPI, browsable   {base}/docs\nmetrics          {base}/metrics\nhealth           {base}/readyz"
        ))?;
        self.note("try it (the demo user's token is good for an hour)")?;
        self.plain(&format!(
            "export CANDLEMILL_API_URL={base}\n\
             export CANDLEMILL_TOKEN={token}\n\
             curl -s -H \"Authorization: Bearer $CANDLEMILL_TOKEN\" \"$CANDLEMILL_API_URL/api/task/{task}/progress\"\n\
             curl -s -H \"Authorization: Bearer $CANDLEMILL_TOKEN\" \
             \"$CANDLEMILL_API_URL/api/market-data/klines?symbol=BTCUSDT&interval=1m&start=2020-01-01T00:00:00Z&limit=3\"\n\
             curl -s -H \"Authorization: Bearer $CANDLEMILL_TOKEN\" \
             \"$CANDLEMILL_API_URL/api/market-data/coverage?symbol=BTCUSDT&interval=1h\""
        ))
    }
}
