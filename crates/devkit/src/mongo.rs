//! A MongoDB-wire server of one's own.

use crate::child::{Child, Recipe};
use crate::found::{MongoKind, mongo_server};
use crate::ports::free_port;
use crate::redis::absolute;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// Longest time from the start to the first connection; recovery after a kill takes up to 5 s.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Time to end after SIGTERM; the storage engine writes a checkpoint.
const GRACE: Duration = Duration::from_secs(10);

/// A MongoDB-wire server on 127.0.0.1 that honours `j: true`.
///
/// A real `mongod` runs standalone here: nothing of the backbone needs a replica set, and the compose file, which is
/// the model of production, has one. The stand-in reports itself as a replica set of one node.
#[derive(Debug)]
pub struct MongoServer {
    child: Child,
    port: u16,
    kind: MongoKind,
    _scratch: Option<TempDir>,
}

impl MongoServer {
    /// Starts one whose data is thrown away with the handle.
    ///
    /// # Errors
    /// When there is no server program or it does not start.
    pub async fn throwaway() -> Result<Self> {
        let scratch = TempDir::with_prefix("candlemill-mongo-").context("making a folder for MongoDB")?;
        let mut mongo = Self::start(scratch.path()).await?;
        mongo._scratch = Some(scratch);
        Ok(mongo)
    }

    /// Starts one on a free port with its data and log in `folder`, which stay.
    ///
    /// # Errors
    /// When there is no server program or it does not start.
    pub async fn start(folder: &Path) -> Result<Self> {
        let mut last = None;
        // Another process may take the port between the look and the start.
        for _ in 0..5 {
            match Self::start_on(&folder.join("data"), &folder.join("mongo.log"), free_port()?).await {
                Ok(mongo) => return Ok(mongo),
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
        let (program, kind) = mongo_server()?;
        let child = Child::spawn(Recipe {
            name: "mongo".to_owned(),
            program,
            arguments: arguments(kind, absolute(folder)?.into_os_string(), port),
            environment: BTreeMap::new(),
            log: log.to_owned(),
        })?;
        let mut mongo = Self { child, port, kind, _scratch: None };
        mongo.wait_until_ready().await?;
        Ok(mongo)
    }

    /// `mongodb://127.0.0.1:<port>/?directConnection=true`, the same after a restart.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port)
    }

    /// The port, the same after a restart.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Which program it is.
    #[must_use]
    pub const fn kind(&self) -> MongoKind {
        self.kind
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

    /// Why it cannot answer, in words: it was killed or stopped, or is frozen. `None` while it runs.
    pub fn down(&mut self) -> Option<&'static str> {
        match self.child.exited() {
            Ok(Some(_)) => Some("not running"),
            Ok(None) if self.child.is_frozen() => Some("frozen"),
            _ => None,
        }
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

    async fn wait_until_ready(&mut self) -> Result<()> {
        let address = match self.kind {
            // It says so itself, and only after recovery.
            MongoKind::Secantus => {
                self.child
                    .wait_for_line(MAX_WAIT, |line| Some(line.split_once("listening on ")?.1.trim().to_owned()))
                    .await?
            }
            MongoKind::Mongod => format!("127.0.0.1:{}", self.port),
        };
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            if let Some(status) = self.child.exited()? {
                bail!("mongo ended at its start ({status}). Its log:\n{}", self.child.log_tail(15));
            }
            if TcpStream::connect(&address).await.is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("mongo was not ready within {MAX_WAIT:?}. Its log:\n{}", self.child.log_tail(15));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn arguments(kind: MongoKind, folder: OsString, port: u16) -> Vec<OsString> {
    let port = port.to_string();
    match kind {
        MongoKind::Mongod => {
            let before: [OsString; 5] =
                ["--bind_ip".into(), "127.0.0.1".into(), "--port".into(), port.into(), "--dbpath".into()];
            let after: [OsString; 3] = [folder, "--wiredTigerCacheSizeGB".into(), "0.25".into()];
            before.into_iter().chain(after).collect()
        }
        MongoKind::Secantus => {
            let before: [OsString; 5] =
                ["--host".into(), "127.0.0.1".into(), "--port".into(), port.into(), "--storage-path".into()];
            // Without --sync-on-commit it acknowledges journaled writes that a kill then loses.
            let after = ["--sync-on-commit", "--cache-size", "256M", "--log-file-max", "32MB"];
            before.into_iter().chain([folder]).chain(after.map(OsString::from)).collect()
        }
    }
}
