//! Scripted faults, and the log that shows them.

use crate::harness::{FIRST, Fixture, MAX_WAIT, MINUTE};
use candlemill_simulator::{Fault, FaultRule, Simulator, SimulatorConfig, WrongContent};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const KLINES: &str = "/api/v3/klines";
const NOW: i64 = FIRST + 100 * MINUTE + 30_000;
const QUERY: &str = "symbol=BTCUSDT&interval=1m&limit=10";

/// Ten rows, spoilt.
async fn spoilt(wrong: WrongContent) -> (Vec<Value>, Vec<Value>) {
    let fixture = Fixture::at(NOW).await;
    let right: Vec<Value> = serde_json::from_str(&fixture.klines(QUERY).await.text).unwrap();
    fixture.control.add_fault(FaultRule::on(KLINES, Fault::Content(wrong)).times(1));
    let reply = fixture.klines(QUERY).await;
    assert_eq!(reply.status, 200);
    let wrong: Vec<Value> = serde_json::from_str(&reply.text).unwrap();
    assert_eq!(fixture.klines(QUERY).await.json(), Value::from(right.clone()), "the fault is over");
    (right, wrong)
}

#[tokio::test]
async fn wrong_rows() {
    let (right, wrong) = spoilt(WrongContent::NoRows).await;
    assert!(right.len() == 10 && wrong.is_empty());
    let (right, mut wrong) = spoilt(WrongContent::Unsorted).await;
    wrong.reverse();
    assert_eq!(right, wrong);
    let (right, mut wrong) = spoilt(WrongContent::DuplicateRow { index: 4 }).await;
    assert_eq!(wrong.remove(5), right[4]);
    assert_eq!(right, wrong);
    let (mut right, wrong) = spoilt(WrongContent::MissingRow { index: 4 }).await;
    right.remove(4);
    assert_eq!(right, wrong);
    let (right, wrong) = spoilt(WrongContent::BadRow { index: 4 }).await;
    let price = |row: &Value, index: usize| row[index].as_str().unwrap().parse::<f64>().unwrap();
    assert!(price(&wrong[4], 2) < price(&wrong[4], 3), "high below low");
    assert_eq!((&right[..4], &right[5..]), (&wrong[..4], &wrong[5..]));
    let (_, wrong) = spoilt(WrongContent::ShortRow { index: 4 }).await;
    assert_eq!(wrong[4].as_array().unwrap().len(), 11);
    let (_, wrong) = spoilt(WrongContent::NumberRow { index: 4 }).await;
    assert!(wrong[4][1].is_number());
    let (right, wrong) = spoilt(WrongContent::RevisedRow { index: 4 }).await;
    assert_eq!((&right[4][0], &right[4][6]), (&wrong[4][0], &wrong[4][6]));
    assert_ne!(right[4], wrong[4]);
    let (right, wrong) = spoilt(WrongContent::FormingAsClosed).await;
    assert!(right[9][6].as_i64().unwrap() >= NOW && wrong[9][6].as_i64().unwrap() < NOW);
    let (right, wrong) = spoilt(WrongContent::Shifted { ms: -MINUTE }).await;
    assert_eq!(right[3][0], wrong[4][0]);
    let (right, wrong) = spoilt(WrongContent::FirstRows { count: 3 }).await;
    assert_eq!(right[..3], wrong);
    let (right, wrong) = spoilt(WrongContent::FirstHalf).await;
    assert_eq!(right[..5], wrong);
}

#[tokio::test]
async fn wrong_times() {
    const TIME: &str = "/api/v3/time";
    let fixture = Fixture::at(NOW).await;
    let spoilt = [WrongContent::TimeAhead { ms: 7_200_000 }, WrongContent::TimeMicroseconds];
    let right = fixture.get(TIME).await;
    for (wrong, expected) in spoilt.into_iter().zip([NOW + 7_200_000, NOW * 1_000]) {
        fixture.control.add_fault(FaultRule::on("/api", Fault::Content(wrong)));
        let reply = fixture.get(TIME).await;
        assert_eq!(reply.json(), serde_json::json!({ "serverTime": expected }));
        assert_eq!(reply.header("date"), right.header("date"), "the header stays right");
        assert_eq!(fixture.klines(QUERY).await.opens().len(), 10, "candles stay as they are");
        assert_eq!(fixture.get("/api/v3/exchangeInfo").await.json()["serverTime"], NOW);
        fixture.control.clear_faults();
    }
    assert_eq!(fixture.get(TIME).await.text, right.text);
}

#[tokio::test]
async fn wrong_texts() {
    let fixture = Fixture::at(NOW).await;
    fixture.control.add_fault(FaultRule::on(KLINES, Fault::Content(WrongContent::Html)).times(1));
    fixture.control.add_fault(FaultRule::on(KLINES, Fault::Content(WrongContent::HalfJson)).times(1));
    let html = fixture.klines(QUERY).await;
    assert!(html.status == 200 && html.header("content-type").starts_with("text/html"), "{html:?}");
    let half = fixture.klines(QUERY).await;
    assert!(half.status == 200 && serde_json::from_str::<Value>(&half.text).is_err() && half.text.starts_with("[["));
}

