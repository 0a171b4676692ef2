//! A driver that costs little beside what it measures: one keep-alive connection, requests made beforehand.

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection to the API.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// An answer's status and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// `GET path` with a token.
pub(crate) fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// `POST path` of JSON with a token.
pub(crate) fn post(path: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

impl Connection {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let address = url.strip_prefix("http://").context("an http:// address")?;
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: Vec::with_capacity(8_192) })
    }

    /// Sends a request and reads its whole answer (which must have a Content-Length).
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<Answer> {
        self.socket.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                bail!("the API closed the connection");
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let status = text.get(9..12).and_then(|status| status.parse().ok()).context("a status line")?;
        let length: usize = text
            .lines()
            .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")))
            .and_then(|(_, length)| length.trim().parse().ok())
            .context("a Content-Length")?;
        while self.buffer.len() < head + length {
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                bail!("the API closed the connection");
            }
        }
        Ok(Answer { status, body: self.buffer[head..].to_vec() })
    }
}
