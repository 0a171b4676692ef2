//! Loading candles into columns beside bare cursors over the same range, and the calendar study of them.

use crate::figures::{figure, per_second};
use anyhow::{Context as _, Result, ensure};
use candlemill_analytics::{CandleColumns, Candles, ToTheEnd, calendar};
use candlemill_db::{Db, DbConfig};
use candlemill_devkit::Stack;
use candlemill_market_store::{MarketStore, Series};
use candlemill_shared::env::Env;
use candlemill_shared::study::{BucketReport, CalendarStudy, GroupingReport, Measure};
use candlemill_shared::{Candle, Decimal, Exchange, Interval, SystemClock, TimeRange, ZoneName};
use futures::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{RawDocumentBuf, doc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::Command;

const MINUTE: i64 = 60_000;
/// 2020-01-01, UTC ms.
const START: i64 = 1_577_836_800_000;
/// Candles of one insert.
const BATCH: usize = 5_000;
/// Inserts at once.
const INSERTS: usize = 8;
/// Cursors at once, as the product has.
const CURSORS: usize = 4;
/// Rounds of each load; the best counts.
const ROUNDS: usize = 3;

#[expect(clippy::print_stdout, reason = "figures are this program's output")]
pub(crate) async fn measure(candles: u64, draws: u32, python: Option<&Path>) -> Result<()> {
    let stack = Stack::builder().without_ledger_check().workers(0).start().await?;
    let env = Env::of([
        ("REDIS_URL", stack.redis_url()),
        ("MONGODB_URI", stack.mongo_uri()),
        ("MONGODB_DATABASE", stack.database()),
    ]);
    let db = Db::connect(&DbConfig::from_env(&env)?, Arc::new(SystemClock)).await?;
    let market = MarketStore::new(&db);
    let series = Series::new(Exchange::Binance, "BTCUSDT".parse().map_err(anyhow::Error::msg)?, Interval::Minute1);
    let number = i64::try_from(candles)?;
    let range = TimeRange::new(START, START + number * MINUTE);
    store(&market, &series, candles).await?;
    let (mut bare, mut ours) = (Duration::MAX, Duration::MAX);
    let mut columns = CandleColumns::default();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let read = bare_cursors(&db, range).await?;
        bare = bare.min(started.elapsed());
        ensure!(read == candles, "bare cursors read {read}");
        let started = Instant::now();
        columns = market.candles().columns(&series, range, |_| {}).await?;
        ours = ours.min(started.elapsed());
        ensure!(columns.len() as u64 == candles, "{} rows", columns.len());
    }
    let count = u32::try_from(candles)?;
    per_second("candles by bare raw cursors", count, bare);
    per_second("candles into columns", count, ours);
    figure("columns beside bare cursors", format!("{:.2} times as long", ours.as_secs_f64() / bare.as_secs_f64()));
    let candles = Candles::of(Interval::Minute1, columns)?;
    let mut found = Vec::new();
    for draws in [0, draws] {
        let started = Instant::now();
        let report = calendar::study(&candles, &CalendarStudy::default(), &ZoneName::default(), draws, 1, &ToTheEnd)?;
        let told = format!("calendar, {draws} draws, {} groupings × measures", report.groupings.len());
        figure(&told, format!("{:.2} s", started.elapsed().as_secs_f64()));
        found = report.groupings;
    }
    figure("memory of this process at its peak", format!("{} MiB", peak()?));
    drop(candles);
    if let Some(python) = python {
        let arguments = [range.start, range.end, i64::from(draws)].map(|argument| argument.to_string());
        let server = [stack.mongo_uri(), stack.database()];
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/study.py");
        let mut run = Command::new(python);
        run.arg(script).args(server).args(arguments).stderr(Stdio::inherit());
        let said = run.output().await.with_context(|| format!("starting {}", python.display()))?;
        ensure!(said.status.success(), "the script failed: {}", said.status);
        let said = String::from_utf8(said.stdout)?;
        let (told, figures) = said.trim_end().rsplit_once('\n').context("the script said nothing")?;
        println!("{told}");
        agree(&found, &serde_json::from_str(figures)?)?;
    }
    stack.stop().await
}

