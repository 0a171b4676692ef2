//! Weights, 429 and 418.

use crate::harness::{DATA, FIRST, Fixture, MINUTE, Reply};
use candlemill_simulator::{ClockSetting, Fault, FaultRule, MinuteWeight, SimulatorConfig, WeightRules};
use serde_json::json;
use std::io::BufRead;

async fn fixture(limit: u32) -> Fixture {
    let config = SimulatorConfig {
        clock: ClockSetting::Fixed { at_ms: FIRST + 15_500 },
        weight_rules: WeightRules { limit, calls_until_ban: 2, ban_seconds: 120 },
        ..SimulatorConfig::default()
    };
    Fixture::start(config).await
}

fn used(reply: &Reply) -> u32 {
    reply.header("x-mbx-used-weight-1m").parse().unwrap()
}

#[tokio::test]
async fn every_call_has_its_weight_even_a_refused_one() {
    let fixture = fixture(6_000).await;
    let mut sum = 0;
    for (path, weight) in [
        ("/api/v3/ping", 1),
        ("/api/v3/time", 1),
        ("/api/v3/klines?symbol=GENUSDT&interval=1m", 2),
        ("/api/v3/klines?symbol=NOSUCH&interval=1m", 2),
        ("/api/v3/exchangeInfo?symbol=GENUSDT", 20),
        ("/api/v3/nothing", 0),
    ] {
        sum += weight;
        assert_eq!(used(&fixture.get(path).await), sum, "{path}");
    }
    fixture.control.advance_clock(44_499);
    assert_eq!(used(&fixture.get("/api/v3/ping").await), sum + 1, "the last millisecond of the minute");
    fixture.control.advance_clock(1);
    assert_eq!(used(&fixture.get("/api/v3/ping").await), 1, "the next minute");
    let expected = [(FIRST, 27, 0), (FIRST + MINUTE, 1, 0)];
    let expected = expected.map(|(start_ms, used, refused)| MinuteWeight { start_ms, used, refused });
    assert_eq!(fixture.control.weights(), expected);
}

#[tokio::test]
async fn going_on_after_429_ends_in_a_ban() {
    let fixture = fixture(2).await;
    let ping = async || fixture.get("/api/v3/ping").await;
    let expect = |reply: &Reply, status: u16, retry_after: &str, msg: &str| {
        assert_eq!((reply.status, reply.header("retry-after")), (status, retry_after), "{}", reply.text);
        assert_eq!(reply.json()["code"], -1003);
        assert!(reply.json()["msg"].as_str().unwrap().contains(msg), "{}", reply.text);
    };
    assert_eq!((ping().await.status, ping().await.status), (200, 200));
    expect(&ping().await, 429, "45", "current limit is 2 request weight per 1 MINUTE");
    expect(&ping().await, 429, "45", "Too much request weight used");
    let until = FIRST + 15_500 + 120_000;
    expect(&ping().await, 418, "120", &format!("IP banned until {until}."));
    assert_eq!(fixture.control.ban().map(|ban| (ban.until_ms, ban.count)), Some((until, 1)));

    fixture.control.advance_clock(60_000);
    expect(&ping().await, 418, "60", "IP banned");
    fixture.control.advance_clock(60_000);
    assert_eq!((ping().await.status, fixture.control.ban()), (200, None), "the ban is over");
    assert_eq!(fixture.control.counters().answered("/api/v3/ping", 429), 2);
    assert_eq!(fixture.control.counters().answered("/api/v3/ping", 418), 2);
}

#[tokio::test]
async fn the_bodies_are_those_that_were_recorded() {
    let fixture = fixture(1_200).await;
    let recorded = std::fs::File::open(format!("{DATA}/rest/binance_errors.ndjson")).unwrap();
    let lines = std::io::BufReader::new(recorded).lines();
    let seen: Vec<serde_json::Value> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let text = |status: u16| {
        let line = seen.iter().find(|line| line["status"] == status).unwrap();
        let body = line["body"].as_str().and_then(|body| serde_json::from_str(body).ok());
        body.unwrap_or_else(|| json!({ "code": line["code"], "msg": line["msg"] }))
    };
    for _ in 0..60 {
        fixture.get("/api/v3/exchangeInfo").await;
    }
    assert_eq!(fixture.get("/api/v3/ping").await.json(), text(429));
    fixture.control.ban_for(1);
    let banned = fixture.get("/api/v3/ping").await.json();
    let end = (FIRST + 16_500).to_string();
    assert_eq!(banned["msg"].as_str().unwrap().replace(&end, "1660090423228"), text(418)["msg"].as_str().unwrap());
    fixture.control.reset_weights();
    assert_eq!(fixture.klines("symbol=NOTASYMBOLUSDT&interval=1m").await.json(), text(400));
}

#[tokio::test]
async fn a_refused_call_meets_no_fault_and_supabase_has_no_weight() {
    let fixture = fixture(1).await;
    fixture.control.add_fault(FaultRule::on("/api", Fault::status(503)));
    assert_eq!(fixture.get("/api/v3/ping").await.status, 503);
    assert_eq!(fixture.get("/api/v3/ping").await.status, 429);
    assert_eq!(fixture.control.faults()[0].applied, 1);
    let jwks = fixture.get("/auth/v1/.well-known/jwks.json").await;
    assert_eq!((jwks.status, jwks.header("x-mbx-used-weight-1m")), (200, ""));
}
