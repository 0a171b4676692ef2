//! What goes over the wire, what it costs, and what comes out.

use crate::exchange::{Exchange, Step};
use crate::ledger::Entry;
use crate::{Bench, INTERVAL, MINUTE, NOW, OPEN, btcusdt, row, rows, window};
use candlemill_exchanges::binance::PAGE_CANDLES;
use candlemill_exchanges::{CallStats, Disposition, Fault, HistoricalMarketData};
use candlemill_shared::{Interval, TimeRange};

#[tokio::test]
async fn the_wires_end_is_inclusive() {
    let bench = Bench::new(vec![Step::Ok(rows(&[0, 1, 2]))]).await;
    let page = bench.client.klines(&btcusdt(), INTERVAL, window(3)).await.unwrap();
    assert_eq!(page.rows.iter().map(|row| row.open_time).collect::<Vec<_>>(), [OPEN, OPEN + MINUTE, OPEN + 2 * MINUTE]);
    assert_eq!(
        bench.exchange.request_lines(),
        [
            "GET /api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1699992000000&endTime=1699992179999&limit=1000 HTTP/1.1"
        ]
    );
    let head = bench.exchange.requests().remove(0).to_lowercase();
    assert!(!head.contains("accept-encoding"), "{head}");
}

#[tokio::test]
async fn every_other_call() {
    let list = r#"{"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000}],
        "symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT"}]}"#;
    let script =
        [rows(&[7]), "[]".to_owned(), rows(&[9]), "[]".to_owned(), rows(&[3]), list.to_owned(), list.to_owned()];
    let script = script.map(Step::Ok).to_vec();
    let bench = Bench::new(script).await;
    let client = &bench.client;
    assert_eq!(client.first_open(&btcusdt(), Interval::Month1).await.unwrap(), Some(OPEN + 7 * MINUTE));
    assert_eq!(client.last_open(&btcusdt(), INTERVAL).await.unwrap(), Some(OPEN + 9 * MINUTE));
    let any = client.any_open_in(&btcusdt(), INTERVAL, window(100_000)).await;
    assert_eq!(any.unwrap(), Some(OPEN + 3 * MINUTE));
    assert_eq!(client.any_open_in(&btcusdt(), INTERVAL, window(0)).await.unwrap(), None, "without a call");
    assert_eq!(client.markets().await.unwrap().weight_per_minute, Some(6_000));
    assert_eq!(client.market(&btcusdt()).await.unwrap().assets.quote, "USDT");
    assert_eq!(
        bench.exchange.request_lines(),
        [
            "GET /api/v3/klines?symbol=BTCUSDT&interval=1M&startTime=0&limit=1 HTTP/1.1",
            "GET /api/v3/klines?symbol=BTCUSDT&interval=1M&endTime=1699992419999&limit=1 HTTP/1.1",
            "GET /api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1 HTTP/1.1",
            "GET /api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1699992540001&limit=1 HTTP/1.1",
            "GET /api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1699992000000&endTime=1705991999999&limit=1 HTTP/1.1",
            "GET /api/v3/exchangeInfo HTTP/1.1",
            "GET /api/v3/exchangeInfo?symbol=BTCUSDT HTTP/1.1",
        ]
    );
    assert_eq!(bench.counters.stats(), CallStats { calls: 7, weight: 50, retries: 0 });
    assert_eq!(bench.exchange.connections(), 1, "the connection is used again");
}

#[tokio::test]
async fn weight_is_charged_before_and_corrected_after_the_call() {
    let answer = Step::Answer(200, "X-MBX-USED-WEIGHT-1M: 118\r\nX-MBX-USED-WEIGHT: 9\r\n", rows(&[0]));
    let bench = Bench::new(vec![answer]).await;
    bench.client.page(&btcusdt(), INTERVAL, window(1)).await.unwrap();
    let expected = [Entry::Acquired(1), Entry::Settled(None), Entry::Acquired(2), Entry::Settled(Some(118))];
    assert_eq!(bench.budget.entries(), expected);
    assert_eq!(bench.counters.take(), CallStats { calls: 2, weight: 3, retries: 0 });
    assert_eq!(bench.counters.stats(), CallStats::default());
}

