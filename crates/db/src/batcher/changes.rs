//! Guarded changes of documents, as few statements as can be.
//!
//! A server may write its journal once for each statement (`secantusd-rs` does), whatever the number of documents that the
//! statement changes. So changes under the same condition go in one statement: as they are where they say the same, as a
//! table by `_id` where they differ.

use super::workers::{Reply, in_time, refuse, without_conflicts};
use crate::error::StoreError;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc, serialize_to_vec};
use mongodb::error::{CommandError, Error, ErrorKind};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use ulid::Ulid;

/// Changes that say the same are worth a statement of their own from this number on.
const SAME: usize = 8;
/// Rows of one table: each document that it changes is looked up in it row by row.
const ROWS: usize = 64;
/// Field that tells which batch changed a document last.
const MARK: &str = "mark";
const ACTION: &str = "writing records";

/// A change of one document.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Of the document.
    pub id: String,
    /// What else must be true of it.
    pub guard: Document,
    /// Fields and their new values; names without dots.
    pub set: Document,
    /// Fields that go.
    pub unset: Vec<&'static str>,
}

/// One statement of an `update` command, and which changes it carries.
#[derive(Debug, PartialEq)]
struct Statement {
    changes: Vec<usize>,
    update: Document,
}

pub(super) async fn carry_out(database: Database, collection: &'static str, batch: Vec<(Change, Reply<bool>)>) {
    // A document is changed once by a command: its mark tells by which.
    for part in without_conflicts(batch, |(change, _)| change.id.clone()) {
        let (changes, replies): (Vec<Change>, Vec<_>) = part.into_iter().unzip();
        match in_time(write(&database, collection, &changes)).await {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    drop(reply.send(answer.map_err(StoreError::mongo(ACTION))));
                }
            }
            Err(error) => refuse(replies, &error, ACTION),
        }
    }
}

/// What a server says of an `update` command.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Updated {
    /// Documents that were changed, by all statements.
    n: i64,
    #[serde(default)]
    write_errors: Vec<Failed>,
    #[serde(default)]
    write_concern_error: Option<Failed>,
}

#[derive(Debug, Deserialize)]
struct Failed {
    #[serde(default)]
    index: usize,
    code: i32,
    #[serde(default, rename = "codeName")]
    name: String,
    #[serde(default, rename = "errmsg")]
    message: String,
}

/// Writes changes of different documents. For each: whether its document was as it should be.
async fn write(
    database: &Database,
    collection: &'static str,
    changes: &[Change],
) -> Result<Vec<Result<bool, Error>>, Error> {
    let mark = Ulid::generate().to_string();
    let statements = statements(changes, &mark)?;
    let updates: Vec<&Document> = statements.iter().map(|statement| &statement.update).collect();
    // A command that is run as such does not inherit the client's write concern.
    let command = doc! {
        "update": collection, "ordered": false, "updates": updates, "writeConcern": { "w": "majority", "j": true },
    };
    let updated: Updated = mongodb::bson::deserialize_from_document(database.run_command(command).await?)?;
    if let Some(failed) = updated.write_concern_error {
        return Err(as_error(&failed));
    }
    let mut answers: Vec<Result<bool, Error>> = changes.iter().map(|_| Ok(true)).collect();
    if usize::try_from(updated.n).is_ok_and(|changed| changed == changes.len()) {
        return Ok(answers);
    }
    let ids: Vec<&str> = changes.iter().map(|change| change.id.as_str()).collect();
    let marked = marked(database, collection, &ids, &mark).await?;
    for (answer, id) in answers.iter_mut().zip(ids) {
        *answer = Ok(marked.contains(id));
    }
    // A statement that failed may have changed some of its documents before.
    for failed in &updated.write_errors {
        for index in statements.get(failed.index).into_iter().flat_map(|statement| &statement.changes) {
            if let Some(answer @ Ok(false)) = answers.get_mut(*index) {
                *answer = Err(as_error(failed));
            }
        }
    }
    Ok(answers)
}

/// Those of `ids` that bear the mark.
async fn marked(
    database: &Database,
    collection: &'static str,
    ids: &[&str],
    mark: &str,
) -> Result<HashSet<String>, Error> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let bearing = doc! { "_id": { "$in": ids }, MARK: mark };
    let mut cursor = database.collection::<Document>(collection).find(bearing).projection(doc! { "_id": 1 }).await?;
    let mut marked = HashSet::new();
    while cursor.advance().await? {
        marked.insert(cursor.deserialize_current()?.get_str("_id").unwrap_or_default().to_owned());
    }
    Ok(marked)
}

