//! The servers that the development kit starts: their data survives a kill, their ports survive a restart.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use candlemill_devkit::{MongoServer, Redis};
use std::path::Path;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends inline commands to Redis and returns the whole answer.
async fn ask(redis: &Redis, commands: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", redis.port())).await.unwrap();
    socket.write_all(format!("{commands}\r\nQUIT\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    text
}

fn runs(pid: u32) -> bool {
    // A zombie has no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[tokio::test]
async fn redis_keeps_port_and_data_over_a_stop_and_ends_with_its_handle() {
    let mut redis = Redis::throwaway().await.unwrap();
    let url = redis.url();
    assert!(ask(&redis, "SET a 1").await.starts_with("+OK"));
    assert!(ask(&redis, "CONFIG GET maxmemory-policy").await.contains("noeviction"));
    redis.stop().await.unwrap();
    redis.restart().await.unwrap();
    assert_eq!(redis.url(), url);
    assert!(ask(&redis, "GET a").await.contains("\r\n1\r\n"));
    let killed = redis.pid();
    redis.kill9().await.unwrap();
    assert!(!runs(killed));
    redis.restart().await.unwrap();
    assert!(redis.child().peak_memory().unwrap() > 1_000_000);
    let last = redis.pid();
    assert!(runs(last));
    drop(redis);
    assert!(!runs(last));
}

#[tokio::test]
async fn a_frozen_redis_answers_when_it_is_thawed() {
    let mut redis = Redis::throwaway().await.unwrap();
    redis.child().freeze().unwrap();
    let max_wait = std::time::Duration::from_millis(200);
    assert!(tokio::time::timeout(max_wait, ask(&redis, "PING")).await.is_err());
    redis.child().thaw().unwrap();
    assert!(ask(&redis, "PING").await.starts_with("+PONG"));
}

#[tokio::test]
async fn mongo_keeps_its_port_over_a_kill_and_ends_with_its_handle() {
    let mut mongo = MongoServer::throwaway().await.unwrap();
    let uri = mongo.uri();
    // An open connection makes the port linger after the kill.
    let _open = TcpStream::connect(("127.0.0.1", mongo.port())).await.unwrap();
    mongo.kill9().await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", mongo.port())).await.is_err());
    mongo.restart().await.unwrap();
    assert_eq!(mongo.uri(), uri);
    TcpStream::connect(("127.0.0.1", mongo.port())).await.unwrap();
    let last = mongo.pid();
    drop(mongo);
    assert!(!runs(last));
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_its_log() {
    let redis = Redis::throwaway().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("second.log");
    let error = Redis::start_on(folder.path(), &log, redis.port()).await.unwrap_err().to_string();
    assert!(error.contains("ended at its start") && error.contains("in use"), "{error}");
    let nowhere = Redis::start_on(Path::new("/proc/nowhere"), &log, 1).await.unwrap_err();
    assert!(nowhere.to_string().contains("/proc/nowhere"), "{nowhere}");
}
