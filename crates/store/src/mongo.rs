//! The MongoDB connection, its write concern, and the indexes.

use crate::config::StoreConfig;
use crate::error::StoreError;
use crate::keys::collections;
use crate::{tasks, tidy};
use candlemill_shared::Clock;
use mongodb::bson::{Document, doc};
use mongodb::options::{Acknowledgment, ClientOptions, IndexOptions, WriteConcern};
use mongodb::{Client, Database, IndexModel};
use std::time::Duration;

/// Connects lazily; every write waits for a majority and the journal.
pub(crate) async fn connect(config: &StoreConfig) -> Result<Database, StoreError> {
    let mut options =
        ClientOptions::parse(&config.mongodb_uri).await.map_err(StoreError::mongo("reading MONGODB_URI"))?;
    options.app_name.get_or_insert_with(|| "candlemill".to_owned());
    options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
    options.server_selection_timeout = Some(config.patience);
    options.connect_timeout.get_or_insert(Duration::from_secs(3));
    options.max_pool_size.get_or_insert(32);
    // A replica set of one that is addressed by its host needs no discovery of its members.
    let client = Client::with_options(options).map_err(StoreError::mongo("reading MONGODB_URI"))?;
    Ok(client.database(&config.mongodb_database))
}

/// Names of indexes of earlier versions: of when documents vanish, with an entry for each that does not; of each owner's
/// tasks; of each owner's dead letters; of tasks in flight.
const SUPERSEDED: [&str; 4] = ["expires_at_1", "owner_1__id_-1", "owner_1_state_1__id_-1", "state_1_updated_at_1"];

fn index(keys: Document, options: IndexOptions) -> IndexModel {
    IndexModel::builder().keys(keys).options(options).build()
}

/// Of the documents that have the field. It is one field, and its being there the condition, because `secantusd-rs` finds
/// nothing by an index whose condition is a value.
fn index_of_some(field: &str) -> IndexModel {
    let has_it = doc! { field: { "$exists": true } };
    index(doc! { field: 1 }, IndexOptions::builder().partial_filter_expression(has_it).build())
}

/// Documents vanish at the time in their field `expires_at`. Those without it have no entry.
fn expiry() -> IndexModel {
    let options = IndexOptions::builder()
        .name("expires_at_set".to_owned())
        .expire_after(Duration::ZERO)
        .partial_filter_expression(doc! { "expires_at": { "$exists": true } })
        .build();
    index(doc! { "expires_at": 1 }, options)
}

/// Creates the indexes that do not exist yet.
pub(crate) async fn ensure_indexes(database: &Database, clock: &dyn Clock) -> Result<(), StoreError> {
    database
        .collection::<Document>(collections::TASKS)
        .create_indexes([
            // Owner and id in one text: lists of one owner's tasks.
            index(doc! { "listed": 1 }, IndexOptions::default()),
            // Some of them, by which those lists are passed through.
            index_of_some("milestone"),
            // Those that are dead letters.
            index_of_some(tasks::BURIED),
            // What the sweeper looks through: those that wait, and those that began.
            index(doc! { tasks::QUEUED_AT: 1 }, IndexOptions::builder().sparse(true).build()),
            index_of_some(tasks::BEGUN_AT),
            // Messages about ended tasks that are to be delivered.
            index_of_some("webhook.next_at"),
            expiry(),
        ])
        .await
        .map_err(StoreError::mongo("creating the indexes of tasks"))?;
    tidy::note_start(database, clock.now_ms()).await?;
    database
        .collection::<Document>(collections::COVERAGE_CHUNKS)
        .create_indexes([
            // Absences that are to be asked for again.
            index_of_some("recheck_at"),
            index(doc! { "audited_at": 1 }, IndexOptions::default()),
        ])
        .await
        .map_err(StoreError::mongo("creating the indexes of the coverage ledger"))?;
    for collection in [collections::TASK_KEYS, collections::VERDICTS] {
        database
            .collection::<Document>(collection)
            .create_index(expiry())
            .await
            .map_err(StoreError::mongo("creating the index by which old keys and verdicts vanish"))?;
    }
    for collection in [collections::TASKS, collections::TASK_KEYS] {
        drop_superseded(database, collection)
            .await
            .map_err(StoreError::mongo("dropping an index of earlier versions"))?;
    }
    Ok(())
}

/// Each of them costs new documents an entry, and most the ends of tasks another one. Programs of an earlier version that run
/// beside this one read more without them; one that starts creates them again, which is harmless.
async fn drop_superseded(database: &Database, collection: &str) -> Result<(), mongodb::error::Error> {
    let collection = database.collection::<Document>(collection);
    for name in collection.list_index_names().await?.iter().filter(|name| SUPERSEDED.contains(&name.as_str())) {
        // Several processes may start at once: that it is gone already is as good.
        if let Err(error) = collection.drop_index(name).await {
            tracing::debug!(%error, "the index was dropped by another process, or stays");
        }
    }
    Ok(())
}
