//! `GET /api/v3/exchangeInfo`.

use crate::harness::{FIRST, Fixture};
use candlemill_simulator::WeightRules;
use serde_json::{Value, json};

fn names(info: &Value) -> Vec<&str> {
    info["symbols"].as_array().unwrap().iter().map(|symbol| symbol["symbol"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn symbols_and_limits() {
    let fixture = Fixture::at(FIRST).await;
    fixture.control.set_weight_rules(WeightRules { limit: 1_234, ..WeightRules::default() });
    let reply = fixture.get("/api/v3/exchangeInfo").await;
    let info = reply.json();
    assert_eq!(reply.header("x-mbx-used-weight-1m"), "20");
    assert_eq!(names(&info), ["BTCUSDT", "ETHUSDT", "GENUSDT", "XRPETH"]);
    assert_eq!(info["serverTime"], FIRST);
    let weight = json!({ "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1_234 });
    assert_eq!(info["rateLimits"][0], weight);
    for symbol in info["symbols"].as_array().unwrap() {
        let filters: Vec<_> =
            symbol["filters"].as_array().unwrap().iter().map(|filter| filter["filterType"].as_str().unwrap()).collect();
        assert!(filters.contains(&"PRICE_FILTER") && filters.contains(&"LOT_SIZE"), "{symbol}");
        assert_eq!((&symbol["status"], &symbol["baseAssetPrecision"]), (&json!("TRADING"), &json!(8)), "{symbol}");
    }
    assert_eq!((&info["symbols"][2]["baseAsset"], &info["symbols"][2]["quoteAsset"]), (&json!("GEN"), &json!("USDT")));
}

#[tokio::test]
async fn selections() {
    let fixture = Fixture::at(FIRST).await;
    fixture.control.set_symbol_status("XRPETH".parse().unwrap(), "BREAK");
    let check = async |query: &str, expected: Result<&[&str], i32>| {
        let reply = fixture.get(&format!("/api/v3/exchangeInfo?{query}")).await;
        match expected {
            Ok(expected) => assert_eq!(names(&reply.json()), expected, "{query}"),
            Err(code) => assert_eq!((reply.status, &reply.json()["code"]), (400, &json!(code)), "{query}"),
        }
    };
    check("symbol=BTCUSDT", Ok(&["BTCUSDT"])).await;
    check("symbols=%5B%22BTCUSDT%22,%22GENUSDT%22%5D", Ok(&["BTCUSDT", "GENUSDT"])).await;
    check("symbolStatus=BREAK", Ok(&["XRPETH"])).await;
    check("symbol=NOSUCH", Err(-1121)).await;
    check("symbols=%5B%22NOSUCH%22%5D", Err(-1121)).await;
    check("symbols=BTCUSDT", Err(-1100)).await;
    check("symbol=BTCUSDT&symbols=%5B%22GENUSDT%22%5D", Err(-1128)).await;
    check("symbol=btcusdt", Err(-1100)).await;
    check("what=1", Err(-1104)).await;
}
