//! Candles from CSV files, plain or gzip.

use super::error::MarketError;
use super::rows::{Row, Rows, RowsBuilder};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The first line that every file must have.
const HEADER: [&str; 12] = [
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "trades",
    "taker_base",
    "taker_quote",
    "ignore",
];

/// A series that a file holds. It is read on first use.
#[derive(Debug)]
pub(crate) struct FileSeries {
    path: PathBuf,
    rows: OnceLock<Result<Arc<Rows>, MarketError>>,
}

impl FileSeries {
    /// The series of the file at `path`, not yet read.
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, rows: OnceLock::new() }
    }

    /// Whether its rows are in memory.
    pub(crate) fn is_read(&self) -> bool {
        self.rows.get().is_some()
    }

    /// Its rows; reads the file if that was not done before.
    pub(crate) fn rows(&self) -> Result<&Arc<Rows>, MarketError> {
        self.rows.get_or_init(|| read(&self.path).map(Arc::new)).as_ref().map_err(Clone::clone)
    }
}

fn read(path: &Path) -> Result<Rows, MarketError> {
    let unreadable = |error: std::io::Error| MarketError::Unreadable { path: path.to_owned(), source: Arc::new(error) };
    let file = File::open(path).map_err(unreadable)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut text = Vec::new();
        GzDecoder::new(file).read_to_end(&mut text).map_err(unreadable)?;
        parse(path, text.as_slice())
    } else {
        parse(path, file)
    }
}

fn parse(path: &Path, text: impl Read) -> Result<Rows, MarketError> {
    let mut reader = csv::Reader::from_reader(text);
    let wrong = |line: u64, problem: String| MarketError::Malformed { path: path.to_owned(), line, problem };
    let header = reader.headers().map_err(|error| wrong(1, error.to_string()))?;
    if !header.iter().eq(HEADER) {
        return Err(wrong(1, format!("the first line must be {}", HEADER.join(","))));
    }
    let mut builder = RowsBuilder::with_capacity(4_096);
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| wrong(0, error.to_string()))? {
        let line = record.position().map_or(0, csv::Position::line);
        let row = row_of(&record).map_err(|problem| wrong(line, problem))?;
        if builder.last_open().is_some_and(|last| last >= row.open_time) {
            return Err(wrong(line, "open times must ascend".to_owned()));
        }
        builder.push(&row);
    }
    Ok(builder.finish())
}

fn row_of(record: &csv::StringRecord) -> Result<Row<'_>, String> {
    let field = |index: usize| record.get(index).unwrap_or_default();
    Ok(Row {
        open_time: integer(field(0), HEADER[0])?,
        close_time: integer(field(6), HEADER[6])?,
        // A source without trade counts leaves the field empty.
        trades: if field(8).is_empty() { 0 } else { integer(field(8), HEADER[8])? },
        prices: [
            price(field(1), HEADER[1])?,
            price(field(2), HEADER[2])?,
            price(field(3), HEADER[3])?,
            price(field(4), HEADER[4])?,
            price(field(5), HEADER[5])?,
        ],
        amounts: [amount(field(7), HEADER[7])?, amount(field(9), HEADER[9])?, amount(field(10), HEADER[10])?],
    })
}

fn integer<T: std::str::FromStr>(text: &str, name: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{name} is {text:?}, expected a whole number"))
}

/// Digits with at most one point: safe to print between quotes.
fn price<'a>(text: &'a str, name: &str) -> Result<&'a str, String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let points = text.bytes().filter(|b| *b == b'.').count();
    if digits && points <= 1 && text.bytes().any(|b| b.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(format!("{name} is {text:?}, expected a decimal"))
    }
}

/// As [`price`], but a source may lack it.
fn amount<'a>(text: &'a str, name: &str) -> Result<&'a str, String> {
    if text.is_empty() { Ok("0.00000000") } else { price(text, name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &str, expected: Result<&str, &str>) {
        let text = format!("{}\n{rows}", HEADER.join(","));
        match (parse(Path::new("x.csv"), text.as_bytes()), expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got.text(0..got.position(i64::MAX)), expected, "{rows}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, _) => panic!("{rows}: {got:?}"),
        }
    }

    #[test]
    fn files() {
        check(
            "60000,1.10,2,0.5,1.5,3,119999,4.5,7,2,2.5,0\n",
            Ok(r#"[60000,"1.10","2","0.5","1.5","3",119999,"4.5",7,"2","2.5","0"]"#),
        );
        check(
            "60000,1,2,0.5,1.5,3,119999,,,,,\n",
            Ok(r#"[60000,"1","2","0.5","1.5","3",119999,"0.00000000",0,"0.00000000","0.00000000","0"]"#),
        );
        check("60000,1,\"2\"\"\",0.5,1.5,3,119999,,,,,\n", Err("line 2: high is \"2\\\"\", expected a decimal"));
        check("x,1,2,0.5,1.5,3,119999,,,,,\n", Err("open_time is \"x\""));
        check("1,1,2,0.5,1.5,3,9,,,,,\n1,1,2,0.5,1.5,3,9,,,,,\n", Err("line 3: open times must ascend"));
        check("1,1\n", Err("x.csv"));
    }

    #[test]
    fn a_foreign_header_is_refused() {
        let error = parse(Path::new("x.csv"), "a,b\n1,2\n".as_bytes()).unwrap_err();
        assert!(error.to_string().contains("the first line must be open_time,open"), "{error}");
    }
}
