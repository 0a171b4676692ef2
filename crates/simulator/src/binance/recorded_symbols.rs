//! Descriptions of symbols that the exchange once gave.

use candlemill_shared::Symbol;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The recorded answer, relative to the data folder.
const RECORDED: &str = "rest/binance_spot_exchangeInfo_20211012.json.gz";

/// Recorded symbol objects by symbol. Empty when the folder does not hold the recorded answer.
pub(crate) type RecordedSymbols = BTreeMap<String, Value>;

/// Reads the recorded answer and keeps the symbols of `wanted`.
pub(crate) fn recorded(data_dir: &Path, wanted: &[(Symbol, String)]) -> RecordedSymbols {
    let Ok(file) = std::fs::File::open(data_dir.join(RECORDED)) else { return BTreeMap::new() };
    let answer: Value = serde_json::from_reader(GzDecoder::new(file)).unwrap_or_default();
    let symbols = answer["symbols"].as_array().cloned().unwrap_or_default();
    symbols
        .into_iter()
        .filter_map(|symbol| Some((symbol["symbol"].as_str()?.to_owned(), symbol)))
        .filter(|(name, _)| wanted.iter().any(|(wanted, _)| wanted.as_str() == name))
        .collect()
}
