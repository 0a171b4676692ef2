//! Stored studies: what was found, its charts and its long tables.
//!
//! A study is one document in `studies` and pages in `study_files`, which are written before it: a study that is listed is whole.
//! What belongs to it is kept as the bytes that are served, so that a figure comes back bit for bit.

use candlemill_db::{StoreError, duplicates, index, is_duplicate};
use candlemill_shared::forms::StudyTable;
use candlemill_shared::{Exchange, Interval, Symbol, Timestamp};
use futures::TryStreamExt;
use mongodb::bson::{Binary, Document, deserialize_from_bson, doc, serialize_to_bson, spec::BinarySubtype};
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// A document for each study.
const STUDIES: &str = "studies";
/// Charts, and pages of tables.
const FILES: &str = "study_files";
/// Files that are written with one command: each is far below a megabyte.
const BATCH: usize = 8;
/// Largest report that is stored: a document ends at 16 MB.
const MAX_REPORT: usize = 12_000_000;

/// The studies of all users.
#[derive(Debug, Clone)]
pub struct Studies {
    studies: Collection<Document>,
    files: Collection<Document>,
}

/// What a list tells of a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyHead {
    /// The id of its task.
    pub id: String,
    /// Whose.
    pub owner: String,
    /// Where from.
    pub exchange: Exchange,
    /// What.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
    /// First open time.
    pub from: Timestamp,
    /// First open time after.
    pub to: Timestamp,
    /// Candles.
    pub candles: u64,
    /// When it was computed.
    pub created_at: Timestamp,
    /// Names of its studies.
    pub studies: Vec<String>,
    /// Buckets whose return is stable.
    pub stable: u64,
}

/// What a study has beside its report. It stands in the study's document, and is read without the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyContents {
    /// Its tables; one without rows has no page.
    pub tables: Vec<StudyTable>,
    /// Names of its charts.
    pub charts: Vec<String>,
}

/// A file of a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyFile {
    /// `charts/hour-return.svg`, `trades/0`.
    pub name: String,
    /// What is served.
    pub bytes: Vec<u8>,
}

/// Which studies are listed.
#[derive(Debug, Clone, Default)]
pub struct StudySelection {
    /// Whose.
    pub owner: String,
    /// Only of this symbol.
    pub symbol: Option<Symbol>,
    /// Only of this interval.
    pub interval: Option<Interval>,
    /// Only those older than this one.
    pub before: Option<String>,
    /// At most this many.
    pub limit: u32,
}

impl Studies {
    pub(crate) fn new(database: &Database) -> Self {
        Self { studies: database.collection(STUDIES), files: database.collection(FILES) }
    }

    /// Creates the indexes that the collections need.
    pub(crate) async fn prepare(database: &Database) -> Result<(), StoreError> {
        let by_owner = [index::of(doc! { "owner": 1, "_id": -1 })];
        index::create(database, STUDIES, by_owner, "creating the index of studies").await
    }

    /// Stores what attempt number `attempt` of a study's task found. A repetition writes the same once more. `false`: a later attempt
    /// has stored it already, and nothing is changed.
    ///
    /// # Errors
    /// When MongoDB fails; then it is not listed, unless it was before.
    pub async fn store(
        &self,
        head: &StudyHead,
        attempt: u32,
        contents: &StudyContents,
        report: &[u8],
        files: &[StudyFile],
    ) -> Result<bool, StoreError> {
        const STORING: &str = "storing a study";
        if report.len() > MAX_REPORT {
            return Err(StoreError::corrupt("a study", "its report is larger than a document may be"));
        }
        let attempt = i64::from(attempt);
        let contents = serialize_to_bson(contents).map_err(|error| StoreError::corrupt("a study", error))?;
        for some in files.chunks(BATCH) {
            let documents = some.iter().map(|file| {
                doc! { "_id": file_id(&head.id, attempt, &file.name), "bytes": binary(&file.bytes) }
            });
            duplicates(self.files.insert_many(documents).ordered(false).await, STORING)?;
        }
        let study = doc! {
            "_id": &head.id,
            "owner": &head.owner,
            "exchange": head.exchange.as_str(),
            "symbol": head.symbol.as_str(),
            "interval": head.interval.as_str(),
            "from": head.from.ms(),
            "to": head.to.ms(),
            "candles": i64::try_from(head.candles).unwrap_or(i64::MAX),
            "created_at": head.created_at.ms(),
            "studies": &head.studies,
            "stable": i64::try_from(head.stable).unwrap_or(i64::MAX),
            "attempt": attempt,
            "contents": contents,
            "report": binary(report),
        };
        let unless_later = doc! { "_id": &head.id, "attempt": { "$lte": attempt } };
        match self.studies.replace_one(unless_later, study).upsert(true).await {
            Ok(_) => {}
            Err(error) if is_duplicate(&error) => return Ok(false),
            Err(error) => return Err(StoreError::mongo(STORING)(error)),
        }
        // Of attempts that did not live to the end.
        let of_study = doc! { "_id": {
            "$gte": format!("{}:", head.id), "$lt": file_id(&head.id, attempt, ""),
        } };
        self.files.delete_many(of_study).await.map_err(StoreError::mongo(STORING))?;
        Ok(true)
    }

