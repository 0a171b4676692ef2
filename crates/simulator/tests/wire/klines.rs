//! `GET /api/v3/klines`.

use crate::harness::{DATA, FIRST, Fixture, MINUTE};
use candlemill_shared::Candle;
use candlemill_simulator::{Outage, SimulatorConfig};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

/// After the last recorded minute.
const AFTER: i64 = FIRST + 4_320 * MINUTE + 86_400_000;

fn minutes(from: i64, to: i64) -> Vec<i64> {
    (from..to).map(|minute| FIRST + minute * MINUTE).collect()
}

#[tokio::test]
async fn windows() {
    let fixture = Fixture::at(AFTER).await;
    let check = async |name: &str, query: String, expected: Vec<i64>| {
        let reply = fixture.klines(&format!("symbol=BTCUSDT&interval=1m{query}")).await;
        assert_eq!((reply.status, reply.opens()), (200, expected), "{name}");
    };
    let at = |minute: i64| FIRST + minute * MINUTE;
    check("no bounds: the latest 500", String::new(), minutes(3_820, 4_320)).await;
    check("the first candle ever", "&startTime=0&limit=1".into(), minutes(0, 1)).await;
    check("start only: the oldest from it", format!("&startTime={}", at(7)), minutes(7, 507)).await;
    check("limit is cut to 1000", format!("&startTime={}&limit=5000", at(0)), minutes(0, 1_000)).await;
    check("end only: the latest up to it", format!("&endTime={}&limit=5", at(10)), minutes(6, 11)).await;
    check("both bounds are inclusive", format!("&startTime={}&endTime={}", at(1), at(3)), minutes(1, 4)).await;
    check("both: oldest first", format!("&startTime={}&endTime={}&limit=2", at(1), at(9)), minutes(1, 3)).await;
    check("equal bounds", format!("&startTime={0}&endTime={0}", at(5)), minutes(5, 6)).await;
    check("a start inside a minute", format!("&startTime={}&limit=1", at(5) + 1), minutes(6, 7)).await;
    check("an end just before a minute", format!("&startTime={}&endTime={}", at(5), at(6) - 1), minutes(5, 6)).await;
    check("before the listing", format!("&endTime={}", FIRST - 1), vec![]).await;
    check("after the end", format!("&startTime={}", at(4_320)), vec![]).await;
    check("bounds crossed", format!("&startTime={}&endTime={}", at(6), at(5)), vec![]).await;
    check("microseconds", format!("&startTime={}000&endTime={}000", at(1), at(2)), minutes(1, 3)).await;
    check("a microsecond later", format!("&startTime={}001&endTime={}999", at(1), at(2)), minutes(2, 3)).await;
    check("UTC by name", "&startTime=0&limit=1&timeZone=%2B00:00".into(), minutes(0, 1)).await;
}

#[tokio::test]
async fn refusals() {
    let fixture = Fixture::at(AFTER).await;
    let check = async |query: &str, code: i32, part: &str| {
        let reply = fixture.klines(query).await;
        assert_eq!((reply.status, &reply.json()["code"]), (400, &json!(code)), "{query}: {}", reply.text);
        assert!(reply.text.contains(part), "{query}: {}", reply.text);
        assert_eq!(reply.json().as_object().unwrap().len(), 2, "{query}");
        assert!(!reply.header("x-mbx-used-weight-1m").is_empty(), "{query}");
    };
    check("", -1102, "Mandatory parameter 'symbol'").await;
    check("symbol=&interval=1m", -1102, "'symbol'").await;
    check("symbol=BTCUSDT", -1102, "'interval'").await;
    check("symbol=NOSUCH&interval=1m", -1121, "Invalid symbol.").await;
    check("symbol=btcusdt&interval=1m", -1100, "'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'").await;
    check("symbol=BTC%2FUSDT&interval=1m", -1100, "'symbol'").await;
    check("symbol=ABCDEFGHIJKLMNOPQRSTU&interval=1m", -1100, "'symbol'").await;
    check("symbol=BTCUSDT&interval=1H", -1120, "Invalid interval.").await;
    check("symbol=BTCUSDT&interval=1mo", -1120, "Invalid interval.").await;
    check("symbol=BTCUSDT&interval=1m&limit=ten", -1100, "'limit'").await;
    check("symbol=BTCUSDT&interval=1m&limit=0", -1130, "'limit'").await;
    check("symbol=BTCUSDT&interval=1m&limit=", -1105, "'limit'").await;
    check("symbol=BTCUSDT&interval=1m&startTime=-1", -1100, "'startTime'").await;
    check("symbol=BTCUSDT&interval=1m&startTime=99999999999999999999", -1108, "'startTime'").await;
    check("symbol=BTCUSDT&symbol=BTCUSDT&interval=1m", -1101, "'symbol'").await;
    check("symbol=BTCUSDT&interval=1m&period=3", -1104, "read '2' parameter(s) but was sent '3'").await;
    check("symbol=BTCUSDT&interval=1m&timeZone=8", -1130, "'timeZone'").await;
    let none = fixture.klines("symbol=ETHUSDT&interval=1m").await;
    assert_eq!((none.status, none.text.as_str()), (200, "[]"), "a listed symbol without these candles");
    assert_eq!(fixture.get("/api/v3/nothing").await.status, 404);
    assert_eq!(fixture.get("/api/v1/klines").await.status, 404);
}

