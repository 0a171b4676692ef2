//! The MongoDB connection, its write concern, and the indexes.

use crate::config::StoreConfig;
use crate::error::StoreError;
use crate::keys::collections;
use crate::tasks;
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

/// Name of the index by which documents vanish in earlier versions: it had an entry for each that does not.
const EXPIRY_OF_ALL: &str = "expires_at_1";

/// Documents vanish at the time in their field `expires_at`. Those without it have no entry.
fn expiry() -> IndexModel {
    let options = IndexOptions::builder()
        .name("expires_at_set".to_owned())
        .expire_after(Duration::ZERO)
        .partial_filter_expression(doc! { "expires_at": { "$exists": true } })
        .build();
    IndexModel::builder().keys(doc! { "expires_at": 1 }).options(options).build()
}

/// Creates the indexes that do not exist yet.
pub(crate) async fn ensure_indexes(database: &Database) -> Result<(), StoreError> {
    let index = |keys: Document, options: IndexOptions| IndexModel::builder().keys(keys).options(options).build();
    database
        .collection::<Document>(collections::TASKS)
        .create_indexes([
            // Dead letters of an owner are found by this one: `secantusd-rs` finds none of them by the partial index below.
            index(doc! { "owner": 1, "_id": -1 }, IndexOptions::default()),
            // Owner and id in one text: lists of one owner's tasks.
            index(doc! { "listed": 1 }, IndexOptions::default()),
            // Some of them, by which those lists are passed through.
            index(
                doc! { "milestone": 1 },
                IndexOptions::builder().partial_filter_expression(doc! { "milestone": { "$exists": true } }).build(),
            ),
            // All tasks in flight, by state.
            index(
                doc! { "state": 1, "updated_at": 1 },
                IndexOptions::builder().partial_filter_expression(doc! { "active": { "$exists": true } }).build(),
            ),
            // What the sweeper looks through: those that came into the queue of late, and those that began, longest silent first.
            index(doc! { tasks::QUEUED_AT: 1 }, IndexOptions::builder().sparse(true).build()),
            index(
                doc! { tasks::BEGUN_AT: 1 },
                IndexOptions::builder()
                    .partial_filter_expression(doc! { tasks::BEGUN_AT: { "$exists": true } })
                    .build(),
            ),
            // Dead letters: few among many tasks.
            index(
                doc! { "owner": 1, "state": 1, "_id": -1 },
                IndexOptions::builder().partial_filter_expression(doc! { "state": "dead" }).build(),
            ),
            // Messages about ended tasks that are to be delivered: only these have the field.
            index(
                doc! { "webhook.next_at": 1 },
                IndexOptions::builder()
                    .partial_filter_expression(doc! { "webhook.next_at": { "$exists": true } })
                    .build(),
            ),
            expiry(),
        ])
        .await
        .map_err(StoreError::mongo("creating the indexes of tasks"))?;
    list_older_records(database).await.map_err(StoreError::mongo("listing tasks of earlier versions"))?;
    database
        .collection::<Document>(collections::TASK_KEYS)
        .create_index(expiry())
        .await
        .map_err(StoreError::mongo("creating the index of task keys"))?;
    for collection in [collections::TASKS, collections::TASK_KEYS] {
        drop_superseded(database, collection)
            .await
            .map_err(StoreError::mongo("dropping an index of earlier versions"))?;
    }
    Ok(())
}

/// Without it every new document costs an entry, and every end of a task a second one. A program of an earlier version that
/// starts beside this one creates it again, which is harmless.
async fn drop_superseded(database: &Database, collection: &str) -> Result<(), mongodb::error::Error> {
    let collection = database.collection::<Document>(collection);
    if collection.list_index_names().await?.iter().any(|name| name == EXPIRY_OF_ALL) {
        // Several processes may start at once: that it is gone already is as good.
        if let Err(error) = collection.drop_index(EXPIRY_OF_ALL).await {
            tracing::debug!(%error, "the index was dropped by another process, or stays");
        }
    }
    Ok(())
}

/// Gives records of versions that had no lists theirs, once.
async fn list_older_records(database: &Database) -> Result<(), mongodb::error::Error> {
    let (steps, step) = (database.collection::<Document>(collections::STEPS), doc! { "_id": "tasks.lists" });
    if steps.find_one(step.clone()).await?.is_some() {
        return Ok(());
    }
    let records = database.collection::<Document>(collections::TASKS);
    let older = [
        doc! { "listed": { "$exists": false } },
        doc! { "_id": { "$regex": "0$" }, "milestone": { "$exists": false } },
        doc! {
            "active": { "$exists": true },
            tasks::QUEUED_AT: { "$exists": false }, tasks::BEGUN_AT: { "$exists": false },
        },
    ];
    let fields = doc! { "owner": 1, "state": 1, "updated_at": 1, tasks::QUEUED_AT: 1, tasks::BEGUN_AT: 1 };
    // In small batches: the server gives up a cursor that nobody has asked for minutes.
    let mut cursor = records.find(doc! { "$or": older.to_vec() }).projection(fields).batch_size(500).await?;
    while cursor.advance().await? {
        let record = cursor.deserialize_current()?;
        let (id, owner) = (record.get_str("_id").unwrap_or_default(), record.get_str("owner").unwrap_or_default());
        let mut lists = doc! { "listed": tasks::listed(owner, id) };
        if let Some(milestone) = tasks::milestone(owner, id) {
            lists.insert("milestone", milestone);
        }
        records.update_one(doc! { "_id": id }, doc! { "$set": lists }).await?;
        tasks::adopt(&records, &record).await?;
    }
    steps.update_one(step, doc! { "$set": { "done": true } }).upsert(true).await?;
    Ok(())
}