    /// A study of `owner` and its report.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn get(&self, owner: &str, id: &str) -> Result<Option<(StudyHead, Vec<u8>)>, StoreError> {
        let found = self.studies.find_one(doc! { "_id": id, "owner": owner }).await;
        let Some(found) = found.map_err(StoreError::mongo("reading a study"))? else { return Ok(None) };
        let report = found.get_binary_generic("report").cloned();
        let report = report.map_err(|error| StoreError::corrupt(format!("study {id}"), error))?;
        Ok(Some((head(&found)?, report)))
    }

    /// What a study of `owner` has beside its report.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn contents(&self, owner: &str, id: &str) -> Result<Option<StudyContents>, StoreError> {
        let unreadable = |error: &dyn Display| StoreError::corrupt(format!("study {id}"), error.to_string());
        let found = self.studies.find_one(doc! { "_id": id, "owner": owner }).projection(doc! { "contents": 1 }).await;
        let Some(found) = found.map_err(StoreError::mongo("reading a study"))? else { return Ok(None) };
        if let Some(contents) = found.get("contents") {
            return deserialize_from_bson(contents.clone()).map(Some).map_err(|error| unreadable(&error));
        }
        // Stored before its document said so: the report does, under the same names.
        let Some((_, report)) = self.get(owner, id).await? else { return Ok(None) };
        serde_json::from_slice(&report).map(Some).map_err(|error| unreadable(&error))
    }

    /// A file of a study of `owner`; `None`: there is none of this name, or no such study.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn file(&self, owner: &str, id: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        const READING: &str = "reading a study's file";
        let of_owner = self.studies.find_one(doc! { "_id": id, "owner": owner });
        let of_owner = of_owner.projection(doc! { "attempt": 1 }).await.map_err(StoreError::mongo(READING))?;
        let Some(attempt) = of_owner.and_then(|study| study.get_i64("attempt").ok()) else { return Ok(None) };
        let named = doc! { "_id": file_id(id, attempt, name) };
        let found = self.files.find_one(named).await.map_err(StoreError::mongo(READING))?;
        let bytes = found.map(|file| file.get_binary_generic("bytes").cloned());
        bytes.transpose().map_err(|error| StoreError::corrupt(format!("file {name} of study {id}"), error))
    }

    /// Studies, the newest first.
    ///
    /// # Errors
    /// When MongoDB fails, or what is stored cannot be read.
    pub async fn list(&self, selection: &StudySelection) -> Result<Vec<StudyHead>, StoreError> {
        const READING: &str = "reading the list of studies";
        let mut wanted = doc! { "owner": &selection.owner };
        if let Some(before) = &selection.before {
            wanted.insert("_id", doc! { "$lt": before });
        }
        if let Some(symbol) = &selection.symbol {
            wanted.insert("symbol", symbol.as_str());
        }
        if let Some(interval) = selection.interval {
            wanted.insert("interval", interval.as_str());
        }
        let found = self.studies.find(wanted).sort(doc! { "_id": -1 }).limit(i64::from(selection.limit));
        let cursor = found.projection(doc! { "report": 0, "contents": 0 }).await.map_err(StoreError::mongo(READING))?;
        let found: Vec<Document> = cursor.map_err(StoreError::mongo_in(READING)).try_collect().await?;
        found.iter().map(head).collect()
    }

    /// How many studies `owner` has, counted up to `max`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn count(&self, owner: &str, max: u32) -> Result<u64, StoreError> {
        let counted = self.studies.count_documents(doc! { "owner": owner }).limit(u64::from(max)).await;
        counted.map_err(StoreError::mongo("counting studies"))
    }

    /// Deletes a study of `owner`; whether there was one.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn delete(&self, owner: &str, id: &str) -> Result<bool, StoreError> {
        let deleted = self.studies.delete_one(doc! { "_id": id, "owner": owner }).await;
        let was = deleted.map_err(StoreError::mongo("deleting a study"))?.deleted_count > 0;
        if was {
            // No id of a task holds a `:`, which sorts before `;`.
            let files = doc! { "_id": { "$gte": format!("{id}:"), "$lt": format!("{id};") } };
            self.files.delete_many(files).await.map_err(StoreError::mongo("deleting a study's files"))?;
        }
        Ok(was)
    }
}

/// Attempts sort by their numbers.
fn file_id(study: &str, attempt: i64, name: &str) -> String {
    format!("{study}:{attempt:010}:{name}")
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

fn head(found: &Document) -> Result<StudyHead, StoreError> {
    let id = found.get_str("_id").unwrap_or_default();
    let unreadable = |member: &str| StoreError::corrupt(format!("study {id}"), format!("{member} cannot be read"));
    let text = |member: &str| found.get_str(member).map_err(|_| unreadable(member));
    let number = |member: &str| found.get_i64(member).map_err(|_| unreadable(member));
    let count = |member: &str| u64::try_from(number(member)?).map_err(|_| unreadable(member));
    let names = found.get_array("studies").map_err(|_| unreadable("studies"))?;
    Ok(StudyHead {
        id: id.to_owned(),
        owner: text("owner")?.to_owned(),
        exchange: text("exchange")?.parse().map_err(|_| unreadable("exchange"))?,
        symbol: text("symbol")?.parse().map_err(|_| unreadable("symbol"))?,
        interval: text("interval")?.parse().map_err(|_| unreadable("interval"))?,
        from: number("from")?.into(),
        to: number("to")?.into(),
        candles: count("candles")?,
        created_at: number("created_at")?.into(),
        studies: names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        stable: count("stable")?,
    })
}
