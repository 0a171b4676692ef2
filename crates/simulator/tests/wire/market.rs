//! What a script does to the market: outages at every bound, restated rows, symbols that come and go, names in other scripts.

use crate::harness::{FIRST, Fixture, MINUTE};
use candlemill_shared::{Decimal, Interval, Symbol};
use candlemill_simulator::{ClockSetting, GeneratedMarket, Outage, SimulatorConfig};
use serde_json::{Value, json};

/// Twenty minutes after the listing of the generated market, half a minute into the twenty-first.
const NOW: i64 = FIRST + 20 * MINUTE + 30_000;

fn at(minute: i64) -> i64 {
    FIRST + minute * MINUTE
}

fn symbol() -> Symbol {
    "GENUSDT".parse().unwrap()
}

fn outage(from: i64, to: i64) -> Outage {
    Outage { symbol: Some(symbol()), interval: None, start: at(from), end: at(to) }
}

/// Minutes of the rows that this query is answered with.
async fn minutes(fixture: &Fixture, query: &str) -> Vec<i64> {
    let reply = fixture.klines(&format!("symbol=GENUSDT&interval=1m{query}")).await;
    reply.opens().into_iter().map(|open| (open - FIRST) / MINUTE).collect()
}

#[tokio::test]
async fn rows_of_an_outage_do_not_exist_whatever_the_bounds() {
    let fixture = Fixture::at(NOW).await;
    let (beginning, middle, end) = (outage(-5, 3), outage(8, 10), outage(17, 100));
    for outage in [&middle, &end, &beginning] {
        fixture.control.add_outage(outage.clone());
    }
    let check =
        async |query: String, expected: &[i64]| assert_eq!(minutes(&fixture, &query).await, expected, "{query}");
    check("&startTime=0&limit=1".to_owned(), &[3]).await;
    check("&limit=1".to_owned(), &[16]).await;
    check("&limit=2".to_owned(), &[15, 16]).await;
    check(format!("&endTime={}&limit=1", at(3) - 1), &[]).await;
    check(format!("&endTime={}", at(2)), &[]).await;
    check(format!("&endTime={}&limit=2", at(9)), &[6, 7]).await;
    check(format!("&endTime={}&limit=3", at(10)), &[6, 7, 10]).await;
    check(format!("&endTime={}&limit=1", at(50)), &[16]).await;
    check(format!("&startTime={}&limit=2", at(1)), &[3, 4]).await;
    check(format!("&startTime={}&limit=1", at(8)), &[10]).await;
    check(format!("&startTime={}&limit=1", at(16) + 1), &[]).await;
    check(format!("&startTime={}&endTime={}", at(17), at(30)), &[]).await;
    check(format!("&startTime={}&endTime={}&limit=1", at(0), at(2)), &[]).await;
    check(format!("&startTime={}&endTime={}&limit=1", at(2), at(9)), &[3]).await;

    assert!(fixture.control.remove_outage(&end) && !fixture.control.remove_outage(&end));
    check("&limit=1".to_owned(), &[20]).await;
    check("&startTime=0&limit=1".to_owned(), &[3]).await;
    assert!(fixture.control.remove_outage(&beginning));
    check("&startTime=0&limit=1".to_owned(), &[0]).await;
    check(format!("&startTime={}&endTime={}", at(7), at(10)), &[7, 10]).await;
}

#[tokio::test]
async fn a_restated_row_keeps_its_new_values_until_the_reset() {
    let fixture = Fixture::at(NOW).await;
    let page = async || fixture.klines("symbol=GENUSDT&interval=1m&startTime=0").await.json();
    let before = page().await;
    let close: Decimal = before[7][4].as_str().unwrap().parse().unwrap();
    let close = close + Decimal::ONE;
    fixture.control.restate(&symbol(), Interval::Minute1, at(7), close, Decimal::TWO);
    let after = page().await;
    assert_eq!((&after[7][4], &after[7][5]), (&json!(format!("{close:.8}")), &json!("2.00000000")));
    for index in [0, 1, 6] {
        assert_eq!(after[7][index], before[7][index], "its times and its open");
    }
    let untouched = |page: &Value| [page[6].clone(), page[8].clone()];
    assert_eq!(untouched(&after), untouched(&before));
    let alone = fixture.klines(&format!("symbol=GENUSDT&interval=1m&endTime={}&limit=1", at(7))).await.json();
    assert_eq!(alone[0], after[7], "whatever the bounds");
    let hour = fixture.klines("symbol=GENUSDT&interval=1h&startTime=0").await;
    fixture.control.restore_market();
    assert_eq!(page().await, after);
    fixture.control.reset();
    assert_eq!(page().await, before);
    assert_eq!(fixture.klines("symbol=GENUSDT&interval=1h&startTime=0").await.text, hour.text);
}

