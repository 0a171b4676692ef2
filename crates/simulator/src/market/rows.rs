//! Candles as the exchange prints them, ready to be sent.

use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// Some rows of a block.
pub(crate) type Piece = (Arc<Rows>, Range<usize>);

/// Rows of one series in one text, so that a page is one slice of it.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// `[row],[row],…,` with a comma after every row.
    text: Bytes,
    /// Open time of every row, ascending, UTC ms.
    opens: Vec<i64>,
    /// Close time of every row, UTC ms.
    closes: Vec<i64>,
    /// Where every row ends in the text, after its comma.
    ends: Vec<usize>,
}

impl Rows {
    /// Number of rows that open before `at`.
    pub(crate) fn position(&self, at: i64) -> usize {
        self.opens.partition_point(|open| *open < at)
    }

    /// Open time of the first row.
    pub(crate) fn first_open(&self) -> Option<i64> {
        self.opens.first().copied()
    }

    /// Close time of row `index`.
    pub(crate) fn close(&self, index: usize) -> i64 {
        self.closes[index]
    }

    /// The rows of `range`, comma-separated, without a comma at the end. Shares the memory of the whole.
    pub(crate) fn text(&self, range: Range<usize>) -> Bytes {
        if range.is_empty() {
            return Bytes::new();
        }
        let from = if range.start == 0 { 0 } else { self.ends[range.start - 1] };
        self.text.slice(from..self.ends[range.end - 1] - 1)
    }
}

/// One row before it is printed. Decimals are texts, because the exchange sends them as texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) open_time: i64,
    pub(crate) close_time: i64,
    pub(crate) trades: u64,
    /// Open, high, low, close, volume.
    pub(crate) prices: [&'a str; 5],
    /// Quote volume, taker-buy base volume, taker-buy quote volume.
    pub(crate) amounts: [&'a str; 3],
}

/// Collects rows.
#[derive(Debug, Default)]
pub(crate) struct RowsBuilder {
    text: Vec<u8>,
    opens: Vec<i64>,
    closes: Vec<i64>,
    ends: Vec<usize>,
}

impl RowsBuilder {
    /// With room for `rows` rows.
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self {
            text: Vec::with_capacity(rows * 170),
            opens: Vec::with_capacity(rows),
            closes: Vec::with_capacity(rows),
            ends: Vec::with_capacity(rows),
        }
    }

    /// Open time of the row added last.
    pub(crate) fn last_open(&self) -> Option<i64> {
        self.opens.last().copied()
    }

    /// Adds a row after all others.
    pub(crate) fn push(&mut self, row: &Row<'_>) {
        print_row(&mut self.text, row);
        self.end_row(row.open_time, row.close_time);
    }

    /// Lets `print` write one row, brackets included, and adds it.
    pub(crate) fn push_printed(&mut self, open_time: i64, close_time: i64, print: impl FnOnce(&mut Vec<u8>)) {
        print(&mut self.text);
        self.end_row(open_time, close_time);
    }

    fn end_row(&mut self, open_time: i64, close_time: i64) {
        self.text.push(b',');
        self.opens.push(open_time);
        self.closes.push(close_time);
        self.ends.push(self.text.len());
    }

    /// The finished rows.
    pub(crate) fn finish(mut self) -> Rows {
        self.text.shrink_to_fit();
        Rows { text: self.text.into(), opens: self.opens, closes: self.closes, ends: self.ends }
    }
}

/// Writes the exchange's array of twelve.
pub(crate) fn print_row(out: &mut Vec<u8>, row: &Row<'_>) {
    let mut integer = itoa::Buffer::new();
    out.push(b'[');
    out.extend_from_slice(integer.format(row.open_time).as_bytes());
    for text in row.prices {
        print_text(out, text);
    }
    out.push(b',');
    out.extend_from_slice(integer.format(row.close_time).as_bytes());
    print_text(out, row.amounts[0]);
    out.push(b',');
    out.extend_from_slice(integer.format(row.trades).as_bytes());
    print_text(out, row.amounts[1]);
    print_text(out, row.amounts[2]);
    out.extend_from_slice(b",\"0\"]");
}

fn print_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_slice() {
        let mut builder = RowsBuilder::with_capacity(3);
        for open_time in [0, 60_000, 180_000] {
            let row = Row {
                open_time,
                close_time: open_time + 59_999,
                trades: 7,
                prices: ["1.0", "2.0", "0.5", "1.5", "3"],
                amounts: ["4", "2", "2.5"],
            };
            builder.push(&row);
        }
        let rows = builder.finish();
        let expected = r#"[60000,"1.0","2.0","0.5","1.5","3",119999,"4",7,"2","2.5","0"]"#;
        assert_eq!(rows.text(1..2), expected);
        assert_eq!(rows.text(0..0), "");
        assert!(rows.text(0..3).starts_with(b"[0,") && rows.text(0..3).ends_with(b"]"));
        assert_eq!(
            (rows.position(-1), rows.position(60_000), rows.position(60_001), rows.position(i64::MAX)),
            (0, 1, 2, 3)
        );
    }
}
