//! The product's own programs as processes.

use crate::child::{Child, Recipe};
use anyhow::{Context as _, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Longest time from the start to readiness.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Time to end after SIGTERM: more than the worker's own grace time.
const GRACE: Duration = Duration::from_secs(40);

/// The built program `name`, which lies beside this one (`target/debug` or `target/release`).
///
/// # Errors
/// When it was not built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program's own file")?;
    let folder = own.parent().context("this program has no folder")?;
    // Tests lie one folder deeper, in `deps`.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let program = folder.join(name);
    if !program.is_file() {
        bail!("{} is not built; run `cargo build --workspace --bins` first", program.display());
    }
    Ok(program)
}

/// How a service shows that it can do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// It has bound its port.
    Listening,
    /// Its `/readyz` answers 200.
    Readyz,
}

/// What distinguishes one program from another here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) program: &'static str,
    /// The variable that holds the address to bind.
    pub(crate) address: &'static str,
    pub(crate) ready: Ready,
}

pub(crate) const API: Kind = Kind { program: "candlemill-api", address: "API_ADDR", ready: Ready::Readyz };
pub(crate) const WORKER: Kind = Kind { program: "candlemill-worker", address: "WORKER_ADDR", ready: Ready::Readyz };
pub(crate) const SIMULATOR: Kind =
    Kind { program: "candlemill-simulator", address: "SIMULATOR_ADDR", ready: Ready::Listening };

/// One running program of the product.
#[derive(Debug)]
pub struct Service {
    child: Child,
    kind: Kind,
    url: String,
}

impl Service {
    /// Starts the program `kind` with just these variables and waits until it is ready.
    ///
    /// Its address is `127.0.0.1:0` unless the variables say otherwise; a restart binds the port that it had.
    pub(crate) async fn start(kind: Kind, mut environment: BTreeMap<String, String>, log: &Path) -> Result<Self> {
        environment.entry(kind.address.to_owned()).or_insert_with(|| "127.0.0.1:0".to_owned());
        let name = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let recipe =
            Recipe { name, program: binary(kind.program)?, arguments: Vec::new(), environment, log: log.to_owned() };
        let mut service = Self { child: Child::spawn(recipe)?, kind, url: String::new() };
        service.wait_until_ready().await?;
        let address = service.url.trim_start_matches("http://").to_owned();
        service.child.recipe_mut().environment.insert(kind.address.to_owned(), address);
        Ok(service)
    }

    /// `http://127.0.0.1:<port>`, the same after a restart.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process: signals, memory, log.
    #[must_use]
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Most memory that it ever held, bytes.
    ///
    /// # Errors
    /// When it ended.
    pub fn peak_memory(&self) -> Result<u64> {
        self.child.peak_memory()
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub async fn kill9(&mut self) -> Result<()> {
        self.child.kill9().await.map(drop)
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// When it was asked to end and did not end with status 0.
    pub async fn stop(&mut self) -> Result<()> {
        if self.child.exited()?.is_some() {
            return Ok(());
        }
        let status = self.child.stop(GRACE).await?;
        if status.success() {
            return Ok(());
        }
        bail!("{} ended with {status} after SIGTERM. Its log:\n{}", self.child.name(), self.child.log_tail(15))
    }

    /// Starts it again with the same variables and port (a running one is killed first) and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.child.respawn().await?;
        self.wait_until_ready().await
    }

    /// Waits until `/readyz` answers `status`: 200 once everything that it needs is there, 503 while something is gone.
    ///
    /// # Errors
    /// When it ends or the answer does not come within a minute.
    pub async fn wait_for_readyz(&mut self, status: u16) -> Result<()> {
        let deadline = Instant::now() + MAX_WAIT;
        let address = format!("{}/readyz", self.url);
        let http = reqwest::Client::new();
        let mut last;
        loop {
            if let Some(status) = self.child.exited()? {
                bail!("{} ended ({status}). Its log:\n{}", self.child.name(), self.child.log_tail(15));
            }
            match timeout(Duration::from_secs(5), http.get(&address).send()).await {
                Ok(Ok(answer)) if answer.status().as_u16() == status => return Ok(()),
                Ok(Ok(answer)) => last = format!("{} {}", answer.status(), answer.text().await.unwrap_or_default()),
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = "no answer within 5 s".to_owned(),
            }
            if Instant::now() > deadline {
                let log = self.child.log_tail(15);
                bail!("{address} did not answer {status} within {MAX_WAIT:?}, last: {last}. The log:\n{log}");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_until_bound(&mut self) -> Result<()> {
        let url =
            self.child.wait_for_line(MAX_WAIT, |line| Some(line.strip_prefix("listening on ")?.trim().to_owned()));
        let url = url.await?;
        if !url.starts_with("http://") {
            return Err(anyhow!("{} says that it listens on {url:?}, which is no http:// address", self.child.name()));
        }
        self.url = url;
        Ok(())
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        self.wait_until_bound().await?;
        match self.kind.ready {
            Ready::Listening => Ok(()),
            Ready::Readyz => self.wait_for_readyz(200).await,
        }
    }
}
