//! One child process: its log file, its signals, its memory, its end.

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

/// How often a waiting call looks at the log or the process again.
const LOOK: Duration = Duration::from_millis(10);

/// What to start, so that it can be started again.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    /// Short name, for messages: `redis`, `candlemill-worker`.
    pub(crate) name: String,
    /// The program's file.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Its whole environment, apart from `PATH` and `HOME`.
    pub(crate) environment: BTreeMap<String, String>,
    /// File that its standard output and error are appended to.
    pub(crate) log: PathBuf,
}

/// A running (or ended) child process. Killed when dropped.
#[derive(Debug)]
pub struct Child {
    recipe: Recipe,
    process: tokio::process::Child,
    pid: u32,
    /// Where this process's part of the log begins, in bytes.
    log_start: u64,
}

impl Child {
    pub(crate) fn spawn(recipe: Recipe) -> Result<Self> {
        let name = &recipe.name;
        if !recipe.program.is_file() {
            bail!("{name}: there is no program {}", recipe.program.display());
        }
        let log = OpenOptions::new().create(true).append(true).open(&recipe.log);
        let log = log.with_context(|| format!("{name}: opening the log {}", recipe.log.display()))?;
        let log_start = log.metadata().context("reading the log's length")?.len();
        let process = command(&recipe)
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("sharing the log")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{name}: starting {}", recipe.program.display()))?;
        let pid = process.id().ok_or_else(|| anyhow!("{name} ended at once"))?;
        Ok(Self { recipe, process, pid, log_start })
    }

    /// Starts the same program again; the old process is killed if it still runs.
    pub(crate) async fn respawn(&mut self) -> Result<()> {
        self.kill9().await?;
        *self = Self::spawn(self.recipe.clone())?;
        Ok(())
    }

    pub(crate) fn recipe_mut(&mut self) -> &mut Recipe {
        &mut self.recipe
    }

    /// The program's short name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.recipe.name
    }

    /// The process id; keeps its value after the end.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.process.try_wait().with_context(|| format!("asking whether {} still runs", self.recipe.name))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        self.process.wait().await.with_context(|| format!("waiting for the end of {}", self.recipe.name))
    }

    /// Asks it to end (SIGTERM) and kills it when it has not after `grace`.
    ///
    /// # Errors
    /// When the operating system refuses the signal.
    pub async fn stop(&mut self, grace: Duration) -> Result<ExitStatus> {
        self.terminate()?;
        if let Ok(status) = timeout(grace, self.wait()).await {
            return status;
        }
        tracing::warn!("{} did not end within {grace:?} of SIGTERM and is killed", self.recipe.name);
        self.kill9().await
    }

    /// Sends SIGTERM and returns at once. Nothing happens to a process that ended already.
    ///
    /// # Errors
    /// When the operating system refuses the signal.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Kills it as a power cut would, and waits until it is gone.
    ///
    /// # Errors
    /// When the operating system refuses the signal.
    pub async fn kill9(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        self.wait().await
    }

    /// Freezes it (SIGSTOP): its connections stay open and nothing answers.
    ///
    /// # Errors
    /// When the operating system refuses the signal.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen one go on (SIGCONT).
    ///
    /// # Errors
    /// When the operating system refuses the signal.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Whether it was frozen and not thawed since; `false` when it ended, or where the machine has no `/proc`.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let state = status.lines().find_map(|line| line.strip_prefix("State:"));
        state.is_some_and(|state| state.trim_start().starts_with('T'))
    }

    /// Sends a signal unless the end was seen already: its id could be another's by then.
    fn signal(&self, signal: Signal) -> Result<()> {
        let Some(id) = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return Ok(()) };
        kill_process(id, signal).with_context(|| format!("sending {signal:?} to {}", self.recipe.name))
    }

    /// Most memory that it ever held, bytes (`VmHWM`).
    ///
    /// # Errors
    /// When it ended, or the machine has no `/proc`.
    pub fn peak_memory(&self) -> Result<u64> {
        self.status_field("VmHWM:")
    }

    /// Memory that it holds now, bytes (`VmRSS`).
    ///
    /// # Errors
    /// When it ended, or the machine has no `/proc`.
    pub fn memory(&self) -> Result<u64> {
        self.status_field("VmRSS:")
    }

    fn status_field(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid);
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let kibibytes =
            text.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse().ok());
        kibibytes.map(|kb: u64| kb * 1024).ok_or_else(|| anyhow!("{path} has no {field} (has {} ended?)", self.name()))
    }

    /// Waits until its log holds a line for which `find` returns something.
    ///
    /// # Errors
    /// When it ends first, or `max_wait` is over; both with the end of its log.
    pub async fn wait_for_line<T>(&mut self, max_wait: Duration, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + max_wait;
        loop {
            // The end is looked at before the log: what a process writes last still counts.
            let ended = self.exited()?;
            let log = self.log()?;
            let whole_lines = log.rfind('\n').map_or("", |end| &log[..end]);
            if let Some(found) = whole_lines.lines().find_map(&find) {
                return Ok(found);
            }
            if let Some(status) = ended {
                bail!("{} ended at its start ({status}). Its log:\n{}", self.name(), self.log_tail(15));
            }
            if Instant::now() > deadline {
                bail!("{} was not ready within {max_wait:?}. Its log:\n{}", self.name(), self.log_tail(15));
            }
            sleep(LOOK).await;
        }
    }

    /// What this process has written since its start.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        let mut file =
            File::open(&self.recipe.log).with_context(|| format!("opening {}", self.recipe.log.display()))?;
        file.seek(SeekFrom::Start(self.log_start)).context("skipping the log of earlier runs")?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).context("reading the log")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last `lines` lines that it wrote, indented, for messages.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log().unwrap_or_else(|error| format!("{error:#}"));
        let all: Vec<&str> = log.lines().collect();
        let tail = &all[all.len().saturating_sub(lines)..];
        if tail.is_empty() { "  (it wrote nothing)".to_owned() } else { format!("  {}", tail.join("\n  ")) }
    }
}

impl Drop for Child {
    /// Kills it and waits until it is gone, so that its folder can be removed.
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        drop(self.process.start_kill());
        for _ in 0..200 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The command of `recipe`: in a process group of its own, so that Ctrl-C reaches only the supervisor, and tied to this
/// process's life by the kernel where `setpriv` is at hand.
fn command(recipe: &Recipe) -> Command {
    let mut command = match on_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(&recipe.program);
            command
        }
        None => Command::new(&recipe.program),
    };
    command.args(&recipe.arguments).env_clear().envs(&recipe.environment).process_group(0).kill_on_drop(true);
    for inherited in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(inherited) {
            command.env(inherited, value);
        }
    }
    command
}

/// The file that a shell would run for `program`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