/// The fewest statements that carry out all changes.
fn statements(changes: &[Change], mark: &str) -> Result<Vec<Statement>, Error> {
    // Under each condition, by what they set.
    let mut by_condition: BTreeMap<_, BTreeMap<Vec<u8>, Vec<usize>>> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        let condition = (serialize_to_vec(&change.guard)?, change.unset.as_slice());
        let alike = by_condition.entry(condition).or_default().entry(serialize_to_vec(&change.set)?).or_default();
        alike.push(index);
    }
    let mut statements = Vec::new();
    for alike in by_condition.into_values() {
        let (many, few): (Vec<_>, Vec<_>) = alike.into_values().partition(|members| members.len() >= SAME);
        let few: Vec<usize> = few.concat();
        for members in many.into_iter().chain(few.chunks(ROWS).map(<[usize]>::to_vec)) {
            let members_changes: Vec<&Change> = members.iter().filter_map(|index| changes.get(*index)).collect();
            if let Some(update) = statement(&members_changes, mark) {
                statements.push(Statement { changes: members, update });
            }
        }
    }
    Ok(statements)
}

/// The statement for changes under one condition.
fn statement(changes: &[&Change], mark: &str) -> Option<Document> {
    let first = changes.first()?;
    let mut ids: Vec<&str> = changes.iter().map(|change| change.id.as_str()).collect();
    ids.sort_unstable();
    let mut query = doc! { "_id": if let [id] = *ids { Bson::from(id) } else { doc! { "$in": &ids }.into() } };
    query.extend(first.guard.clone());
    let literal = |change: &Change| doc! { "$literal": &change.set };
    let row = |change: &&Change| doc! { "case": { "$eq": ["$_id", &change.id] }, "then": literal(change) };
    let set = if changes.iter().all(|change| change.set == first.set) {
        literal(first)
    } else {
        doc! { "$switch": { "branches": changes.iter().map(row).collect::<Vec<_>>() } }
    };
    // Not `$set`, for which `secantusd-rs` works out what each field adds to its journal anew for every other one.
    let mut update = vec![doc! { "$replaceWith": { "$mergeObjects": ["$$ROOT", set, { MARK: mark }] } }];
    if !first.unset.is_empty() {
        update.push(doc! { "$unset": first.unset.clone() });
    }
    Some(doc! { "q": query, "u": update, "multi": ids.len() > 1 })
}

/// One statement's error in the form of a command's.
fn as_error(failed: &Failed) -> Error {
    let told = doc! { "code": failed.code, "codeName": &failed.name, "errmsg": &failed.message };
    match mongodb::bson::deserialize_from_document::<CommandError>(told) {
        Ok(error) => ErrorKind::Command(error).into(),
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: usize, attempt: i32, result: i32) -> Change {
        Change {
            id: format!("t{id}"),
            guard: doc! { "attempt": attempt },
            set: doc! { "result": result },
            unset: vec!["active"],
        }
    }

    fn check(changes: &[Change], expected: &[&[usize]]) {
        let planned = statements(changes, "m").unwrap();
        let carried: Vec<&[usize]> = planned.iter().map(|statement| statement.changes.as_slice()).collect();
        assert_eq!(carried, expected);
    }

    #[test]
    fn changes_that_say_the_same_share_a_statement() {
        let alike: Vec<Change> = (0..20).map(|id| change(id, 1, 7)).collect();
        let all: Vec<usize> = (0..20).collect();
        check(&alike, &[&all]);
        let planned = statements(&alike, "m").unwrap();
        let update = planned[0].update.get_array("u").unwrap();
        let merged = doc! { "$mergeObjects": ["$$ROOT", { "$literal": { "result": 7 } }, { "mark": "m" }] };
        assert_eq!(update, &vec![doc! { "$replaceWith": merged }.into(), doc! { "$unset": ["active"] }.into()]);
        assert!(planned[0].update.get_bool("multi").unwrap());
    }

    #[test]
    fn changes_that_differ_stand_in_one_table() {
        check(&[change(0, 1, 1), change(1, 1, 2), change(2, 1, 3)], &[&[0, 1, 2]]);
        let many: Vec<Change> = (0..100).map(|id| change(id, 1, i32::try_from(id).unwrap())).collect();
        assert_eq!(statements(&many, "m").unwrap().len(), 2, "a table has at most {ROWS} rows");
    }

    #[test]
    fn conditions_are_never_mixed() {
        check(&[change(0, 1, 1), change(1, 2, 1), change(2, 1, 1)], &[&[0, 2], &[1]]);
        let mut other = change(1, 1, 1);
        other.unset.clear();
        check(&[change(0, 1, 1), other], &[&[1], &[0]]);
    }

    #[test]
    fn one_change_is_a_plain_statement() {
        let planned = statements(&[change(0, 1, 1)], "m").unwrap();
        assert_eq!(planned[0].update.get_document("q").unwrap(), &doc! { "_id": "t0", "attempt": 1 });
        assert!(!planned[0].update.get_bool("multi").unwrap());
    }
}