#[tokio::test]
async fn statuses_carry_body_and_headers() {
    let fixture = Fixture::at(NOW).await;
    let fault = Fault::Status {
        status: 503,
        body: "<html>".to_owned(),
        headers: BTreeMap::from(
            [("Retry-After", "7"), ("Content-Type", "text/html")].map(|(n, v)| (n.to_owned(), v.to_owned())),
        ),
    };
    fixture.control.add_fault(FaultRule::on(KLINES, fault).containing("limit=10").after(1).times(2));
    let statuses = async |query: &str| {
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(fixture.klines(query).await.status);
        }
        statuses
    };
    assert_eq!(statuses("symbol=BTCUSDT&interval=1m").await, [200, 200, 200, 200]);
    assert_eq!(statuses(QUERY).await, [200, 503, 503, 200]);
    fixture.control.clear_faults();
    fixture.control.add_fault(FaultRule::on("/auth", Fault::throttled(429, 30)).times(1));
    let reply = fixture.get("/auth/v1/.well-known/jwks.json").await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, "30"));
    let calls = fixture.control.calls(KLINES);
    let log: Vec<_> =
        calls.iter().rev().take(4).map(|call| (call.status, call.fault.as_deref(), call.weight)).collect();
    let (fault, fine) = ((Some(503), Some("status"), 2), (Some(200), None, 2));
    assert_eq!(log, [fine, fault, fault, fine]);
    assert_eq!(calls.last().map(|call| (call.query.as_str(), call.used_weight)), Some((QUERY, 16)));
}

/// Speaks to the socket itself and reads until it ends.
async fn raw(fixture: &Fixture) -> (Vec<u8>, std::io::Result<()>) {
    let mut socket = tokio::net::TcpStream::connect(fixture.simulator.addr()).await.unwrap();
    let request = format!("GET {KLINES}?{QUERY} HTTP/1.1\r\nHost: exchange\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let end = tokio::time::timeout(MAX_WAIT, socket.read_to_end(&mut received)).await.unwrap();
    (received, end.map(drop))
}

#[tokio::test]
async fn connections_break() {
    let fixture = Fixture::at(NOW).await;
    let add = |fault: Fault| fixture.control.add_fault(FaultRule::on(KLINES, fault).times(1));
    add(Fault::Reset);
    let (received, end) = raw(&fixture).await;
    assert_eq!((received.len(), end.unwrap_err().kind()), (0, std::io::ErrorKind::ConnectionReset));
    add(Fault::Close);
    let (received, end) = raw(&fixture).await;
    assert!(received.is_empty() && end.is_ok(), "an orderly end without an answer");
    add(Fault::CutBody { after_bytes: 100 });
    let (received, end) = raw(&fixture).await;
    let text = String::from_utf8(received).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(end.is_ok() && body.len() == 100 && head.starts_with("HTTP/1.1 200"), "{text}");
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    assert!(length.is_some_and(|length: usize| length > 1_000), "{head}");
    add(Fault::CutBody { after_bytes: 100 });
    assert!(fixture.try_call("GET", &format!("{KLINES}?{QUERY}"), &[], "").await.is_err(), "a client notices");
    let unanswered = fixture.control.calls(KLINES).iter().filter(|call| call.status.is_none()).count();
    assert_eq!(unanswered, 2);
}

#[tokio::test]
async fn delays() {
    let fixture = Fixture::at(NOW).await;
    let took = async || {
        let start = Instant::now();
        assert_eq!(fixture.klines(QUERY).await.json().as_array().unwrap().len(), 10);
        start.elapsed()
    };
    fixture.control.set_latency_ms(60);
    assert!(took().await >= Duration::from_millis(60));
    fixture.control.add_fault(FaultRule::on(KLINES, Fault::Latency { ms: 50 }).times(1));
    assert!(took().await >= Duration::from_millis(110));
    fixture.control.set_latency_ms(0);
    let length = fixture.klines(QUERY).await.text.len();
    fixture.control.add_fault(FaultRule::on(KLINES, Fault::SlowBody { bytes_per_second: length * 5 }).times(1));
    assert!(took().await >= Duration::from_millis(180), "a fifth of a second for the body");
}

#[tokio::test]
async fn held_calls_wait_for_their_release() {
    let fixture = Fixture::at(NOW).await;
    fixture.control.add_fault(FaultRule::on(KLINES, Fault::Hold).times(40));
    let calls = futures::future::join_all((0..40).map(|_| fixture.klines(QUERY)));
    let script = async {
        fixture.control.wait_for_held(40, MAX_WAIT).await.unwrap();
        let counters = fixture.control.counters();
        assert_eq!((counters.in_flight, counters.peak_in_flight, counters.answered(KLINES, 200)), (40, 40, 0));
        fixture.control.release();
    };
    let (replies, ()) = tokio::join!(calls, script);
    assert!(replies.iter().all(|reply| reply.status == 200 && reply.text == replies[0].text));
    fixture.control.wait_until("no call under way", MAX_WAIT, |counters| counters.in_flight == 0).await.unwrap();
    let error = fixture.control.wait_for_calls(KLINES, 41, Duration::from_millis(1)).await.unwrap_err();
    assert!(error.to_string().contains("41 calls to /api/v3/klines"), "{error}");
}

#[tokio::test]
async fn a_stopped_exchange_refuses_and_comes_back_on_its_port() {
    let fixture = Fixture::at(NOW).await;
    let addr = fixture.simulator.addr();
    let url = format!("{}/api/v3/ping", fixture.simulator.url());
    assert_eq!(fixture.client.get(&url).send().await.unwrap().status(), 200);
    fixture.simulator.stop().await;
    assert!(fixture.client.get(&url).send().await.unwrap_err().is_connect());
    let again = Simulator::start(SimulatorConfig { addr, ..SimulatorConfig::default() }).await.unwrap();
    assert_eq!(fixture.client.get(&url).send().await.unwrap().status(), 200);
    assert_eq!(again.control().counters().calls, 1, "a new book");
}
