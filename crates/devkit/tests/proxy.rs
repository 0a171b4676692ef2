//! The faults of the proxy, seen from a client of an echoing server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use candlemill_devkit::FaultProxy;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// Long enough for anything that happens at all on this machine.
const SOON: Duration = Duration::from_secs(10);
/// Long enough to see that nothing comes.
const MOMENT: Duration = Duration::from_millis(150);

async fn echo_behind_proxy() -> FaultProxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    FaultProxy::start(&target).await.unwrap()
}

/// Sends four bytes and reads the echo; `None` when the connection ends instead.
async fn echo(stream: &mut TcpStream) -> Option<[u8; 4]> {
    stream.write_all(b"ping").await.ok()?;
    let mut answer = [0; 4];
    timeout(SOON, stream.read_exact(&mut answer)).await.expect("an answer or an end").ok()?;
    Some(answer)
}

#[tokio::test]
async fn a_cut_closes_and_refuses_until_it_is_restored() {
    let proxy = echo_behind_proxy().await;
    let mut old = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(echo(&mut old).await, Some(*b"ping"));
    proxy.cut().await;
    assert_eq!(echo(&mut old).await, None);
    let refused = TcpStream::connect(proxy.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    proxy.cut().await;
    proxy.restore().await;
    let mut new = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(echo(&mut new).await, Some(*b"ping"));
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_half_open_line_accepts_and_is_silent() {
    let proxy = echo_behind_proxy().await;
    let mut old = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(echo(&mut old).await, Some(*b"ping"));
    proxy.half_open();
    let mut new = TcpStream::connect(proxy.addr()).await.unwrap();
    let mut byte = [0; 1];
    for stream in [&mut old, &mut new] {
        stream.write_all(b"x").await.unwrap();
        assert!(timeout(MOMENT, stream.read(&mut byte)).await.is_err(), "nothing is forwarded");
    }
    proxy.restore().await;
    for stream in [&mut old, &mut new] {
        assert_eq!(timeout(SOON, stream.read(&mut byte)).await.expect("the byte comes late").unwrap(), 1);
    }
}

#[tokio::test]
async fn a_delay_holds_back_each_way_and_keeps_the_throughput() {
    let proxy = echo_behind_proxy().await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(echo(&mut stream).await, Some(*b"ping"));
    proxy.delay(Duration::from_millis(50));
    let start = Instant::now();
    assert_eq!(echo(&mut stream).await, Some(*b"ping"));
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
    // 8 MiB at 64 KiB a chunk would take 6 s if every chunk waited for the one before.
    let (mut from, mut to) = stream.split();
    let megabytes = vec![7; 8 << 20];
    let start = Instant::now();
    let mut back = vec![0; megabytes.len()];
    let (sent, received) = tokio::join!(to.write_all(&megabytes), from.read_exact(&mut back));
    sent.unwrap();
    received.unwrap();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(back, megabytes);
}

#[tokio::test]
async fn the_end_of_one_side_reaches_the_other() {
    let proxy = echo_behind_proxy().await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    stream.write_all(b"last words").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    timeout(SOON, stream.read_to_string(&mut text)).await.expect("the end comes").unwrap();
    assert_eq!(text, "last words");
}
