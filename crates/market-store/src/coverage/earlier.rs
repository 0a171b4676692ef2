//! The ledger of earlier versions: a document for each verified range and for each gap, both named by their start. Where gaps
//! began at one time the last writer won, so it may lack some. Taken over series by series, when one is first asked for; what
//! is wrong in it is found by the audit, and its absences are asked again.

use super::ledger::Coverage;
use crate::series::Series;
use candlemill_db::StoreError;
use candlemill_shared::TimeRange;
use candlemill_shared::coverage::Gap;
use candlemill_shared::range::{hull, normalise};
use futures::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Document, doc};

/// Series that one look of housekeeping takes over.
const SERIES: usize = 100;
/// Documents of one deletion.
const BATCH: usize = 1_000;

impl Coverage {
    /// Takes over what an earlier version's ledger says of `series`. Documents go when they are part of the new form, as they were
    /// read: what a worker of an earlier version adds meanwhile stays for the next time.
    pub(super) async fn adopt(&self, series: &Series) -> Result<(), StoreError> {
        let verified = read(&self.earlier_verified, series).await?;
        let gaps = read(&self.earlier_gaps, series).await?;
        if verified.is_empty() && gaps.is_empty() {
            return Ok(());
        }
        self.candles.rename_earlier_ids(series).await?;
        let ranges = verified.iter().map(range_of).collect::<Result<Vec<TimeRange>, _>>()?;
        let absent = gaps.iter().map(gap_of).collect::<Result<Vec<Gap>, _>>()?;
        let (interval, joined) = (series.interval, normalise(ranges));
        let all = joined.iter().copied().chain(absent.iter().map(|gap| gap.range));
        if let Some(hull) = hull(all) {
            self.update_stored(series, hull, |range, chunk| {
                let inside: Vec<TimeRange> =
                    joined.iter().map(|part| part.intersect(range)).filter(|part| !part.is_empty()).collect();
                let cut = |gap: &Gap| Gap::new(interval, gap.range.intersect(range), gap.reason);
                let gaps: Vec<Gap> = absent.iter().map(cut).filter(|gap| !gap.range.is_empty()).collect();
                chunk.adopt(interval, &inside, &gaps);
            })
            .await?;
        }
        forget(&self.earlier_verified, &verified).await?;
        forget(&self.earlier_gaps, &gaps).await?;
        tracing::info!(
            ranges = verified.len(),
            gaps = gaps.len(),
            "took over the ledger of {series} from an earlier version"
        );
        Ok(())
    }

    /// Takes over the ledgers of earlier versions, at most some series a call. Returns how many.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn adopt_some(&self) -> Result<usize, StoreError> {
        let mut adopted = 0;
        for collection in [&self.earlier_verified, &self.earlier_gaps] {
            while adopted < SERIES {
                let found = collection.find_one(doc! {}).projection(doc! { "_id": 1 }).await;
                let Some(found) = found.map_err(StoreError::mongo("looking for an earlier ledger"))? else { break };
                let id = found.get_str("_id").unwrap_or_default();
                let Some(series) = Series::of_id(id) else {
                    // Nobody can ask for a series of that name.
                    collection
                        .delete_one(doc! { "_id": id })
                        .await
                        .map_err(StoreError::mongo("forgetting an earlier ledger"))?;
                    continue;
                };
                self.adopt(&series).await?;
                adopted += 1;
            }
        }
        Ok(adopted)
    }
}

async fn read(collection: &Collection<Document>, series: &Series) -> Result<Vec<Document>, StoreError> {
    let reading = "reading the ledger of an earlier version";
    let series = series.id();
    // `_` sorts before `` ` ``, and no id has another character there.
    let ids = doc! { "_id": { "$gte": format!("{series}_"), "$lt": format!("{series}`") } };
    let cursor = collection.find(ids).await.map_err(StoreError::mongo(reading))?;
    cursor.map_err(StoreError::mongo_in(reading)).try_collect().await
}

async fn forget(collection: &Collection<Document>, read: &[Document]) -> Result<(), StoreError> {
    for batch in read.chunks(BATCH) {
        let as_read: Vec<Document> = batch
            .iter()
            .map(|one| doc! { "_id": one.get_str("_id").unwrap_or_default(), "end": one.get_i64("end").unwrap_or(0) })
            .collect();
        collection
            .delete_many(doc! { "$or": as_read })
            .await
            .map_err(StoreError::mongo("forgetting the ledger of an earlier version"))?;
    }
    Ok(())
}

fn range_of(document: &Document) -> Result<TimeRange, StoreError> {
    let time =
        |field| document.get_i64(field).map_err(|error| StoreError::corrupt("a range of the coverage ledger", error));
    Ok(TimeRange::new(time("start")?, time("end")?))
}

fn gap_of(document: &Document) -> Result<Gap, StoreError> {
    let mut fields = document.clone();
    fields.remove("_id");
    mongodb::bson::deserialize_from_document(fields).map_err(|error| StoreError::corrupt("a gap", error))
}
