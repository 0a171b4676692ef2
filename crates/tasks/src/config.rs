//! The engine's own settings.

use candlemill_shared::env::{Env, EnvError, Variable};

static TASK_HISTORY_DAYS: Variable =
    Variable { name: "TASK_HISTORY_DAYS", default: "90", help: "days that ended tasks stay in MongoDB, 1 to 3650" };
static SCHEDULE_OWNER_MAX_AGE: Variable = Variable {
    name: "SCHEDULE_OWNER_MAX_AGE",
    default: "30",
    help: "days that a schedule fires without a sign of its owner, where nobody else can confirm the tier, 1 to 3650",
};
/// Every variable that is read here.
pub static VARIABLES: &[&Variable] = &[&TASK_HISTORY_DAYS, &SCHEDULE_OWNER_MAX_AGE];

/// The engine's own settings.
#[derive(Debug, Clone, Copy)]
pub struct TasksConfig {
    /// Days that ended tasks are kept.
    pub history_days: u32,
    /// Days that the last confirmation of an owner's tier counts for schedules.
    pub owner_max_age_days: u32,
}

impl TasksConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When a variable is wrong.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        Ok(Self {
            history_days: env.number(&TASK_HISTORY_DAYS, 1, 3_650)?,
            owner_max_age_days: env.number(&SCHEDULE_OWNER_MAX_AGE, 1, 3_650)?,
        })
    }
}
