//! Identities of tasks.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use ulid::Ulid;

/// A task's identity: a ULID, so that ids sort by the time of submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(Ulid);

/// The text is no task id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task id is a ULID of 26 characters, as the call that created the task returned it")]
pub struct InvalidTaskId;

impl TaskId {
    /// A new id of the instant `now_ms`.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self(Ulid::from_parts(u64::try_from(now_ms).unwrap_or(0), Ulid::generate().random()))
    }

    /// The id of child number `index` of `parent`: children that are stored once more, after a crash, have the ids that they had.
    /// `generation` tells the children of a replay from those before it.
    #[must_use]
    pub fn of_child(parent: Self, generation: u32, index: u32) -> Self {
        Self::of_text(parent.0.timestamp_ms(), &format!("{parent}\n{generation}\n{index}"))
    }

    /// The id of the task of `fire`, a fire of a schedule that was due at `due_ms` (UTC): the same for everybody who starts it.
    #[must_use]
    pub fn of_fire(fire: &str, due_ms: i64) -> Self {
        Self::of_text(u64::try_from(due_ms).unwrap_or(0), &format!("fire\n{fire}"))
    }

    fn of_text(ms: u64, text: &str) -> Self {
        let digest = Sha256::digest(text);
        let random = digest.iter().take(10).fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
        Self(Ulid::from_parts(ms, random))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = InvalidTaskId;

    fn from_str(text: &str) -> Result<Self, InvalidTaskId> {
        let id = Ulid::from_string(text).map_err(|_| InvalidTaskId)?;
        // One id, one spelling: lower case and overflowing first characters would alias a stored id.
        if id.to_string() == text { Ok(Self(id)) } else { Err(InvalidTaskId) }
    }
}

impl TryFrom<String> for TaskId {
    type Error = InvalidTaskId;

    fn try_from(text: String) -> Result<Self, InvalidTaskId> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let id = TaskId::new(1_700_000_000_000);
        assert_eq!(id.to_string().parse::<TaskId>(), Ok(id));
        assert_eq!(id.0.timestamp_ms(), 1_700_000_000_000);
        for odd in ["", "1", "../../etc/passwd", "$ne", "ZZZZZZZZZZZZZZZZZZZZZZZZZZ", "01arz3ndektsv4rrffq69g5fav"] {
            assert_eq!(odd.parse::<TaskId>(), Err(InvalidTaskId), "{odd}");
        }
    }

    #[test]
    fn children_have_ids_of_their_own_and_the_same_each_time() {
        let parent = TaskId::new(1_700_000_000_000);
        let child = TaskId::of_child(parent, 0, 0);
        assert_eq!(child, TaskId::of_child(parent, 0, 0));
        assert_eq!(child.0.timestamp_ms(), parent.0.timestamp_ms());
        let others = [parent, TaskId::of_child(parent, 0, 1), TaskId::of_child(parent, 1, 0)];
        assert!(others.iter().all(|other| *other != child));
    }
}
