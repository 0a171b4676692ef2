//! Forms of MongoDB indexes that several collections have, and their creation.

use crate::error::StoreError;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};
use std::time::Duration;

/// An index of these keys.
#[must_use]
pub fn of(keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).build()
}

/// An index of the documents that have `field`, as servers of every version know it.
#[must_use]
pub fn sparse(field: &str) -> IndexModel {
    IndexModel::builder().keys(doc! { field: 1 }).options(IndexOptions::builder().sparse(true).build()).build()
}

/// An index of the documents that have `field`. It is one field, and its being there the condition, because `secantusd-rs` finds
/// nothing by an index whose condition is a value.
#[must_use]
pub fn of_some(field: &str) -> IndexModel {
    let has_it = doc! { field: { "$exists": true } };
    let options = IndexOptions::builder().partial_filter_expression(has_it).build();
    IndexModel::builder().keys(doc! { field: 1 }).options(options).build()
}

/// Documents vanish at the time in their field `expires_at`. Those without it have no entry.
#[must_use]
pub fn expiry() -> IndexModel {
    let options = IndexOptions::builder()
        .name("expires_at_set".to_owned())
        .expire_after(Duration::ZERO)
        .partial_filter_expression(doc! { "expires_at": { "$exists": true } })
        .build();
    IndexModel::builder().keys(doc! { "expires_at": 1 }).options(options).build()
}

/// Creates those indexes of `collection` that do not exist yet.
///
/// # Errors
/// When MongoDB fails; `action` says what was being done.
pub async fn create(
    database: &Database,
    collection: &str,
    indexes: impl IntoIterator<Item = IndexModel>,
    action: &'static str,
) -> Result<(), StoreError> {
    let created = database.collection::<Document>(collection).create_indexes(indexes).await;
    created.map(drop).map_err(StoreError::mongo(action))
}

/// Drops the indexes of these names. Each of them costs new documents an entry; an earlier version that starts once more creates
/// them again, which is harmless.
///
/// # Errors
/// When MongoDB fails.
pub async fn drop_superseded(database: &Database, collection: &str, names: &[&str]) -> Result<(), StoreError> {
    let collection = database.collection::<Document>(collection);
    let found = collection.list_index_names().await.map_err(StoreError::mongo("listing the indexes"))?;
    for name in found.iter().filter(|name| names.contains(&name.as_str())) {
        // Several processes may start at once: that it is gone already is as good.
        if let Err(error) = collection.drop_index(name).await {
            tracing::debug!(%error, "the index was dropped by another process, or stays");
        }
    }
    Ok(())
}
