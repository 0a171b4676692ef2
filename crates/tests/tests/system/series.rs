//! Which series are stored, and which symbols the exchange lists.

use crate::harness::{Harness, connect, fetch, recorded, series};
use crate::whole::{database_of, wait_for_markets};
use candlemill_client::{Api, fetch_request};
use candlemill_devkit::Stack;
use candlemill_market_store::{MarketStore, Observation, SeriesSelection};
use candlemill_shared::forms::{CoverageReport, SeriesList, SeriesView, SymbolList};
use candlemill_shared::task::TaskState;
use candlemill_shared::{Candle, Clock, Exchange, Interval, SystemClock, TimeRange};
use mongodb::bson::{Document, doc};
use std::collections::BTreeSet;

const SERIES: &str = "/api/market-data/series";
const SYMBOLS: &str = "/api/market-data/symbols";
/// 2020-01-01, UTC ms.
const START: i64 = 1_577_836_800_000;
const HOUR: i64 = 3_600_000;

async fn fetched(api: &Api, symbol: &str, interval: &str, start: &str, end: &str) {
    let request = fetch_request(symbol, interval, start, Some(end)).unwrap();
    assert_eq!(api.fetch_and_wait(&request).await.unwrap().state, TaskState::Succeeded, "{symbol} {interval}");
}

async fn page(api: &Api, query: &[(&str, &str)]) -> SeriesList {
    let query: Vec<_> = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    api.get(SERIES, &query).await.unwrap()
}

fn ids(list: &[SeriesView]) -> Vec<String> {
    list.iter().map(|one| format!("{}:{}:{}", one.exchange, one.symbol, one.interval)).collect()
}