#[tokio::test]
async fn the_newest_row_is_still_forming() {
    let now = FIRST + 10 * MINUTE + 30_000;
    let fixture = Fixture::at(now).await;
    let latest = async || fixture.klines("symbol=BTCUSDT&interval=1m&limit=3").await;
    let candles = |rows: &Value| rows.as_array().unwrap().iter().map(candle).collect::<Vec<_>>();

    let reply = latest().await;
    assert_eq!(reply.opens(), minutes(8, 11));
    let forming = candles(&reply.json()).pop().unwrap();
    assert!(!forming.is_closed_at(now) && forming.check().is_ok(), "{forming:?}");
    let later = fixture.klines(&format!("symbol=BTCUSDT&interval=1m&startTime={}", FIRST + 11 * MINUTE)).await;
    assert_eq!(later.text, "[]", "the future does not exist");

    fixture.control.advance_clock(29_999);
    assert_eq!(fixture.control.now_ms(), forming.close_time, "its last millisecond");
    assert_eq!(latest().await.json(), reply.json());
    fixture.control.advance_clock(1);
    let after = latest().await;
    assert_eq!(after.opens(), minutes(9, 12));
    let closed = &candles(&after.json())[1];
    assert_eq!((closed.open_time, closed.open), (forming.open_time, forming.open));
    assert!(closed.volume > forming.volume && closed.trades > forming.trades, "{closed:?} {forming:?}");
    assert!(closed.is_closed_at(fixture.control.now_ms()));
}

#[tokio::test]
async fn every_recorded_row_is_served_as_it_stands_in_its_file() {
    let fixture = Fixture::at(AFTER + 10 * 365 * 86_400_000).await;
    for (symbol, interval, file) in [
        ("BTCUSDT", "1m", "BTCUSDT_1m"),
        ("BTCUSDT", "1h", "BTCUSDT_1h_2018_2026"),
        ("BTCUSDT", "4h", "BTCUSDT_4h"),
        ("BTCUSDT", "3d", "BTCUSDT_3d"),
        ("BTCUSDT", "1w", "BTCUSDT_1w"),
        ("BTCUSDT", "1M", "BTCUSDT_1M"),
        ("XRPETH", "1m", "XRPETH_1m"),
    ] {
        let expected = recorded(file);
        let mut served: Vec<Value> = Vec::new();
        loop {
            let start = served.last().map_or(0, |row| row[0].as_i64().unwrap() + 1);
            let query = format!("symbol={symbol}&interval={interval}&startTime={start}&limit=1000");
            let page = fixture.klines(&query).await.json();
            let Value::Array(mut page) = page else { panic!("{file}: {page}") };
            if page.is_empty() {
                break;
            }
            served.append(&mut page);
        }
        assert_eq!(served.len(), expected.len(), "{file}");
        for (row, expected) in served.iter().zip(&expected) {
            assert_eq!(row, expected, "{file}");
            assert_eq!(candle(row).check(), Ok(()), "{file}");
        }
    }
}

#[tokio::test]
async fn generated_candles_reach_the_clock_and_do_not_depend_on_the_call() {
    let now = FIRST + 5_000 * MINUTE + 1;
    let fixture = Fixture::at(now).await;
    let rows = async |query: String| fixture.klines(&format!("symbol=GENUSDT&interval=1m&limit=1000{query}")).await;
    let whole = rows(format!("&startTime={}", FIRST + 4_001 * MINUTE)).await;
    assert_eq!(whole.opens(), minutes(4_001, 5_001), "across the border of two blocks");
    let latest = rows(String::new()).await;
    assert_eq!(latest.text, whole.text);
    let part = rows(format!("&startTime={}&endTime={}", FIRST + 4_090 * MINUTE, FIRST + 4_100 * MINUTE)).await;
    assert_eq!(part.json().as_array().unwrap()[..], whole.json().as_array().unwrap()[89..100]);
    assert_eq!(candle(&latest.json()[999]).close_time, FIRST + 5_001 * MINUTE - 1);
    let month = fixture.klines("symbol=GENUSDT&interval=1M").await;
    assert_eq!(month.opens(), [FIRST]);

    let again = Fixture::at(now).await;
    let same = again.klines("symbol=GENUSDT&interval=1m&limit=1000").await;
    assert_eq!(same.text, whole.text, "another simulator prints the same");
}