/// Whether the list, the single answer and the candles know the symbol.
async fn seen(fixture: &Fixture) -> (bool, u16, u16) {
    let list = fixture.get("/api/v3/exchangeInfo").await.json();
    let listed = list["symbols"].as_array().unwrap().iter().any(|symbol| symbol["symbol"] == "GENUSDT");
    let single = fixture.get("/api/v3/exchangeInfo?symbol=GENUSDT").await;
    (listed, single.status, fixture.klines("symbol=GENUSDT&interval=1m&limit=1").await.status)
}

#[tokio::test]
async fn symbols_are_delisted_hidden_and_listed() {
    let fixture = Fixture::at(NOW).await;
    let control = &fixture.control;
    assert_eq!(seen(&fixture).await, (true, 200, 200));
    control.delist(&symbol());
    assert_eq!(seen(&fixture).await, (false, 400, 200));
    control.hide(&symbol());
    assert_eq!(seen(&fixture).await, (false, 400, 400));
    assert_eq!(fixture.klines("symbol=GENUSDT&interval=1m").await.json()["code"], -1121);
    control.restore_market();
    assert_eq!(seen(&fixture).await, (false, 400, 400), "hidden until it is revealed");
    control.reveal(&symbol());
    assert_eq!(seen(&fixture).await, (true, 200, 200));
    control.hide(&symbol());
    control.reset();
    assert_eq!(seen(&fixture).await, (true, 200, 200));
}

#[tokio::test]
async fn the_market_can_be_scripted_from_outside() {
    let fixture = Fixture::at(NOW).await;
    let command = async |method: &str, path: &str, body: Value| {
        fixture.call(method, &format!("/_simulator/{path}"), &[], &body.to_string()).await.status
    };
    let outage = json!({ "symbol": "GENUSDT", "start": at(0), "end": at(3) });
    assert_eq!(command("POST", "outages", outage.clone()).await, 200);
    assert_eq!(minutes(&fixture, "&startTime=0&limit=1").await, [3]);
    assert_eq!(command("DELETE", "outages", outage.clone()).await, 200);
    assert_eq!(command("DELETE", "outages", outage).await, 404);
    assert_eq!(command("DELETE", "outages", json!({})).await, 200);
    assert_eq!(minutes(&fixture, "&startTime=0&limit=1").await, [0]);
    for (visibility, expected) in
        [("delisted", (false, 400, 200)), ("hidden", (false, 400, 400)), ("listed", (true, 200, 200))]
    {
        let body = json!({ "symbol": "GENUSDT", "visibility": visibility });
        assert_eq!(command("POST", "symbol-visibility", body).await, 200);
        assert_eq!(seen(&fixture).await, expected, "{visibility}");
    }
    let row =
        json!({ "symbol": "GENUSDT", "interval": "1m", "open_time": at(1), "close": "30000.5", "volume": "1.25" });
    assert_eq!(command("POST", "restatements", row).await, 200);
    let served = fixture.klines(&format!("symbol=GENUSDT&interval=1m&startTime={}&limit=1", at(1))).await.json();
    assert_eq!((&served[0][4], &served[0][5]), (&json!("30000.50000000"), &json!("1.25000000")));
    assert_eq!(command("POST", "symbol-visibility", json!({ "symbol": "GENUSDT", "visibility": "gone" })).await, 400);
}

#[tokio::test]
async fn a_market_may_be_named_in_another_script() {
    let name: Symbol = "币安人生USDT".parse().unwrap();
    let generated = vec![GeneratedMarket::new(name)];
    let clock = ClockSetting::Fixed { at_ms: NOW };
    let fixture = Fixture::start(SimulatorConfig { generated, clock, ..SimulatorConfig::default() }).await;
    let encoded = "symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT";
    for query in ["", &format!("?{encoded}")] {
        let info = fixture.get(&format!("/api/v3/exchangeInfo{query}")).await.json();
        let symbol = &info["symbols"][0];
        assert_eq!(
            (&symbol["symbol"], &symbol["baseAsset"], &symbol["quoteAsset"]),
            (&json!("币安人生USDT"), &json!("币安人生"), &json!("USDT"))
        );
    }
    let reply = fixture.klines(&format!("{encoded}&interval=1m&startTime=0&limit=2")).await;
    assert_eq!(reply.opens(), [at(0), at(1)]);
    assert_eq!(fixture.klines("symbol=%E5%B8%81USDT&interval=1m").await.json()["code"], -1121);
}
