//! A Redis server of one's own.

use crate::child::{Child, Recipe};
use crate::found::redis_server;
use crate::ports::free_port;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Longest time from the start to the first answer; a large append-only file is read first.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Time to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// A Redis server on 127.0.0.1 with an append-only file and `noeviction`, as production runs it.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    port: u16,
    _scratch: Option<TempDir>,
}

impl Redis {
    /// Starts one whose data is thrown away with the handle.
    ///
    /// # Errors
    /// When there is no server program or it does not start.
    pub async fn throwaway() -> Result<Self> {
        let scratch = TempDir::with_prefix("candlemill-redis-").context("making a folder for Redis")?;
        let mut redis = Self::start(scratch.path()).await?;
        redis._scratch = Some(scratch);
        Ok(redis)
    }

    /// Starts one on a free port with its data and log in `folder`, which stay.
    ///
    /// # Errors
    /// When there is no server program or it does not start.
    pub async fn start(folder: &Path) -> Result<Self> {
        let mut last = None;
        // Another process may take the port between the look and the start.
        for _ in 0..5 {
            match Self::start_on(folder, &folder.join("redis.log"), free_port()?).await {
                Ok(redis) => return Ok(redis),
                Err(error) => last = Some(error),
            }
        }
        last.map_or_else(|| bail!("no attempt was made"), Err)
    }

    /// Starts one on `port` with its data in `folder` and its log in `log`.
    ///
    /// # Errors
    /// When there is no server program or it does not start there.
    pub async fn start_on(folder: &Path, log: &Path, port: u16) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let number = port.to_string();
        let fixed = ["--port", &number, "--bind", "127.0.0.1", "--appendonly", "yes", "--save", ""];
        let memory = ["--maxmemory-policy", "noeviction", "--daemonize", "no", "--dir"];
        let mut arguments: Vec<_> = fixed.iter().chain(&memory).map(Into::into).collect();
        arguments.push(absolute(folder)?.into_os_string());
        let child = Child::spawn(Recipe {
            name: "redis".to_owned(),
            program: redis_server()?,
            arguments,
            environment: BTreeMap::new(),
            log: log.to_owned(),
        })?;
        let mut redis = Self { child, port, _scratch: None };
        redis.wait_until_ready().await?;
        Ok(redis)
    }

    /// `redis://127.0.0.1:<port>`, the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port, the same after a restart.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The process.
    #[must_use]
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub async fn kill9(&mut self) -> Result<()> {
        self.child.kill9().await.map(drop)
    }

    /// Stops it in order; its data is flushed.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub async fn stop(&mut self) -> Result<()> {
        self.child.stop(GRACE).await.map(drop)
    }

    /// Starts it again on the same port and data, after `kill9` or `stop` (a running one is killed first).
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.child.respawn().await?;
        self.wait_until_ready().await
    }

    /// Waits until the server that answers on the port is this process and has read its data.
    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            if let Some(status) = self.child.exited()? {
                bail!("redis ended at its start ({status}). Its log:\n{}", self.child.log_tail(15));
            }
            if let Ok(Ok(info)) = timeout(Duration::from_secs(1), self.info()).await
                && info.contains(&format!("process_id:{}\r\n", self.pid()))
                && info.contains("\r\nloading:0\r\n")
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("redis was not ready within {MAX_WAIT:?}. Its log:\n{}", self.child.log_tail(15));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The answer to `INFO server persistence`, by the protocol's inline form.
    async fn info(&self) -> Result<String> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).await?;
        socket.write_all(b"INFO server\r\nINFO persistence\r\nQUIT\r\n").await?;
        let mut text = String::new();
        socket.read_to_string(&mut text).await?;
        Ok(text)
    }
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("resolving {}", path.display()))
}
