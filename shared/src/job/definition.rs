//! What a kind of job is, and its payload as it is stored.

use super::admission::Admission;
use super::pool::Pool;
use crate::figures::Figures;
use crate::retry::RetryPolicy;
use crate::task::TaskState;
use crate::tier::TierRefusal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Debug;
use std::time::Duration;
use utoipa::ToSchema;

/// A kind of job: constants, a payload, and what its results mean. Its execution lives in the worker.
///
/// The engine stores payloads and results as documents of [`Job::VERSION`] and never looks inside; what it has to know of them
/// it asks for here.
pub trait Job: Serialize + DeserializeOwned + ToSchema + Send + Sync + 'static {
    /// The kind's name on the wire and in the store.
    const KIND: &'static str;
    /// Version of the form of payload and result. Workers read every version that was ever stored.
    const VERSION: u32;
    /// Where it runs.
    const POOL: Pool;
    /// Longest time of one attempt.
    const TIMEOUT: Duration;
    /// How often and how soon it is tried again.
    const RETRY: RetryPolicy;
    /// What [`Figures::done`] and [`Figures::total`] count: `pages`; [`PER_MILLE`](crate::percent::PER_MILLE) where there is nothing
    /// to count.
    const UNIT: &'static str;
    /// Details of its progress that the rate counts, per second.
    const RATED: &'static [&'static str] = &[];
    /// Members of the payload that may be large. Lists, and the engine's own looks, leave them out: then [`Job::request`] is kept
    /// beside the payload.
    const LARGE_PAYLOAD: &'static [&'static str] = &[];
    /// Members of the result that may be large. Lists, and the engine's own looks, leave them out.
    const LARGE_RESULT: &'static [&'static str] = &[];
    /// Of a kind that does work of its own after its parts: how much of its [`Figures::total`] the parts are together, and the stage
    /// that is shown meanwhile. `None`: they are the whole, and their figures add up to its own.
    const PARTS_SHARE: Option<(u64, &'static str)> = None;
    /// Members of its parts' results that [`Job::add_parts`] and the progress of parts read.
    const PART_MEMBERS: &'static [&'static str] = &[];

    /// What it did, over all of its attempts. Members that are absent in what earlier versions stored have defaults.
    type Result: Serialize + DeserializeOwned + Default + Clone + Debug + Send + Sync + 'static;

    /// The request as it is shown: short, times in RFC 3339.
    type RequestView: Serialize + ToSchema;

    /// The result as it is shown: times in RFC 3339.
    type ResultView: From<Self::Result> + Serialize + ToSchema;

    /// The lowest version of which a program reads this payload: one that uses nothing new stays readable for older workers.
    fn version(&self) -> u32 {
        Self::VERSION
    }

    /// What makes two requests of one owner the same: hexadecimal SHA-256 over kind, owner and all that is asked for.
    fn fingerprint(&self, owner: &str) -> String {
        let asked = serde_json::to_string(self).unwrap_or_default();
        hex::encode(Sha256::digest(format!("{}\n{owner}\n{asked}", Self::KIND)))
    }

    /// The request as it is shown.
    fn request(&self) -> Self::RequestView;

    /// What is wrong with a payload that can be read: bounds that its types do not have. Asked of every request, whatever way it
    /// comes in. It runs at `now_ms` (UTC) or later.
    ///
    /// # Errors
    /// What was expected.
    fn validate(&self, _now_ms: i64) -> Result<(), String> {
        Ok(())
    }

    /// Whether the owner's tier allows it. `so_far` is what an earlier life of the task did, for a replay.
    ///
    /// # Errors
    /// The first limit that forbids it.
    fn admit(&self, _admission: &Admission<'_>, _so_far: Option<&Self::Result>) -> Result<(), TierRefusal> {
        Ok(())
    }

    /// How far a task with this result is.
    fn figures(_result: &Self::Result) -> Figures {
        Figures::default()
    }

    /// The tasks that one consists of, where an attempt left its work to parts: by the payload and by `plan`, which that attempt
    /// wrote down. Each time the same, in the same order. `created_at` is the time of the submission, UTC ms.
    ///
    /// # Errors
    /// When the plan cannot be read.
    fn parts(&self, _plan: &Value, _created_at: i64) -> Result<Vec<Part>, serde_json::Error> {
        Ok(Vec::new())
    }

    /// Adds what ended parts did to the result of the whole. Parts of which nothing is stored have no result.
    fn add_parts(_result: &mut Self::Result, _parts: &[PartResult]) {}

    /// Takes figures over that were shown of all parts, and that must not fall at the end.
    fn keep_figures(_result: &mut Self::Result, _shown: &Figures) {}

    /// Notes the time from the first attempt's start to the end, ms.
    fn note_duration(_result: &mut Self::Result, _took_ms: u64) {}
}

