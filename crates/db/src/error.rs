//! What can go wrong in a store, and what it means for the caller.

use mongodb::error::WriteFailure;
use mongodb::results::InsertManyResult;
use redis::RedisError;

/// A failed call to MongoDB or Redis.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Redis did not answer, or answered an error.
    #[error("Redis failed while {action}")]
    Redis {
        /// What was being done.
        action: &'static str,
        /// The client's error.
        #[source]
        source: RedisError,
    },
    /// MongoDB did not answer, or answered an error.
    #[error("MongoDB failed while {action}: {}", cause.kind)]
    Mongo {
        /// What was being done.
        action: &'static str,
        /// The driver's error. Not a source: its own text holds the server's whole answer in hexadecimal.
        cause: Box<mongodb::error::Error>,
    },
    /// Something stored does not have the form it was stored in.
    #[error("{what} in the store cannot be read: {why}")]
    Corrupt {
        /// Which thing.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// More is waiting to be written than the process may hold.
    #[error("too much is waiting to be written; try again in a moment")]
    Overloaded,
}

impl StoreError {
    /// A failed call to Redis, made while `action`.
    pub fn redis(action: &'static str) -> impl FnOnce(RedisError) -> Self {
        move |source| Self::Redis { action, source }
    }

    /// A failed call to MongoDB, made while `action`.
    pub fn mongo(action: &'static str) -> impl FnOnce(mongodb::error::Error) -> Self {
        move |cause| Self::Mongo { action, cause: Box::new(cause) }
    }

    /// As [`Self::mongo`], for streams that may fail more than once.
    pub fn mongo_in(action: &'static str) -> impl Fn(mongodb::error::Error) -> Self + Clone {
        move |cause| Self::Mongo { action, cause: Box::new(cause) }
    }

    /// `what` was stored in a form that cannot be read, because of `why`.
    pub fn corrupt(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { what: what.into(), why: why.to_string() }
    }

    /// Whether the same call may succeed later without anybody's doing: a server is away, starting, or overloaded.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        use mongodb::error::ErrorKind as Mongo;
        match self {
            Self::Redis { source, .. } => is_passing(source),
            Self::Mongo { cause, .. } => match cause.kind.as_ref() {
                Mongo::Io(_) | Mongo::ConnectionPoolCleared { .. } | Mongo::ServerSelection { .. } => true,
                Mongo::Write(WriteFailure::WriteError(error)) => is_not_now(error.code),
                Mongo::Write(WriteFailure::WriteConcernError(error)) => is_not_now(error.code),
                Mongo::Command(error) => is_not_now(error.code),
                Mongo::InsertMany(error) => {
                    let failed = error.write_errors.as_deref().unwrap_or_default();
                    // Documents that were there already say nothing about why the others are not safe.
                    let mut others = failed.iter().filter(|one| one.code != DUPLICATE_KEY).peekable();
                    let unsafe_yet =
                        others.peek().is_some() || failed.is_empty() || error.write_concern_error.is_some();
                    unsafe_yet && others.all(|one| is_not_now(one.code))
                }
                _ => false,
            },
            Self::Overloaded => true,
            Self::Corrupt { .. } => false,
        }
    }

    /// Name of the server that failed.
    #[must_use]
    pub const fn store(&self) -> &'static str {
        match self {
            Self::Redis { .. } => "redis",
            Self::Mongo { .. } | Self::Corrupt { .. } | Self::Overloaded => "mongodb",
        }
    }
}

/// Code of MongoDB's answer to a document whose key exists.
pub const DUPLICATE_KEY: i32 = 11_000;

/// Not primary, shutting down, interrupted, in conflict, exceeded its time: the server says "not now". Also when it failed
/// within itself (1, 8): that lies in its state, as just after a restart, and not in what it was asked.
const fn is_not_now(code: i32) -> bool {
    matches!(code, 1 | 6 | 7 | 8 | 50 | 89 | 91 | 112 | 189 | 262 | 9001 | 10_107 | 11_600 | 11_602 | 13_435 | 13_436)
}