#[tokio::test]
async fn the_clock_is_asked_once_for_all_pages() {
    let bench = Bench::new(vec![Step::Ok(rows(&[0])); 8]).await;
    let symbol = btcusdt();
    let page = || bench.client.page(&symbol, INTERVAL, window(1));
    let done = tokio::join!(page(), page(), page(), page(), page(), page(), page());
    assert!(done.0.is_ok() && done.6.is_ok());
    page().await.unwrap();
    let asked = bench.exchange.all_requests().iter().filter(|head| head.contains("/api/v3/time")).count();
    assert_eq!(asked, 1);
}

/// Ours is three hours fast and three hours slow: only the exchange's clock says what is closed.
#[tokio::test]
async fn the_exchanges_clock_decides_what_is_closed() {
    for (offset, candles, forming, verified) in
        [(-3 * 60 * MINUTE, 1, 1, OPEN + MINUTE), (3 * 60 * MINUTE, 2, 0, OPEN + 2 * MINUTE)]
    {
        let bench = Bench::new(vec![Step::Ok(rows(&[0, 1]))]).await;
        bench.exchange.set_time(if offset < 0 { OPEN + MINUTE + 30_000 } else { NOW + offset });
        let page = bench.client.page(&btcusdt(), INTERVAL, window(2)).await.unwrap();
        assert_eq!((page.candles.len(), page.forming.len(), page.verified_until), (candles, forming, verified));
        let time = bench.client.server_time().await.unwrap();
        assert_eq!(time.offset_ms().signum(), offset.signum());
    }
}

#[tokio::test]
async fn a_page_with_more_rows_than_an_answer_holds_is_completed() {
    let full: Vec<String> = (0..999)
        .map(row)
        .chain([row(998).replace(&(OPEN + 998 * MINUTE).to_string(), &(OPEN + 998 * MINUTE + 5).to_string())])
        .collect();
    let bench = Bench::new(vec![Step::Ok(format!("[{}]", full.join(","))), Step::Ok(rows(&[998, 999]))]).await;
    bench.exchange.set_time(OPEN + 2_000 * MINUTE);
    let page = bench.client.page(&btcusdt(), INTERVAL, window(1_000)).await.unwrap();
    assert_eq!((page.candles.len(), page.absent.len(), page.rest), (1_000, 0, None));
    assert_eq!(page.verified_until, OPEN + 1_000 * MINUTE);
    let second = bench.exchange.request_lines().remove(1);
    assert!(second.contains(&format!("startTime={}&", OPEN + 998 * MINUTE)), "{second}");
}

#[tokio::test]
async fn what_the_interface_cannot_give_is_not_asked() {
    let bench = Bench::new(vec![]).await;
    for odd in [window(0), window(i64::from(PAGE_CANDLES) + 1), TimeRange::new(-MINUTE, MINUTE)] {
        let error = bench.client.klines(&btcusdt(), INTERVAL, odd).await.unwrap_err();
        assert!(matches!(error.fault, Fault::Unaskable(_)), "{error}");
        assert_eq!(error.disposition(), Disposition::Permanent);
    }
    assert_eq!(bench.exchange.all_requests().len(), 0);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Exchange::start(NOW, vec![]).await;
    let location = format!("location: {}/\r\n", elsewhere.url).leak();
    let bench = Bench::new(vec![Step::Answer(301, location, String::new())]).await;
    let error = bench.client.first_open(&btcusdt(), INTERVAL).await.unwrap_err();
    assert_eq!((error.code(), error.disposition()), ("exchange_address_wrong", Disposition::Permanent));
    assert_eq!(elsewhere.connections(), 0);
}
