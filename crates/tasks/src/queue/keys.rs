//! Redis keys of one pool.

use candlemill_db::key;
use candlemill_shared::job::Pool;

/// The keys of one pool's queue, in the order in which its scripts take them.
pub(super) struct PoolKeys {
    /// 1 hash of task id to entry, 2 sorted set of owners by turn, 3 sorted set of delayed tasks by UTC ms, 4 sorted set of
    /// leases by their end in Redis's own ms, 5 hash of task id to the token of who holds it, 6 hash of owner to tasks
    /// held, 7 the current turn, 8 mark of a paused queue, 9 time of the last tick,
    /// 10 mark of a grace time for leases.
    pub(super) all: [String; 10],
    /// Put before an owner: sorted set of the owner's waiting tasks by rank.
    pub(super) waiting: String,
    /// Channel that tells workers of waiting tasks.
    pub(super) wake: String,
    /// Mark that Redis has kept the queue since it was set.
    pub(super) epoch: String,
}

impl PoolKeys {
    pub(super) fn of(pool: Pool) -> Self {
        let of_part = |part: &str| key(&format!("{{{}}}:{part}", pool.as_str()));
        let parts = ["tasks", "owners", "delayed", "leases", "holders", "running", "turn", "paused", "ticked", "grace"];
        Self { all: parts.map(of_part), waiting: of_part("waiting:"), wake: of_part("wake"), epoch: of_part("epoch") }
    }

    pub(super) fn tasks(&self) -> &str {
        &self.all[0]
    }

    pub(super) fn delayed(&self) -> &str {
        &self.all[2]
    }

    pub(super) fn leases(&self) -> &str {
        &self.all[3]
    }

    pub(super) fn paused(&self) -> &str {
        &self.all[7]
    }
}
