//! What lists of one owner's tasks find records by.

use candlemill_shared::task::TaskId;
use mongodb::bson::{Document, doc};

/// Levels of milestones, the highest first, and of how many tasks one is on each: the alphabet of ids has 32 digits.
pub(super) const LEVELS: [(usize, usize); 3] = [(3, 32_768), (2, 1_024), (1, 32)];
/// After every text that a ULID may be.
pub(super) const AFTER_ALL: &str = "~";

/// Field of a dead letter: what it is listed under, once more. An index has entries for these alone.
pub(crate) const BURIED: &str = "buried";

/// What children have in place of what others are listed under, and are milestones as: it lies outside of every owner's list. They
/// are found by their parent's plan.
pub(crate) const UNLISTED: &str = "";

/// What a record is listed under.
pub(crate) fn listed(owner: &str, id: &str) -> String {
    format!("{owner}|{id}")
}

/// The same, worked out by the server.
pub(crate) fn listed_expression() -> Document {
    doc! { "$concat": ["$owner", "|", "$_id"] }
}

/// What a record is found under as a milestone, if it is one. Its level follows from the last digits of its id, which are
/// random.
pub(crate) fn milestone(owner: &str, id: &str) -> Option<String> {
    let level = id.bytes().rev().take(LEVELS.len()).take_while(|digit| *digit == b'0').count();
    (level > 0).then(|| of_level(level, &listed(owner, id)))
}

/// What the tasks of `owner` older than `before` are listed under; some of another one whose name begins alike may be too.
pub(crate) fn listed_between(owner: &str, before: Option<TaskId>) -> (String, String) {
    let end = before.map_or_else(|| AFTER_ALL.to_owned(), |before| before.to_string());
    (listed(owner, ""), listed(owner, &end))
}

pub(super) fn of_level(level: usize, listed: &str) -> String {
    format!("{level}|{listed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digits_of_an_id_tell_whether_it_is_a_milestone() {
        for (id, expected) in [
            ("01J0000000000000000000000Z", None),
            ("01J000000000000000000000Z0", Some("1|u|01J000000000000000000000Z0")),
            ("01J00000000000000000000Z00", Some("2|u|01J00000000000000000000Z00")),
            ("01J00000000000000000000000", Some("3|u|01J00000000000000000000000")),
        ] {
            assert_eq!(milestone("u", id).as_deref(), expected);
        }
    }
}
