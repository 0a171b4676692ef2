//! The binary: starts from the environment, says where it listens, stops when it is told.

use crate::harness::{DATA, FIRST, MAX_WAIT};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

fn binary(variables: &[(&str, &str)]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candlemill-simulator"));
    command.env_clear().env("SIMULATOR_DATA_DIR", DATA).env("SIMULATOR_ADDR", "127.0.0.1:0");
    command.envs(variables.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

#[tokio::test]
async fn it_serves_until_sigterm() {
    let now = ("SIMULATOR_NOW", "2020-01-01T00:10:00Z");
    let mut child = binary(&[now, ("SIMULATOR_WEIGHT_LIMIT", "5"), ("SIMULATOR_PUBLISHABLE_KEY", "key")]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(MAX_WAIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    let url = line.strip_prefix("listening on ").unwrap();
    let client = reqwest::Client::new();
    let get = async |path: &str| client.get(format!("{url}{path}")).header("apikey", "key").send().await.unwrap();
    let time: serde_json::Value = get("/api/v3/time").await.json().await.unwrap();
    let shown = time["serverTime"].as_i64().unwrap() - FIRST;
    assert!((600_000..660_000).contains(&shown), "the clock runs on from its instant: {shown}");
    let rows: Vec<serde_json::Value> = get("/api/v3/klines?symbol=BTCUSDT&interval=1m").await.json().await.unwrap();
    assert!((11..=12).contains(&rows.len()), "{}", rows.len());
    get("/api/v3/klines?symbol=BTCUSDT&interval=1m").await;
    assert_eq!(get("/api/v3/ping").await.status(), 429);
    assert_eq!(get("/auth/v1/user").await.status(), 401);

    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").arg("-TERM").arg(pid).status().await.unwrap().success());
    let status = tokio::time::timeout(MAX_WAIT, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn wrong_configuration_is_told() {
    let check = async |variable: (&str, &str), expected: &str| {
        let output = tokio::time::timeout(MAX_WAIT, binary(&[variable]).wait_with_output()).await.unwrap().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{variable:?}");
        assert!(told.contains(expected), "{variable:?}: {told}");
    };
    check(("SIMULATOR_LATENCY_MS", "soon"), "environment variable SIMULATOR_LATENCY_MS: \"soon\" is not a number")
        .await;
    check(("SIMULATOR_DATA_DIR", "/nowhere"), "/nowhere holds no folder klines").await;
    check(("LOG_FORMAT", "xml"), "LOG_FORMAT").await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    check(("SIMULATOR_ADDR", &addr), &format!("cannot listen on {addr}: Address already in use")).await;
}
