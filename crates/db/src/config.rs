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
/// Every variable that is read here.
pub static VARIABLES: &[&Variable] = &[&REDIS_URL, &MONGODB_URI, &MONGODB_DATABASE];

/// Where the stores are. Its debug form shows no password.
#[derive(Clone)]
pub struct DbConfig {
    /// Redis URL.
    pub redis_url: String,
    /// MongoDB connection string.
    pub mongodb_uri: String,
    /// MongoDB database.
    pub mongodb_database: String,
    /// How long a call waits for a store that is away before it fails.
    pub store_wait: Duration,
}

impl fmt::Debug for DbConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbConfig").field("mongodb_database", &self.mongodb_database).finish_non_exhaustive()
    }
}

impl DbConfig {
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
            store_wait: Duration::from_secs(3),
        })
    }
}
