//! A task record as a MongoDB document.

use super::list_keys;
use candlemill_db::StoreError;
use candlemill_shared::task::{TaskRecord, TaskState};
use mongodb::bson::{self, Bson, DateTime, Document, RawDocument, RawDocumentBuf, doc};
use serde::Serialize;

/// The document: the record's own fields, its id as `_id`, what it is `listed` under unless it is a child, whether it is a
/// `milestone` of that list or [`list_keys::BURIED`], [`QUEUED_AT`], [`BEGUN_AT`], and `active` while it is in flight.
pub(crate) fn to_document(record: &TaskRecord) -> Result<RawDocumentBuf, StoreError> {
    let id = record.id.to_string();
    let when = |stands: bool| stands.then_some(record.updated_at);
    let milestone = list_keys::milestone(&record.owner, &id);
    let is_child = record.parent.is_some();
    let unlisted = || list_keys::UNLISTED.to_owned();
    let stored = Stored {
        record,
        listed: if is_child { unlisted() } else { list_keys::listed(&record.owner, &id) },
        // Of children as if it were there: otherwise they would be taken for those of an earlier version, which had none.
        milestone: if is_child { milestone.map(|_| unlisted()) } else { milestone },
        buried: (record.state == TaskState::Dead).then(|| list_keys::listed(&record.owner, &id)),
        active: (!record.state.is_end()).then_some(true),
        queued_at: when(record.state == TaskState::Queued),
        begun_at: when(matches!(record.state, TaskState::Running | TaskState::Retrying)),
    };
    // Encoded at once: a tree of values in between costs more than all the rest.
    let encoded = bson::serialize_to_vec(&stored).and_then(RawDocumentBuf::from_bytes);
    encoded.map_err(|error| StoreError::corrupt(format!("task {id}"), error))
}

#[derive(Serialize)]
struct Stored<'a> {
    #[serde(flatten)]
    record: &'a TaskRecord,
    listed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    milestone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buried: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    begun_at: Option<i64>,
}

/// Field of a task that waits for its first attempt, or for that after a replay: since when; UTC ms.
pub(crate) const QUEUED_AT: &str = "queued_at";
/// Field of a task that runs or waits for another attempt: when it was last written about; UTC ms.
///
/// Both have indexes of one field, because a server may use but one field of an index for a range.
pub(crate) const BEGUN_AT: &str = "begun_at";

/// Field of a document that stands where a record was on its way when its keys went to another request: that one is never stored.
const FENCE: &str = "fenced_at";

/// Such a document; it vanishes at `expires_at`. Its other fields keep it out of all lists, and out of what lacks something.
pub(super) fn fence_of(id: &str, now_ms: i64, expires_at: DateTime) -> Document {
    doc! { "_id": id, FENCE: now_ms, "listed": list_keys::UNLISTED, "milestone": list_keys::UNLISTED, "expires_at": expires_at }
}

/// Whether the document is no record.
pub(super) fn is_fence(document: &RawDocument) -> bool {
    matches!(document.get(FENCE), Ok(Some(_)))
}

/// The record of a document. Fields that this version does not know are passed over.
pub(crate) fn from_document(document: Document) -> Result<TaskRecord, StoreError> {
    let name = document.get_str("_id").unwrap_or("without an id").to_owned();
    bson::deserialize_from_document(document).map_err(|error| StoreError::corrupt(format!("task {name}"), error))
}

/// The same of a document as it came over the wire.
pub(crate) fn from_raw(document: &RawDocument) -> Result<TaskRecord, StoreError> {
    bson::deserialize_from_slice(document.as_bytes()).map_err(|error| {
        StoreError::corrupt(format!("task {}", document.get_str("_id").unwrap_or("without an id")), error)
    })
}

/// A part of a record as a value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bson, StoreError> {
    mongodb::bson::serialize_to_bson(value).map_err(|error| StoreError::corrupt("a part of a task", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::job::{Envelope, Pool};
    use candlemill_shared::task::{DeadLetter, TaskId};
    use candlemill_shared::tier::Tier;

    fn record() -> TaskRecord {
        TaskRecord {
            id: TaskId::new(1_700_000_000_000),
            owner: "u".into(),
            tier: Tier::Pro,
            pool: Pool::Backfill,
            priority: 5,
            running_at_once: 4,
            job: Envelope {
                kind: "fetch_history".into(),
                version: 1,
                payload: serde_json::json!({"symbol": "BTCUSDT"}),
            },
            request: None,
            fingerprint: "f".into(),
            idempotency: None,
            state: TaskState::Queued,
            attempt: 0,
            attempts: Vec::new(),
            cancel_requested: false,
            created_at: 1,
            updated_at: 1,
            started_at: None,
            ended_at: None,
            run_at: None,
            result: None,
            error: None,
            dead_letter: DeadLetter::default(),
            parent: None,
            share: None,
            schedule: None,
            children: None,
            webhook: None,
            trace_id: "0".repeat(32),
        }
    }

    fn document(record: &TaskRecord) -> Document {
        to_document(record).unwrap().try_into().unwrap()
    }

    #[test]
    fn records_come_back_and_unknown_fields_are_passed_over() {
        let given = record();
        let mut document = document(&given);
        assert!(document.get_bool("active").unwrap());
        assert_eq!(document.keys().next().map(String::as_str), Some("_id"), "servers take it as it is");
        document.insert("of_a_later_version", doc! { "x": 1 });
        let raw = RawDocumentBuf::try_from(document.clone()).unwrap();
        assert_eq!(from_raw(&raw).unwrap(), given);
        assert_eq!(from_document(document).unwrap(), given);
    }

    #[test]
    fn records_of_the_first_version_stay_readable() {
        let given = record();
        let mut document = document(&given);
        for later in ["dead_letter", "running_at_once", "run_at", "idempotency", "attempts", "cancel_requested"] {
            document.remove(later);
        }
        assert_eq!(from_document(document).unwrap(), given);
    }

    #[test]
    fn children_are_in_no_list_of_their_owner() {
        let text = |document: &Document, field: &str| document.get_str(field).ok().map(str::to_owned);
        for (id, is_milestone) in [("01J00000000000000000000Z00", true), ("01J0000000000000000000000Z", false)] {
            let own = TaskRecord { id: id.parse().unwrap(), ..record() };
            let child = TaskRecord { parent: Some(TaskId::new(1)), ..own.clone() };
            let (own, child) = (document(&own), document(&child));
            assert_eq!(text(&own, "listed"), Some(format!("u|{id}")));
            assert_eq!(text(&own, "milestone"), is_milestone.then(|| format!("2|u|{id}")));
            assert_eq!(text(&child, "listed").as_deref(), Some(""));
            assert_eq!(text(&child, "milestone").as_deref(), is_milestone.then_some(""));
        }
    }

    #[test]
    fn ended_records_are_not_active() {
        let ended = TaskRecord { state: TaskState::Succeeded, ..record() };
        assert!(!document(&ended).contains_key("active"));
    }
}
