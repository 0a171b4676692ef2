//! The engine's own settings.

use candlemill_shared::env::{Env, EnvError, Variable};

static TASK_HISTORY_DAYS: Variable =
    Variable { name: "TASK_HISTORY_DAYS", default: "90", help: "days that ended tasks stay in MongoDB, 1 to 3650" };
/// Every variable that is read here.
pub static VARIABLES: &[&Variable] = &[&TASK_HISTORY_DAYS];

/// The engine's own settings.
#[derive(Debug, Clone, Copy)]
pub struct TasksConfig {
    /// Days that ended tasks are kept.
    pub history_days: u32,
}

impl TasksConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When a variable is wrong.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        Ok(Self { history_days: env.number(&TASK_HISTORY_DAYS, 1, 3_650)? })
    }
}
