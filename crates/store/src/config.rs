//! Where the stores are.

use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use std::fmt;
use std::time::Duration;

static REDIS_URL: Variable =
    Variable { name: "REDIS_URL", default: "redis://127.0.0.1:6379", help: "Redis, redis:// or rediss://" };
static MONGODB_URI: Variable = Variable {
    name: "MONGODB_URI",
    default: "mongodb://127.0.0.1:27017",
    help: "MongoDB, mongodb:// or mongodb+srv://",
};
static MONGODB_DATABASE: Variable =
    Variable { name: "MONGODB_DATABASE", default: "candlemill", help: "name of the MongoDB database" };
static TASK_HISTORY_DAYS: Variable =
    Variable { name: "TASK_HISTORY_DAYS", default: "90", help: "days that ended tasks stay in MongoDB, 1 to 3650" };
/// Every variable that is read here.
pub static VARIABLES: &[&Variable] = &[&REDIS_URL, &MONGODB_URI, &MONGODB_DATABASE, &TASK_HISTORY_DAYS];

/// Where the stores are. Its debug form shows no password.
#[derive(Clone)]
pub struct StoreConfig {
    /// Redis URL.
    pub redis_url: String,
    /// MongoDB connection string.
    pub mongodb_uri: String,
    /// MongoDB database.
    pub mongodb_database: String,
    /// Days that ended tasks are kept.
    pub task_history_days: u32,
    /// How long a caller waits for a store that is away before it is told so. An API answers soon, a worker is patient.
    pub patience: Duration,
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig").field("mongodb_database", &self.mongodb_database).finish_non_exhaustive()
    }
}

impl StoreConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When a variable is wrong.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let database = env.text_or_default(&MONGODB_DATABASE);
        // MongoDB's own rule for names of databases.
        if database.len() > 63 || database.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
            return Err(wrong(
                &MONGODB_DATABASE,
                "is no database name (at most 63 characters, none of / \\ . \" $ or space)",
            ));
        }
        Ok(Self {
            redis_url: env.url(&REDIS_URL, &["redis", "rediss"])?,
            mongodb_uri: env.url(&MONGODB_URI, &["mongodb", "mongodb+srv"])?,
            mongodb_database: database,
            task_history_days: env.number(&TASK_HISTORY_DAYS, 1, 3_650)?,
            patience: Duration::from_secs(3),
        })
    }

    /// With another patience.
    #[must_use]
    pub const fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}
