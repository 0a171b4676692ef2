//! The kinds of faults.

use serde::Serialize;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The kind in words.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

faults! {
    /// kill -9 of a worker; restarted after a short wait.
    WorkerKilled => "worker: kill -9",
    /// kill -9 of all workers at once.
    WorkersKilled => "all workers: kill -9",
    /// SIGTERM of a worker: it hands its tasks back.
    WorkerStopped => "worker: SIGTERM",
    /// SIGSTOP of a worker until its leases have run out, then SIGCONT.
    WorkerFrozen => "worker: SIGSTOP past the lease",
    /// kill -9 of the worker that leads the sweep.
    LeaderKilled => "sweeping worker: kill -9",
    /// The lease of the sweep vanishes again and again: several workers sweep at once.
    TwoLeaders => "several sweepers at once",
    /// kill -9 of one API process, or of both.
    ApiKilled => "API: kill -9",
    /// kill -9 of Redis; its append-only file stays.
    RedisKilled => "Redis: kill -9",
    /// SIGSTOP of Redis for a while.
    RedisFrozen => "Redis: SIGSTOP",
    /// Every connection to Redis is closed, new ones are refused.
    RedisCut => "Redis: connections cut",
    /// Every message to and from Redis comes late.
    RedisDelayed => "Redis: messages late",
    /// Connections to Redis stand, nothing passes.
    RedisHalfOpen => "Redis: half-open",
    /// Redis forgets its scripts.
    ScriptsFlushed => "Redis: scripts gone",
    /// Redis forgets everything, scripts too.
    RedisFlushed => "Redis: all contents gone",
    /// Redis has no memory left for any write.
    RedisFull => "Redis: memory full",
    /// kill -9 of the MongoDB-wire server.
    MongoKilled => "MongoDB: kill -9",
    /// SIGSTOP of the MongoDB-wire server for a while.
    MongoFrozen => "MongoDB: SIGSTOP",
    /// Every connection to MongoDB is closed, new ones are refused.
    MongoCut => "MongoDB: connections cut",
    /// Every message to and from MongoDB comes late.
    MongoDelayed => "MongoDB: messages late",
    /// Connections to MongoDB stand, nothing passes.
    MongoHalfOpen => "MongoDB: half-open",
    /// Every message to and from MongoDB comes seconds late, and a process is killed while its writes are on their way.
    SlowInserts => "MongoDB: writes late, writer killed",
    /// Every connection to the exchange is closed, new ones are refused.
    ExchangeCut => "exchange: connections cut",
    /// Every message to and from the exchange comes late.
    ExchangeDelayed => "exchange: messages late",
    /// Connections to the exchange stand, nothing passes.
    ExchangeHalfOpen => "exchange: half-open",
    /// The exchange answers 429 with `Retry-After`.
    ExchangeThrottles => "exchange: 429",
    /// The exchange bans the address (418) for seconds.
    ExchangeBans => "exchange: 418",
    /// The exchange answers nonsense: HTML, broken JSON, cut bodies, errors.
    ExchangeWrong => "exchange: wrong answers",
    /// The exchange lacks candles that it has: no rows, or only the first ones.
    ExchangeAbsent => "exchange: rows absent for a while",
    /// The exchange's clock jumps, forwards or back.
    ClockJumps => "exchange: clock jumps",
    /// Tasks under way are put into the queue a second time, or taken out and put in anew.
    DoubleDelivery => "task delivered twice",
}

impl std::str::FromStr for Fault {
    type Err = String;

    /// By its name in reports, as `worker_killed`.
    fn from_str(text: &str) -> Result<Self, String> {
        let name = |fault: &Self| serde_json::to_value(fault).ok().and_then(|name| name.as_str().map(str::to_owned));
        let names = || Self::ALL.iter().filter_map(name).collect::<Vec<_>>().join(", ");
        let found = Self::ALL.iter().copied().find(|fault| name(fault).is_some_and(|name| name == text));
        found.ok_or_else(|| format!("{text:?} is no kind of fault; one of {}", names()))
    }
}
