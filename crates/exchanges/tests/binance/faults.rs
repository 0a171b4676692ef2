//! Answers that are none, and answers that are not to be believed.

use crate::exchange::Step;
use crate::ledger::Entry;
use crate::{Bench, INTERVAL, RETRY, btcusdt, row, rows, window};
use candlemill_exchanges::backoff::RetryPolicy;
use candlemill_exchanges::{BinanceClient, BinanceConfig, Disposition, ExchangeError, HistoricalMarketData, Unlimited};
use candlemill_shared::env::Env;
use candlemill_shared::{Decimal, SystemClock};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// The page of two minutes comes out whole although the first attempts meet `faults`.
async fn check_recovers(name: &str, faults: Vec<Step>) {
    let retries = faults.len() as u64;
    let mut script = faults;
    script.push(Step::Ok(rows(&[0, 1])));
    let bench = Bench::with(script, RETRY, Duration::from_millis(400)).await;
    let page =
        bench.client.page(&btcusdt(), INTERVAL, window(2)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!((page.candles.len(), page.absent.len(), page.rejected.len()), (2, 0, 0), "{name}");
    let stats = bench.counters.stats();
    assert_eq!((stats.retries, stats.calls), (retries, retries + 2), "{name}");
    assert_eq!(stats.weight, 1 + 2 * (retries + 1), "{name}");
}

#[tokio::test]
async fn passing_faults_are_overcome() {
    let html = || "<html><body>Maintenance</body></html>".to_owned();
    let cut_row = rows(&[0, 1]).split_at(60).0.to_owned();
    check_recovers("HTML", vec![Step::Ok(html())]).await;
    check_recovers("HTML twice", vec![Step::Ok(html()), Step::Answer(502, "", html())]).await;
    check_recovers("truncated JSON", vec![Step::Ok(cut_row.clone())]).await;
    check_recovers("cut off", vec![Step::Cut(200, "", cut_row.clone())]).await;
    check_recovers("cut off refusal", vec![Step::Cut(400, "", "{\"code\":-1".to_owned())]).await;
    check_recovers("reset", vec![Step::Reset, Step::Reset]).await;
    check_recovers("silence", vec![Step::Silence]).await;
    check_recovers("slow body", vec![Step::Stall(cut_row)]).await;
    check_recovers("empty body", vec![Step::Ok(String::new())]).await;
    check_recovers("wrong content", vec![Step::Ok(r#"{"serverTime":1}"#.to_owned())]).await;
    check_recovers("busy", vec![Step::Answer(503, "", r#"{"code":-1008,"msg":"Overloaded."}"#.to_owned())]).await;
    check_recovers("unsorted", vec![Step::Ok(rows(&[1, 0]))]).await;
    check_recovers("duplicate", vec![Step::Ok(rows(&[0, 0, 1]))]).await;
    check_recovers("another window's", vec![Step::Ok(rows(&[0, 1, 2]))]).await;
    check_recovers("eleven values", vec![Step::Ok(rows(&[0, 1]).replace(",\"0\"]", "]"))]).await;
}

async fn check_fails(name: &str, script: Vec<Step>, expected_calls: usize, code: &str, says: &[&str]) {
    let bench = Bench::new(script).await;
    let error = bench.client.page(&btcusdt(), INTERVAL, window(2)).await.unwrap_err();
    let message = error.to_string();
    assert_eq!(error.code(), code, "{name}: {message}");
    for part in ["GET /api/v3/klines of BTCUSDT 1m [2023-11-14T20:00:00Z, 2023-11-14T20:02:00Z)"].iter().chain(says) {
        assert!(message.contains(part), "{name}: {message:?} lacks {part:?}");
    }
    assert_eq!(bench.exchange.requests().len(), expected_calls, "{name}");
    assert_eq!(bench.counters.stats().calls, expected_calls as u64 + 1, "{name}: failed calls are counted");
}

#[tokio::test]
async fn lasting_faults_end_the_call() {
    let refusal = |code: i64, text: &str| vec![Step::Answer(400, "", format!(r#"{{"code":{code},"msg":"{text}"}}"#))];
    let unknown = refusal(-1121, "Invalid symbol.");
    check_fails("unknown symbol", unknown, 1, "unknown_symbol", &["HTTP 400, code -1121: Invalid symbol.", "spelling"])
        .await;
    check_fails(
        "interval",
        refusal(-1120, "Invalid interval."),
        1,
        "invalid_interval",
        &["no candles of this interval"],
    )
    .await;
    check_fails("parameter", refusal(-1102, "Missing."), 1, "exchange_refused", &["does not help"]).await;
    let inside = vec![Step::Ok(r#"{"code":-1121,"msg":"Invalid symbol."}"#.to_owned())];
    check_fails("refusal within a success", inside, 1, "unknown_symbol", &["HTTP 200, code -1121"]).await;
    check_fails("region", vec![Step::Answer(451, "", String::new())], 1, "exchange_refuses_region", &["egress"]).await;
    check_fails("down", vec![Step::Answer(500, "", String::new()); 9], 4, "exchange_unavailable", &["HTTP 500"]).await;
    check_fails("resets", vec![Step::Reset; 9], 4, "exchange_unavailable", &["the connection ended"]).await;
    let html = vec![Step::Ok("<html>\n  Sorry".to_owned()); 9];
    check_fails("HTML", html, 4, "exchange_answer_malformed", &["no array of candles", "\"<html> Sorry\""]).await;
    let twice = vec![Step::Ok(rows(&[0, 0])); 9];
    check_fails("duplicate", twice, 4, "exchange_page_contradictory", &["row 1 opens at 2023-11-14T20:00:00Z"]).await;
}

#[tokio::test]
async fn a_row_that_fails_its_checks_costs_only_its_own_bucket() {
    let bad = row(1).replace("\"11.0\"", "\"9.0\"");
    let bench = Bench::new(vec![Step::Ok(format!("[{},{bad},{}]", row(0), row(2))); 2]).await;
    let page = bench.client.page(&btcusdt(), INTERVAL, window(4)).await.unwrap();
    assert_eq!(page.candles.len(), 2);
    assert_eq!(page.candles[0].taker_buy_volume, Decimal::new(11, 1));
    assert_eq!(page.rejected.len(), 1);
    assert!(page.rejected[0].why.contains("2023-11-14T20:01:00Z"), "{}", page.rejected[0].why);
    assert_eq!((page.unusable.len(), page.absent.len()), (1, 1));
}

#[tokio::test]
async fn the_whole_call_has_a_limit_too() {
    let retry = RetryPolicy { whole_call: Duration::from_millis(80), ..RETRY };
    let bench = Bench::with(vec![Step::Silence], retry, Duration::from_secs(60)).await;
    let error = bench.client.first_open(&btcusdt(), INTERVAL).await.unwrap_err();
    assert_eq!((error.code(), error.disposition()), ("exchange_unavailable", Disposition::Transient));
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let bench = Bench::new(vec![Step::Ok(" ".repeat(9 << 20)); 9]).await;
    let error = bench.client.first_open(&btcusdt(), INTERVAL).await.unwrap_err();
    assert_eq!(error.code(), "exchange_answer_malformed");
    assert!(error.to_string().contains("longer than 8388608 bytes"), "{error}");
}

#[tokio::test]
async fn an_exchange_that_is_not_there_is_named_without_the_address() {
    let config = BinanceConfig {
        rest_url: "http://user:secret@127.0.0.1:1".to_owned(),
        retry: RetryPolicy { attempts: 2, ..RETRY },
        ..BinanceConfig::from_env(&Env::default()).unwrap()
    };
    let client = BinanceClient::new(&config, Unlimited::default(), Arc::new(SystemClock)).unwrap();
    let error: ExchangeError = client.server_time().await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    let mut chain = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        chain.push(error.to_string());
        cause = error.source();
    }
    assert!(chain.len() > 1 && !chain.iter().any(|text| text.contains("secret")), "{chain:?}");
}

#[tokio::test]
async fn a_dropped_call_leaves_its_charge_and_a_working_client() {
    let bench = Bench::new(vec![Step::Silence, Step::Ok(rows(&[0])), Step::Ok(rows(&[]))]).await;
    let (client, symbol) = (bench.client.clone(), btcusdt());
    let call = tokio::spawn(async move { client.first_open(&symbol, INTERVAL).await });
    bench.exchange.reached(1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(bench.budget.entries(), [Entry::Acquired(2)]);
    assert!(bench.client.first_open(&btcusdt(), INTERVAL).await.unwrap().is_some());
}