/// A task that another one consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it does.
    pub job: Envelope,
    /// Its share of the whole, as work that it may be at most, in any unit that is the same for all parts; at least 1.
    pub share: u64,
}

impl Part {
    /// A part that does `job`.
    ///
    /// # Errors
    /// When the payload has no JSON form.
    pub fn of<J: Job>(job: &J, share: u64) -> Result<Self, serde_json::Error> {
        Ok(Self { job: Envelope::of(job)?, share: share.max(1) })
    }
}

/// How a part ended.
#[derive(Debug, Clone, PartialEq)]
pub struct PartResult {
    /// Where it stands; an end.
    pub state: TaskState,
    /// What it did: those members of its result that the whole reads ([`Job::PART_MEMBERS`]).
    pub result: Option<Value>,
}

/// A payload as it is stored: its kind and version beside it, so that old ones stay readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`Job::KIND`].
    pub kind: String,
    /// [`Job::VERSION`] of the writer.
    pub version: u32,
    /// The payload in that version's form.
    pub payload: serde_json::Value,
}

/// Why a stored payload cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// No job of this name.
    #[error("no job is called {0:?}")]
    UnknownKind(String),
    /// Written by a newer program.
    #[error("payload version {found} of {kind} is newer than the newest that this worker reads ({known})")]
    NewerVersion {
        /// Job kind.
        kind: &'static str,
        /// Version found.
        found: u32,
        /// Newest version that is read.
        known: u32,
    },
    /// The payload does not have its version's form.
    #[error("the payload of {kind} cannot be read")]
    Undecodable {
        /// Job kind.
        kind: &'static str,
        /// Where in the payload, and what serde found there.
        #[source]
        source: serde_path_to_error::Error<serde_json::Error>,
    },
    /// What an attempt wrote down of its parts does not have its version's form.
    #[error("the plan of {kind} cannot be read")]
    UnreadablePlan {
        /// Job kind.
        kind: &'static str,
        /// What serde found.
        #[source]
        source: serde_json::Error,
    },
}

impl Envelope {
    /// Wraps a job's payload.
    ///
    /// # Errors
    /// When the payload has no JSON form.
    pub fn of<J: Job>(job: &J) -> Result<Self, serde_json::Error> {
        Ok(Self { kind: J::KIND.to_owned(), version: job.version(), payload: serde_json::to_value(job)? })
    }

    /// Reads the payload of job `J`.
    ///
    /// # Errors
    /// When it is another job's, a newer version's, or has no such form.
    pub fn open<J: Job>(&self) -> Result<J, EnvelopeError> {
        if self.kind != J::KIND {
            return Err(EnvelopeError::UnknownKind(self.kind.clone()));
        }
        if self.version > J::VERSION {
            return Err(EnvelopeError::NewerVersion { kind: J::KIND, found: self.version, known: J::VERSION });
        }
        serde_path_to_error::deserialize(&self.payload)
            .map_err(|source| EnvelopeError::Undecodable { kind: J::KIND, source })
    }
}