#[tokio::test]
async fn an_outage_leaves_rows_out_and_pages_stay_full() {
    let fixture = Fixture::at(AFTER).await;
    let outage = Outage {
        symbol: Some("BTCUSDT".parse().unwrap()),
        interval: None,
        start: FIRST + 3 * MINUTE,
        end: FIRST + 63 * MINUTE,
    };
    fixture.control.add_outage(outage);
    let opens = async |query: &str| fixture.klines(&format!("symbol=BTCUSDT&interval=1m&limit=6{query}")).await.opens();
    let around = [minutes(0, 3), minutes(63, 66)].concat();
    assert_eq!(opens("&startTime=0").await, around);
    assert_eq!(opens(&format!("&endTime={}", FIRST + 65 * MINUTE)).await, around);
    let inside = format!("&startTime={}&endTime={}", FIRST + 3 * MINUTE, FIRST + 62 * MINUTE);
    assert!(opens(&inside).await.is_empty());
    fixture.control.restore_market();
    assert_eq!(opens("&startTime=0").await, minutes(0, 6));
}

#[tokio::test]
async fn microseconds_on_request() {
    let fixture = Fixture::at(AFTER).await;
    let get = async |path: &str, unit: &str| fixture.call("GET", path, &[("x-mbx-time-unit", unit)], "").await;
    let path = "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=0&limit=1";
    let row = get(path, "MICROSECOND").await.json()[0].clone();
    assert_eq!((&row[0], &row[6]), (&json!(FIRST * 1_000), &json!((FIRST + MINUTE) * 1_000 - 1)));
    assert_eq!(get(path, "millisecond").await.opens(), [FIRST]);
    assert_eq!(get("/api/v3/time", "MICROSECOND").await.json(), json!({ "serverTime": AFTER * 1_000 }));
    assert_eq!(get(path, "HOUR").await.json()["code"], -1194);
}

#[tokio::test]
async fn answers_look_like_the_exchanges() {
    let fixture = Fixture::start(SimulatorConfig { data_dir: Some(DATA.into()), ..SimulatorConfig::default() }).await;
    assert_eq!(fixture.get("/api/v3/ping").await.text, "{}");
    let page = fixture.klines("symbol=BTCUSDT&interval=1m&startTime=0&limit=1").await;
    let expected = "[[1577836800000,\"7195.24000000\",\"7196.25000000\",\"7183.14000000\",\"7186.68000000\",\
                    \"51.64281200\",1577836859999,\"371233.51835535\",493,\"19.59823000\",\"140888.41428273\",\"0\"]]";
    assert_eq!(page.text, expected);
    assert_eq!(page.header("content-length"), expected.len().to_string());
    assert!(page.header("content-type").starts_with("application/json"));
    assert!(page.header("date").ends_with(" GMT"));
}

fn recorded(file: &str) -> Vec<Value> {
    let file = std::fs::File::open(format!("{DATA}/klines/{file}.csv.gz")).unwrap();
    let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
    let rows = reader.records().map(|record| {
        let record = record.unwrap();
        let number = |index: usize| record[index].parse().unwrap_or(0_i64);
        let text = |index: usize| if record[index].is_empty() { "0.00000000" } else { &record[index] };
        json!([
            number(0),
            text(1),
            text(2),
            text(3),
            text(4),
            text(5),
            number(6),
            text(7),
            number(8),
            text(9),
            text(10),
            "0"
        ])
    });
    rows.collect()
}

fn candle(row: &Value) -> Candle {
    assert_eq!(row.as_array().map(Vec::len), Some(12), "{row}");
    let decimal = |index: usize| row[index].as_str().unwrap().parse().unwrap();
    Candle {
        open_time: row[0].as_i64().unwrap(),
        open: decimal(1),
        high: decimal(2),
        low: decimal(3),
        close: decimal(4),
        volume: decimal(5),
        close_time: row[6].as_i64().unwrap(),
        quote_volume: decimal(7),
        trades: row[8].as_u64().unwrap(),
        taker_buy_volume: decimal(9),
        taker_buy_quote_volume: decimal(10),
    }
}