/// The positions of documents that an unordered insertion found there already.
///
/// # Errors
/// When anything else was wrong with the insertion.
pub fn duplicates(
    outcome: Result<InsertManyResult, mongodb::error::Error>,
    action: &'static str,
) -> Result<Vec<usize>, StoreError> {
    let Err(error) = outcome else { return Ok(Vec::new()) };
    let found = match error.kind.as_ref() {
        mongodb::error::ErrorKind::InsertMany(failure) if failure.write_concern_error.is_none() => {
            failure.write_errors.as_deref().filter(|failed| failed.iter().all(|e| e.code == DUPLICATE_KEY))
        }
        _ => None,
    };
    match found {
        Some(failed) => Ok(failed.iter().map(|e| e.index).collect()),
        None => Err(StoreError::mongo(action)(error)),
    }
}

/// Whether a single insertion met a document of its key.
#[must_use]
pub fn is_duplicate(error: &mongodb::error::Error) -> bool {
    use mongodb::error::ErrorKind;
    matches!(error.kind.as_ref(), ErrorKind::Write(WriteFailure::WriteError(failed)) if failed.code == DUPLICATE_KEY)
}

/// Whether Redis may answer the same command later: the connection is gone, or the server loads, fails over, is full.
fn is_passing(error: &RedisError) -> bool {
    use redis::{ErrorKind, ServerErrorKind};
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || has_no_room(error)
        || matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                    | ServerErrorKind::TryAgain
                    | ServerErrorKind::ReadOnly
                    | ServerErrorKind::MasterDown
            )
        )
}

/// Whether Redis takes no writes at the moment, for want of memory or because it cannot save. In a pipeline the code stands with
/// the command that was refused.
fn has_no_room(error: &RedisError) -> bool {
    let refused = error.clone().into_server_errors();
    refused.is_some_and(|all| all.iter().any(|(_, one)| matches!(one.code(), "OOM" | "MISCONF")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{deserialize_from_document, doc};
    use mongodb::error::{CommandError, ErrorKind, InsertManyError};

    fn check(code: i32, name: &str, passes: bool) {
        let told = doc! { "code": code, "codeName": name, "errmsg": "why" };
        let command: CommandError = deserialize_from_document(told).unwrap();
        let error = StoreError::mongo("trying")(ErrorKind::Command(command).into());
        assert_eq!(error.is_unavailable(), passes, "{error}");
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("why") && !text.contains("server response"), "{text}");
    }

    fn check_insertion(codes: &[i32], concern: bool, passes: bool) {
        let write_errors: Vec<_> =
            codes.iter().zip(0..).map(|(code, index)| doc! { "index": index, "code": code, "errmsg": "why" }).collect();
        let mut told = doc! { "inserted_ids": {} };
        if !codes.is_empty() {
            told.insert("writeErrors", write_errors);
        }
        if concern {
            told.insert("writeConcernError", doc! { "code": 64, "codeName": "x", "errmsg": "why" });
        }
        let failed: InsertManyError = deserialize_from_document(told).unwrap();
        let error = StoreError::mongo("trying")(ErrorKind::InsertMany(failed).into());
        assert_eq!(error.is_unavailable(), passes, "{codes:?} {concern}");
    }

    #[test]
    fn an_insertion_passes_if_all_that_is_amiss_passes() {
        check_insertion(&[], false, true);
        check_insertion(&[], true, true);
        check_insertion(&[DUPLICATE_KEY], false, false);
        check_insertion(&[DUPLICATE_KEY], true, true);
        check_insertion(&[1], false, true);
        check_insertion(&[DUPLICATE_KEY, 112], false, true);
        check_insertion(&[1, 121], false, false);
        check_insertion(&[121], true, false);
    }

    #[test]
    fn what_a_server_says_of_itself_passes_and_what_it_says_of_a_command_stays() {
        check(1, "InternalError", true);
        check(8, "UnknownError", true);
        check(112, "WriteConflict", true);
        check(10_107, "NotWritablePrimary", true);
        check(2, "BadValue", false);
        check(13, "Unauthorized", false);
        check(DUPLICATE_KEY, "DuplicateKey", false);
    }
}
