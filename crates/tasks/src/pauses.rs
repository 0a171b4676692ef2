//! Pauses of queues: what operators said, in MongoDB, and the mark in Redis that every claim looks at.
//!
//! 1. MongoDB is the truth. It is written first, so a Redis that restarts, forgets, or is away at that moment changes
//!    nothing: workers compare the two every second and put the mark right ([`Pauses::restore`]).
//! 2. Every word has the time at which it was given, which only rises. A mark never gives way to an older word, so whichever process
//!    read the truth a moment ago cannot undo what was said since.

use crate::queue::Queue;
use crate::workers::control_channel;
use candlemill_db::{StoreError, is_duplicate};
use candlemill_shared::job::Pool;
use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Error;
use mongodb::{Collection, Database};
use redis::aio::ConnectionManager;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What operators said about pools.
const POOLS: &str = "pools";

/// Since when, by whom and why workers are kept from claiming a pool's tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// UTC ms.
    pub since: i64,
    /// Who did it, in the operator's own words.
    pub by: String,
    /// Why, in the operator's own words.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The operators' last word about a pool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Word {
    /// UTC ms; rises with every change.
    changed_at: i64,
    #[serde(default)]
    paused: Option<Paused>,
}

/// The pauses of all pools.
#[derive(Clone)]
pub struct Pauses {
    pools: Collection<Document>,
    queues: HashMap<Pool, Queue>,
    connection: ConnectionManager,
}

impl std::fmt::Debug for Pauses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pauses")
    }
}

impl Pauses {
    pub(crate) fn new(database: &Database, queues: HashMap<Pool, Queue>, connection: ConnectionManager) -> Self {
        Self { pools: database.collection(POOLS), queues, connection }
    }

    /// Keeps workers from claiming tasks of `pool`; what runs goes on. A pool that is paused already stays as it is.
    /// Returns the pause that holds.
    ///
    /// # Errors
    /// When MongoDB fails: nothing was changed. When Redis fails: the pause is kept and takes effect within a second of
    /// Redis's return. A repetition is harmless.
    pub async fn pause(&self, pool: Pool, by: &str, reason: Option<&str>, now_ms: i64) -> Result<Paused, StoreError> {
        let wanted = Paused { since: now_ms, by: by.to_owned(), reason: reason.map(str::to_owned) };
        Ok(self.say(pool, Some(wanted.clone()), now_ms).await?.unwrap_or(wanted))
    }

    /// Lets workers claim tasks of `pool` again. Harmless when they may.
    ///
    /// # Errors
    /// As [`Self::pause`].
    pub async fn resume(&self, pool: Pool, now_ms: i64) -> Result<(), StoreError> {
        self.say(pool, None, now_ms).await.map(drop)
    }

    /// The pools that are paused.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn all(&self) -> Result<HashMap<Pool, Paused>, StoreError> {
        let words = self.words().await?;
        Ok(words.into_iter().filter_map(|(pool, word)| Some((pool, word.paused?))).collect())
    }

    /// Puts right what Redis has forgotten or never heard, and tells which pools are paused.
    ///
    /// # Errors
    /// When MongoDB fails. A Redis that fails is put right by the next call.
    pub async fn restore(&self) -> Result<HashMap<Pool, Paused>, StoreError> {
        let words = self.words().await?;
        for (pool, word) in &words {
            if let Err(error) = self.mark(*pool, word).await {
                tracing::debug!(%error, "the mark of a pause is not compared at the moment");
            }
        }
        Ok(words.into_iter().filter_map(|(pool, word)| Some((pool, word.paused?))).collect())
    }

    async fn say(&self, pool: Pool, wanted: Option<Paused>, now_ms: i64) -> Result<Option<Paused>, StoreError> {
        const ACTION: &str = "keeping a pause";
        let id = pool.as_str();
        loop {
            let found = self.pools.find_one(doc! { "_id": id }).await.map_err(StoreError::mongo(ACTION))?;
            let before = found.map(read).transpose()?;
            let word = match &before {
                Some(word) if word.paused.is_some() == wanted.is_some() => word.clone(),
                before => {
                    let earlier = before.as_ref().map_or(0, |word| word.changed_at);
                    let word = Word { changed_at: now_ms.max(earlier + 1), paused: wanted.clone() };
                    if !self.keep(id, before.as_ref(), &word).await.map_err(StoreError::mongo(ACTION))? {
                        // Somebody else spoke at the same moment.
                        continue;
                    }
                    word
                }
            };
            self.mark(pool, &word).await?;
            let mut connection = self.connection.clone();
            let told = redis::cmd("PUBLISH").arg(control_channel()).arg(id).query_async::<()>(&mut connection).await;
            told.map_err(StoreError::redis("telling workers of a pause"))?;
            return Ok(word.paused);
        }
    }

    /// Writes the word where `before` is still the last one.
    async fn keep(&self, id: &str, before: Option<&Word>, word: &Word) -> Result<bool, Error> {
        let paused = match &word.paused {
            Some(paused) => Bson::from(doc! { "since": paused.since, "by": &paused.by, "reason": &paused.reason }),
            None => Bson::Null,
        };
        let set = doc! { "changed_at": word.changed_at, "paused": paused };
        let Some(before) = before else {
            let mut document = doc! { "_id": id };
            document.extend(set);
            return match self.pools.insert_one(document).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            };
        };
        let unchanged = doc! { "_id": id, "changed_at": before.changed_at };
        Ok(self.pools.update_one(unchanged, doc! { "$set": set }).await?.matched_count == 1)
    }

    async fn mark(&self, pool: Pool, word: &Word) -> Result<(), StoreError> {
        self.queues[&pool].mark_paused(word.paused.is_some(), word.changed_at).await
    }

    async fn words(&self) -> Result<Vec<(Pool, Word)>, StoreError> {
        let reading = StoreError::mongo_in("reading pauses");
        let cursor = self.pools.find(doc! {}).await.map_err(reading.clone())?;
        let found: Vec<Document> = cursor.try_collect().await.map_err(reading)?;
        let mut words = Vec::new();
        for document in found {
            // A pool of another version is not ours to judge.
            if let Some(pool) = document.get_str("_id").ok().and_then(Pool::named) {
                words.push((pool, read(document)?));
            }
        }
        Ok(words)
    }
}

fn read(document: Document) -> Result<Word, StoreError> {
    mongodb::bson::deserialize_from_document(document).map_err(|error| StoreError::corrupt("a pause", error))
}