/// Whether the script's figures of the returns are ours: else it did other work, and its time says nothing.
fn agree(found: &[GroupingReport], script: &BTreeMap<String, Vec<[Option<f64>; 9]>>) -> Result<()> {
    let returns = found.iter().filter(|one| one.measure == Measure::Return);
    for report in returns {
        let name = serde_json::to_value(report.grouping)?;
        let name = name.as_str().unwrap_or_default();
        let theirs = script.get(name).with_context(|| format!("the script lacks {name}"))?;
        ensure!(theirs.len() == report.buckets.len(), "{name}: {} buckets of the script", theirs.len());
        for (bucket, theirs) in report.buckets.iter().zip(theirs) {
            let BucketReport { mean, median, deviation, win_rate, q05, q25, q75, q95, .. } = *bucket;
            let ours =
                [(bucket.n > 0).then_some(bucket.n as f64), mean, median, deviation, win_rate, q05, q25, q75, q95];
            let scale = deviation.unwrap_or(1.0);
            let alike = ours.iter().zip(theirs).all(|pair| match pair {
                (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-9 * scale.min(1.0),
                (ours, theirs) => ours.is_none() && theirs.is_none(),
            });
            ensure!(alike, "{name} {}: {ours:?}, the script {theirs:?}", bucket.bucket);
        }
    }
    figure("figures of the returns", "the script's are ours");
    Ok(())
}

/// Minutes of a random walk.
async fn store(market: &MarketStore, series: &Series, candles: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(7);
    let mut price = 10_000.0_f64;
    let mut next = move |at: i64| {
        let open = price;
        price *= 1.0 + (random.random::<f64>() - 0.5) * 0.001;
        let decimal = |figure: f64| Decimal::try_from((figure * 100.0).round() / 100.0).unwrap_or_default();
        let zero = Decimal::ZERO;
        Candle {
            open_time: at,
            close_time: at + MINUTE - 1,
            open: decimal(open),
            high: decimal(open.max(price) + 1.0),
            low: decimal(open.min(price) - 1.0),
            close: decimal(price),
            volume: decimal(random.random::<f64>() * 100.0),
            quote_volume: zero,
            trades: 1,
            taker_buy_volume: zero,
            taker_buy_quote_volume: zero,
        }
    };
    let rows = (0..i64::try_from(candles)?).map(move |row| next(START + row * MINUTE));
    let batches = stream::iter(rows).chunks(BATCH);
    let stored = batches.map(|batch| async move { market.candles().insert(series, &batch).await });
    stored.buffer_unordered(INSERTS).try_for_each(|_| std::future::ready(Ok(()))).await?;
    Ok(())
}

/// Every document of the range, not looked into.
async fn bare_cursors(db: &Db, range: TimeRange) -> Result<u64> {
    let collection = db.database().collection::<RawDocumentBuf>("klines.binance.1m");
    let part = (range.end - range.start) / i64::try_from(CURSORS)?;
    let parts = (0..i64::try_from(CURSORS)?).map(|at| {
        let collection = collection.clone();
        let end = if at + 1 == CURSORS as i64 { range.end } else { range.start + part * (at + 1) };
        let ids = doc! { "_id": {
            "$gte": format!("BTCUSDT_{:013}", range.start + part * at), "$lt": format!("BTCUSDT_{end:013}"),
        } };
        async move {
            let mut cursor = collection.find(ids).sort(doc! { "_id": 1 }).batch_size(10_000).await?;
            let mut read = 0_u64;
            while cursor.advance().await? {
                std::hint::black_box(cursor.current());
                read += 1;
            }
            Ok::<_, mongodb::error::Error>(read)
        }
    });
    Ok(futures::future::try_join_all(parts).await?.into_iter().sum())
}

/// MiB.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? / 1_024)
}
