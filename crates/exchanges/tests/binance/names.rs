//! Markets whose names are not ASCII, as they exist since 2025-12-15.

use crate::exchange::Step;
use crate::{Bench, INTERVAL, OPEN, rows, window};
use candlemill_exchanges::HistoricalMarketData;
use candlemill_shared::Symbol;

const NAME: &str = "币安人生USDT";
const ENCODED: &str = "symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT";
const LIST: &str = r#"{"symbols":[{"symbol":"币安人生USDT","status":"TRADING","baseAsset":"币安人生","quoteAsset":"USDT"},
    {"symbol":"BTC USDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT"},
    {"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT"}]}"#;

#[tokio::test]
async fn a_name_in_another_script_is_asked_for_in_every_call() {
    let symbol: Symbol = NAME.parse().unwrap();
    let script = [rows(&[0]), "[]".to_owned(), rows(&[0]), "[]".to_owned(), LIST.to_owned()];
    let bench = Bench::new(script.map(Step::Ok).to_vec()).await;
    let client = &bench.client;
    assert_eq!(client.page(&symbol, INTERVAL, window(2)).await.unwrap().candles.len(), 1);
    assert_eq!(client.first_open(&symbol, INTERVAL).await.unwrap(), Some(OPEN));
    assert_eq!(client.market(&symbol).await.unwrap().assets.base, "币安人生");
    let lines = bench.exchange.request_lines();
    assert!(lines.len() == 5 && lines.iter().all(|line| line.contains(ENCODED)), "{lines:?}");
}

#[tokio::test]
async fn the_list_keeps_every_market() {
    let bench = Bench::new(vec![Step::Ok(LIST.to_owned())]).await;
    let markets = bench.client.markets().await.unwrap();
    let names: Vec<_> = markets.markets.iter().map(|market| market.symbol.as_str()).collect();
    assert_eq!(names, [NAME, "BTCUSDT"]);
    assert_eq!(markets.skipped, 1, "what is left out is counted");
}
