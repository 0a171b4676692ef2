//! What happens when the exchange or the budget says no.

use crate::exchange::Step;
use crate::ledger::{Entry, Ledger};
use crate::{Bench, INTERVAL, NOW, btcusdt, rows, window};
use candlemill_exchanges::{Disposition, HistoricalMarketData};
use std::time::Duration;

const BANNED: &str = r#"{"code":-1003,"msg":"Way too much request weight used; IP banned until 1700000040000. Please use the websocket for live updates to avoid bans."}"#;

/// The refused call closes the budget for `wait`, calls nothing while that is closed, and succeeds afterwards.
async fn check_waits(name: &str, refusal: Step, wait: Duration) {
    let bench = Bench::new(vec![refusal, Step::Ok(rows(&[0])), Step::Ok(rows(&[]))]).await;
    let client = bench.client.clone();
    let call = tokio::spawn(async move { client.first_open(&btcusdt(), INTERVAL).await });
    bench.budget.closed().await;
    // Another caller joins the queue; neither may get through.
    let client = bench.client.clone();
    let other = tokio::spawn(async move { client.market(&btcusdt()).await });
    bench.budget.queue_reaches(2).await;
    assert_eq!(bench.exchange.requests().len(), 1, "{name}: no call before the pause is over");
    assert_eq!(bench.budget.entries().last(), Some(&Entry::Closed(wait)), "{name}");
    other.abort();
    bench.budget.open();
    assert!(call.await.unwrap().unwrap().is_some(), "{name}");
    assert_eq!(bench.counters.stats().retries, 1, "{name}");
}

#[tokio::test]
async fn short_pauses_are_waited_for() {
    let seconds = Duration::from_secs;
    check_waits("429", Step::Answer(429, "Retry-After: 7\r\n", String::new()), seconds(7)).await;
    check_waits("429 without a time", Step::Answer(429, "", String::new()), seconds(60)).await;
    check_waits("429 whose body is cut off", Step::Cut(429, "Retry-After: 9\r\n", "{".to_owned()), seconds(9)).await;
    check_waits("418", Step::Answer(418, "Retry-After: 90\r\n", BANNED.to_owned()), seconds(90)).await;
    assert_eq!(NOW, 1_700_000_000_000);
    check_waits("418 by its text", Step::Answer(418, "", BANNED.to_owned()), seconds(40)).await;
    check_waits("403", Step::Answer(403, "Retry-After: 3\r\n", "<html>".to_owned()), seconds(3)).await;
}

/// The refused call closes the budget and comes back at once, to be scheduled anew.
async fn check_returns(name: &str, refusal: Step, wait: Duration) {
    let bench = Bench::new(vec![refusal]).await;
    let error = bench.client.first_open(&btcusdt(), INTERVAL).await.unwrap_err();
    assert_eq!((error.code(), error.disposition()), ("exchange_throttled", Disposition::Throttled { wait }), "{name}");
    assert_eq!(bench.budget.entries().last(), Some(&Entry::Closed(wait)), "{name}");
    assert_eq!(bench.exchange.requests().len(), 1, "{name}");
}

#[tokio::test]
async fn long_pauses_end_the_call() {
    check_returns("ban", Step::Answer(418, "Retry-After: 259200\r\n", BANNED.to_owned()), Duration::from_secs(259_200))
        .await;
    check_returns("ban without a time", Step::Answer(418, "", String::new()), Duration::from_secs(120)).await;
    check_returns("firewall", Step::Answer(403, "", "<html>".to_owned()), Duration::from_secs(600)).await;
}

#[tokio::test]
async fn a_pause_that_cannot_be_made_known_ends_the_call() {
    let mut bench = Bench::new(vec![Step::Answer(429, "Retry-After: 1\r\n", String::new())]).await;
    bench.spend_from(Ledger::working(true, false));
    let error = bench.client.first_open(&btcusdt(), INTERVAL).await.unwrap_err();
    let wait = Duration::from_secs(1);
    assert_eq!((error.code(), error.disposition()), ("exchange_throttled", Disposition::Throttled { wait }));
    assert_eq!(bench.exchange.requests().len(), 1);
}

#[tokio::test]
async fn without_the_budget_no_call_is_made() {
    let mut bench = Bench::new(vec![]).await;
    bench.spend_from(Ledger::working(false, true));
    let error = bench.client.first_open(&btcusdt(), INTERVAL).await.unwrap_err();
    assert_eq!((error.code(), error.disposition()), ("rate_budget_unavailable", Disposition::Transient));
    assert_eq!(bench.exchange.connections(), 0);
}

#[tokio::test]
async fn pauses_do_not_use_up_more_than_the_attempts() {
    let bench = Bench::new(vec![Step::Answer(429, "Retry-After: 1\r\n", String::new()); 9]).await;
    let client = bench.client.clone();
    let call = tokio::spawn(async move { client.klines(&btcusdt(), INTERVAL, window(1)).await });
    for _ in 0..3 {
        bench.budget.closed().await;
        bench.budget.open();
    }
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "exchange_throttled");
    assert_eq!(bench.exchange.requests().len(), 4);
}
