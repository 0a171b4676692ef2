//! A chunk as a document.

use super::chunk::Chunk;
use candlemill_db::StoreError;
use candlemill_shared::coverage::Gap;
use candlemill_shared::{Interval, TimeRange};
use mongodb::bson::{Array, Bson, Document, RawDocument, doc, serialize_to_bson};
use serde::Deserialize;

/// A chunk as it stands in the store.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    /// `binance:BTCUSDT:1m_1577836800000`: series and start of the chunk.
    pub(super) id: String,
    /// Raised by every change; 0: it is not stored yet.
    pub(super) rev: i64,
    pub(super) chunk: Chunk,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "_id")]
    id: String,
    rev: i64,
    verified: Vec<(i64, i64)>,
    gaps: Vec<Gap>,
    audited_at: i64,
}

pub(super) fn encode(stored: &Stored) -> Result<Document, StoreError> {
    let Stored { id, rev, chunk } = stored;
    let unwritable = |error| StoreError::corrupt("a gap", error);
    let gaps = chunk.gaps.iter().map(serialize_to_bson).collect::<Result<Array, _>>().map_err(unwritable)?;
    let verified: Array = chunk.verified.iter().map(|range| Bson::from(vec![range.start, range.end])).collect();
    let mut document = doc! {
        "_id": id, "rev": rev, "verified": verified, "gaps": gaps, "audited_at": chunk.audited_at,
    };
    if let Some(at) = chunk.recheck_at() {
        document.insert("recheck_at", at);
    }
    Ok(document)
}

pub(super) fn decode(interval: Interval, document: &RawDocument) -> Result<Stored, StoreError> {
    // Without a tree of values in between: a list of series reads thousands of them.
    let fields: Fields = mongodb::bson::deserialize_from_slice(document.as_bytes())
        .map_err(|error| StoreError::corrupt("a chunk of the coverage ledger", error))?;
    let verified = fields.verified.into_iter().map(|(start, end)| TimeRange::new(start, end)).collect();
    // Counted here: what is written elsewhere cannot be a wrong number.
    let gaps = fields.gaps.into_iter().map(|gap| Gap { buckets: interval.count(gap.range), ..gap }).collect();
    let chunk = Chunk { verified, gaps, audited_at: fields.audited_at };
    Ok(Stored { id: fields.id, rev: fields.rev, chunk })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::coverage::GapReason;
    use mongodb::bson::RawDocumentBuf;

    #[test]
    fn chunks_come_back() {
        let range = TimeRange::new(60_000, 180_000);
        let gap = Gap::new(Interval::Minute1, range, GapReason::Outage).seen(7);
        let chunk = Chunk { verified: vec![TimeRange::new(0, 600_000)], gaps: vec![gap], audited_at: 3 };
        let stored = Stored { id: "binance:BTCUSDT:1m_0000000000000".to_owned(), rev: 4, chunk };
        let document = encode(&stored).unwrap();
        assert_eq!(document.get_i64("recheck_at").unwrap(), 3_600_007);
        let raw = RawDocumentBuf::try_from(document).unwrap();
        assert_eq!(decode(Interval::Minute1, &raw).unwrap(), stored);
        let whole = Stored { chunk: Chunk { gaps: Vec::new(), ..stored.chunk.clone() }, ..stored };
        assert!(!encode(&whole).unwrap().contains_key("recheck_at"));
    }
}
