//! A receiver of webhooks on a real socket: answers by a script, remembers what it was told.

use candlemill_shared::{Clock, SystemClock};
use rcgen::{CertificateParams, DnType, KeyPair};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// Longest wait for a message.
const PATIENCE: Duration = Duration::from_secs(60);

/// One call as it came.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// UTC ms.
    pub(crate) at: i64,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Told {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The signature as the specification has it, computed without the code under test: RFC 2104 step by step.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let mut key = decode(secret.strip_prefix("whsec_").unwrap());
        key.resize(64, 0);
        let pad = |byte: u8| key.iter().map(|one| one ^ byte).collect::<Vec<u8>>();
        let signed = [
            self.headers["webhook-id"].as_bytes(),
            b".",
            self.headers["webhook-timestamp"].as_bytes(),
            b".",
            &self.body,
        ]
        .concat();
        let inner = Sha256::digest([pad(0x36), signed].concat());
        let outer = Sha256::digest([pad(0x5c), inner.to_vec()].concat());
        self.headers["webhook-signature"].strip_prefix("v1,").map(decode) == Some(outer.to_vec())
    }
}

/// Base64 with its padding, by hand.
fn decode(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits =
        text.trim_end_matches('=').bytes().map(|letter| LETTERS.iter().position(|one| *one == letter).unwrap());
    let (mut bits, mut held, mut bytes) = (0_usize, 0_u32, Vec::new());
    for digit in digits {
        (bits, held) = ((bits << 6 | digit) & 0xfff, held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes
}

/// What the receiver does with a call.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Answers with this status line and headers.
    Answer(String),
    /// Reads the call and never answers.
    Hang,
}

pub(crate) fn answer(status: u16) -> Step {
    answer_with(status, "")
}

/// With further header lines, each ended by CR LF.
pub(crate) fn answer_with(status: u16, headers: &str) -> Step {
    Step::Answer(format!("HTTP/1.1 {status} x\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"))
}

/// A running receiver.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    scheme: &'static str,
    port: u16,
    told: Arc<Mutex<Vec<Told>>>,
    came: Arc<Notify>,
}

impl Receiver {
    /// Takes these steps, one a call; the last one again and again.
    pub(crate) async fn start(steps: Vec<Step>) -> Self {
        Self::listen("http", steps, None).await
    }

    /// The same over TLS, as `localhost`. The certificate that it shows, in PEM: signed by itself.
    pub(crate) async fn start_tls(steps: Vec<Step>) -> (Self, String) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut wanted = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let name = format!("receiver {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        wanted.distinguished_name.push(DnType::CommonName, name);
        let pair = KeyPair::generate().unwrap();
        let made = wanted.self_signed(&pair).unwrap();
        let key = PrivatePkcs8KeyDer::from(pair.serialize_der());
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.der().clone()], key.into()).unwrap();
        let receiver = Self::listen("https", steps, Some(TlsAcceptor::from(Arc::new(config)))).await;
        (receiver, made.pem())
    }

    async fn listen(scheme: &'static str, steps: Vec<Step>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self { scheme, port, told: Arc::default(), came: Arc::default() };
        let serving = receiver.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (serving, steps, tls) = (serving.clone(), steps.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serving.serve(socket, steps).await,
                        // A client that does not trust the certificate hangs up.
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                serving.serve(socket, steps).await;
                            }
                        }
                    }
                });
            }
        });
        receiver
    }

    async fn serve(self, mut socket: impl AsyncRead + AsyncWrite + Unpin, steps: Vec<Step>) {
        let Some(told) = read(&mut socket).await else { return };
        let number = {
            let mut all = self.told.lock().unwrap();
            all.push(told);
            all.len() - 1
        };
        self.came.notify_waiters();
        match &steps[number.min(steps.len() - 1)] {
            Step::Answer(text) => {
                socket.write_all(text.as_bytes()).await.unwrap();
                // Over TLS the end has to be said.
                drop(socket.shutdown().await);
            }
            Step::Hang => std::future::pending().await,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.port)
    }

    pub(crate) fn url_by_name(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.port)
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The calls, once there are so many.
    pub(crate) async fn wait(&self, calls: usize) -> Vec<Told> {
        let waiting = async {
            loop {
                let came = self.came.notified();
                let told = self.told();
                if told.len() >= calls {
                    return told;
                }
                came.await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(told) => told,
            Err(_) => panic!("{calls} calls in vain: {:?}", self.told()),
        }
    }
}

async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Option<Told> {
    let mut bytes = Vec::new();
    loop {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
        let mut lines = head.split("\r\n");
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers.get("content-length")?.parse().ok()?;
        while bytes.len() < end + 4 + length {
            if socket.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        return Some(Told { at: SystemClock.now_ms(), path, headers, body: bytes[end + 4..].to_vec() });
    }
}