/// Every series, read in pages of so many.
async fn all_pages(api: &Api, limit: &str) -> Vec<SeriesView> {
    let (mut all, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut query = vec![("limit", limit)];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let list = page(api, &query).await;
        assert!(list.series.len() <= limit.parse().unwrap());
        all.extend(list.series);
        match list.next_cursor {
            Some(next) => cursor = Some(next.to_string()),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn series_are_as_their_candles_and_their_coverage() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    assert_eq!(page(&api, &[]).await, SeriesList { series: Vec::new(), next_cursor: None });
    wait_for_markets(&stack).await;
    fetched(&api, "BTCUSDT", "1m", "2020-01-01", "2020-01-04").await;
    // The exchange was down for hours in February 2018.
    fetched(&api, "BTCUSDT", "1h", "2018-02-01", "2018-03-01").await;
    fetched(&api, "BTCUSDT", "1h", "2018-04-01", "2018-04-02").await;
    fetched(&api, "ETHUSDT", "1d", "2017-08-01", "2017-09-01").await;
    let list = page(&api, &[]).await;
    assert_eq!(ids(&list.series), ["binance:BTCUSDT:1h", "binance:BTCUSDT:1m", "binance:ETHUSDT:1d"]);
    for one in &list.series {
        let query = [("symbol", one.symbol.to_string()), ("interval", one.interval.to_string())];
        let csv = [&query[..], &[("start", "0".to_owned()), ("format", "csv".to_owned())]].concat();
        let csv = api.stream("/api/market-data/klines", &csv).await.unwrap().text().await.unwrap();
        let opens: Vec<i64> = csv.lines().skip(1).map(|row| row.split(',').next().unwrap().parse().unwrap()).collect();
        let known: CoverageReport = api.get("/api/market-data/coverage", &query).await.unwrap();
        let name = format!("{one:?}");
        assert_eq!(one.first.map(|at| at.ms()), opens.first().copied(), "{name}");
        assert_eq!(one.last.map(|at| at.ms()), opens.last().copied(), "{name}");
        assert_eq!(one.count, opens.len() as u64, "{name}");
        assert_eq!(one.gaps, known.gaps.len() as u64, "{name}");
        assert_eq!(one.absent_buckets, known.gaps.iter().map(|gap| gap.buckets).sum::<u64>(), "{name}");
        assert_eq!(one.verified_until, Some(known.verified[0].end), "{name}");
        let expected = (SystemClock.now_ms() - one.interval.next_bucket(*opens.last().unwrap())) / 1_000;
        let lag = i64::try_from(one.lag_seconds.unwrap()).unwrap();
        assert!((expected - 60..=expected).contains(&lag), "{name}: {expected}");
    }
    assert!(list.series[0].gaps > 0 && list.series[0].verified_until < list.series[0].last, "{:?}", list.series[0]);
    assert!(list.series[2].gaps > 0, "it was listed on 2017-08-17: {:?}", list.series[2]);

    for (query, expected) in [
        (&[("symbol", "btcusdt")][..], &["binance:BTCUSDT:1h", "binance:BTCUSDT:1m"][..]),
        (&[("interval", "1d")], &["binance:ETHUSDT:1d"]),
        (&[("symbol", "BTCUSDT"), ("interval", "1m")], &["binance:BTCUSDT:1m"]),
        (&[("symbol", "BTCUSDT"), ("cursor", "binance:BTCUSDT:1h")], &["binance:BTCUSDT:1m"]),
        (&[("symbol", "ETHUSDT"), ("cursor", "binance:BTCUSDT:1h")], &["binance:ETHUSDT:1d"]),
        (&[("symbol", "BTCUSDT"), ("cursor", "binance:ETHUSDT:1d")], &[]),
        (&[("symbol", "BTC")], &[]),
    ] {
        assert_eq!(ids(&page(&api, query).await.series), expected, "{query:?}");
    }
    let first = page(&api, &[("limit", "2")]).await;
    assert_eq!(first.next_cursor.map(String::from).as_deref(), Some("binance:BTCUSDT:1m"));

    // A market that does not trade any more is late for nothing.
    let markets = database_of(&stack).await.collection::<Document>("markets");
    let halted = doc! { "$set": { "markets.$[eth].st": "BREAK" } };
    let changed = markets.update_one(doc! {}, halted).array_filters([doc! { "eth.s": "ETHUSDT" }]).await.unwrap();
    assert_eq!(changed.modified_count, 1);
    let mut stack = stack;
    let url = stack.add_api().await.unwrap().url().to_owned();
    let other = Api::new(&url, &stack.token("pro").await.unwrap());
    let lags: Vec<bool> = page(&other, &[]).await.series.iter().map(|one| one.lag_seconds.is_some()).collect();
    assert_eq!(lags, [true, true, false]);
}

/// Stores these candles as a series of `symbol`, as another process does.
async fn store(market: &MarketStore, symbol: &str, candles: &[Candle]) {
    let series = series(symbol, Interval::Minute1);
    market.candles().insert(&series, candles).await.unwrap();
    let look = Observation { range: TimeRange::new(START, START + HOUR), gaps: Vec::new() };
    market.coverage().record(&series, &[look], SystemClock.now_ms()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_series_once_and_in_order_while_others_appear() {
    let stack = Stack::builder().start().await.unwrap();
    let api = stack.client("enterprise").await.unwrap();
    fetched(&api, "BTCUSDT", "1m", "2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z").await;
    let tasks = connect(stack.redis_url(), stack.mongo_uri(), stack.database()).await;
    let market = MarketStore::new(tasks.db());
    let source = series("BTCUSDT", Interval::Minute1);
    let hour = market.history(&source, TimeRange::new(START, START + HOUR)).await.unwrap().stream(None);
    let hour: Vec<Candle> = futures::TryStreamExt::try_collect(hour).await.unwrap();
    assert_eq!(hour.len(), 60);
    // Names that begin alike, and of which the order of texts is not that of numbers.
    let name = |number: usize| match number % 4 {
        0 => format!("PAIR{number}"),
        1 => format!("PAIR{number}_X"),
        2 => format!("PAIR{number}-X"),
        _ => format!("币{number}"),
    };
    let (old, new): (Vec<usize>, Vec<usize>) = (0..500).partition(|number| number % 5 < 3);
    for number in &old {
        store(&market, &name(*number), &hour).await;
    }
    let id = |number: &usize| format!("binance:{}:1m", name(*number));
    let mut before: BTreeSet<String> = old.iter().map(id).collect();
    before.insert("binance:BTCUSDT:1m".to_owned());
    let mut all = before.clone();
    all.extend(new.iter().map(id));

    let (adding, candles) = (market.clone(), hour.clone());
    let added = tokio::spawn(async move {
        for number in new {
            store(&adding, &name(number), &candles).await;
        }
    });
    let mut walks = 0;
    loop {
        let last = added.is_finished();
        let seen = ids(&all_pages(&api, "7").await);
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice: {seen:?}");
        let seen: BTreeSet<String> = seen.into_iter().collect();
        assert!(seen.is_superset(&before), "{:?}", before.difference(&seen));
        assert!(seen.is_subset(&all), "{:?}", seen.difference(&all));
        walks += 1;
        if last {
            assert_eq!(seen, all);
            break;
        }
    }
    added.await.unwrap();
    assert!(walks > 1);
    let whole = all_pages(&api, "200").await;
    assert!(whole.iter().all(|one| (one.count, one.gaps) == (60, 0)), "{whole:?}");
    assert_eq!(whole.len(), 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn series_that_an_earlier_version_stored_are_listed() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    for (symbol, interval) in
        [("BTCUSDT", Interval::Minute1), ("BTCUSDT", Interval::Hour1), ("ETHUSDT", Interval::Day1)]
    {
        let id = harness.submit("u", &fetch(symbol, interval, START, START + 48 * HOUR)).await.record.id;
        assert_eq!(harness.end_of(id).await.state, TaskState::Succeeded, "{symbol} {interval}");
    }
    let list = harness.collection("series").await;
    assert_eq!(list.delete_many(doc! {}).await.unwrap().deleted_count, 3, "a document for each");
    // A process that knows nothing of them.
    let market = MarketStore::new(harness.another_store().await.db());
    let selection =
        SeriesSelection { exchange: Exchange::Binance, symbol: None, interval: None, after: None, limit: 10 };
    assert_eq!(market.coverage().series(&selection).await.unwrap().series, []);
    for _ in 0..2 {
        market.coverage().list_all().await.unwrap();
        let listed = market.coverage().series(&selection).await.unwrap();
        let expected = [
            series("BTCUSDT", Interval::Hour1),
            series("BTCUSDT", Interval::Minute1),
            series("ETHUSDT", Interval::Day1),
        ];
        assert_eq!((listed.series.as_slice(), listed.more), (&expected[..], false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn symbols_are_those_of_the_stored_list() {
    let mut stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let symbols = async |query: &[(&str, &str)]| -> SymbolList {
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        api.get(SYMBOLS, &query).await.unwrap()
    };
    let none = SymbolList { exchange: Exchange::Binance, listed_at: None, symbols: Vec::new(), next_cursor: None };
    assert_eq!(symbols(&[]).await, none, "no worker has brought a list yet");
    let before = SystemClock.now_ms();
    stack.add_worker().await.unwrap();
    wait_for_markets(&stack).await;
    let listed = async {
        loop {
            let list = symbols(&[]).await;
            if list.listed_at.is_some() {
                return list;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let list = tokio::time::timeout(std::time::Duration::from_secs(10), listed).await.unwrap();
    assert!((before..=SystemClock.now_ms()).contains(&list.listed_at.unwrap().ms()), "{list:?}");
    let names = |list: &SymbolList| list.symbols.iter().map(|one| one.symbol.to_string()).collect::<Vec<_>>();
    let all = names(&list);
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]) && all.len() > 2, "{all:?}");
    let btc = list.symbols.iter().find(|one| one.symbol.as_str() == "BTCUSDT").unwrap();
    let told = (btc.base.as_deref(), btc.quote.as_deref(), btc.status.as_str(), btc.first_open);
    assert_eq!(told, (Some("BTC"), Some("USDT"), "TRADING", None));

    let (mut paged, mut cursor) = (Vec::new(), None);
    loop {
        let mut query = vec![("limit", "1".to_owned())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let list = symbols(&query).await;
        paged.extend(names(&list));
        match list.next_cursor {
            Some(next) => cursor = Some(String::from(next)),
            None => break,
        }
    }
    assert_eq!(paged, all);
    for query in [
        &[("prefix", "btcu")][..],
        &[("base", "btc"), ("quote", "usdt")],
        &[("prefix", "BTC"), ("status", "trading"), ("quote", "USDT")],
    ] {
        assert_eq!(names(&symbols(query).await), ["BTCUSDT"], "{query:?}");
    }
    for query in [&[("prefix", "NOSUCH")][..], &[("status", "HALT")], &[("base", "BTC"), ("quote", "JPY")]] {
        assert_eq!(names(&symbols(query).await), [] as [String; 0], "{query:?}");
    }

    // Months begin before the first trade, so the shortest interval tells when it was.
    for (interval, first) in [("1M", "2017-08-01T00:00:00Z"), ("1d", "2017-08-17T00:00:00Z")] {
        let request = fetch_request("BTCUSDT", interval, "listing", Some("2018-01-01")).unwrap();
        assert_eq!(api.fetch_and_wait(&request).await.unwrap().state, TaskState::Succeeded);
        let list = symbols(&[("prefix", "BTCUSDT")]).await;
        assert_eq!(list.symbols[0].first_open.map(|at| at.to_string()).as_deref(), Some(first));
    }
}
