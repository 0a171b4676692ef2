//! Verified ranges, written in groups.

use super::TimeRange;
use crate::error::{DUPLICATE_KEY, StoreError, duplicates};
use crate::groups::{self, Reply, refuse};
use crate::keys::collections;
use futures::future::try_join_all;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::{Collection, Database};
use std::collections::HashMap;
use tokio::sync::mpsc;

const RECORDING: &str = "recording verified ranges";

/// The way in for verified ranges.
#[derive(Clone)]
pub(super) struct Segments {
    inbox: mpsc::Sender<((String, TimeRange), Reply<()>)>,
}

impl std::fmt::Debug for Segments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Segments")
    }
}

impl Segments {
    /// Starts its lanes. They end when the last handle is dropped.
    pub(super) fn start(database: &Database) -> Self {
        let segments: Collection<Document> = database.collection(collections::COVERAGE);
        Self { inbox: groups::lanes(2, move |group| write_group(segments.clone(), group)) }
    }

    /// Adds `range` under `id`, which tells its start, or extends what is there to its end.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub(super) async fn extend(&self, id: String, range: TimeRange) -> Result<(), StoreError> {
        groups::ask(&self.inbox, (id, range)).await
    }
}

async fn write_group(segments: Collection<Document>, group: Vec<((String, TimeRange), Reply<()>)>) {
    let (parts, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    match write(&segments, parts).await {
        Ok(()) => replies.into_iter().for_each(|reply| drop(reply.send(Ok(())))),
        // Told to all: who was written hears it from a repetition.
        Err(StoreError::Mongo { cause, .. }) => refuse(replies, &cause, RECORDING),
        Err(_) => replies.into_iter().for_each(|reply| drop(reply.send(Err(StoreError::Overloaded)))),
    }
}

/// Most begin a segment, and insertions share one write of the journal; those that find theirs extend it.
async fn write(segments: &Collection<Document>, parts: Vec<(String, TimeRange)>) -> Result<(), StoreError> {
    let mut longest: HashMap<String, TimeRange> = HashMap::with_capacity(parts.len());
    for (id, range) in parts {
        let known = longest.entry(id).or_insert(range);
        known.end = known.end.max(range.end);
    }
    let parts: Vec<(String, TimeRange)> = longest.into_iter().collect();
    let documents = parts.iter().map(|(id, range)| doc! { "_id": id, "start": range.start, "end": range.end });
    let inserted = segments.insert_many(documents).ordered(false).await;
    let known = duplicates(inserted, RECORDING)?;
    let longer = known.into_iter().filter_map(|index| parts.get(index));
    let extended = try_join_all(longer.map(|(id, range)| extend(segments, id, *range))).await;
    extended.map(drop).map_err(StoreError::mongo(RECORDING))
}

async fn extend(segments: &Collection<Document>, id: &str, range: TimeRange) -> Result<(), Error> {
    loop {
        let longer = doc! { "$max": { "end": range.end }, "$setOnInsert": { "start": range.start } };
        match segments.update_one(doc! { "_id": id }, longer).upsert(true).await {
            Ok(_) => return Ok(()),
            // It was deleted, and added by another writer at the same moment: there it is.
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_duplicate(error: &Error) -> bool {
    use mongodb::error::WriteFailure;
    matches!(error.kind.as_ref(), ErrorKind::Write(WriteFailure::WriteError(failed)) if failed.code == DUPLICATE_KEY)
}
