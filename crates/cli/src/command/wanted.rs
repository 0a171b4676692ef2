//! Which symbols and which range a command names.

use crate::exit::Usage;
use anyhow::{Context as _, Result};
use candlemill_client::forms::FetchStart;
use candlemill_client::{parse_start, parse_time};
use candlemill_shared::{Interval, Symbol, Timestamp};
use clap::Args;
use std::fs;
use std::path::PathBuf;

/// Which candles.
#[derive(Debug, Args)]
pub(super) struct Wanted {
    /// Symbols, then the length of the candles, as in BTCUSDT ETHUSDT 1h.
    #[arg(required = true, num_args = 1.., value_name = "SYMBOLS INTERVAL")]
    words: Vec<String>,
    /// File with more symbols, one a line; what follows a # is a comment.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// First open time: a date, RFC 3339, milliseconds, or "listing".
    #[arg(long, value_parser = parse_start)]
    pub(super) start: FetchStart,
    /// First open time that is no longer wanted; now when left out.
    #[arg(long, value_parser = parse_time)]
    pub(super) end: Option<Timestamp>,
}

impl Wanted {
    /// The symbols, each once, and the interval.
    pub(super) fn series(&self) -> Result<(Vec<Symbol>, Interval)> {
        let text = match &self.from_file {
            Some(file) => fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?,
            None => String::new(),
        };
        Ok(series(&self.words, &text)?)
    }
}

fn series(words: &[String], file: &str) -> Result<(Vec<Symbol>, Interval), Usage> {
    let usage = |problem: String| {
        Usage(format!("{problem}; symbols and then an interval are expected, as in BTCUSDT ETHUSDT 1h"))
    };
    let (last, named) = words.split_last().ok_or_else(|| usage("no interval is given".to_owned()))?;
    let interval: Interval = last.parse().map_err(|error| usage(format!("{error}")))?;
    let lines = file.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut symbols: Vec<Symbol> = Vec::new();
    for word in named.iter().map(String::as_str).chain(lines).filter(|word| !word.is_empty()) {
        let symbol = word.parse().map_err(|error| usage(format!("{word:?} is no symbol: {error}")))?;
        if !symbols.contains(&symbol) {
            symbols.push(symbol);
        }
    }
    if symbols.is_empty() {
        return Err(usage("no symbol is given".to_owned()));
    }
    Ok((symbols, interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], file: &str, expected: Result<(&[&str], &str), &str>) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match (series(&words, file), expected) {
            (Ok((symbols, interval)), Ok(expected)) => {
                let symbols: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
                assert_eq!((symbols.as_slice(), interval.as_str()), expected, "{words:?} {file:?}");
            }
            (Err(Usage(told)), Err(expected)) => assert!(told.contains(expected), "{told}"),
            (read, _) => panic!("{words:?} {file:?}: {read:?}"),
        }
    }

    #[test]
    fn words_and_files() {
        check(&["BTCUSDT", "1h"], "", Ok((&["BTCUSDT"], "1h")));
        check(&["btcusdt", "ETHUSDT", "BTCUSDT", "1d"], "", Ok((&["BTCUSDT", "ETHUSDT"], "1d")));
        check(&["1h"], "BTCUSDT\n# none\n\nETHUSDT # the second\n", Ok((&["BTCUSDT", "ETHUSDT"], "1h")));
        check(&["BTCUSDT"], "", Err("BTCUSDT"));
        check(&["1h"], "# none\n", Err("no symbol"));
        check(&["BTC/USDT", "1h"], "", Err("\"BTC/USDT\" is no symbol"));
    }
}
