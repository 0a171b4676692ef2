//! The worker's own settings.

use crate::context::KnownJobs;
use crate::inbox::{APALIS_INBOX, APALIS_INBOX_OWNER, APALIS_INBOX_TIER, InboxConfig};
use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use candlemill_shared::job::Pool;
use candlemill_shared::tier::{TIERS_FILE, TierTable};
use candlemill_shared::webhook::WebhookConfig;
use std::net::SocketAddr;
use std::time::Duration;

static WORKER_ADDR: Variable = Variable {
    name: "WORKER_ADDR",
    default: "127.0.0.1:8081",
    help: "address and port of the worker's health and metrics page; port 0 takes a free one",
};
static WORKER_CONCURRENCY: Variable =
    Variable { name: "WORKER_CONCURRENCY", default: "32", help: "backfills that one worker runs at once, 1 to 256" };
static SEASONALITY_CONCURRENCY: Variable =
    Variable { name: "SEASONALITY_CONCURRENCY", default: "2", help: "analyses that one worker runs at once, 1 to 64" };
static SEASONALITY_MEMORY_MIB: Variable = Variable {
    name: "SEASONALITY_MEMORY_MIB",
    default: "600",
    help: "memory that the analyses of one worker may take together, MiB, 64 to 65536; one that needs more runs alone",
};
static MAINTENANCE_CONCURRENCY: Variable = Variable {
    name: "MAINTENANCE_CONCURRENCY",
    default: "8",
    help: "short tasks of the service itself that one worker runs at once, 1 to 1024",
};
static WORKER_LEASE_SECONDS: Variable = Variable {
    name: "WORKER_LEASE_SECONDS",
    default: "5",
    help: "seconds after which the tasks of a worker that gives no sign of life go to others, 1 to 60; the same for all workers",
};
static BACKFILL_PAGE_CONCURRENCY: Variable = Variable {
    name: "BACKFILL_PAGE_CONCURRENCY",
    default: "20",
    help: "pages that one worker fetches at once, 1 to 128; each may hold 0.5 MiB",
};
static BACKFILL_SPLIT_PAGES: Variable = Variable {
    name: "BACKFILL_SPLIT_PAGES",
    default: "1000",
    help: "pages above which a backfill is cut into parts that several workers run at once, 2 to 1000000",
};
static WORKER_GRACE_SECONDS: Variable = Variable {
    name: "WORKER_GRACE_SECONDS",
    default: "25",
    help: "seconds that running tasks get to end or be handed back after SIGTERM, 1 to 600",
};
static WORKER_ROLES: Variable = Variable {
    name: "WORKER_ROLES",
    default: "jobs,scheduler",
    help: "what the worker does, separated by commas: jobs runs tasks, scheduler makes the fires of schedules",
};
/// Every variable that is read here.
pub static VARIABLES: &[&Variable] = &[
    &WORKER_ADDR,
    &WORKER_CONCURRENCY,
    &SEASONALITY_CONCURRENCY,
    &SEASONALITY_MEMORY_MIB,
    &MAINTENANCE_CONCURRENCY,
    &WORKER_LEASE_SECONDS,
    &BACKFILL_PAGE_CONCURRENCY,
    &BACKFILL_SPLIT_PAGES,
    &WORKER_GRACE_SECONDS,
    &WORKER_ROLES,
    &TIERS_FILE,
    &APALIS_INBOX,
    &APALIS_INBOX_OWNER,
    &APALIS_INBOX_TIER,
];

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// It runs tasks.
    pub jobs: bool,
    /// It makes the fires of schedules.
    pub scheduler: bool,
}

impl Roles {
    fn read(text: &str) -> Result<Self, String> {
        let mut roles = Self { jobs: false, scheduler: false };
        for role in text.split(',').map(str::trim) {
            match role {
                "jobs" => roles.jobs = true,
                "scheduler" => roles.scheduler = true,
                other => return Err(format!("{other:?} is no role; jobs, scheduler or both are expected")),
            }
        }
        Ok(roles)
    }
}

/// The worker's own settings.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Where health and metrics are served.
    pub addr: SocketAddr,
    /// Backfills run at once.
    pub concurrency: usize,
    /// Analyses run at once.
    pub seasonality_concurrency: usize,
    /// Memory of the analyses that run at once, MiB.
    pub study_memory_mib: u32,
    /// Short tasks of the service itself run at once.
    pub maintenance_concurrency: usize,
    /// Time after which the tasks of a silent worker go to others.
    pub lease: Duration,
    /// Pages that this process fetches at once.
    pub page_concurrency: usize,
    /// Pages above which a backfill is cut into parts.
    pub split_pages: u64,
    /// Time to end after SIGTERM.
    pub grace: Duration,
    /// What it does.
    pub roles: Roles,
    /// What it pretends not to know; no variable sets it.
    pub known: KnownJobs,
    /// How owners are told of the end of tasks.
    pub webhooks: WebhookConfig,
    /// Where tasks come in by apalis; `None`: nowhere.
    pub inbox: Option<InboxConfig>,
    /// What tiers allow: for what the inbox takes.
    pub tiers: TierTable,
}

impl WorkerConfig {
    /// Tasks of `pool` run at once.
    #[must_use]
    pub const fn concurrency_of(&self, pool: Pool) -> usize {
        match pool {
            Pool::Backfill => self.concurrency,
            Pool::Seasonality => self.seasonality_concurrency,
            Pool::Maintenance => self.maintenance_concurrency,
        }
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// When a variable is wrong.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let addr = env.text_or_default(&WORKER_ADDR);
        Ok(Self {
            addr: addr
                .parse()
                .map_err(|_| wrong(&WORKER_ADDR, format!("{addr:?} is no address and port, as in 127.0.0.1:8081")))?,
            concurrency: env.number(&WORKER_CONCURRENCY, 1, 256)?,
            seasonality_concurrency: env.number(&SEASONALITY_CONCURRENCY, 1, 64)?,
            study_memory_mib: env.number(&SEASONALITY_MEMORY_MIB, 64, 65_536)?,
            maintenance_concurrency: env.number(&MAINTENANCE_CONCURRENCY, 1, 1_024)?,
            lease: Duration::from_secs(env.number(&WORKER_LEASE_SECONDS, 1, 60)?),
            page_concurrency: env.number(&BACKFILL_PAGE_CONCURRENCY, 1, 128)?,
            split_pages: env.number(&BACKFILL_SPLIT_PAGES, 2, 1_000_000)?,
            grace: Duration::from_secs(env.number(&WORKER_GRACE_SECONDS, 1, 600)?),
            roles: Roles::read(&env.text_or_default(&WORKER_ROLES)).map_err(|why| wrong(&WORKER_ROLES, why))?,
            known: KnownJobs::default(),
            webhooks: WebhookConfig::from_env(env)?,
            inbox: InboxConfig::from_env(env)?,
            tiers: TierTable::from_env(env)?,
        })
    }
}
