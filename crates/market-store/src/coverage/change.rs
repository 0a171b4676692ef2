//! Changes of chunks: read, change, replace as it was read, or once more.

use super::chunk::{CHUNK_BUCKETS, Chunk};
use super::document::{Stored, decode, encode};
use super::ledger::Coverage;
use crate::series::Series;
use candlemill_db::{StoreError, duplicates, is_duplicate};
use candlemill_shared::TimeRange;
use futures::{StreamExt, TryStreamExt};
use mongodb::bson::{RawDocumentBuf, doc};

/// New chunks of one insertion.
const BATCH: usize = 500;
/// Chunks that are changed at once.
const AT_ONCE: usize = 8;

impl Coverage {
    /// Changes every chunk of `range` by `change`, which is told the chunk's part of `range` and may be called again on a newer
    /// state of it.
    pub(super) async fn update(
        &self,
        series: &Series,
        range: TimeRange,
        change: impl Fn(TimeRange, &mut Chunk) + Sync,
    ) -> Result<(), StoreError> {
        self.adopt_once(series).await?;
        self.update_stored(series, range, change).await
    }

    pub(super) async fn update_stored(
        &self,
        series: &Series,
        range: TimeRange,
        change: impl Fn(TimeRange, &mut Chunk) + Sync,
    ) -> Result<(), StoreError> {
        const WRITING: &str = "writing the coverage ledger";
        let known: Vec<Stored> = self.read_stored(series, range, 1).await?.try_collect().await?;
        let mut known = known.into_iter().peekable();
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for part in series.interval.blocks(range, CHUNK_BUCKETS) {
            let id = series.id_at(series.interval.block_start(part.start, CHUNK_BUCKETS));
            while known.next_if(|stored| stored.id < id).is_some() {}
            match known.next_if(|stored| stored.id == id) {
                Some(stored) => changed.push((part, stored)),
                None => {
                    let mut chunk = Chunk { audited_at: self.clock.now_ms(), ..Chunk::default() };
                    change(part, &mut chunk);
                    if !chunk.verified.is_empty() || !chunk.gaps.is_empty() {
                        new.push((part, Stored { id, rev: 1, chunk }));
                    }
                }
            }
        }
        if !new.is_empty() {
            // Before its first chunk: none is without a place on the list.
            self.list_once(series).await?;
        }
        for batch in new.chunks(BATCH) {
            let documents = batch.iter().map(|(_, stored)| encode(stored)).collect::<Result<Vec<_>, _>>()?;
            let inserted = self.chunks.insert_many(documents).ordered(false).await;
            for taken in duplicates(inserted, WRITING)? {
                // Somebody was quicker.
                let (part, stored) = &batch[taken];
                changed.push((*part, self.read_one(series, &stored.id).await?));
            }
        }
        let change = &change;
        futures::stream::iter(changed)
            .map(|(part, stored)| async move { self.change_one(series, part, stored, change).await })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    pub(super) async fn read_one(&self, series: &Series, id: &str) -> Result<Stored, StoreError> {
        let found = self.chunks.clone_with_type::<RawDocumentBuf>().find_one(doc! { "_id": id }).await;
        match found.map_err(StoreError::mongo("reading the coverage ledger"))? {
            Some(found) => decode(series.interval, &found),
            None => Ok(Stored { id: id.to_owned(), rev: 0, chunk: Chunk::default() }),
        }
    }

    /// Replaces one chunk as it was read, or reads it again and tries once more.
    async fn change_one(
        &self,
        series: &Series,
        part: TimeRange,
        mut read: Stored,
        change: &(impl Fn(TimeRange, &mut Chunk) + Sync),
    ) -> Result<(), StoreError> {
        loop {
            let mut chunk = read.chunk.clone();
            change(part, &mut chunk);
            if chunk == read.chunk {
                return Ok(());
            }
            let next = Stored { id: read.id.clone(), rev: read.rev + 1, chunk };
            if self.replace(&read, &next).await? {
                return Ok(());
            }
            read = self.read_one(series, &read.id).await?;
        }
    }

    /// Replaces a chunk if it is as it was read. Whether it was.
    pub(super) async fn replace(&self, read: &Stored, next: &Stored) -> Result<bool, StoreError> {
        const WRITING: &str = "writing the coverage ledger";
        let document = encode(next)?;
        if read.rev == 0 {
            return match self.chunks.insert_one(document).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(StoreError::mongo(WRITING)(error)),
            };
        }
        let replaced = self.chunks.replace_one(doc! { "_id": &read.id, "rev": read.rev }, document).await;
        Ok(replaced.map_err(StoreError::mongo(WRITING))?.matched_count == 1)
    }
}
