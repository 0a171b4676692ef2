//! A TCP proxy that breaks the network on purpose.

use anyhow::{Context as _, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Chunks in flight per direction while a delay holds them back.
const CHUNKS: usize = 256;
/// Largest chunk, bytes.
const CHUNK: usize = 64 * 1024;
/// Connections that wait for being accepted.
const BACKLOG: u32 = 1_024;

/// How the proxy treats what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    /// Nothing is read, nothing is forwarded; connections are accepted and stay.
    silent: bool,
    /// What every chunk waits, in each direction.
    delay: Duration,
}

enum Command {
    Cut,
    Restore,
}

/// A proxy on a free port of 127.0.0.1 in front of one server. It ends when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
    line: watch::Sender<Line>,
    commands: mpsc::Sender<(Command, oneshot::Sender<()>)>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts one in front of `target` (`host:port`).
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(target: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("binding the proxy")?;
        let address = listener.local_addr().context("reading the proxy's port")?;
        let (line, seen) = watch::channel(Line { silent: false, delay: Duration::ZERO });
        let (commands, inbox) = mpsc::channel(1);
        let accepted = Arc::new(AtomicU64::new(0));
        let gate = Gate { address, target: target.to_owned(), seen, accepted: Arc::clone(&accepted) };
        Ok(Self { address, accepted, line, commands, task: tokio::spawn(gate.keep(listener, inbox)) })
    }

    /// Where it listens, `127.0.0.1:<port>`.
    #[must_use]
    pub fn addr(&self) -> String {
        self.address.to_string()
    }

    /// Connections accepted since the start.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Closes every connection and refuses new ones, as a dead server does. Done when it returns.
    pub async fn cut(&self) {
        self.send(Command::Cut).await;
    }

    /// Keeps and accepts connections but forwards nothing, as a lost route does.
    pub fn half_open(&self) {
        self.line.send_modify(|line| line.silent = true);
    }

    /// Holds back every chunk by `delay` in each direction; the throughput stays.
    pub fn delay(&self, delay: Duration) {
        self.line.send_modify(|line| line.delay = delay);
    }

    /// Ends every fault. Connections that a half-open line kept go on where they were.
    pub async fn restore(&self) {
        self.line.send_replace(Line { silent: false, delay: Duration::ZERO });
        self.send(Command::Restore).await;
    }

    async fn send(&self, command: Command) {
        let (done, waiting) = oneshot::channel();
        // Both fail only when the task is gone, and with it the proxy's port.
        if self.commands.send((command, done)).await.is_ok() {
            drop(waiting.await);
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The proxy's task.
struct Gate {
    address: SocketAddr,
    target: String,
    seen: watch::Receiver<Line>,
    accepted: Arc<AtomicU64>,
}

/// A port that is listened on, or only bound, so that no other process gets it while connections are refused.
enum Port {
    Open(TcpListener),
    Held(TcpSocket),
}

impl Gate {
    async fn keep(self, listener: TcpListener, mut inbox: mpsc::Receiver<(Command, oneshot::Sender<()>)>) {
        let mut port = Some(Port::Open(listener));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                command = inbox.recv() => {
                    let Some((command, done)) = command else { return };
                    port = match (command, port.take()) {
                        (Command::Cut, Some(Port::Open(listener))) => {
                            drop(listener);
                            connections.shutdown().await;
                            held(self.address).map(Port::Held).ok()
                        }
                        (Command::Restore, Some(Port::Held(socket))) => socket.listen(BACKLOG).map(Port::Open).ok(),
                        (Command::Restore, None) => TcpListener::bind(self.address).await.map(Port::Open).ok(),
                        (_, unchanged) => unchanged,
                    };
                    // A caller that no longer waits does not mind.
                    let _ = done.send(());
                }
                Some(stream) = accept(port.as_ref()) => {
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(carry(stream, self.target.clone(), self.seen.clone()));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// Binds without listening: the port is taken and refuses.
fn held(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// The next connection; waits for ever while the port refuses.
async fn accept(port: Option<&Port>) -> Option<TcpStream> {
    match port {
        Some(Port::Open(listener)) => listener.accept().await.ok().map(|(stream, _)| stream),
        _ => std::future::pending().await,
    }
}

/// Connects to the target and forwards both ways until one side ends. Without a target the client is hung up on.
async fn carry(client: TcpStream, target: String, mut line: watch::Receiver<Line>) {
    // A silent line lets the client's connection stand although no server is behind it.
    if line.wait_for(|line| !line.silent).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(&target).await else { return };
    for stream in [&client, &server] {
        // Only costs speed where it fails.
        drop(stream.set_nodelay(true));
    }
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::join!(pump(client_in, server_out, line.clone()), pump(server_in, client_out, line));
}

async fn pump(from: OwnedReadHalf, mut to: OwnedWriteHalf, line: watch::Receiver<Line>) {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS);
    let write = async {
        while let Some((due, chunk)) = chunks.recv().await {
            if due > Instant::now() {
                sleep_until(due).await;
            }
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        chunks.close();
        // The other side may have closed first.
        drop(to.shutdown().await);
    };
    tokio::join!(read_chunks(from, sender, line), write);
}

async fn read_chunks(
    mut from: OwnedReadHalf,
    sender: mpsc::Sender<(Instant, Vec<u8>)>,
    mut line: watch::Receiver<Line>,
) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let Ok(delay) = line.wait_for(|line| !line.silent).await.map(|line| line.delay) else { return };
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            // A line that fell silent must be seen before the next chunk; `wait_for` above then waits.
            changed = line.changed() => if changed.is_ok() { continue } else { return },
            () = sender.closed() => return,
        };
        match read {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                if sender.send((Instant::now() + delay, buffer[..length].to_vec())).await.is_err() {
                    return;
                }
            }
        }
    }
}
